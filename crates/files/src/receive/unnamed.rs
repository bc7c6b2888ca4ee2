//! Files without a name (O_TMPFILE, open(2)): while they are written nobody finds them, and whoever is
//! killed leaves nothing.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, CWD, Mode, OFlags, Stat, fstat, linkat, openat};
use rustix::io::Errno;
use sockeye_wire::files::Name;

use crate::attributes::by_name;

/// A file that is in no directory yet.
pub(super) struct Unnamed {
    file: File,
    made: Stat,
}

impl Unnamed {
    /// An empty one on this directory's file system, of this mode as far as umask(2) allows.
    ///
    /// # Errors
    /// `EOPNOTSUPP` where the file system has none; otherwise as open(2).
    pub(super) fn make(directory: &OwnedFd, mode: Mode) -> io::Result<Unnamed> {
        let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
        let handle = openat(directory, c".", flags, mode | Mode::RUSR)?;
        let made = fstat(&handle)?;
        Ok(Unnamed { file: File::from(handle), made })
    }

    /// The file.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// What it was like when it was made.
    pub(super) fn made(&self) -> &Stat {
        &self.made
    }

    /// Gives it this name in the directory that it was made for, where nothing has it.
    ///
    /// # Errors
    /// `EEXIST` where something has it; otherwise as link(2).
    pub(super) fn name(&self, directory: &OwnedFd, name: &Name) -> io::Result<()> {
        match linkat(&self.file, c"", directory, name.as_bytes(), AtFlags::EMPTY_PATH) {
            // Before Linux 6.10 that takes CAP_DAC_READ_SEARCH.
            Err(Errno::NOENT) => {
                let path = by_name(&self.file);
                Ok(linkat(CWD, path, directory, name.as_bytes(), AtFlags::SYMLINK_FOLLOW)?)
            }
            done => Ok(done?),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileExt, PermissionsExt};

    use super::*;

    /// F8, fault 57: until it is whole it is nowhere, then it is all there; what has its name stays.
    #[test]
    fn all_or_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let at: OwnedFd = File::open(directory.path()).unwrap().into();
        let name = Name::new(b"name").unwrap();
        let Ok(unnamed) = Unnamed::make(&at, Mode::from_raw_mode(0o600)) else {
            println!("skipped: the file system has no files without a name");
            return;
        };
        unnamed.file().write_all_at(b"whole", 0).unwrap();
        let count = || std::fs::read_dir(directory.path()).unwrap().count();
        assert_eq!(count(), 0);
        unnamed.name(&at, &name).unwrap();
        let path = directory.path().join("name");
        assert_eq!(std::fs::read(&path).unwrap(), b"whole");
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        let other = Unnamed::make(&at, Mode::RUSR).unwrap();
        let error = other.name(&at, &name).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AlreadyExists);
        drop((unnamed, other));
        assert_eq!((count(), std::fs::read(&path).unwrap()), (1, b"whole".to_vec()));
    }
}
