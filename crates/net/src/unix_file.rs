//! The file of a Unix socket: a stale one is replaced, a live one never, anything else not touched.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, Mode, flock};
use socket2::{Domain, SockAddr, Socket, Type};

use crate::endpoint::Endpoint;
use crate::error::{Error, Operation};

/// A socket file that we made. It is removed on drop, if it is still the one that we made.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let _held = lock_directory(&self.path);
        let same = |found: fs::Metadata| (found.dev(), found.ino()) == (self.device, self.inode);
        if fs::symlink_metadata(&self.path).is_ok_and(same) {
            // Nobody is left to tell; a file that stays is stale and will be replaced.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Binds `socket` to `path` with `mode` and starts it.
///
/// The whole of it happens under a lock on the directory, so that of two servers that find the
/// same stale file only one replaces it. Starting belongs to it: a stream that is bound but does
/// not listen yet looks stale.
pub(crate) fn bind(
    socket: &Socket,
    path: &Path,
    mode: u32,
    endpoint: &Endpoint,
    start: impl FnOnce(&Socket) -> io::Result<()>,
) -> Result<SocketFile, Error> {
    let failed = |error| Error::new(Operation::Bind, endpoint, error);
    let _held = lock_directory(path).map_err(failed)?;
    clear_the_way(path, endpoint)?;
    // The mode of the file is that of the socket's own inode less the umask: narrow from the first
    // moment on, and widened afterwards where the umask took too much.
    let wanted = Mode::from_raw_mode(mode);
    rustix::fs::fchmod(socket.as_fd(), wanted).map_err(|errno| failed(errno.into()))?;
    let address = SockAddr::unix(path).map_err(failed)?;
    socket.bind(&address).map_err(failed)?;
    let made = fs::symlink_metadata(path).map_err(failed)?;
    let file = SocketFile { path: absolute(path), device: made.dev(), inode: made.ino() };
    if made.permissions().mode() & 0o7777 != mode {
        fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed)?;
    }
    start(socket).map_err(|error| Error::new(Operation::Listen, endpoint, error))?;
    Ok(file)
}

/// The path from the root, so that a later change of directory does no harm.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// The directory's descriptor, locked until it is dropped.
fn lock_directory(path: &Path) -> io::Result<File> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let directory = File::open(parent)?;
    loop {
        match flock(&directory, FlockOperation::LockExclusive) {
            Err(rustix::io::Errno::INTR) => {}
            // A file system without locks: the probe alone has to do.
            Ok(()) | Err(_) => return Ok(directory),
        }
    }
}

fn clear_the_way(path: &Path, endpoint: &Endpoint) -> Result<(), Error> {
    let found = match fs::symlink_metadata(path) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(Error::new(Operation::Bind, endpoint, error)),
    };
    let refuse = |what: &str, remedy: &str| {
        let source = io::Error::from_raw_os_error(rustix::io::Errno::ADDRINUSE.raw_os_error());
        Err(Error::explained(Operation::Bind, endpoint, source, what, remedy))
    };
    if !found.file_type().is_socket() {
        let what = if found.is_dir() {
            "a directory is at that path"
        } else if found.is_symlink() {
            "a symbolic link is at that path"
        } else {
            "a file that is not a socket is at that path"
        };
        return refuse(what, "It is left as it is: choose another path, or move it away yourself");
    }
    match probe(path) {
        Probe::Stale => {
            fs::remove_file(path).map_err(|error| Error::new(Operation::Bind, endpoint, error))
        }
        Probe::Live => {
            let source = io::Error::from_raw_os_error(rustix::io::Errno::ADDRINUSE.raw_os_error());
            Err(Error::new(Operation::Bind, endpoint, source))
        }
        Probe::Unknown(error) => refuse(
            &format!("a socket is at that path, and whether it is live cannot be seen ({error})"),
            "It is left as it is: choose another path, or remove it yourself",
        ),
    }
}

enum Probe {
    Live,
    Stale,
    Unknown(io::Error),
}

/// Asks whether anybody has the socket: connect(2) is refused where nobody does, unix(7).
fn probe(path: &Path) -> Probe {
    let attempt = || {
        // A stream socket also meets a datagram one: that says EPROTOTYPE if somebody has it.
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)
    };
    match attempt() {
        Ok(()) => Probe::Live,
        Err(error) => match error.raw_os_error().map(rustix::io::Errno::from_raw_os_error) {
            Some(rustix::io::Errno::CONNREFUSED) => Probe::Stale,
            Some(rustix::io::Errno::PROTOTYPE | rustix::io::Errno::AGAIN) => Probe::Live,
            _ => Probe::Unknown(error),
        },
    }
}
