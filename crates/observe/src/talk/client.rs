//! The client of a traced conversation: plain calls, one after the other, each written down.

use std::cell::Cell;
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use rustix::io::Errno;
use socket2::{Domain, SockAddr, Socket, Type};
use sockeye_limits as limits;
use sockeye_net::sys::tcp_info::TcpInfo;
use sockeye_net::{Address, Endpoint, Error, Operation, Transport, sys};

use super::log::{Log, sent};
use super::{Close, Plan};
use crate::history::Side;

/// What a conversation left.
#[derive(Debug)]
pub(crate) struct Talked {
    /// The client's address; `None` where it got none.
    pub(crate) local: Option<SocketAddr>,
    /// Why it ended early.
    pub(crate) error: Option<Error>,
    /// Somebody stopped it.
    pub(crate) stopped: bool,
    /// What the server answered, the first [`limits::TRACE_ANSWER`] bytes.
    pub(crate) answer: Vec<u8>,
    /// What the kernel counted for it before it closed.
    pub(crate) last: Option<TcpInfo>,
}

/// The client while it talks.
pub(crate) struct Client<'a> {
    plan: &'a Plan,
    /// Where it goes, as the user wrote it or as it was resolved.
    at: &'a Endpoint,
    log: &'a Log,
    answer: Vec<u8>,
    last: Option<TcpInfo>,
    stopped: Cell<bool>,
}

type Done<T> = Result<T, Error>;

impl<'a> Client<'a> {
    pub(crate) fn new(plan: &'a Plan, at: &'a Endpoint, log: &'a Log) -> Client<'a> {
        Client { plan, at, log, answer: Vec::new(), last: None, stopped: Cell::new(false) }
    }

    /// Holds the conversation with `server`. `connecting` is told the client's address as soon as the
    /// first packet has left.
    pub(crate) fn talk(mut self, server: &Address, connecting: impl FnOnce(SocketAddr)) -> Talked {
        let mut local = None;
        let done = self.hold(server, |address| {
            local = Some(address);
            connecting(address);
        });
        let stopped = self.stopped.get();
        let error =
            done.err().map(|error| if stopped { self.stopped_early(&error) } else { error });
        Talked { local, error, stopped, answer: self.answer, last: self.last }
    }

    fn hold(&mut self, server: &Address, connecting: impl FnOnce(SocketAddr)) -> Done<()> {
        let socket = self.socket(server)?;
        if let Some(source) = self.plan.source {
            self.bind(&socket, source)?;
        }
        self.connect(&socket, server, connecting)?;
        let done = self.exchange(&socket);
        self.count(&socket);
        if self.plan.close == Close::Reset && done.is_ok() {
            // The close that follows tells whether it was taken.
            let _ = self.log.call(
                Side::Client,
                "setsockopt",
                "SO_LINGER, 0 s",
                |()| 0,
                || socket.set_linger(Some(Duration::ZERO)),
            );
        }
        let closed = self.log.call(
            Side::Client,
            "close",
            "",
            |()| 0,
            || {
                drop(socket);
                Ok(())
            },
        );
        done.and(closed.map_err(self.failed(Operation::Shutdown)))
    }

    fn stopped_early(&self, error: &Error) -> Error {
        let cause = "the trace was stopped before its end; what was seen until then is shown";
        let source = Errno::CANCELED.into();
        Error::explained(error.operation, self.at, source, cause, "Let it run, or lower --timeout")
    }

    /// Waits until the socket can be read (or written); false where it takes longer than that.
    fn wait(&self, socket: &Socket, writable: bool, timeout: Duration) -> io::Result<bool> {
        let ready = match &self.plan.stop {
            Some(stop) => sys::wait_unless(socket, writable, &stop.0, timeout)?,
            None if writable => Some(sys::wait_writable(socket, Some(timeout))?),
            None => Some(sys::wait_readable(socket, Some(timeout))?),
        };
        self.stopped.set(ready.is_none());
        ready.ok_or_else(|| Errno::CANCELED.into())
    }

    fn failed(&self, operation: Operation) -> impl Fn(io::Error) -> Error + use<> {
        let at = self.at.clone();
        move |error| Error::new(operation, &at, error)
    }

    fn socket(&self, server: &Address) -> Done<Socket> {
        let (domain, family) = match server {
            Address::Inet(SocketAddr::V4(_)) => (Domain::IPV4, "AF_INET"),
            Address::Inet(SocketAddr::V6(_)) => (Domain::IPV6, "AF_INET6"),
            _ => (Domain::UNIX, "AF_UNIX"),
        };
        let (kind, name) = match self.is_stream() {
            true => (Type::STREAM, "SOCK_STREAM"),
            false => (Type::DGRAM, "SOCK_DGRAM"),
        };
        let made = self.log.call(
            Side::Client,
            "socket",
            format!("{family}, {name}"),
            |_| 0,
            || {
                let socket = Socket::new(domain, kind, None)?;
                socket.set_nonblocking(true)?;
                Ok(socket)
            },
        );
        made.map_err(self.failed(Operation::Socket))
    }

    fn is_stream(&self) -> bool {
        self.at.transport().is_stream()
    }

    fn bind(&self, socket: &Socket, source: SocketAddr) -> Done<()> {
        let transport = if self.is_stream() { Transport::Tcp } else { Transport::Udp };
        let shown = Address::Inet(source).to_endpoint(transport);
        let bind = || {
            // A client that names its port may use it again at once (fault 22: not UDP's).
            if self.is_stream() && source.port() != 0 {
                socket.set_reuse_address(true)?;
            }
            socket.bind(&source.into())
        };
        let bound = self.log.call(Side::Client, "bind", source.to_string(), |()| 0, bind);
        bound.map_err(|error| Error::new(Operation::Bind, shown, error))
    }

    fn connect(
        &mut self,
        socket: &Socket,
        server: &Address,
        connecting: impl FnOnce(SocketAddr),
    ) -> Done<()> {
        let failed = self.failed(Operation::Connect);
        if self.at.transport() == Transport::Unixgram {
            // A datagram socket without a name cannot be answered.
            let unnamed = Address::Unnamed.to_sockaddr().map_err(&failed)?;
            let bind = || socket.bind(&unnamed);
            let bound = self.log.call(Side::Client, "bind", "a name of its own", |()| 0, bind);
            bound.map_err(self.failed(Operation::Bind))?;
        }
        let target = server.to_sockaddr().map_err(&failed)?;
        let connect = || self.connect_once(socket, &target, connecting);
        let made = self.log.call(Side::Client, "connect", server.to_string(), |()| 0, connect);
        self.count(socket);
        made.map_err(failed)
    }

    /// connect(2) and, where that does not wait, waiting for what becomes of it.
    fn connect_once(
        &self,
        socket: &Socket,
        target: &SockAddr,
        connecting: impl FnOnce(SocketAddr),
    ) -> io::Result<()> {
        let begun = socket.connect(target);
        if let Ok(Some(local)) = socket.local_addr().map(|address| address.as_socket())
            && local.port() != 0
        {
            connecting(local);
        }
        match begun {
            Err(error) if error.raw_os_error() == Some(Errno::INPROGRESS.raw_os_error()) => {}
            other => return other,
        }
        if !self.wait(socket, true, self.plan.timeout)? {
            return Err(timed_out());
        }
        socket.take_error()?.map_or(Ok(()), Err)
    }

    /// Asks the kernel what it counted; a socket that has no counts leaves none.
    fn count(&mut self, socket: &Socket) {
        let info = TcpInfo::of(socket).ok();
        self.log.count(Side::Client, info);
        self.last = info.or(self.last);
    }

    fn exchange(&mut self, socket: &Socket) -> Done<()> {
        let last = self.plan.sends.len().saturating_sub(1);
        let sends = self.plan.sends.clone();
        for (n, bytes) in sends.iter().enumerate() {
            self.send(socket, bytes)?;
            // Whoever waits for the server's end reads on until that in any case.
            if n < last || self.plan.close != Close::Last {
                self.read_answer(socket)?;
            }
        }
        if !self.is_stream() {
            return Ok(());
        }
        match self.plan.close {
            Close::Half => {
                let shutdown = || socket.shutdown(Shutdown::Write);
                let ended = self.log.call(Side::Client, "shutdown", "SHUT_WR", |()| 0, shutdown);
                self.count(socket);
                ended.map_err(self.failed(Operation::Shutdown))?;
                self.read_to_end(socket)
            }
            Close::Last => self.read_to_end(socket),
            Close::First | Close::Reset => Ok(()),
        }
    }

    fn send(&mut self, socket: &Socket, bytes: &[u8]) -> Done<()> {
        let deadline = Instant::now() + self.plan.timeout;
        let mut rest = bytes;
        loop {
            let send = || self.send_waiting(socket, rest, deadline);
            let text = sent(rest);
            let sent = self.log.call(Side::Client, "send", text, |n| *n, send);
            self.count(socket);
            let n = sent.map_err(|error| self.explain(Operation::Send, socket, error))?;
            self.log.carried(Side::Client, &rest[..n]);
            rest = &rest[n..];
            if rest.is_empty() {
                return Ok(());
            }
        }
    }

    /// Sends once, after waiting for room.
    fn send_waiting(&self, socket: &Socket, bytes: &[u8], deadline: Instant) -> io::Result<usize> {
        loop {
            match rustix::net::send(socket, bytes, rustix::net::SendFlags::NOSIGNAL) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => {
                    let left = deadline.saturating_duration_since(Instant::now());
                    if !self.wait(socket, true, left)? {
                        return Err(timed_out());
                    }
                }
                other => return Ok(other?),
            }
        }
    }

    /// What comes until the server pauses; a server that answers nothing is waited for a little, and
    /// for the whole timeout while our bytes are on their way.
    fn read_answer(&mut self, socket: &Socket) -> Done<()> {
        let deadline = Instant::now() + self.plan.timeout;
        let mut patience = limits::TRACE_ANSWER_TIME.min(self.plan.timeout);
        while self.answer.len() < limits::TRACE_ANSWER {
            let ready = self.wait(socket, false, patience);
            if ready.map_err(self.failed(Operation::Receive))? {
                if self.recv(socket)? == 0 || !self.is_stream() {
                    return Ok(());
                }
                // Who goes on a byte at a time has said enough.
                if Instant::now() >= deadline {
                    return Ok(());
                }
                patience = limits::TRACE_QUIET_TIME;
            } else if !self.is_on_its_way(socket) {
                return Ok(());
            } else if Instant::now() >= deadline {
                return Err(self.explain(Operation::Receive, socket, timed_out()));
            }
        }
        Ok(())
    }

    /// True while the server has not acknowledged all that was sent.
    fn is_on_its_way(&self, socket: &Socket) -> bool {
        self.is_stream() && TcpInfo::of(socket).is_ok_and(|info| info.unacknowledged > 0)
    }

    fn read_to_end(&mut self, socket: &Socket) -> Done<()> {
        let deadline = Instant::now() + self.plan.timeout;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let ready = self.wait(socket, false, left);
            if !ready.map_err(self.failed(Operation::Receive))? {
                let error = self.explain(Operation::Receive, socket, timed_out());
                return Err(error);
            }
            if self.recv(socket)? == 0 || self.answer.len() >= limits::TRACE_ANSWER {
                return Ok(());
            }
        }
    }

    fn recv(&mut self, socket: &Socket) -> Done<usize> {
        let mut buffer = vec![0; limits::TRACE_READ];
        let recv = || sys_recv(socket, &mut buffer);
        let got = self.log.call(Side::Client, "recv", "", |n| *n, recv);
        self.count(socket);
        let n = got.map_err(|error| self.explain(Operation::Receive, socket, error))?;
        self.log.carried(Side::Client, &buffer[..n]);
        self.answer.extend_from_slice(&buffer[..n]);
        Ok(n)
    }

    /// The error, with the cause named where our own counts tell more than its number.
    fn explain(&self, operation: Operation, socket: &Socket, error: io::Error) -> Error {
        let timed_out = error.raw_os_error() == Some(Errno::TIMEDOUT.raw_os_error());
        let info = TcpInfo::of(socket).ok().filter(|_| timed_out && self.is_stream());
        let Some(info) = info else { return Error::new(operation, self.at, error) };
        // The handshake came through, nothing longer did, and it was sent again and again.
        let stuck = info.bytes_acked <= 1 && info.retransmitted > 0 && info.data_segments_out > 0;
        if stuck && self.plan.sends.iter().any(|sent| sent.len() > limits::TRACE_SMALL_PACKET) {
            let cause = format!(
                "the handshake came through, but none of our long segments was acknowledged, \
                 though they were sent {} more times: the way is too narrow for them and nothing \
                 tells us (a path-MTU black hole: a firewall drops ICMP \"fragmentation needed\")",
                info.retransmitted
            );
            let remedy = "Let ICMP pass there, clamp the MSS at the router, or set \
                          net.ipv4.tcp_mtu_probing=1 here";
            return Error::explained(operation, self.at, error, cause, remedy);
        }
        if stuck {
            let cause = format!(
                "the handshake came through, but nothing that we sent was acknowledged, though it was \
                 sent {} more times",
                info.retransmitted
            );
            let remedy = "Look for a firewall between that drops what follows the handshake";
            return Error::explained(operation, self.at, error, cause, remedy);
        }
        let cause = "the server has not ended its side, so we gave up waiting for its FIN";
        let remedy = "Close first with `--close first`, or raise --timeout";
        Error::explained(operation, self.at, error, cause, remedy)
    }
}

fn timed_out() -> io::Error {
    io::Error::from_raw_os_error(Errno::TIMEDOUT.raw_os_error())
}

pub(super) fn sys_recv(socket: &Socket, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match rustix::net::recv(socket, &mut *buffer, rustix::net::RecvFlags::empty()) {
            Err(Errno::INTR) => {}
            other => return Ok(other?.0),
        }
    }
}
