//! Contents that may be here already (`--checksum`): compared with the file in their place while they
//! come, and written aside only from where they differ.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::fstat;
use sockeye_wire::files::{Hash, Note, Time, segment};

use super::Receiver;
use super::content::{Awaited, Content, PIECE, PRIVATE};
use super::words::{UNPROVED, UNWRITTEN, cannot};
use crate::engine::Stopped;
use crate::hash::Prover;

/// All of a content so far is what is here in its place; nothing is made.
#[derive(Default)]
pub(super) struct Same {
    /// How much of it the sender told as copies.
    copied: u64,
}

/// What comes of a content.
pub(super) enum Piece<'p> {
    Bytes(&'p [u8]),
    Zeros(u64),
    /// From here in the file that is here.
    Old {
        offset: u64,
        length: u64,
    },
}

impl Receiver<'_> {
    /// A content begins of which all may be here.
    pub(super) fn begin_same(
        &mut self,
        file: Awaited,
        number: u32,
        mtime: Time,
        size: Option<u64>,
    ) -> Result<(), Stopped> {
        let is_listed = (size, mtime) == (file.size, file.meta.mtime);
        let prover = Prover::new(segment(size.unwrap_or(0)));
        let same = Some(Same::default());
        let (mark, aside, length) = (None, None, 0);
        let content = Content { file, number, mtime, size, prover, mark, aside, length, same };
        self.content = Some(content);
        if is_listed { Ok(()) } else { self.differ() }
    }

    /// True where the content that comes is compared, and this piece of it is here or the content
    /// has failed: nothing is left to do with it.
    pub(super) fn is_here(&mut self, piece: &Piece<'_>) -> Result<bool, Stopped> {
        let Some(content) = self.content.as_mut().filter(|content| content.same.is_some()) else {
            return Ok(false);
        };
        match content.compare(piece, &mut self.scratch.buffer) {
            Ok(true) => Ok(true),
            Ok(false) => self.differ().map(|()| false),
            Err(error) => {
                self.spoil_for("what is here cannot be read", &error)?;
                Ok(true)
            }
        }
    }

    /// It is another content: what was compared of it is written aside, and the rest follows.
    fn differ(&mut self) -> Result<(), Stopped> {
        let Some(mut content) = self.content.take() else { return Ok(()) };
        content.same = None;
        if self.options.dry_run {
            let first = !std::mem::replace(&mut content.file.told, true);
            let path = self.folders.at(content.file.folder).path(Some(&content.file.name));
            self.content = Some(content);
            return if first { self.talk.note(Note::WouldStore, path) } else { Ok(()) };
        }
        let compared = content.prover.at();
        content.prover = Prover::new(segment(content.size.unwrap_or(0)));
        let begun = self.aside(&content.file, PRIVATE).and_then(|mut aside| {
            aside.begin(content.size.unwrap_or(0), content.mtime, &[], 0)?;
            content.aside = Some(aside);
            content.repeat(compared, &mut self.scratch.buffer)
        });
        self.content = Some(content);
        begun.or_else(|error| self.spoil_for(UNWRITTEN, &error))
    }

    /// The content has come: where all of it is here and proved, that stays. False where it is to be
    /// stored.
    pub(super) fn ends_here(&mut self, hash: &Hash) -> Result<bool, Stopped> {
        let Some(content) = self.content.as_mut().filter(|content| content.same.is_some()) else {
            return Ok(false);
        };
        let stat = content.file.basis.as_ref().and_then(|old| fstat(old).ok());
        let at = content.prover.at();
        let Some(stat) = stat.filter(|stat| u64::try_from(stat.st_size) == Ok(at)) else {
            // It has grown since.
            return self.differ().map(|()| false);
        };
        let Some(Content { file, prover, same, .. }) = self.content.take() else {
            return Ok(false);
        };
        // Nothing was made of these.
        let copied = same.map_or(0, |same| same.copied);
        self.talk.tally.reused = self.talk.tally.reused.saturating_sub(copied);
        if prover.finish() != *hash {
            return self.fail(&file, UNPROVED.to_owned()).map(|()| true);
        }
        let place = self.folders.at(file.folder).place.clone();
        match self.handles.open(&place) {
            // Its bytes have been told.
            Ok(at) => self.unchanged(&at, &file, &stat, 0)?,
            Err(error) => self.fail(&file, cannot("what is here cannot be seen", &error))?,
        }
        Ok(true)
    }

    /// The same for a content that comes in one message.
    pub(super) fn is_small_here(&mut self, file: &Awaited, data: &[u8]) -> Result<bool, Stopped> {
        let Some(old) = file.basis.as_ref().filter(|_| file.looks_equal) else { return Ok(false) };
        let length = data.len() as u64;
        let stat = fstat(old).ok().filter(|stat| u64::try_from(stat.st_size) == Ok(length));
        let equal = has(old, 0, data, &mut self.scratch.buffer).unwrap_or(false);
        if let Some(stat) = stat.filter(|_| equal) {
            let place = self.folders.at(file.folder).place.clone();
            return match self.handles.open(&place) {
                Ok(at) => self.unchanged(&at, file, &stat, 0).map(|()| true),
                Err(error) => {
                    let text = cannot("what is here cannot be seen", &error);
                    self.fail(file, text).map(|()| true)
                }
            };
        }
        if self.options.dry_run {
            let path = self.folders.at(file.folder).path(Some(&file.name));
            if !file.told {
                self.talk.note(Note::WouldStore, path)?;
            }
            return self.settle(file, true).map(|()| true);
        }
        Ok(false)
    }
}

impl Content {
    /// True where this piece is here; then it counts as come.
    fn compare(&mut self, piece: &Piece<'_>, buffer: &mut Vec<u8>) -> io::Result<bool> {
        let at = self.prover.at();
        let (Some(old), Some(same)) = (&self.file.basis, &mut self.same) else { return Ok(false) };
        match *piece {
            Piece::Bytes(bytes) if has(old, at, bytes, buffer)? => {
                self.mark = self.prover.update(bytes);
            }
            Piece::Zeros(length) if is_zero(old, at, length, buffer)? => {
                self.mark = self.prover.zeros(length);
            }
            Piece::Old { offset, length } if offset == at => {
                same.copied = same.copied.saturating_add(length);
                let (prover, mark) = (&mut self.prover, &mut self.mark);
                each(old, at, length, buffer, |bytes| {
                    *mark = prover.update(bytes);
                    Ok(true)
                })?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Writes aside what was compared, and proves it anew: the file may have changed since.
    fn repeat(&mut self, end: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
        let mut old = self.file.basis.take();
        let result = old.as_mut().map_or(Ok(true), |old| {
            each(old, 0, end, buffer, |mut bytes| {
                while !bytes.is_empty() {
                    let fits = self.prover.room().min(bytes.len() as u64);
                    let (piece, rest) = bytes.split_at(fits as usize);
                    self.put(piece)?;
                    self.end_segment()?;
                    bytes = rest;
                }
                Ok(true)
            })
        });
        self.file.basis = old;
        result.map(|_| ())
    }

    /// Zeros are holes, as those that come.
    fn put(&mut self, piece: &[u8]) -> io::Result<()> {
        if piece.iter().any(|byte| *byte != 0) {
            return self.write(piece);
        }
        self.mark = self.prover.zeros(piece.len() as u64);
        Ok(())
    }
}

/// Hands on so many bytes of a file, piece by piece, while all is well; true where it was to the end.
fn each(
    file: &File,
    mut at: u64,
    mut length: u64,
    buffer: &mut Vec<u8>,
    mut take: impl FnMut(&[u8]) -> io::Result<bool>,
) -> io::Result<bool> {
    if buffer.len() < PIECE as usize {
        buffer.resize(PIECE as usize, 0);
    }
    while length > 0 {
        let piece = length.min(PIECE) as usize;
        file.read_exact_at(&mut buffer[..piece], at)?;
        if !take(&buffer[..piece])? {
            return Ok(false);
        }
        (at, length) = (at + piece as u64, length - piece as u64);
    }
    Ok(true)
}

/// True where the file has these bytes there; one that ends before has not.
fn has(file: &File, at: u64, bytes: &[u8], buffer: &mut Vec<u8>) -> io::Result<bool> {
    let mut rest = bytes;
    shorter(each(file, at, bytes.len() as u64, buffer, |found| {
        let (expected, behind) = rest.split_at(found.len());
        rest = behind;
        Ok(expected == found)
    }))
}

fn is_zero(file: &File, at: u64, length: u64, buffer: &mut Vec<u8>) -> io::Result<bool> {
    shorter(each(file, at, length, buffer, |found| Ok(found.iter().all(|byte| *byte == 0))))
}

fn shorter(result: io::Result<bool>) -> io::Result<bool> {
    match result {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        other => other,
    }
}
