//! Where the paths of a request are looked up: anywhere, or beneath one directory.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::Errno;
use sockeye_wire::files::Name;

use super::resolve::{self, Links};

/// Where paths are looked up.
#[derive(Debug)]
pub enum Ground {
    /// Anywhere the process may go; relative paths begin at this directory.
    Open(OwnedFd),
    /// Beneath this directory, whatever they say: absolute ones begin at it, and `..` and links that
    /// lead out are refused by the kernel.
    Within(OwnedFd),
}

impl Ground {
    /// The directory that holds a path's last name, and that name. No name where the path is the
    /// directory itself: `/`, `.`, `..`, `dir/`, `dir/.`. The last name is not looked up, and
    /// symbolic links before it are followed.
    ///
    /// # Errors
    /// What openat2(2) says about the directory; that a path leads out, in words.
    pub fn locate(&self, path: &[u8]) -> io::Result<(OwnedFd, Option<Name>)> {
        let (directory, name) = split(path);
        let opened = match self {
            Ground::Open(from) => open(from, directory),
            Ground::Within(root) => {
                let start = directory.iter().position(|b| *b != b'/');
                let inside = start.map_or(&b"."[..], |start| &directory[start..]);
                resolve::directory(root.as_fd(), inside, Links::Beneath).map_err(explained)
            }
        };
        Ok((opened?, name))
    }
}

/// A path's directory, as it is written, and its last name.
fn split(path: &[u8]) -> (&[u8], Option<Name>) {
    let border = path.iter().rposition(|b| *b == b'/').map_or(0, |at| at + 1);
    match Name::new(&path[border..]) {
        Some(name) if border == 0 => (b".", Some(name)),
        Some(name) => (&path[..border], Some(name)),
        None => (path, None),
    }
}

fn open(from: &OwnedFd, path: &[u8]) -> io::Result<OwnedFd> {
    let kind = OFlags::DIRECTORY | OFlags::CLOEXEC;
    Ok(match openat(from, path, kind | OFlags::RDONLY, Mode::empty()) {
        // Enough to reach what is in it.
        Err(Errno::ACCESS) => openat(from, path, kind | OFlags::PATH, Mode::empty())?,
        other => other?,
    })
}

fn explained(error: io::Error) -> io::Error {
    if error.raw_os_error() == Some(Errno::XDEV.raw_os_error()) {
        let text = "it leads out of the directory that is served";
        return io::Error::new(io::ErrorKind::PermissionDenied, text);
    }
    error
}
