//! A content on its way in pieces: cut at the ends of segments, proved, and compressed where that
//! helps.

use std::fs::File;
use std::io;

use sockeye_limits as limits;
use sockeye_wire::files::{FromSender, Hash, Time, codec, segment};

use super::link::Link;
use super::pack::Packer;
use crate::engine::{Happening, Stopped};
use crate::hash::Prover;

/// How a content begins.
pub(super) struct Start<'m> {
    pub(super) file: u32,
    pub(super) mtime: Time,
    pub(super) size: Option<u64>,
    /// What the receiver has of it, from the beginning.
    pub(super) marks: &'m [Hash],
}

pub(super) struct Flow<'f, 'a> {
    link: &'f mut Link<'a>,
    packer: &'f mut Packer,
    prover: Prover,
    file: u32,
    size: Option<u64>,
    /// A copy that the next one may make longer: where, and how long.
    copy: Option<(u64, u64)>,
}

impl<'f, 'a> Flow<'f, 'a> {
    /// Says that it begins.
    pub(super) fn begin(
        start: Start<'_>,
        link: &'f mut Link<'a>,
        packer: &'f mut Packer,
    ) -> Result<Flow<'f, 'a>, Stopped> {
        let Start { file, mtime, size, marks } = start;
        let prover = Prover::resume(segment(size.unwrap_or(0)), marks);
        let from = prover.at();
        link.say(&FromSender::Begin { file, mtime, size, from })?;
        if from > 0 {
            link.tell(Happening::Moved { bytes: from });
        }
        Ok(Flow { link, packer, prover, file, size, copy: None })
    }

    /// Where it stands.
    pub(super) fn at(&self) -> u64 {
        self.prover.at()
    }

    /// True where the receiver wants no more of it.
    pub(super) fn is_enough(&mut self) -> Result<bool, Stopped> {
        self.link.is_enough(self.file)
    }

    /// Reads and sends the next bytes of a file, at most so many; how many, 0 at its end.
    pub(super) fn read(&mut self, file: &File, most: u64) -> Result<io::Result<u64>, Stopped> {
        self.end_copy()?;
        let most = most.min(self.prover.room()).min(limits::FRAME_DATA_MAX as u64);
        // At most what a frame takes.
        let count = match self.link.read_piece(file, most as usize) {
            Ok(0) => return Ok(Ok(0)),
            Ok(count) => count,
            Err(error) => return Ok(Err(error)),
        };
        let mark = self.prover.update(self.link.piece(count));
        self.say_piece(count)?;
        self.moved(count as u64, mark)?;
        Ok(Ok(count as u64))
    }

    /// Sends these bytes.
    pub(super) fn data(&mut self, mut bytes: &[u8]) -> Result<(), Stopped> {
        self.end_copy()?;
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at(self.fits(bytes.len() as u64));
            bytes = rest;
            let mark = self.prover.update(piece);
            match self.packs().then(|| self.packer.pack(piece)).flatten() {
                Some(packed) => self.say_packed(piece.len(), packed)?,
                None => {
                    let out = self.link.out();
                    out.extend_from_slice(&codec::data_header(piece.len()));
                    out.extend_from_slice(piece);
                    self.link.said_piece(piece.len())?;
                }
            }
            self.moved(piece.len() as u64, mark)?;
        }
        Ok(())
    }

    /// So many zeros that need no space.
    pub(super) fn hole(&mut self, mut length: u64) -> Result<(), Stopped> {
        self.end_copy()?;
        while length > 0 {
            let piece = length.min(self.prover.room()).min(limits::HOLE_BYTES);
            let mark = self.prover.zeros(piece);
            self.link.say(&FromSender::Hole(piece))?;
            self.moved(piece, mark)?;
            length -= piece;
        }
        Ok(())
    }

    /// The receiver has these bytes at `offset` of its old file.
    pub(super) fn copy(&mut self, mut offset: u64, mut bytes: &[u8]) -> Result<(), Stopped> {
        while !bytes.is_empty() {
            let length = self.prover.room().min(bytes.len() as u64);
            let (piece, rest) = bytes.split_at(length as usize);
            let mark = self.prover.update(piece);
            match &mut self.copy {
                Some((from, so_far)) if *from + *so_far == offset => *so_far += length,
                _ => {
                    self.end_copy()?;
                    self.copy = Some((offset, length));
                }
            }
            if mark.is_some() {
                self.end_copy()?;
            }
            self.moved(length, mark)?;
            (offset, bytes) = (offset + length, rest);
        }
        Ok(())
    }

    /// Sends what is written.
    pub(super) fn flush(&mut self) -> Result<(), Stopped> {
        self.link.flush()
    }

    /// Says that it is whole; how long it is.
    pub(super) fn close(mut self) -> Result<u64, Stopped> {
        self.end_copy()?;
        let size = self.prover.at();
        self.link.say(&FromSender::Close { hash: self.prover.finish() })?;
        Ok(size)
    }

    fn fits(&self, length: u64) -> usize {
        // At most what a frame takes.
        length.min(self.prover.room()).min(limits::FRAME_DATA_MAX as u64) as usize
    }

    fn end_copy(&mut self) -> Result<(), Stopped> {
        match self.copy.take() {
            Some((offset, length)) => self.link.say(&FromSender::Copy { offset, length }),
            None => Ok(()),
        }
    }

    /// Says the piece that was read last, made smaller where that pays.
    fn say_piece(&mut self, length: usize) -> Result<(), Stopped> {
        match self.packs().then(|| self.packer.pack(self.link.piece(length))).flatten() {
            Some(packed) => self.say_packed(length, packed),
            None => self.link.say_piece(length),
        }
    }

    /// True where it may pay to make pieces smaller.
    fn packs(&mut self) -> bool {
        self.packer.is_wanted(self.link.waited())
    }

    /// Says a piece of so many bytes that was made smaller.
    fn say_packed(&mut self, length: usize, bytes: Vec<u8>) -> Result<(), Stopped> {
        // At most what a frame takes.
        let packed = FromSender::Packed { length: length as u32, bytes };
        packed.put(self.link.out());
        if let FromSender::Packed { bytes, .. } = packed {
            self.packer.reuse(bytes);
        }
        self.link.said_piece(length)
    }

    /// So many bytes went, and perhaps a segment ended with them.
    fn moved(&mut self, bytes: u64, mark: Option<Hash>) -> Result<(), Stopped> {
        self.link.tell(Happening::Moved { bytes });
        match mark {
            // The end is proved by the hash of the whole.
            Some(mark) if self.size != Some(self.prover.at()) => {
                self.link.say(&FromSender::Mark(mark))
            }
            _ => Ok(()),
        }
    }
}
