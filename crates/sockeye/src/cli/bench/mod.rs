//! `sockeye bench`: load, bulk data, and the models side by side.

mod args;
mod models;
mod print;
mod settings;

use std::sync::atomic::Ordering;
use std::thread;

use serde_json::json;
use sockeye_limits as limits;
use sockeye_load::throughput::Receiver;
use sockeye_load::{Error, ErrorKind};
use sockeye_net::Endpoint;

use super::docs::write_out;
use super::usage::Failure;

pub(crate) use args::{BenchArgs, BenchConfig};
use args::{BenchCommand, LoadArgs, ThroughputArgs};

/// Measures what the arguments say.
///
/// # Errors
/// [`Failure`]; a run with failed requests ends with status 1 when its result is shown.
pub(crate) fn run(args: BenchArgs, config: BenchConfig) -> Result<(), Failure> {
    match args.command {
        None => load(args.load, config),
        Some(BenchCommand::Throughput(args)) => throughput(args, config),
        Some(BenchCommand::Models(args)) => models::run(args, config),
    }
}

fn load(mut args: LoadArgs, config: BenchConfig) -> Result<(), Failure> {
    let output = std::mem::replace(&mut args.output, args::OutputArgs { json: false, html: None });
    let plan = settings::load(args, config).map_err(Failure::Usage)?;
    print::check(&output)?;
    let mut live = print::Live::load(&plan, &output);
    let report = sockeye_load::run(&plan, &mut live).map_err(failed)?;
    live.finish();
    print::report(&report, &output)?;
    let datagrams = !plan.endpoint.transport().is_stream();
    let clean = report.is_clean(|kind| match kind {
        // Lost ones are a result.
        ErrorKind::Timeout => datagrams,
        // Whoever ends a run early knows why.
        ErrorKind::Interrupted => true,
        _ => false,
    });
    status(clean && report.requests > 0)
}

fn throughput(mut args: ThroughputArgs, config: BenchConfig) -> Result<(), Failure> {
    let output = std::mem::replace(&mut args.output, args::OutputArgs { json: false, html: None });
    if args.serve {
        return serve(&args.endpoint, output.json);
    }
    let plan = settings::throughput(args, config).map_err(Failure::Usage)?;
    print::check(&output)?;
    let mut live = print::Live::throughput(&plan, &output);
    let report = sockeye_load::throughput::run(&plan, &mut live).map_err(failed)?;
    live.finish();
    print::throughput(&report, &output)?;
    status(report.errors.is_empty())
}

/// Receives datagrams until a signal ends it; a socket file goes with it.
fn serve(endpoint: &Endpoint, json: bool) -> Result<(), Failure> {
    let receiver = Receiver::bind(endpoint).map_err(failed)?;
    for endpoint in receiver.endpoints() {
        match json {
            true => {
                let line = json!({"event": "listening", "endpoint": endpoint.to_string()});
                write_out(format!("{line}\n").as_bytes())?;
            }
            false => eprintln!("sockeye: counts datagrams on {endpoint}"),
        }
    }
    let asked = print::asked();
    thread::scope(|scope| {
        let running = scope.spawn(|| receiver.run());
        while !asked.load(Ordering::Relaxed) && !running.is_finished() {
            thread::sleep(limits::LOAD_TICK);
        }
        receiver.end();
        match running.join() {
            Ok(done) => done.map_err(failed),
            Err(_) => Err(anyhow::anyhow!("the receiver has panicked. Start it again.").into()),
        }
    })
}

/// A plan that makes no sense is a usage error; all else is a failure.
fn failed(error: Error) -> Failure {
    match error {
        Error::Plan(text) => Failure::Usage(text),
        other => Failure::Failed(anyhow::anyhow!("{other}")),
    }
}

fn status(clean: bool) -> Result<(), Failure> {
    if clean { Ok(()) } else { Err(Failure::Status(1)) }
}
