//! The kernel's tables of sockets, through sock_diag(7): no privileges needed, nothing touched.
//!
//! [`list`] gives all TCP and UDP sockets of this network namespace, [`unix`] the Unix ones, and
//! [`find`] asks for one connection. What the kernel answers is decoded in [`inet`] and
//! [`local`], from bytes that [`message`] has cut into pieces; the socket itself is in `netlink`.

pub mod inet;
pub mod info;
pub mod local;
pub mod message;
mod netlink;
pub mod state;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

pub use info::TcpInfo;
pub use local::{UnixKind, UnixSocket, UnixState, unix};
pub use state::State;

/// The protocol of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// Transmission Control Protocol, RFC 9293.
    Tcp,
    /// User Datagram Protocol, RFC 768.
    Udp,
}

impl Protocol {
    /// Both.
    pub const ALL: [Protocol; 2] = [Protocol::Tcp, Protocol::Udp];

    /// `tcp` or `udp`.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Tcp => "tcp",
            Protocol::Udp => "udp",
        }
    }

    /// Its number in an IP header.
    fn number(self) -> u8 {
        match self {
            Protocol::Tcp => 6,
            Protocol::Udp => 17,
        }
    }
}

/// What a TCP socket waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimerKind {
    /// An acknowledgement: else what was sent is sent again.
    Retransmit,
    /// A sign of life: else a probe is sent, or the next thing of a quiet connection.
    Keepalive,
    /// The end of TIME-WAIT.
    TimeWait,
    /// The peer's window to open: else it is asked.
    ZeroWindow,
    /// Another one, by the kernel's number.
    Other(u8),
}

impl TimerKind {
    /// Its name, as users and JSON have it.
    pub fn name(self) -> &'static str {
        match self {
            TimerKind::Retransmit => "retransmit",
            TimerKind::Keepalive => "keepalive",
            TimerKind::TimeWait => "time-wait",
            TimerKind::ZeroWindow => "zero-window",
            TimerKind::Other(_) => "other",
        }
    }
}

/// A timer that runs on a TCP socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    /// What it is for.
    pub kind: TimerKind,
    /// How long until it fires, to the millisecond.
    pub remaining: Duration,
    /// How often it fired without success since something last moved.
    pub retries: u8,
}

/// A TCP or UDP socket, as the kernel's table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Socket {
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Its own address.
    pub local: SocketAddr,
    /// The other end; `None` where it has none.
    pub peer: Option<SocketAddr>,
    /// Its state.
    pub state: State,
    /// Bytes that the program has not read; of a listener the connections that wait in its accept
    /// queue.
    pub receive_queue: u32,
    /// Bytes that are not acknowledged or not sent; of a listener the limit of its accept queue,
    /// which one more than that may wait in.
    pub send_queue: u32,
    /// The number of the user who made it.
    pub uid: u32,
    /// Its inode; `None` where no process has it open (TIME-WAIT, orphans).
    pub inode: Option<u64>,
    /// The timer that runs.
    pub timer: Option<Timer>,
    /// What the kernel threw away here: of UDP datagrams, mostly as they did not fit; of a listener
    /// attempts to connect, mostly as its accept queue was full; of a connection segments. `None`
    /// where it does not say.
    pub drops: Option<u32>,
    /// What TCP knows of the connection; `None` for UDP, listeners and sockets that wait out.
    pub info: Option<TcpInfo>,
}

impl Socket {
    /// True for a listener whose accept queue takes no more: Linux lets one more in than its limit.
    pub fn is_full(&self) -> bool {
        self.state == State::Listen && self.receive_queue > self.send_queue
    }

    /// How long it will stay in TIME-WAIT; `None` in another state.
    pub fn time_wait(&self) -> Option<Duration> {
        let timer = self.timer.filter(|_| self.state == State::TimeWait)?;
        Some(timer.remaining)
    }
}

/// All sockets of these protocols in this network namespace, IPv4 before IPv6.
///
/// # Errors
/// Those of socket(2), send(2) and recv(2) on a netlink socket; EPROTO for an answer that makes no
/// sense.
pub fn list(protocols: &[Protocol]) -> io::Result<Vec<Socket>> {
    let kernel = netlink::Kernel::open()?;
    let mut sockets = Vec::new();
    for protocol in protocols {
        for family in inet::FAMILIES {
            let request = inet::request(*protocol, family);
            kernel.dump(&request, |body| sockets.extend(inet::socket(*protocol, body)))?;
        }
    }
    Ok(sockets)
}

/// The one TCP socket with these ends, in whatever state; `None` where there is none.
///
/// A connection within this machine has two, one a side: exchange the arguments for the other.
///
/// # Errors
/// As [`list`].
pub fn find(local: SocketAddr, peer: SocketAddr) -> io::Result<Option<Socket>> {
    let Some(request) = inet::request_one(local, peer) else { return Ok(None) };
    let answer = netlink::Kernel::open()?.ask(&request)?;
    let socket = answer.and_then(|body| inet::socket(Protocol::Tcp, &body));
    // Where there is no such connection the kernel answers with a listener that would take it.
    let same = |a: SocketAddr, b: SocketAddr| {
        a.port() == b.port() && a.ip().to_canonical() == b.ip().to_canonical()
    };
    Ok(socket.filter(|found| {
        same(found.local, local) && found.peer.is_some_and(|found| same(found, peer))
    }))
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::*;

    /// O3: a listener's accept queue and its limit, a connection's queues, and a datagram socket.
    #[test]
    fn live_sockets() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let at = listener.local_addr().unwrap();
        let mut near = TcpStream::connect(at).unwrap();
        near.write_all(b"12345").unwrap();
        let datagram = UdpSocket::bind("[::1]:0").unwrap();
        let all = list(&Protocol::ALL).unwrap();
        let listens = all.iter().find(|s| s.local == at && s.state == State::Listen).unwrap();
        assert_eq!((listens.receive_queue, listens.drops), (1, Some(0)), "{listens:?}");
        assert!(listens.send_queue >= 128 && !listens.is_full(), "{listens:?}");
        let far = all.iter().find(|s| s.local == at && s.peer == near.local_addr().ok()).unwrap();
        assert_eq!((far.state, far.receive_queue), (State::Established, 5));
        // Nobody has accepted it: it is nobody's yet.
        assert_eq!(far.inode, None);
        let info = far.info.as_ref().unwrap();
        assert_eq!(info.bytes_received, Some(5), "{info:?}");
        let bound = all.iter().find(|s| s.local == datagram.local_addr().unwrap()).unwrap();
        assert_eq!((bound.protocol, bound.state, bound.peer), (Protocol::Udp, State::Bound, None));
    }

    /// O1, O3: one connection is found from either side, and none where there is only a listener.
    #[test]
    fn one_connection() {
        for host in ["127.0.0.1:0", "[::1]:0"] {
            let listener = TcpListener::bind(host).unwrap();
            let server = listener.local_addr().unwrap();
            let near = TcpStream::connect(server).unwrap();
            let client = near.local_addr().unwrap();
            let (far, _) = listener.accept().unwrap();
            for (local, peer) in [(client, server), (server, client)] {
                let socket = find(local, peer).unwrap().unwrap();
                assert_eq!((socket.local, socket.peer), (local, Some(peer)));
                assert_eq!(socket.state, State::Established);
            }
            let other = SocketAddr::new(client.ip(), 1);
            assert_eq!(find(server, other).unwrap(), None, "the listener is not the answer");
            assert_eq!(find(other, server).unwrap(), None);
            drop(far);
            let waits = find(client, server).unwrap().unwrap();
            assert_eq!(waits.state, State::CloseWait);
        }
    }

    /// O3: an IPv4 connection on an IPv6 listener is found by its IPv4 addresses.
    #[test]
    fn mapped() {
        let listener = TcpListener::bind("[::]:0").unwrap();
        let server = SocketAddr::new([127, 0, 0, 1].into(), listener.local_addr().unwrap().port());
        let near = TcpStream::connect(server).unwrap();
        let client = near.local_addr().unwrap();
        let (_far, _) = listener.accept().unwrap();
        let socket = find(server, client).unwrap().unwrap();
        assert_eq!((socket.local, socket.peer), (server, Some(client)));
    }
}
