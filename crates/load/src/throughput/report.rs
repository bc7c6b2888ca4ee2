//! What came of bulk data.

mod json;

use std::collections::BTreeMap;
use std::time::Duration;

use super::plan::ThroughputPlan;
use crate::error::ErrorKind;
use crate::report::Datagrams;

/// What came of bulk data. Bytes are those of the measured time, without any headers.
#[derive(Debug, Clone)]
pub struct ThroughputReport {
    /// What was run.
    pub plan: ThroughputPlan,
    /// The measured time.
    pub elapsed: Duration,
    /// Each stream, or datagram socket.
    pub streams: Vec<StreamFigures>,
    /// The measured time second by second; the last one may be shorter than a second.
    pub series: Vec<ThroughputSecond>,
    /// Datagrams of the whole run, as their receiver counted them: the server where they go up, we
    /// where they come back.
    pub datagrams: Option<Datagrams>,
    /// What failed, by why; a stream that failed is not opened again.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Of each kind of error the first, in words.
    pub examples: BTreeMap<ErrorKind, String>,
    /// Processor time of this process in the measured time.
    pub cpu: Duration,
    /// The observer ended the run early.
    pub stopped: bool,
}

impl ThroughputReport {
    /// Bytes a second to the server: what the system took from us (streams), what the receiver says
    /// has come (datagrams).
    pub fn up(&self) -> f64 {
        self.rate(|stream| stream.bytes_up)
    }

    /// Bytes a second from the server.
    pub fn down(&self) -> f64 {
        self.rate(|stream| stream.bytes_down)
    }

    /// All errors.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    fn rate(&self, bytes: impl Fn(&StreamFigures) -> u64) -> f64 {
        match self.elapsed.as_secs_f64() {
            0.0 => 0.0,
            seconds => self.streams.iter().map(bytes).sum::<u64>() as f64 / seconds,
        }
    }
}

/// One stream's bytes in the measured time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StreamFigures {
    /// To the server.
    pub bytes_up: u64,
    /// From the server.
    pub bytes_down: u64,
}

/// One second of all streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ThroughputSecond {
    /// To the server.
    pub bytes_up: u64,
    /// From the server.
    pub bytes_down: u64,
}
