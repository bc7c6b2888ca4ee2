//! One run of one model: a fresh server, a load, and what the system says of the server.

use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use anyhow::{Context, anyhow};
use sockeye_limits as limits;
use sockeye_load::models::{Crowd, Idle, Sample};
use sockeye_load::process::{Holding, Usage};
use sockeye_load::server::Server;
use sockeye_load::{ErrorKind, Observer, Phase, Plan, Progress, Report, cores};
use sockeye_net::Endpoint;

use super::super::print::Rounds;
use super::args::Settings;
use super::timeout;

/// How connections are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Load {
    /// They stay, one request after another on each.
    Long,
    /// One for each request.
    Short,
}

impl Load {
    pub(super) const ALL: [Load; 2] = [Load::Long, Load::Short];

    pub(super) fn name(self) -> &'static str {
        match self {
            Load::Long => "long",
            Load::Short => "short",
        }
    }
}

/// A processor for the servers and one for the load.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cores {
    pub(super) server: usize,
    pub(super) load: usize,
}

impl Cores {
    /// The first two that this process may use, if there are two.
    pub(super) fn pick() -> Option<Cores> {
        match cores::allowed().ok()?.as_slice() {
            [server, load, ..] => Some(Cores { server: *server, load: *load }),
            _ => None,
        }
    }
}

/// Starts a server of this model; what it says first is where it listens.
fn start(settings: &Settings, model: &str, place: Option<Cores>) -> anyhow::Result<Running> {
    let program = std::env::current_exe().context("cannot find this program in /proc")?;
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("SOCKEYE_") || text.starts_with("LISTEN_") || text == "NOTIFY_SOCKET" {
            command.env_remove(&name);
        }
    }
    // Nobody's settings but ours: models differ, all else is the same.
    command.args(["serve", settings.service.name(), "tcp://127.0.0.1:0", "--model", model]);
    command.args(["--config", "/dev/null", "--drain", "1s"]);
    if model == "process" {
        // Twice as many: short connections overlap with those that are just ending.
        let most = settings.connections.max(settings.idle + 1) * 2;
        command.args(["--max-connections", &most.to_string()]);
    }
    // A child runs where the thread that starts it may run.
    let hold = |core: Option<usize>| match core {
        Some(core) => cores::hold(&[core]),
        None => Ok(()),
    };
    hold(place.map(|cores| cores.server)).context("cannot keep to one processor")?;
    let server = Server::start(command);
    hold(place.map(|cores| cores.load)).context("cannot keep to one processor")?;
    let server = server.map_err(|error| {
        anyhow!(
            "cannot start a server under {model}: {error}. Try `sockeye serve --model {model}`."
        )
    })?;
    let said = server.ready();
    let address = said
        .strip_prefix("listening on tcp://")
        .and_then(|rest| rest.split_whitespace().next()?.parse::<SocketAddr>().ok());
    match address {
        Some(address) => Ok(Running { server, address }),
        None => Err(anyhow!("the server under {model} does not listen: {said}")),
    }
}

struct Running {
    server: Server,
    address: SocketAddr,
}

/// Runs one load against a fresh server.
///
/// # Errors
/// The server does not start, or cannot be reached.
pub(super) fn load(
    settings: &Settings,
    model: &str,
    load: Load,
    place: Option<Cores>,
    rounds: &Rounds,
    what: &str,
) -> anyhow::Result<Sample> {
    let running = start(settings, model, place)?;
    let process = running.server.process();
    let began = Usage::of(process).unwrap_or_default();
    let endpoint: Endpoint =
        format!("tcp://{}", running.address).parse().map_err(|error| anyhow!("{error}"))?;
    let plan = Plan {
        connections: settings.connections,
        size: settings.size,
        duration: settings.duration,
        warmup: limits::MODELS_WARMUP,
        churn: load == Load::Short,
        verify: settings.service.verify(),
        timeout: timeout(settings),
        ..Plan::new(endpoint)
    };
    let mut watch = Watch { process, first: None, last: None, rounds, what };
    let report = sockeye_load::run(&plan, &mut watch).map_err(|error| anyhow!("{error}"))?;
    let spent = watch.spent();
    let used = running.server.end().with_context(|| format!("the server under {model}"))?;
    let mut sample = sample(&report);
    // From the first connection to the last, what ended with its connection included: /proc forgets
    // that, the system's last account does not.
    let whole = Usage {
        cpu: used.cpu.saturating_sub(began.cpu),
        voluntary: used.voluntary.saturating_sub(began.voluntary),
        involuntary: used.involuntary.saturating_sub(began.involuntary),
        ..began
    };
    let whole = (whole, report.whole.requests as f64);
    // A run so short that nobody looked twice has the whole account only.
    let counted = spent.unwrap_or(whole);
    let switched = if load == Load::Short { whole } else { counted };
    let each = |all: f64, requests: f64| (requests > 0.0).then(|| all / requests);
    sample.cpu = each(counted.0.cpu.as_nanos() as f64, counted.1);
    sample.voluntary = each(switched.0.voluntary as f64, switched.1);
    sample.involuntary = each(switched.0.involuntary as f64, switched.1);
    Ok(sample)
}

/// The figures that the load itself has.
fn sample(report: &Report) -> Sample {
    let latency = &report.latency;
    let at = |percent| {
        let value = latency.value_at_percentile(percent).min(latency.max());
        (!latency.is_empty()).then_some(value as f64)
    };
    let unanswered = report.errors.get(&ErrorKind::Timeout).copied().unwrap_or(0);
    Sample {
        rate: report.rate(),
        p50: at(50.0),
        p99: at(99.0),
        p999: at(99.9),
        cpu: None,
        voluntary: None,
        involuntary: None,
        errors: (report.failed() + report.connection_errors.values().sum::<u64>()) as f64,
        unanswered: unanswered as f64,
    }
}

/// Looks at the server while it is loaded: at the beginning of what is counted, and near its end.
struct Watch<'a> {
    process: u32,
    first: Option<(Usage, u64)>,
    last: Option<(Usage, u64)>,
    rounds: &'a Rounds,
    what: &'a str,
}

impl Observer for Watch<'_> {
    fn progress(&mut self, progress: &Progress) -> ControlFlow<()> {
        self.rounds.look(self.what, progress);
        if progress.phase == Phase::Measuring {
            let look = || Usage::of(self.process).map(|usage| (usage, progress.requests));
            if self.first.is_none() {
                self.first = look();
            } else if progress.elapsed >= progress.total.mul_f64(LATE) {
                self.last = look();
            }
        }
        match self.rounds.stopped() {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

/// From which part of the time on looks count as the last one.
const LATE: f64 = 0.6;

impl Watch<'_> {
    /// What was used between the two looks, and the requests that were answered meanwhile.
    fn spent(&self) -> Option<(Usage, f64)> {
        let ((first, before), (last, after)) = (self.first?, self.last?);
        let requests = after.checked_sub(before).filter(|requests| *requests > 0)?;
        let usage = Usage {
            cpu: last.cpu.saturating_sub(first.cpu),
            voluntary: last.voluntary.saturating_sub(first.voluntary),
            involuntary: last.involuntary.saturating_sub(first.involuntary),
            ..last
        };
        Some((usage, requests as f64))
    }
}

/// Opens silent connections to a fresh server and looks at what it holds.
///
/// # Errors
/// The server does not start, or cannot be reached.
pub(super) fn idle(
    settings: &Settings,
    model: &str,
    place: Option<Cores>,
    stop: &AtomicBool,
) -> anyhow::Result<Idle> {
    let running = start(settings, model, place)?;
    let process = running.server.process();
    let gather = |count: usize, patience: Duration| {
        Crowd::gather(running.address, count, patience, stop)
            .with_context(|| format!("cannot connect to the server under {model}"))
    };
    // What the first connection makes a server load once is nobody's own.
    let first = gather(1, limits::SERVER_START)?;
    let before = Holding::of(process).unwrap_or_default();
    let crowd = gather(settings.idle, limits::MODELS_PATIENCE)?;
    let after = Holding::of(process).unwrap_or_default();
    let grown = after.memory as f64 - before.memory as f64;
    let served = crowd.served();
    drop((first, crowd));
    running.server.end().with_context(|| format!("the server under {model}"))?;
    Ok(Idle {
        connections: settings.idle,
        served,
        memory: (served > 0).then(|| grown / served as f64),
        descriptors: after.descriptors,
        threads: after.threads,
        processes: after.processes,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(cpu: u64, voluntary: u64) -> Usage {
        Usage { cpu: Duration::from_micros(cpu), voluntary, ..Usage::default() }
    }

    /// B3: what is told for a request is what was used between two looks, by the requests between
    /// them; without two looks or requests nothing is told.
    #[test]
    fn between_looks() {
        let output = super::super::super::args::OutputArgs { json: true, html: None };
        let rounds = Rounds::new(1, &output, Default::default());
        let mut watch = Watch { process: 1, first: None, last: None, rounds: &rounds, what: "" };
        assert!(watch.spent().is_none());
        watch.first = Some((usage(1_000, 10), 100));
        watch.last = Some((usage(6_000, 30), 100));
        assert!(watch.spent().is_none());
        watch.last = Some((usage(6_000, 30), 1_100));
        let (spent, requests) = watch.spent().unwrap();
        assert_eq!((spent.cpu, spent.voluntary, requests), (Duration::from_millis(5), 20, 1000.0));
    }
}
