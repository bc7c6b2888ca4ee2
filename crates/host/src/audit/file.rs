//! A file to which many processes append lines, each whole or not at all.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::time::Instant;

use rustix::fs::{FlockOperation, OFlags, flock};
use rustix::io::Errno;
use sockeye_limits as limits;

/// An open file of lines.
#[derive(Debug)]
pub(super) struct Lines(File);

impl Lines {
    /// Opens the file, which is made for us alone where there is none. A link is not followed, and
    /// what is no regular file is refused: a FIFO without a reader would hold us up for ever.
    ///
    /// # Errors
    /// As open(2); `InvalidInput` for what is no regular file.
    pub(super) fn open(path: &Path) -> io::Result<Lines> {
        let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY).bits() as i32;
        let mut options = OpenOptions::new();
        options.append(true).create(true).mode(0o600).custom_flags(flags);
        let file = match options.clone().read(true).open(path) {
            // We may add to it and not read it: then its last line is taken for whole.
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => options.open(path)?,
            other => other?,
        };
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is not a regular file"));
        }
        Ok(Lines(file))
    }

    /// Appends one line, which holds no newline. What could be written of one that could not be
    /// written whole is taken back; where that was not possible, the next begins behind a newline.
    ///
    /// # Errors
    /// As write(2); `WouldBlock` where somebody else holds the lock on the file.
    pub(super) fn append(&self, line: &str) -> io::Result<()> {
        let _lock = Lock::take(&self.0)?;
        let before = self.0.metadata()?.len();
        let mut bytes = Vec::with_capacity(line.len() + 2);
        if self.is_torn(before) {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(line.as_bytes());
        bytes.push(b'\n');
        (&self.0).write_all(&bytes).inspect_err(|_| {
            // Refused where the file may only grow (chattr(1), `a`).
            let _ = self.0.set_len(before);
        })
    }

    /// True where the last line has no end.
    fn is_torn(&self, length: u64) -> bool {
        let mut last = [b'\n'];
        let read = length.checked_sub(1).map(|at| self.0.read_at(&mut last, at));
        read.is_some_and(|read| read.is_ok()) && last != [b'\n']
    }
}

/// The lock on an open file, until it is dropped.
struct Lock<'a>(&'a File);

impl Lock<'_> {
    /// The wait is bounded: anybody who can open the file can lock it for as long as he likes.
    fn take(file: &File) -> io::Result<Lock<'_>> {
        let deadline = Instant::now() + limits::AUDIT_LOCK_TIME;
        loop {
            match flock(file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Lock(file)),
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) if Instant::now() < deadline => {
                    std::thread::sleep(limits::AUDIT_LOCK_PAUSE);
                }
                Err(Errno::WOULDBLOCK) => {
                    let text = "another process holds the lock on it";
                    return Err(io::Error::new(io::ErrorKind::WouldBlock, text));
                }
                Err(errno) => return Err(errno.into()),
            }
        }
    }
}

impl Drop for Lock<'_> {
    fn drop(&mut self) {
        // Said aloud: a child that is being made holds a copy of the descriptor until it executes.
        let _ = flock(self.0, FlockOperation::Unlock);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// X8, fault 58: a line that was torn in the middle spoils no other.
    #[test]
    fn behind_a_torn_line() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines");
        for (before, expected) in
            [("", "new\n"), ("whole\n", "whole\nnew\n"), ("torn", "torn\nnew\n")]
        {
            std::fs::write(&path, before).unwrap();
            Lines::open(&path).unwrap().append("new").unwrap();
            assert_eq!(std::fs::read_to_string(&path).unwrap(), expected);
        }
    }

    /// X8: a lock that somebody else does not give back is an error in bounded time.
    #[test]
    fn locked_by_others() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("lines");
        let lines = Lines::open(&path).unwrap();
        let other = File::open(&path).unwrap();
        flock(&other, FlockOperation::LockExclusive).unwrap();
        assert_eq!(lines.append("new").unwrap_err().kind(), io::ErrorKind::WouldBlock);
        drop(other);
        lines.append("new").unwrap();
    }

    /// X8: what is no regular file is refused at once, a FIFO that nobody reads too.
    #[test]
    fn no_regular_file() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, &fifo, mode).unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("elsewhere", &link).unwrap();
        for path in [&fifo, &link, directory.path(), Path::new("/dev/null")] {
            assert!(Lines::open(path).is_err(), "{}", path.display());
        }
    }
}
