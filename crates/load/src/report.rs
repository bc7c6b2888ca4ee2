//! What came of a run.

pub(crate) mod json;

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;

use crate::error::ErrorKind;
use crate::plan::Plan;

/// What came of a run. A request belongs to the measured time if it was to be sent within it; its
/// answer may come later.
#[derive(Debug, Clone)]
pub struct Report {
    /// What was run.
    pub plan: Plan,
    /// The measured time.
    pub elapsed: Duration,
    /// Requests that were begun: each is one of [`Report::requests`] or one of [`Report::errors`],
    /// where what was due and never begun ([`ErrorKind::Unsent`]) comes on top.
    pub begun: u64,
    /// Requests that were answered, and rightly where answers are checked.
    pub requests: u64,
    /// Bytes of those requests.
    pub bytes_out: u64,
    /// Bytes of their answers.
    pub bytes_in: u64,
    /// Nanoseconds from the time at which a request was to be sent to the last byte of its answer;
    /// one value for each of [`Report::requests`].
    pub latency: Histogram<u64>,
    /// Requests that failed, by why.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// What failed and belongs to no request, by why: connections that could not be made, or that
    /// ended while nothing was asked on them; of datagrams, errors and answers that belong to none.
    pub connection_errors: BTreeMap<ErrorKind, u64>,
    /// What failed before the measured time, in none of the figures above.
    pub warmup: Warmup,
    /// Of each kind of error, wherever it was, the first, in words: cause and remedy.
    pub examples: BTreeMap<ErrorKind, String>,
    /// The measured time second by second, in order; the last one may be shorter than a second.
    pub series: Vec<Second>,
    /// At a fixed rate: how late, in nanoseconds, the load itself was to send what was due, where its
    /// connection was free. Long times here are this machine's, not the server's.
    pub own_delay: Option<Histogram<u64>>,
    /// Where they are datagrams: what became of them.
    pub datagrams: Option<Datagrams>,
    /// The whole run, warm-up and last answers included: what the server counts, too.
    pub whole: Whole,
    /// Processor time of this process in the measured time.
    pub cpu: Duration,
    /// The observer ended the run early.
    pub stopped: bool,
}

impl Report {
    /// Answered requests a second.
    pub fn rate(&self) -> f64 {
        match self.elapsed.as_secs_f64() {
            0.0 => 0.0,
            seconds => self.requests as f64 / seconds,
        }
    }

    /// All requests that failed.
    pub fn failed(&self) -> u64 {
        self.errors.values().sum()
    }

    /// True where nothing failed that `forgiven` does not hold: no request, no connection, in the
    /// warm-up neither.
    pub fn is_clean(&self, forgiven: impl Fn(ErrorKind) -> bool) -> bool {
        let requests = self.errors.keys().chain(self.warmup.errors.keys());
        requests.copied().all(forgiven)
            && self.connection_errors.is_empty()
            && self.warmup.connection_errors.is_empty()
    }
}

/// One second of the measured time. Answers count in the second in which they came, so that the last
/// one holds what came after the end as well.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Second {
    /// Requests answered.
    pub requests: u64,
    /// Requests that failed.
    pub errors: u64,
    /// The latency that half of the answers stayed under, in nanoseconds; 0 where none came.
    pub p50_ns: u64,
    /// The same of 99 in a hundred.
    pub p99_ns: u64,
    /// The longest latency, in nanoseconds.
    pub max_ns: u64,
}

/// What failed before the measured time: while the first connections were made, and in the warm-up.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Warmup {
    /// Requests that failed, by why.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// As [`Report::connection_errors`].
    pub connection_errors: BTreeMap<ErrorKind, u64>,
}

impl Warmup {
    /// True where nothing failed.
    pub fn is_empty(&self) -> bool {
        self.errors.is_empty() && self.connection_errors.is_empty()
    }
}

/// The whole run, warm-up and last answers included.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Whole {
    /// Requests answered.
    pub requests: u64,
    /// Connections that were opened.
    pub connections: u64,
    /// Bytes that the system took from us.
    pub bytes_out: u64,
    /// Bytes that came.
    pub bytes_in: u64,
}

/// What became of datagrams.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Datagrams {
    /// Datagrams that left.
    pub sent: u64,
    /// Different ones that came.
    pub received: u64,
    /// Those that never came.
    pub lost: u64,
    /// Those that came once more.
    pub duplicates: u64,
    /// Those that came after a later one.
    pub reordered: u64,
    /// Those that came and found no room in a socket of ours: a part of the lost ones is our own. What a
    /// receiver at the other end had no room for is not known here.
    pub dropped_here: u64,
    /// How much the time on the way varies: RFC 3550, section 6.4.1, the mean over the sockets.
    pub jitter: Duration,
}

impl Datagrams {
    /// These and those of other sockets.
    pub(crate) fn and(self, other: Datagrams) -> Datagrams {
        Datagrams {
            sent: self.sent + other.sent,
            received: self.received + other.received,
            lost: self.lost + other.lost,
            duplicates: self.duplicates.saturating_add(other.duplicates),
            reordered: self.reordered + other.reordered,
            dropped_here: self.dropped_here + other.dropped_here,
            jitter: mean((self.jitter, self.received), (other.jitter, other.received)),
        }
    }
}

/// The mean of two times, by how much each of them stands for.
fn mean(one: (Duration, u64), other: (Duration, u64)) -> Duration {
    let weighed = |(time, weight): (Duration, u64)| time.as_nanos() * u128::from(weight);
    let sum = (weighed(one) + weighed(other)).checked_div(u128::from(one.1) + u128::from(other.1));
    Duration::from_nanos(sum.and_then(|mean| u64::try_from(mean).ok()).unwrap_or(0))
}
