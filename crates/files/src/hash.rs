//! Proves a file piece by piece: BLAKE3 as the tree that it is, a chaining value for each segment.
//!
//! An aligned segment of a power of two bytes is one subtree of the file's hash (BLAKE3 paper,
//! section 2.1), so its chaining value proves it by itself, and all of them together give the plain
//! hash of the file without reading it again.

use blake3::Hasher;
use blake3::hazmat::{HasherExt, Mode, merge_subtrees_non_root, merge_subtrees_root};
use sockeye_wire::files::Hash;

/// The hash of a file that comes in order, with a mark at the end of each segment.
pub(crate) struct Prover {
    segment: u64,
    tree: Tree,
    /// Of the segment that is open, or of the last one where it ends exactly there: it may be the
    /// whole file, which is hashed differently.
    hasher: Hasher,
    /// Bytes in that segment.
    filled: u64,
    /// Bytes before it.
    before: u64,
}

/// The chaining values of whole segments, merged as far as what follows cannot change it.
#[derive(Default)]
struct Tree {
    stack: Vec<Hash>,
    count: u64,
}

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

impl Prover {
    /// Begins with the first byte; `segment` is what [`sockeye_wire::files::segment`] says.
    pub(crate) fn new(segment: u64) -> Prover {
        Prover { segment, tree: Tree::default(), hasher: Hasher::new(), filled: 0, before: 0 }
    }

    /// Begins behind as many whole segments as there are marks, and takes them as proof.
    pub(crate) fn resume(segment: u64, marks: &[Hash]) -> Prover {
        let mut prover = Prover::new(segment);
        if let Some((last, others)) = marks.split_last() {
            others.iter().for_each(|mark| prover.tree.push(*mark));
            prover.tree.push(*last);
            prover.before = segment * marks.len() as u64;
            prover.hasher.set_input_offset(prover.before);
        }
        prover
    }

    /// How many bytes there have been, with those that marks stood for.
    pub(crate) fn at(&self) -> u64 {
        self.before + self.filled
    }

    /// How many bytes fit up to the next mark; not 0.
    pub(crate) fn room(&self) -> u64 {
        self.segment - self.filled % self.segment
    }

    /// Takes the next bytes, at most as many as there is [room](Prover::room) for; the mark of the
    /// segment that they fill.
    ///
    /// A file of one segment, or one that ends with a whole segment, gets a last mark as well. The
    /// other side does not want it.
    pub(crate) fn update(&mut self, bytes: &[u8]) -> Option<Hash> {
        if bytes.is_empty() {
            return None;
        }
        self.open();
        self.hasher.update(bytes);
        self.filled += bytes.len() as u64;
        (self.filled == self.segment).then(|| self.hasher.finalize_non_root())
    }

    /// Like [`update`](Prover::update), with so many zeros.
    pub(crate) fn zeros(&mut self, mut length: u64) -> Option<Hash> {
        let mut mark = None;
        while length > 0 {
            let piece = length.min(ZEROS.len() as u64);
            mark = self.update(&ZEROS[..piece as usize]);
            length -= piece;
        }
        mark
    }

    /// Puts a full segment behind us.
    fn open(&mut self) {
        if self.filled < self.segment {
            return;
        }
        self.tree.push(self.hasher.finalize_non_root());
        self.before += self.filled;
        self.filled = 0;
        // `Hasher::reset` keeps the old offset, and refuses another one.
        self.hasher = Hasher::new();
        self.hasher.set_input_offset(self.before);
    }

    /// The hash of all of it: what `b3sum` says of the file.
    pub(crate) fn finish(self) -> Hash {
        let Prover { mut tree, hasher, filled, before, .. } = self;
        if before == 0 {
            return *hasher.finalize().as_bytes();
        }
        if filled > 0 {
            tree.push(hasher.finalize_non_root());
        }
        tree.root()
    }
}

impl Tree {
    /// Takes the chaining value of the next segment.
    fn push(&mut self, value: Hash) {
        // As late as possible: if nothing follows, the last merge makes the root, which is another.
        while self.stack.len() > self.count.count_ones() as usize {
            self.merge();
        }
        self.stack.push(value);
        self.count += 1;
    }

    fn merge(&mut self) {
        if let (Some(right), Some(left)) = (self.stack.pop(), self.stack.pop()) {
            self.stack.push(merge_subtrees_non_root(&left, &right, Mode::Hash));
        }
    }

    /// The root of two values or more. Of a single one there is none: that would need the bytes.
    fn root(mut self) -> Hash {
        while self.stack.len() > 2 {
            self.merge();
        }
        match self.stack[..] {
            [left, right] => *merge_subtrees_root(&left, &right, Mode::Hash).as_bytes(),
            [only] => only,
            _ => *blake3::hash(b"").as_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|n| (n * 31 + n / 251) as u8).collect()
    }

    /// All marks and the hash, with the bytes given in pieces of at most `piece`.
    fn prove(mut prover: Prover, mut data: &[u8], piece: usize) -> (Vec<Hash>, Hash) {
        let mut marks = Vec::new();
        while !data.is_empty() {
            let length = piece.min(data.len()).min(prover.room() as usize);
            marks.extend(prover.update(&data[..length]));
            data = &data[length..];
        }
        (marks, prover.finish())
    }

    /// F2: what ends a content is the plain hash of the file, whatever its length.
    #[test]
    fn borders() {
        for segment in [1024, 2048, 16384_usize] {
            let near = |n: usize| [n.saturating_sub(1), n, n + 1];
            let lengths = [0, 1024, segment, 2 * segment, 3 * segment, 4 * segment, 7 * segment];
            for length in lengths.into_iter().flat_map(near) {
                let data = bytes(length);
                let (marks, hash) = prove(Prover::new(segment as u64), &data, 700);
                assert_eq!(hash, *blake3::hash(&data).as_bytes(), "{length} in {segment}");
                assert_eq!(marks.len(), length / segment);
                for known in 0..marks.len() {
                    let from = known * segment;
                    if from == length {
                        continue;
                    }
                    let prover = Prover::resume(segment as u64, &marks[..known]);
                    assert_eq!(prover.at(), from as u64);
                    assert_eq!(prove(prover, &data[from..], 5000), (marks[known..].to_vec(), hash));
                }
            }
        }
    }

    /// F5: holes are part of the hash.
    #[test]
    fn zeros_count() {
        let mut data = bytes(3000);
        data.resize(4096, 0);
        let mut prover = Prover::new(4096);
        assert!(prover.update(&data[..3000]).is_none());
        assert!(prover.zeros(1096).is_some());
        assert!(prover.zeros(100).is_none());
        data.resize(4196, 0);
        assert_eq!(prover.finish(), *blake3::hash(&data).as_bytes());
    }

    proptest! {
        /// F4: marks stand for the segments that they prove, at any point.
        #[test]
        fn any_length(length in 0_usize..70_000, piece in 1_usize..9000, power in 10_u32..14) {
            let segment = 1_usize << power;
            let data = bytes(length);
            let (marks, hash) = prove(Prover::new(segment as u64), &data, piece);
            prop_assert_eq!(hash, *blake3::hash(&data).as_bytes());
            let known = length.saturating_sub(1) / segment;
            let prover = Prover::resume(segment as u64, &marks[..known]);
            prop_assert_eq!(prove(prover, &data[known * segment..], piece).1, hash);
        }
    }
}
