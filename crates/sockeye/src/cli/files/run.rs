//! A transfer from beginning to end: reach the server, ask, move, report.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use anyhow::anyhow;
use sockeye_files::leaves_out;
use sockeye_host::client::{CallError, Duplex, Remote};
use sockeye_host::files::{PumpError, begin};
use sockeye_trust::tls::explain_read;
use sockeye_wire::files::{Placement, Tally, Transfer, Way};

use super::args::FilesSettings;
use super::place::Place;
use super::report::Report;
use super::sources::{destination, expected, sources};
use crate::cli::event_loop;
use crate::cli::exec::explained;
use crate::cli::usage::Failure;

/// Moves what the settings say.
pub(crate) fn run(mut settings: FilesSettings) -> Result<(), Failure> {
    let piped = settings.destination == Place::Standard;
    let report = Report::new(settings.show, settings.options.dry_run, piped);
    match event_loop::run(all(&mut settings, &report))? {
        Ok(tally) => {
            report.finish(&tally, settings.streams);
            if tally.failed == 0 { Ok(()) } else { Err(Failure::Status(1)) }
        }
        Err(error) => {
            report.abandon();
            match error.downcast_ref() {
                // Whoever read it has gone, as in `| head`: nothing to talk about.
                Some(PumpError::OutputClosed) => Ok(()),
                _ => Err(Failure::Failed(error)),
            }
        }
    }
}

/// With several connections each takes a part of the files first; then one more makes sure that
/// nothing is missing, and finishes the directories.
async fn all(settings: &mut FilesSettings, report: &Report) -> anyhow::Result<Tally> {
    let mut parts = Tally::default();
    let streams = settings.streams;
    let stream =
        settings.destination == Place::Standard || settings.sources.contains(&Place::Standard);
    let several =
        streams > 1 && !settings.options.dry_run && !stream && !nothing_to_share(settings);
    if several {
        // The first of them makes the destination, which another one would then go into.
        settings.placement = placement(settings, report).await?;
        let settings = &*settings;
        let part = |number| one(settings, report.of_part(), Some((number, streams)));
        for tally in together((0..streams).map(part)).await {
            parts = parts.plus(tally?);
        }
    }
    let report = if several { report.of_the_rest() } else { report.clone() };
    let last = one(settings, report, None).await?;
    Ok(if several { sum(parts, last) } else { last })
}

/// What came of several connections and the one behind them: what they stored that one finds equal, and
/// what they failed with it has tried again. The directories that it finishes they have written to:
/// whether these were as they should be is not known any more.
fn sum(parts: Tally, last: Tally) -> Tally {
    Tally {
        skipped: last.skipped.saturating_sub(parts.stored),
        compared: last.compared.saturating_sub(parts.stored),
        updated: parts.updated,
        failed: last.failed,
        ..parts.plus(last)
    }
}

/// True for one source that a pattern leaves out: several connections would have to agree on where it
/// goes first, and that is then asked for under its new name.
fn nothing_to_share(settings: &FilesSettings) -> bool {
    let [Place::Local(path) | Place::Remote { path, .. }] = settings.sources.as_slice() else {
        return false;
    };
    settings.placement == Placement::Auto
        && expected(path).is_some_and(|name| {
            [false, true].iter().any(|kind| leaves_out(&settings.filters, &name, *kind))
        })
}

/// Where the sources go, decided once for several connections: into the destination where that is a
/// directory already.
async fn placement(settings: &FilesSettings, report: &Report) -> anyhow::Result<Placement> {
    if settings.placement != Placement::Auto {
        return Ok(settings.placement);
    }
    let into = match &settings.destination {
        Place::Local(path) => {
            std::fs::metadata(OsStr::from_bytes(path)).is_ok_and(|meta| meta.is_dir())
        }
        Place::Remote { .. } | Place::Standard => {
            // A push of nothing: it is refused where the destination is no directory.
            let mut transfer = request(settings, None);
            (transfer.placement, transfer.options.dry_run) = (Placement::Into, true);
            let transit = begin(reach(settings).await?, transfer, None).await.map_err(asked)?;
            match transit.send(Vec::new(), report.of_part()).await {
                Ok(_) => true,
                Err(PumpError::TheyRefused(_)) => false,
                Err(error) => return Err(moved(error)),
            }
        }
    };
    Ok(if into { Placement::Into } else { Placement::Exact })
}

/// Runs futures at the same time on this thread.
async fn together<F: Future>(futures: impl Iterator<Item = F>) -> Vec<F::Output> {
    let mut running: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|cx| {
        let mut waiting = false;
        for (future, done) in &mut running {
            if done.is_none() {
                match future.as_mut().poll(cx) {
                    std::task::Poll::Ready(output) => *done = Some(output),
                    std::task::Poll::Pending => waiting = true,
                }
            }
        }
        if waiting { std::task::Poll::Pending } else { std::task::Poll::Ready(()) }
    })
    .await;
    running.into_iter().filter_map(|(_, done)| done).collect()
}

/// One connection, and what it moves.
async fn one(
    settings: &FilesSettings,
    report: Report,
    part: Option<(u32, u32)>,
) -> anyhow::Result<Tally> {
    let remote = reach(settings).await?;
    let limit = settings.limit;
    let share = part.map_or(1, |(_, of)| u64::from(of));
    let limit = limit.map(|limit| (limit / share).max(1));
    let transfer = request(settings, part);
    match settings.way {
        Way::Push => {
            let sources = sources(&settings.sources)?;
            let transit = begin(remote, transfer, limit).await.map_err(asked)?;
            let sent = transit.send(sources, report).await.map_err(moved)?;
            // A server cannot make our own troubles a success.
            let failed = sent.tally.failed.max(sent.troubles);
            Ok(Tally { failed, ..sent.tally })
        }
        Way::Pull => {
            let destination = destination(&settings.destination, settings.placement)?;
            let expected = transfer.paths.iter().map(|path| expected(path)).collect();
            let transit = begin(remote, transfer, limit).await.map_err(asked)?;
            transit.receive(destination, expected, report).await.map_err(moved)
        }
    }
}

/// The server, where it has let us in.
async fn reach(settings: &FilesSettings) -> anyhow::Result<Remote<Box<dyn Duplex>>> {
    let FilesSettings { endpoint, dial, trust, .. } = settings;
    let remote = trust.reach(endpoint, dial, async |reach| reach.remote().await).await;
    remote.map_err(|error| anyhow!("{error}"))
}

/// What the server is asked for.
fn request(settings: &FilesSettings, part: Option<(u32, u32)>) -> Transfer {
    let remote = |place: &Place| match place {
        // The home directory.
        Place::Remote { path, .. } if path.is_empty() => Some(b".".to_vec()),
        Place::Remote { path, .. } => Some(path.clone()),
        Place::Standard | Place::Local(_) => None,
    };
    let paths = match settings.way {
        Way::Push => remote(&settings.destination).into_iter().collect(),
        Way::Pull => settings.sources.iter().filter_map(remote).collect(),
    };
    let mut options = settings.options;
    options.partial = part.is_some();
    Transfer {
        way: settings.way,
        placement: settings.placement,
        options,
        paths,
        sources: u32::try_from(settings.sources.len()).unwrap_or(u32::MAX),
        filters: settings.filters.clone(),
        part: part.unwrap_or((0, 1)),
    }
}

fn asked(error: CallError) -> anyhow::Error {
    anyhow!(explained(&error))
}

fn moved(error: PumpError) -> anyhow::Error {
    if let PumpError::Io(cause) = &error
        && let Some(better) = explain_read(cause)
    {
        return anyhow!("{better}");
    }
    match error {
        PumpError::OutputClosed => error.into(),
        // Its text holds the cause already.
        error => anyhow!("{error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F6, F7: each file is counted once, whatever a peer claims.
    #[test]
    fn sums() {
        let none = Tally::default();
        let parts = Tally { stored: 4, skipped: 2, compared: 2, removed: 1, failed: 1, ..none };
        let last = Tally { skipped: 6, compared: 6, removed: 3, updated: 9, made: 1, ..none };
        let expected = Tally { stored: 4, skipped: 2, compared: 2, removed: 4, made: 1, ..none };
        assert_eq!(sum(parts, last), expected);
        let claimed = Tally { stored: u64::MAX, removed: u64::MAX, ..none };
        assert_eq!(sum(claimed, last).removed, u64::MAX);
        assert_eq!(sum(claimed, claimed).stored, u64::MAX);
    }
}
