//! Whole frames on their way, with the memory that they lie in: a large piece of content stays where
//! it was read to.

use sockeye_limits as limits;
use sockeye_net::Pages;
use sockeye_wire::files::codec;

/// What goes to the other side at once.
#[derive(Debug, Default)]
pub struct Parcel {
    frames: Vec<u8>,
    /// The kernel copies a file to the start of a page much faster than elsewhere.
    pages: Pages,
    /// How many bytes there are the last frame's payload.
    piece: usize,
}

impl Parcel {
    /// Its bytes in order; one of the two may be empty.
    pub fn bytes(&self) -> [&[u8]; 2] {
        [&self.frames, &self.pages[..self.piece]]
    }

    /// True where nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Forgets what is in it, and keeps the memory.
    pub fn clear(&mut self) {
        self.frames.clear();
        self.piece = 0;
    }

    /// Where frames are gathered.
    pub(crate) fn frames(&mut self) -> &mut Vec<u8> {
        &mut self.frames
    }

    /// Where a piece of content is read to: as much as a frame takes.
    pub(crate) fn room(&mut self) -> &mut [u8] {
        if self.pages.is_empty() {
            self.pages = Pages::new(limits::FRAME_DATA_MAX);
        }
        &mut self.pages
    }

    /// So many bytes of the room.
    pub(crate) fn piece(&self, length: usize) -> &[u8] {
        &self.pages[..length]
    }

    /// Gathers so many bytes of the room as a frame.
    pub(crate) fn gather_piece(&mut self, length: usize) {
        self.frames.extend_from_slice(&codec::data_header(length));
        self.frames.extend_from_slice(&self.pages[..length]);
    }

    /// So many bytes of the room are the last frame of this, as they lie there. Sent behind their header,
    /// they begin a record of TLS, and the other side can read them to where they stay.
    pub(crate) fn end_with_piece(&mut self, length: usize) {
        self.frames.extend_from_slice(&codec::data_header(length));
        self.piece = length;
    }
}

impl From<Vec<u8>> for Parcel {
    fn from(frames: Vec<u8>) -> Parcel {
        Parcel { frames, ..Parcel::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P8: a piece goes out behind its header and what was said before.
    #[test]
    fn in_order() {
        let mut parcel = Parcel::default();
        for said in [0, 37, 10_000] {
            assert!(parcel.is_empty());
            parcel.frames().extend(std::iter::repeat_n(1, said));
            parcel.room()[..300].fill(2);
            assert_eq!(parcel.piece(300), [2; 300]);
            parcel.end_with_piece(300);
            assert!(!parcel.is_empty());
            let expected = [&vec![1; said][..], &codec::data_header(300), &[2; 300]].concat();
            assert_eq!(parcel.bytes().concat(), expected, "behind {said}");
            parcel.clear();
        }
        assert_eq!(Parcel::from(vec![3]).bytes(), [&[3][..], &[]]);
    }
}
