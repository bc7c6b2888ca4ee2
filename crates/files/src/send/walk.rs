//! Walks the sources, depth first, by handles: one step lists one thing.

use std::collections::HashSet;
use std::hash::{BuildHasher, DefaultHasher, Hash, Hasher, RandomState};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::fs::{AtFlags, FileType, RawDir, Stat, statat};
use rustix::io::Errno;
use sockeye_net::shown;
use sockeye_wire::files::{FromSender, Name, Node, Placement, Transfer};

use super::filter::{Filters, Ignored};
use super::link::Link;
use super::listing::{Listing, Made, because};
use super::names::{Names, joined};
use super::state::{self, State};
use super::{Listed, Source, What};
use crate::engine::{Happening, Stopped};
use crate::identity::identity;
use crate::receive::is_temporary;
use crate::tree::{Handles, Place};

mod enter;

/// How much of a directory is read at a time, in bytes.
const PORTION: usize = 64 * 1024;

pub(super) struct Walk {
    sources: std::iter::Enumerate<std::vec::IntoIter<Source>>,
    ended: bool,
    /// The directories that are open, the innermost last.
    levels: Vec<Level>,
    listing: Listing,
    filters: Filters,
    /// Patterns judge the names of sources, too.
    names_count: bool,
    gitignore: bool,
    /// The receiver removes what is not listed, and has to know what is left out.
    delete: bool,
    part: (u32, u32),
    portion: Vec<u8>,
    /// For hashes of names.
    keys: RandomState,
    /// What the source is called that is walked: paths begin with it.
    shown: Arc<[u8]>,
    /// What the user wrote to name it.
    asked: Vec<u8>,
}

/// A directory that is listed.
struct Level {
    place: Place,
    handle: Option<Arc<OwnedFd>>,
    /// True up to its end.
    reading: bool,
    found: Vec<Found>,
    /// Hashes of the names that were read.
    met: HashSet<u64>,
    below: Names,
    complete: bool,
    ignored: Option<Ignored>,
    /// Its path where paths are needed to judge; it ends with no slash.
    path: Vec<u8>,
    /// Of its path.
    hash: u64,
}

struct Found {
    name: Name,
    inode: u64,
    is_directory: bool,
}

/// Everything that lists has these.
pub(super) struct Ends<'l, 'a> {
    pub(super) link: &'l mut Link<'a>,
    pub(super) handles: &'l mut Handles,
    pub(super) listed: &'l mut std::collections::VecDeque<Listed>,
}

impl Walk {
    /// Begins with the first source.
    pub(super) fn new(sources: Vec<Source>, transfer: &Transfer) -> Result<Walk, Stopped> {
        Ok(Walk {
            sources: sources.into_iter().enumerate(),
            ended: false,
            levels: Vec::new(),
            listing: Listing::new(transfer.options.archive),
            filters: Filters::new(&transfer.filters).map_err(Stopped::Refused)?,
            // Exactly one thing was asked for then, under another name.
            names_count: transfer.placement != Placement::Exact,
            gitignore: transfer.options.gitignore,
            delete: transfer.options.delete,
            part: transfer.part,
            portion: Vec::with_capacity(PORTION),
            keys: RandomState::new(),
            shown: Arc::from([].as_slice()),
            asked: Vec::new(),
        })
    }

    /// False once the end of the listing was said.
    pub(super) fn has_more(&self) -> bool {
        !self.ended
    }

    /// Lists nothing more: leaves what is open, and says the end of the listing.
    pub(super) fn end(&mut self, ends: &mut Ends<'_, '_>) -> Result<(), Stopped> {
        while let Some(level) = self.levels.pop() {
            ends.handles.forget(&level.place);
            ends.link.say(&FromSender::Leave { complete: false })?;
        }
        self.ended = true;
        ends.link.say(&FromSender::Listed)
    }

    /// Lists the next thing, at most one file.
    pub(super) fn step(&mut self, ends: &mut Ends<'_, '_>) -> Result<(), Stopped> {
        let Some(level) = self.levels.last_mut() else {
            return match self.sources.next() {
                // There are no more of them than a request can have.
                Some((index, source)) => self.source(index as u32, source, ends),
                None => {
                    self.ended = true;
                    ends.link.say(&FromSender::Listed)
                }
            };
        };
        if let Some(found) = level.found.pop() {
            return self.found(found, ends);
        }
        if level.reading {
            return self.read(ends);
        }
        // Of those above only the place is held: a deep tree has more of them than a process may open.
        level.handle = None;
        level.met = HashSet::new();
        if let Some(name) = level.below.pop() {
            return self.enter(&name, ends);
        }
        let complete = level.complete && self.part.1 == 1;
        ends.handles.forget(&level.place);
        self.levels.pop();
        ends.link.say(&FromSender::Leave { complete })
    }

    /// Reads the next portion of the directory that is open.
    fn read(&mut self, ends: &mut Ends<'_, '_>) -> Result<(), Stopped> {
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        let Some(handle) = &level.handle else { return Ok(()) };
        let result = (|| {
            let mut entries = RawDir::new(&**handle, self.portion.spare_capacity_mut());
            loop {
                let Some(entry) = entries.next() else {
                    level.reading = false;
                    return Ok(());
                };
                let entry = entry?;
                let name = Name::new(entry.file_name().to_bytes());
                let is_directory = entry.file_type() == FileType::Directory;
                // A directory that changes while it is read may give a name twice (getdents(2)), and a
                // receiver takes it once.
                let is_new = |name: &Name| level.met.insert(self.keys.hash_one(name));
                if let Some(name) = name.filter(is_new) {
                    level.found.push(Found { name, inode: entry.ino(), is_directory });
                }
                if entries.is_buffer_empty() {
                    return Ok(());
                }
            }
        })();
        // Neighbours on the disk one after another; the last is taken first.
        level.found.sort_unstable_by_key(|found| std::cmp::Reverse(found.inode));
        let error = match result {
            Ok(()) => return Ok(()),
            // The handle only leads to what is in it, because reading was not allowed.
            Err(Errno::BADF) => Errno::ACCESS,
            Err(error) => error,
        };
        (level.reading, level.complete) = (false, false);
        let path = joined(&self.shown, &level.place.path(None));
        ends.link.trouble(path, because("cannot be read to its end", error))
    }

    /// Lists a file of the directory that is open, or notes a directory for later.
    fn found(&mut self, found: Found, ends: &mut Ends<'_, '_>) -> Result<(), Stopped> {
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        let Some(handle) = level.handle.clone() else { return Ok(()) };
        let Found { name, mut is_directory, .. } = found;
        let mut stat = None;
        if !is_directory {
            match statat(&*handle, name.as_bytes(), AtFlags::SYMLINK_NOFOLLOW) {
                Ok(known) => {
                    is_directory = state::kind(&known) == FileType::Directory;
                    stat = Some(known);
                }
                // It vanished before we had said a word of it.
                Err(Errno::NOENT) => return Ok(()),
                Err(error) => return self.trouble(&name, because("cannot be read", error), ends),
            }
        }
        if self.is_left_out(&name, is_directory) {
            return Ok(());
        }
        if is_temporary(name.as_bytes()) {
            let text = "has a name that only temporary files of a transfer have, and is not sent. Rename \
                it, or remove it if it was left by a transfer.";
            return self.trouble(&name, text.to_owned(), ends);
        }
        match (self.levels.last_mut(), stat) {
            (Some(level), Some(stat)) if !is_directory => {
                let place = level.place.clone();
                if !self.is_ours_to_send(&name, &stat) {
                    return Ok(());
                }
                match self.listing.file(&handle, &name, &stat) {
                    Ok(made) => self.list(made, place, name, &stat, None, ends),
                    Err(text) => self.trouble(&name, text, ends),
                }
            }
            (Some(level), _) => {
                level.below.push(&name);
                Ok(())
            }
            (None, _) => Ok(()),
        }
    }

    fn is_left_out(&self, name: &Name, is_directory: bool) -> bool {
        let Some(level) = self.levels.last() else { return false };
        if self.filters.is_empty() && level.ignored.is_none() {
            return false;
        }
        let path = joined(&level.path, name.as_bytes());
        let ignored = level.ignored.as_ref();
        self.filters.excludes(&path, is_directory)
            || ignored.is_some_and(|ignored| ignored.excludes(&path, is_directory))
    }

    /// True where it belongs to this one of several connections. All names of a file go the same
    /// way, or they could not be linked.
    fn is_ours_to_send(&self, name: &Name, stat: &Stat) -> bool {
        let (number, of) = self.part;
        if of == 1 {
            return true;
        }
        let above = self.levels.last().map_or(0, |level| level.hash);
        let hash = if stat.st_nlink > 1 {
            hashed(stat.st_ino, b"")
        } else {
            hashed(above, name.as_bytes())
        };
        hash % u64::from(of) == u64::from(number)
    }

    /// Says an entry; a file's content may be wanted then.
    fn list(
        &mut self,
        Made { entry, trouble }: Made,
        place: Place,
        name: Name,
        stat: &Stat,
        root: Option<u32>,
        ends: &mut Ends<'_, '_>,
    ) -> Result<(), Stopped> {
        if let Node::File { size: Some(bytes), .. } = entry.node {
            let shown = Arc::clone(&self.shown);
            let state = State::of(stat);
            let (place, name, is_root) = (place.clone(), name.clone(), root.is_some());
            let what = What::File { place, name, shown, is_root, state };
            ends.listed.push_back(Listed { what, size: Some(state.size) });
            ends.link.tell(Happening::Listed { bytes });
        }
        ends.link.say(&match root {
            Some(index) => FromSender::Root { index, identity: identity(stat), entry },
            None => FromSender::Entry(entry),
        })?;
        let path = if root.is_some() { Vec::new() } else { place.path(Some(&name)) };
        trouble.map_or(Ok(()), |text| self.trouble_at(path, text, ends))
    }

    /// Something in the directory that is open could not be listed: what the receiver has of it
    /// stays.
    fn trouble(
        &mut self,
        name: &Name,
        text: String,
        ends: &mut Ends<'_, '_>,
    ) -> Result<(), Stopped> {
        let Some(level) = self.levels.last_mut() else { return Ok(()) };
        level.complete = false;
        let path = level.place.path(Some(name));
        self.trouble_at(path, text, ends)
    }

    /// What is wrong with the source itself is told with what the user wrote, where its name is not all
    /// of that.
    fn trouble_at(
        &self,
        path: Vec<u8>,
        mut text: String,
        ends: &mut Ends<'_, '_>,
    ) -> Result<(), Stopped> {
        if path.is_empty() && self.asked != *self.shown {
            text = format!("{}: {text}", shown::bytes(&self.asked));
        }
        ends.link.trouble(joined(&self.shown, &path), text)
    }
}

/// The number of an error of the system.
pub(super) fn errno(error: &std::io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::IO)
}

/// The same in every process: several connections divide the files by it.
fn hashed(above: impl Hash, name: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    above.hash(&mut hasher);
    name.hash(&mut hasher);
    hasher.finish()
}

#[cfg(test)]
mod tests;
