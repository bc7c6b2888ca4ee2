//! What is listed: each entry to where it is made, and directories.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{AtFlags, FileType, Mode, mkdirat, statat};
use rustix::io::Errno;
use sockeye_wire::files::{Entry, Meta, Name, Node, Wrong};

use super::folder::{Folder, Id};
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
        if !archive && (meta.owner.is_some() || !meta.xattrs.is_empty()) {
            return wrong("an owner or attributes that were not asked for");
        }
        match node {
            Node::File { size, group } => {
                if group.is_some() && !archive {
                    return wrong("a group of hard links that was not asked for");
                }
                self.list_file(folder, name, size, group, meta)
            }
            Node::Directory => self.directory(folder, name, meta, is_root),
            Node::Symlink(target) => self.other(folder, &name, &meta, &Other::Symlink(target)),
            Node::Fifo if archive => self.other(folder, &name, &meta, &Other::Fifo),
            Node::Link(group) if archive => self.link(folder, name, group),
            Node::Fifo => wrong("a named pipe that was not asked for"),
            Node::Link(_) => wrong("a hard link that was not asked for"),
        }
    }

    /// Takes note of something whose directory could not be made.
    pub(super) fn pass_over(&mut self, node: &Node) -> Result<(), Stopped> {
        match node {
            Node::File { group, .. } => {
                self.fail_group(*group)?;
                self.list_unwanted()
            }
            Node::Directory => {
                self.open.push(Open::Skipped);
                Ok(())
            }
            Node::Symlink(_) | Node::Link(_) | Node::Fifo => Ok(()),
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
        let Some(meta) = meta.filter(|_| !self.options.dry_run) else { return Ok(()) };
        let place = self.folders.at(id).place.clone();
        match self.unlock(&place) {
            Ok(()) => self.dress_later(id, meta),
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
            Ok(Made { place, fresh }) => {
                let mut folder = Folder::new(place);
                if !is_root {
                    let above = self.folders.at(parent);
                    (folder.source, folder.ignored) = (above.source, above.ignored.clone());
                }
                folder.fresh = fresh;
                let id = self.folders.add(folder, Some(parent));
                self.open.push(Open::Folder(id));
                if self.options.dry_run { Ok(()) } else { self.dress_later(id, meta) }
            }
            Err(error) => {
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

    /// Takes note of what a directory gets when it is finished. Its extended attributes it gets now:
    /// of all directories that are open or wait for a content they would be much to hold.
    fn dress_later(&mut self, id: Id, mut meta: Meta) -> Result<(), Stopped> {
        let xattrs = std::mem::take(&mut meta.xattrs);
        let folder = self.folders.at(id);
        let (place, now) = (folder.place.clone(), !folder.fresh);
        folder.meta = Some(meta);
        if xattrs.is_empty() || self.options.partial {
            return Ok(());
        }
        let text = match self.handles.open(&place) {
            Ok(handle) => self.rights.attributes(handle.as_fd(), &xattrs, now).text(),
            Err(error) => Some(cannot("its attributes cannot be set", &error)),
        };
        text.map_or(Ok(()), |text| self.trouble(id, None, text))
    }

    fn make_directory(&mut self, parent: Id, name: &Name) -> io::Result<Made> {
        let above = self.folders.at(parent);
        let place = above.place.child(name.clone());
        let (above_place, above_fresh) = (above.place.clone(), above.fresh);
        if self.options.dry_run && above_fresh {
            return Ok(Made { place, fresh: true });
        }
        let at = self.handles.open(&above_place)?;
        if self.options.dry_run {
            return self.would_make(&at, place, parent, name);
        }
        let make = || mkdirat(&at, name.as_bytes(), Mode::RWXU);
        let mut made = make();
        if matches!(made, Err(Errno::EXIST)) {
            let found = statat(&at, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW)?;
            if kind(&found) == FileType::Directory {
                self.unlock(&place)?;
                return Ok(Made { place, fresh: false });
            }
            self.replace(parent, name)?;
            made = make();
        }
        made?;
        self.talk.tally.made += 1;
        Ok(Made { place, fresh: true })
    }

    /// What would come of making it.
    fn would_make(
        &mut self,
        at: &OwnedFd,
        place: Place,
        parent: Id,
        name: &Name,
    ) -> io::Result<Made> {
        let fresh = match statat(at, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(found) if kind(&found) == FileType::Directory => {
                self.handles.open(&place)?;
                false
            }
            Ok(_) => {
                self.replace(parent, name)?;
                true
            }
            Err(Errno::NOENT) => true,
            Err(error) => return Err(error.into()),
        };
        Ok(Made { place, fresh })
    }

    /// Removes what is in the place of a directory, where that may be.
    fn replace(&mut self, parent: Id, name: &Name) -> io::Result<()> {
        match self.options.delete && self.clear_away(parent, name, false)? {
            true => Ok(()),
            false => Err(Errno::NOTDIR.into()),
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
    /// It was not before.
    fresh: bool,
}
