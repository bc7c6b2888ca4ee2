//! `sockeye bench models`: the same service under every model, side by side.

mod args;
mod measure;

use sockeye_limits as limits;
use sockeye_load::models::{Comparison, Figures, Idle, Sample};

use super::args::BenchConfig;
use super::print::{self, Rounds};
use crate::cli::usage::Failure;

use args::Settings;
pub(super) use args::{ModelsArgs, ServiceArg};
use measure::{Cores, Load};

/// Runs the comparison: in each round every model has its turn under both loads, so that whatever
/// else the machine does falls on all of them. A signal ends it early, and what there is is shown.
///
/// # Errors
/// [`Failure`]: wrong arguments, a server that does not start, or an end before there was anything to
/// compare.
pub(super) fn run(args: ModelsArgs, config: BenchConfig) -> Result<(), Failure> {
    let (settings, output) = args.resolve(config).map_err(Failure::Usage)?;
    print::check(&output)?;
    let cores = Cores::pick();
    let turns = settings.rounds * settings.models.len() * Load::ALL.len() + settings.models.len();
    let mut rounds = Rounds::new(turns as u64, &output, print::asked());
    let mut runs: Vec<Runs> = settings.models.iter().map(|_| Runs::default()).collect();
    let measured = measure_all(&settings, cores, &mut rounds, &mut runs);
    let stopped = rounds.stopped();
    rounds.finish();
    measured?;
    let (had, models) = figures(&settings, runs);
    if stopped && models.is_empty() {
        return Err(Failure::Failed(anyhow::anyhow!(
            "stopped before a model had its turn under both loads: there is nothing to show. Let it \
             run longer, or measure less with --duration and --models."
        )));
    }
    let comparison = Comparison {
        service: settings.service.name().into(),
        connections: settings.connections,
        size: settings.size,
        duration: settings.duration,
        rounds: had,
        pinned: cores.map(|cores| (cores.server, cores.load)),
        models,
        stopped,
    };
    print::models(&comparison, &output)
}

/// The runs of one model, load by load.
#[derive(Default)]
struct Runs {
    long: Vec<Sample>,
    short: Vec<Sample>,
    idle: Idle,
}

/// Makes all runs, or those before it is stopped; one that was stopped in the middle counts for none.
fn measure_all(
    settings: &Settings,
    cores: Option<Cores>,
    rounds: &mut Rounds,
    runs: &mut [Runs],
) -> Result<(), Failure> {
    for (model, runs) in settings.models.iter().zip(&mut *runs) {
        let name = model.name();
        rounds.begin(&format!("{name} · {} silent connections", settings.idle));
        runs.idle = measure::idle(settings, name, cores, rounds.stop())?;
        if rounds.stopped() {
            return Ok(());
        }
        rounds.end(serde_json::json!({
            "event": "idle", "model": name, "connections": runs.idle.connections,
            "served": runs.idle.served,
        }));
    }
    for round in 1..=settings.rounds {
        for (model, runs) in settings.models.iter().zip(&mut *runs) {
            for load in Load::ALL {
                let name = model.name();
                let what =
                    format!("round {round} of {} · {name} · {}", settings.rounds, load.name());
                rounds.begin(&what);
                let sample = measure::load(settings, name, load, cores, rounds, &what)?;
                if rounds.stopped() {
                    return Ok(());
                }
                let mut told = sample.json();
                told["event"] = "run".into();
                told["round"] = round.into();
                told["model"] = name.into();
                told["load"] = load.name().into();
                rounds.end(told);
                match load {
                    Load::Long => runs.long.push(sample),
                    Load::Short => runs.short.push(sample),
                }
            }
        }
    }
    Ok(())
}

/// The medians of the models that had a turn under both loads, all of as many rounds, and how many
/// those are.
fn figures(settings: &Settings, runs: Vec<Runs>) -> (usize, Vec<Figures>) {
    let had = |runs: &Runs| runs.long.len().min(runs.short.len());
    let least = runs.iter().map(had).filter(|had| *had > 0).min().unwrap_or(0);
    let models = settings.models.iter().zip(runs).filter(|(_, runs)| had(runs) > 0);
    let figures = models.map(|(model, runs)| Figures {
        model: model.name().into(),
        long: Sample::median(&runs.long[..least]),
        short: Sample::median(&runs.short[..least]),
        idle: runs.idle,
    });
    (least, figures.collect())
}

/// A request without its answer for as long as a run counts has failed, but not sooner than this.
fn timeout(settings: &Settings) -> std::time::Duration {
    settings.duration.max(limits::MODELS_TIMEOUT)
}
