//! Where sources go: the destination, what is there, and what may not be copied to it.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, OFlags, Stat, fstat, openat, statat};
use rustix::io::Errno;
use sockeye_net::shown;
use sockeye_wire::files::{Entry, Name, Node, Placement, Transfer, Wrong};

use super::folder::{Base, Folder, Folders, Id};
use super::words::{TEMPORARY_NAME, cannot};
use super::{Receiver, is_temporary};
use crate::engine::Stopped;
use crate::identity::identity;
use crate::tree::{Handles, Place};

/// Where sources go, and what they must be called.
pub(super) struct Roots {
    target: Target,
    expected: Vec<Option<Name>>,
    /// The folders that no source made.
    folders: Vec<Id>,
    /// The directory that sources go to, and all above it.
    above: Vec<[u8; 16]>,
    /// The sources that came: nothing of them is removed.
    pub(super) sources: Vec<[u8; 16]>,
    /// There is more than one source.
    pub(super) several: bool,
}

#[derive(Clone)]
enum Target {
    /// Into this directory, under their own names.
    Into(Id),
    /// In this directory, under this name.
    As(Id, Name),
    /// The one source is this directory.
    Itself(Id),
}

impl Roots {
    pub(super) fn new(
        directory: OwnedFd,
        name: Option<Name>,
        transfer: &Transfer,
        expected: &[Option<Name>],
        folders: &mut Folders,
        handles: &mut Handles,
    ) -> Result<Roots, Stopped> {
        let base = Place::root(directory);
        let refused = |error: io::Error| Stopped::Refused(cannot("the destination", &error));
        let handle = handles.open(&base).map_err(refused)?;
        let is_directory = match &name {
            None => true,
            Some(name) => {
                let found = statat(&handle, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW);
                match found {
                    Ok(stat) => kind(&stat) == FileType::Directory,
                    Err(Errno::NOENT) => false,
                    Err(error) => return Err(refused(error.into())),
                }
            }
        };
        let into = match transfer.placement {
            Placement::Into => true,
            Placement::Auto => is_directory || transfer.sources > 1,
            Placement::Exact => false,
        };
        if into && !is_directory {
            let text = "the destination is no directory. Make it first, or name one that exists.";
            return Err(Stopped::Refused(text.to_owned()));
        }
        if !into && transfer.sources > 1 {
            let text = "several sources cannot be one destination. Name one source.";
            return Err(Stopped::Refused(text.to_owned()));
        }
        let place = match &name {
            Some(name) if into => base.child(name.clone()),
            _ => base,
        };
        let handle = handles.open(&place).map_err(refused)?;
        let above = above(&handle).map_err(refused)?;
        let id = folders.add(Folder::new(place), None);
        let target = match name {
            _ if into => Target::Into(id),
            Some(name) => Target::As(id, name),
            None => Target::Itself(id),
        };
        let (expected, several) = (expected.to_vec(), transfer.sources > 1);
        Ok(Roots { target, expected, folders: vec![id], above, sources: Vec::new(), several })
    }

    /// True for the folder that holds the sources themselves: a directory in it is a destination that
    /// somebody named, and not what a source has no more.
    pub(super) fn hold(&self, folder: Id) -> bool {
        match self.target {
            Target::Into(id) | Target::As(id, _) => id == folder,
            Target::Itself(_) => false,
        }
    }

    /// The folder that sources go to.
    pub(super) fn top(&self) -> Id {
        match self.target {
            Target::Into(id) | Target::As(id, _) | Target::Itself(id) => id,
        }
    }

    /// The folders that no source made, to be finished at the end.
    pub(super) fn take_folders(&mut self) -> Vec<Id> {
        std::mem::take(&mut self.folders)
    }
}

pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// What stands for a directory and for those above it, as far as we may see.
fn above(directory: &OwnedFd) -> io::Result<Vec<[u8; 16]>> {
    let mut all = vec![identity(&fstat(directory)?)];
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let mut held: Option<OwnedFd> = None;
    loop {
        let from = held.as_ref().map_or(directory.as_fd(), AsFd::as_fd);
        let Ok(next) = openat(from, "..", flags, Mode::empty()) else { break };
        let identity = identity(&fstat(&next)?);
        // The root is above itself.
        if all.last() == Some(&identity) {
            break;
        }
        all.push(identity);
        held = Some(next);
    }
    Ok(all)
}

impl Receiver<'_> {
    pub(super) fn root(
        &mut self,
        index: u32,
        identity: &[u8; 16],
        mut entry: Entry,
    ) -> Result<(), Stopped> {
        self.roots.sources.push(*identity);
        let asked = self.roots.expected.get(index as usize).cloned();
        if let Some(Some(name)) = &asked
            && entry.name != *name
        {
            return Err(Wrong::not_asked(entry.name.as_bytes()).into());
        }
        let is_directory = entry.node == Node::Directory;
        let folder = match self.roots.target.clone() {
            // Asked for without a name: what is in it is meant.
            Target::Into(id) if matches!(asked, Some(None)) => {
                if !is_directory {
                    return Err(Wrong::not_asked(entry.name.as_bytes()).into());
                }
                self.check_above(identity)?;
                if !self.roots.several {
                    self.folders.at(id).base = Base::Of(entry.name);
                }
                return self.enter_here(id, None);
            }
            Target::Itself(id) => {
                if !is_directory {
                    let text = "the destination is a directory, the source is none. Name a file, or put \
                        a slash behind the source if that is a link to a directory.";
                    return Err(Stopped::Refused(text.to_owned()));
                }
                self.check_above(identity)?;
                self.folders.at(id).base = Base::Of(entry.name);
                return self.enter_here(id, Some(entry.meta));
            }
            Target::Into(id) => id,
            Target::As(id, name) => {
                let called = std::mem::replace(&mut entry.name, name);
                self.folders.at(id).base = Base::Instead(called);
                id
            }
        };
        self.check_copy(identity, folder, &entry.name)?;
        if is_temporary(entry.name.as_bytes()) {
            let path = self.folders.at(folder).path(Some(&entry.name));
            // It is told under its own name, and this is about another one.
            let text = match path == entry.name.as_bytes() {
                true => TEMPORARY_NAME.to_owned(),
                false => format!("{}: {TEMPORARY_NAME}", shown::bytes(entry.name.as_bytes())),
            };
            self.talk.trouble(path, text)?;
            return self.pass_over(&entry.node);
        }
        if !self.folders.list(folder, &entry.name) {
            let text = "another source has the same name. Copy them one by one.".to_owned();
            self.trouble(folder, Some(&entry.name), text)?;
            return self.pass_over(&entry.node);
        }
        self.make(folder, entry, true)
    }

    fn check_above(&self, identity: &[u8; 16]) -> Result<(), Stopped> {
        let text = match self.roots.above.iter().position(|above| above == identity) {
            None => return Ok(()),
            Some(0) => "the source is the destination itself. Name another destination.",
            Some(_) => "the destination is inside the source. Name one that is not.",
        };
        Err(Stopped::Refused(text.to_owned()))
    }

    /// Refuses a source that is its own destination, or is above it.
    fn check_copy(&mut self, identity: &[u8; 16], at: Id, name: &Name) -> Result<(), Stopped> {
        if self.roots.above.contains(identity) {
            let text = "the destination is inside the source. Name one that is not.";
            return Err(Stopped::Refused(text.to_owned()));
        }
        let handle = self.handles.open(&self.folders.at(at).place);
        let found = handle.map(|handle| statat(handle, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW));
        match found {
            Ok(Ok(stat)) if crate::identity::identity(&stat) == *identity => {
                let text = "the source is the destination itself. Name another destination.";
                Err(Stopped::Refused(text.to_owned()))
            }
            _ => Ok(()),
        }
    }
}
