//! Temporary files: what is not whole has such a name, and a lock as long as somebody writes it.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, FileType, FlockOperation, Mode, OFlags, Stat, flock, fstat, openat, renameat, statat,
    unlinkat,
};
use rustix::io::Errno;
use sockeye_limits as limits;
use sockeye_wire::files::{Hash, Name, Time};

use super::journal::Journal;

const BEGINNING: &[u8] = b".sockeye-";
const DIGITS: usize = 20;

/// True for the names of temporary files and of their journals: no file of a transfer has such.
pub(crate) fn is_temporary(name: &[u8]) -> bool {
    let Some((digits, rest)) =
        name.strip_prefix(BEGINNING).and_then(|rest| rest.split_at_checked(DIGITS))
    else {
        return false;
    };
    let rest = rest.strip_suffix(b"~").unwrap_or(rest);
    let number = rest.strip_prefix(b".").unwrap_or(b"1");
    let numbered = (1..=3).contains(&number.len()) && number.iter().all(u8::is_ascii_digit);
    digits.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
        && numbered
        && (rest.is_empty() || rest[0] == b'.')
}

/// Links and pipes have temporary names from this number on: nobody can lock them, and a file that
/// took such a name would be given its final one before it is whole.
pub(super) const UNLOCKED: usize = 100;

/// The temporary name of this file, of the transfer that came as this one.
pub(super) fn named(of: &Name, rival: usize) -> String {
    let digits = blake3::hash(of.as_bytes()).to_hex();
    let name = format!(".sockeye-{}", &digits[..DIGITS]);
    if rival == 0 { name } else { format!("{name}.{rival}") }
}

/// A file that is being written, under a name and a lock of its own.
///
/// Dropped, it is removed, unless its journal says how far it is good.
pub(super) struct Temporary {
    directory: Arc<OwnedFd>,
    name: String,
    file: File,
    journal: Option<Journal>,
    /// What it was like when it was made.
    made: Option<Stat>,
    /// It has its final name, or is removed.
    done: bool,
}

impl Temporary {
    /// An empty one, of this mode as far as umask(2) allows; we can read it in any case, or no other
    /// transfer of ours could see that it is held. What nobody holds under its name is removed.
    pub(super) fn make(directory: &Arc<OwnedFd>, of: &Name, mode: Mode) -> io::Result<Temporary> {
        let flags = OFlags::CREATE | OFlags::EXCL | FLAGS;
        let mode = mode | Mode::RUSR;
        for rival in 0..limits::FILE_RIVALS {
            let name = named(of, rival);
            let mut made = openat(directory, &name, flags, mode);
            if matches!(made, Err(Errno::EXIST)) && clear(directory, name.as_bytes()) {
                made = openat(directory, &name, flags, mode);
            }
            match made {
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
                // Another one that found it before it was locked has removed it.
                Ok(handle) => {
                    if let Some(made) = is_mine(&handle) {
                        let (directory, file) = (Arc::clone(directory), File::from(handle));
                        let (journal, made) = (None, Some(made));
                        return Ok(Temporary { directory, name, file, journal, made, done: false });
                    }
                }
            }
        }
        Err(io::Error::other("too many transfers write this file at the same time"))
    }

    /// What an interrupted transfer left of a file of this length and time, and its marks.
    pub(super) fn find(
        directory: &Arc<OwnedFd>,
        of: &Name,
        size: u64,
        mtime: Time,
    ) -> Option<(Temporary, Vec<Hash>)> {
        for rival in 0..limits::FILE_RIVALS {
            let name = named(of, rival);
            let handle = match openat(directory, &name, FLAGS, Mode::empty()) {
                Ok(handle) => handle,
                Err(Errno::NOENT) => return None,
                // Another user's.
                Err(_) => continue,
            };
            // Nothing is trusted that somebody else may have made or written.
            if !is_private(&fstat(&handle).ok()?) || !is_ours(directory, &name, &handle) {
                continue;
            }
            let file = File::from(handle);
            let (journal, marks) = Journal::open(directory, &name, &file, size, mtime)?;
            let (directory, journal) = (Arc::clone(directory), Some(journal));
            let made = None;
            let found = Temporary { directory, name, file, journal, made, done: false };
            return Some((found, marks));
        }
        None
    }

    /// The file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// What it was like when we made it: nothing but its content has changed since.
    pub(super) fn made(&self) -> Option<&Stat> {
        self.made.as_ref()
    }

    /// A content begins behind these marks: what is there beyond them goes.
    pub(super) fn begin(
        &mut self,
        size: u64,
        mtime: Time,
        marks: &[Hash],
        from: u64,
    ) -> io::Result<()> {
        self.file.set_len(from)?;
        match &mut self.journal {
            Some(journal) => journal.restart(size, mtime, marks),
            None => Ok(()),
        }
    }

    /// All up to here is written and proved. Without a journal the transfer can only not be
    /// resumed, so that trouble with it is none.
    pub(super) fn mark(&mut self, size: u64, mtime: Time, mark: &Hash) {
        if self.journal.is_none() {
            self.journal = Journal::make(&self.directory, &self.name, size, mtime).ok();
        }
        if let Some(journal) = &mut self.journal
            && journal.push(mark).is_err()
        {
            self.journal = None;
            Journal::remove(&self.directory, &self.name);
        }
    }

    /// Gives it this name, in one step.
    pub(super) fn rename(&mut self, to: &Name) -> io::Result<()> {
        // Our own programs take no name that is held. Others may, where they may write here.
        if !is_at(&self.directory, self.name.as_bytes(), &self.file) {
            self.done = true;
            return Err(io::Error::other("somebody took its temporary file away"));
        }
        renameat(&self.directory, &self.name, &self.directory, to.as_bytes())?;
        self.done = true;
        if self.journal.take().is_some() {
            Journal::remove(&self.directory, &self.name);
        }
        Ok(())
    }

    /// It is of no use.
    pub(super) fn discard(mut self) {
        self.remove();
    }

    fn remove(&mut self) {
        self.done = true;
        // A transfer that failed has said so; what cannot be removed is found by the next one.
        let _ = unlinkat(&self.directory, &self.name, AtFlags::empty());
        if self.journal.take().is_some() {
            Journal::remove(&self.directory, &self.name);
        }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        if !self.done && self.journal.as_ref().is_none_or(|journal| journal.marks() == 0) {
            self.remove();
        }
    }
}

const FLAGS: OFlags =
    OFlags::RDWR.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);

/// True for a regular file of ours that nobody else can write, by this name or another.
pub(super) fn is_private(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
        && stat.st_uid == rustix::process::geteuid().as_raw()
        && stat.st_nlink == 1
        && stat.st_mode & 0o077 == 0
}

/// Locks a file that we have made; what it is like, where nobody came first and removed it. Where the
/// file system has no locks nobody else gets one either, and so nobody removes it.
fn is_mine(handle: &OwnedFd) -> Option<Stat> {
    if matches!(flock(handle, FlockOperation::NonBlockingLockExclusive), Err(Errno::WOULDBLOCK)) {
        return None;
    }
    fstat(handle).ok().filter(|stat| stat.st_nlink == 1)
}

/// Whether it may be removed once nobody holds it: ours, or we are root.
fn is_litter(stat: &Stat) -> bool {
    let user = rustix::process::geteuid();
    user.is_root() || stat.st_uid == user.as_raw()
}

/// Locks the file; true where nobody else has it and it still has its name.
fn is_ours(directory: &OwnedFd, name: impl AsRef<[u8]>, handle: impl AsFd) -> bool {
    flock(handle.as_fd(), FlockOperation::NonBlockingLockExclusive).is_ok()
        && is_at(directory, name.as_ref(), handle)
}

fn is_at(directory: &OwnedFd, name: &[u8], handle: impl AsFd) -> bool {
    match (fstat(handle), statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)) {
        (Ok(held), Ok(named)) => (held.st_dev, held.st_ino) == (named.st_dev, named.st_ino),
        _ => false,
    }
}

/// Removes a temporary file of ours that nobody holds, and its journal; true where the name is free.
pub(super) fn clear(directory: &OwnedFd, name: &[u8]) -> bool {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match openat(directory, name, flags, Mode::empty()) {
        Ok(handle) if !fstat(&handle).is_ok_and(|stat| is_litter(&stat)) => return false,
        Ok(handle) if !is_ours(directory, name, &handle) => return false,
        // The lock is held until the name is gone.
        Ok(_handle) => {
            if unlinkat(directory, name, AtFlags::empty()).is_err() {
                return false;
            }
        }
        Err(Errno::NOENT) => {}
        // A link or a socket: nobody writes that.
        Err(Errno::LOOP | Errno::NXIO) => {
            let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
            return stat.is_ok_and(|stat| is_litter(&stat))
                && unlinkat(directory, name, AtFlags::empty()).is_ok();
        }
        // Another user's: whoever writes it holds it.
        Err(_) => return false,
    }
    Journal::remove(directory, &String::from_utf8_lossy(name));
    true
}
