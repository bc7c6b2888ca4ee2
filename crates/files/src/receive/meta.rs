//! What a file has beside its content: owner, mode, attributes, time, set on what is open already.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, XattrFlags,
    chmod, chownat, fchmod, fchown, fgetxattr, fsetxattr, fstat, futimens, openat, utimensat,
};
use rustix::io::Errno;
use sockeye_wire::files::{Meta, Owner, Time};

use super::root::kind;
use super::words::cannot;

/// What this transfer may set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rights {
    /// Owner, extended attributes and the bits of set-user-ID, set-group-ID and sticky too.
    pub(super) archive: bool,
    /// We are root.
    pub(super) privileged: bool,
}

/// Extended attributes, name and value.
type Xattrs = [(Vec<u8>, Vec<u8>)];

/// What could not be set of a file, which is there all the same.
#[derive(Debug, Default)]
#[must_use]
pub(super) struct Unset(Option<(String, io::Error)>);

impl Unset {
    /// Notes what comes of setting this; the first that fails is told.
    pub(super) fn note<T>(
        &mut self,
        what: &str,
        done: Result<T, impl Into<io::Error>>,
    ) -> Option<T> {
        match done {
            Ok(done) => Some(done),
            Err(error) => {
                self.0.get_or_insert_with(|| (what.to_owned(), error.into()));
                None
            }
        }
    }

    /// This, or where it is nothing the other.
    fn or(self, other: Unset) -> Unset {
        Unset(self.0.or(other.0))
    }

    /// What to say of it; nothing where all is set.
    pub(super) fn text(self) -> Option<String> {
        let (what, error) = self.0?;
        Some(cannot(&format!("it is here, but its {what} cannot be set"), &error))
    }
}

/// When a file was last changed.
pub(super) fn mtime(stat: &Stat) -> Time {
    // The types of these fields differ between architectures.
    #[allow(clippy::unnecessary_cast)]
    Time { seconds: stat.st_mtime as i64, nanoseconds: stat.st_mtime_nsec as u32 }
}

/// The bits of a mode without those of set-user-ID, set-group-ID and sticky.
const PERMISSIONS: Mode = Mode::RWXU.union(Mode::RWXG).union(Mode::RWXO);

/// Sets a directory's mode, also where its handle only leads to what is in it, because reading was not
/// allowed.
pub(super) fn set_mode(directory: &OwnedFd, mode: Mode) -> io::Result<()> {
    match fchmod(directory, mode) {
        Err(Errno::BADF) => Ok(chmod(format!("/proc/self/fd/{}", directory.as_raw_fd()), mode)?),
        done => Ok(done?),
    }
}

impl Rights {
    /// Lets us into a directory, and to what is in it; the mode that it had, where that has changed.
    pub(super) fn unlock(self, directory: &OwnedFd) -> io::Result<Option<Mode>> {
        if self.privileged {
            return Ok(None);
        }
        let mode = Mode::from_raw_mode(fstat(directory)?.st_mode & 0o7777);
        if mode.contains(Mode::RWXU) {
            return Ok(None);
        }
        set_mode(directory, mode | Mode::RWXU)?;
        Ok(Some(mode))
    }

    /// The mode that a file gets: what its source has, whatever umask(2) says.
    pub(super) fn mode(self, meta: &Meta) -> Mode {
        let bits = if self.archive { 0o7777 } else { 0o777 };
        Mode::from_raw_mode(u32::from(meta.mode & bits))
    }

    /// Sets all that is not so yet, as far as it can; `now` is what the file has, where that is
    /// known.
    pub(super) fn apply(
        self,
        file: BorrowedFd<'_>,
        meta: &Meta,
        time: Time,
        now: Option<&Stat>,
    ) -> Unset {
        let mut unset = Unset::default();
        let mut mode = self.mode(meta);
        let mut chowned = false;
        if let Some(owner) = meta.owner.filter(|_| self.archive) {
            let given = self.give(owner, now, |uid, gid| fchown(file, uid, gid));
            match unset.note("owner", given) {
                Some(given) => chowned = given,
                // Whoever has it now is not the one as whom it was to run.
                None => mode &= PERMISSIONS,
            }
        }
        unset = unset.or(self.attributes(file, &meta.xattrs, now.is_some()));
        if let Some(now) = now.filter(|now| !self.archive && kind(now) == FileType::Directory) {
            // What its owner made of it is not what the source could say.
            mode |= Mode::from_raw_mode(now.st_mode & 0o7000);
        }
        // After those two: a change of owner clears bits, and attributes may need the right to write.
        if chowned || now.is_none_or(|now| now.st_mode & 0o7777 != mode.as_raw_mode()) {
            unset.note("mode", fchmod(file, mode));
        }
        if now.is_none_or(|now| mtime(now) != time) {
            unset.note("time", futimens(file, &times(time)));
        }
        unset
    }

    /// Sets the extended attributes; with `compare` those that are not so yet.
    pub(super) fn attributes(self, file: BorrowedFd<'_>, all: &Xattrs, compare: bool) -> Unset {
        let mut unset = Unset::default();
        for (name, value) in all.iter().filter(|_| self.archive) {
            if let Err(error) = self.attribute(file, name, value, compare) {
                let what = format!("attribute {}", name.escape_ascii());
                unset.note::<()>(&what, Err(error));
            }
        }
        unset
    }

    /// Sets what a named pipe has that was made just now. Opening one to read waits for nobody with
    /// `O_NONBLOCK` (fifo(7)); whatever else may be there by now is left alone.
    pub(super) fn apply_to_pipe(self, at: &OwnedFd, name: &str, meta: &Meta) -> io::Result<Unset> {
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let pipe = openat(at, name, flags, Mode::empty())?;
        if kind(&fstat(&pipe)?) != FileType::Fifo {
            return Err(Errno::EXIST.into());
        }
        Ok(self.apply(pipe.as_fd(), meta, meta.mtime, None))
    }

    /// Sets what a link has, which is reached by its name only.
    pub(super) fn apply_at(self, at: &OwnedFd, name: &str, meta: &Meta) -> Unset {
        let (mut unset, flags) = (Unset::default(), AtFlags::SYMLINK_NOFOLLOW);
        if let Some(owner) = meta.owner.filter(|_| self.archive) {
            let given = self.give(owner, None, |uid, gid| chownat(at, name, uid, gid, flags));
            unset.note("owner", given);
        }
        unset.note("time", utimensat(at, name, &times(meta.mtime), flags));
        unset
    }

    /// True where the owner was changed. Who is not root changes the group where he may.
    fn give(
        self,
        owner: Owner,
        now: Option<&Stat>,
        change: impl Fn(Option<Uid>, Option<Gid>) -> Result<(), Errno>,
    ) -> io::Result<bool> {
        if now.is_some_and(|now| (now.st_uid, now.st_gid) == (owner.uid, owner.gid)) {
            return Ok(false);
        }
        // The number of all ones means "no change" to the kernel, and no file has it.
        if owner.uid == u32::MAX || owner.gid == u32::MAX {
            return Err(Errno::INVAL.into());
        }
        let group = Some(Gid::from_raw(owner.gid));
        if !self.privileged {
            return Ok(change(None, group).is_ok());
        }
        change(Some(Uid::from_raw(owner.uid)), group)?;
        Ok(true)
    }

    fn attribute(
        self,
        file: BorrowedFd<'_>,
        name: &[u8],
        value: &[u8],
        compare: bool,
    ) -> io::Result<()> {
        let kept = [&b"security."[..], b"trusted."].iter().any(|space| name.starts_with(space));
        let ours =
            [&b"user."[..], b"system.posix_acl_"].iter().any(|space| name.starts_with(space));
        if !(ours || self.privileged && kept) {
            return Ok(());
        }
        if compare {
            let mut held = vec![0; value.len() + 1];
            if fgetxattr(file, name, &mut held[..]) == Ok(value.len())
                && held[..value.len()] == *value
            {
                return Ok(());
            }
        }
        Ok(fsetxattr(file.as_fd(), name, value, XattrFlags::empty())?)
    }
}

/// The time of last access stays as it is.
fn times(time: Time) -> Timestamps {
    Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() },
    }
}
