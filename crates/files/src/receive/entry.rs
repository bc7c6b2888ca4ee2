//! What is listed: each entry to where it is made, and directories.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, Stat, fstat, mkdirat, statat};
use rustix::io::Errno;
use sockeye_limits as limits;
use sockeye_wire::files::{Entry, Meta, Name, Node, Note, Wrong};

use super::folder::{Folder, Id};
use super::meta::{Changes, Unset};
use super::other::Other;
use super::root::kind;
use super::words::{FILE_HERE, cannot};
use super::{Open, Receiver, is_temporary, wrong};
use crate::engine::Stopped;
use crate::tree::Place;

impl Receiver<'_> {
    /// One more in a directory that is open.
    pub(super) fn entry(&mut self, folder: Id, entry: Entry) -> Result<(), Stopped> {
        let name = entry.name.as_bytes();
        if is_temporary(name) || !self.folders.list(folder, &entry.name) {
            return Err(Wrong::taken(name).into());
        }
        self.make(folder, entry, false)
    }

    /// Makes it, or puts it with the files that wait for an answer.
    pub(super) fn make(&mut self, folder: Id, entry: Entry, is_root: bool) -> Result<(), Stopped> {
        let Entry { name, node, meta } = entry;
        let archive = self.options.archive;
        if !archive && (meta.owner.is_some() || !meta.xattrs.is_empty() || meta.whole) {
            return wrong("an owner or attributes that were not asked for");
        }
        if group_of(&node).is_some() && !archive {
            return wrong("a group of hard links that was not asked for");
        }
        if self.has_enough() {
            return self.pass_over(&node);
        }
        match node {
            Node::File { size, group } => self.list_file(folder, name, size, group, meta),
            Node::Directory => self.directory(folder, name, meta, is_root),
            Node::Symlink { target, group } => {
                self.other(folder, &name, &meta, &Other::Symlink(target), group)
            }
            Node::Fifo { group } if archive => {
                self.other(folder, &name, &meta, &Other::Fifo, group)
            }
            Node::Link(group) if archive => self.link(folder, name, group),
            Node::Fifo { .. } => wrong("a named pipe that was not asked for"),
            Node::Link(_) => wrong("a hard link that was not asked for"),
        }
    }

    /// Takes note of something whose directory could not be made, or for which there is no room.
    pub(super) fn pass_over(&mut self, node: &Node) -> Result<(), Stopped> {
        self.fail_group(group_of(node))?;
        match node {
            Node::File { .. } => self.list_unwanted(),
            Node::Directory => {
                self.open.push(Open::Skipped);
                Ok(())
            }
            Node::Symlink { .. } | Node::Link(_) | Node::Fifo { .. } => Ok(()),
        }
    }

    /// A source whose content goes into a folder that is there.
    pub(super) fn enter_here(&mut self, id: Id, meta: Option<Meta>) -> Result<(), Stopped> {
        self.folders.hold(id);
        // What one source does not have may be another's.
        let folder = self.folders.at(id);
        folder.doubt |= self.roots.several;
        folder.ignored = None;
        self.open.push(Open::Folder(id));
        let Some(meta) = meta else { return Ok(()) };
        let place = self.folders.at(id).place.clone();
        let before = self.handles.open(&place).and_then(|handle| Ok(fstat(&handle)?));
        let unlocked = match self.options.dry_run {
            true => before,
            false => before.and_then(|before| self.unlock(&place).map(|()| before)),
        };
        match unlocked {
            Ok(before) => self.dress_later(id, meta, Some(&before)),
            Err(error) => self.trouble(id, None, cannot("its mode cannot be set", &error)),
        }
    }

    fn directory(
        &mut self,
        parent: Id,
        name: Name,
        meta: Meta,
        is_root: bool,
    ) -> Result<(), Stopped> {
        match self.make_directory(parent, &name) {
            Ok(Made { place, before }) => {
                let fresh = before.is_none();
                let mut folder = Folder::new(place);
                let above = self.folders.at(parent);
                if is_root {
                    folder.base = above.base_of(&name);
                } else {
                    (folder.source, folder.ignored) = (above.source, above.ignored.clone());
                    folder.base = above.base.clone();
                }
                folder.fresh = fresh;
                let id = self.folders.add(folder, Some(parent));
                self.open.push(Open::Folder(id));
                self.dress_later(id, meta, before.as_ref())
            }
            Err(error) => {
                self.missed(&error);
                let text = match Errno::from_io_error(&error) {
                    Some(Errno::NOTDIR | Errno::LOOP) => FILE_HERE.to_owned(),
                    _ => cannot("this directory cannot be made", &error),
                };
                self.trouble(parent, Some(&name), text)?;
                self.open.push(Open::Skipped);
                Ok(())
            }
        }
    }

    /// Takes note of what a directory gets when it is finished; `before` is what it had before we
    /// touched it, where it was there. Its extended attributes it gets now: of all directories that are
    /// open or wait for a content they would be much to hold.
    fn dress_later(
        &mut self,
        id: Id,
        mut meta: Meta,
        before: Option<&Stat>,
    ) -> Result<(), Stopped> {
        let folder = self.folders.at(id);
        let (place, path) = (folder.place.clone(), folder.path(None));
        if before.is_none() && self.options.dry_run {
            return self.talk.note(Note::WouldMake, path);
        }
        if !self.options.partial {
            let text = match self.handles.open(&place) {
                Ok(handle) => self.dress_now(&handle, &meta, before, path)?,
                Err(error) => Some(cannot("its attributes cannot be set", &error)),
            };
            if let Some(text) = text {
                self.trouble(id, None, text)?;
            }
        }
        (meta.xattrs, meta.whole) = (Vec::new(), false);
        self.folders.at(id).meta = Some(meta);
        Ok(())
    }

    /// Says where what a directory has is changed, or would be, and sets its attributes; what of them
    /// cannot be.
    fn dress_now(
        &mut self,
        handle: &OwnedFd,
        meta: &Meta,
        before: Option<&Stat>,
        path: Vec<u8>,
    ) -> Result<Option<String>, Stopped> {
        let changes = before.map(|now| self.rights.changes(handle.as_fd(), meta, meta.mtime, now));
        let unset = match self.options.dry_run {
            true => Unset::default(),
            false => self.rights.attributes(handle.as_fd(), meta, before.is_some()),
        };
        match changes.is_some_and(Changes::any) {
            true => self.changed(path, unset),
            false => Ok(unset.text()),
        }
    }

    fn make_directory(&mut self, parent: Id, name: &Name) -> io::Result<Made> {
        let above = self.folders.at(parent);
        let place = above.place.child(name.clone());
        let (above_place, above_fresh) = (above.place.clone(), above.fresh);
        if self.options.dry_run && above_fresh {
            return Ok(Made { place, before: None });
        }
        let at = self.handles.open(&above_place)?;
        if self.options.dry_run {
            return self.would_make(&at, place, parent, name);
        }
        for _ in 0..limits::TEMPORARY_TRIES {
            match mkdirat(&at, name.as_bytes(), Mode::RWXU) {
                Ok(()) => {
                    self.talk.tally.made += 1;
                    return Ok(Made { place, before: None });
                }
                Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            match statat(&at, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(found) if kind(&found) == FileType::Directory => {
                    self.unlock(&place)?;
                    return Ok(Made { place, before: Some(found) });
                }
                Ok(_) => {
                    self.replace(parent, name)?;
                }
                // Another connection is about to make it too, and has removed what was here.
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(Errno::EXIST.into())
    }

    /// What would come of making it.
    fn would_make(
        &mut self,
        at: &OwnedFd,
        place: Place,
        parent: Id,
        name: &Name,
    ) -> io::Result<Made> {
        let before = match statat(at, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if kind(&found) == FileType::Directory => {
                self.handles.open(&place)?;
                Some(found)
            }
            Ok(_) => {
                self.replace(parent, name)?;
                None
            }
            Err(Errno::NOENT) => None,
            Err(error) => return Err(error.into()),
        };
        Ok(Made { place, before })
    }

    /// Removes what is in the place of a directory, where that may be. Another connection may have made
    /// the directory meanwhile: that stays.
    fn replace(&mut self, parent: Id, name: &Name) -> io::Result<()> {
        if self.options.delete && self.clear_away(parent, name, false)? {
            return Ok(());
        }
        match self.found(parent, name) {
            Some(found) if kind(&found) == FileType::Directory => Ok(()),
            _ => Err(Errno::NOTDIR.into()),
        }
    }

    /// Where we could not write in a directory, its mode has to wait until it is finished.
    fn unlock(&mut self, place: &Place) -> io::Result<()> {
        let handle = self.handles.open(place)?;
        if self.rights.unlock(&handle)?.is_some() {
            // The old one may be of no use for reading.
            self.handles.forget(place);
        }
        Ok(())
    }
}

/// A directory that is there now.
struct Made {
    place: Place,
    /// What it was before; `None` where it was not.
    before: Option<Stat>,
}

/// The group that something begins.
fn group_of(node: &Node) -> Option<u32> {
    match node {
        Node::File { group, .. } | Node::Symlink { group, .. } | Node::Fifo { group } => *group,
        Node::Directory | Node::Link(_) => None,
    }
}
