//! The line that moves while something is measured, or lines of JSON.

use std::io::{self, IsTerminal, Write};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::json;
use sockeye_limits as limits;
use sockeye_load::draw::units;
use sockeye_load::throughput::ThroughputPlan;
use sockeye_load::{Observer, Phase, Plan, Progress};

use super::super::args::OutputArgs;
use super::{json_line, stop};

/// Looks at a run while it runs.
pub(super) struct Line {
    bar: ProgressBar,
}

impl Line {
    /// A line on stderr, where that is a terminal and people are meant.
    fn new(json: bool, length: u64) -> Line {
        let visible = !json && io::stderr().is_terminal();
        let target =
            if visible { ProgressDrawTarget::stderr() } else { ProgressDrawTarget::hidden() };
        let bar = ProgressBar::with_draw_target(Some(length), target);
        if let Ok(style) = ProgressStyle::with_template("{bar:16} {wide_msg}") {
            bar.set_style(style.progress_chars("━╸─"));
        }
        Line { bar }
    }

    fn show(&self, position: u64, text: String) {
        self.bar.set_position(position);
        self.bar.set_message(text);
    }
}

/// Shows one run, and ends it when it is asked to.
pub(in super::super) struct Live {
    line: Line,
    json: bool,
    /// Rates are bytes.
    bulk: bool,
    connections: usize,
    stop: Arc<AtomicBool>,
    told: Instant,
}

impl Live {
    /// For `bench ENDPOINT`.
    pub(in super::super) fn load(plan: &Plan, output: &OutputArgs) -> Live {
        Live::new(output, false, plan.connections)
    }

    /// For `bench throughput`.
    pub(in super::super) fn throughput(plan: &ThroughputPlan, output: &OutputArgs) -> Live {
        Live::new(output, true, plan.streams)
    }

    fn new(output: &OutputArgs, bulk: bool, connections: usize) -> Live {
        let (line, stop) = (Line::new(output.json, PARTS), stop::asked());
        Live { line, json: output.json, bulk, connections, stop, told: Instant::now() }
    }

    /// The run is over.
    pub(in super::super) fn finish(self) {
        self.line.bar.finish_and_clear();
    }

    fn tell(&mut self, progress: &Progress) {
        if progress.phase != Phase::Measuring || self.told.elapsed() < limits::PROGRESS_TIME {
            return;
        }
        self.told = Instant::now();
        let mut value = json!({
            "event": "progress",
            "seconds": (progress.elapsed.as_secs_f64() * 1000.0).round() / 1000.0,
            "errors": progress.errors,
        });
        let rate = progress.rate.round();
        if self.bulk {
            value["bytes_per_second"] = rate.into();
        } else {
            value["requests"] = progress.requests.into();
            value["requests_per_second"] = rate.into();
        }
        // Whoever read it may have gone.
        let _ = io::stdout().lock().write_all(json_line(&value).as_bytes());
    }
}

/// How finely the bar moves.
const PARTS: u64 = 1000;

impl Observer for Live {
    fn progress(&mut self, progress: &Progress) -> ControlFlow<()> {
        if self.json {
            self.tell(progress);
        } else {
            let part = match progress.phase {
                Phase::Measuring => share(progress.elapsed, progress.total),
                Phase::Draining => PARTS,
                _ => 0,
            };
            self.line.show(part, text(progress, self.connections, self.bulk));
        }
        match self.stop.load(Ordering::Relaxed) {
            true => ControlFlow::Break(()),
            false => ControlFlow::Continue(()),
        }
    }
}

/// How much of a time is over, in [`PARTS`].
fn share(elapsed: Duration, total: Duration) -> u64 {
    let share = elapsed.as_secs_f64() / total.as_secs_f64().max(1e-9);
    (share.clamp(0.0, 1.0) * PARTS as f64) as u64
}

/// What the line says.
fn text(progress: &Progress, connections: usize, bulk: bool) -> String {
    let rate = match bulk {
        true => units::bits(progress.rate),
        false => format!("{}/s", units::short(progress.rate)),
    };
    let mut parts = match progress.phase {
        Phase::Connecting => {
            return format!("connecting · {} of {connections}", progress.connections);
        }
        Phase::WarmingUp => vec!["warming up".into(), rate],
        Phase::Measuring => {
            let of = units::trimmed(&units::digits(progress.total.as_secs_f64()));
            vec![format!("{:.1} of {of} s", progress.elapsed.as_secs_f64()), rate]
        }
        Phase::Draining => vec!["waiting for the last answers".into()],
    };
    let time = |span: Duration| units::time(u64::try_from(span.as_nanos()).unwrap_or(u64::MAX));
    let named = [("p50", progress.p50), ("p99", progress.p99)];
    parts.extend(named.into_iter().filter_map(|(name, at)| Some(format!("{name} {}", time(at?)))));
    if progress.errors > 0 {
        let noun = if progress.errors == 1 { "error" } else { "errors" };
        parts.push(format!("{} {noun}", units::whole(progress.errors)));
    }
    parts.join(" · ")
}

/// Shows how far a comparison is, run by run.
pub(in super::super) struct Rounds {
    line: Line,
    json: bool,
    done: u64,
    stop: Arc<AtomicBool>,
}

impl Rounds {
    /// For so many runs, which end early when `stop` becomes true.
    pub(in super::super) fn new(runs: u64, output: &OutputArgs, stop: Arc<AtomicBool>) -> Rounds {
        Rounds { line: Line::new(output.json, runs), json: output.json, done: 0, stop }
    }

    /// What becomes true when the runs are to end.
    pub(in super::super) fn stop(&self) -> &AtomicBool {
        &self.stop
    }

    /// Whether they are to end.
    pub(in super::super) fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// A run begins.
    pub(in super::super) fn begin(&self, what: &str) {
        self.line.show(self.done, what.to_owned());
    }

    /// A run goes on.
    pub(in super::super) fn look(&self, what: &str, progress: &Progress) {
        self.line
            .show(self.done, format!("{what} · {}", text(progress, progress.connections, false)));
    }

    /// A run is over: with `--json` its figures are told.
    pub(in super::super) fn end(&mut self, told: serde_json::Value) {
        self.done += 1;
        self.line.bar.set_position(self.done);
        if self.json {
            // Whoever read it may have gone.
            let _ = io::stdout().lock().write_all(json_line(&told).as_bytes());
        }
    }

    /// All runs are over.
    pub(in super::super) fn finish(self) {
        self.line.bar.finish_and_clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B1: the line says where the run is, how fast it goes and what fails.
    #[test]
    fn lines() {
        let mut progress = Progress {
            phase: Phase::Measuring,
            elapsed: Duration::from_millis(4_230),
            total: Duration::from_secs(10),
            connections: 31,
            requests: 9,
            errors: 2,
            bytes_out: 0,
            bytes_in: 0,
            rate: 186_214.0,
            p50: Some(Duration::from_micros(261)),
            p99: None,
        };
        let said = text(&progress, 50, false);
        assert_eq!(said, "4.2 of 10 s · 186 k/s · p50 261 µs · 2 errors");
        assert!(text(&progress, 50, true).contains("1.49 Mbit/s"));
        assert_eq!(share(progress.elapsed, progress.total), 423);
        assert_eq!(share(progress.elapsed, Duration::ZERO), PARTS);
        progress.phase = Phase::Connecting;
        assert_eq!(text(&progress, 50, false), "connecting · 31 of 50");
    }
}
