//! What is said of one file in a listing.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    FileType, Mode, OFlags, Stat, fgetxattr, fgetxattr_query, flistxattr, flistxattr_query, openat,
    readlinkat,
};
use rustix::io::Errno;
use sockeye_limits as limits;
use sockeye_wire::files::{Entry, Meta, Name, Node, Owner};

use super::state::{self, State};

/// Makes entries.
pub(super) struct Listing {
    archive: bool,
    /// Files of which not all names were met: their group, and how many names are missing.
    groups: HashMap<(u64, u64), (u32, u64)>,
    next_group: u32,
}

/// An entry, and what could not be read for it.
pub(super) struct Made {
    pub(super) entry: Entry,
    pub(super) trouble: Option<String>,
}

/// Extended attributes, name and value.
type Xattrs = Vec<(Vec<u8>, Vec<u8>)>;

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
            FileType::Symlink => match readlinkat(directory, name.as_bytes(), Vec::new()) {
                Ok(target) => Node::Symlink(target.into_bytes()),
                Err(error) => return Err(because("cannot be read", error)),
            },
            FileType::Fifo if self.archive => Node::Fifo,
            FileType::Fifo => return Err(no_copy("a named pipe; --archive copies those")),
            FileType::Socket => return Err(no_copy("a socket")),
            FileType::BlockDevice | FileType::CharacterDevice => return Err(no_copy("a device")),
            _ => return Err(no_copy("of an unknown kind")),
        };
        let (mut xattrs, mut trouble) = (Vec::new(), None);
        if self.archive && matches!(node, Node::File { .. }) {
            // A file that cannot be opened fails when its content is wanted.
            if let Ok(file) = openat(directory, name.as_bytes(), REGULAR, Mode::empty()) {
                (xattrs, trouble) = self.xattrs(&file);
            }
        }
        let entry = Entry { name: name.clone(), node, meta: self.meta(stat, xattrs) };
        Ok(Made { entry, trouble })
    }

    /// The entry of a directory that is open.
    pub(super) fn directory(&self, handle: &OwnedFd, label: &Name, stat: &Stat) -> Made {
        let (xattrs, trouble) = if self.archive { self.xattrs(handle) } else { (Vec::new(), None) };
        let entry =
            Entry { name: label.clone(), node: Node::Directory, meta: self.meta(stat, xattrs) };
        Made { entry, trouble }
    }

    // The types of some fields differ between architectures.
    #[allow(clippy::unnecessary_cast)]
    fn regular(&mut self, stat: &Stat) -> Node {
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
        Node::File { size: Some(State::of(stat).size), group }
    }

    fn meta(&self, stat: &Stat, xattrs: Xattrs) -> Meta {
        Meta {
            // Twelve bits.
            mode: (stat.st_mode & 0o7777) as u16,
            mtime: State::of(stat).mtime,
            owner: self.archive.then_some(Owner { uid: stat.st_uid, gid: stat.st_gid }),
            xattrs,
        }
    }

    /// The extended attributes of an open file (xattr(7)), but for those that are the kernel's own.
    fn xattrs(&self, file: &OwnedFd) -> (Xattrs, Option<String>) {
        let found = match xattrs(file) {
            Ok(found) => found,
            // Handles that only lead to other files, and file systems without attributes.
            Err(Errno::BADF | Errno::NOTSUP) => Vec::new(),
            Err(error) => {
                return (Vec::new(), Some(because("goes without extended attributes", error)));
            }
        };
        let size: usize = found.iter().map(|(name, value)| 8 + name.len() + value.len()).sum();
        if size > limits::ENTRY_BYTES - FIXED {
            let text = "goes without its extended attributes: they are too long.";
            return (Vec::new(), Some(text.to_owned()));
        }
        (found, None)
    }
}

/// How a regular file is opened: a pipe that has taken its name does not hold us up, and a link is
/// not followed.
pub(super) const REGULAR: OFlags = OFlags::RDONLY
    .union(OFlags::NOFOLLOW)
    .union(OFlags::NONBLOCK)
    .union(OFlags::NOCTTY)
    .union(OFlags::CLOEXEC);

fn xattrs(file: &OwnedFd) -> Result<Xattrs, Errno> {
    let mut names = vec![0; flistxattr_query(file)?];
    if names.is_empty() {
        return Ok(Vec::new());
    }
    let length = flistxattr(file, names.as_mut_slice())?;
    let mut found = Vec::new();
    let kinds: [&[u8]; 3] = [b"user.", b"security.", b"trusted."];
    for name in names[..length].split(|byte| *byte == 0) {
        if !kinds.iter().any(|kind| name.starts_with(kind)) {
            continue;
        }
        match value(file, name) {
            Ok(value) => found.push((name.to_vec(), value)),
            // It is gone since, or another user's.
            Err(Errno::NODATA | Errno::PERM | Errno::ACCESS) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn value(file: impl AsFd, name: &[u8]) -> Result<Vec<u8>, Errno> {
    let mut value = vec![0; fgetxattr_query(&file, name)?];
    let length = fgetxattr(&file, name, value.as_mut_slice())?;
    value.truncate(length);
    Ok(value)
}

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
