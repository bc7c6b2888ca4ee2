//! Events on their way to the user: JSON on stdout or text on stderr, from a thread of its own.
//!
//! Whoever tells an event must not wait for a slow reader, so events go through a bounded queue;
//! what finds no room is counted and the count is told.

use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use sockeye_limits as limits;
use sockeye_net::shown;
use sockeye_serve::{CommandNews, Event, Observer, Side, Stopper};

/// Prints events.
pub(super) struct Printer {
    json: bool,
    verbose: bool,
    lines: Mutex<Option<SyncSender<String>>>,
    lost: AtomicU64,
    /// Set where stdout or stderr takes nothing more.
    deaf: Arc<AtomicBool>,
    writer: Mutex<Option<Receiver<io::Result<()>>>>,
}

impl Printer {
    /// Starts printing. A reader of the JSON that goes away stops the server.
    pub(super) fn start(json: bool, verbose: bool, stopper: Stopper) -> io::Result<Arc<Printer>> {
        let (sender, lines) = sync_channel::<String>(limits::EVENT_QUEUE);
        let (done, writer) = sync_channel(1);
        let deaf = Arc::new(AtomicBool::new(false));
        let gone = Arc::clone(&deaf);
        thread::Builder::new().name("printer".into()).spawn(move || {
            let written = if json {
                write_all(&lines, &mut io::stdout())
            } else {
                // Text for a person on stderr: without one, the server serves on.
                write_all(&lines, &mut io::stderr()).or(Ok(()))
            };
            gone.store(true, Ordering::SeqCst);
            if json {
                stopper.stop();
            }
            // Whoever waited has gone where this fails.
            let _ = done.send(written);
        })?;
        Ok(Arc::new(Printer {
            json,
            verbose,
            lines: Mutex::new(Some(sender)),
            lost: AtomicU64::new(0),
            deaf,
            writer: Mutex::new(Some(writer)),
        }))
    }

    /// Waits until what was told is printed, but not for a reader that has stalled.
    ///
    /// # Errors
    /// Where stdout was full or broken; a reader that left is none.
    pub(super) fn finish(&self) -> anyhow::Result<()> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).take();
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(writer) = writer else { return Ok(()) };
        match writer.recv_timeout(limits::PRINT_TIME) {
            Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => {
                anyhow::bail!("cannot write to stdout: {error}. Check where it goes.")
            }
            _ => Ok(()),
        }
    }

    fn line(&self, event: &Event<'_>) -> Option<String> {
        if self.json {
            // Events are plain data with string keys.
            let line = serde_json::to_string(event).expect("an event is plain data");
            return Some(shown::json(&line));
        }
        text(event, self.verbose)
    }
}

impl Observer for Printer {
    fn event(&self, event: &Event<'_>) {
        if self.deaf.load(Ordering::Relaxed) {
            return;
        }
        let Some(line) = self.line(event) else { return };
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(lines) = &*lines else { return };
        let lost = self.lost.load(Ordering::Relaxed);
        if lost > 0
            && let Some(told) = self.line(&Event::Lost { count: lost })
            && lines.try_send(told).is_ok()
        {
            self.lost.fetch_sub(lost, Ordering::Relaxed);
        }
        if let Err(TrySendError::Full(_)) = lines.try_send(line) {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Writes lines until there are no more, flushing whenever none waits.
fn write_all(lines: &Receiver<String>, out: &mut impl Write) -> io::Result<()> {
    let mut buffer = Vec::new();
    while let Ok(first) = lines.recv() {
        buffer.clear();
        for line in std::iter::once(first).chain(lines.try_iter().take(limits::EVENT_BATCH)) {
            buffer.extend_from_slice(line.as_bytes());
            buffer.push(b'\n');
        }
        out.write_all(&buffer)?;
        out.flush()?;
    }
    Ok(())
}

/// The line for a person; none for what only `-v` tells.
fn text(event: &Event<'_>, verbose: bool) -> Option<String> {
    Some(match event {
        Event::Listening { endpoint, service, model, options, fingerprint } => {
            let mut line = format!("listening on {endpoint} · {service} · {model}");
            if let Some(fingerprint) = fingerprint {
                line.push_str(&format!(" · {fingerprint}"));
            }
            if verbose && !options.is_empty() { format!("{line} · {options}") } else { line }
        }
        Event::Rejected { peer, why, .. } => {
            format!("{peer} was turned away: {}", shown::line(why))
        }
        Event::Error { error, .. } => shown::line(error),
        Event::Recovered { endpoint: Some(endpoint) } => format!("accepting again on {endpoint}"),
        Event::Recovered { endpoint: None } => "enough threads or processes again".into(),
        Event::WorkerDied { worker, signal: Some(signal), .. } => {
            format!("worker process {worker} was killed by signal {signal}; it is replaced")
        }
        Event::WorkerDied { worker, exit, .. } => {
            let status = exit.map_or("?".into(), |status| status.to_string());
            format!("worker process {worker} exited with status {status}; it is replaced")
        }
        Event::Dropped { endpoint, count } => format!(
            "{endpoint}: {count} datagrams dropped so far, the receive buffer was full; raise it \
             with --set rcvbuf=4M"
        ),
        Event::Reloaded { fingerprint: Some(fingerprint) } => {
            format!("access lists and keys read again · {fingerprint}")
        }
        Event::Reloaded { fingerprint: None } => "access lists and keys read again".into(),
        Event::ReloadFailed { error } => shown::line(error),
        Event::Lost { count } => format!("{count} events lost, their reader is too slow"),
        Event::Draining { open: 0 } => return None,
        Event::Draining { open } => format!("no new connections; waiting for {open} to finish"),
        Event::Drained { served: 1, cut } => format!("done: 1 connection served, {cut} cut"),
        Event::Drained { served, cut } => format!("done: {served} connections served, {cut} cut"),
        _ if verbose => return connection_text(event),
        _ => return None,
    })
}

fn connection_text(event: &Event<'_>) -> Option<String> {
    Some(match event {
        Event::Accepted { connection, endpoint, peer } => {
            format!("#{connection} {peer} connected to {endpoint}")
        }
        Event::Closed {
            connection,
            peer,
            why,
            closed_first,
            bytes_in,
            bytes_out,
            duration_ms,
            ..
        } => {
            let first = if *closed_first == Side::Peer { "peer" } else { "we" };
            let moved = match (bytes_in, bytes_out) {
                (Some(bytes_in), Some(bytes_out)) => {
                    format!("{bytes_in} bytes in, {bytes_out} out")
                }
                _ => "bytes unknown".into(),
            };
            format!(
                "#{connection} {peer} closed: {why}, {first} first, {moved}, {duration_ms:.1} ms"
            )
        }
        Event::Authenticated { connection, peer, identity, comment } => {
            format!("#{connection} {peer} is {identity} {}", shown::line(comment)).trim_end().into()
        }
        Event::Command { connection, ended, .. } => {
            let own = match (ended.exit, ended.signal) {
                (_, Some(signal)) => Some(format!("killed by signal {signal}")),
                (Some(exit), None) => Some(format!("exit {exit}")),
                (None, None) => None,
            };
            let how: Vec<&str> = ended.why.as_deref().into_iter().chain(own.as_deref()).collect();
            let how = how.join(", ");
            let CommandNews { command, output, duration_ms, .. } = ended;
            format!("#{connection} ran {command}: {how}, {output} bytes, {duration_ms} ms")
        }
        Event::Refused { endpoint, peer, why, count } => {
            format!("refused on {endpoint}: {why}, {count} from {peer}")
        }
        _ => return None,
    })
}
