//! What `sockeye connect` can be told: by arguments, by the environment, by `[connect]` in
//! config.toml.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use sockeye_net::dial::parse_source;
use sockeye_net::{Endpoint, SocketOption, units};

use crate::cli::trust::TrustArgs;
use crate::cli::values;

const EXAMPLES: &str = "\
Examples:
  sockeye connect 9000                       talk to tcp://127.0.0.1:9000 at a prompt
  printf 'hello' | sockeye connect HOST:9000 send it, print the answer
  sockeye connect --crlf HOST:80 < request   a text protocol that wants \\r\\n
  sockeye connect unix:/run/app.sock         a Unix socket
  sockeye connect tls://HOST:9000            TLS 1.3, both sides known by their keys
  echo hi | sockeye connect udp://HOST:9000  one datagram, \"hi\\n\"
  sockeye connect --hex --timeout 5s 9000    see every byte, give up after five silent seconds
  sockeye connect --record talk.ndjson 9000  keep the conversation …
  sockeye connect --replay talk.ndjson 9000  … and hold it again, with its timing

On a terminal each line is sent with a newline, and the answer is shown before the next prompt
(>>: ). Blank lines are not sent, but with --crlf they are: one ends a header, as of an HTTP request.
q or Ctrl-D ends, Ctrl-C drops the line. Control characters in what the peer sends are shown escaped.

In a pipe bytes go both ways at once. The end of standard input ends our direction (FIN), and
reading goes on until the peer's end. Exit status 0 says that both directions ended cleanly; 1 that
it was refused, reset, timed out or otherwise failed; 2 that the arguments were wrong.

Datagrams (udp://, unixgram:): each line of standard input, its newline included, is one datagram.
With --lines the newline is left out, so that a blank line is an empty datagram, and each datagram
received is printed with a newline. With --whole all of standard input is one datagram. It is over
when as many datagrams came as were sent, or when none came for 1 second or for --timeout.

Each option can also be set by SOCKEYE_NAME in the environment, or by its name in [connect] of
config.toml. Arguments beat the environment, which beats config.toml.";

/// Arguments of `sockeye connect`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ConnectArgs {
    /// Where to connect: tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT, unix:PATH, unixgram:PATH, HOST:PORT,
    /// a port of this machine, or a path with a slash.
    #[arg(value_parser = values::endpoint())]
    pub(crate) endpoint: Endpoint,

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

    /// Set a socket option before connecting, as in nodelay=on, rcvbuf=1M, linger=0 (repeatable).
    #[arg(long, env = "SOCKEYE_SET", value_name = "NAME=VALUE", value_delimiter = ',')]
    pub(crate) set: Option<Vec<SocketOption>>,

    /// Give up when connecting takes longer, or when nothing moves either way for so long
    /// [default: 7s for connecting, else no limit]; at the prompt for connecting only.
    #[arg(long, env = "SOCKEYE_TIMEOUT", value_name = "TIME",
        value_parser = values::positive_duration)]
    pub(crate) timeout: Option<Duration>,

    /// Try again to connect, so many times, after 100 ms and then twice as long each time.
    #[arg(long, env = "SOCKEYE_RETRY", value_name = "N")]
    pub(crate) retry: Option<u32>,

    /// Send each lone newline as \r\n; at the prompt send blank lines as well.
    #[arg(long, env = "SOCKEYE_CRLF", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    pub(crate) crlf: Option<bool>,

    /// Show both directions: offset, bytes, text, > sent or < received, seconds since the start.
    #[arg(long, env = "SOCKEYE_HEX", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    pub(crate) hex: Option<bool>,

    /// Write the conversation to FILE, one JSON object a line.
    #[arg(long, env = "SOCKEYE_RECORD", value_name = "FILE")]
    pub(crate) record: Option<PathBuf>,

    /// Send what a recording sent, at its times, instead of standard input.
    #[arg(long, env = "SOCKEYE_REPLAY", value_name = "FILE")]
    pub(crate) replay: Option<PathBuf>,

    /// Make a new connection for each line: send it, end, print the whole answer.
    #[arg(long, env = "SOCKEYE_PER_MESSAGE", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    pub(crate) per_message: Option<bool>,

    /// Print nothing of what is received; it is still read to the peer's end.
    #[arg(long, env = "SOCKEYE_SEND_ONLY", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    pub(crate) send_only: Option<bool>,

    /// Send nothing and leave standard input alone; our direction ends after the peer's.
    #[arg(long, env = "SOCKEYE_RECV_ONLY", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    pub(crate) recv_only: Option<bool>,

    /// Datagrams: leave the newline of each line out, print one after each datagram received.
    #[arg(long, env = "SOCKEYE_LINES", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    pub(crate) lines: Option<bool>,

    /// Datagrams: send all of standard input as one.
    #[arg(long, env = "SOCKEYE_WHOLE", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    pub(crate) whole: Option<bool>,

    /// Let the peer's control characters reach the terminal.
    #[arg(long, env = "SOCKEYE_RAW", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    pub(crate) raw: Option<bool>,

    /// Tell on standard error which address it was, each socket option as it became, each attempt.
    #[arg(short, long, env = "SOCKEYE_VERBOSE", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    pub(crate) verbose: Option<bool>,

    #[command(flatten)]
    pub(crate) trust: TrustArgs,
}

/// `[connect]` of config.toml: the options of [`ConnectArgs`] by their names.
#[derive(serde::Deserialize, Debug, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct ConnectConfig {
    pub(crate) identity: Option<PathBuf>,
    pub(crate) known_hosts: Option<PathBuf>,
    pub(crate) source: Option<String>,
    pub(crate) ipv4: Option<bool>,
    pub(crate) ipv6: Option<bool>,
    pub(crate) set: Option<Vec<String>>,
    pub(crate) timeout: Option<String>,
    pub(crate) retry: Option<u32>,
    pub(crate) crlf: Option<bool>,
    pub(crate) hex: Option<bool>,
    pub(crate) record: Option<PathBuf>,
    pub(crate) replay: Option<PathBuf>,
    pub(crate) per_message: Option<bool>,
    pub(crate) send_only: Option<bool>,
    pub(crate) recv_only: Option<bool>,
    pub(crate) lines: Option<bool>,
    pub(crate) whole: Option<bool>,
    pub(crate) raw: Option<bool>,
    pub(crate) verbose: Option<bool>,
}
