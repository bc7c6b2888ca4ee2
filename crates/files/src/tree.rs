//! Directories of a tree, opened beneath a handle: nothing that another process does meanwhile, and
//! no name that a peer sends, leads out of it.

mod ground;
mod resolve;

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;

use sockeye_limits as limits;
use sockeye_wire::files::Name;

pub use ground::Ground;
use resolve::Links;

/// A directory of a tree: its parent and its name there, or the handle of the tree's root.
///
/// Cheap to clone. It is where the directory was found, not the directory: see [`Handles::open`].
#[derive(Clone, Debug)]
pub struct Place(Arc<Node>);

#[derive(Debug)]
struct Node {
    step: Step,
    depth: usize,
}

#[derive(Debug)]
enum Step {
    Root(Arc<OwnedFd>),
    /// A root that is opened when it is needed, by this path.
    Late(Arc<Ground>, Vec<u8>),
    /// The parent is taken out only when this is dropped.
    Below(Option<Place>, Name),
}

impl Place {
    /// The root of a tree: this directory.
    pub fn root(handle: OwnedFd) -> Place {
        Place::shared(Arc::new(handle))
    }

    /// The root of a tree whose handle was opened elsewhere.
    pub fn shared(handle: Arc<OwnedFd>) -> Place {
        Place(Arc::new(Node { step: Step::Root(handle), depth: 0 }))
    }

    /// The root of a tree that is looked up when it is needed, and holds no descriptor meanwhile: the
    /// directory that holds this path's last name, or the path where that has none.
    pub fn late(ground: Arc<Ground>, path: Vec<u8>) -> Place {
        Place(Arc::new(Node { step: Step::Late(ground, path), depth: 0 }))
    }

    /// The directory of this name in it.
    pub fn child(&self, name: Name) -> Place {
        let step = Step::Below(Some(self.clone()), name);
        Place(Arc::new(Node { step, depth: self.depth() + 1 }))
    }

    /// The directory it is in; `None` for the root.
    pub fn parent(&self) -> Option<&Place> {
        match &self.0.step {
            Step::Root(_) | Step::Late(..) => None,
            Step::Below(parent, _) => parent.as_ref(),
        }
    }

    /// Its name there; `None` for the root.
    pub fn name(&self) -> Option<&Name> {
        match &self.0.step {
            Step::Root(_) | Step::Late(..) => None,
            Step::Below(_, name) => Some(name),
        }
    }

    /// How many directories it is below the root.
    pub fn depth(&self) -> usize {
        self.0.depth
    }

    /// The way to it from the root, or to `name` in it, for people: relative, joined by `/`.
    pub fn path(&self, name: Option<&Name>) -> Vec<u8> {
        let mut names: Vec<&Name> = name.into_iter().collect();
        let mut at = Some(self);
        while let Some(place) = at {
            names.extend(place.name());
            at = place.parent();
        }
        let names: Vec<&[u8]> = names.iter().rev().map(|name| name.as_bytes()).collect();
        names.join(&b'/')
    }

    /// Tells it from all others that live.
    fn key(&self) -> usize {
        Arc::as_ptr(&self.0).addr()
    }
}

impl Drop for Node {
    /// A chain of many thousand parents is dropped without recursion.
    fn drop(&mut self) {
        let Step::Below(parent, _) = &mut self.step else { return };
        let mut next = parent.take();
        while let Some(mut node) = next.and_then(|place| Arc::into_inner(place.0)) {
            next = match &mut node.step {
                Step::Root(_) | Step::Late(..) => None,
                Step::Below(parent, _) => parent.take(),
            };
        }
    }
}

/// Open handles of directories, at most [`limits::OPEN_DIRECTORIES`]; those used last are kept.
#[derive(Debug, Default)]
pub struct Handles {
    held: HashMap<usize, Held>,
    clock: u64,
}

#[derive(Debug)]
struct Held {
    handle: Arc<OwnedFd>,
    used: u64,
    /// Keeps the address, which is the key, from being used for another.
    _place: Place,
}

impl Handles {
    /// None.
    pub fn new() -> Handles {
        Handles::default()
    }

    /// A handle of the directory that is at this place now. The kernel resolves the names beneath
    /// the root's handle and follows no link (openat2(2)).
    ///
    /// # Errors
    /// What openat2(2) says; `ELOOP` or `ENOTDIR` where a link is in the way.
    pub fn open(&mut self, place: &Place) -> io::Result<Arc<OwnedFd>> {
        self.clock += 1;
        let mut missing = Vec::new();
        let mut at = place;
        let nearest = loop {
            if let Some(held) = self.held.get_mut(&at.key()) {
                held.used = self.clock;
                break Arc::clone(&held.handle);
            }
            match &at.0.step {
                Step::Root(handle) => break Arc::clone(handle),
                Step::Late(ground, path) => {
                    let handle = Arc::new(ground.locate(path)?.0);
                    self.keep(at, &handle);
                    break handle;
                }
                Step::Below(parent, name) => {
                    missing.push(name.as_bytes());
                    at = parent.as_ref().expect("a parent is taken out only at the end");
                }
            }
        };
        if missing.is_empty() {
            return Ok(nearest);
        }
        missing.reverse();
        let path = missing.join(&b'/');
        let handle = resolve::directory(nearest.as_fd(), &path, Links::Refused)?;
        let handle = Arc::new(handle);
        self.keep(place, &handle);
        Ok(handle)
    }

    /// Holds a handle that somebody has opened: of the directory at this place.
    pub fn keep(&mut self, place: &Place, handle: &Arc<OwnedFd>) {
        if self.held.len() >= limits::OPEN_DIRECTORIES {
            let oldest = self.held.iter().min_by_key(|(_, held)| held.used).map(|(key, _)| *key);
            oldest.map(|key| self.held.remove(&key));
        }
        let handle = Arc::clone(handle);
        let held = Held { handle, used: self.clock, _place: place.clone() };
        self.held.insert(place.key(), held);
    }

    /// Lets go of the handle of this place: it is not needed any more.
    pub fn forget(&mut self, place: &Place) {
        self.held.remove(&place.key());
    }
}

#[cfg(test)]
mod tests;
