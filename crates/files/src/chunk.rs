//! Cuts a file into chunks whose borders its content decides (FastCDC, 2020), so that an insertion
//! moves only the borders beside it.

use std::io::{self, Read};

use fastcdc::v2020::{Normalization, cut, select_masks};
use sockeye_wire::files::Chunk;

/// The lengths of a file's chunks, in bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sizes {
    /// The shortest, but for the last one.
    pub(crate) min: usize,
    /// What most are near to.
    pub(crate) avg: usize,
    /// The longest.
    pub(crate) max: usize,
}

/// The shortest average.
const AVG_LEAST: u64 = 16 * 1024;
/// The longest; beyond 256 GiB there are more chunks, not longer ones.
const AVG_MOST: u64 = 4 * 1024 * 1024;
/// How many chunks of the average length a file has at most, up to those 256 GiB.
const COUNT: u64 = 64 * 1024;

/// How a file of this length is cut. Both sides go by the length that was listed.
pub(crate) fn sizes(file_size: u64) -> Sizes {
    let avg = (file_size.div_ceil(COUNT)).clamp(AVG_LEAST, AVG_MOST).next_power_of_two() as usize;
    // Twice the average is enough for nearly all, and one chunk is in memory at a time.
    Sizes { min: avg / 4, avg, max: (avg * 4).min(8 * 1024 * 1024) }
}

/// What stands for these bytes, not empty and at most [`Sizes::max`].
pub(crate) fn chunk(bytes: &[u8]) -> Chunk {
    let hash = blake3::hash(bytes);
    let (half, _) = hash.as_bytes().split_at(16);
    // No chunk is longer than 8 MiB; a hash has 32 bytes.
    Chunk { length: bytes.len() as u32, hash: half.try_into().unwrap_or_default() }
}

/// The chunks of a stream, one after another, in one buffer.
pub(crate) struct Chunks<R> {
    input: R,
    sizes: Sizes,
    masks: (u64, u64),
    buffer: Vec<u8>,
    /// What is in `buffer[start..end]` was read and not handed out.
    start: usize,
    end: usize,
    ended: bool,
}

impl<R: Read> Chunks<R> {
    /// Cuts what is read from `input`; `file_size` is the length that was listed.
    pub(crate) fn new(input: R, file_size: u64) -> Chunks<R> {
        let sizes = sizes(file_size);
        let buffer = vec![0; 2 * sizes.max.max(256 * 1024)];
        let masks = select_masks(sizes.avg, Normalization::Level1);
        Chunks { input, sizes, masks, buffer, start: 0, end: 0, ended: false }
    }

    /// The next chunk; `None` at the end.
    ///
    /// # Errors
    /// Those of the input.
    pub(crate) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        while self.end - self.start < self.sizes.max && !self.ended {
            self.fill()?;
        }
        if self.start == self.end {
            return Ok(None);
        }
        let Sizes { min, avg, max } = self.sizes;
        let (strict, loose) = self.masks;
        let window = &self.buffer[self.start..self.end];
        let (_, length) = cut(window, min, avg, max, strict, loose, strict << 1, loose << 1);
        let chunk = self.start..self.start + length;
        self.start = chunk.end;
        Ok(Some(&self.buffer[chunk]))
    }

    fn fill(&mut self) -> io::Result<()> {
        if self.buffer.len() - self.start < self.sizes.max {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        match self.input.read(&mut self.buffer[self.end..]) {
            Ok(0) => self.ended = true,
            Ok(count) => self.end += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::HashSet;

    pub(super) fn noise(length: usize, seed: u64) -> Vec<u8> {
        let mut out = vec![0; length];
        blake3::Hasher::new().update(&seed.to_be_bytes()).finalize_xof().fill(&mut out);
        out
    }

    fn all(data: &[u8], size: u64) -> Vec<Chunk> {
        let mut chunks = Chunks::new(data, size);
        let mut out = Vec::new();
        while let Some(bytes) = chunks.next().unwrap() {
            out.push(chunk(bytes));
        }
        out
    }

    /// Bytes of chunks of `new` that `old` does not have, and bytes that told the chunks of `old`.
    fn cost(old: &[u8], new: &[u8]) -> (u64, u64) {
        let size = new.len() as u64;
        let basis = all(old, size);
        let known: HashSet<_> = basis.iter().map(|chunk| chunk.hash).collect();
        let missing = all(new, size).into_iter().filter(|chunk| !known.contains(&chunk.hash));
        (missing.map(|chunk| u64::from(chunk.length)).sum(), 20 * basis.len() as u64)
    }

    #[test]
    fn sizes_grow_with_the_file() {
        assert_eq!(sizes(0), Sizes { min: 4 << 10, avg: 16 << 10, max: 64 << 10 });
        assert_eq!(sizes(1 << 30).avg, 16 << 10);
        assert_eq!(sizes((1 << 30) + 1).avg, 32 << 10);
        assert_eq!(sizes(u64::MAX), Sizes { min: 1 << 20, avg: 4 << 20, max: 8 << 20 });
    }

    /// F4: a small change in a large file costs little more than the change.
    #[test]
    fn a_change_moves_only_what_is_beside_it() {
        let old = noise(8 << 20, 1);
        let mut changed = old.clone();
        changed[4 << 20] ^= 1;
        assert!(cost(&old, &changed).0 < 128 << 10);
        let inserted = [b"front".as_slice(), &old].concat();
        assert!(cost(&old, &inserted).0 < 128 << 10);
        assert_eq!(cost(&old, &old).0, 0);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        /// Chunks are the whole of a file in order, and do not depend on how it is read.
        #[test]
        fn nothing_is_lost(length in 0_usize..900_000, seed: u64, piece in 1_usize..100_000) {
            struct Trickle<'a>(&'a [u8], usize);
            impl Read for Trickle<'_> {
                fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                    let most = into.len().min(self.1);
                    self.0.read(&mut into[..most])
                }
            }
            let data = noise(length, seed);
            let mut chunks = Chunks::new(Trickle(&data, piece), length as u64);
            let (mut joined, mut slow) = (Vec::new(), Vec::new());
            while let Some(bytes) = chunks.next().unwrap() {
                prop_assert!(bytes.len() <= sizes(length as u64).max);
                joined.extend_from_slice(bytes);
                slow.push(chunk(bytes));
            }
            prop_assert_eq!(&joined, &data);
            prop_assert_eq!(slow, all(&data, length as u64));
        }
    }

    /// What changes cost, for bench/RESULTS.md: `cargo test --release -- --ignored --nocapture`.
    #[test]
    #[ignore = "prints figures"]
    fn figures() {
        let old = noise(256 << 20, 7);
        let mut one = old.clone();
        one[100 << 20] ^= 1;
        let front = [b"x".as_slice(), &old].concat();
        let mut many = old.clone();
        for n in 0..100_u64 {
            let at = blake3::hash(&n.to_be_bytes());
            let at = u64::from_be_bytes(at.as_bytes()[..8].try_into().unwrap()) as usize;
            let length = many.len();
            many[at % length] ^= 1;
        }
        for (what, new) in [("one byte", &one), ("insert at the front", &front), ("100", &many)] {
            let started = std::time::Instant::now();
            let (data, basis) = cost(&old, new);
            println!("{what}: data {data}, basis {basis}, {:?} both sides", started.elapsed());
        }
    }
}
