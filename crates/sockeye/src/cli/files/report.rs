//! What people see of a transfer: a line that moves, the files, failures, a summary; or JSON.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::{Value, json};
use sockeye_files::{Happening, Observer};
use sockeye_limits as limits;
use sockeye_net::shown;
use sockeye_wire::files::{Note, Tally};

use super::args::Show;

/// Sees a transfer and shows it; clones are the same one.
#[derive(Clone)]
pub(super) struct Report {
    shared: Arc<Shared>,
    turn: Turn,
    dry_run: bool,
}

/// Which of the connections of a transfer it is that somebody sees.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    /// The only one.
    Only,
    /// One of several: what fails is told by the one that comes behind them.
    Part,
    /// That one: it finds there what they have moved.
    Rest,
}

struct Shared {
    show: Show,
    since: Instant,
    bar: ProgressBar,
    files: AtomicU64,
    /// Names of what failed, as many as are repeated at the end.
    failed: Mutex<Vec<String>>,
    /// When the last line of progress was written (JSON).
    told: Mutex<Instant>,
    moved: AtomicU64,
    listed: AtomicU64,
    /// What a dry run would store.
    would_store: AtomicU64,
}

impl Report {
    pub(super) fn new(show: Show, dry_run: bool) -> Report {
        let visible = matches!(show, Show::Usual | Show::Verbose) && io::stderr().is_terminal();
        let target =
            if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(0), target);
        let style =
            "{bar:24} {bytes} of {total_bytes} · {msg} · {binary_bytes_per_sec} · {eta} left";
        if let Ok(style) = ProgressStyle::with_template(style) {
            bar.set_style(style.progress_chars("━╸─"));
        }
        bar.set_message("0 files");
        if visible {
            bar.enable_steady_tick(Duration::from_millis(200));
        }
        let now = Instant::now();
        Report {
            turn: Turn::Only,
            dry_run,
            shared: Arc::new(Shared {
                show,
                since: now,
                bar,
                files: AtomicU64::new(0),
                failed: Mutex::default(),
                told: Mutex::new(now),
                moved: AtomicU64::new(0),
                listed: AtomicU64::new(0),
                would_store: AtomicU64::new(0),
            }),
        }
    }

    /// The same for one of several connections.
    pub(super) fn of_part(&self) -> Report {
        Report { turn: Turn::Part, ..self.clone() }
    }

    /// The same for the connection that comes behind several.
    pub(super) fn of_the_rest(&self) -> Report {
        Report { turn: Turn::Rest, ..self.clone() }
    }

    /// The end: the summary.
    pub(super) fn finish(&self, tally: &Tally, streams: u32) {
        let shared = &self.shared;
        shared.bar.finish_and_clear();
        let span = shared.since.elapsed();
        let store = shared.would_store.load(Ordering::Relaxed);
        match shared.show {
            Show::Json => {
                let mut done = done(tally, span);
                if self.dry_run {
                    done["verified"] = false.into();
                    done["would_store"] = store.into();
                    // The receiver counts what it would remove as what it removes.
                    done["would_remove"] = std::mem::replace(&mut done["removed"], 0.into());
                }
                line(&done);
            }
            Show::Quiet => {}
            Show::Usual | Show::Verbose => {
                let text = match self.dry_run {
                    true => would(store, tally),
                    false => summary(tally, span, streams),
                };
                eprintln!("sockeye: {text}");
            }
        }
        let failed = shared.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if !failed.is_empty() && shared.show != Show::Json {
            let rest = tally.failed.saturating_sub(failed.len() as u64);
            let more = if rest > 0 { format!(" and {rest} more") } else { String::new() };
            eprintln!("sockeye: failed: {}{more}", failed.join(", "));
        }
    }

    /// The transfer has no end: what moves is shown no more.
    pub(super) fn abandon(&self) {
        self.shared.bar.finish_and_clear();
    }

    fn file(&self, event: &str, path: &[u8], bytes: Option<u64>) {
        let shared = &self.shared;
        match shared.show {
            Show::Json => {
                let mut value = json!({ "event": event, "path": shown::bytes(path) });
                if let Some(bytes) = bytes {
                    value["bytes"] = bytes.into();
                }
                line(&value);
            }
            Show::Verbose => {
                let text = format!("{event} {}", shown::bytes(path));
                shared.bar.suspend(|| say(&text));
            }
            Show::Usual | Show::Quiet => {}
        }
    }

    fn trouble(&self, path: &[u8], text: &str, theirs: bool) {
        let shared = &self.shared;
        let (name, text) = (shown::bytes(path), shown::line(text));
        let mut failed = shared.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.len() < limits::FAILURES_REPEATED {
            failed.push(name.clone());
        }
        drop(failed);
        if shared.show == Show::Json {
            line(&json!({ "event": "failed", "path": name, "why": text, "theirs": theirs }));
        } else {
            let whose = if theirs { "the other side: " } else { "" };
            shared.bar.suspend(|| eprintln!("sockeye: {whose}{name}: {text}"));
        }
    }

    fn listed(&self, bytes: u64) {
        self.shared.bar.inc_length(bytes);
        self.shared.listed.fetch_add(bytes, Ordering::Relaxed);
    }

    fn moved(&self, bytes: u64) {
        let shared = &self.shared;
        shared.bar.inc(bytes);
        let moved = shared.moved.fetch_add(bytes, Ordering::Relaxed) + bytes;
        if shared.show != Show::Json {
            return;
        }
        let mut told = shared.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() >= limits::PROGRESS_TIME {
            *told = Instant::now();
            let listed = shared.listed.load(Ordering::Relaxed);
            line(&json!({ "event": "progress", "bytes": moved, "of": listed }));
        }
    }
}

impl Observer for Report {
    fn tell(&mut self, happening: Happening<'_>) {
        match happening {
            // They have been counted by the connections before.
            Happening::Listed { .. } | Happening::Skipped { .. } if self.turn == Turn::Rest => {}
            Happening::Listed { bytes } => self.listed(bytes),
            Happening::Moved { bytes } => {
                if self.turn == Turn::Rest {
                    // What moves again is more than was listed.
                    self.listed(bytes);
                }
                self.moved(bytes);
            }
            Happening::Skipped { bytes } => self.moved(bytes),
            Happening::Stored { path, bytes } => {
                let files = self.shared.files.fetch_add(1, Ordering::Relaxed) + 1;
                self.shared.bar.set_message(format!("{files} files"));
                self.file("stored", path, Some(bytes));
            }
            Happening::Noted { note, path } => {
                let event = match note {
                    Note::Removed => "removed",
                    Note::WouldStore => {
                        self.shared.would_store.fetch_add(1, Ordering::Relaxed);
                        "would-store"
                    }
                    Note::WouldRemove => "would-remove",
                };
                self.file(event, path, None);
            }
            Happening::Trouble { .. } if self.turn == Turn::Part => {}
            Happening::Trouble { path, text, theirs } => self.trouble(path, text, theirs),
        }
    }
}

/// A line of data; whoever read it may have gone.
fn say(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

fn line(value: &Value) {
    say(&shown::json(&value.to_string()));
}

fn done(tally: &Tally, span: Duration) -> Value {
    let Tally { stored, skipped, made, removed, failed, data, reused, resumed } = *tally;
    json!({
        "event": "done",
        "stored": stored,
        "skipped": skipped,
        "made": made,
        "removed": removed,
        "failed": failed,
        "bytes_sent": data,
        "bytes_reused": reused,
        "bytes_resumed": resumed,
        "verified": failed == 0,
        "duration_ms": u64::try_from(span.as_millis()).unwrap_or(u64::MAX),
    })
}

/// What would come of it, as one line.
fn would(store: u64, tally: &Tally) -> String {
    let Tally { skipped, removed, failed, .. } = *tally;
    let mut text = format!("nothing is written: {store} would be stored, {removed} removed");
    for (count, what) in [(skipped, "unchanged"), (failed, "FAILED")] {
        if count > 0 {
            text.push_str(&format!(", {count} {what}"));
        }
    }
    text
}

/// What came of it, as one line.
fn summary(tally: &Tally, span: Duration, streams: u32) -> String {
    let Tally { stored, skipped, removed, failed, data, reused, resumed, .. } = *tally;
    let files = |count: u64| if count == 1 { "1 file".into() } else { format!("{count} files") };
    let mut parts = vec![format!("{} stored and verified (BLAKE3)", files(stored))];
    parts.push(if data == 0 {
        "no file data sent".into()
    } else {
        format!("{} sent", HumanBytes(data))
    });
    for (bytes, what) in [(resumed, "resumed"), (reused, "taken from older files")] {
        if bytes > 0 {
            parts.push(format!("{} {what}", HumanBytes(bytes)));
        }
    }
    for (count, what) in [(skipped, "unchanged"), (removed, "removed"), (failed, "FAILED")] {
        if count > 0 {
            parts.push(format!("{count} {what}"));
        }
    }
    let seconds = span.as_secs_f64();
    let rate = if seconds > 0.0 { data as f64 / seconds } else { 0.0 };
    parts.push(format!("{seconds:.1} s"));
    if data > 0 {
        parts.push(format!("{}/s", HumanBytes(rate as u64)));
    }
    if streams > 1 {
        parts.push(format!("{streams} connections"));
    }
    parts.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F6, F7: of several connections and the one behind them each byte is counted once, and what moves
    /// again makes the whole longer.
    #[test]
    fn progress_of_several() {
        let report = Report::new(Show::Quiet, false);
        let told = |turn: &Report, happenings: &[Happening<'_>]| {
            for happening in happenings {
                turn.clone().tell(happening.clone());
            }
            let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
            (count(&report.shared.moved), count(&report.shared.listed))
        };
        let listed = Happening::Listed { bytes: 10 };
        let (moved, skipped) = (Happening::Moved { bytes: 10 }, Happening::Skipped { bytes: 10 });
        let part = report.of_part();
        assert_eq!(told(&part, &[listed.clone(), moved.clone()]), (10, 10));
        assert_eq!(told(&part, &[listed.clone(), skipped.clone()]), (20, 20));
        let rest = report.of_the_rest();
        assert_eq!(told(&rest, &[listed.clone(), listed, skipped.clone(), skipped]), (20, 20));
        assert_eq!(told(&rest, &[moved]), (30, 30));
    }

    /// F7: the summary says what was sent, skipped, resumed and verified.
    #[test]
    fn summaries() {
        let tally = Tally { stored: 1, data: 1024, resumed: 2048, skipped: 3, ..Tally::default() };
        let text = summary(&tally, Duration::from_secs(1), 1);
        assert_eq!(
            text,
            "1 file stored and verified (BLAKE3), 1.00 KiB sent, 2.00 KiB resumed, 3 unchanged, \
             1.0 s, 1.00 KiB/s"
        );
        let text = summary(&Tally::default(), Duration::from_secs(1), 1);
        assert!(text.contains("no file data sent"), "{text}");
    }
}
