//! The arguments of `sockeye bench models`.

use std::str::FromStr;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde::Deserialize;
use sockeye_limits as limits;
use sockeye_load::{Plan, Verify};
use sockeye_net::{Endpoint, units};
use sockeye_serve::Model;

use super::super::args::{BenchConfig, OutputArgs};
use super::super::settings;
use crate::cli::values;

const EXAMPLES: &str = "\
Examples:
  sockeye bench models                       upper under all four models, half a minute
  sockeye bench models --service echo --connections 200 --size 4K
  sockeye bench models --models thread,event --duration 5s --rounds 5
  sockeye bench models --html models.html    and a page with charts
  sockeye bench models --json | tail -1      one object at the end

Servers are this program, started on ports of 127.0.0.1 that the system chooses; they end with it.
Where there are two processors, server and load have one each. Each model is loaded in turn with
connections that stay and with a connection for each request, round after round, and medians are
shown. In a closed loop, as here, latency waits for the server. Ctrl-C ends it early and shows what
there is.

CPU and switches are those of the server and all that descends from it, for each request. Memory is
what grew with silent connections (PSS). Under the iterative model one connection is served and the
others wait: its figures on connections that stay are those of one.";

/// Arguments of `sockeye bench models`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(in super::super) struct ModelsArgs {
    /// What the servers do [default: upper].
    #[arg(long, env = "SOCKEYE_SERVICE", value_name = "SERVICE")]
    service: Option<ServiceArg>,

    /// The models to compare, in the order of their turns [default: all].
    #[arg(long, env = "SOCKEYE_MODELS", value_name = "MODEL,…", value_delimiter = ',')]
    models: Option<Vec<Model>>,

    /// Connections at a time [default: 50].
    #[arg(short, long, env = "SOCKEYE_CONNECTIONS", value_name = "N", value_parser = values::count)]
    connections: Option<usize>,

    /// Bytes of a request, or a number with K or M [default: 64].
    #[arg(short, long, env = "SOCKEYE_SIZE", value_name = "BYTES", value_parser = units::size)]
    size: Option<u64>,

    /// How long one run counts [default: 700ms].
    #[arg(short = 't', long, env = "SOCKEYE_DURATION", value_name = "TIME",
        value_parser = values::positive_duration)]
    duration: Option<Duration>,

    /// How often each run is made [default: 3].
    #[arg(long, env = "SOCKEYE_ROUNDS", value_name = "N", value_parser = values::count)]
    rounds: Option<usize>,

    /// Silent connections [default: 200].
    #[arg(long, env = "SOCKEYE_IDLE", value_name = "N", value_parser = values::count)]
    idle: Option<usize>,

    #[command(flatten)]
    output: OutputArgs,
}

/// A service whose answers can be checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(in super::super) enum ServiceArg {
    /// Answers in upper case.
    Upper,
    /// Answers unchanged.
    Echo,
}

impl ServiceArg {
    pub(super) fn name(self) -> &'static str {
        match self {
            ServiceArg::Upper => "upper",
            ServiceArg::Echo => "echo",
        }
    }

    pub(super) fn verify(self) -> Verify {
        match self {
            ServiceArg::Upper => Verify::Upper,
            ServiceArg::Echo => Verify::Echo,
        }
    }
}

/// What is compared, and how.
#[derive(Debug)]
pub(super) struct Settings {
    pub(super) service: ServiceArg,
    pub(super) models: Vec<Model>,
    pub(super) connections: usize,
    pub(super) size: usize,
    pub(super) duration: Duration,
    pub(super) rounds: usize,
    pub(super) idle: usize,
}

impl ModelsArgs {
    /// What is compared, and how it is shown.
    ///
    /// # Errors
    /// A usage error: one sentence that says what was wrong and what is right.
    pub(super) fn resolve(self, config: BenchConfig) -> Result<(Settings, OutputArgs), String> {
        let size = settings::size(self.size, config.size.as_deref())?;
        let duration = settings::time(self.duration, config.duration.as_deref(), "duration")?;
        let settings = Settings {
            service: self.service.or(config.service).unwrap_or(ServiceArg::Upper),
            models: match (self.models, config.models) {
                (None, Some(names)) => configured(&names)?,
                (models, _) => models.unwrap_or_else(|| Model::ALL.to_vec()),
            },
            connections: self
                .connections
                .or(config.connections)
                .unwrap_or(limits::LOAD_CONNECTIONS),
            size: size.unwrap_or(limits::LOAD_SIZE),
            duration: duration.unwrap_or(limits::MODELS_DURATION),
            rounds: self.rounds.or(config.rounds).unwrap_or(limits::MODELS_ROUNDS),
            idle: self.idle.or(config.idle).unwrap_or(limits::MODELS_IDLE),
        };
        settings.check()?;
        Ok((settings, self.output))
    }
}

/// The models of the configuration.
fn configured(names: &[String]) -> Result<Vec<Model>, String> {
    let model = |name: &String| {
        name.parse::<Model>().map_err(|error| format!("models in the configuration: {error}"))
    };
    names.iter().map(model).collect()
}

impl Settings {
    /// Refuses what makes no sense, before a server is started.
    fn check(&self) -> Result<(), String> {
        let most = limits::MODELS_CONNECTIONS_MAX;
        for (name, count) in [("--connections", self.connections), ("--idle", self.idle)] {
            if count == 0 || count > most {
                return Err(format!(
                    "{name} is from 1 to {most} here, where each may cost a process; measure more \
                     against one server with `sockeye bench ENDPOINT`"
                ));
            }
        }
        let most = limits::MODELS_ROUNDS_MAX;
        if !(1..=most).contains(&self.rounds) {
            return Err(format!("--rounds is from 1 to {most}, not {}", self.rounds));
        }
        if self.models.is_empty() {
            return Err("--models names none: name one or more, or leave it out for all".into());
        }
        let mut seen = self.models.clone();
        seen.sort_by_key(|model| model.name());
        seen.dedup();
        if seen.len() < self.models.len() {
            return Err("--models names one twice: name each once".into());
        }
        // Any server: what counts is the rest.
        let anywhere = Endpoint::from_str("127.0.0.1:1").map_err(|error| error.to_string())?;
        let plan = Plan { size: self.size, duration: self.duration, ..Plan::new(anywhere) };
        settings::checked(plan.check())
    }
}
