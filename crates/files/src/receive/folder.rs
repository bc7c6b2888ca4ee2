//! Directories that are being written: each is finished when nothing in it is to come.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use sockeye_wire::files::{Meta, Name};

use super::ignored::below;
use crate::send::{Ignored, joined};
use crate::tree::Place;

/// Which directory.
pub(super) type Id = usize;

pub(super) struct Folder {
    pub(super) place: Place,
    parent: Option<Id>,
    /// What it gets when it is finished; `None` for one that corresponds to no source.
    pub(super) meta: Option<Meta>,
    /// We have made it: there is nothing old in it.
    pub(super) fresh: bool,
    /// Names may be missing from its listing: nothing is removed.
    pub(super) doubt: bool,
    /// How deep the source is that it belongs to: patterns count from there.
    pub(super) source: usize,
    /// What that source is called.
    pub(super) base: Base,
    /// What `.gitignore` files of the source leave out in it.
    pub(super) ignored: Option<Ignored>,
    /// The temporary names that were in it when the first file of it was wanted.
    pub(super) left: Option<Vec<String>>,
    names: HashSet<u64>,
    /// What is to come: its listing, its directories, files, links.
    pending: usize,
}

/// What the source is called, with which paths for people begin.
#[derive(Debug, Clone)]
pub(super) enum Base {
    /// The directory holds sources, each under its own name.
    None,
    /// The directory is this source, or in it.
    Of(Name),
    /// The directory holds this source under another name.
    Instead(Name),
}

/// All that are not finished.
#[derive(Default)]
pub(super) struct Folders {
    list: Vec<Option<Folder>>,
    free: Vec<Id>,
    /// Names are kept as hashes with keys that a peer does not know: a million of them in 16 MiB.
    keys: RandomState,
}

impl Folder {
    pub(super) fn new(place: Place) -> Folder {
        let source = place.depth();
        Folder {
            place,
            parent: None,
            meta: None,
            fresh: false,
            doubt: false,
            source,
            base: Base::None,
            ignored: None,
            left: None,
            names: HashSet::new(),
            pending: 1,
        }
    }

    /// For people: what this is called at the source, whatever that is called here. Both sides say the
    /// same then.
    pub(super) fn path(&self, name: Option<&Name>) -> Vec<u8> {
        self.shown(&self.place.path(name))
    }

    /// The same of a path in it, from the destination's handle.
    pub(super) fn shown(&self, path: &[u8]) -> Vec<u8> {
        let path = below(self.source, path);
        match &self.base {
            Base::None => path,
            Base::Of(name) => joined(name.as_bytes(), &path),
            Base::Instead(name) => match path.iter().position(|byte| *byte == b'/') {
                Some(end) => joined(name.as_bytes(), &path[end + 1..]),
                None => name.as_bytes().to_vec(),
            },
        }
    }

    /// What a source is called that is this directory in it.
    pub(super) fn base_of(&self, name: &Name) -> Base {
        match &self.base {
            Base::Instead(name) => Base::Of(name.clone()),
            Base::None | Base::Of(_) => Base::Of(name.clone()),
        }
    }
}

impl Folders {
    /// Takes one more; it pends on its own listing.
    pub(super) fn add(&mut self, folder: Folder, parent: Option<Id>) -> Id {
        if let Some(parent) = parent {
            self.hold(parent);
        }
        let folder = Some(Folder { parent, ..folder });
        match self.free.pop() {
            Some(id) => {
                self.list[id] = folder;
                id
            }
            None => {
                self.list.push(folder);
                self.list.len() - 1
            }
        }
    }

    pub(super) fn at(&mut self, id: Id) -> &mut Folder {
        self.list[id].as_mut().expect("a folder lives as long as anything in it is to come")
    }

    /// One more thing is to come in it.
    pub(super) fn hold(&mut self, id: Id) {
        self.at(id).pending += 1;
    }

    /// One thing less is to come. Where that was the last: the folder, to be finished, and the one
    /// it is in, to be released after that.
    pub(super) fn release(&mut self, id: Id) -> Option<(Folder, Option<Id>)> {
        let folder = self.at(id);
        folder.pending -= 1;
        if folder.pending > 0 {
            return None;
        }
        let folder = self.list[id].take()?;
        self.free.push(id);
        let parent = folder.parent;
        Some((folder, parent))
    }

    /// Notes that this name is listed; false where it was before.
    pub(super) fn list(&mut self, id: Id, name: &Name) -> bool {
        let hash = self.keys.hash_one(name.as_bytes());
        self.at(id).names.insert(hash)
    }

    /// True where this name was listed.
    pub(super) fn has(&mut self, id: Id, name: &[u8]) -> bool {
        let hash = self.keys.hash_one(name);
        self.at(id).names.contains(&hash)
    }

    /// The listing is over: its names are needed no more.
    pub(super) fn forget_names(&mut self, id: Id) {
        self.at(id).names = HashSet::new();
    }
}
