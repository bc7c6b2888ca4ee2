//! The file of a Unix socket: a stale one is replaced, a live one never, anything else not touched.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use rustix::fs::{CWD, FlockOperation, Mode, RenameFlags, flock, renameat_with};
use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};
use sockeye_limits as limits;

use crate::endpoint::Endpoint;
use crate::error::{Error, Operation};
use crate::shown;
use crate::sys::{self, holder};

/// A socket file that we made. It is removed on drop, if it is still the one that we made.
#[derive(Debug)]
pub(crate) struct SocketFile {
    path: PathBuf,
    device: u64,
    inode: u64,
}

impl Drop for SocketFile {
    /// No lock here: whoever holds a file drops it before its socket, so that the file is live until
    /// it is gone, and nobody replaces it meanwhile.
    fn drop(&mut self) {
        // Nobody is left to tell; a file that stays is stale and will be replaced.
        let _ = remove_if_same(&self.path, self.device, self.inode);
    }
}

/// Removes the file at `path` if it is that one. A look and then a removal could hit a file that was
/// put there between; so it is moved aside, looked at, and put back where it is another.
fn remove_if_same(path: &Path, device: u64, inode: u64) -> io::Result<()> {
    let same = |found: &fs::Metadata| (found.dev(), found.ino()) == (device, inode);
    if !same(&fs::symlink_metadata(path)?) {
        return Ok(());
    }
    let mut aside = path.as_os_str().to_owned();
    aside.push(format!(".{}", std::process::id()));
    let aside = PathBuf::from(aside);
    match renameat_with(CWD, path, CWD, &aside, RenameFlags::NOREPLACE) {
        // A file system that cannot: the look has to do.
        Err(Errno::INVAL) => return fs::remove_file(path),
        moved => moved?,
    }
    if same(&fs::symlink_metadata(&aside)?) {
        return fs::remove_file(&aside);
    }
    Ok(renameat_with(CWD, &aside, CWD, path, RenameFlags::NOREPLACE)?)
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

/// The directory's descriptor, locked until it is dropped. Others may lock it too, for ever if they
/// like, so the wait is bounded.
fn lock_directory(path: &Path) -> io::Result<File> {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let directory = File::open(parent)?;
    let deadline = Instant::now() + limits::LOCK_TIME;
    loop {
        match flock(&directory, FlockOperation::NonBlockingLockExclusive) {
            Err(Errno::INTR) => {}
            Err(Errno::WOULDBLOCK) if Instant::now() < deadline => {
                std::thread::sleep(limits::LOCK_PAUSE);
            }
            // Held by somebody else for long, or a file system without locks: the probe alone has
            // to do, as it has for every other program.
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
        let source = io::Error::from_raw_os_error(Errno::ADDRINUSE.raw_os_error());
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
        Probe::Stale => remove_if_same(path, found.dev(), found.ino())
            .map_err(|error| Error::new(Operation::Bind, endpoint, error)),
        Probe::Live(None) => {
            let source = io::Error::from_raw_os_error(Errno::ADDRINUSE.raw_os_error());
            Err(Error::new(Operation::Bind, endpoint, source))
        }
        Probe::Live(Some(pid)) => refuse(
            &format!(
                "the address is in use: {} (pid {pid}) listens there",
                shown::line(&holder::program(pid))
            ),
            &format!("Stop it with `kill {pid}`, or choose another path"),
        ),
        Probe::Unknown(error) => refuse(
            &format!("a socket is at that path, and whether it is live cannot be seen ({error})"),
            "It is left as it is: choose another path, or remove it yourself",
        ),
    }
}

enum Probe {
    /// Somebody has it; this process, where the probe had to ask.
    Live(Option<u32>),
    Stale,
    Unknown(io::Error),
}

/// Asks whether anybody has the socket: the kernel's table first, which disturbs nobody; then
/// connect(2), which is refused where nobody has it, unix(7).
fn probe(path: &Path) -> Probe {
    if holder::has_unix(path) {
        return Probe::Live(None);
    }
    let attempt = || {
        // A stream socket also meets a datagram one: that says EPROTOTYPE if somebody has it.
        let socket = Socket::new(Domain::UNIX, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        socket.connect(&SockAddr::unix(path)?)?;
        Ok(sys::peer_credentials(&socket).map(|found| found.pid).filter(|pid| *pid != 0))
    };
    match attempt() {
        Ok(pid) => Probe::Live(pid),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::CONNREFUSED) => Probe::Stale,
            Some(Errno::PROTOTYPE | Errno::AGAIN) => Probe::Live(None),
            _ => Probe::Unknown(error),
        },
    }
}
