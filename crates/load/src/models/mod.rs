//! The same service under several models: what was measured of each, and what follows from it.

mod advice;
mod crowd;
mod json;

use std::time::Duration;

pub use crowd::Crowd;

/// What was measured, of all models under the same load.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// The service.
    pub service: String,
    /// Connections at a time.
    pub connections: usize,
    /// Bytes of a request.
    pub size: usize,
    /// How long one run counted.
    pub duration: Duration,
    /// How often each run was made; figures are medians.
    pub rounds: usize,
    /// Processors: the server's and the load's, where they are kept apart.
    pub pinned: Option<(usize, usize)>,
    /// The models, in the order in which they took their turns.
    pub models: Vec<Figures>,
    /// Whether it was ended early. Then models that had no turn under both loads are left out.
    pub stopped: bool,
}

/// What was measured of one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Figures {
    /// Its name.
    pub model: String,
    /// Connections that stay, one request after another on each.
    pub long: Sample,
    /// A connection for each request: connect, ask, close.
    pub short: Sample,
    /// Connections that are open and silent.
    pub idle: Idle,
}

/// What one run came to, or the medians of several.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Sample {
    /// Answered requests a second.
    pub rate: f64,
    /// Latencies in nanoseconds; nothing where nothing was answered.
    pub p50: Option<f64>,
    /// The same of 99 in a hundred.
    pub p99: Option<f64>,
    /// The same of 999 in a thousand.
    pub p999: Option<f64>,
    /// Processor time of the server for a request, in nanoseconds.
    pub cpu: Option<f64>,
    /// How often a thread of the server had to wait, for each request.
    pub voluntary: Option<f64>,
    /// How often one lost its processor to another, for each request.
    pub involuntary: Option<f64>,
    /// Requests that failed.
    pub errors: f64,
    /// Of those the ones that had no answer in time.
    pub unanswered: f64,
}

/// Connections that are open and silent, each after one request.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Idle {
    /// How many there were.
    pub connections: usize,
    /// How many of them were answered; the others wait to be served.
    pub served: usize,
    /// Memory of the server for each that was served, in bytes (PSS).
    pub memory: Option<f64>,
    /// Descriptors of the server, of all its processes.
    pub descriptors: u64,
    /// Its threads, of all its processes.
    pub threads: u64,
    /// Its processes.
    pub processes: u64,
}

impl Sample {
    /// The median of each figure; figures that a run has not got are left out. Of failures the most of
    /// any run: a median would hide what happened in one of three.
    pub fn median(runs: &[Sample]) -> Sample {
        let of = |figure: fn(&Sample) -> Option<f64>| median(runs.iter().filter_map(figure));
        Sample {
            rate: of(|run| Some(run.rate)).unwrap_or(0.0),
            p50: of(|run| run.p50),
            p99: of(|run| run.p99),
            p999: of(|run| run.p999),
            cpu: of(|run| run.cpu),
            voluntary: of(|run| run.voluntary),
            involuntary: of(|run| run.involuntary),
            errors: runs.iter().map(|run| run.errors).fold(0.0, f64::max),
            unanswered: runs.iter().map(|run| run.unanswered).fold(0.0, f64::max),
        }
    }

    /// Switches of both kinds for a request.
    pub fn switches(&self) -> Option<f64> {
        Some(self.voluntary? + self.involuntary?)
    }
}

/// The value in the middle, or the mean of both; nothing of none.
pub fn median(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        count if count % 2 == 1 => Some(values[middle]),
        _ => Some((values[middle - 1] + values[middle]) / 2.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B3: one run that was disturbed does not make the figure.
    #[test]
    fn medians() {
        assert_eq!(median([3.0, 1.0, 900.0].into_iter()), Some(3.0));
        assert_eq!(median([1.0, 2.0, f64::NAN].into_iter()), Some(1.5));
        assert_eq!(median(std::iter::empty()), None);
        let run = |rate, p50| Sample { rate, p50, ..Sample::default() };
        let sample = Sample::median(&[run(10.0, Some(5.0)), run(20.0, None), run(90.0, Some(7.0))]);
        assert_eq!((sample.rate, sample.p50, sample.p99), (20.0, Some(6.0), None));
        assert_eq!(sample.switches(), None);
    }
}
