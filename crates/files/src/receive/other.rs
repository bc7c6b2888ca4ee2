//! What has a name and no content: symbolic links and named pipes.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use rustix::fs::{
    AtFlags, FileType, Mode, Stat, mknodat, readlinkat, renameat, statat, symlinkat, unlinkat,
};
use rustix::io::Errno;
use sockeye_limits as limits;
use sockeye_wire::files::{Meta, Name, Note};

use super::folder::Id;
use super::meta::{Unset, named};
use super::root::kind;
use super::{Receiver, temporary};
use crate::engine::Stopped;

/// One of them.
pub(super) enum Other {
    Symlink(Vec<u8>),
    Fifo,
}

/// What comes of one.
enum Came {
    /// The same is here.
    Same,
    /// It would be made.
    Would,
    /// The same is here but for what it has beside, which is changed, or would be.
    Changed(Unset),
    Made(Unset),
}

impl Receiver<'_> {
    pub(super) fn other(
        &mut self,
        folder: Id,
        name: &Name,
        meta: &Meta,
        what: &Other,
        group: Option<u32>,
    ) -> Result<(), Stopped> {
        self.begin_group(group)?;
        let path = self.folders.at(folder).path(Some(name));
        let came = self.make_other(folder, name, meta, (what, group.is_some()));
        let is_there = came.is_ok();
        let text = match came {
            Ok(Came::Same) => None,
            Ok(Came::Would) => {
                self.talk.note(Note::WouldStore, path.clone())?;
                None
            }
            Ok(Came::Changed(unset)) => self.changed(path.clone(), unset)?,
            Ok(Came::Made(unset)) => {
                self.talk.tally.made += 1;
                unset.text()
            }
            Err(error) => {
                self.missed(&error);
                Some(self.in_the_way(folder, &error, "it cannot be made"))
            }
        };
        if let Some(text) = text {
            self.talk.trouble(path, text)?;
        }
        let place = self.folders.at(folder).place.clone();
        self.end_group(group, is_there.then_some((&place, name)))
    }

    /// What something that stays has beside its content was changed, or would be; what of that failed.
    pub(super) fn changed(
        &mut self,
        path: Vec<u8>,
        unset: Unset,
    ) -> Result<Option<String>, Stopped> {
        if unset.is_nothing() {
            self.talk.tally.updated += 1;
            let note = if self.options.dry_run { Note::WouldUpdate } else { Note::Updated };
            self.talk.note(note, path)?;
        }
        Ok(unset.text())
    }

    fn make_other(
        &mut self,
        folder: Id,
        name: &Name,
        meta: &Meta,
        (what, is_grouped): (&Other, bool),
    ) -> io::Result<Came> {
        let (place, fresh) = (self.folders.at(folder).place.clone(), self.folders.at(folder).fresh);
        if self.options.dry_run && fresh {
            return Ok(Came::Would);
        }
        let at = self.handles.open(&place)?;
        let found = match statat(&at, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Some(stat),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(error.into()),
        };
        if let Some(found) = found.filter(|found| what.is(&at, name, found))
            && let Some(came) = self.keep_other(&at, name, meta, (&found, is_grouped))?
        {
            return Ok(came);
        }
        if self.options.dry_run {
            self.make_room(folder, name, found.as_ref())?;
            return Ok(Came::Would);
        }
        for _ in 0..limits::TEMPORARY_TRIES {
            match self.put_other(&at, (folder, name, found.as_ref()), meta, what) {
                // Nobody can lock a link: another transfer that removes what is left over took it.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::NOENT) => {}
                put => return put.map(Came::Made),
            }
        }
        Err(Errno::NOENT.into())
    }

    /// What is here is the same: it gets what it has beside. `None` where something else is here by
    /// now, or it has another name that is to stay as it is.
    fn keep_other(
        &self,
        at: &OwnedFd,
        name: &Name,
        meta: &Meta,
        (found, is_grouped): (&Stat, bool),
    ) -> io::Result<Option<Came>> {
        let (file, now) = named(at, name.as_bytes())?;
        if (now.st_dev, now.st_ino, now.st_mode) != (found.st_dev, found.st_ino, found.st_mode) {
            return Ok(None);
        }
        let changes = self.rights.changes(file.as_fd(), meta, meta.mtime, &now);
        if !changes.any() {
            return Ok(Some(Came::Same));
        }
        if self.options.archive && now.st_nlink > 1 && !is_grouped {
            return Ok(None);
        }
        let unset = match self.options.dry_run {
            true => Unset::default(),
            false => self.rights.change(changes, file.as_fd(), meta, meta.mtime, Some(&now)),
        };
        Ok(Some(Came::Changed(unset)))
    }

    fn put_other(
        &mut self,
        at: &Arc<OwnedFd>,
        (folder, name, found): (Id, &Name, Option<&Stat>),
        meta: &Meta,
        what: &Other,
    ) -> io::Result<Unset> {
        let temporary = what.make(at, name)?;
        let named = self.rights.apply_at(at, &temporary, what.kind(), meta).and_then(|unset| {
            self.make_room(folder, name, found)?;
            renameat(at, &temporary, at, name.as_bytes())?;
            Ok(unset)
        });
        if named.is_err() {
            let _ = unlinkat(at, &temporary, AtFlags::empty());
        }
        named
    }
}

impl Other {
    fn kind(&self) -> FileType {
        match self {
            Other::Symlink(_) => FileType::Symlink,
            Other::Fifo => FileType::Fifo,
        }
    }

    /// True where what is there is the same.
    fn is(&self, at: &OwnedFd, name: &Name, found: &Stat) -> bool {
        match self {
            Other::Fifo => kind(found) == FileType::Fifo,
            Other::Symlink(target) => {
                kind(found) == FileType::Symlink
                    && readlinkat(at, name.as_bytes(), Vec::new())
                        .is_ok_and(|there| there.as_bytes() == *target)
            }
        }
    }

    /// Makes it under a temporary name.
    fn make(&self, at: &OwnedFd, name: &Name) -> io::Result<String> {
        let make = |temporary: &str| match self {
            Other::Symlink(target) => symlinkat(&target[..], at.as_fd(), temporary),
            Other::Fifo => {
                let mode = Mode::RUSR | Mode::WUSR;
                mknodat(at.as_fd(), temporary, FileType::Fifo, mode, 0)
            }
        };
        for _ in 0..limits::TEMPORARY_TRIES {
            let temporary = temporary::name::new(name)?;
            match make(&temporary) {
                Err(Errno::EXIST) => {}
                Ok(()) => return Ok(temporary),
                Err(error) => return Err(error.into()),
            }
        }
        Err(Errno::EXIST.into())
    }
}
