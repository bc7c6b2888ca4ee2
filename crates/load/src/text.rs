//! What is sent and what is to come back: one endless text of letters, of which every request is a
//! different piece.

use std::ops::Range;

use crate::plan::Verify;

/// After so many letters the text begins again. Two primes above the most requests in flight
/// ([`sockeye_limits::LOAD_DEPTH_MAX`]), so that no two of those are alike; a request as long as a
/// multiple of one takes the other. Small, so that both texts stay in the processor's first cache.
const PERIODS: [usize; 2] = [4_099, 4_111];

const _: () = assert!(PERIODS[0] > sockeye_limits::LOAD_DEPTH_MAX);

/// So many letters tell for certain where in the text they stand.
const TELLING: usize = 8;

/// The text and its answer. A connection sends it from its own place on without a gap, so that a
/// request is a slice of it, several requests are one slice, and an answer is right where it is equal
/// to the slice behind the answers before it. Swapped, missing and foreign answers are all unequal.
#[derive(Debug)]
pub(crate) struct Text {
    period: usize,
    /// Bytes of one request.
    size: usize,
    sent: Vec<u8>,
    /// None where answers are not looked at.
    expected: Option<Vec<u8>>,
}

/// What is wrong with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It stands elsewhere in the text: the answer to another request.
    OutOfOrder,
    /// It is what was sent, where upper case was to come.
    Unchanged,
    /// It stands nowhere in the text.
    Wrong,
}

impl Text {
    /// A text whose slices are at most `longest` bytes, for requests of `size`.
    pub(crate) fn new(size: usize, longest: usize, verify: Verify) -> Text {
        let period = match size % PERIODS[0] {
            0 => PERIODS[1],
            _ => PERIODS[0],
        };
        let sent: Vec<u8> = letters().take(period).collect::<Vec<_>>();
        let sent: Vec<u8> = sent.iter().copied().cycle().take(period + longest).collect();
        let expected = match verify {
            Verify::Upper => Some(sent.to_ascii_uppercase()),
            Verify::Echo => Some(sent.clone()),
            Verify::None => None,
        };
        Text { period, size, sent, expected }
    }

    /// Bytes of one request.
    pub(crate) fn size(&self) -> u64 {
        self.size as u64
    }

    /// How many of so many bytes fit one slice.
    pub(crate) fn piece(&self, length: u64) -> usize {
        let longest = self.sent.len() - self.period;
        usize::try_from(length).map_or(longest, |length| length.min(longest))
    }

    /// Where in the text connection `number` begins: neighbours stand far apart.
    pub(crate) fn start(&self, number: u64) -> u64 {
        number.wrapping_mul(7919) % self.period as u64
    }

    /// The slice of what is sent, from this place on.
    pub(crate) fn to_send(&self, place: u64, length: usize) -> &[u8] {
        &self.sent[self.slice(place, length)]
    }

    /// Compares what came with what was to come from this place on. Gives how many bytes are right,
    /// and what is wrong behind them.
    pub(crate) fn compare(&self, place: u64, came: &[u8]) -> Result<(), (usize, Fault)> {
        let Some(expected) = &self.expected else { return Ok(()) };
        let right = &expected[self.slice(place, came.len())];
        if right == came {
            return Ok(());
        }
        let at = came.iter().zip(right).take_while(|(came, right)| came == right).count();
        Err((at, self.fault(place + at as u64, &came[at..])))
    }

    fn fault(&self, place: u64, came: &[u8]) -> Fault {
        let Some(expected) = &self.expected else { return Fault::Wrong };
        let telling = &came[..came.len().min(self.size).min(TELLING)];
        if telling == self.to_send(place, telling.len()) {
            return Fault::Unchanged;
        }
        let elsewhere = &expected[..self.period + telling.len() - 1];
        // A few letters stand somewhere by chance.
        let tells = telling.len() == TELLING;
        match tells && elsewhere.windows(TELLING).any(|window| window == telling) {
            true => Fault::OutOfOrder,
            false => Fault::Wrong,
        }
    }

    fn slice(&self, place: u64, length: usize) -> Range<usize> {
        let from = (place % self.period as u64) as usize;
        from..from + length
    }
}

/// Letters without an end and without a pattern: splitmix64 (Steele, Lea, Flood: Fast splittable
/// pseudorandom number generators, 2014), the same ones in each run.
fn letters() -> impl Iterator<Item = u8> {
    let mut state = 0_u64;
    std::iter::repeat_with(move || {
        state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = state;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        b'a' + ((mixed ^ (mixed >> 31)) % 26) as u8
    })
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// B1: eight letters stand at one place of the text only, so that no answer passes for another.
    #[test]
    fn places() {
        for size in [64, PERIODS[0]] {
            let text = Text::new(size, 100, Verify::Upper);
            let windows = text.sent[..text.period + TELLING - 1].windows(TELLING);
            assert_eq!(windows.collect::<HashSet<_>>().len(), text.period);
        }
    }

    /// B1: right answers pass, over the end of the text too; swapped ones, unchanged ones and one
    /// flipped byte do not, and are told apart.
    #[test]
    fn faults() {
        let text = Text::new(64, 1000, Verify::Upper);
        for place in [0, 63, text.period as u64 - 3, 5 * text.period as u64 + 7] {
            let right = text.to_send(place, 1000).to_ascii_uppercase();
            assert_eq!(text.compare(place, &right), Ok(()));
            assert_eq!(text.compare(place, &right[..1]), Ok(()));
            let mut swapped = right.clone();
            swapped[..128].rotate_left(64);
            let (at, fault) = text.compare(place, &swapped).unwrap_err();
            assert!(at < 8 && fault == Fault::OutOfOrder, "{at} {fault:?}");
            let mut flipped = right.clone();
            flipped[700] ^= 1;
            assert_eq!(text.compare(place, &flipped), Err((700, Fault::Wrong)));
            let echoed = text.to_send(place, 1000);
            assert_eq!(text.compare(place, echoed), Err((0, Fault::Unchanged)));
        }
        assert_eq!(Text::new(64, 100, Verify::None).compare(0, b"anything"), Ok(()));
    }

    /// B1: a missing answer is noticed at the next one, even of requests as long as the text.
    #[test]
    fn missing() {
        for size in [16, PERIODS[0], PERIODS[1], 2 * PERIODS[0]] {
            let text = Text::new(size, size, Verify::Echo);
            let second = text.to_send(size as u64, size);
            let (at, fault) = text.compare(0, second).unwrap_err();
            assert!(at < 8 && fault == Fault::OutOfOrder, "{size}: {at} {fault:?}");
        }
    }
}
