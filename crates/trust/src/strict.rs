//! Files that decide about access, opened so that nobody else can have a hand in them.
//!
//! Everything is judged on the open descriptor, never on a name that may point elsewhere a moment
//! later; and opening never waits, whatever stands at the name (a FIFO, a device).

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};
use sockeye_net::shown;
use thiserror::Error;

/// Writable by the group or by all.
const OTHERS_WRITE: u32 = 0o022;

/// The sticky bit: in such a directory only an entry's owner may rename or remove it.
const STICKY: u32 = 0o1000;

/// Why a list of keys or hosts could not be read or written. Paths are escaped.
#[derive(Debug, Error)]
pub enum ListError {
    /// The system refused.
    #[error("cannot {operation} {path}: {source}; look at the path and its permissions")]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// The file or a directory above it can be written by others.
    #[error("{path} is writable by others (mode {mode:04o}); run `chmod go-w` on it")]
    TooOpen {
        /// The file or directory.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// The file or a directory above it belongs to another user.
    #[error("{path} belongs to user {owner}; it has to belong to you or to root")]
    Foreign {
        /// The file or directory.
        path: String,
        /// Its owner's user number.
        owner: u32,
    },
    /// A directory, a device or the like.
    #[error("{path} is not a regular file; name the file itself")]
    NotAFile {
        /// The path.
        path: String,
    },
    /// Longer than we read.
    #[error("{path} is longer than {limit} bytes; name a smaller file")]
    TooLong {
        /// The file.
        path: String,
        /// The limit, in bytes.
        limit: u64,
    },
    /// What should be written would not be understood afterwards.
    #[error("cannot write that line: {0}; correct what was given")]
    Line(String),
}

impl ListError {
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> ListError {
        ListError::Io { operation, path: show(path), source }
    }
}

/// A path for a message.
pub(crate) fn show(path: &Path) -> String {
    shown::bytes(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
}

/// Opens for reading without waiting and, with `follow` false, without following a link at the
/// end of the path.
pub(crate) fn open(path: &Path, follow: bool) -> io::Result<File> {
    let mut flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    flags.set(OFlags::NOFOLLOW, !follow);
    Ok(File::from(rustix::fs::open(path, flags, Mode::empty())?))
}

/// The user that we act as.
pub(crate) fn ourselves() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// A list that others may read and, if need be, write: a regular file of at most `limit` bytes.
/// `None` if there is none.
pub(crate) fn read_list(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, ListError> {
    let file = match open(path, true) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ListError::io("open", path, error)),
    };
    let metadata = file.metadata().map_err(|error| ListError::io("look at", path, error))?;
    read_open(file, &metadata, path, limit).map(Some)
}

/// The same, but the file and the directories above it, up to `home` or the root, have to be safe
/// from other users' hands, as sshd(8) asks for with StrictModes.
pub(crate) fn read_strict(
    path: &Path,
    home: Option<&Path>,
    limit: u64,
) -> Result<Option<Vec<u8>>, ListError> {
    let real = match fs::canonicalize(path) {
        Ok(real) => real,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(ListError::io("open", path, error)),
    };
    let file = open(&real, false).map_err(|error| ListError::io("open", &real, error))?;
    let metadata = file.metadata().map_err(|error| ListError::io("look at", &real, error))?;
    judge(&real, &metadata)?;
    let home = home.and_then(|home| fs::canonicalize(home).ok());
    judge_above(&real, home)?;
    read_open(file, &metadata, &real, limit).map(Some)
}

/// The directories above a file. Above the home directory nobody but root can have changed
/// anything that would not also be able to change who we are.
fn judge_above(real: &Path, home: Option<PathBuf>) -> Result<(), ListError> {
    for directory in real.ancestors().skip(1) {
        let metadata =
            fs::metadata(directory).map_err(|error| ListError::io("look at", directory, error))?;
        judge(directory, &metadata)?;
        if home.as_deref() == Some(directory) {
            break;
        }
    }
    Ok(())
}

fn judge(path: &Path, metadata: &Metadata) -> Result<(), ListError> {
    let owner = metadata.uid();
    if owner != 0 && owner != ourselves() {
        return Err(ListError::Foreign { path: show(path), owner });
    }
    // In a sticky directory others can add names, but not replace ours, and whose each name is
    // was judged before. So /tmp is as good as /, which sshd does not see.
    let sticky = metadata.is_dir() && metadata.mode() & STICKY != 0;
    if metadata.mode() & OTHERS_WRITE != 0 && !sticky {
        return Err(ListError::TooOpen { path: show(path), mode: metadata.mode() & 0o7777 });
    }
    Ok(())
}

fn read_open(
    file: File,
    metadata: &Metadata,
    path: &Path,
    limit: u64,
) -> Result<Vec<u8>, ListError> {
    if !metadata.is_file() {
        return Err(ListError::NotAFile { path: show(path) });
    }
    // All of it with one call, and one more to see its end; it may have grown since.
    let length = usize::try_from(metadata.len().min(limit)).unwrap_or(0);
    let mut bytes = Vec::with_capacity(length + 1);
    let read = file.take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| ListError::io("read", path, error))?;
    if bytes.len() as u64 > limit {
        return Err(ListError::TooLong { path: show(path), limit });
    }
    Ok(bytes)
}
