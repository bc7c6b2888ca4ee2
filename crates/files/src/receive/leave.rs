//! The end of directories: what the source does not have is removed, mode and time are set.

use std::io;
use std::os::fd::AsFd;

use rustix::fs::{FileType, fstat, fsync};
use sockeye_wire::files::{Meta, Name};

use super::folder::{Folder, Id};
use super::ignored::Kept;
use super::meta::Unset;
use super::remove::Failed;
use super::words::cannot;
use super::{Open, Receiver, is_temporary, remove};
use crate::engine::Stopped;
use crate::tree::Place;

impl Receiver<'_> {
    /// The directory that is open has nothing more.
    pub(super) fn leave(&mut self, complete: bool) -> Result<(), Stopped> {
        let Some(Open::Folder(id)) = self.open.pop() else { return Ok(()) };
        let folder = self.folders.at(id);
        let doubt = folder.doubt || !complete;
        // Other connections of the same transfer list the rest.
        let deletes = self.options.delete && !folder.fresh && !self.options.partial;
        if deletes && !self.has_enough() {
            if doubt {
                let text = "nothing was removed here, as not all of the source could be read. \
                    See what is said of that.";
                self.trouble(id, None, text.to_owned())?;
            } else {
                self.remove_unlisted(id)?;
            }
        }
        self.clean_up(id)?;
        self.folders.forget_names(id);
        self.release(id)
    }

    /// Removes what interrupted transfers left in it.
    pub(super) fn clean_up(&mut self, id: Id) -> Result<(), Stopped> {
        let folder = self.folders.at(id);
        if folder.fresh || self.options.dry_run || self.options.partial {
            return Ok(());
        }
        let place = folder.place.clone();
        // A directory that cannot be read keeps what is in it; that is no failure of a transfer.
        let _ = self.handles.open(&place).and_then(|handle| remove::sweep(&handle));
        Ok(())
    }

    fn remove_unlisted(&mut self, id: Id) -> Result<(), Stopped> {
        let place = self.folders.at(id).place.clone();
        let listed = self.handles.open(&place).and_then(|handle| {
            let mut unlisted = Vec::new();
            remove::list(&handle, |name, kind| {
                if !is_temporary(name.as_bytes()) && !self.folders.has(id, name.as_bytes()) {
                    unlisted.push((name, kind == FileType::Directory));
                }
            })?;
            Ok(unlisted)
        });
        match listed {
            Ok(unlisted) => {
                self.abandon_unlisted(id, &place);
                let mut each = unlisted.into_iter();
                each.try_for_each(|(name, below)| self.remove(id, &name, below))
            }
            Err(error) => self.trouble(id, None, cannot("it cannot be read", &error)),
        }
    }

    /// What interrupted transfers left of files that the source does not have goes, too: nothing will
    /// resume it. What the patterns leave out may be another transfer's.
    fn abandon_unlisted(&mut self, id: Id, place: &Place) {
        if self.options.dry_run {
            return;
        }
        let folder = self.folders.at(id);
        let (source, ignored) = (folder.source, folder.ignored.clone());
        let kept = Kept { filters: &self.filters, ignored, source };
        let folders = &mut self.folders;
        let is_gone = |of: &Name| !folders.has(id, of.as_bytes()) && !kept.keeps(place, of, false);
        // As with all that is left over, what cannot be removed is no failure of a transfer.
        let _ = self.handles.open(place).and_then(|handle| remove::abandon(&handle, is_gone));
    }

    fn remove(&mut self, id: Id, name: &Name, is_directory: bool) -> Result<(), Stopped> {
        match self.clear_away(id, name, is_directory) {
            Ok(_) => self.talk.relieve(),
            Err(Failed { path, error }) => {
                self.talk.trouble(path, cannot("it cannot be removed", &error))
            }
        }
    }

    /// One thing less is to come in a folder; where that was the last, it is finished, and so
    /// perhaps are those above it.
    pub(super) fn release(&mut self, id: Id) -> Result<(), Stopped> {
        let mut next = Some(id);
        while let Some((folder, above)) = next.and_then(|id| self.folders.release(id)) {
            for text in self.finish(&folder) {
                self.talk.trouble(folder.path(None), text)?;
            }
            self.handles.forget(&folder.place);
            next = above;
        }
        Ok(())
    }

    /// Sets what a directory has, and makes it durable; what cannot be done of that, in words.
    fn finish(&mut self, folder: &Folder) -> Vec<String> {
        let mut texts = Vec::new();
        if self.options.dry_run {
            return texts;
        }
        if let Some(meta) = folder.meta.as_ref().filter(|_| !self.options.partial) {
            match self.dress(folder, meta) {
                Ok(unset) => texts.extend(unset.text()),
                Err(error) => texts.push(cannot("its mode and time cannot be set", &error)),
            }
        }
        if self.options.fsync {
            let synced = self.handles.open(&folder.place).and_then(|handle| Ok(fsync(handle)?));
            if let Err(error) = synced {
                texts.push(cannot("the names in it cannot be made durable", &error));
            }
        }
        texts
    }

    fn dress(&mut self, folder: &Folder, meta: &Meta) -> io::Result<Unset> {
        let handle = self.handles.open(&folder.place)?;
        let now = fstat(&handle)?;
        Ok(self.rights.apply(handle.as_fd(), meta, meta.mtime, Some(&now)))
    }
}
