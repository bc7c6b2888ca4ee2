//! Counting: which requests belong to the measured time, and what became of them.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;
use sockeye_limits as limits;

use crate::error::ErrorKind;
use crate::report::Warmup;

/// One second, in nanoseconds.
pub(crate) const SECOND: u64 = 1_000_000_000;

/// A histogram of nanoseconds, to a part in a thousand, up to an hour.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, limits::LOAD_LATENCY_MAX, limits::LOAD_DIGITS)
        .expect("the bounds and digits are constants that it takes")
}

/// The measured time, in nanoseconds since the run began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Window {
    /// The first nanosecond that is measured.
    pub(crate) start: u64,
    /// The first that is no more.
    pub(crate) end: u64,
}

impl Window {
    /// True where a request that was to be sent at `time` is measured.
    pub(crate) fn holds(&self, time: u64) -> bool {
        (self.start..self.end).contains(&time)
    }

    /// The number of the second of the measured time that `now` is in; before and after it, the first
    /// and the last.
    pub(crate) fn second(&self, now: u64) -> u64 {
        now.clamp(self.start, self.end.max(self.start + 1) - 1).saturating_sub(self.start) / SECOND
    }
}

/// One second's figures of one worker, on their way to who adds them up.
#[derive(Debug)]
pub(crate) struct Share {
    /// The second's number in the measured time.
    pub(crate) second: u64,
    /// Latencies of the answers that came in it.
    pub(crate) latency: Histogram<u64>,
    /// Requests that failed in it.
    pub(crate) errors: u64,
}

/// What one worker has counted. Time is an argument.
#[derive(Debug)]
pub(crate) struct Count {
    window: Window,
    /// The second that is being counted.
    second: u64,
    latency: Histogram<u64>,
    failed_now: u64,
    /// The load runs: until then connections are only being made.
    runs: bool,
    /// Requests of the measured time that were begun: each of them is answered or fails.
    pub(crate) begun: u64,
    /// Requests of the measured time that were answered.
    pub(crate) requests: u64,
    /// Bytes of their answers.
    pub(crate) bytes_in: u64,
    /// Requests of the whole run that were answered.
    pub(crate) all_requests: u64,
    /// Requests of the measured time that failed, by why.
    pub(crate) errors: BTreeMap<ErrorKind, u64>,
    /// All of them.
    pub(crate) failed: u64,
    /// What failed in the measured time and belongs to no request, by why.
    pub(crate) apart: BTreeMap<ErrorKind, u64>,
    /// What failed before the measured time.
    pub(crate) warmup: Warmup,
    /// The first of each kind, in words, of the whole run.
    pub(crate) examples: BTreeMap<ErrorKind, String>,
    /// At a fixed rate: how late we ourselves were.
    pub(crate) own_delay: Option<Histogram<u64>>,
}

impl Count {
    /// Nothing counted yet.
    pub(crate) fn new(window: Window, open: bool) -> Count {
        Count {
            window,
            second: 0,
            latency: histogram(),
            failed_now: 0,
            runs: false,
            begun: 0,
            requests: 0,
            bytes_in: 0,
            all_requests: 0,
            errors: BTreeMap::new(),
            failed: 0,
            apart: BTreeMap::new(),
            warmup: Warmup::default(),
            examples: BTreeMap::new(),
            own_delay: open.then(histogram),
        }
    }

    /// `count` requests that were to be sent at `intended` have their answers, of `bytes` in all, at
    /// `now`.
    pub(crate) fn answered(&mut self, intended: u64, now: u64, count: u64, bytes: u64) {
        self.all_requests += count;
        if self.window.holds(intended) {
            self.requests += count;
            self.bytes_in += bytes;
            // Nothing takes no time; 0 would be counted as less than anything.
            self.latency.saturating_record_n(now.saturating_sub(intended).max(1), count);
        }
    }

    /// The load begins to run.
    pub(crate) fn begin(&mut self) {
        self.runs = true;
    }

    /// `count` requests that were to be sent at `intended` are begun.
    pub(crate) fn begun(&mut self, intended: u64, count: u64) {
        if self.window.holds(intended) {
            self.begun += count;
        }
    }

    /// `count` requests that were to be sent at `intended` have failed.
    pub(crate) fn failed(
        &mut self,
        intended: u64,
        count: u64,
        kind: ErrorKind,
        example: impl FnOnce() -> String,
    ) {
        if self.window.holds(intended) {
            *self.errors.entry(kind).or_default() += count;
            self.failed += count;
            self.failed_now += count;
        } else if intended < self.window.start {
            *self.warmup.errors.entry(kind).or_default() += count;
        } else {
            return;
        }
        self.examples.entry(kind).or_insert_with(example);
    }

    /// Something has failed at `now` that belongs to no request: a connection was not made, or ended
    /// while nothing was asked on it.
    pub(crate) fn apart(&mut self, now: u64, kind: ErrorKind, example: impl FnOnce() -> String) {
        let errors = match self.runs {
            true if self.window.holds(now) => &mut self.apart,
            true if now >= self.window.end => return,
            _ => &mut self.warmup.connection_errors,
        };
        *errors.entry(kind).or_default() += 1;
        self.examples.entry(kind).or_insert_with(example);
    }

    /// A request that was due at `intended` could leave at `now` as far as its connection went.
    pub(crate) fn sent_late(&mut self, intended: u64, now: u64) {
        if let Some(own) = &mut self.own_delay
            && self.window.holds(intended)
        {
            own.saturating_record(now.saturating_sub(intended).max(1));
        }
    }

    /// Gives the second that is over at `now`, once.
    pub(crate) fn turn(&mut self, now: u64) -> Option<Share> {
        let second = self.window.second(now);
        (second > self.second).then(|| {
            let share = self.take();
            self.second = second;
            share
        })
    }

    /// Gives the second that was being counted.
    pub(crate) fn take(&mut self) -> Share {
        let latency = std::mem::replace(&mut self.latency, histogram());
        let errors = std::mem::take(&mut self.failed_now);
        Share { second: self.second, latency, errors }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Window = Window { start: SECOND, end: 3 * SECOND + SECOND / 2 };

    fn none() -> String {
        String::new()
    }

    /// B2: a request belongs to the measured time by when it was to be sent, whenever its answer
    /// comes.
    #[test]
    fn belongs() {
        let mut count = Count::new(WINDOW, false);
        count.answered(SECOND - 1, SECOND + 5, 1, 64);
        count.answered(SECOND, SECOND + 5, 1, 64);
        count.answered(WINDOW.end - 1, WINDOW.end + 7 * SECOND, 2, 64);
        count.answered(WINDOW.end, WINDOW.end + 1, 1, 64);
        count.failed(WINDOW.end, 1, ErrorKind::Reset, none);
        count.failed(WINDOW.start, 3, ErrorKind::Reset, none);
        assert_eq!((count.requests, count.all_requests), (3, 5));
        count.failed(WINDOW.start - 1, 2, ErrorKind::Wrong, none);
        assert_eq!(count.errors, BTreeMap::from([(ErrorKind::Reset, 3)]));
        assert_eq!(count.warmup.errors, BTreeMap::from([(ErrorKind::Wrong, 2)]));
        let last = count.take();
        assert_eq!((last.latency.len(), last.errors), (3, 3));
        assert!(last.latency.max() >= 7 * SECOND);
    }

    /// B1: what belongs to no request is counted apart, by when it happened: before the load ran it
    /// was in the warm-up whatever the clock said, and behind the end it is nobody's, without a word.
    #[test]
    fn apart() {
        let mut count = Count::new(WINDOW, false);
        count.apart(WINDOW.start, ErrorKind::Refused, none);
        count.begin();
        count.apart(WINDOW.start - 1, ErrorKind::Refused, none);
        count.apart(WINDOW.start, ErrorKind::Closed, none);
        count.apart(WINDOW.end, ErrorKind::Timeout, none);
        assert_eq!(count.warmup.connection_errors, BTreeMap::from([(ErrorKind::Refused, 2)]));
        assert_eq!(count.apart, BTreeMap::from([(ErrorKind::Closed, 1)]));
        assert!(!count.examples.contains_key(&ErrorKind::Timeout));
        assert_eq!(count.failed, 0);
    }

    /// B2: seconds are cut where they end, and what comes after the end is in the last one.
    #[test]
    fn seconds() {
        let mut count = Count::new(WINDOW, false);
        assert!(count.turn(0).is_none() && count.turn(2 * SECOND - 1).is_none());
        count.answered(SECOND, SECOND + 500, 1, 64);
        let first = count.turn(2 * SECOND).unwrap();
        assert_eq!((first.second, first.latency.len(), first.latency.max()), (0, 1, 500));
        count.answered(SECOND, 3 * SECOND, 1, 64);
        assert_eq!(count.turn(3 * SECOND).unwrap().second, 1);
        assert!(count.turn(60 * SECOND).is_none());
        assert_eq!(WINDOW.second(u64::MAX), 2);
    }

    /// B2: a stall of 100 ms a second against 1,000 requests a second, in virtual time. In an open
    /// loop a tenth of all requests wait, and p99 shows 90 ms and more of the 100; in a closed loop of
    /// one connection a single request a second does, and p99 shows nothing of it.
    #[test]
    fn stall() {
        let window = Window { start: 0, end: 10 * SECOND };
        let (millisecond, service) = (SECOND / 1000, 50_000);
        // The server stalls for the first tenth of each second.
        let answered = |arrived: u64| match arrived % SECOND {
            within if within < 100 * millisecond => arrived - within + 100 * millisecond + service,
            _ => arrived + service,
        };
        let mut open = Count::new(window, true);
        let schedule = crate::schedule::Schedule::new(1000, 1, window.end);
        for number in 0..schedule.due(u64::MAX) {
            let intended = schedule.time(number);
            open.answered(intended, answered(intended), 1, 64);
        }
        let open = open.take().latency;
        assert_eq!(open.len(), 10_000);
        assert!(open.value_at_quantile(0.99) >= 90 * millisecond);
        assert!(open.value_at_quantile(0.5) < millisecond);

        let mut closed = Count::new(window, false);
        let mut now = 0;
        while now < window.end {
            let answer = answered(now);
            closed.answered(now, answer, 1, 64);
            now = answer + millisecond;
        }
        let closed = closed.take().latency;
        assert!(closed.value_at_quantile(0.99) < millisecond);
        assert!(closed.max() >= 98 * millisecond);
    }
}
