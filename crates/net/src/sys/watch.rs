//! Sockets on tokio's event loop.
//!
//! Registering a descriptor is only sound while it stays open, so what is watched is shared and
//! held until it is deregistered.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use tokio::io::Interest;
use tokio::io::unix::{AsyncFd, AsyncFdReadyGuard};

/// A non-blocking socket, or whatever holds one, that the current tokio runtime waits for.
///
/// Waiting is edge-triggered: after a call says `WouldBlock`, clear the guard's readiness, and the
/// next wait returns when the kernel reports anew.
pub struct Watched<T: AsFd>(AsyncFd<Registered<T>>);

/// The descriptor as it was registered, and what keeps it open.
pub struct Registered<T> {
    fd: RawFd,
    held: Arc<T>,
}

impl<T> AsRawFd for Registered<T> {
    fn as_raw_fd(&self) -> RawFd {
        self.fd
    }
}

/// What a wait gives: readiness, to be cleared or kept.
pub type Ready<'a, T> = AsyncFdReadyGuard<'a, Registered<T>>;

impl<T: AsFd> Watched<T> {
    /// Registers the socket with the runtime of the calling task.
    ///
    /// # Errors
    /// As epoll_ctl(2).
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O.
    pub fn new(held: Arc<T>, interest: Interest) -> io::Result<Watched<T>> {
        let fd = held.as_fd().as_raw_fd();
        // SAFETY: `as_fd` lends the descriptor for as long as `T` is only shared, so it stays open
        // while the Arc is held: nobody can get `&mut T` or drop it. The AsyncFd holds the Arc
        // until it has deregistered, and nothing here gives it out earlier.
        let watched = unsafe { AsyncFd::register_with_interest(Registered { fd, held }, interest) };
        Ok(Watched(watched?))
    }

    /// Waits until the socket may be readable.
    ///
    /// # Errors
    /// Where the runtime is shutting down.
    pub async fn readable(&self) -> io::Result<Ready<'_, T>> {
        self.0.readable().await
    }

    /// Waits until the socket may be writable.
    ///
    /// # Errors
    /// Where the runtime is shutting down.
    pub async fn writable(&self) -> io::Result<Ready<'_, T>> {
        self.0.writable().await
    }

    /// As [`Watched::readable`], for a future written by hand; one task at a time may wait so.
    ///
    /// # Errors
    /// Where the runtime is shutting down.
    pub fn poll_readable(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready<'_, T>>> {
        self.0.poll_read_ready(cx)
    }

    /// As [`Watched::writable`], for a future written by hand; one task at a time may wait so.
    ///
    /// # Errors
    /// Where the runtime is shutting down.
    pub fn poll_writable(&self, cx: &mut Context<'_>) -> Poll<io::Result<Ready<'_, T>>> {
        self.0.poll_write_ready(cx)
    }

    /// True where the socket has urgent data, or has had some, or its peer has ended: what makes a
    /// read end early. Costs no system call. The socket must be watched for
    /// [`Interest::PRIORITY`] too.
    pub fn may_read_short(&self) -> bool {
        let ready = pin!(self.0.ready(Interest::PRIORITY));
        ready.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    /// The socket.
    pub fn get(&self) -> &T {
        &self.0.get_ref().held
    }
}
