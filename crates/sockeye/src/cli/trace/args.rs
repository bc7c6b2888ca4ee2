//! What `sockeye trace` can be told: by arguments, by the environment, by `[trace]` in config.toml.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::ValueEnum;
use sockeye_net::dial::parse_source;
use sockeye_net::{Endpoint, units};

use crate::cli::values;

const EXAMPLES: &str = "\
Examples:
  sockeye trace                          a connection to a server of our own, in a private network
  sockeye trace 9000 --send hello        talk to tcp://127.0.0.1:9000 and draw every packet
  sudo sockeye trace HOST:80 --send $'HEAD / HTTP/1.0\\r\\n\\r\\n' --close last
  sockeye trace --service daytime        a server that closes first: who waits in TIME-WAIT now?
  sockeye trace 9000 --close reset       no FIN at all
  sockeye trace 9000 --layers            open each packet: link, network, transport, application
  sockeye trace 9000 --pcap t.pcapng     for Wireshark, with what each packet means as its comment
  sockeye trace 9000 --html t.html       a page with the drawing
  sudo sockeye trace --port 9000         watch all connections of a port until Ctrl-C
  sudo sockeye trace --port 53 --udp --duration 10s --json

It says where the drawing comes from. As root the packets are real ones, captured. Without
privileges two things remain: a server of our own in a private network (leave ENDPOINT out), where
the packets are real as well, and for any other server what our own calls and the kernel's TCP_INFO
prove.

The columns are the states of both ends; between them each packet is an arrow with its flags, its
sequence and acknowledgement numbers (relative: each side counts from 0), its length, and the time
since the one before.

--close half (default) ends our side, reads the rest of the answer, closes; first closes once the
answer is there; last waits until the server closes; reset sends RST.

The drawing goes to stdout. Exit status 0: the conversation ended well. 1: it was refused, reset,
timed out or stopped (Ctrl-C); that is drawn too. 2: the arguments were wrong.

Options can also be set by SOCKEYE_NAME in the environment, or in [trace] of config.toml (close,
timeout, ascii, layers). Arguments beat the environment, which beats config.toml.";

/// Who closes, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Close {
    /// We end our side, read on to the server's end, then close.
    Half,
    /// We close as soon as the answer is there.
    First,
    /// The server closes first.
    Last,
    /// We reset the connection.
    Reset,
}

/// Arguments of `sockeye trace`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TraceArgs {
    /// Whom to talk to: tcp://HOST:PORT, udp://HOST:PORT, unix:PATH, HOST:PORT, a port of this
    /// machine. Without it a server of our own, in a private network.
    #[arg(value_parser = values::endpoint())]
    pub(crate) endpoint: Option<Endpoint>,

    /// Send this (repeatable: each after the answer to the one before).
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    pub(crate) send: Vec<String>,

    /// Who closes first, and how [default: half].
    #[arg(long, env = "SOCKEYE_CLOSE", value_name = "HOW")]
    pub(crate) close: Option<Close>,

    /// What a server of our own serves: upper, echo, discard, daytime, qotd, time [default: upper].
    #[arg(long, value_name = "NAME", conflicts_with_all = ["endpoint", "port"])]
    pub(crate) service: Option<String>,

    /// Watch the connections of this port instead of making one; needs root.
    #[arg(long, value_name = "N", conflicts_with_all = ["endpoint", "send", "close"])]
    pub(crate) port: Option<u16>,

    /// UDP in place of TCP: for --port, and for a server of our own.
    #[arg(long, conflicts_with = "endpoint")]
    pub(crate) udp: bool,

    /// With --port: end when so many connections are over.
    #[arg(long, value_name = "N", requires = "port", value_parser = values::count)]
    pub(crate) count: Option<usize>,

    /// With --port: end after this time.
    #[arg(long, value_name = "TIME", requires = "port", value_parser = values::positive_duration)]
    pub(crate) duration: Option<Duration>,

    /// Open each packet: link, network, transport, application.
    #[arg(long, env = "SOCKEYE_LAYERS", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    pub(crate) layers: Option<bool>,

    /// One JSON object for each step, then one with the verdict.
    #[arg(long, env = "SOCKEYE_JSON", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    pub(crate) json: Option<bool>,

    /// Draw with ASCII alone.
    #[arg(long, env = "SOCKEYE_ASCII", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    pub(crate) ascii: Option<bool>,

    /// Write the packets to FILE as pcapng, with comments.
    #[arg(long, value_name = "FILE")]
    pub(crate) pcap: Option<PathBuf>,

    /// Write the drawing to FILE as a page.
    #[arg(long, value_name = "FILE", conflicts_with = "port")]
    pub(crate) html: Option<PathBuf>,

    /// How long each step may take: connecting, an answer, the server's end [default: 7s].
    #[arg(long, env = "SOCKEYE_TIMEOUT", value_name = "TIME",
        value_parser = values::positive_duration)]
    pub(crate) timeout: Option<Duration>,

    /// Our own address, bound before connecting (port 0 or none: any).
    #[arg(long, env = "SOCKEYE_SOURCE", value_name = "ADDR[:PORT]", value_parser = parse_source)]
    pub(crate) source: Option<SocketAddr>,

    /// IPv4 only.
    #[arg(short = '4', long, env = "SOCKEYE_IPV4", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    pub(crate) ipv4: Option<bool>,

    /// IPv6 only.
    #[arg(short = '6', long, env = "SOCKEYE_IPV6", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    pub(crate) ipv6: Option<bool>,
}

/// `[trace]` of config.toml: some options of [`TraceArgs`] by their names.
#[derive(serde::Deserialize, Debug, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct TraceConfig {
    pub(crate) close: Option<Close>,
    pub(crate) timeout: Option<String>,
    pub(crate) ascii: Option<bool>,
    pub(crate) layers: Option<bool>,
}
