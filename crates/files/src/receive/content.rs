//! Contents of wanted files: proved while they come, written aside, and named when they are whole.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use rustix::fs::{AtFlags, Mode, statat};
use rustix::io::Errno;
use sockeye_wire::files::{FromSender, Hash, Meta, Name, Time, segment};
use zstd::bulk::Decompressor;

use super::folder::Id;
use super::meta::Unset;
use super::same::{Piece, Same};
use super::temporary::Temporary;
use super::words::{UNPROVED, UNSTORED, UNWRITTEN, cannot};
use super::{Receiver, wrong};
use crate::engine::{Happening, Stopped};
use crate::hash::Prover;

/// A file that was listed.
pub(super) struct Awaited {
    pub(super) folder: Id,
    pub(super) name: Name,
    pub(super) size: Option<u64>,
    pub(super) group: Option<u32>,
    pub(super) meta: Meta,
    /// What an interrupted transfer left of it, and its marks.
    pub(super) partial: Option<(Temporary, Vec<Hash>)>,
    /// Its older version, whose chunks were told.
    pub(super) basis: Option<File>,
    /// That looks equal: its content decides.
    pub(super) looks_equal: bool,
    /// No file and no directory had its name when it was asked for.
    pub(super) absent: bool,
    /// It was said that it would be stored (a dry run).
    pub(super) told: bool,
    /// It has failed, which has been said: nothing that comes of it is of use.
    pub(super) given_up: bool,
    /// What it counts for among those that are held open; 0 where nothing is.
    pub(super) weight: usize,
}

/// The content that comes.
pub(super) struct Content {
    pub(super) file: Awaited,
    pub(super) number: u32,
    pub(super) mtime: Time,
    pub(super) size: Option<u64>,
    pub(super) prover: Prover,
    /// The mark of the segment that is full.
    pub(super) mark: Option<Hash>,
    /// Where it is written; `None` while it is compared, and where it failed, which has been said.
    pub(super) aside: Option<Temporary>,
    /// How long that is: holes at its end do not make it longer.
    pub(super) length: u64,
    /// It is compared with what is here.
    pub(super) same: Option<Same>,
}

/// Memory that is used again.
#[derive(Default)]
pub(super) struct Scratch {
    pub(super) buffer: Vec<u8>,
    unpacker: Option<Decompressor<'static>>,
}

/// What may be resumed is nobody else's to read or write.
pub(super) const PRIVATE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The most of an old file that is copied at a time, in bytes.
pub(super) const PIECE: u64 = 256 * 1024;

impl Scratch {
    /// The bytes of one Zstandard frame, which must be so many.
    pub(super) fn unpack(&mut self, packed: &[u8], length: u32) -> Option<&[u8]> {
        let length = length as usize;
        if self.buffer.len() < length {
            self.buffer.resize(length, 0);
        }
        let unpacker = match &mut self.unpacker {
            Some(unpacker) => unpacker,
            none => none.insert(Decompressor::new().ok()?),
        };
        let buffer = &mut self.buffer[..length];
        let found = unpacker.decompress_to_buffer(packed, buffer).ok()?;
        (found == length).then_some(&self.buffer[..length])
    }
}

impl Receiver<'_> {
    /// Takes a message about the content of a wanted file.
    pub(super) fn take_content(&mut self, message: FromSender) -> Result<(), Stopped> {
        match message {
            FromSender::Small { mtime, hash, data, .. } => self.small(mtime, &hash, data),
            FromSender::Begin { file, mtime, size, from } => self.begin(file, mtime, size, from),
            FromSender::Packed { length, bytes } => {
                let mut scratch = std::mem::take(&mut self.scratch);
                let done = match scratch.unpack(&bytes, length) {
                    Some(data) => self.data(data),
                    None => wrong("packed bytes that are not what they should be"),
                };
                self.scratch = scratch;
                done
            }
            FromSender::Hole(length) => self.hole(length),
            FromSender::Copy { offset, length } => self.copy(offset, length),
            FromSender::Mark(mark) => self.mark(&mark),
            FromSender::Close { hash } => self.close(&hash),
            FromSender::Void { again, text, .. } => self.void(again, &text),
            _ => Ok(()),
        }
    }

    /// The next wanted file.
    pub(super) fn next_awaited(&mut self) -> Result<Awaited, Stopped> {
        let Some(file) = self.awaited.pop_front() else { return wrong("a content of no file") };
        self.held -= file.weight;
        Ok(file)
    }

    pub(super) fn aside(&mut self, file: &Awaited, mode: Mode) -> io::Result<Temporary> {
        let place = &self.folders.at(file.folder).place;
        let at = self.handles.open(place)?;
        Temporary::make(&at, &file.name, mode)
    }

    fn begin(
        &mut self,
        number: u32,
        mtime: Time,
        size: Option<u64>,
        from: u64,
    ) -> Result<(), Stopped> {
        let mut file = self.next_awaited()?;
        file.given_up |= self.has_enough();
        if file.given_up {
            let prover = Prover::new(segment(size.unwrap_or(0)));
            let (mark, aside, length, same) = (None, None, 0, None);
            let content = Content { file, number, mtime, size, prover, mark, aside, length, same };
            self.content = Some(content);
            return Ok(());
        }
        if file.looks_equal {
            return self.begin_same(file, number, mtime, size);
        }
        let segment = segment(size.unwrap_or(0));
        let known = usize::try_from(from / segment).unwrap_or(usize::MAX);
        let partial = file.partial.take();
        let is_fresh = partial.is_none();
        let (aside, marks) = match partial {
            Some((aside, marks)) => (Ok(aside), marks),
            None => (self.aside(&file, PRIVATE), Vec::new()),
        };
        let Some(marks) = marks.get(..known) else {
            return wrong("a beginning that the receiver does not have");
        };
        if from > 0 && (size, mtime) != (file.size, file.meta.mtime) {
            return wrong("the rest of another file");
        }
        let begun = aside.and_then(|mut aside| {
            if !is_fresh {
                aside.begin(size.unwrap_or(0), mtime, marks, from)?;
            }
            Ok(aside)
        });
        let prover = Prover::resume(segment, marks);
        let (mark, length) = (None, from);
        self.talk.count(|tally| &mut tally.resumed, from);
        self.talk.tell(Happening::Moved { bytes: from });
        let (aside, error) = match begun {
            Ok(aside) => (Some(aside), None),
            Err(error) => (None, Some(error)),
        };
        let same = None;
        let content = Content { file, number, mtime, size, prover, mark, aside, length, same };
        self.content = Some(content);
        error.map_or(Ok(()), |error| self.spoil_for(UNWRITTEN, &error))
    }

    /// The content cannot be stored for this reason.
    pub(super) fn spoil_for(&mut self, what: &str, error: &io::Error) -> Result<(), Stopped> {
        self.missed(error);
        self.spoil(cannot(what, error))
    }

    /// The content is of no use; the rest of it need not come, and what comes is passed over.
    pub(super) fn spoil(&mut self, text: String) -> Result<(), Stopped> {
        let Some(content) = &mut self.content else { return Ok(()) };
        content.same = None;
        if let Some(aside) = content.aside.take() {
            aside.discard();
        }
        let path = self.folders.at(content.file.folder).path(Some(&content.file.name));
        self.talk.trouble(path, text)?;
        self.end_content()
    }

    pub(super) fn data(&mut self, data: &[u8]) -> Result<(), Stopped> {
        let bytes = data.len() as u64;
        self.talk.count(|tally| &mut tally.data, bytes);
        self.talk.tell(Happening::Moved { bytes });
        if self.is_here(&Piece::Bytes(data))? {
            return Ok(());
        }
        match self.content.as_mut().map_or(Ok(()), |content| content.write(data)) {
            Ok(()) => Ok(()),
            Err(error) => self.spoil_for(UNWRITTEN, &error),
        }
    }

    fn hole(&mut self, length: u64) -> Result<(), Stopped> {
        self.talk.tell(Happening::Moved { bytes: length });
        if self.is_here(&Piece::Zeros(length))? {
            return Ok(());
        }
        if let Some(content) = &mut self.content
            && content.aside.is_some()
        {
            content.mark = content.prover.zeros(length);
        }
        Ok(())
    }

    fn copy(&mut self, offset: u64, length: u64) -> Result<(), Stopped> {
        self.talk.count(|tally| &mut tally.reused, length);
        self.talk.tell(Happening::Moved { bytes: length });
        if self.is_here(&Piece::Old { offset, length })? {
            return Ok(());
        }
        let Some(content) = &mut self.content else { return Ok(()) };
        match content.copy(offset, length, &mut self.scratch.buffer) {
            Ok(()) => Ok(()),
            Err(error) => self.spoil_for("it cannot be made from what was here", &error),
        }
    }

    fn mark(&mut self, mark: &Hash) -> Result<(), Stopped> {
        let Some(content) = &mut self.content else { return Ok(()) };
        if content.aside.is_none() {
            return Ok(());
        }
        if content.mark.as_ref() != Some(mark) {
            return self.spoil(UNPROVED.to_owned());
        }
        let ended = content.end_segment();
        ended.or_else(|error| self.spoil_for(UNWRITTEN, &error))
    }

    fn close(&mut self, hash: &Hash) -> Result<(), Stopped> {
        if self.ends_here(hash)? {
            return Ok(());
        }
        let Some(content) = self.content.take() else { return Ok(()) };
        let Content { file, mtime, prover, aside, length, .. } = content;
        let Some(aside) = aside else { return self.settle(&file, file.told) };
        let at = prover.at();
        if prover.finish() != *hash {
            aside.discard();
            return self.fail(&file, UNPROVED.to_owned());
        }
        if length < at
            && let Err(error) = aside.file().set_len(at)
        {
            aside.discard();
            self.missed(&error);
            return self.fail(&file, cannot(UNWRITTEN, &error));
        }
        self.store(&file, aside, mtime, at)
    }

    fn void(&mut self, again: bool, text: &str) -> Result<(), Stopped> {
        let mut file = match self.content.take() {
            // What is good of it is kept for another transfer.
            Some(Content { file, .. }) if !again && (file.given_up || self.has_enough()) => {
                return self.settle(&file, false);
            }
            Some(Content { mut file, aside, .. }) => {
                file.partial = aside.map(|aside| (aside, Vec::new()));
                file
            }
            None => self.next_awaited()?,
        };
        if !again && (file.given_up || self.has_enough()) {
            return self.settle(&file, false);
        }
        if let Some((_, marks)) = &mut file.partial {
            // It has changed: they prove nothing any more.
            marks.clear();
        }
        if again {
            self.held += file.weight;
            self.awaited.push_front(file);
            return Ok(());
        }
        if let Some((aside, _)) = file.partial.take() {
            aside.discard();
        }
        let path = self.folders.at(file.folder).path(Some(&file.name));
        self.talk.their_trouble(&path, text);
        self.settle(&file, false)
    }

    /// A content is whole and proved: it gets its name.
    pub(super) fn store(
        &mut self,
        file: &Awaited,
        mut aside: Temporary,
        mtime: Time,
        bytes: u64,
    ) -> Result<(), Stopped> {
        let unset = match self.name(file, &mut aside, mtime) {
            Ok(unset) => unset,
            Err(error) => {
                aside.discard();
                self.missed(&error);
                let text = self.in_the_way(file.folder, &error, UNSTORED);
                return self.fail(file, text);
            }
        };
        self.stored(file, unset, bytes)
    }

    /// It has its name.
    pub(super) fn stored(
        &mut self,
        file: &Awaited,
        unset: Unset,
        bytes: u64,
    ) -> Result<(), Stopped> {
        self.talk.tally.stored += 1;
        self.found_room(bytes);
        let path = self.folders.at(file.folder).path(Some(&file.name));
        self.talk.tell(Happening::Stored { path: &path, bytes });
        if let Some(text) = unset.text() {
            self.talk.trouble(path, text)?;
        }
        self.settle(file, true)
    }

    fn name(&mut self, file: &Awaited, aside: &mut Temporary, mtime: Time) -> io::Result<Unset> {
        let finishing = self.finishing();
        let mut unset = finishing.dress(aside.file(), aside.made(), &file.meta, mtime)?;
        let named = match aside.rename(&file.name) {
            Err(error) if Errno::from_io_error(&error) == Some(Errno::ISDIR) => {
                let place = self.folders.at(file.folder).place.clone();
                let at = self.handles.open(&place)?;
                let flags = AtFlags::SYMLINK_NOFOLLOW;
                let found = statat(&at, file.name.as_bytes(), flags)?;
                self.make_room(file.folder, &file.name, Some(&found))?;
                aside.rename(&file.name)
            }
            other => other,
        };
        named?;
        finishing.bar(aside.file(), &file.meta, &mut unset);
        Ok(unset)
    }

    /// A file could not be stored.
    pub(super) fn fail(&mut self, file: &Awaited, text: String) -> Result<(), Stopped> {
        self.trouble(file.folder, Some(&file.name), text)?;
        self.settle(file, false)
    }

    /// Nothing more comes of this file: it is there now, or failed.
    pub(super) fn settle(&mut self, file: &Awaited, there: bool) -> Result<(), Stopped> {
        if file.group.is_some() {
            let place = self.folders.at(file.folder).place.clone();
            self.end_group(file.group, there.then_some((&place, &file.name)))?;
        }
        self.release(file.folder)
    }
}

impl Content {
    /// Where a segment is full, it is whole on the disk, and the journal has its mark.
    pub(super) fn end_segment(&mut self) -> io::Result<()> {
        let (Some(mark), Some(aside)) = (self.mark.take(), &mut self.aside) else { return Ok(()) };
        let at = self.prover.at();
        if self.length < at {
            aside.file().set_len(at)?;
            self.length = at;
        }
        if let Some(size) = self.size {
            aside.mark(size, self.mtime, &mark);
        }
        Ok(())
    }

    pub(super) fn write(&mut self, data: &[u8]) -> io::Result<()> {
        let Some(aside) = &self.aside else { return Ok(()) };
        let at = self.prover.at();
        aside.file().write_all_at(data, at)?;
        self.mark = self.prover.update(data);
        self.length = at + data.len() as u64;
        Ok(())
    }

    fn copy(&mut self, mut offset: u64, mut length: u64, buffer: &mut Vec<u8>) -> io::Result<()> {
        if buffer.len() < PIECE as usize {
            buffer.resize(PIECE as usize, 0);
        }
        while length > 0 {
            let piece = length.min(PIECE) as usize;
            let Some(old) = &self.file.basis else {
                return Err(io::Error::other("there is no older version"));
            };
            old.read_exact_at(&mut buffer[..piece], offset)?;
            self.write(&buffer[..piece])?;
            (offset, length) = (offset + piece as u64, length - piece as u64);
        }
        Ok(())
    }
}
