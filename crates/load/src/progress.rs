//! How a run goes, told while it runs.

use std::ops::ControlFlow;
use std::time::Duration;

/// What a run is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Its connections are being opened.
    Connecting,
    /// The load runs and is not counted yet.
    WarmingUp,
    /// The load runs and is counted.
    Measuring,
    /// Nothing new is sent; the last answers are awaited.
    Draining,
}

/// A look at a run: what the live line needs. Counts are of the measured time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Progress {
    /// What the run is doing.
    pub phase: Phase,
    /// Time since this phase began.
    pub elapsed: Duration,
    /// How long this phase takes; zero where it takes as long as it takes.
    pub total: Duration,
    /// Connections that are open now.
    pub connections: usize,
    /// Requests answered rightly so far.
    pub requests: u64,
    /// What failed so far: requests, and connections.
    pub errors: u64,
    /// Bytes sent so far, of the whole run.
    pub bytes_out: u64,
    /// Bytes received so far, of the whole run.
    pub bytes_in: u64,
    /// Answers (bytes, of bulk data) a second, since the last look.
    pub rate: f64,
    /// The latency that half of the answers since the last whole second stayed under, if any came.
    pub p50: Option<Duration>,
    /// The same of 99 in a hundred.
    pub p99: Option<Duration>,
}

impl Progress {
    /// Nothing has moved yet; so many connections are there.
    pub(crate) fn connecting(elapsed: Duration, connections: usize) -> Progress {
        Progress {
            phase: Phase::Connecting,
            elapsed,
            total: Duration::ZERO,
            connections,
            requests: 0,
            errors: 0,
            bytes_out: 0,
            bytes_in: 0,
            rate: 0.0,
            p50: None,
            p99: None,
        }
    }
}

/// Who looks at a run while it runs, every [`sockeye_limits::LOAD_PROGRESS`].
pub trait Observer {
    /// Called with each look. `Break` ends the run early; what was counted until then is reported.
    fn progress(&mut self, progress: &Progress) -> ControlFlow<()>;
}

/// Looks at nothing, and lets the run go on.
impl Observer for () {
    fn progress(&mut self, _: &Progress) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }
}

impl<F: FnMut(&Progress) -> ControlFlow<()>> Observer for F {
    fn progress(&mut self, progress: &Progress) -> ControlFlow<()> {
        self(progress)
    }
}
