//! What a file has beside its content: owner, mode, attributes, time, set on what is open already.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Timespec, Timestamps, UTIME_OMIT, Uid, chmod,
    chownat, fchmod, fstat, futimens, openat, utimensat,
};
use rustix::io::Errno;
use sockeye_wire::files::{Meta, Owner, Time};

use super::root::kind;
use super::words::cannot;
use crate::attributes::{self, by_name, is_everybodys};

/// What this transfer may set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rights {
    /// Owner, extended attributes and the bits of set-user-ID, set-group-ID and sticky too.
    pub(super) archive: bool,
    /// We are root.
    pub(super) privileged: bool,
}

/// What of a file is not as its source says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Changes {
    owner: bool,
    mode: bool,
    attributes: bool,
    time: bool,
}

impl Changes {
    /// Of something new: whatever it may have.
    const ALL: Changes = Changes { owner: true, mode: true, attributes: true, time: true };

    /// True where there is something to change.
    pub(super) fn any(self) -> bool {
        let Changes { owner, mode, attributes, time } = self;
        owner || mode || attributes || time
    }
}

/// What is to be done with one extended attribute.
enum Work<'m> {
    Set(&'m [u8], &'m [u8]),
    Remove(Vec<u8>),
}

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

    /// True where all is set.
    pub(super) fn is_nothing(&self) -> bool {
        self.0.is_none()
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

/// Sets a mode, also where the handle only names the file, or leads to what is in a directory, because
/// reading was not allowed.
pub(super) fn set_mode(file: impl AsFd, mode: Mode) -> io::Result<()> {
    match fchmod(&file, mode) {
        Err(Errno::BADF) => Ok(chmod(by_name(&file), mode)?),
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
        let changes = now.map_or(Changes::ALL, |now| self.changes(file, meta, time, now));
        self.change(changes, file, meta, time, now)
    }

    /// What is not so yet of what has this now.
    pub(super) fn changes(
        self,
        file: BorrowedFd<'_>,
        meta: &Meta,
        time: Time,
        now: &Stat,
    ) -> Changes {
        let is_link = kind(now) == FileType::Symlink;
        let mode = self.mode_instead(meta, now);
        Changes {
            owner: self.owner_differs(meta, now),
            mode: !is_link && now.st_mode & 0o7777 != mode.as_raw_mode(),
            attributes: !self.work(file, meta, true).is_empty(),
            time: mtime(now) != time,
        }
    }

    /// True where the owner is another one, and may be changed.
    pub(super) fn owner_differs(self, meta: &Meta, now: &Stat) -> bool {
        let Some(Owner { uid, gid }) = meta.owner.filter(|_| self.archive) else { return false };
        if (now.st_uid, now.st_gid) == (uid, gid) {
            return false;
        }
        let is_number = uid != u32::MAX && gid != u32::MAX;
        self.privileged || !is_number || now.st_gid != gid && may_give(now, gid)
    }

    /// The mode that something gets that has this now.
    fn mode_instead(self, meta: &Meta, now: &Stat) -> Mode {
        let kept = !self.archive && kind(now) == FileType::Directory;
        // What its owner made of it is not what the source could say.
        let kept = if kept { now.st_mode & 0o7000 } else { 0 };
        self.mode(meta) | Mode::from_raw_mode(kept)
    }

    /// Makes these changes, as far as it can.
    pub(super) fn change(
        self,
        what: Changes,
        file: BorrowedFd<'_>,
        meta: &Meta,
        time: Time,
        now: Option<&Stat>,
    ) -> Unset {
        let mut unset = Unset::default();
        let is_link = now.is_some_and(|now| kind(now) == FileType::Symlink);
        let mut mode = now.map_or(self.mode(meta), |now| self.mode_instead(meta, now));
        let mut again = what.mode;
        if let Some(owner) = meta.owner.filter(|_| what.owner && self.archive) {
            match unset.note("owner", self.give(owner, file)) {
                // That clears bits.
                Some(given) => again |= given,
                // Whoever has it now is not the one as whom it was to run.
                None => mode &= PERMISSIONS,
            }
        }
        if what.attributes || what.owner {
            // They may need the right to write; what their owner is to have comes behind them.
            let barred = now.is_some_and(|now| !self.privileged && now.st_mode & 0o600 != 0o600);
            if barred && what.attributes && !is_link {
                again |= set_mode(file, mode | Mode::RUSR | Mode::WUSR).is_ok();
            }
            unset = unset.or(self.attributes(file, meta, now.is_some()));
        }
        if !is_link && (again || now.is_none_or(|now| now.st_mode & 0o7777 != mode.as_raw_mode())) {
            unset.note("mode", set_mode(file, mode));
        }
        if what.time {
            unset.note("time", set_time(file, time));
        }
        unset
    }

    /// Sets the extended attributes; with `compare` those that are not so yet, and where they are whole
    /// what else is there goes.
    pub(super) fn attributes(self, file: BorrowedFd<'_>, meta: &Meta, compare: bool) -> Unset {
        let mut unset = Unset::default();
        for work in self.work(file, meta, compare) {
            let (name, done) = match &work {
                Work::Set(name, value) => (*name, attributes::set(file, name, value)),
                Work::Remove(name) => (name.as_slice(), attributes::remove(file, name)),
            };
            if done.is_err() {
                unset.note(&format!("attribute {}", name.escape_ascii()), done);
            }
        }
        unset
    }

    /// What is to be done with extended attributes.
    fn work<'m>(self, file: BorrowedFd<'_>, meta: &'m Meta, compare: bool) -> Vec<Work<'m>> {
        if !self.archive || meta.xattrs.is_empty() && !(meta.whole && compare) {
            return Vec::new();
        }
        // Where they cannot be read there are none: what is set shows why.
        let there = if compare { attributes::names(file).unwrap_or_default() } else { Vec::new() };
        let is_so = |name: &[u8], value: &[u8]| {
            there.iter().any(|there| there == name)
                && attributes::value(file, name).is_ok_and(|there| there == value)
        };
        let mut work = Vec::new();
        for (name, value) in &meta.xattrs {
            if self.may_set(name) && !is_so(name, value) {
                work.push(Work::Set(name, value));
            }
        }
        let listed = |name: &[u8]| meta.xattrs.iter().any(|(listed, _)| listed == name);
        for name in there.into_iter().filter(|_| meta.whole) {
            if is_everybodys(&name) && self.may_set(&name) && !listed(&name) {
                work.push(Work::Remove(name));
            }
        }
        work
    }

    /// True for attributes that are a transfer's to set.
    fn may_set(self, name: &[u8]) -> bool {
        let has = |spaces: [&[u8]; 2]| spaces.iter().any(|space| name.starts_with(space));
        has([b"user.", b"system.posix_acl_"]) || self.privileged && has([b"security.", b"trusted."])
    }

    /// Sets what a link or a pipe has that was made just now, by a handle that only names it: whatever
    /// else may have its name by now is left alone, and nobody who waits for a pipe goes on.
    pub(super) fn apply_at(
        self,
        at: &OwnedFd,
        name: &str,
        is: FileType,
        meta: &Meta,
    ) -> io::Result<Unset> {
        let (file, now) = named(at, name.as_bytes())?;
        if kind(&now) != is {
            return Err(Errno::EXIST.into());
        }
        Ok(self.change(Changes::ALL, file.as_fd(), meta, meta.mtime, Some(&now)))
    }

    /// True where the owner was changed. Who is not root changes the group where he may.
    fn give(self, owner: Owner, file: BorrowedFd<'_>) -> io::Result<bool> {
        // The number of all ones means "no change" to the kernel, and no file has it.
        if owner.uid == u32::MAX || owner.gid == u32::MAX {
            return Err(Errno::INVAL.into());
        }
        let group = Some(Gid::from_raw(owner.gid));
        let change = |user| chownat(file, "", user, group, AtFlags::EMPTY_PATH);
        if !self.privileged {
            return Ok(change(None).is_ok());
        }
        change(Some(Uid::from_raw(owner.uid)))?;
        Ok(true)
    }
}

/// True where we may give a file to this group (chown(2)).
fn may_give(now: &Stat, gid: u32) -> bool {
    let is_ours = now.st_uid == rustix::process::geteuid().as_raw();
    let groups = rustix::process::getgroups().unwrap_or_default();
    let mut groups = groups.into_iter().chain([rustix::process::getegid()]);
    is_ours && groups.any(|group| group.as_raw() == gid)
}

/// A handle that only names what is there, and what that is.
pub(super) fn named(at: &OwnedFd, name: &[u8]) -> io::Result<(OwnedFd, Stat)> {
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(at, name, flags, Mode::empty())?;
    let stat = fstat(&file)?;
    Ok((file, stat))
}

/// Sets the time of last change; that of last access stays as it is.
fn set_time(file: BorrowedFd<'_>, time: Time) -> io::Result<()> {
    let times = Timestamps {
        last_access: Timespec { tv_sec: 0, tv_nsec: UTIME_OMIT },
        last_modification: Timespec { tv_sec: time.seconds, tv_nsec: time.nanoseconds.into() },
    };
    match futimens(file, &times) {
        Err(Errno::BADF) => Ok(utimensat(CWD, by_name(file), &times, AtFlags::empty())?),
        done => Ok(done?),
    }
}
