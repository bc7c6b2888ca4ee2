//! Hard links: further names of files of this transfer.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, Stat, linkat, renameat, statat, unlinkat};
use rustix::io::Errno;
use sockeye_limits as limits;
use sockeye_wire::files::{Name, Note};

use super::folder::Id;
use super::{Receiver, temporary, wrong};
use crate::engine::Stopped;
use crate::tree::Place;

/// The files with several names.
#[derive(Default)]
pub(super) struct Groups(HashMap<u32, Group>);

enum Group {
    /// Its first name is not settled; these others wait for it, their folders held.
    Waiting(Vec<(Id, Name)>),
    /// This is it.
    Settled(Place, Name),
    Failed,
}

/// What is in the place of a further name, and both directories.
struct Found {
    from: Arc<OwnedFd>,
    at: Arc<OwnedFd>,
    there: Option<Stat>,
    /// It is that file already.
    same: bool,
}

impl Receiver<'_> {
    /// A group begins.
    pub(super) fn begin_group(&mut self, group: Option<u32>) -> Result<(), Stopped> {
        let Some(group) = group else { return Ok(()) };
        if self.groups.0.len() >= limits::FILE_GROUPS {
            return wrong("more groups of hard links than are allowed");
        }
        match self.groups.0.insert(group, Group::Waiting(Vec::new())) {
            None => Ok(()),
            Some(_) => wrong("a group of hard links for the second time"),
        }
    }

    /// A group whose first name has no directory here: its others have no file to be names of.
    pub(super) fn fail_group(&mut self, group: Option<u32>) -> Result<(), Stopped> {
        self.begin_group(group)?;
        self.end_group(group, None)
    }

    /// One more name of a file.
    pub(super) fn link(&mut self, folder: Id, name: Name, group: u32) -> Result<(), Stopped> {
        match self.groups.0.get_mut(&group) {
            None => wrong("a hard link to no file"),
            Some(Group::Waiting(waiting)) => {
                waiting.push((folder, name));
                self.folders.hold(folder);
                Ok(())
            }
            Some(Group::Settled(place, first)) => {
                let (place, first) = (place.clone(), first.clone());
                self.make_link(folder, &name, Some((&place, &first)))
            }
            Some(Group::Failed) => self.make_link(folder, &name, None),
        }
    }

    /// The first name of a group is settled: it is there, or will never be.
    pub(super) fn end_group(
        &mut self,
        group: Option<u32>,
        there: Option<(&Place, &Name)>,
    ) -> Result<(), Stopped> {
        let Some(group) = group else { return Ok(()) };
        let settled = there
            .map_or(Group::Failed, |(place, name)| Group::Settled(place.clone(), name.clone()));
        if let Some(Group::Waiting(waiting)) = self.groups.0.insert(group, settled) {
            for (folder, name) in waiting {
                self.make_link(folder, &name, there)?;
                self.release(folder)?;
            }
        }
        Ok(())
    }

    /// Everything is settled, and so is every group.
    pub(super) fn end_groups(&mut self) -> Result<(), Stopped> {
        self.groups.0.clear();
        Ok(())
    }

    fn make_link(
        &mut self,
        folder: Id,
        name: &Name,
        there: Option<(&Place, &Name)>,
    ) -> Result<(), Stopped> {
        if self.has_enough() {
            return Ok(());
        }
        let Some((place, first)) = there else {
            let text = "the file that it is another name of is not here. See what is said of that.";
            return self.trouble(folder, Some(name), text.to_owned());
        };
        if self.options.dry_run {
            // What cannot be seen is not there yet.
            let there = match self.look_for(folder, name, place, first) {
                Ok(Found { same: true, .. }) => return Ok(()),
                Ok(Found { there, .. }) => there,
                Err(_) => self.found(folder, name),
            };
            if let Err(error) = self.make_room(folder, name, there.as_ref()) {
                let text = self.in_the_way(folder, &error, "this name could not be made");
                return self.trouble(folder, Some(name), text);
            }
            let path = self.folders.at(folder).path(Some(name));
            return self.talk.note(Note::WouldStore, path);
        }
        match self.link_to(folder, name, place, first) {
            Ok(made) => {
                self.talk.tally.made += u64::from(made);
                Ok(())
            }
            Err(error) => {
                self.missed(&error);
                let text = self.in_the_way(folder, &error, "this name cannot be made");
                self.trouble(folder, Some(name), text)
            }
        }
    }

    /// What is in the place of a name.
    pub(super) fn found(&mut self, folder: Id, name: &Name) -> Option<Stat> {
        let here = self.folders.at(folder).place.clone();
        let at = self.handles.open(&here).ok()?;
        statat(&at, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW).ok()
    }

    fn look_for(
        &mut self,
        folder: Id,
        name: &Name,
        place: &Place,
        first: &Name,
    ) -> io::Result<Found> {
        let from = self.handles.open(place)?;
        let here = self.folders.at(folder).place.clone();
        let at = self.handles.open(&here)?;
        let stat = |at, name: &Name| statat(at, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW);
        let source = stat(&from, first)?;
        let there = match stat(&at, name) {
            Ok(found) => Some(found),
            Err(Errno::NOENT) => None,
            Err(error) => return Err(error.into()),
        };
        let key = |stat: Stat| (stat.st_dev, stat.st_ino);
        Ok(Found { same: there.map(key) == Some(key(source)), from, at, there })
    }

    /// True where there was something to do.
    fn link_to(
        &mut self,
        folder: Id,
        name: &Name,
        place: &Place,
        first: &Name,
    ) -> io::Result<bool> {
        let Found { from, at, there, same } = self.look_for(folder, name, place, first)?;
        if same {
            return Ok(false);
        }
        self.make_room(folder, name, there.as_ref())?;
        for _ in 0..limits::TEMPORARY_TRIES {
            let temporary = temporary::name::new(name)?;
            match linkat(&from, first.as_bytes(), &at, &temporary, AtFlags::empty()) {
                Err(Errno::EXIST) => continue,
                other => other?,
            }
            match renameat(&at, &temporary, &at, name.as_bytes()) {
                Ok(()) => return Ok(true),
                // Nobody can lock a link: another transfer that removes what is left over took it.
                Err(Errno::NOENT) => {}
                Err(error) => {
                    let _ = unlinkat(&at, &temporary, AtFlags::empty());
                    return Err(error.into());
                }
            }
        }
        Err(Errno::EXIST.into())
    }
}
