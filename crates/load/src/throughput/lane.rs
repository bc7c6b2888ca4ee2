//! What each stream or datagram socket of a run of bulk data has, and what it has moved.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use sockeye_net::Operation;

use super::plan::ThroughputPlan;
use super::report::{StreamFigures, ThroughputSecond};
use crate::count::{SECOND, Window};
use crate::error::Failure;
use crate::report::Datagrams;
use crate::target::Target;
use crate::worker::Clock;

/// What all streams know.
pub(super) struct Lane<'a> {
    pub(super) plan: &'a ThroughputPlan,
    pub(super) target: &'a Target,
    pub(super) clock: Clock,
    pub(super) window: Window,
    pub(super) stop: &'a AtomicBool,
    pub(super) up: bool,
    pub(super) down: bool,
    /// Bytes of the whole run, both ways, for whoever looks.
    pub(super) live: [&'a AtomicU64; 2],
}

impl Lane<'_> {
    pub(super) fn failed(&self, operation: Operation, error: io::Error) -> Failure {
        self.target.failed(operation, error)
    }
}

/// What one stream has moved.
#[derive(Debug)]
pub(super) struct Moved {
    pub(super) figures: StreamFigures,
    pub(super) series: Vec<ThroughputSecond>,
    pub(super) datagrams: Option<Datagrams>,
    pub(super) failure: Option<Failure>,
    /// Since when it has begun nothing more.
    pub(super) ended: u64,
}

impl Moved {
    pub(super) fn new(window: Window) -> Moved {
        let seconds = (window.end - window.start).div_ceil(SECOND);
        let seconds = usize::try_from(seconds).unwrap_or(usize::MAX);
        let series = vec![ThroughputSecond::default(); seconds.min(sockeye_limits::LOAD_SERIES)];
        let figures = StreamFigures::default();
        Moved { figures, series, datagrams: None, failure: None, ended: 0 }
    }

    /// So many bytes went to the server.
    pub(super) fn up(&mut self, lane: &Lane<'_>, now: u64, bytes: u64) {
        lane.live[0].fetch_add(bytes, Ordering::Relaxed);
        if lane.window.holds(now) {
            self.figures.bytes_up += bytes;
            if let Some(second) = self.series.get_mut(lane.window.second(now) as usize) {
                second.bytes_up += bytes;
            }
        }
    }

    /// So many bytes came from the server.
    pub(super) fn down(&mut self, lane: &Lane<'_>, now: u64, bytes: u64) {
        lane.live[1].fetch_add(bytes, Ordering::Relaxed);
        if lane.window.holds(now) {
            self.figures.bytes_down += bytes;
            if let Some(second) = self.series.get_mut(lane.window.second(now) as usize) {
                second.bytes_down += bytes;
            }
        }
    }
}

/// How much may have left by when: the rate of a run, shared by its streams, in units of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Allowance {
    /// Bits a second of all streams.
    rate: u64,
    /// Bits of one unit, times the streams.
    unit: u64,
}

impl Allowance {
    /// In units of so many bytes; none where there is no bound.
    pub(super) fn new(plan: &ThroughputPlan, bytes: usize) -> Option<Allowance> {
        let unit = 8 * bytes as u64 * plan.streams as u64;
        plan.rate.map(|rate| Allowance { rate, unit })
    }

    /// Units that may have left by `now`; the first at once.
    pub(super) fn at(&self, now: u64) -> u64 {
        let units =
            u128::from(now) * u128::from(self.rate) / (u128::from(self.unit) * u128::from(SECOND));
        u64::try_from(units).unwrap_or(u64::MAX).saturating_add(1)
    }

    /// When so many units may have left.
    pub(super) fn when(&self, units: u64) -> u64 {
        let before = u128::from(units.saturating_sub(1));
        let time = (before * u128::from(self.unit) * u128::from(SECOND))
            .div_ceil(u128::from(self.rate.max(1)));
        u64::try_from(time).unwrap_or(u64::MAX)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// B4: what may have left and when it may agree, and a second's worth is the rate.
        #[test]
        fn agree(rate in 1..1_000_000_000_000_u64, bytes in 1..65_536_u64, units in 1..1_000_000_u64) {
            let allowance = Allowance { rate, unit: 8 * bytes };
            let when = allowance.when(units);
            prop_assert!(allowance.at(when) >= units);
            prop_assert!(when == 0 || allowance.at(when - 1) < units);
            prop_assert_eq!(allowance.at(SECOND), rate / (8 * bytes) + 1);
        }
    }
}
