//! What `sockeye bench` can be told: by arguments, by the environment, by `[bench]` in config.toml.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use serde::Deserialize;
use sockeye_load::Verify;
use sockeye_load::throughput::Direction;
use sockeye_net::{Endpoint, units};

use super::models::{ModelsArgs, ServiceArg};
use crate::cli::values;

const EXAMPLES: &str = "\
Examples:
  sockeye bench 9000                         50 connections to 127.0.0.1:9000 for 5 s, closed loop
  sockeye bench 9000 --rate 50000            open loop: 50,000 requests a second, whatever it does
  sockeye bench HOST:9000 --connections 1000 --depth 16 --size 4K
  sockeye bench 9000 --churn                 connect, ask, close, again
  sockeye bench udp://HOST:9000 --rate 20000 datagrams: loss, order and jitter as well
  sockeye bench 9007 --verify echo           the server answers unchanged
  sockeye bench 9000 --json | tail -1        one object at the end
  sockeye bench throughput 9000              how many bytes a second
  sockeye bench models                       which model suits what

The server has to answer each request with as many bytes: `sockeye serve` (upper, the default) or
`sockeye serve echo`. With --verify none they are not looked at; with --churn as well, all that comes
until the server ends is the answer, so that daytime and the like can be asked.

Latency counts from the time at which a request was to be sent. In a closed loop (without --rate)
that is when the answer before it came: while the server stalls nothing is asked, and little shows.
At a fixed rate all that was held up shows.

`sockeye serve echo` answers a source of datagrams 1,000 times a second unless --source-rate 0 is said
there; upper has no such bound.

An endpoint that is named as a command is written ./models or unix:models.

What fails is counted by kind: requests; apart from them connections, and whatever failed in the
warm-up.

Exit status: 0 if all was answered rightly (datagrams may be lost), 1 if anything failed, in the warm-up
too, 2 usage. Of a run that is ended early what was in flight is no failure.";

const THROUGHPUT_EXAMPLES: &str = "\
Examples:
  sockeye serve discard 9000                 at the other end, then:
  sockeye bench throughput HOST:9000         up: from here to there
  sockeye bench throughput HOST:9000 --direction down    back: needs `sockeye serve chargen`
  sockeye bench throughput HOST:9000 --direction both    there and back: needs `sockeye serve echo`
  sockeye bench throughput HOST:9000 --streams 4
  sockeye bench throughput --serve udp://0.0.0.0:9000    receive datagrams and count, until Ctrl-C
  sockeye bench throughput udp://HOST:9000 --rate 100M   send them there, and show its counts

Rates are bits a second, and K, M and G are powers of 1000 there. Datagrams are numbered. Going up,
their receiver counts loss, order and jitter; with --direction both an echo sends them back (`sockeye
serve echo --source-rate 0`), and they are counted here, for both ways together. Going down alone there is nothing for datagrams: serve
here, and send from there.

Exit status: 0 if nothing failed (datagrams may be lost), 1 if anything did, 2 usage.";

/// Arguments of `sockeye bench`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(crate) struct BenchArgs {
    #[command(subcommand)]
    pub(super) command: Option<BenchCommand>,

    #[command(flatten)]
    pub(super) load: LoadArgs,
}

/// What else is measured.
#[derive(Debug, Subcommand)]
pub(super) enum BenchCommand {
    /// Bulk data: bytes a second one way or both, streams in parallel, datagrams with loss and jitter.
    Throughput(ThroughputArgs),
    /// The same service under every model, side by side.
    Models(ModelsArgs),
}

/// Arguments of `sockeye bench ENDPOINT`.
#[derive(Debug, Args)]
pub(super) struct LoadArgs {
    /// The server: tcp://HOST:PORT, udp://HOST:PORT, unix:PATH, unixgram:PATH, HOST:PORT, a port of
    /// this machine, or a path with a slash.
    #[arg(value_parser = values::endpoint())]
    pub(super) endpoint: Option<Endpoint>,

    /// Connections at a time (sockets, where they are datagrams) [default: 50].
    #[arg(short, long, env = "SOCKEYE_CONNECTIONS", value_name = "N", value_parser = values::count)]
    pub(super) connections: Option<usize>,

    /// Bytes of a request, or a number with K or M [default: 64].
    #[arg(short, long, env = "SOCKEYE_SIZE", value_name = "BYTES", value_parser = units::size)]
    pub(super) size: Option<u64>,

    /// Requests in flight on one connection, at most [default: 1; with --rate 16]. Datagrams at a fixed
    /// rate are sent when they are due, however many wait: a lost one holds none back.
    #[arg(short, long, env = "SOCKEYE_DEPTH", value_name = "N", value_parser = values::count)]
    pub(super) depth: Option<usize>,

    /// How long is counted [default: 5s].
    #[arg(short = 't', long, env = "SOCKEYE_DURATION", value_name = "TIME",
        value_parser = values::positive_duration)]
    pub(super) duration: Option<Duration>,

    /// How long the same load runs before it is counted [default: 500ms].
    #[arg(long, env = "SOCKEYE_WARMUP", value_name = "TIME", value_parser = values::duration)]
    pub(super) warmup: Option<Duration>,

    /// Open loop: so many requests a second over all connections.
    #[arg(short, long, env = "SOCKEYE_RATE", value_name = "N", value_parser = values::per_second)]
    pub(super) rate: Option<u64>,

    /// A connection for each request: connect, send, receive, close.
    #[arg(long, env = "SOCKEYE_CHURN", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    pub(super) churn: Option<bool>,

    /// How answers are checked: every byte in upper case, every byte unchanged, or not at all
    /// [default: upper].
    #[arg(long, env = "SOCKEYE_VERIFY", value_name = "HOW")]
    pub(super) verify: Option<VerifyArg>,

    /// A connection on which an answer is due, nothing comes and nothing of the oldest request can be
    /// sent for so long has failed; with --churn
    /// one whose answer is not whole by then [default: 5s; of datagrams each one, 500ms].
    #[arg(long, env = "SOCKEYE_TIMEOUT", value_name = "TIME",
        value_parser = values::positive_duration)]
    pub(super) timeout: Option<Duration>,

    /// Threads that drive the connections [default: half of the processors].
    #[arg(long, env = "SOCKEYE_WORKERS", value_name = "N", value_parser = values::count)]
    pub(super) workers: Option<usize>,

    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// Arguments of `sockeye bench throughput`.
#[derive(Debug, Args)]
#[command(after_help = THROUGHPUT_EXAMPLES)]
pub(super) struct ThroughputArgs {
    /// The server, or with --serve where to receive.
    #[arg(value_parser = values::endpoint())]
    pub(super) endpoint: Endpoint,

    /// Which way the data goes [default: up].
    #[arg(long, env = "SOCKEYE_DIRECTION", value_name = "WAY")]
    pub(super) direction: Option<DirectionArg>,

    /// Connections in parallel [default: 1].
    #[arg(long, env = "SOCKEYE_STREAMS", value_name = "N", value_parser = values::count)]
    pub(super) streams: Option<usize>,

    /// Bytes of one send, or of one datagram [default: 128K; of datagrams 1432].
    #[arg(short, long, env = "SOCKEYE_SIZE", value_name = "BYTES", value_parser = units::size)]
    pub(super) size: Option<u64>,

    /// How long is counted [default: 5s].
    #[arg(short = 't', long, env = "SOCKEYE_DURATION", value_name = "TIME",
        value_parser = values::positive_duration)]
    pub(super) duration: Option<Duration>,

    /// How long the same load runs before it is counted [default: 500ms].
    #[arg(long, env = "SOCKEYE_WARMUP", value_name = "TIME", value_parser = values::duration)]
    pub(super) warmup: Option<Duration>,

    /// Bits a second over all streams, as in 100M [default: as fast as it goes; of datagrams 10M].
    #[arg(short, long, env = "SOCKEYE_BITRATE", value_name = "BITS", value_parser = values::bits)]
    pub(super) rate: Option<u64>,

    /// Receive datagrams and count them for whoever sends, until Ctrl-C.
    #[arg(long, conflicts_with_all = ["direction", "streams", "size", "duration", "warmup", "rate"])]
    pub(super) serve: bool,

    #[command(flatten)]
    pub(super) output: OutputArgs,
}

/// How results are shown.
#[derive(Debug, Args)]
pub(super) struct OutputArgs {
    /// Write lines of JSON to stdout: the last one is the result.
    #[arg(long)]
    pub(super) json: bool,

    /// Write a page with charts to FILE, too.
    #[arg(long, value_name = "FILE")]
    pub(super) html: Option<PathBuf>,
}

/// `--verify`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum VerifyArg {
    /// The request in upper case.
    Upper,
    /// The request as it was.
    Echo,
    /// Anything.
    None,
}

impl From<VerifyArg> for Verify {
    fn from(arg: VerifyArg) -> Verify {
        match arg {
            VerifyArg::Upper => Verify::Upper,
            VerifyArg::Echo => Verify::Echo,
            VerifyArg::None => Verify::None,
        }
    }
}

/// `--direction`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum DirectionArg {
    /// From here to the server, which has to be discard (datagrams: --serve).
    Up,
    /// From the server, which has to be chargen.
    Down,
    /// To the server and back; it has to be echo.
    Both,
}

impl From<DirectionArg> for Direction {
    fn from(arg: DirectionArg) -> Direction {
        match arg {
            DirectionArg::Up => Direction::Up,
            DirectionArg::Down => Direction::Down,
            DirectionArg::Both => Direction::Both,
        }
    }
}

/// `[bench]` of config.toml: the options by their names, for `bench`, `bench throughput` and `bench
/// models`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct BenchConfig {
    pub(super) connections: Option<usize>,
    pub(super) size: Option<String>,
    pub(super) depth: Option<usize>,
    pub(super) duration: Option<String>,
    pub(super) warmup: Option<String>,
    pub(super) rate: Option<u64>,
    pub(super) churn: Option<bool>,
    pub(super) verify: Option<VerifyArg>,
    pub(super) timeout: Option<String>,
    pub(super) workers: Option<usize>,
    pub(super) direction: Option<DirectionArg>,
    pub(super) streams: Option<usize>,
    pub(super) bitrate: Option<String>,
    pub(super) service: Option<ServiceArg>,
    pub(super) models: Option<Vec<String>>,
    pub(super) rounds: Option<usize>,
    pub(super) idle: Option<usize>,
}

#[cfg(test)]
mod tests {
    use sockeye_limits as limits;

    use super::*;

    /// B1: the help's first example says how long a run takes without `--duration`.
    #[test]
    fn example_says_the_default() {
        let (connections, time) = (limits::LOAD_CONNECTIONS, limits::LOAD_DURATION.as_secs());
        let said = format!("{connections} connections to 127.0.0.1:9000 for {time} s, closed loop");
        assert!(EXAMPLES.contains(&said), "{said:?} is not in the examples");
    }
}
