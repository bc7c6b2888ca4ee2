//! Paths to directories beneath a handle, by openat2(2), or name by name where that is missing.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{Mode, OFlags, ResolveFlags, openat, openat2};
use rustix::io::Errno;

/// What becomes of symbolic links on the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    /// None is followed.
    Refused,
    /// They are followed as long as they stay beneath the handle; so is `..`.
    Beneath,
}

/// The longest path of one call, in bytes; the kernel takes 4095.
const PATH: usize = 4000;

/// How often a path is tried again that the kernel could not resolve because something on it was
/// renamed meanwhile.
const AGAIN: usize = 64;

/// True once the kernel, or a filter before it, has refused openat2(2) as such.
static MISSING: AtomicBool = AtomicBool::new(false);

/// Opens a directory by a relative path.
pub(super) fn directory(base: BorrowedFd<'_>, path: &[u8], links: Links) -> io::Result<OwnedFd> {
    if !MISSING.load(Ordering::Relaxed) {
        match by_kernel(base, path, links) {
            // EPERM is what filters of system calls say, but some file systems say it too.
            Err(Errno::NOSYS | Errno::PERM) if is_missing(base) => {
                MISSING.store(true, Ordering::Relaxed);
            }
            result => return Ok(result?),
        }
    }
    Ok(by_names(base, path)?)
}

fn is_missing(base: BorrowedFd<'_>) -> bool {
    let here = one_call(base, b".", ResolveFlags::empty());
    matches!(here, Err(Errno::NOSYS | Errno::PERM))
}

fn by_kernel(base: BorrowedFd<'_>, path: &[u8], links: Links) -> Result<OwnedFd, Errno> {
    let mut held: Option<OwnedFd> = None;
    let mut rest = path;
    loop {
        let (piece, behind) = match links {
            Links::Refused => split(rest),
            // Beneath which directory a link or `..` stays is the first handle's matter alone.
            Links::Beneath => (rest, &b""[..]),
        };
        let from = held.as_ref().map_or(base, AsFd::as_fd);
        let flags = match links {
            Links::Refused => ResolveFlags::NO_SYMLINKS,
            Links::Beneath => ResolveFlags::empty(),
        };
        let next = one_call(from, piece, flags)?;
        if behind.is_empty() {
            return Ok(next);
        }
        (held, rest) = (Some(next), behind);
    }
}

fn one_call(base: BorrowedFd<'_>, path: &[u8], more: ResolveFlags) -> Result<OwnedFd, Errno> {
    let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_MAGICLINKS | more;
    let open = |flags| openat2(base, path, flags | KIND, Mode::empty(), resolve);
    let mut left = AGAIN;
    loop {
        let opened = match open(OFlags::RDONLY) {
            // Enough to reach what is in it.
            Err(Errno::ACCESS) => open(OFlags::PATH),
            other => other,
        };
        match opened {
            Err(Errno::AGAIN | Errno::INTR) if left > 0 => left -= 1,
            other => return other,
        }
    }
}

const KIND: OFlags = OFlags::DIRECTORY.union(OFlags::CLOEXEC);

/// As many whole names as fit one call, and those behind.
fn split(path: &[u8]) -> (&[u8], &[u8]) {
    if path.len() <= PATH {
        return (path, b"");
    }
    // A name has at most 255 bytes, so that there is a border.
    let border = path[..PATH].iter().rposition(|b| *b == b'/').unwrap_or(PATH);
    (&path[..border], path[border..].strip_prefix(b"/").unwrap_or(&path[border..]))
}

/// As strict as the kernel, and stricter: no link and no `..` at all.
pub(super) fn by_names(base: BorrowedFd<'_>, path: &[u8]) -> Result<OwnedFd, Errno> {
    let open = |from: BorrowedFd<'_>, name: &[u8], flags| {
        openat(from, name, flags | KIND | OFlags::NOFOLLOW, Mode::empty())
    };
    let mut held: Option<OwnedFd> = None;
    let names = path.split(|b| *b == b'/').filter(|name| !matches!(*name, b"" | b"."));
    for name in names {
        if name == b".." {
            return Err(Errno::XDEV);
        }
        let from = held.as_ref().map_or(base, AsFd::as_fd);
        held = Some(match open(from, name, OFlags::RDONLY) {
            Err(Errno::ACCESS) => open(from, name, OFlags::PATH)?,
            other => other?,
        });
    }
    match held {
        Some(handle) => Ok(handle),
        None => open(base, b".", OFlags::RDONLY),
    }
}
