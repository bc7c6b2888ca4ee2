//! What a sender sends, and how a path becomes that.

use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use rustix::io::Errno;
use sockeye_wire::files::Name;

use crate::tree::Ground;

/// What is sent.
pub enum Source {
    /// A file, or a directory, in a directory. A symbolic link is sent as one.
    At {
        /// The directory it is in.
        directory: Arc<OwnedFd>,
        /// Its name there.
        name: Name,
        /// Its name at the other side, and in messages.
        label: Name,
        /// What the user wrote.
        shown: Vec<u8>,
    },
    /// A directory itself.
    Directory {
        /// The directory.
        handle: Arc<OwnedFd>,
        /// Its name at the other side, and in messages.
        label: Name,
        /// What the user wrote.
        shown: Vec<u8>,
    },
    /// A stream of unknown length: standard input.
    Stream {
        /// Where it comes from.
        input: Box<dyn Read + Send>,
        /// Its name at the other side.
        label: Name,
    },
    /// Looked up when its turn comes: held from the beginning, thousands of them would be as many
    /// descriptors.
    Late {
        /// Where its path counts from.
        ground: Arc<Ground>,
        /// What the user wrote.
        path: Vec<u8>,
    },
    /// Could not be found: the receiver is told.
    Missing {
        /// What the user wrote.
        shown: Vec<u8>,
        /// Why, in words.
        why: String,
    },
}

impl Source {
    /// What a path names, held open.
    pub fn find(ground: &Ground, path: &[u8]) -> Source {
        let shown = path.to_vec();
        match ground.locate(path) {
            Err(error) => Source::Missing { shown, why: explained(&error) },
            Ok((directory, Some(name))) => {
                Source::At { directory: Arc::new(directory), label: name.clone(), name, shown }
            }
            Ok((directory, None)) => {
                Source::Directory { handle: Arc::new(directory), label: label(path), shown }
            }
        }
    }
}

/// Why a path was not found, for people: the system's own words, without their number.
pub fn explained(error: &io::Error) -> String {
    // A way out of the tree (openat2(2), RESOLVE_BENEATH).
    if error.raw_os_error() == Some(Errno::XDEV.raw_os_error()) {
        return "it leads out of the tree that is served".into();
    }
    let text = error.to_string();
    match text.rfind(" (os error ") {
        Some(end) => text[..end].to_owned(),
        None => text,
    }
}

/// What a directory is called whose path does not end in its name, or what is not there.
pub(super) fn label(path: &[u8]) -> Name {
    let mut parts = path.rsplit(|byte| *byte == b'/').filter(|part| !part.is_empty());
    let named = parts.next().and_then(Name::new);
    named.or_else(|| Name::new(b"files")).expect("five letters are a name")
}
