//! Where the connections go: the server's address, found once, and sockets to it.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::ops::ControlFlow;
use std::pin::pin;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};
use sockeye_limits as limits;
use sockeye_net::{
    self as net, Address, DialOptions, Endpoint, Operation, Stream, dial_datagram, dial_stream,
};

use crate::error::{Error, Failure};

/// The server, as an address that was reached once.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    address: SockAddr,
    domain: Domain,
    dial: DialOptions,
    /// Ports that wait in TIME_WAIT are spread over several addresses of ours.
    spread: bool,
}

/// How far connect(2) came.
pub(crate) enum Started {
    /// It is connected.
    Connected(Stream),
    /// It will be told when the socket can be written.
    Pending(Stream),
    /// The server's queue is full (Unix); again in a moment.
    Full,
}

impl Target {
    /// Connects to the server once, as any client does, and takes the address that answered. Of a
    /// stream the connection comes along. None where `look`, which is asked meanwhile, ends the run.
    ///
    /// # Errors
    /// The explained failure.
    pub(crate) fn reach(
        endpoint: &Endpoint,
        dial: &DialOptions,
        look: &mut dyn FnMut(Duration) -> ControlFlow<()>,
    ) -> Result<Option<(Target, Option<Stream>)>, Error> {
        let runtime = net::sys::require_descriptors(limits::RUNTIME_DESCRIPTORS)
            .and_then(|()| tokio::runtime::Builder::new_current_thread().enable_all().build())
            .map_err(|source| Error::System { what: "start an event loop", source })?;
        let dialled = async {
            if endpoint.transport().is_stream() {
                let stream = dial_stream(endpoint, dial).await?.socket;
                Ok((stream.socket().peer_addr(), Some(stream)))
            } else {
                let socket = dial_datagram(endpoint, dial).await?.socket;
                Ok((socket.peer_addr(), None))
            }
        };
        let Some(reached) = runtime.block_on(looking(dialled, look)) else {
            // A name that is still being looked up is waited for by nobody.
            runtime.shutdown_background();
            return Ok(None);
        };
        let (address, stream) = reached.map_err(|error: net::Error| Error::Net(Box::new(error)))?;
        let address = address
            .map_err(|error| net::Error::new(Operation::Connect, endpoint, error))
            .map_err(|error| Error::Net(Box::new(error)))?;
        let inet = address.as_socket();
        let domain = inet.map_or(Domain::UNIX, Domain::for_address);
        let loopback = inet.is_some_and(|inet| inet.ip().is_loopback() && inet.is_ipv4());
        let spread = loopback && dial.source.is_none();
        let target =
            Target { endpoint: endpoint.clone(), address, domain, dial: dial.clone(), spread };
        Ok(Some((target, stream)))
    }

    /// How long connecting may take.
    pub(crate) fn patience(&self) -> Duration {
        self.dial.timeout
    }

    /// Begins to connect stream `number`.
    pub(crate) fn connect(&self, number: u64) -> Result<Started, Failure> {
        let socket = self.socket(Type::STREAM, number)?;
        let done = socket.connect(&self.address);
        let stream = Stream::from(socket);
        match done.map_err(|error| (Errno::from_io_error(&error), error)) {
            Ok(()) => Ok(Started::Connected(stream)),
            Err((Some(Errno::INPROGRESS), _)) => Ok(Started::Pending(stream)),
            Err((Some(Errno::AGAIN), _)) => Ok(Started::Full),
            Err((_, error)) => Err(self.failed(Operation::Connect, error)),
        }
    }

    /// A datagram socket of its own, connected to the server.
    pub(crate) fn datagram(&self) -> Result<Socket, Failure> {
        let socket = self.socket(Type::DGRAM, 0)?;
        match socket.connect(&self.address) {
            Ok(()) => Ok(socket),
            Err(error) => Err(self.failed(Operation::Connect, error)),
        }
    }

    /// A failure on the way to this server, explained.
    pub(crate) fn failed(&self, operation: Operation, error: io::Error) -> Failure {
        Failure::new(operation, &self.endpoint, error)
    }

    fn socket(&self, kind: Type, number: u64) -> Result<Socket, Failure> {
        let failed = |error| self.failed(Operation::Socket, error);
        let socket = Socket::new(self.domain, kind.nonblocking(), None).map_err(failed)?;
        if kind == Type::STREAM && self.domain != Domain::UNIX {
            socket.set_tcp_nodelay(true).map_err(failed)?;
        }
        net::options::apply(&socket, &self.dial.options, &self.endpoint).map_err(Failure::from)?;
        let bound = match (self.dial.source, kind) {
            (Some(source), _) if self.domain != Domain::UNIX => self.bind(&socket, source, kind),
            // A Unix socket is answered by its name.
            (_, Type::DGRAM) if self.domain == Domain::UNIX => {
                Address::Unnamed.to_sockaddr().and_then(|name| socket.bind(&name))
            }
            (_, Type::STREAM) if self.spread => {
                let last = 1 + (number % limits::LOAD_SOURCES) as u8;
                self.bind(&socket, (Ipv4Addr::new(127, 0, 0, last), 0).into(), kind)
            }
            _ => Ok(()),
        };
        bound.map_err(|error| self.failed(Operation::Bind, error))?;
        Ok(socket)
    }

    fn bind(&self, socket: &Socket, source: SocketAddr, kind: Type) -> io::Result<()> {
        if kind == Type::STREAM && source.port() == 0 {
            net::sys::bind_address_no_port(socket)?;
        }
        socket.bind(&source.into())
    }
}

/// What comes of `work`, while `look` is asked now and then; none where that ends it.
async fn looking<T>(
    work: impl Future<Output = T>,
    look: &mut dyn FnMut(Duration) -> ControlFlow<()>,
) -> Option<T> {
    let (mut work, since) = (pin!(work), Instant::now());
    loop {
        match tokio::time::timeout(limits::LOAD_PROGRESS, &mut work).await {
            Ok(done) => return Some(done),
            Err(_) if look(since.elapsed()).is_break() => return None,
            Err(_) => {}
        }
    }
}

/// True where both ends of a connection are one socket: nobody listened there, and it was given the
/// target's port as its own (RFC 9293, section 3.5: a simultaneous open with itself).
pub(crate) fn is_own(stream: &Stream) -> bool {
    let inet = |address: io::Result<SockAddr>| address.ok().and_then(|address| address.as_socket());
    let local = inet(stream.socket().local_addr());
    local.is_some() && local == inet(stream.socket().peer_addr())
}
