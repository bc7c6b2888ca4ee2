//! Removing: whole trees beneath a handle, and what interrupted transfers left.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Stat, fstat, openat, statat, unlinkat};
use rustix::io::Errno;
use sockeye_limits as limits;
use sockeye_net::shown;
use sockeye_wire::files::{Name, Note};

use super::Receiver;
use super::folder::Id;
use super::ignored::Kept;
use super::journal::Journal;
use super::meta::{Rights, set_mode};
use super::root::kind;
use super::temporary::name::{is_of_us, journal};
use super::temporary::{clear, is_private};
use super::words::{DESTINATION_HERE, DIRECTORY_HERE, cannot, plain};
use crate::identity::identity;
use crate::tree::{Handles, Place};

/// The names in a directory, and whether each is a directory. Names that no file can have, and
/// `.` and `..`, are left out.
pub(super) fn list(directory: &OwnedFd, mut each: impl FnMut(Name, FileType)) -> io::Result<()> {
    // A handle of its own: its place in the listing is nobody else's.
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let own = openat(directory, ".", flags, Mode::empty())?;
    let mut buffer = Vec::with_capacity(32 * 1024);
    let mut entries = RawDir::new(own, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        let entry = entry?;
        if let Some(name) = Name::new(entry.file_name().to_bytes()) {
            let kind = match entry.file_type() {
                // A file system that does not tell kinds.
                FileType::Unknown => {
                    let stat = statat(directory, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW);
                    stat.map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode))
                }
                known => known,
            };
            each(name, kind);
        }
    }
    Ok(())
}

/// Removes what is in one folder, or in a dry run finds out what would be removed. No link is followed.
pub(super) struct Removal<'r> {
    pub(super) handles: &'r mut Handles,
    pub(super) kept: Kept<'r>,
    /// A directory that is one of these is a source, and stays.
    pub(super) sources: &'r [[u8; 16]],
    pub(super) rights: Rights,
    pub(super) dry_run: bool,
    /// How many files and directories were, or would be.
    pub(super) removed: u64,
}

/// What could not be removed, and why.
pub(super) struct Failed {
    pub(super) path: Vec<u8>,
    pub(super) error: io::Error,
}

/// A directory that is being emptied.
struct Level {
    place: Place,
    below: Vec<Name>,
    /// Something in it stays.
    stays: bool,
    /// The mode that it had before we let ourselves in.
    locked: Option<Mode>,
}

impl Removal<'_> {
    /// Removes a file, or a directory with all that is in it but for what is kept; true where nothing
    /// is left of it. What was no directory and is one by now is another connection's, and stays.
    pub(super) fn tree(
        &mut self,
        place: &Place,
        name: &Name,
        is_directory: bool,
    ) -> Result<bool, Failed> {
        if self.kept.keeps(place, name, is_directory) {
            return Ok(false);
        }
        if self.unlink(place, name, is_directory)? {
            return Ok(true);
        }
        if !is_directory {
            return Ok(false);
        }
        let mut open = Vec::new();
        let done = self.walk(&mut open, place.child(name.clone()));
        open.iter().for_each(|level| self.lock(level));
        done
    }

    /// Directories that are open, and those in each that wait.
    fn walk(&mut self, open: &mut Vec<Level>, top: Place) -> Result<bool, Failed> {
        self.enter(open, top)?;
        loop {
            let Some(level) = open.last_mut() else { return Ok(true) };
            if let Some(next) = level.below.pop() {
                let next = level.place.child(next);
                self.enter(open, next)?;
                continue;
            }
            let stays = level.stays || !self.remove_empty(&level.place)?;
            let Some(level) = open.pop() else { return Ok(true) };
            self.handles.forget(&level.place);
            if stays {
                self.lock(&level);
                match open.last_mut() {
                    Some(above) => above.stays = true,
                    None => return Ok(false),
                }
            }
        }
    }

    /// Opens one more directory, removes the files in it, and lists its directories.
    fn enter(&mut self, open: &mut Vec<Level>, place: Place) -> Result<(), Failed> {
        let failed = |error| Failed { path: place.path(None), error };
        let level = Level { place: place.clone(), below: Vec::new(), stays: false, locked: None };
        open.push(level);
        let Some(level) = open.last_mut() else { return Ok(()) };
        let mut handle = self.handles.open(&place).map_err(failed)?;
        let stat = fstat(&handle).map_err(|error| failed(error.into()))?;
        if self.sources.contains(&identity(&stat)) {
            return Err(failed(io::Error::other("what is to be sent is in it")));
        }
        // Nobody else's directory is changed, and in a dry run none.
        let is_ours = stat.st_uid == rustix::process::geteuid().as_raw();
        if is_ours && !self.dry_run {
            level.locked = self.rights.unlock(&handle).map_err(failed)?;
        }
        if level.locked.is_some() {
            // The old one may be of no use for reading.
            self.handles.forget(&place);
            handle = self.handles.open(&place).map_err(failed)?;
        }
        let mut files = Vec::new();
        let listed = list(&handle, |name, kind| match kind == FileType::Directory {
            is_directory if self.kept.keeps(&place, &name, is_directory) => level.stays = true,
            true => level.below.push(name),
            false => files.push(name),
        });
        match listed {
            // What is in it would be seen once it is let in.
            Err(_) if self.dry_run && is_ours => {}
            listed => listed.map_err(failed)?,
        }
        for name in files {
            if !self.unlink(&place, &name, false)? {
                level.below.push(name);
            }
        }
        Ok(())
    }

    /// Removes what is no directory; false for one.
    fn unlink(&mut self, place: &Place, name: &Name, is_directory: bool) -> Result<bool, Failed> {
        if self.dry_run {
            self.removed += u64::from(!is_directory);
            return Ok(!is_directory);
        }
        let failed = |error| Failed { path: place.path(Some(name)), error };
        let at = self.handles.open(place).map_err(failed)?;
        match unlinkat(&at, name.as_bytes(), AtFlags::empty()) {
            Ok(()) => {
                self.removed += 1;
                Ok(true)
            }
            Err(Errno::NOENT) => Ok(true),
            Err(Errno::ISDIR) => Ok(false),
            // POSIX says so of directories, and Linux of files that may not be removed.
            Err(error @ Errno::PERM) => {
                let found = statat(&at, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW);
                match found.is_ok_and(|found| kind(&found) == FileType::Directory) {
                    true => Ok(false),
                    false => Err(failed(error.into())),
                }
            }
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Removes a directory in which nothing is left; false where there is.
    fn remove_empty(&mut self, place: &Place) -> Result<bool, Failed> {
        let (Some(parent), Some(name)) = (place.parent(), place.name()) else { return Ok(false) };
        if self.dry_run {
            self.removed += 1;
            return Ok(true);
        }
        let failed = |error| Failed { path: place.path(None), error };
        let at = self.handles.open(parent).map_err(failed)?;
        match unlinkat(at, name.as_bytes(), AtFlags::REMOVEDIR) {
            Ok(()) => {
                self.removed += 1;
                Ok(true)
            }
            Err(Errno::NOENT) => Ok(true),
            // Something in it is new.
            Err(Errno::NOTEMPTY | Errno::EXIST) => Ok(false),
            Err(error) => Err(failed(error.into())),
        }
    }

    /// Gives a directory that stays the mode back that it had.
    fn lock(&mut self, level: &Level) {
        let Some(mode) = level.locked else { return };
        // It is a matter of courtesy: what failed has been said.
        let _ = self.handles.open(&level.place).and_then(|handle| set_mode(&handle, mode));
    }
}

impl Receiver<'_> {
    /// Removes something in a folder, or in a dry run finds out what would be removed, and says so;
    /// true where nothing is left of it.
    pub(super) fn clear_away(
        &mut self,
        id: Id,
        name: &Name,
        is_directory: bool,
    ) -> Result<bool, Failed> {
        let folder = self.folders.at(id);
        let (place, path) = (folder.place.clone(), folder.path(Some(name)));
        let (source, ignored) = (folder.source, folder.ignored.clone());
        let mut removal = Removal {
            handles: &mut self.handles,
            kept: Kept { filters: &self.filters, ignored, source },
            sources: &self.roots.sources,
            rights: self.rights,
            dry_run: self.options.dry_run,
            removed: 0,
        };
        let done = removal.tree(&place, name, is_directory);
        let removed = removal.removed;
        let folder = self.folders.at(id);
        let done = done.map_err(|failed| Failed { path: folder.shown(&failed.path), ..failed });
        if removed > 0 {
            self.talk.tally.removed += removed;
            let note = if self.options.dry_run { Note::WouldRemove } else { Note::Removed };
            self.talk.gather_note(note, path);
        }
        done
    }

    /// True where a directory in this folder may give way to something else.
    pub(super) fn may_make_room(&self, folder: Id) -> bool {
        self.options.delete && !self.roots.hold(folder)
    }

    /// Why something is not in its place, in words.
    pub(super) fn in_the_way(&self, folder: Id, error: &io::Error, what: &str) -> String {
        match Errno::from_io_error(error) {
            Some(Errno::ISDIR) if self.roots.hold(folder) => DESTINATION_HERE.to_owned(),
            Some(Errno::ISDIR) => DIRECTORY_HERE.to_owned(),
            _ => cannot(what, error),
        }
    }

    /// Where a directory is in the way of something else and may be removed, it is, but for what the
    /// patterns keep: then it stays in the way.
    pub(super) fn make_room(
        &mut self,
        folder: Id,
        name: &Name,
        found: Option<&Stat>,
    ) -> io::Result<()> {
        if !found.is_some_and(|found| kind(found) == FileType::Directory) {
            return Ok(());
        }
        if !self.may_make_room(folder) {
            return Err(Errno::ISDIR.into());
        }
        match self.clear_away(folder, name, true)? {
            true => Ok(()),
            false => Err(Errno::ISDIR.into()),
        }
    }
}

impl From<Failed> for io::Error {
    fn from(Failed { path, error }: Failed) -> io::Error {
        let (path, why) = (shown::bytes(&path), plain(&error));
        io::Error::new(error.kind(), format!("{path} is in the way and cannot be removed: {why}"))
    }
}

/// Removes a temporary file of ours, or a journal, that is of no more use. What may be resumed is kept
/// for a while.
fn stale(directory: &OwnedFd, name: &str) {
    let exists = |name: &str| statat(directory, name, AtFlags::SYMLINK_NOFOLLOW);
    if let Some(of) = name.strip_suffix('~') {
        if matches!(exists(of), Err(Errno::NOENT)) {
            let _ = unlinkat(directory, name, AtFlags::empty());
        }
        return;
    }
    let young = exists(&journal(name)).is_ok_and(|stat| is_young(stat.st_mtime));
    // One that has its mode already, as it was whole, is not gone on with.
    let private = exists(name).is_ok_and(|stat| is_private(&stat));
    if young && private && Journal::name(directory, name).is_some() {
        return;
    }
    clear(directory, name.as_bytes());
}

fn is_young(seconds: i64) -> bool {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |now| now.as_secs().cast_signed());
    now.saturating_sub(seconds) < limits::PARTIAL_KEPT
}

/// What interrupted transfers of ours left in a directory, and what those that go on have there.
pub(super) fn left(directory: &OwnedFd) -> io::Result<Vec<String>> {
    let mut left = Vec::new();
    list(directory, |name, _| {
        if is_of_us(name.as_bytes()) {
            left.push(String::from_utf8_lossy(name.as_bytes()).into_owned());
        }
    })?;
    Ok(left)
}

/// Removes what interrupted transfers of ours left of files that are gone.
pub(super) fn abandon(
    directory: &OwnedFd,
    mut is_gone: impl FnMut(&Name) -> bool,
) -> io::Result<()> {
    for name in left(directory)?.iter().filter(|name| !name.ends_with('~')) {
        // What has no journal goes with all else that cannot be resumed.
        if Journal::name(directory, name).is_some_and(|of| is_gone(&of)) {
            clear(directory, name.as_bytes());
        }
    }
    Ok(())
}

/// Removes what interrupted transfers of ours left in a directory.
pub(super) fn sweep(directory: &OwnedFd) -> io::Result<()> {
    left(directory)?.iter().for_each(|name| stale(directory, name));
    Ok(())
}
