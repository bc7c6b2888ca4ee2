//! A clock that counts only the time that this process was awake.
//!
//! Deadlines of connections run on it: after a stop (SIGSTOP, a laptop's sleep, a debugger) no
//! connection has been idle for longer than the process could have served it, so none expires in
//! the rush. The wall clock plays no part.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sockeye_limits as limits;

/// Ticks since the start.
#[derive(Debug)]
pub(crate) struct AwakeClock {
    tick: Duration,
    now: AtomicU32,
}

impl AwakeClock {
    /// A clock with steps of `tick`.
    pub(crate) fn new(tick: Duration) -> AwakeClock {
        AwakeClock { tick, now: AtomicU32::new(0) }
    }

    /// The ticks so far; wraps after years.
    pub(crate) fn now(&self) -> u32 {
        self.now.load(Ordering::Relaxed)
    }

    /// The length of a tick.
    pub(crate) fn tick(&self) -> Duration {
        self.tick
    }

    /// How many ticks a span is, rounded up.
    pub(crate) fn ticks(&self, span: Duration) -> u32 {
        let ticks = span.as_nanos().div_ceil(self.tick.as_nanos().max(1));
        u32::try_from(ticks).unwrap_or(u32::MAX / 2).min(u32::MAX / 2)
    }

    /// Moves on by the time since `last`, of which a step that took unreasonably long counts as
    /// one tick. Returns the moment up to which was counted.
    pub(crate) fn advance(&self, last: Instant, now: Instant) -> Instant {
        let elapsed = now.saturating_duration_since(last);
        let steps = elapsed.as_nanos() / self.tick.as_nanos().max(1);
        if steps > u128::from(limits::CLOCK_SLACK) {
            self.now.fetch_add(1, Ordering::Relaxed);
            return now;
        }
        // At most the slack, so it fits.
        let steps = steps as u32;
        self.now.fetch_add(steps, Ordering::Relaxed);
        last + self.tick * steps
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fault 44: a minute's stop counts as one tick; ordinary delays count in full.
    #[test]
    fn sleep_does_not_count() {
        let clock = AwakeClock::new(Duration::from_millis(50));
        let start = Instant::now();
        let after = |ms| start + Duration::from_millis(ms);
        let mut last = clock.advance(start, after(120));
        assert_eq!((clock.now(), last), (2, after(100)));
        last = clock.advance(last, after(150));
        assert_eq!(clock.now(), 3);
        last = clock.advance(last, after(60_150));
        assert_eq!((clock.now(), last), (4, after(60_150)));
        assert_eq!(clock.ticks(Duration::from_millis(51)), 2);
    }
}
