//! A journal says how far an interrupted file is good: whose it is, and the marks that were proved.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{AtFlags, Mode, OFlags, fstat, openat, unlinkat};
use sockeye_limits as limits;
use sockeye_wire::files::{Hash, Name, Time, segment};

use super::temporary::is_private;
use super::temporary::name::journal;
use crate::hash::Prover;
use crate::identity;

/// What it begins with; another layout has another.
const MAGIC: &[u8; 8] = b"sockeye2";
/// What a name takes: its length, and room for the longest.
const NAME: usize = 1 + 255;
/// Magic, name, size and time of the file, and the boot of the machine.
pub(crate) const HEADER: usize = 8 + NAME + 8 + 12 + BOOT;
pub(crate) const BOOT: usize = 32;
const MARK: usize = size_of::<Hash>();

pub(super) struct Journal {
    file: File,
    marks: u64,
}

/// Which version of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Version {
    pub(crate) size: u64,
    pub(crate) mtime: Time,
}

pub(crate) fn header(of: &Name, version: Version) -> Vec<u8> {
    let Version { size, mtime } = version;
    let mut out = MAGIC.to_vec();
    // No name is longer than 255 bytes.
    out.push(of.as_bytes().len() as u8);
    out.extend_from_slice(of.as_bytes());
    out.resize(MAGIC.len() + NAME, 0);
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
        of: &Name,
        version: Version,
    ) -> io::Result<Journal> {
        Journal::remove(directory, temporary);
        let flags = OFlags::CREATE | OFlags::EXCL | OFlags::WRONLY | OFlags::CLOEXEC;
        let handle = openat(directory, journal(temporary), flags, Mode::RUSR | Mode::WUSR)?;
        let mut journal = Journal { file: handle.into(), marks: 0 };
        journal.restart(of, version, &[])?;
        Ok(journal)
    }

    /// That of an interrupted file; `None` where there is none of this version of a file of this name.
    ///
    /// What was written before the machine was started again may not have reached the disk: then
    /// the file's marks are made anew and compared.
    pub(super) fn open(
        directory: &OwnedFd,
        temporary: &str,
        partial: &File,
        of: &Name,
        version: Version,
    ) -> Option<(Journal, Vec<Hash>)> {
        let file = open(directory, temporary, OFlags::RDWR)?;
        let bytes = read(&file)?;
        let length = partial.metadata().ok()?.len();
        let (mut marks, same_boot) = understand(&bytes, of, version, length)?;
        if !same_boot {
            marks.truncate(proved(partial, segment(version.size), &marks));
        }
        let journal = Journal { file, marks: marks.len() as u64 };
        (!marks.is_empty()).then_some((journal, marks))
    }

    /// The name of the file that the one with this temporary name is to become, where a journal says it.
    pub(super) fn name(directory: &OwnedFd, temporary: &str) -> Option<Name> {
        let file = open(directory, temporary, OFlags::RDONLY)?;
        let mut bytes = [0; HEADER];
        file.read_exact_at(&mut bytes, 0).ok()?;
        name(&bytes)
    }

    /// True where it says that another file is meant.
    pub(super) fn is_of_another(directory: &OwnedFd, temporary: &str, of: &Name) -> bool {
        Journal::name(directory, temporary).is_some_and(|name| name != *of)
    }

    /// How many marks it has.
    pub(super) fn marks(&self) -> u64 {
        self.marks
    }

    /// Begins again with these marks.
    pub(super) fn restart(
        &mut self,
        of: &Name,
        version: Version,
        marks: &[Hash],
    ) -> io::Result<()> {
        // Whoever is killed in between leaves a journal that says less than is true.
        self.file.set_len(0)?;
        let mut all = header(of, version);
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
        let _ = unlinkat(directory, journal(temporary), AtFlags::empty());
    }
}

/// One that nobody else can have written.
fn open(directory: &OwnedFd, temporary: &str, access: OFlags) -> Option<File> {
    let flags = access | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let handle = openat(directory, journal(temporary), flags, Mode::empty()).ok()?;
    is_private(&fstat(&handle).ok()?).then(|| File::from(handle))
}

/// The name in a header.
pub(crate) fn name(header: &[u8]) -> Option<Name> {
    let rest = header.strip_prefix(MAGIC)?;
    let (length, name) = rest.get(..NAME)?.split_first()?;
    let (name, padding) = name.split_at(usize::from(*length));
    if padding.iter().any(|byte| *byte != 0) {
        return None;
    }
    Name::new(name)
}

fn read(file: &File) -> Option<Vec<u8>> {
    let most = HEADER + MARK * limits::FILE_SEGMENTS as usize;
    let length = file.metadata().ok()?.len().min(most as u64);
    let mut bytes = vec![0; length as usize];
    file.read_exact_at(&mut bytes, 0).ok()?;
    Some(bytes)
}

/// The marks that a journal's bytes have for this version of a file of this name, of which so much is
/// there; true if this boot of the machine wrote them. `None` where the journal is another file's.
pub(crate) fn understand(
    bytes: &[u8],
    of: &Name,
    version: Version,
    length: u64,
) -> Option<(Vec<Hash>, bool)> {
    let size = version.size;
    let (head, marks) = bytes.split_at_checked(HEADER)?;
    let expected = header(of, version);
    if head[..HEADER - BOOT] != expected[..HEADER - BOOT] {
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
