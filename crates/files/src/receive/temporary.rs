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

use super::journal::{Journal, Version};

pub(super) mod name;
pub(crate) use name::is_temporary;

/// A file that is being written, under a name and a lock of its own.
///
/// Dropped, it is removed, unless its journal says how far it is good.
pub(super) struct Temporary {
    directory: Arc<OwnedFd>,
    name: String,
    /// What it is of.
    of: Name,
    file: File,
    journal: Option<Journal>,
    /// What it was like when it was made.
    made: Option<Stat>,
    /// We hold its lock. Where the file system has none, nobody can tell whether it lives, so it is
    /// never resumed.
    locked: bool,
    /// It has its final name, or is removed.
    done: bool,
}

impl Temporary {
    /// An empty one, of this mode as far as umask(2) allows; we can read it in any case, or no other
    /// transfer of ours could see that it is held.
    pub(super) fn make(directory: &Arc<OwnedFd>, of: &Name, mode: Mode) -> io::Result<Temporary> {
        let flags = OFlags::CREATE | OFlags::EXCL | FLAGS;
        for _ in 0..limits::TEMPORARY_TRIES {
            let name = name::new(of)?;
            let handle = match openat(directory, &name, flags, mode | Mode::RUSR) {
                Err(Errno::EXIST) => continue,
                made => made?,
            };
            // Another one that found it before it was locked may have removed it.
            if let Some((made, locked)) = is_mine(&handle) {
                let (directory, file) = (Arc::clone(directory), File::from(handle));
                let (journal, made, of) = (None, Some(made), of.clone());
                let done = false;
                return Ok(Temporary { directory, name, of, file, journal, made, locked, done });
            }
        }
        Err(io::Error::other("its temporary names are taken away one after another"))
    }

    /// What an interrupted transfer left of a file of this length and time, and its marks. Of `left`
    /// these are the temporary names in the directory. What was left of other versions of the file
    /// is removed: nothing would resume it.
    pub(super) fn find(
        directory: &Arc<OwnedFd>,
        left: &[String],
        of: &Name,
        version: Version,
    ) -> Option<(Temporary, Vec<Hash>)> {
        let mut best: Option<(Temporary, Vec<Hash>)> = None;
        let is_file = |name: &&String| name::is_for(name.as_bytes(), of) && !name.ends_with('~');
        for name in left.iter().filter(is_file) {
            let Some(file) = open_private(directory, name) else {
                // One that was whole and had its mode already, say, when its transfer was killed.
                if !Journal::is_of_another(directory, name, of) {
                    clear(directory, name.as_bytes());
                }
                continue;
            };
            let found = Journal::open(directory, name, &file, of, version);
            let (journal, marks) = match found {
                Some((journal, marks)) => (Some(journal), marks),
                // It has no journal, one of another version, or is another file's.
                None if Journal::is_of_another(directory, name, of) => continue,
                None => (None, Vec::new()),
            };
            let (directory, name, of) = (Arc::clone(directory), name.clone(), of.clone());
            let (made, locked, done) = (None, true, false);
            let found = Temporary { directory, name, of, file, journal, made, locked, done };
            match &best {
                Some((_, most)) if most.len() >= marks.len() => found.discard(),
                None if marks.is_empty() => found.discard(),
                _ => {
                    if let Some((less, _)) = best.replace((found, marks)) {
                        less.discard();
                    }
                }
            }
        }
        best
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
            Some(journal) => journal.restart(&self.of, Version { size, mtime }, marks),
            None => Ok(()),
        }
    }

    /// All up to here is written and proved. Without a journal the transfer can only not be
    /// resumed, so that trouble with it is none.
    pub(super) fn mark(&mut self, size: u64, mtime: Time, mark: &Hash) {
        if self.journal.is_none() && self.locked {
            let version = Version { size, mtime };
            self.journal = Journal::make(&self.directory, &self.name, &self.of, version).ok();
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
        // There may be one that we could not read.
        Journal::remove(&self.directory, &self.name);
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

/// An interrupted transfer's file, locked; `None` for one that somebody holds, or may have made or
/// written who is not to be trusted, or where there are no locks that would tell.
fn open_private(directory: &OwnedFd, name: &str) -> Option<File> {
    let handle = openat(directory, name, FLAGS, Mode::empty()).ok()?;
    let private = is_private(&fstat(&handle).ok()?) && is_ours(directory, name, &handle);
    private.then(|| File::from(handle))
}

/// Locks a file that we have made; what it is like, where nobody came first and removed it, and whether
/// it is locked. Where the file system has no locks nobody else gets one either, and so nobody removes it.
fn is_mine(handle: &OwnedFd) -> Option<(Stat, bool)> {
    let locked = match flock(handle, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => true,
        Err(Errno::WOULDBLOCK) => return None,
        Err(_) => false,
    };
    let stat = fstat(handle).ok().filter(|stat| stat.st_nlink == 1)?;
    Some((stat, locked))
}

/// Whether what has a name of ours is ours: root may have given it away already.
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

/// Removes a temporary file of ours that nobody holds, and its journal.
pub(super) fn clear(directory: &OwnedFd, name: &[u8]) {
    if !name::is_of_us(name) {
        return;
    }
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    match openat(directory, name, flags, Mode::empty()) {
        Ok(handle) => {
            let litter = fstat(&handle).is_ok_and(|stat| is_litter(&stat));
            // The lock is held until the name is gone.
            if !litter
                || !is_ours(directory, name, &handle)
                || unlinkat(directory, name, AtFlags::empty()).is_err()
            {
                return;
            }
        }
        Err(Errno::NOENT) => {}
        // A link or a socket: nobody writes that. Who has just made it makes it again.
        Err(Errno::LOOP | Errno::NXIO) => {
            let stat = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
            if stat.is_ok_and(|stat| is_litter(&stat)) {
                let _ = unlinkat(directory, name, AtFlags::empty());
            }
            return;
        }
        // Not ours after all.
        Err(_) => return,
    }
    Journal::remove(directory, &String::from_utf8_lossy(name));
}
