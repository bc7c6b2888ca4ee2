//! Dialling: an endpoint becomes a connected socket, by Happy Eyeballs where it has several
//! addresses (RFC 8305).

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};
use sockeye_limits as limits;
use tokio::io::Interest;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::address::Address;
use crate::endpoint::{Endpoint, HostPort, Transport};
use crate::error::{Error, Operation};
use crate::listen::unpaced;
use crate::options::{self, Applied, SocketOption};
use crate::resolve::{Family, interleave, resolve_async};
use crate::stream::Stream;
use crate::sys::watch::Watched;

/// How a client's socket is made.
#[derive(Debug, Clone)]
pub struct DialOptions {
    /// The families that a name may resolve to.
    pub family: Family,
    /// Our own address and port, bound before connecting (port 0: any).
    pub source: Option<SocketAddr>,
    /// Options in the order in which they are set.
    pub options: Vec<SocketOption>,
    /// How long resolving and connecting may take together.
    pub timeout: Duration,
}

impl Default for DialOptions {
    fn default() -> DialOptions {
        DialOptions {
            family: Family::Any,
            source: None,
            options: Vec::new(),
            timeout: limits::CONNECT_TIMEOUT,
        }
    }
}

/// Parses `ADDR` or `ADDR:PORT` (`[ADDR]:PORT` for IPv6) of `--source`.
///
/// # Errors
/// One sentence that says what is right.
pub fn parse_source(text: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = text.parse() {
        return Ok(address);
    }
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    match bare.parse::<IpAddr>() {
        Ok(ip) => Ok(SocketAddr::new(ip, 0)),
        Err(_) => Err(format!(
            "{text:?} is not an address of ours: write ADDR or ADDR:PORT, as in 127.0.0.1:5000"
        )),
    }
}

/// A connected socket and the options that it got.
#[derive(Debug)]
pub struct Dialled<S> {
    /// The socket, non-blocking.
    pub socket: S,
    /// The options that were asked for, as they became.
    pub applied: Vec<Applied>,
}

/// Connects to a stream endpoint. The socket is non-blocking.
///
/// Several addresses are tried as RFC 8305 says: families in turn, a new attempt every 250 ms or
/// as soon as one fails, and the first that connects wins. A TCP socket that has connected to
/// itself, as happens when nobody listens on a port that the system gave to us, is an error.
///
/// # Errors
/// The explained failure; where all of several addresses failed, that of the preferred one.
///
/// # Panics
/// Outside a tokio runtime with I/O and time.
pub async fn dial_stream(endpoint: &Endpoint, how: &DialOptions) -> Result<Dialled<Stream>, Error> {
    let deadline = Instant::now() + how.timeout.min(limits::LONGEST_TIME);
    match endpoint.host_port() {
        Some(at) => {
            let addresses = candidates(at, how).await?;
            race(endpoint, addresses, how, deadline).await
        }
        None => dial_unix(endpoint, how).await,
    }
}

/// Connects a datagram socket, so that only its peer's datagrams arrive and an unreachable port is
/// an error (ECONNREFUSED) of a later call. The socket is non-blocking. A Unix socket gets a name
/// of its own, so that it can be answered.
///
/// # Errors
/// The explained failure.
pub async fn dial_datagram(
    endpoint: &Endpoint,
    how: &DialOptions,
) -> Result<Dialled<Socket>, Error> {
    let addresses = match endpoint.host_port() {
        Some(at) => candidates(at, how).await?.into_iter().map(Address::Inet).collect(),
        None => vec![unix_address(endpoint)],
    };
    let mut failed = None;
    for address in &addresses {
        match connect_datagram(endpoint, address, how) {
            Ok(dialled) => return Ok(dialled),
            // Of several the first is the one that the system prefers.
            Err(error) => failed = failed.or(Some(error)),
        }
    }
    Err(failed.expect("a name has at least one address"))
}

fn connect_datagram(
    endpoint: &Endpoint,
    address: &Address,
    how: &DialOptions,
) -> Result<Dialled<Socket>, Error> {
    let source = match (address, how.source) {
        (Address::Inet(_), source) => source.map(SockAddr::from),
        (_, _) => Some(Address::Unnamed.to_sockaddr().map_err(connect_failed(endpoint))?),
    };
    let (socket, applied) = open(address, Type::DGRAM, endpoint, source, &how.options)?;
    let target = address.to_sockaddr().map_err(connect_failed(endpoint))?;
    socket.connect(&target).map_err(connect_failed(endpoint))?;
    Ok(Dialled { socket, applied })
}

fn connect_failed(endpoint: &Endpoint) -> impl Fn(io::Error) -> Error {
    move |error| Error::new(Operation::Connect, endpoint, error)
}

fn timed_out(endpoint: &Endpoint) -> Error {
    let source = io::Error::from_raw_os_error(Errno::TIMEDOUT.raw_os_error());
    Error::new(Operation::Connect, endpoint, source)
}

/// The addresses to try, of the family of the source where that is pinned.
async fn candidates(at: &HostPort, how: &DialOptions) -> Result<Vec<SocketAddr>, Error> {
    let family = match (how.family, how.source) {
        (Family::Any, Some(SocketAddr::V4(_))) => Family::V4,
        (Family::Any, Some(SocketAddr::V6(_))) => Family::V6,
        (family, _) => family,
    };
    Ok(interleave(resolve_async(at, family, how.timeout).await?))
}

/// RFC 8305, section 5.
async fn race(
    endpoint: &Endpoint,
    addresses: Vec<SocketAddr>,
    how: &DialOptions,
    deadline: Instant,
) -> Result<Dialled<Stream>, Error> {
    let mut waiting = addresses.into_iter().enumerate();
    let mut running = JoinSet::new();
    let mut failed: Option<(usize, Error)> = None;
    loop {
        if let Some((rank, address)) = waiting.next() {
            let (endpoint, how) = (endpoint.clone(), how.clone());
            running.spawn(async move { (rank, attempt(&endpoint, address, &how).await) });
        }
        let next_start = match waiting.len() {
            0 => deadline,
            _ => deadline.min(Instant::now() + limits::CONNECTION_ATTEMPT_DELAY),
        };
        tokio::select! {
            Some(done) = running.join_next() => match done.expect("an attempt does not panic") {
                (_, Ok(dialled)) => return Ok(dialled),
                (rank, Err(error)) => {
                    if failed.as_ref().is_none_or(|(best, _)| rank < *best) {
                        failed = Some((rank, error));
                    }
                }
            },
            () = tokio::time::sleep_until(next_start) => {
                if Instant::now() >= deadline {
                    return Err(failed.map_or_else(|| timed_out(endpoint), |(_, error)| error));
                }
            }
            else => {}
        }
        if waiting.len() == 0 && running.is_empty() {
            let (_, error) = failed.expect("every attempt ended, so one failed");
            return Err(error);
        }
    }
}

async fn attempt(
    endpoint: &Endpoint,
    address: SocketAddr,
    how: &DialOptions,
) -> Result<Dialled<Stream>, Error> {
    let address = Address::Inet(address);
    let at = address.to_endpoint(endpoint.transport());
    // The name that the user wrote, and beside it the address that it stood for.
    let failed = |error| {
        let error = Error::new(Operation::Connect, &at, error);
        if at == *endpoint {
            error
        } else {
            Error { endpoint: format!("{endpoint} ({at})").into(), ..error }
        }
    };
    let source = how.source.map(SockAddr::from);
    let (socket, applied) = open(&address, Type::STREAM, &at, source, &how.options)?;
    let target = address.to_sockaddr().map_err(failed)?;
    let socket = connect(socket, &target).await.map_err(failed)?;
    refuse_self(&socket, &at)?;
    Ok(Dialled { socket: socket.into(), applied })
}

/// connect(2) without blocking: its outcome is known when the socket can be written.
async fn connect(socket: Socket, target: &SockAddr) -> io::Result<Socket> {
    match socket.connect(target) {
        Ok(()) => return Ok(socket),
        Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    let socket = Arc::new(socket);
    Watched::new(Arc::clone(&socket), Interest::WRITABLE)?.writable().await?.retain_ready();
    match socket.take_error()? {
        Some(error) => Err(error),
        None => Ok(Arc::into_inner(socket).expect("no longer watched, so this is the only one")),
    }
}

/// A simultaneous open with itself (RFC 9293, section 3.5): source and target are one socket.
fn refuse_self(socket: &Socket, at: &Endpoint) -> Result<(), Error> {
    let ends = (socket.local_addr(), socket.peer_addr());
    let (Ok(local), Ok(peer)) = ends else { return Ok(()) };
    if local.as_socket() != peer.as_socket() {
        return Ok(());
    }
    Err(Error::explained(
        Operation::Connect,
        at,
        io::Error::from_raw_os_error(Errno::CONNREFUSED.raw_os_error()),
        "the socket connected to itself: nobody listens there, and its own source port is the \
         target port",
        "Start the server, or use a port outside net.ipv4.ip_local_port_range",
    ))
}

fn open(
    address: &Address,
    kind: Type,
    at: &Endpoint,
    source: Option<SockAddr>,
    options: &[SocketOption],
) -> Result<(Socket, Vec<Applied>), Error> {
    let domain = match address {
        Address::Inet(inet) => Domain::for_address(*inet),
        Address::Unix(_) | Address::Unnamed => Domain::UNIX,
    };
    let made = Socket::new(domain, kind, None);
    let socket = made.map_err(|error| Error::new(Operation::Socket, at, error))?;
    let prepared = socket.set_nonblocking(true).and_then(|()| match (address, kind) {
        (Address::Inet(_), Type::STREAM) => socket.set_tcp_nodelay(true),
        _ => Ok(()),
    });
    prepared.map_err(|error| Error::new(Operation::Socket, at, error))?;
    if at.transport() == Transport::Tls {
        unpaced(&socket, address);
    }
    let applied = options::apply(&socket, options, at)?;
    if let Some(source) = source {
        bind_source(&socket, kind, &source)?;
    }
    Ok((socket, applied))
}

fn bind_source(socket: &Socket, kind: Type, source: &SockAddr) -> Result<(), Error> {
    let transport = if kind == Type::STREAM { Transport::Tcp } else { Transport::Udp };
    let shown = match source.as_socket() {
        Some(inet) => Address::Inet(inet).to_endpoint(transport).to_string(),
        None => "a name of its own".into(),
    };
    // A client that names its port may use it again at once; UDP must not share it (fault 22).
    let reuse = match (source.as_socket(), kind) {
        (Some(inet), Type::STREAM) if inet.port() != 0 => socket.set_reuse_address(true),
        _ => Ok(()),
    };
    reuse
        .and_then(|()| socket.bind(source))
        .map_err(|error| Error::new(Operation::Bind, shown, error))
}

fn unix_address(endpoint: &Endpoint) -> Address {
    let name = endpoint.unix_name().expect("an endpoint without a port has a Unix name");
    Address::Unix(name.clone())
}

/// A Unix connect(2) waits while the accept queue is full, but on a non-blocking socket it fails
/// with EAGAIN instead; so it is done blocking, with SO_SNDTIMEO as its deadline, on a thread.
async fn dial_unix(endpoint: &Endpoint, how: &DialOptions) -> Result<Dialled<Stream>, Error> {
    let address = unix_address(endpoint);
    let (socket, applied) = open(&address, Type::STREAM, endpoint, None, &how.options)?;
    let target = address.to_sockaddr().map_err(connect_failed(endpoint))?;
    let timeout = how.timeout.max(Duration::from_millis(1));
    let connect = move || {
        socket.set_nonblocking(false)?;
        socket.set_write_timeout(Some(timeout))?;
        socket.connect(&target)?;
        socket.set_write_timeout(None)?;
        socket.set_nonblocking(true)?;
        Ok(socket)
    };
    let done = tokio::task::spawn_blocking(connect).await.expect("connect does not panic");
    let socket: Socket = done.map_err(connect_failed(endpoint))?;
    Ok(Dialled { socket: socket.into(), applied })
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;
    use crate::listen::{BindOptions, listen};

    fn runtime() -> tokio::runtime::Runtime {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
    }

    fn dial(word: &str, how: &DialOptions) -> Result<Dialled<Stream>, Error> {
        runtime().block_on(dial_stream(&word.parse().unwrap(), how))
    }

    /// E4: our own side is bound first.
    #[test]
    fn source_first() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let how =
            DialOptions { source: Some(parse_source("127.0.0.9").unwrap()), ..Default::default() };
        let dialled = dial(&server.local_addr().unwrap().to_string(), &how).unwrap();
        let local = dialled.socket.local().unwrap().inet().unwrap();
        assert_eq!(local.ip().to_string(), "127.0.0.9");
        assert_eq!(server.accept().unwrap().1, local);
        assert!(parse_source("nowhere").is_err());
        assert_eq!(parse_source("[::1]:5").unwrap(), "[::1]:5".parse().unwrap());
        assert_eq!(parse_source("[::1]").unwrap(), "[::1]:0".parse().unwrap());
    }

    /// P7, P8: a secured connection within this machine is not paced; others, and one whose user
    /// says otherwise, have what they would have had.
    #[test]
    fn unpaced_here() {
        let usual =
            Socket::new(Domain::IPV4, Type::STREAM, None).unwrap().tcp_congestion().unwrap();
        let dialled = |word: &str, options: &[SocketOption]| {
            let at: Endpoint = word.parse().unwrap();
            let address = Address::Inet(word.split_once("//").unwrap().1.parse().unwrap());
            let (socket, _) = open(&address, Type::STREAM, &at, None, options).unwrap();
            socket.tcp_congestion().unwrap()
        };
        for (word, paced) in [
            ("tls://127.0.0.1:1", false),
            ("tls://[::1]:1", false),
            ("tls://[::ffff:127.1.1.1]:1", false),
            ("tls://192.0.2.1:1", true),
            ("tcp://127.0.0.1:1", true),
        ] {
            let unpaced = dialled(word, &[]).starts_with(b"reno");
            assert_eq!(unpaced, !paced || usual.starts_with(b"reno"), "{word}");
        }
        if !usual.starts_with(b"reno") {
            let name = usual.split(|byte| *byte == 0).next().unwrap();
            let option = format!("congestion={}", String::from_utf8_lossy(name)).parse().unwrap();
            assert_eq!(dialled("tls://127.0.0.1:1", &[option]), usual);
        }
    }

    /// O4, E8: a refusal has its errno, its cause and its remedy.
    #[test]
    fn refused() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let error = dial(&free.to_string(), &DialOptions::default()).unwrap_err();
        assert_eq!(error.errno(), Some(Errno::CONNREFUSED.raw_os_error()));
        let text = error.to_string();
        assert!(text.contains("nothing listens") && text.contains("Start the server"), "{text}");
    }

    /// Fault 24: a socket that connects to itself is refused.
    #[test]
    fn self_connect() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let how = DialOptions { source: Some(free), ..Default::default() };
        let error = dial(&free.to_string(), &how).unwrap_err();
        assert!(error.to_string().contains("to itself"), "{error}");
    }

    /// E3, fault 25: an address that never answers holds the next one up by 250 ms and no more.
    #[test]
    fn falls_back() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let good = server.local_addr().unwrap();
        // A listener whose accept queue is full drops every further SYN.
        let silent = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        silent.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
        silent.listen(0).unwrap();
        let full = silent.local_addr().unwrap().as_socket().unwrap();
        let _fills = std::net::TcpStream::connect(full).unwrap();
        let endpoint: Endpoint = "tcp://name:1".parse().unwrap();
        let how = DialOptions::default();
        let dialled = runtime().block_on(async {
            let deadline = Instant::now() + how.timeout;
            race(&endpoint, vec![full, good], &how, deadline).await
        });
        let peer = dialled.unwrap().socket.peer().unwrap();
        assert_eq!(peer.address, Address::Inet(good));

        let short = DialOptions { timeout: Duration::from_millis(100), ..Default::default() };
        let error = dial(&full.to_string(), &short).unwrap_err().to_string();
        assert!(error.contains("accept queue"), "{error}");
    }

    /// E1, C4: Unix streams and datagrams, by path and by abstract name.
    #[test]
    fn unix() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let name = format!("unix:@sockeye-test-{}", std::process::id());
        for word in [format!("unix:{}", path.display()), name] {
            let _listeners = listen(&word.parse().unwrap(), &BindOptions::default()).unwrap();
            dial(&word, &DialOptions::default()).unwrap();
        }
        let error = dial("unix:/nonexistent/s", &DialOptions::default()).unwrap_err();
        assert!(error.to_string().contains("no socket file"), "{error}");
    }
}
