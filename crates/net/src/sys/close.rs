//! What close(2) tells of a file that stays open.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, IntoRawFd};

use rustix::io::fcntl_dupfd_cloexec;

/// How often a close that a signal interrupted is asked again.
const AGAIN: usize = 16;

/// Asks the file system for what it tells of writing only when a descriptor is closed, as NFS, FUSE
/// and quotas over them do (close(2), "Dealing with error returns from close()").
///
/// A copy of the descriptor is closed. The kernel asks the file system (`flush`) for each descriptor,
/// not for the last one alone, and this is all that close(2) ever reports; so the file's own
/// descriptor, and the lock that it holds (flock(2)), live on.
///
/// # Errors
/// What close(2) says: `EDQUOT`, `ENOSPC`, `EIO`; `EMFILE` where no copy can be had.
pub fn flush(file: &impl AsFd) -> io::Result<()> {
    let mut left = AGAIN;
    loop {
        let copy = fcntl_dupfd_cloexec(file, 0)?.into_raw_fd();
        // SAFETY: the number was made by the line above, belongs to nobody else, and is not used
        // behind this: Linux frees it whatever close(2) returns.
        if unsafe { libc::close(copy) } == 0 {
            return Ok(());
        }
        let error = io::Error::last_os_error();
        // Of that copy nothing is left; another one asks anew.
        if error.kind() != io::ErrorKind::Interrupted || left == 0 {
            return Err(error);
        }
        left -= 1;
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    /// The file stays open, and its lock held.
    #[test]
    fn nothing_is_closed() {
        let mut file = tempfile::tempfile().unwrap();
        file.lock().unwrap();
        flush(&file).unwrap();
        file.write_all(b"still open").unwrap();
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
        let other = std::fs::File::open(path).unwrap();
        assert!(matches!(other.try_lock(), Err(std::fs::TryLockError::WouldBlock)));
    }
}
