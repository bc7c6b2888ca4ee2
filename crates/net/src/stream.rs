//! One connected stream socket, TCP or Unix: the same few calls for both.

use std::io::{self, IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::net::{RecvFlags, SendAncillaryBuffer, SendFlags};
use socket2::Socket;

use crate::address::{Address, Peer};
use crate::sys;

/// A connected stream socket. Blocking or not is up to who made it.
///
/// Reading and writing retry `EINTR`, and a write to a closed peer is `EPIPE`, never SIGPIPE.
#[derive(Debug)]
pub struct Stream {
    socket: Socket,
}

impl Stream {
    /// Reads once: recv(2). 0 is the peer's end.
    ///
    /// # Errors
    /// As recv(2), but never `EINTR`.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match rustix::net::recv(&self.socket, &mut *buffer, RecvFlags::empty()) {
                Ok((n, _)) => return Ok(n),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Reads what is there without waiting, on a blocking socket too: recv(2) with MSG_DONTWAIT.
    ///
    /// # Errors
    /// `WouldBlock` where nothing is there; else as recv(2).
    pub fn recv_now(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            match rustix::net::recv(&self.socket, &mut *buffer, RecvFlags::DONTWAIT) {
                Ok((n, _)) => return Ok(n),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// Looks at what is there without taking it: recv(2) with MSG_PEEK and MSG_DONTWAIT. 0 is the
    /// peer's end.
    ///
    /// # Errors
    /// `WouldBlock` where nothing is there; else as recv(2).
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        loop {
            match rustix::net::recv(&self.socket, &mut *buffer, flags) {
                Ok((n, _)) => return Ok(n),
                Err(rustix::io::Errno::INTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    /// True where the peer has ended its side or reset the connection, also behind bytes that were
    /// not read yet: poll(2) for POLLRDHUP.
    ///
    /// # Errors
    /// As poll(2).
    pub fn has_peer_ended(&self) -> io::Result<bool> {
        sys::has_peer_ended(&self.socket)
    }

    /// True where the connection is over in both directions: poll(2) for POLLHUP. A Unix peer that
    /// has closed its socket shows so; a TCP peer that has shows like one that ended its side alone,
    /// until something is sent to it.
    ///
    /// # Errors
    /// As poll(2).
    pub fn has_hung_up(&self) -> io::Result<bool> {
        sys::has_hung_up(&self.socket)
    }

    /// Writes once: send(2) with MSG_NOSIGNAL. May write less than it was given.
    ///
    /// # Errors
    /// As send(2), but never `EINTR`.
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            match rustix::net::send(&self.socket, bytes, SendFlags::NOSIGNAL) {
                Err(rustix::io::Errno::INTR) => {}
                other => return Ok(other?),
            }
        }
    }

    /// Writes once from several places: sendmsg(2) with MSG_NOSIGNAL. May write less than it was
    /// given.
    ///
    /// # Errors
    /// As sendmsg(2), but never `EINTR`.
    pub fn send_vectored(&self, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        loop {
            let mut none = SendAncillaryBuffer::default();
            match rustix::net::sendmsg(&self.socket, pieces, &mut none, SendFlags::NOSIGNAL) {
                Err(rustix::io::Errno::INTR) => {}
                other => return Ok(other?),
            }
        }
    }

    /// Ends one direction or both: shutdown(2). A peer that is gone already is no error.
    ///
    /// # Errors
    /// As shutdown(2), but never `ENOTCONN`.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        match self.socket.shutdown(how) {
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Ok(()),
            other => other,
        }
    }

    /// Waits until the socket can be read, at most `timeout`: poll(2). True where it can.
    ///
    /// # Errors
    /// As poll(2).
    pub fn wait_readable(&self, timeout: Option<Duration>) -> io::Result<bool> {
        sys::wait_readable(&self.socket, timeout)
    }

    /// Waits until the socket can be written, at most `timeout`: poll(2). True where it can.
    ///
    /// # Errors
    /// As poll(2).
    pub fn wait_writable(&self, timeout: Option<Duration>) -> io::Result<bool> {
        sys::wait_writable(&self.socket, timeout)
    }

    /// Closes with a reset (RST) instead of FIN: SO_LINGER of 0.
    pub fn reset(self) {
        // A socket that takes no linger is closed in the ordinary way: nothing better is left.
        let _ = self.socket.set_linger(Some(Duration::ZERO));
    }

    /// Our own address: getsockname(2).
    ///
    /// # Errors
    /// As getsockname(2).
    pub fn local(&self) -> io::Result<Address> {
        self.socket.local_addr().map(|address| Address::from_sockaddr(&address))
    }

    /// The other end: getpeername(2) and, on a Unix socket, SO_PEERCRED.
    ///
    /// # Errors
    /// As getpeername(2).
    pub fn peer(&self) -> io::Result<Peer> {
        let address = Address::from_sockaddr(&self.socket.peer_addr()?);
        Ok(self.with_credentials(address))
    }

    pub(crate) fn with_credentials(&self, address: Address) -> Peer {
        let credentials = match address {
            Address::Inet(_) => None,
            _ => sys::peer_credentials(&self.socket),
        };
        Peer { address, credentials }
    }

    /// Makes calls on the socket wait (false) or return `WouldBlock` (true).
    ///
    /// # Errors
    /// As fcntl(2).
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking)
    }

    /// Notices within half a minute that a TCP peer has gone silently: keepalive and
    /// TCP_USER_TIMEOUT as [`sockeye_limits::HOST_KEEPALIVE`] says, tcp(7).
    ///
    /// # Errors
    /// As setsockopt(2).
    pub fn watch_peer(&self) -> io::Result<()> {
        crate::listen::watch_peer(&self.socket)
    }

    /// The socket beneath, for options.
    pub fn socket(&self) -> &Socket {
        &self.socket
    }
}

impl From<Socket> for Stream {
    fn from(socket: Socket) -> Stream {
        Stream { socket }
    }
}

impl From<OwnedFd> for Stream {
    fn from(fd: OwnedFd) -> Stream {
        Stream { socket: fd.into() }
    }
}

impl From<Stream> for OwnedFd {
    fn from(stream: Stream) -> OwnedFd {
        stream.socket.into()
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Stream {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.recv(buffer)
    }
}

impl Write for Stream {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.send(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
