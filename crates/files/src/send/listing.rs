//! What is said of one file in a listing.

use std::collections::HashMap;
use std::os::fd::OwnedFd;

use rustix::fs::{FileType, Mode, OFlags, Stat, openat, readlinkat};
use rustix::io::Errno;
use sockeye_limits as limits;
use sockeye_wire::files::{Entry, Meta, Name, Node, Owner};

use super::state::{self, State};
use crate::attributes::{self, Attribute, is_everybodys};

/// Makes entries.
pub(super) struct Listing {
    archive: bool,
    /// What has more names than were met: its group, and how many are missing.
    groups: HashMap<(u64, u64), (u32, u64)>,
    next_group: u32,
}

/// An entry, and what could not be read for it.
pub(super) struct Made {
    pub(super) entry: Entry,
    pub(super) trouble: Option<String>,
}

/// Extended attributes, whether they are whole, and what is to be said of them.
#[derive(Default)]
struct Xattrs {
    all: Vec<Attribute>,
    whole: bool,
    trouble: Option<String>,
}

/// Room for all of an entry but its extended attributes.
const FIXED: usize = 8 * 1024;

impl Listing {
    pub(super) fn new(archive: bool) -> Listing {
        Listing { archive, groups: HashMap::new(), next_group: 0 }
    }

    /// The entry of whatever is not a directory; the error is what to say of it.
    pub(super) fn file(
        &mut self,
        directory: &OwnedFd,
        name: &Name,
        stat: &Stat,
    ) -> Result<Made, String> {
        let node = match state::kind(stat) {
            FileType::RegularFile => self.regular(stat),
            FileType::Symlink => {
                let target = readlinkat(directory, name.as_bytes(), Vec::new());
                let target = target.map_err(|error| because("cannot be read", error))?;
                let target = target.into_bytes();
                self.grouped(stat, |group| Node::Symlink { target, group })
            }
            FileType::Fifo if self.archive => self.grouped(stat, |group| Node::Fifo { group }),
            FileType::Fifo => return Err(PIPE.into()),
            FileType::Socket => return Err(no_copy("a socket")),
            FileType::BlockDevice | FileType::CharacterDevice => return Err(no_copy("a device")),
            _ => return Err(no_copy("of an unknown kind")),
        };
        let flags = match node {
            Node::File { .. } => REGULAR,
            // A pipe that is opened to read would let its writers go on.
            _ => OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC,
        };
        let mut xattrs = Xattrs::default();
        if self.archive && !matches!(node, Node::Link(_)) {
            // A file that cannot be opened fails when its content is wanted.
            if let Ok(file) = openat(directory, name.as_bytes(), flags, Mode::empty()) {
                xattrs = read(&file);
            }
        }
        Ok(self.made(name, node, stat, xattrs))
    }

    /// The entry of a directory that is open.
    pub(super) fn directory(&self, handle: &OwnedFd, label: &Name, stat: &Stat) -> Made {
        let xattrs = if self.archive { read(handle) } else { Xattrs::default() };
        self.made(label, Node::Directory, stat, xattrs)
    }

    fn made(&self, name: &Name, node: Node, stat: &Stat, xattrs: Xattrs) -> Made {
        let Xattrs { all, whole, trouble } = xattrs;
        let meta = Meta {
            // Twelve bits.
            mode: (stat.st_mode & 0o7777) as u16,
            mtime: State::of(stat).mtime,
            owner: self.archive.then_some(Owner { uid: stat.st_uid, gid: stat.st_gid }),
            xattrs: all,
            whole,
        };
        Made { entry: Entry { name: name.clone(), node, meta }, trouble }
    }

    fn regular(&mut self, stat: &Stat) -> Node {
        let size = Some(State::of(stat).size);
        self.grouped(stat, |group| Node::File { size, group })
    }

    /// One more name of something that was listed; or that thing, with its group where it has others.
    // The types of some fields differ between architectures.
    #[allow(clippy::unnecessary_cast)]
    fn grouped(&mut self, stat: &Stat, first: impl FnOnce(Option<u32>) -> Node) -> Node {
        let mut group = None;
        // A receiver takes no more groups than this.
        let more = (self.next_group as usize) < limits::FILE_GROUPS;
        if self.archive && stat.st_nlink > 1 {
            let key = (stat.st_dev as u64, stat.st_ino as u64);
            if let Some((group, missing)) = self.groups.get_mut(&key) {
                let group = *group;
                *missing -= 1;
                if *missing == 0 {
                    self.groups.remove(&key);
                }
                return Node::Link(group);
            }
            if more {
                self.groups.insert(key, (self.next_group, stat.st_nlink as u64 - 1));
                group = Some(self.next_group);
                self.next_group += 1;
            }
        }
        first(group)
    }
}

/// How a regular file is opened: a pipe that has taken its name does not hold us up, and a link is
/// not followed.
pub(super) const REGULAR: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

/// The extended attributes of what is open, but for those that are the kernel's own.
fn read(file: &OwnedFd) -> Xattrs {
    let without = |trouble| Xattrs { trouble: Some(trouble), ..Xattrs::default() };
    let found = match attributes_of(file) {
        Ok(found) => found,
        // A file system without attributes knows of none.
        Err(Errno::NOTSUP) => return Xattrs::default(),
        Err(error) => return without(because("goes without extended attributes", error)),
    };
    let length = |(name, value): &Attribute| 8 + name.len() + value.len();
    if found.all.iter().map(length).sum::<usize>() > limits::ENTRY_BYTES - FIXED {
        return without("goes without its extended attributes: they are too long.".to_owned());
    }
    found
}

fn attributes_of(file: &OwnedFd) -> Result<Xattrs, Errno> {
    let mut found = Xattrs { whole: true, ..Xattrs::default() };
    let kinds: [&[u8]; 3] = [b"user.", b"security.", b"trusted."];
    for name in attributes::names(file)? {
        if !kinds.iter().any(|kind| name.starts_with(kind)) {
            continue;
        }
        match attributes::value(file, &name) {
            Ok(value) => found.all.push((name, value)),
            // It is gone since.
            Err(Errno::NODATA) => {}
            // It is another user's.
            Err(Errno::PERM | Errno::ACCESS) => found.whole &= !is_everybodys(&name),
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

const PIPE: &str = "is a named pipe, and is not copied without --archive. Use that, or exclude it.";

fn no_copy(what: &str) -> String {
    format!("is {what}, and is not copied. Exclude it, or copy it by other means.")
}

/// What failed and why, in words; the name of the file stands before it.
pub(super) fn because(what: &str, error: Errno) -> String {
    let remedy = match error {
        Errno::ACCESS | Errno::PERM => "Run this as a user who may read it.",
        Errno::NOENT => "Check its name, or try again if it vanished.",
        Errno::LOOP | Errno::NOTDIR => "Something else took its name; try again.",
        _ => "Look whether its file system is in order.",
    };
    format!("{what}: {}. {remedy}", words(error))
}

/// The system's words for an error, without its number.
fn words(error: Errno) -> String {
    let text = std::io::Error::from(error).to_string();
    text.split(" (os error").next().unwrap_or_default().to_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P-X17: when there are as many groups of hard links as a transfer can have, the names of
    /// further ones are files of their own, and the groups before go on.
    #[test]
    fn groups_come_to_an_end() {
        let home = tempfile::tempdir().unwrap();
        let path = |name: &str| home.path().join(name);
        for pair in [["a", "b"], ["c", "d"]] {
            std::fs::write(path(pair[0]), "x").unwrap();
            std::fs::hard_link(path(pair[0]), path(pair[1])).unwrap();
        }
        let last = limits::FILE_GROUPS as u32 - 1;
        let mut listing = Listing { next_group: last, ..Listing::new(true) };
        let mut listed = |name: &str| listing.regular(&rustix::fs::stat(path(name)).unwrap());
        let file = |group| Node::File { size: Some(1), group };
        assert_eq!(listed("a"), file(Some(last)));
        assert_eq!(listed("c"), file(None));
        assert_eq!(listed("d"), file(None));
        assert_eq!(listed("b"), Node::Link(last));
    }
}
