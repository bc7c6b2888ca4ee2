//! The classic socket calls, each with its place here, for readers who know them from C or Python.
//!
//! [`Socket`] is a thin wrapper: one method, one system call, and the system's error number
//! unchanged in [`io::Error::raw_os_error`]. It holds no policy; [`listen`](crate::listen()),
//! [`dial_stream`](crate::dial_stream) and [`bind_datagram`](crate::bind_datagram) have that, with
//! names resolved and errors explained.
//!
//! | C / Python `socket` | here | note |
//! |---|---|---|
//! | `socket` / `socket.socket` | [`Socket::stream`], [`Socket::datagram`] | Blocking and close-on-exec. EMFILE, EAFNOSUPPORT. socket(2) |
//! | `socketpair` / `socketpair` | [`Socket::pair`] | Two connected Unix streams. EMFILE. socketpair(2) |
//! | `bind` / `bind` | [`Socket::bind`] | Never waits. EADDRINUSE, EADDRNOTAVAIL, EACCES. bind(2) |
//! | `listen` / `listen` | [`Socket::listen`] | Never waits. EADDRINUSE, EOPNOTSUPP on datagrams. listen(2) |
//! | `accept` / `accept` | [`Socket::accept`] | Waits for a connection. EAGAIN if non-blocking, EINVAL if not listening, EMFILE. accept(2) |
//! | `connect` / `connect` | [`Socket::connect`] | Waits until connected. ECONNREFUSED, ETIMEDOUT, EISCONN; EINPROGRESS if non-blocking. connect(2) |
//! | `connect`, `errno` / `connect_ex` | [`Socket::connect_ex`] | The error number instead of a failure: 0 is success, EINPROGRESS goes on. connect(2) |
//! | `recv` / `recv_into` | [`Socket::recv`] | Waits for bytes; 0 is the peer's end. EAGAIN if non-blocking, ENOTCONN, ECONNRESET. recv(2) |
//! | `recv` / `recv` | [`Socket::recv_bytes`] | The same into a new `Vec`. recv(2) |
//! | `recv` with `MSG_PEEK` / the same | [`Socket::peek`] | The same, and the bytes stay to be read again. recv(2) |
//! | `send` / `send` | [`Socket::send`] | Waits for room; may take less than all. EPIPE, never SIGPIPE; EAGAIN if non-blocking. send(2) |
//! | `send` in a loop / `sendall` | [`Socket::send_all`] | Waits until all is taken; its error says how many bytes were. EPIPE, ECONNRESET. send(2) |
//! | `recvfrom` / `recvfrom`, `recvfrom_into` | [`Socket::recv_from`] | Waits for a datagram; what does not fit is lost. EAGAIN if non-blocking. recv(2) |
//! | `sendto` / `sendto` | [`Socket::send_to`] | All of a datagram or nothing. EMSGSIZE, ECONNREFUSED, EDESTADDRREQ. send(2) |
//! | `getpeername` / `getpeername` | [`Socket::peer_name`] | Never waits. ENOTCONN. getpeername(2) |
//! | `getsockname` / `getsockname` | [`Socket::sock_name`] | Never waits; after bind to port 0 the port that it got. getsockname(2) |
//! | `getsockopt` / `getsockopt` | [`Socket::get`] | By name: `get("nodelay")`. ENOPROTOOPT where this kind of socket lacks it. getsockopt(2), [`options`] |
//! | `getsockopt` of `SO_ERROR` / the same | [`Socket::take_error`] | What became of a connect that was EINPROGRESS. socket(7) |
//! | `setsockopt` / `setsockopt` | [`Socket::set`], [`Socket::set_option`] | By name: `set("nodelay=on")`, and read back. ENOPROTOOPT, EPERM. setsockopt(2), [`options`] |
//! | `shutdown` / `shutdown` | [`Socket::shutdown`] | Never waits. ENOTCONN, but not on Unix sockets. shutdown(2) |
//! | `close` / `close` | [`Socket::close`], or drop | Waits only with `set("linger=…")`. Never retried after EINTR. close(2) |
//! | `fcntl` of `O_NONBLOCK` / `setblocking` | [`Socket::set_blocking`] | Non-blocking calls that would wait are EAGAIN. fcntl(2) |
//! | `fcntl` of `O_NONBLOCK` / `getblocking` | [`Socket::is_blocking`] | Also for descriptors that somebody else made. fcntl(2) |
//! | `SO_RCVTIMEO`, `SO_SNDTIMEO` / `settimeout` | [`Socket::set_timeout`] | A blocking call that waited so long is ETIMEDOUT. socket(7) |
//! | `SO_RCVTIMEO`, `SO_SNDTIMEO` / `gettimeout` | [`Socket::timeout`] | As the kernel rounded it. socket(7) |
//! | the descriptor / `fileno` | [`AsFd`], [`AsRawFd`] | Lent: the socket still closes it. |
//! | the descriptor / `detach`, `socket(fileno=…)` | `OwnedFd::from`, `Socket::from` | Given away and taken, with who closes it. |
//! | `dup` / `dup` | [`Socket::try_clone`] | A second, close-on-exec descriptor of the same socket. EMFILE. dup(2) |
//! | `fdopen`, `fgets` / `makefile("rb")` | [`Socket::lines`] | Waits for a whole line, of bounded length. As recv(2) |
//! | `fdopen`, `fputs` / `makefile("wb")` | [`Socket::line_writer`] | Sends at each line's end; `flush` sends the rest. As send(2) |
//!
//! Three things differ from C, as they do in Python:
//!
//! * A call that a signal interrupts is made again, so `EINTR` is never seen; a timeout then starts
//!   anew. An interrupted connect is not made again but waited for. close is never made again.
//! * A peer that is gone gives `EPIPE`, and no SIGPIPE is raised (`MSG_NOSIGNAL`).
//! * A timeout set with [`Socket::set_timeout`] gives `ETIMEDOUT` ([`io::ErrorKind::TimedOut`]),
//!   where C gives `EAGAIN` or, for connect, `EINPROGRESS`: these two mean a non-blocking socket.
//!
//! [`AsFd`]: std::os::fd::AsFd
//! [`AsRawFd`]: std::os::fd::AsRawFd

use std::io::{self, LineWriter};
use std::net::{Shutdown, SocketAddr};
use std::os::unix::ffi::OsStrExt;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SocketAddrAny, SocketAddrUnix};
use socket2::Type;

use crate::address::Address;
use crate::endpoint::UnixName;
use crate::options::{self, Applied, SocketOption};
use crate::sys;

mod impls;
mod lines;
mod send_all;
#[cfg(test)]
mod signal_tests;
#[cfg(test)]
mod tests;

pub use lines::LineReader;
pub use send_all::SendAllError;
/// The address family of a new socket: `Domain::IPV4`, `Domain::IPV6` or `Domain::UNIX`.
pub use socket2::Domain;

/// A socket as C and Python have it: made, then bound, connected or listened on, one call each.
///
/// It is closed when it is dropped, and its descriptor is close-on-exec. Methods that may wait say
/// so in the [table](self).
#[derive(Debug)]
pub struct Socket {
    socket: socket2::Socket,
}

/// Which of the two timeouts a call obeys.
#[derive(Clone, Copy)]
enum Waits {
    ToReceive,
    ToSend,
}

impl Socket {
    /// A stream socket, TCP or Unix: socket(2) with SOCK_STREAM.
    ///
    /// # Errors
    /// As socket(2).
    pub fn stream(domain: Domain) -> io::Result<Socket> {
        socket2::Socket::new(domain, Type::STREAM, None).map(Socket::from_inner)
    }

    /// A datagram socket, UDP or Unix: socket(2) with SOCK_DGRAM.
    ///
    /// # Errors
    /// As socket(2).
    pub fn datagram(domain: Domain) -> io::Result<Socket> {
        socket2::Socket::new(domain, Type::DGRAM, None).map(Socket::from_inner)
    }

    /// Two Unix stream sockets that are connected with each other: socketpair(2).
    ///
    /// # Errors
    /// As socketpair(2).
    pub fn pair() -> io::Result<(Socket, Socket)> {
        let (a, b) = socket2::Socket::pair(Domain::UNIX, Type::STREAM, None)?;
        Ok((Socket::from_inner(a), Socket::from_inner(b)))
    }

    fn from_inner(socket: socket2::Socket) -> Socket {
        Socket { socket }
    }

    /// Gives the socket its address: bind(2). Port 0 takes a free one, which
    /// [`Socket::sock_name`] then tells.
    ///
    /// No option is set and no Unix path removed: for SO_REUSEADDR `set("reuseaddr=on")` first.
    ///
    /// # Errors
    /// As bind(2); `InvalidInput` where a Unix path is too long.
    pub fn bind(&self, address: &Address) -> io::Result<()> {
        self.socket.bind(&address.to_sockaddr()?)
    }

    /// Lets peers connect: listen(2). `backlog` is how many connections wait to be accepted at
    /// most; the kernel caps it at `net.core.somaxconn`.
    ///
    /// # Errors
    /// As listen(2).
    pub fn listen(&self, backlog: u32) -> io::Result<()> {
        self.socket.listen(i32::try_from(backlog).unwrap_or(i32::MAX))
    }

    /// Takes the next connection: accept(2). The new socket is blocking and close-on-exec,
    /// whatever the listening one is.
    ///
    /// # Errors
    /// As accept(2): `EAGAIN` on a non-blocking socket, `ETIMEDOUT` after the timeout.
    pub fn accept(&self) -> io::Result<(Socket, Address)> {
        let (socket, peer) = self.waiting(Waits::ToReceive, || self.socket.accept())?;
        Ok((Socket::from_inner(socket), Address::from_sockaddr(&peer)))
    }

    /// Connects: connect(2). On a datagram socket it only fixes the peer, and never waits.
    ///
    /// After a failure make a new socket: what state this one is in differs between systems.
    ///
    /// # Errors
    /// As connect(2): `EINPROGRESS` on a non-blocking socket, `ETIMEDOUT` after the timeout;
    /// `InvalidInput` where a Unix path is too long.
    pub fn connect(&self, address: &Address) -> io::Result<()> {
        let to = address.to_sockaddr()?;
        let connected = match self.socket.connect(&to) {
            // Only a TCP connect goes on after a signal; others did nothing yet and begin again.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => match address {
                Address::Inet(_) => self.connected(),
                _ => again(|| self.socket.connect(&to)),
            },
            other => other,
        };
        connected.map_err(|error| self.timed_out(Waits::ToSend, error))
    }

    /// Waits for a connect that is under way and takes its outcome.
    fn connected(&self) -> io::Result<()> {
        let timeout = self.socket.write_timeout()?.map(sys::timespec);
        let ready = again(|| {
            let mut fds = [PollFd::new(&self.socket, PollFlags::OUT)];
            Ok(poll(&mut fds, timeout.as_ref())?)
        })?;
        if ready == 0 {
            return Err(Errno::INPROGRESS.into());
        }
        self.socket.take_error()?.map_or(Ok(()), Err)
    }

    /// Connects and returns the error number instead of failing: 0 is success, `EINPROGRESS` a
    /// non-blocking connect that goes on until the socket is writable, whereupon
    /// [`Socket::take_error`] has its outcome. A Unix path that is too long is `EINVAL`.
    pub fn connect_ex(&self, address: &Address) -> i32 {
        match self.connect(address) {
            Ok(()) => 0,
            Err(error) => error.raw_os_error().unwrap_or(Errno::INVAL.raw_os_error()),
        }
    }

    /// Receives into `buffer` and returns how many bytes came: recv(2). On a stream 0 is the peer's
    /// end; on a datagram socket it is an empty datagram, and what of one does not fit is lost.
    ///
    /// # Errors
    /// As recv(2): `EAGAIN` on a non-blocking socket, `ETIMEDOUT` after the timeout.
    pub fn recv(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.recv_with(buffer, RecvFlags::empty())
    }

    /// Receives at most so many bytes into a new buffer: recv(2), as Python's `recv(n)`.
    ///
    /// # Errors
    /// As [`Socket::recv`].
    pub fn recv_bytes(&self, at_most: usize) -> io::Result<Vec<u8>> {
        let mut buffer = vec![0; at_most];
        let n = self.recv(&mut buffer)?;
        buffer.truncate(n);
        Ok(buffer)
    }

    /// Receives into `buffer` what stays to be received again: recv(2) with MSG_PEEK.
    ///
    /// # Errors
    /// As [`Socket::recv`].
    pub fn peek(&self, buffer: &mut [u8]) -> io::Result<usize> {
        self.recv_with(buffer, RecvFlags::PEEK)
    }

    fn recv_with(&self, buffer: &mut [u8], flags: RecvFlags) -> io::Result<usize> {
        self.waiting(Waits::ToReceive, || {
            let (n, _) = rustix::net::recv(&self.socket, &mut *buffer, flags)?;
            Ok(n)
        })
    }

    /// Sends once and returns how many bytes were taken: send(2) with MSG_NOSIGNAL. A stream may
    /// take less than it was given, a datagram socket takes all or fails.
    ///
    /// # Errors
    /// As send(2): `EPIPE` after the peer's end or ours, `EAGAIN` on a non-blocking socket,
    /// `ETIMEDOUT` after the timeout.
    pub fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        self.waiting(Waits::ToSend, || self.socket.send_with_flags(bytes, libc::MSG_NOSIGNAL))
    }

    /// Sends until all bytes are taken: send(2) again and again. A timeout holds for each send, so
    /// a peer that reads slowly but steadily is never too slow.
    ///
    /// # Errors
    /// As [`Socket::send`], with the number of bytes that were taken before.
    pub fn send_all(&self, bytes: &[u8]) -> Result<(), SendAllError> {
        let mut sent = 0;
        loop {
            // The first turn is taken with no bytes too: that is an empty datagram.
            match self.send(&bytes[sent..]) {
                Ok(0) if sent < bytes.len() => {
                    return Err(SendAllError { sent, source: io::ErrorKind::WriteZero.into() });
                }
                Ok(n) => sent += n,
                Err(source) => return Err(SendAllError { sent, source }),
            }
            if sent >= bytes.len() {
                return Ok(());
            }
        }
    }

    /// Receives one datagram and who sent it: recvfrom(2). What does not fit `buffer` is lost.
    ///
    /// There is no address on a connected stream and from a Unix socket that has no name.
    ///
    /// # Errors
    /// As [`Socket::recv`].
    pub fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, Option<Address>)> {
        self.waiting(Waits::ToReceive, || {
            let (n, _, from) =
                rustix::net::recvfrom(&self.socket, &mut *buffer, RecvFlags::empty())?;
            Ok((n, from.and_then(sender)))
        })
    }

    /// Sends one datagram to an address: sendto(2) with MSG_NOSIGNAL. All of it is taken or none.
    ///
    /// # Errors
    /// As sendto(2): `EMSGSIZE` where it is too large, `ECONNREFUSED` where an earlier one was
    /// refused, `EAGAIN` on a non-blocking socket, `ETIMEDOUT` after the timeout.
    pub fn send_to(&self, bytes: &[u8], address: &Address) -> io::Result<usize> {
        let to = address.to_sockaddr()?;
        self.waiting(Waits::ToSend, || {
            self.socket.send_to_with_flags(bytes, &to, libc::MSG_NOSIGNAL)
        })
    }

    /// The other end's address: getpeername(2).
    ///
    /// # Errors
    /// As getpeername(2): `ENOTCONN` where there is none.
    pub fn peer_name(&self) -> io::Result<Address> {
        self.socket.peer_addr().map(|address| Address::from_sockaddr(&address))
    }

    /// Our own address: getsockname(2).
    ///
    /// # Errors
    /// As getsockname(2).
    pub fn sock_name(&self) -> io::Result<Address> {
        self.socket.local_addr().map(|address| Address::from_sockaddr(&address))
    }

    /// One option of [`options::table`] by its name, written as [`Applied::got`] is: getsockopt(2).
    ///
    /// # Errors
    /// `InvalidInput`, which lists the names, where there is no such option; `ENOPROTOOPT` where
    /// this kind of socket does not have it; else as getsockopt(2).
    pub fn get(&self, name: &str) -> io::Result<String> {
        options::read(&self.socket, name)
    }

    /// Sets one option, `NAME=VALUE`, and reads it back, because the kernel may clamp:
    /// setsockopt(2).
    ///
    /// # Errors
    /// `InvalidInput` where that is no option or no value of it; else as
    /// [`Socket::set_option`].
    pub fn set(&self, option: &str) -> io::Result<Applied> {
        let parsed: Result<SocketOption, String> = option.parse();
        let option = parsed.map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        self.set_option(option)
    }

    /// Sets one option that is parsed already and reads it back: setsockopt(2).
    ///
    /// # Errors
    /// `ENOPROTOOPT` where this kind of socket does not have it; else as setsockopt(2).
    pub fn set_option(&self, option: SocketOption) -> io::Result<Applied> {
        let mut applied = options::apply(&self.socket, &[option], &"a socket")?;
        applied.pop().ok_or_else(|| Errno::NOPROTOOPT.into())
    }

    /// The error that waits on the socket, which this clears: getsockopt(2) of SO_ERROR. It is the
    /// outcome of a connect that was `EINPROGRESS`.
    ///
    /// # Errors
    /// As getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.socket.take_error()
    }

    /// Ends one direction or both for every descriptor of the socket: shutdown(2).
    ///
    /// # Errors
    /// As shutdown(2): `ENOTCONN` where nothing is connected, but on Linux never on a Unix socket.
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.socket.shutdown(how)
    }

    /// Closes this descriptor: close(2). The connection ends with its last descriptor.
    ///
    /// There is no error to return. The descriptor is ours, so it cannot be `EBADF`, and Linux
    /// reports nothing else for a socket. `EINTR`, which other systems may give, is never retried:
    /// the descriptor is free by then and may be another thread's already. To learn whether the
    /// peer has everything, shut down writing and receive its end.
    pub fn close(self) {
        drop(self);
    }

    /// Makes calls wait (true) or fail with `EAGAIN` (false), for every descriptor of the socket:
    /// fcntl(2) of O_NONBLOCK. Timeouts only count while calls wait.
    ///
    /// # Errors
    /// As fcntl(2).
    pub fn set_blocking(&self, blocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(!blocking)
    }

    /// True where calls wait: fcntl(2) of O_NONBLOCK.
    ///
    /// # Errors
    /// As fcntl(2).
    pub fn is_blocking(&self) -> io::Result<bool> {
        self.socket.nonblocking().map(|nonblocking| !nonblocking)
    }

    /// How long one call waits at most, to receive and to send: SO_RCVTIMEO and SO_SNDTIMEO.
    /// `None` is for ever. It counts on a blocking socket, where a call that waited so long is
    /// `ETIMEDOUT`; after a connect that was, make a new socket.
    ///
    /// # Errors
    /// `InvalidInput` for no time at all, which Python takes for non-blocking; else as
    /// setsockopt(2).
    pub fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        if timeout == Some(Duration::ZERO) {
            let text = "a timeout of 0 would wait for ever: set_blocking(false) waits not at all";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        // The kernel takes microseconds, and 0 of them would be for ever.
        let timeout = timeout.map(|span| span.max(Duration::from_micros(1)));
        self.socket.set_read_timeout(timeout)?;
        self.socket.set_write_timeout(timeout)
    }

    /// How long one call waits at most (SO_RCVTIMEO), rounded up to the kernel's ticks of some
    /// milliseconds; `None` is for ever.
    ///
    /// # Errors
    /// As getsockopt(2).
    pub fn timeout(&self) -> io::Result<Option<Duration>> {
        self.socket.read_timeout()
    }

    /// A second, close-on-exec descriptor of the same socket: dup(2). Blocking, options and
    /// shutdown are the socket's and so shared.
    ///
    /// # Errors
    /// As dup(2).
    pub fn try_clone(&self) -> io::Result<Socket> {
        self.socket.try_clone().map(Socket::from_inner)
    }

    /// A buffered reader of lines, each at most [`LINE_MAX`](sockeye_limits::LINE_MAX) bytes:
    /// Python's `makefile("rb")`. It may have read further than the line that it gave, so stay with
    /// one reader.
    pub fn lines(&self) -> LineReader<'_> {
        LineReader::new(self)
    }

    /// A buffered writer that sends whenever a line ends: Python's `makefile("wb", buffering=1)`.
    /// Flush it to send an unfinished line; when it is dropped, an error of doing so is lost. Meant
    /// for blocking sockets: after `EAGAIN` nobody knows how much of a line was sent.
    pub fn line_writer(&self) -> LineWriter<&Socket> {
        LineWriter::new(self)
    }

    /// Makes a call until no signal interrupts it, and tells a timeout from a call that would wait.
    fn waiting<T>(&self, waits: Waits, call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        again(call).map_err(|error| self.timed_out(waits, error))
    }

    /// `ETIMEDOUT` for what a blocking socket says after its timeout, socket(7); other errors as
    /// they are.
    fn timed_out(&self, waits: Waits, error: io::Error) -> io::Error {
        let would_wait = [Errno::AGAIN, Errno::INPROGRESS, Errno::ALREADY]
            .iter()
            .any(|errno| error.raw_os_error() == Some(errno.raw_os_error()));
        if !would_wait || !matches!(self.is_blocking(), Ok(true)) {
            return error;
        }
        let timeout = match waits {
            Waits::ToReceive => self.socket.read_timeout(),
            Waits::ToSend => self.socket.write_timeout(),
        };
        match timeout {
            Ok(Some(_)) => Errno::TIMEDOUT.into(),
            _ => error,
        }
    }
}

/// Makes a call again until no signal interrupts it.
fn again<T>(mut call: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match call() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Who sent a datagram; `None` for a family that the crate does not know.
fn sender(from: SocketAddrAny) -> Option<Address> {
    if let Ok(inet) = SocketAddr::try_from(from.clone()) {
        return Some(Address::Inet(inet));
    }
    let unix = SocketAddrUnix::try_from(from).ok()?;
    if let Some(name) = unix.abstract_name() {
        return Some(Address::Unix(UnixName::Abstract(name.to_vec())));
    }
    let path = std::ffi::OsStr::from_bytes(unix.path_bytes()?);
    Some(Address::Unix(UnixName::Path(path.into())))
}
