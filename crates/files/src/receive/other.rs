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
use super::meta::Unset;
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
    Made(Unset),
}

impl Receiver<'_> {
    pub(super) fn other(
        &mut self,
        folder: Id,
        name: &Name,
        meta: &Meta,
        what: &Other,
    ) -> Result<(), Stopped> {
        let path = self.folders.at(folder).path(Some(name));
        let text = match self.make_other(folder, name, meta, what) {
            Ok(Came::Same) => return Ok(()),
            Ok(Came::Would) => return self.talk.note(Note::WouldStore, path),
            Ok(Came::Made(unset)) => {
                self.talk.tally.made += 1;
                match unset.text() {
                    Some(text) => text,
                    None => return Ok(()),
                }
            }
            Err(error) => self.in_the_way(folder, &error, "it cannot be made"),
        };
        self.talk.trouble(path, text)
    }

    fn make_other(
        &mut self,
        folder: Id,
        name: &Name,
        meta: &Meta,
        what: &Other,
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
        if found.is_some_and(|found| what.is(&at, name, &found)) {
            return Ok(Came::Same);
        }
        if self.options.dry_run {
            self.make_room(folder, name, found.as_ref())?;
            return Ok(Came::Would);
        }
        for _ in 0..limits::FILE_RIVALS {
            match self.put_other(&at, (folder, name, found.as_ref()), meta, what) {
                // Nobody can lock a link: another transfer that removes what is left over took it.
                Err(error) if Errno::from_io_error(&error) == Some(Errno::NOENT) => {}
                put => return put.map(Came::Made),
            }
        }
        Err(Errno::NOENT.into())
    }

    fn put_other(
        &mut self,
        at: &Arc<OwnedFd>,
        (folder, name, found): (Id, &Name, Option<&Stat>),
        meta: &Meta,
        what: &Other,
    ) -> io::Result<Unset> {
        let temporary = what.make(at, name)?;
        let dressed = match what {
            Other::Symlink(_) => Ok(self.rights.apply_at(at, &temporary, meta)),
            Other::Fifo => self.rights.apply_to_pipe(at, &temporary, meta),
        };
        let named = dressed.and_then(|unset| {
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
        for rival in 0..limits::FILE_RIVALS {
            let temporary = temporary::named(name, temporary::UNLOCKED + rival);
            match make(&temporary) {
                Err(Errno::EXIST) => {}
                Ok(()) => return Ok(temporary),
                Err(error) => return Err(error.into()),
            }
        }
        Err(Errno::EXIST.into())
    }
}
