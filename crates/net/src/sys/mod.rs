//! What only Linux has, and the only `unsafe` of the project: each block says why it is sound.
//!
//! [`holder`] reads /proc and asks the kernel, [`batch`] and [`outgoing`] move datagrams many at a time,
//! [`pass`] hands descriptors to another process, [`inherited`] takes those that a parent left open,
//! [`child`] prepares a child process, [`watch`] waits for sockets on an event loop,
//! [`close`](mod@close) tells what closing a file would, [`usage`] says what children have used, [`packet`]
//! sees the packets of other sockets, [`tcp_info`] is what the kernel counts of ours, [`namespace`] makes
//! a network of one's own, [`random`](mod@random) gives numbers that nobody can guess.

pub mod batch;
mod bound;
pub mod child;
pub mod close;
pub mod holder;
pub mod inherited;
pub mod namespace;
pub mod outgoing;
pub mod packet;
pub mod pass;
pub mod random;
mod sockopt;
pub mod tcp_info;
pub mod usage;
pub mod watch;

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::address::Credentials;

pub use sockopt::{bind_address_no_port, enable_packet_info, receive_drops};

/// A time span as poll(2) takes it.
pub(crate) fn timespec(span: Duration) -> Timespec {
    Timespec {
        tv_sec: i64::try_from(span.as_secs()).unwrap_or(i64::MAX),
        tv_nsec: span.subsec_nanos().into(),
    }
}

/// Waits until a descriptor can be read, at most `timeout`: poll(2). True where it can.
///
/// # Errors
/// As poll(2), but never `EINTR`.
pub fn wait_readable(fd: &impl AsFd, timeout: Option<Duration>) -> io::Result<bool> {
    wait(fd, PollFlags::IN, timeout)
}

/// Waits until a descriptor can be written, at most `timeout`: poll(2). True where it can.
///
/// # Errors
/// As poll(2), but never `EINTR`.
pub fn wait_writable(fd: &impl AsFd, timeout: Option<Duration>) -> io::Result<bool> {
    wait(fd, PollFlags::OUT, timeout)
}

/// Waits as [`wait_readable`] or [`wait_writable`], and no longer than until the other end of the pipe
/// `stop` is closed: `None` then.
///
/// # Errors
/// As poll(2), but never `EINTR`.
pub fn wait_unless(
    fd: &impl AsFd,
    writable: bool,
    stop: &impl AsFd,
    timeout: Duration,
) -> io::Result<Option<bool>> {
    let flags = if writable { PollFlags::OUT } else { PollFlags::IN };
    let timeout = timespec(timeout);
    loop {
        let mut both = [PollFd::new(fd, flags), PollFd::new(stop, PollFlags::empty())];
        match poll(&mut both, Some(&timeout)) {
            Ok(_) if !both[1].revents().is_empty() => return Ok(None),
            Ok(_) => return Ok(Some(!both[0].revents().is_empty())),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// Waits until the other end of a socket says no more, or has hung up.
///
/// # Errors
/// As poll(2), but never `EINTR`.
pub fn wait_hang_up(fd: &impl AsFd) -> io::Result<bool> {
    wait(fd, PollFlags::RDHUP, None)
}

/// True where the peer of a stream socket has ended its side or reset it, whatever is unread.
pub(crate) fn has_peer_ended(fd: &impl AsFd) -> io::Result<bool> {
    wait(fd, PollFlags::RDHUP, Some(Duration::ZERO))
}

/// True where nothing can come or go any more: both sides have ended, or one was reset.
pub(crate) fn has_hung_up(fd: &impl AsFd) -> io::Result<bool> {
    wait(fd, PollFlags::empty(), Some(Duration::ZERO))
}

fn wait(fd: &impl AsFd, flags: PollFlags, timeout: Option<Duration>) -> io::Result<bool> {
    let timeout = timeout.map(timespec);
    loop {
        match poll(&mut [PollFd::new(fd, flags)], timeout.as_ref()) {
            Ok(n) => return Ok(n > 0),
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
}

/// The number of a network interface, by its name or already a number.
pub(crate) fn interface_index(name: &str) -> io::Result<u32> {
    if let Ok(number) = name.parse() {
        return Ok(number);
    }
    let any = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
    Ok(rustix::net::netdevice::name_to_index(any.as_fd(), name)?)
}

/// The name of a network interface; `None` where there is none of that number.
pub fn interface_name(index: u32) -> Option<String> {
    let any = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None).ok()?;
    rustix::net::netdevice::index_to_name(any.as_fd(), index).ok()
}

/// Process and user at the other end of a Unix stream: SO_PEERCRED, unix(7).
pub(crate) fn peer_credentials(socket: &impl AsFd) -> Option<Credentials> {
    sockopt::peer_credentials(socket.as_fd()).ok()
}

/// Fails where fewer than `count` descriptors can still be opened, with the system's own error. For
/// libraries that panic then.
///
/// # Errors
/// As eventfd(2), `EMFILE` above all.
pub fn require_descriptors(count: usize) -> io::Result<()> {
    let Some(more) = count.checked_sub(1) else { return Ok(()) };
    // Of all that has a descriptor this needs no name: in a root of its own a program may find nothing.
    let first = eventfd(0, EventfdFlags::CLOEXEC)?;
    // Copies: each takes a number, and none has to be looked up in a directory.
    let copies: io::Result<Vec<_>> = (0..more).map(|_| first.try_clone()).collect();
    copies.map(drop)
}

/// Raises the soft limit of open descriptors to the hard one (RLIMIT_NOFILE) and returns it.
pub fn raise_descriptor_limit() -> usize {
    let now = getrlimit(Resource::Nofile);
    let wanted = Rlimit { current: now.maximum, maximum: now.maximum };
    let got = if setrlimit(Resource::Nofile, wanted).is_ok() { now.maximum } else { now.current };
    got.and_then(|n| usize::try_from(n).ok()).unwrap_or(1 << 20)
}
