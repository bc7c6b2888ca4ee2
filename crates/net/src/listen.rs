//! Listening stream sockets: an endpoint becomes one listener for each of its addresses.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};

use rustix::net::SocketFlags;
use socket2::{Domain, Socket, Type};
use sockeye_limits as limits;

use crate::address::{Address, Peer};
use crate::endpoint::{Endpoint, Transport};
use crate::error::{Error, Operation};
use crate::options::{self, Applied, SocketOption};
use crate::resolve::{Family, resolve};
use crate::stream::Stream;
use crate::unix_file::{self, SocketFile};

/// How a server's sockets are made.
#[derive(Debug, Clone)]
pub struct BindOptions {
    /// The families that a name may resolve to.
    pub family: Family,
    /// Connections that the kernel completes before they are accepted, listen(2).
    pub backlog: u32,
    /// Mode of a Unix socket's file.
    pub mode: u32,
    /// Options in the order in which they are set.
    pub options: Vec<SocketOption>,
    /// A TCP peer that has gone silently is noticed within half a minute
    /// ([`limits::HOST_KEEPALIVE`]), not after hours.
    pub vigilant: bool,
}

impl Default for BindOptions {
    fn default() -> BindOptions {
        BindOptions {
            family: Family::Any,
            backlog: limits::BACKLOG,
            mode: limits::SOCKET_MODE,
            options: Vec::new(),
            vigilant: false,
        }
    }
}

/// A listening stream socket. Accepted sockets inherit its options.
#[derive(Debug)]
pub struct Listener {
    /// Before the socket: while the file is removed, nobody may find it stale.
    _file: Option<SocketFile>,
    socket: Socket,
    transport: Transport,
    local: Address,
    applied: Vec<Applied>,
}

/// Listens on every address of a stream endpoint. With port 0 and several addresses all get the
/// same port.
///
/// Accepted TCP sockets have TCP_NODELAY and keepalive unless the options say otherwise;
/// SO_REUSEADDR is on, so that a restart binds over TIME_WAIT, and SO_REUSEPORT is not, so that a
/// second server is refused.
///
/// # Errors
/// The explained failure of resolving, binding or listening; nothing stays bound then.
pub fn listen(endpoint: &Endpoint, how: &BindOptions) -> Result<Vec<Listener>, Error> {
    let transport = endpoint.transport();
    on_each_address(endpoint, how.family, |address| {
        let at = address.to_endpoint(transport);
        let defaults = |socket: &Socket| stream_defaults(socket, address, how.vigilant);
        let start = |socket: &Socket| socket.listen(how.backlog.try_into().unwrap_or(i32::MAX));
        let (socket, applied, file) = open(address, Type::STREAM, &at, how, defaults, start)?;
        Listener::new(socket, transport, applied, file)
    })
}

fn stream_defaults(socket: &Socket, address: &Address, vigilant: bool) -> io::Result<()> {
    if address.inet().is_some() {
        socket.set_reuse_address(true)?;
        socket.set_tcp_nodelay(true)?;
        if vigilant {
            unpaced(socket, address);
            return watch_peer(socket);
        }
        let keepalive = socket2::TcpKeepalive::new().with_time(limits::KEEPALIVE_IDLE);
        socket.set_tcp_keepalive(&keepalive)?;
    }
    Ok(())
}

/// A peer that has gone silently is noticed soon, whether we send or only wait.
pub(crate) fn watch_peer(socket: &Socket) -> io::Result<()> {
    let (idle, pause, probes) = limits::HOST_KEEPALIVE;
    let keepalive = socket2::TcpKeepalive::new();
    let keepalive = keepalive.with_time(idle).with_interval(pause).with_retries(probes);
    socket.set_tcp_keepalive(&keepalive)?;
    socket.set_tcp_user_timeout(Some(limits::HOST_USER_TIMEOUT))
}

/// Takes congestion control without pacing for a bulk connection within this machine: with nothing to
/// share and nothing to lose, bbr only costs a timer for each segment, a tenth of a transfer. It has to be
/// taken before there is a connection; reno is in every kernel and open to everybody.
pub(crate) fn unpaced(socket: &Socket, address: &Address) {
    if address.inet().is_some_and(|inet| inet.ip().to_canonical().is_loopback()) {
        // The system's own does as well, only more slowly.
        let _ = socket.set_tcp_congestion(b"reno");
    }
}

/// Makes a socket of `kind`, binds it to one address and starts it: `start` is listen(2) for a
/// stream, nothing for datagrams.
pub(crate) fn open(
    address: &Address,
    kind: Type,
    at: &Endpoint,
    how: &BindOptions,
    defaults: impl FnOnce(&Socket) -> io::Result<()>,
    start: impl FnOnce(&Socket) -> io::Result<()>,
) -> Result<(Socket, Vec<Applied>, Option<SocketFile>), Error> {
    let domain = match address {
        Address::Inet(inet) => Domain::for_address(*inet),
        Address::Unix(_) | Address::Unnamed => Domain::UNIX,
    };
    let socket = Socket::new(domain, kind, None)
        .map_err(|error| Error::new(Operation::Socket, at, error))?;
    defaults(&socket).map_err(|error| Error::new(Operation::Socket, at, error))?;
    let applied = options::apply(&socket, &how.options, at)?;
    if let Address::Unix(crate::UnixName::Path(path)) = address {
        let file = unix_file::bind(&socket, path, how.mode, at, start)?;
        return Ok((socket, applied, Some(file)));
    }
    let bound = address.to_sockaddr().and_then(|address| socket.bind(&address));
    bound.map_err(|error| Error::new(Operation::Bind, at, error))?;
    start(&socket).map_err(|error| Error::new(Operation::Listen, at, error))?;
    Ok((socket, applied, None))
}

/// Does `one` for each address of the endpoint, all of them on one port.
pub(crate) fn on_each_address<T>(
    endpoint: &Endpoint,
    family: Family,
    mut one: impl FnMut(&Address) -> Result<T, Error>,
) -> Result<Vec<T>, Error>
where
    T: HasLocal,
{
    let Some(at) = endpoint.host_port() else {
        let name = endpoint.unix_name().expect("an endpoint without a port has a Unix name");
        return Ok(vec![one(&Address::Unix(name.clone()))?]);
    };
    let addresses = resolve(at, family, limits::CONNECT_TIMEOUT)?;
    let mut tries = 0;
    'again: loop {
        let mut made: Vec<T> = Vec::with_capacity(addresses.len());
        for address in &addresses {
            let mut address = *address;
            if let (0, Some(first)) = (at.port, made.first()) {
                address.set_port(first.local().inet().map_or(0, |inet| inet.port()));
            }
            match one(&Address::Inet(address)) {
                Ok(socket) => made.push(socket),
                Err(error) if at.port == 0 && !made.is_empty() && in_use(&error) => {
                    tries += 1;
                    if tries < limits::SAME_PORT_TRIES {
                        continue 'again;
                    }
                    return Err(error);
                }
                Err(error) => return Err(error),
            }
        }
        return Ok(made);
    }
}

fn in_use(error: &Error) -> bool {
    error.source.kind() == io::ErrorKind::AddrInUse
}

/// A socket that knows its own address.
pub(crate) trait HasLocal {
    fn local(&self) -> &Address;
}

impl HasLocal for Listener {
    fn local(&self) -> &Address {
        &self.local
    }
}

impl Listener {
    pub(crate) fn new(
        socket: Socket,
        transport: Transport,
        applied: Vec<Applied>,
        file: Option<SocketFile>,
    ) -> Result<Listener, Error> {
        let local =
            socket.local_addr().map_err(|error| Error::new(Operation::Listen, transport, error))?;
        let local = Address::from_sockaddr(&local);
        Ok(Listener { _file: file, socket, transport, local, applied })
    }

    /// Takes the next completed connection: accept4(2), close-on-exec.
    ///
    /// # Errors
    /// As accept(2), but never `EINTR`.
    pub fn accept(&self, nonblocking: bool) -> io::Result<(Stream, Peer)> {
        let mut flags = SocketFlags::CLOEXEC;
        flags.set(SocketFlags::NONBLOCK, nonblocking);
        let (fd, address) = loop {
            match rustix::net::acceptfrom_with(&self.socket, flags) {
                Err(rustix::io::Errno::INTR) => {}
                other => break other?,
            }
        };
        let stream = Stream::from(fd);
        let inet = address.and_then(|any| std::net::SocketAddr::try_from(any).ok());
        match inet {
            Some(inet) => Ok((stream, Address::Inet(inet).into())),
            // A Unix client: the kernel names it only where it bound a name of its own.
            None => {
                let address = stream.socket().peer_addr();
                let address = address.map_or(Address::Unnamed, |a| Address::from_sockaddr(&a));
                let peer = stream.with_credentials(address);
                Ok((stream, peer))
            }
        }
    }

    /// True where a connection waits to be accepted: poll(2) without waiting.
    ///
    /// # Errors
    /// As poll(2).
    pub fn is_ready(&self) -> io::Result<bool> {
        crate::sys::wait_readable(&self.socket, Some(std::time::Duration::ZERO))
    }

    /// Makes [`Listener::accept`] wait (false) or return `WouldBlock` (true).
    ///
    /// # Errors
    /// As fcntl(2).
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking)
    }

    /// Makes a socket that was opened elsewhere as our own are: TCP_NODELAY, keepalive, then the
    /// options, each read back.
    ///
    /// # Errors
    /// [`Operation::SetOption`].
    pub fn tune(&mut self, options: &[SocketOption]) -> Result<(), Error> {
        let at = self.endpoint();
        stream_defaults(&self.socket, &self.local, false)
            .map_err(|error| Error::new(Operation::SetOption("defaults"), &at, error))?;
        self.applied.extend(options::apply(&self.socket, options, &at)?);
        Ok(())
    }

    /// The same as a `tls://` endpoint, where it is TCP: a socket that was passed to us does not say
    /// what is to be spoken over it.
    #[must_use]
    pub fn secured(mut self) -> Listener {
        if self.transport == Transport::Tcp {
            self.transport = Transport::Tls;
        }
        self
    }

    /// The endpoint that it really listens on, its port known.
    pub fn endpoint(&self) -> Endpoint {
        self.local.to_endpoint(self.transport)
    }

    /// What carries its connections.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// The options that were asked for, as they became.
    pub fn applied(&self) -> &[Applied] {
        &self.applied
    }
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint().fmt(f)
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for Listener {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl From<Listener> for OwnedFd {
    /// The socket alone; the file of a Unix socket is removed at once.
    fn from(listener: Listener) -> OwnedFd {
        listener.socket.into()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{FileTypeExt, PermissionsExt};

    use super::*;

    fn unix(path: &std::path::Path) -> Endpoint {
        format!("unix:{}", path.display()).parse().unwrap()
    }

    /// E2, E3: port 0 on a name of several addresses is one port on all of them.
    #[test]
    fn one_port_for_all() {
        let listeners = listen(&"localhost:0".parse().unwrap(), &BindOptions::default()).unwrap();
        let ports: Vec<u16> = listeners.iter().map(|l| l.local.inet().unwrap().port()).collect();
        assert_ne!(ports[0], 0);
        assert!(ports.iter().all(|port| *port == ports[0]), "{ports:?}");
    }

    /// P7, P8: connections that a server for commands and files takes from its own machine are not paced.
    #[test]
    fn unpaced_here() {
        let how = BindOptions { vigilant: true, ..BindOptions::default() };
        let listeners = listen(&"127.0.0.1:0".parse().unwrap(), &how).unwrap();
        assert!(listeners[0].socket.tcp_congestion().unwrap().starts_with(b"reno"));
    }

    /// E6, fault 23: stale files are replaced, live ones never, others not touched.
    #[test]
    fn socket_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let how = BindOptions { mode: 0o660, ..BindOptions::default() };
        let first = listen(&unix(&path), &how).unwrap();
        let found = std::fs::metadata(&path).unwrap();
        assert!(found.file_type().is_socket());
        assert_eq!(found.permissions().mode() & 0o777, 0o660);

        let error = listen(&unix(&path), &how).unwrap_err();
        assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse);
        drop(first);
        assert!(!path.exists(), "removed at the end");

        // A server that was killed leaves its file behind.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        let second = listen(&unix(&path), &how).unwrap();
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, "mine").unwrap();
        drop(second);
        assert_eq!(std::fs::read(&path).unwrap(), b"mine", "not ours to remove");

        let error = listen(&unix(&path), &how).unwrap_err().to_string();
        assert!(error.contains("not a socket"), "{error}");
        let error = listen(&unix(directory.path()), &how).unwrap_err().to_string();
        assert!(error.contains("a directory"), "{error}");
    }

    /// E6: of many servers that find one stale file, exactly one gets the path.
    #[test]
    fn stale_race() {
        let directory = tempfile::tempdir().unwrap();
        for round in 0..20 {
            let path = directory.path().join(round.to_string());
            drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
            let endpoint = unix(&path);
            let won: Vec<_> = std::thread::scope(|scope| {
                let start = || scope.spawn(|| listen(&endpoint, &BindOptions::default()).ok());
                let started: Vec<_> = (0..4).map(|_| start()).collect();
                started.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(won.len(), 1);
            std::os::unix::net::UnixStream::connect(&path).expect("the winner listens");
        }
    }
}
