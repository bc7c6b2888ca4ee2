//! `sockeye trace`: draw a connection packet by packet, or watch those of a port.

mod args;
mod live;
mod own;
mod print;
mod settings;
mod signals;

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::Context;
use sockeye_net::shown;
use sockeye_observe::pcap::Pcap;
use sockeye_observe::talk::{self, Plan, Stop, Traced};
use sockeye_observe::{capture, netns};

use super::usage::Failure;
use settings::Subject;

pub(crate) use args::{TraceArgs, TraceConfig};
pub(crate) use settings::TraceSettings;

/// A file of packets.
type PcapFile = Pcap<BufWriter<File>>;

/// Traces what the settings say, on standard output.
///
/// # Errors
/// Where nothing could be traced, and where the conversation failed; shown, one line of cause and
/// remedy.
pub(crate) fn run(settings: TraceSettings) -> Result<(), Failure> {
    let TraceSettings { subject, show, pcap, html } = settings;
    if let Subject::Own(..) = subject {
        // Before anything else: a process of several threads gets no user namespace.
        netns::enter().map_err(failed)?;
    }
    if pcap.is_some() {
        capture::allowed().map_err(failed)?;
    }
    let pcap = pcap.as_deref().map(|path| open_pcap(path).map_err(one_line)).transpose()?;
    let html = html.as_deref().map(|path| create(path).map_err(one_line)).transpose()?;
    let traced = match subject {
        Subject::Port { watch, count, duration } => {
            let limits = live::Until { count, duration };
            return live::run(watch, &limits, show, pcap);
        }
        Subject::Talk(plan) => talk::trace(&stoppable(plan)?).map_err(failed)?,
        Subject::Own(plan, service) => {
            let plan = stoppable(plan)?;
            vec![talk::trace_own(&plan, own::answering(&service)?).map_err(failed)?]
        }
    };
    // Before it is shown: whoever closes standard output early still gets the files. And where these
    // cannot be written, what was seen is not lost.
    let written = write_files(&traced, pcap, html);
    let mut out = print::Output::new(show);
    for one in &traced {
        out.conversation(one)?;
    }
    written.map_err(one_line)?;
    match traced.into_iter().last().and_then(|last| last.error) {
        Some(error) => Err(failed(error)),
        None => Ok(()),
    }
}

/// The plan of a conversation that a signal ends, so that what was seen by then is shown.
fn stoppable(plan: Plan) -> Result<Plan, Failure> {
    let (stop, other) = Stop::new().context("cannot make a pipe").map_err(one_line)?;
    signals::hear(move || drop(other)).context("cannot hear signals").map_err(one_line)?;
    Ok(Plan { stop: Some(stop), ..plan })
}

fn write_files(
    traced: &[Traced],
    pcap: Option<PcapFile>,
    html: Option<File>,
) -> anyhow::Result<()> {
    let packets = pcap.map_or(Ok(()), |mut pcap| {
        traced.iter().try_for_each(|one| write_packets(&mut pcap, one))?;
        pcap.finish().map(drop)
    });
    let page = match (html, traced.last()) {
        (Some(file), Some(last)) => print::page(file, last),
        _ => Ok(()),
    };
    packets.context("cannot write the packets").and(page.context("cannot write the page"))
}

fn write_packets(pcap: &mut PcapFile, traced: &Traced) -> std::io::Result<()> {
    for (packet, number) in &traced.packets {
        let step = number
            .and_then(|number| traced.history.steps().iter().find(|step| step.number == number));
        let comment = step.map(print::comment).unwrap_or_default();
        pcap.write(packet, &comment, sockeye_net::sys::interface_name)?;
    }
    Ok(())
}

fn open_pcap(path: &Path) -> anyhow::Result<PcapFile> {
    let file = BufWriter::new(create(path)?);
    let made = Pcap::new(file, concat!("sockeye ", env!("CARGO_PKG_VERSION")));
    made.with_context(|| format!("cannot write {}", shown_path(path)))
}

fn create(path: &Path) -> anyhow::Result<File> {
    File::create(path).with_context(|| format!("cannot write {}", shown_path(path)))
}

fn shown_path(path: &Path) -> String {
    shown::bytes(path.as_os_str().as_encoded_bytes())
}

/// The whole chain in one message, because only the outermost is printed.
fn one_line(error: anyhow::Error) -> Failure {
    Failure::Failed(anyhow::anyhow!("{error:#}. Check the name, the rights to it and the disk."))
}

/// Whatever says its cause and its remedy already.
fn failed(error: impl std::fmt::Display) -> Failure {
    let text = error.to_string();
    let end = if text.ends_with('.') { "" } else { "." };
    Failure::Failed(anyhow::anyhow!("{text}{end}"))
}
