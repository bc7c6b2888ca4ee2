//! A journal says how far an interrupted file is good: whose it is, and the marks that were proved.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{AtFlags, Mode, OFlags, fstat, openat, unlinkat};
use sockeye_limits as limits;
use sockeye_wire::files::{Hash, Time, segment};

use super::temporary::is_private;
use crate::hash::Prover;
use crate::identity;

/// What it begins with; another layout has another.
const MAGIC: &[u8; 8] = b"sockeye1";
pub(crate) const HEADER: usize = 8 + 8 + 12 + 32;
const MARK: usize = size_of::<Hash>();

pub(super) struct Journal {
    file: File,
    marks: u64,
}

fn named(temporary: &str) -> String {
    format!("{temporary}~")
}

pub(crate) fn header(size: u64, mtime: Time) -> Vec<u8> {
    let mut out = MAGIC.to_vec();
    out.extend_from_slice(&size.to_be_bytes());
    out.extend_from_slice(&mtime.seconds.to_be_bytes());
    out.extend_from_slice(&mtime.nanoseconds.to_be_bytes());
    out.extend_from_slice(identity::boot());
    out
}

impl Journal {
    /// A new one, without marks.
    pub(super) fn make(
        directory: &OwnedFd,
        temporary: &str,
        size: u64,
        mtime: Time,
    ) -> io::Result<Journal> {
        Journal::remove(directory, temporary);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let handle = openat(directory, named(temporary), flags, Mode::RUSR | Mode::WUSR)?;
        let mut journal = Journal { file: handle.into(), marks: 0 };
        journal.restart(size, mtime, &[])?;
        Ok(journal)
    }

    /// That of an interrupted file; `None` where there is none of a file of this length and time.
    ///
    /// What was written before the machine was started again may not have reached the disk: then
    /// the file's marks are made anew and compared.
    pub(super) fn open(
        directory: &OwnedFd,
        temporary: &str,
        partial: &File,
        size: u64,
        mtime: Time,
    ) -> Option<(Journal, Vec<Hash>)> {
        let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let handle = openat(directory, named(temporary), flags, Mode::empty()).ok()?;
        if !is_private(&fstat(&handle).ok()?) {
            return None;
        }
        let file = File::from(handle);
        let bytes = read(&file)?;
        let length = partial.metadata().ok()?.len();
        let (mut marks, same_boot) = understand(&bytes, size, mtime, length)?;
        if !same_boot {
            marks.truncate(proved(partial, segment(size), &marks));
        }
        let journal = Journal { file, marks: marks.len() as u64 };
        (!marks.is_empty()).then_some((journal, marks))
    }

    /// How many marks it has.
    pub(super) fn marks(&self) -> u64 {
        self.marks
    }

    /// Begins again with these marks.
    pub(super) fn restart(&mut self, size: u64, mtime: Time, marks: &[Hash]) -> io::Result<()> {
        // Whoever is killed in between leaves a journal that says less than is true.
        self.file.set_len(0)?;
        let mut all = header(size, mtime);
        all.extend(marks.iter().flatten());
        self.marks = marks.len() as u64;
        self.file.write_all_at(&all, 0)
    }

    /// One more segment is written and proved.
    pub(super) fn push(&mut self, mark: &Hash) -> io::Result<()> {
        self.file.write_all_at(mark, HEADER as u64 + self.marks * MARK as u64)?;
        self.marks += 1;
        Ok(())
    }

    /// Removes that of this temporary file, if there is one.
    pub(super) fn remove(directory: &OwnedFd, temporary: &str) {
        let _ = unlinkat(directory, named(temporary), AtFlags::empty());
    }
}

fn read(file: &File) -> Option<Vec<u8>> {
    let most = HEADER + MARK * limits::FILE_SEGMENTS as usize;
    let length = file.metadata().ok()?.len().min(most as u64);
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, 0).ok()?;
    Some(bytes)
}

/// The marks that a journal's bytes have for a file of this length and time, of which so much is
/// there; true if this boot of the machine wrote them. `None` where the journal is another file's.
pub(crate) fn understand(
    bytes: &[u8],
    size: u64,
    mtime: Time,
    length: u64,
) -> Option<(Vec<Hash>, bool)> {
    let (head, marks) = bytes.split_at_checked(HEADER)?;
    let expected = header(size, mtime);
    if head[..HEADER - 32] != expected[..HEADER - 32] {
        return None;
    }
    // The last segment is proved by the whole file's hash, so it never has a mark.
    let most = size.saturating_sub(1).min(length) / segment(size);
    let marks = marks.as_chunks::<MARK>().0;
    let marks = marks[..marks.len().min(most as usize)].to_vec();
    Some((marks, head == expected))
}

/// How many of these marks the file's content has.
fn proved(partial: &File, segment: u64, marks: &[Hash]) -> usize {
    let mut buffer = vec![0; 256 * 1024];
    let mut prover = Prover::new(segment);
    for (n, expected) in marks.iter().enumerate() {
        loop {
            let piece = prover.room().min(buffer.len() as u64) as usize;
            if partial.read_exact_at(&mut buffer[..piece], prover.at()).is_err() {
                return n;
            }
            match prover.update(&buffer[..piece]) {
                Some(mark) if mark == *expected => break,
                Some(_) => return n,
                None => {}
            }
        }
    }
    marks.len()
}
