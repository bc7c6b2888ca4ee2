//! Arguments and configuration become plans, once.

use std::num::NonZeroUsize;
use std::time::Duration;

use sockeye_limits as limits;
use sockeye_load::throughput::{Direction, ThroughputPlan};
use sockeye_load::{Error, Pace, Plan, Verify};
use sockeye_net::{Endpoint, units};

use super::args::{BenchConfig, LoadArgs, ThroughputArgs};
use crate::cli::values;

/// The plan of `bench ENDPOINT`.
///
/// # Errors
/// A usage error: one sentence that says what was wrong and what is right.
pub(super) fn load(args: LoadArgs, config: BenchConfig) -> Result<Plan, String> {
    let endpoint = args.endpoint.ok_or(
        "no endpoint: name the server as in `sockeye bench 9000`, or the commands throughput or \
         models",
    )?;
    refuse_port(&endpoint)?;
    let open = args.rate.or(config.rate);
    let churn = args.churn.or(config.churn).unwrap_or(false);
    let usual = Plan::new(endpoint);
    let plan = Plan {
        connections: args.connections.or(config.connections).unwrap_or(limits::LOAD_CONNECTIONS),
        size: size(args.size, config.size.as_deref())?.unwrap_or(limits::LOAD_SIZE),
        depth: args.depth.or(config.depth).unwrap_or(match open {
            Some(_) if !churn => limits::LOAD_DEPTH_OPEN,
            _ => 1,
        }),
        duration: time(args.duration, config.duration.as_deref(), "duration")?
            .unwrap_or(limits::LOAD_DURATION),
        warmup: time(args.warmup, config.warmup.as_deref(), "warmup")?
            .unwrap_or(limits::LOAD_WARMUP),
        pace: open.map_or(Pace::Closed, |per_second| Pace::Open { per_second }),
        churn,
        verify: args.verify.or(config.verify).map_or(Verify::Upper, Verify::from),
        workers: workers(args.workers.or(config.workers)),
        timeout: time(args.timeout, config.timeout.as_deref(), "timeout")?.unwrap_or(usual.timeout),
        ..usual
    };
    checked(plan.check())?;
    Ok(plan)
}

/// What a plan says of itself, without the words around it.
pub(super) fn checked(check: Result<(), Error>) -> Result<(), String> {
    check.map_err(|error| match error {
        Error::Plan(text) => text,
        other => other.to_string(),
    })
}

/// The plan of `bench throughput`.
///
/// # Errors
/// As [`load`].
pub(super) fn throughput(
    args: ThroughputArgs,
    config: BenchConfig,
) -> Result<ThroughputPlan, String> {
    refuse_port(&args.endpoint)?;
    let direction = args.direction.or(config.direction).map_or(Direction::Up, Direction::from);
    let usual = ThroughputPlan::new(args.endpoint, direction);
    let rate = match (args.rate, config.bitrate) {
        (None, Some(text)) => {
            Some(values::bits(&text).map_err(|error| in_configuration("bitrate", &error))?)
        }
        (rate, _) => rate,
    };
    let plan = ThroughputPlan {
        streams: args.streams.or(config.streams).unwrap_or(limits::LOAD_STREAMS),
        size: size(args.size, config.size.as_deref())?.unwrap_or(usual.size),
        duration: time(args.duration, config.duration.as_deref(), "duration")?
            .unwrap_or(limits::LOAD_DURATION),
        warmup: time(args.warmup, config.warmup.as_deref(), "warmup")?
            .unwrap_or(limits::LOAD_WARMUP),
        rate: rate.or(usual.rate),
        ..usual
    };
    checked(plan.check())?;
    Ok(plan)
}

fn refuse_port(endpoint: &Endpoint) -> Result<(), String> {
    match endpoint.host_port() {
        Some(at) if at.port == 0 => {
            Err(format!("{endpoint} has port 0, where nobody can listen: name the server's port"))
        }
        _ => Ok(()),
    }
}

/// Half of the processors: the other half is the server's, where that is on this machine.
fn workers(said: Option<usize>) -> usize {
    let processors = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    said.unwrap_or((processors / 2).clamp(1, limits::LOAD_WORKERS_MAX))
}

/// `--size`, or what the configuration says.
pub(super) fn size(arg: Option<u64>, config: Option<&str>) -> Result<Option<usize>, String> {
    let size = match (arg, config) {
        (None, Some(text)) => {
            Some(units::size(text).map_err(|error| in_configuration("size", &error))?)
        }
        (arg, _) => arg,
    };
    Ok(size.map(|size| usize::try_from(size).unwrap_or(usize::MAX)))
}

/// A time of the command line, or what the configuration says.
pub(super) fn time(
    arg: Option<Duration>,
    config: Option<&str>,
    name: &str,
) -> Result<Option<Duration>, String> {
    match (arg, config) {
        (None, Some(text)) => {
            values::duration(text).map(Some).map_err(|error| in_configuration(name, &error))
        }
        (arg, _) => Ok(arg),
    }
}

fn in_configuration(name: &str, error: &str) -> String {
    format!("{name} in the configuration: {error}")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::bench::args::{BenchArgs, BenchCommand};

    #[derive(Parser)]
    struct Program {
        #[command(flatten)]
        bench: BenchArgs,
    }

    fn args(words: &[&str]) -> BenchArgs {
        let words = ["bench"].iter().chain(words);
        Program::try_parse_from(words).map(|program| program.bench).unwrap()
    }

    fn config(text: &str) -> BenchConfig {
        toml::from_str(text).unwrap()
    }

    /// B1: an endpoint is an endpoint, a port too, and a command is a command.
    #[test]
    fn endpoints() {
        let plan = load(args(&["9000"]).load, BenchConfig::default()).unwrap();
        assert_eq!(plan.endpoint.to_string(), "tcp://127.0.0.1:9000");
        assert_eq!((plan.depth, plan.pace), (1, Pace::Closed));
        let plan = load(args(&["unix:models"]).load, BenchConfig::default()).unwrap();
        assert_eq!(plan.endpoint.to_string(), "unix:models");
        assert!(matches!(args(&["throughput", "9"]).command, Some(BenchCommand::Throughput(_))));
    }

    /// Q3: arguments beat configuration, whose keys are the options' names; a fixed rate has room for
    /// what is held up.
    #[test]
    fn precedence() {
        let text = "size = \"4K\"\nrate = 100\nchurn = true\nduration = \"3s\"\nverify = \"echo\"";
        let plan = load(args(&["9", "--size=10", "--churn=off"]).load, config(text)).unwrap();
        assert_eq!((plan.size, plan.churn, plan.verify), (10, false, Verify::Echo));
        assert_eq!(
            (plan.pace, plan.depth),
            (Pace::Open { per_second: 100 }, limits::LOAD_DEPTH_OPEN)
        );
        assert_eq!(plan.duration, Duration::from_secs(3));
        let plan = load(args(&["9"]).load, config(text)).unwrap();
        assert_eq!((plan.size, plan.churn, plan.depth), (4096, true, 1));
        let error = load(args(&["9"]).load, config("size = \"x\"")).unwrap_err();
        assert!(error.contains("size in the configuration"), "{error}");
        assert!(toml::from_str::<BenchConfig>("sizes = 1").is_err());
    }

    /// B4: the rates of bulk data are bits, with their own name in the configuration.
    #[test]
    fn bulk() {
        let plan = |words: &[&str], text: &str| match args(words).command {
            Some(BenchCommand::Throughput(args)) => throughput(args, config(text)),
            other => panic!("{other:?}"),
        };
        let udp = ["throughput", "udp://h:9", "--rate=100M"];
        assert_eq!(plan(&udp, "").unwrap().rate, Some(100_000_000));
        assert_eq!(plan(&udp[..2], "bitrate = \"1K\"").unwrap().rate, Some(1000));
        assert_eq!(plan(&udp[..2], "").unwrap().rate, Some(limits::LOAD_BULK_RATE));
        assert_eq!(plan(&["throughput", "9"], "rate = 5").unwrap().rate, None);
    }
}
