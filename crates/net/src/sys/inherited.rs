//! Descriptors that a parent process left open for us at agreed numbers.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering};

/// Takes the sockets that systemd passes (sd_listen_fds(3)); at most once per process.
///
/// # Errors
/// Where LISTEN_FDS is not understood.
pub fn listen_fds() -> io::Result<Vec<OwnedFd>> {
    static TAKEN: AtomicBool = AtomicBool::new(false);
    if TAKEN.swap(true, Ordering::SeqCst) {
        return Ok(Vec::new());
    }
    sd_notify::listen_fds()?.map(take).collect()
}

/// Takes standard input as a descriptor of our own and leaves /dev/null in its place; this is how
/// a worker process gets its control socket.
///
/// # Errors
/// As dup(2) and open(2).
pub fn take_stdin() -> io::Result<OwnedFd> {
    let taken = rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3)?;
    let null = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&null)?;
    Ok(taken)
}

fn take(fd: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: only used for the call below, which fails where the number is not open.
    let borrowed = unsafe { BorrowedFd::borrow_raw(fd) };
    rustix::io::fcntl_setfd(borrowed, rustix::io::FdFlags::CLOEXEC)?;
    // SAFETY: the parent passed this number for us to own (LISTEN_FDS with our LISTEN_PID), it is
    // open as the call above showed, and `TAKEN` lets nobody take it twice.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}
