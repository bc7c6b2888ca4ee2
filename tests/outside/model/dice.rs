//! Chance by number: one seed, one scenario.

use crate::harness::bytes::Random;

/// Random choices that a seed determines.
pub(super) struct Dice(Random);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        // Neighbouring seeds shall have nothing in common (SplitMix64).
        let mut word = seed.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        word = (word ^ (word >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        Dice(Random::new(word ^ (word >> 31)))
    }

    /// A number below `end`.
    pub(super) fn below(&mut self, end: usize) -> usize {
        let bytes = self.0.bytes(8);
        let word = bytes.iter().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
        usize::try_from(word % end as u64).expect("below a usize")
    }

    /// True once in so many times.
    pub(super) fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    pub(super) fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    /// A length: often small, now and then as large as `most`.
    pub(super) fn length(&mut self, most: usize) -> usize {
        let most = match self.below(4) {
            0 => 4,
            1 => most / 100,
            2 => most / 10,
            _ => most,
        };
        self.below(most + 1)
    }
}
