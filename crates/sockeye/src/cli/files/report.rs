//! What people see of a transfer: a line that moves, the files, failures, a summary; or JSON.

mod json;
mod words;

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
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
    /// What a dry run would store, and the directories that it would make.
    would_store: AtomicU64,
    would_make: AtomicU64,
}

impl Report {
    /// `piped`: standard output carries the file, and whoever reads it writes to the terminal.
    pub(super) fn new(show: Show, dry_run: bool, piped: bool) -> Report {
        let wanted = matches!(show, Show::Usual | Show::Verbose) && !piped;
        let visible = wanted && io::stderr().is_terminal();
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
                would_make: AtomicU64::new(0),
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
        let make = shared.would_make.load(Ordering::Relaxed);
        match (shared.show, self.dry_run) {
            (Show::Json, true) => line(&json::would(tally, span, store, make)),
            (Show::Json, false) => line(&json::done(tally, span)),
            (Show::Quiet, _) => {}
            (Show::Usual | Show::Verbose, dry_run) => {
                let text = match dry_run {
                    true => words::would(tally, store, make),
                    false => words::summary(tally, span, streams),
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
            Show::Json => line(&json::file(event, path, bytes)),
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
            line(&json::failed(path, &text, theirs));
        } else {
            let whose = if theirs { "the other side: " } else { "" };
            shared.bar.suspend(|| eprintln!("sockeye: {whose}{name}: {text}"));
        }
    }

    fn listed(&self, bytes: u64) {
        let listed = add(&self.shared.listed, bytes);
        self.shared.bar.set_length(listed);
    }

    fn moved(&self, bytes: u64) {
        let shared = &self.shared;
        let moved = add(&shared.moved, bytes);
        shared.bar.set_position(moved);
        if shared.show != Show::Json {
            return;
        }
        let mut told = shared.told.lock().unwrap_or_else(PoisonError::into_inner);
        if told.elapsed() >= limits::PROGRESS_TIME {
            *told = Instant::now();
            let listed = shared.listed.load(Ordering::Relaxed);
            line(&json::progress(moved, listed));
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
                let files = add(&self.shared.files, 1);
                let files = format!("{files} file{}", if files == 1 { "" } else { "s" });
                self.shared.bar.set_message(files);
                self.file("stored", path, Some(bytes));
            }
            // What it finishes is what they have made or changed.
            Happening::Noted { note: Note::Updated, .. } if self.turn == Turn::Rest => {}
            Happening::Noted { note, path } => {
                match note {
                    Note::WouldStore => _ = add(&self.shared.would_store, 1),
                    Note::WouldMake => _ = add(&self.shared.would_make, 1),
                    _ => {}
                }
                self.file(json::event_of(note), path, None);
            }
            Happening::Trouble { .. } if self.turn == Turn::Part => {}
            Happening::Trouble { path, text, theirs } => self.trouble(path, text, theirs),
        }
    }
}

/// Adds to a number, up to the largest there is: how much it is a peer may claim. What it is then.
fn add(number: &AtomicU64, more: u64) -> u64 {
    let sum = |number: u64| Some(number.saturating_add(more));
    let before = number.fetch_update(Ordering::Relaxed, Ordering::Relaxed, sum);
    before.unwrap_or(u64::MAX).saturating_add(more)
}

/// A line of data; whoever read it may have gone.
fn say(text: &str) {
    let _ = writeln!(io::stdout().lock(), "{text}");
}

fn line(value: &Value) {
    say(&shown::json(&value.to_string()));
}

#[cfg(test)]
mod tests {
    use super::*;

    /// F6, F7: of several connections and the one behind them each byte is counted once, and what moves
    /// again makes the whole longer.
    #[test]
    fn progress_of_several() {
        let report = Report::new(Show::Quiet, false, false);
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
        // F7: a peer may list any lengths.
        let most = Happening::Listed { bytes: i64::MAX as u64 };
        let whole = Happening::Skipped { bytes: i64::MAX as u64 };
        let claimed = [most.clone(), most.clone(), most, whole.clone(), whole.clone(), whole];
        assert_eq!(told(&part, &claimed), (u64::MAX, u64::MAX));
    }
}
