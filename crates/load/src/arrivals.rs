//! What became of numbered datagrams, from those that arrive: loss, order, duplicates, jitter.

use std::time::Duration;

use sockeye_limits::LOAD_KNOWN;

use crate::report::Datagrams;

/// The arrivals of one sender's datagrams, which are numbered from 0. Time is an argument.
#[derive(Debug, Clone)]
pub(crate) struct Arrivals {
    /// One bit for each of the last [`LOAD_KNOWN`] numbers.
    seen: Vec<u64>,
    /// The first number behind the highest that came.
    next: u64,
    received: u64,
    duplicates: u64,
    reordered: u64,
    /// Of the datagram that came last: how long it was on its way.
    transit: Option<u64>,
    /// Nanoseconds.
    jitter: f64,
}

impl Arrivals {
    /// Nothing has come.
    pub(crate) fn new() -> Arrivals {
        Arrivals {
            seen: vec![0; (LOAD_KNOWN / 64) as usize],
            next: 0,
            received: 0,
            duplicates: 0,
            reordered: 0,
            transit: None,
            jitter: 0.0,
        }
    }

    /// Datagram `number` has come, `transit` nanoseconds after it was sent; the clocks need not agree,
    /// for only differences count. False where it had come before.
    pub(crate) fn arrive(&mut self, number: u64, transit: u64) -> bool {
        if number >= self.next {
            self.forget(number);
        } else if self.next - number > LOAD_KNOWN || self.bit(number) {
            // So old that nobody knows: a second coming is likelier than so long a way.
            self.duplicates += 1;
            return false;
        } else {
            self.reordered += 1;
        }
        self.seen[(number % LOAD_KNOWN / 64) as usize] |= 1 << (number % 64);
        self.received += 1;
        if let Some(last) = self.transit.replace(transit) {
            // RFC 3550, section 6.4.1: J += (|D| - J) / 16.
            self.jitter += (transit.abs_diff(last) as f64 - self.jitter) / 16.0;
        }
        true
    }

    /// The figures, where `sent` have left.
    pub(crate) fn figures(&self, sent: u64) -> Datagrams {
        Datagrams {
            sent,
            received: self.received,
            lost: sent.saturating_sub(self.received),
            duplicates: self.duplicates,
            reordered: self.reordered,
            dropped_here: 0,
            jitter: Duration::from_nanos(self.jitter as u64),
        }
    }

    fn bit(&self, number: u64) -> bool {
        self.seen[(number % LOAD_KNOWN / 64) as usize] & (1 << (number % 64)) != 0
    }

    /// Makes `number` the highest: those between are not there yet.
    fn forget(&mut self, number: u64) {
        if number - self.next >= LOAD_KNOWN {
            self.seen.fill(0);
        } else {
            for skipped in self.next..number {
                self.seen[(skipped % LOAD_KNOWN / 64) as usize] &= !(1 << (skipped % 64));
            }
        }
        self.next = number + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after(numbers: impl IntoIterator<Item = u64>, sent: u64) -> Datagrams {
        let mut arrivals = Arrivals::new();
        for number in numbers {
            arrivals.arrive(number, 7);
        }
        arrivals.figures(sent)
    }

    /// B4: loss, order and duplicates, exactly.
    #[test]
    fn figures() {
        let all = after([0, 1, 2, 4, 3, 3, 6], 8);
        let want = Datagrams {
            sent: 8,
            received: 6,
            lost: 2,
            duplicates: 1,
            reordered: 1,
            dropped_here: 0,
            jitter: Duration::ZERO,
        };
        assert_eq!(all, want);
        // Round and round the known numbers, with every third one missing.
        let some = after((0..5 * LOAD_KNOWN).filter(|number| number % 3 != 0), 5 * LOAD_KNOWN);
        assert_eq!((some.duplicates, some.reordered), (0, 0));
        assert_eq!(
            some.lost,
            5 * LOAD_KNOWN - (0..5 * LOAD_KNOWN).filter(|n| n % 3 != 0).count() as u64
        );
        // A gap longer than what is known, and one that comes too late to be known.
        let late = after([0, 3 * LOAD_KNOWN, 3 * LOAD_KNOWN - 1, 1], 3 * LOAD_KNOWN + 1);
        assert_eq!((late.received, late.reordered, late.duplicates), (3, 1, 1));
    }

    /// B4: jitter as RFC 3550 has it: constant transit has none, and a change of 16 µs counts as 1.
    #[test]
    fn jitter() {
        let mut arrivals = Arrivals::new();
        for number in 0..100 {
            arrivals.arrive(number, 1_000_000);
        }
        assert_eq!(arrivals.figures(100).jitter, Duration::ZERO);
        arrivals.arrive(100, 1_016_000);
        assert_eq!(arrivals.figures(101).jitter, Duration::from_micros(1));
        for number in 101..1000 {
            arrivals.arrive(number, number % 2 * 10_000);
        }
        let jitter = arrivals.figures(1000).jitter;
        assert!(jitter > Duration::from_nanos(9_990) && jitter <= Duration::from_micros(10));
    }
}
