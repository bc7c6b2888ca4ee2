//! Sequence numbers: arithmetic modulo 2³² (RFC 9293, section 3.4), and what is missing between them.

use sockeye_limits as limits;

/// True where `a` comes before `b`.
pub(super) fn before(a: u32, b: u32) -> bool {
    a.wrapping_sub(b) > u32::MAX / 2
}

/// True where `a` is `b` or comes after it.
pub(super) fn reaches(a: u32, b: u32) -> bool {
    !before(a, b)
}

/// True where `a` is no further from `b` than the largest window, forwards or back. What is further
/// away belongs to no honest sender.
pub(super) fn near(a: u32, b: u32) -> bool {
    let apart = a.wrapping_sub(b);
    apart.min(apart.wrapping_neg()) <= limits::TCP_WINDOW_MAX
}

/// Ranges of sequence numbers that were skipped and not seen yet, in order.
#[derive(Debug, Default)]
pub(super) struct Holes(Vec<(u32, u32)>);

impl Holes {
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// From `start` to `end` (exclusive) was skipped. Of too many holes the oldest is forgotten.
    pub(super) fn open(&mut self, start: u32, end: u32) {
        if self.0.len() == limits::TRACE_HOLES {
            self.0.remove(0);
        }
        self.0.push((start, end));
    }

    /// From `start` to `end` (exclusive) was seen.
    pub(super) fn fill(&mut self, start: u32, end: u32) {
        let mut left = Vec::with_capacity(self.0.len() + 1);
        for &(from, to) in &self.0 {
            if reaches(from, end) || reaches(start, to) {
                left.push((from, to));
                continue;
            }
            if before(from, start) {
                left.push((from, start));
            }
            if before(end, to) {
                left.push((end, to));
            }
        }
        left.truncate(limits::TRACE_HOLES);
        self.0 = left;
    }

    /// True where something from `start` to `end` (exclusive) is missing.
    pub(super) fn touches(&self, start: u32, end: u32) -> bool {
        self.0.iter().any(|&(from, to)| before(from, end) && before(start, to))
    }

    /// Everything before `end` has arrived, whether it was seen or not.
    pub(super) fn close_before(&mut self, end: u32) {
        self.0.retain_mut(|(from, to)| {
            if before(*from, end) {
                *from = end;
            }
            before(*from, *to)
        });
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// O1: order and distance across the wrap.
    #[test]
    fn wraps() {
        assert!(before(u32::MAX, 0) && before(0xffff_fff0, 5) && !before(5, 0xffff_fff0));
        assert!(reaches(7, 7) && near(3, u32::MAX) && near(u32::MAX, 3) && !near(0, 1 << 31));
    }

    proptest! {
        /// O1: holes are what a set of the missing numbers would say, across the wrap too.
        #[test]
        fn holes_are_a_set(
            base in any::<u32>(),
            pieces in proptest::collection::vec((0u32..40, 1u32..10), 0..30),
        ) {
            let mut holes = Holes::default();
            holes.open(base, base.wrapping_add(50));
            let mut missing: std::collections::BTreeSet<u32> = (0..50).collect();
            for (start, length) in pieces {
                let range = start..start + length;
                let expected = range.filter(|number| missing.remove(number)).count() > 0;
                let (from, to) = (base.wrapping_add(start), base.wrapping_add(start + length));
                prop_assert_eq!(holes.touches(from, to), expected);
                holes.fill(from, to);
                let left: u32 = holes.0.iter().map(|(from, to)| to.wrapping_sub(*from)).sum();
                prop_assert_eq!(left as usize, missing.len());
            }
        }
    }
}
