//! When requests are due at a fixed rate: pure arithmetic over nanoseconds since the run began.

const SECOND: u64 = 1_000_000_000;

/// Requests at a fixed rate over a number of connections, which take turns.
///
/// Request `n` of the run is due at `n / rate` seconds, on connection `n % connections`. Nothing is
/// remembered and nothing adds up: a late look finds all that was due meanwhile, with its own time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Schedule {
    per_second: u64,
    connections: u64,
    /// Nothing is due from then on.
    end: u64,
}

impl Schedule {
    /// So many requests a second, until `end`. Neither figure is 0.
    pub(crate) fn new(per_second: u64, connections: u64, end: u64) -> Schedule {
        Schedule { per_second: per_second.max(1), connections: connections.max(1), end }
    }

    /// When request `number` is due.
    pub(crate) fn time(&self, number: u64) -> u64 {
        // In two parts, each of which fits: a rate is at most a thousand million.
        let (seconds, rest) = (number / self.per_second, number % self.per_second);
        seconds.saturating_mul(SECOND).saturating_add(rest * SECOND / self.per_second)
    }

    /// How many requests of the run are due at `now`.
    pub(crate) fn due(&self, now: u64) -> u64 {
        // The first number that is not due yet: time(n) <= now is n < (now + 1) * rate / second.
        let Some(last) = now.min(self.end.saturating_sub(1)).checked_add(1) else {
            return u64::MAX;
        };
        if self.end == 0 {
            return 0;
        }
        let due = (u128::from(last) * u128::from(self.per_second)).div_ceil(u128::from(SECOND));
        u64::try_from(due).unwrap_or(u64::MAX)
    }

    /// How many requests of this connection are due at `now`.
    pub(crate) fn due_of(&self, connection: u64, now: u64) -> u64 {
        self.due(now).saturating_sub(connection).div_ceil(self.connections)
    }

    /// When request `number` of this connection is due.
    pub(crate) fn time_of(&self, connection: u64, number: u64) -> u64 {
        self.time(number * self.connections + connection)
    }

    /// When the first request behind the first `number` ones is due; none where the run is over.
    pub(crate) fn next(&self, number: u64) -> Option<u64> {
        Some(self.time(number)).filter(|time| *time < self.end)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// B1, B2: a rate that divides a second, to the nanosecond.
    #[test]
    fn even() {
        let schedule = Schedule::new(1000, 4, 3 * SECOND);
        assert_eq!(schedule.due(0), 1);
        assert_eq!(schedule.due(999_999), 1);
        assert_eq!(schedule.due(1_000_000), 2);
        assert_eq!(schedule.time(7), 7_000_000);
        assert_eq!(schedule.due_of(1, 1_000_000), 1);
        assert_eq!(schedule.due_of(1, 4_999_999), 1);
        assert_eq!(schedule.due_of(1, 5_000_000), 2);
        assert_eq!(schedule.time_of(1, 1), 5_000_000);
        // A look after a stall of 100 ms finds the hundred that were due, each with its own time.
        assert_eq!(schedule.due(1_100_000_000) - schedule.due(1_000_000_000), 100);
    }

    /// B1: nothing is due at the end or behind it, and all that is due before it.
    #[test]
    fn ends() {
        let schedule = Schedule::new(1000, 4, SECOND);
        assert_eq!(schedule.due(u64::MAX), 1000);
        assert_eq!(schedule.next(999), Some(999_000_000));
        assert_eq!(schedule.next(1000), None);
        assert_eq!(Schedule::new(1000, 4, 0).due(5), 0);
        let all: u64 = (0..4).map(|c| schedule.due_of(c, u64::MAX)).sum();
        assert_eq!(all, 1000);
    }

    proptest! {
        /// B2: what is due and when it is due agree, whatever the rate, and no request is lost
        /// between connections.
        #[test]
        fn agree(rate in 1..=1_000_000_000_u64, connections in 1..2000_u64, now in 0..10_000_000_000_000_u64) {
            let schedule = Schedule::new(rate, connections, u64::MAX);
            let due = schedule.due(now);
            prop_assert!(schedule.time(due - 1) <= now);
            prop_assert!(schedule.time(due) > now);
            let sum: u64 = (0..connections).map(|c| schedule.due_of(c, now)).sum();
            prop_assert_eq!(sum, due);
            let one = now % connections;
            let own = schedule.due_of(one, now);
            prop_assert!(schedule.time_of(one, own) > now);
            if own > 0 {
                prop_assert!(schedule.time_of(one, own - 1) <= now);
            }
        }
    }
}
