//! Which sockets are wanted: by protocol, state, port and process.

use std::str::FromStr;

use super::Owned;
use crate::sockets::{Protocol, Socket, State, UnixKind, UnixSocket, UnixState};

/// Which sockets are asked for, as a user says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// A port that sockets have on either end, else a process.
    Number(u32),
    /// A process.
    Pid(u32),
}

impl FromStr for Target {
    type Err = String;

    /// `9000`, `:9000` or `pid:4711`.
    fn from_str(text: &str) -> Result<Target, String> {
        let wrong = || "not a port or process: write 9000, or pid:4711".to_owned();
        let number = |text: &str| text.parse::<u32>().map_err(|_| wrong());
        match text.strip_prefix("pid:") {
            Some(pid) => number(pid).map(Target::Pid),
            None => number(text.strip_prefix(':').unwrap_or(text)).map(Target::Number),
        }
    }
}

/// What a target turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subject {
    /// Sockets with this port on either end.
    Port(u16),
    /// Sockets that this process has open.
    Pid(u32),
}

/// What is to be looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// TCP, UDP or both.
    pub protocols: Vec<Protocol>,
    /// Unix sockets as well.
    pub unix: bool,
    /// Only those that wait for others: listeners, and datagram sockets without a peer.
    pub listening: bool,
    /// Only those in these states; none means all.
    pub states: Vec<State>,
    /// Only those of a port or a process.
    pub target: Option<Target>,
}

impl Wanted {
    /// A number is a port where a socket has it, and else a process.
    pub(super) fn subject(&self, sockets: &[Owned<Socket>]) -> Option<Subject> {
        let number = match self.target? {
            Target::Pid(pid) => return Some(Subject::Pid(pid)),
            Target::Number(number) => number,
        };
        let port = u16::try_from(number).ok().map(Subject::Port);
        let port = port.filter(|port| sockets.iter().any(|found| concerns(Some(*port), found)));
        Some(port.unwrap_or(Subject::Pid(number)))
    }

    pub(super) fn shows(&self, socket: &Socket) -> bool {
        let waits = socket.state == State::Listen
            || (socket.state == State::Bound && socket.protocol == Protocol::Udp);
        (!self.listening || waits)
            && (self.states.is_empty() || self.states.contains(&socket.state))
    }

    pub(super) fn shows_unix(&self, subject: Option<Subject>, found: &Owned<UnixSocket>) -> bool {
        let ours = match subject {
            None => true,
            Some(Subject::Pid(pid)) => found.owners.iter().any(|owner| owner.pid == pid),
            Some(Subject::Port(_)) => false,
        };
        let socket = &found.socket;
        let waits = socket.state == UnixState::Listen
            || (socket.kind == UnixKind::Datagram && socket.name.is_some());
        let state = match socket.state {
            UnixState::Listen => State::Listen,
            UnixState::Connected => State::Established,
            UnixState::Unconnected => State::Bound,
        };
        ours && (!self.listening || waits)
            && (self.states.is_empty() || self.states.contains(&state))
    }
}

/// True for a socket of that port or process.
pub(super) fn concerns(subject: Option<Subject>, found: &Owned<Socket>) -> bool {
    let socket = &found.socket;
    match subject {
        None => true,
        Some(Subject::Port(port)) => {
            socket.local.port() == port || socket.peer.is_some_and(|peer| peer.port() == port)
        }
        Some(Subject::Pid(pid)) => found.owners.iter().any(|owner| owner.pid == pid),
    }
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, TcpStream, UdpSocket};

    use super::super::Snapshot;
    use super::*;

    fn wanted(target: Option<Target>) -> Wanted {
        let protocols = Protocol::ALL.to_vec();
        Wanted { protocols, unix: false, listening: false, states: Vec::new(), target }
    }

    /// O3: a number is a port where a socket has it, else a process; a process by name is one.
    #[test]
    fn targets() {
        assert_eq!("9000".parse(), Ok(Target::Number(9000)));
        assert_eq!(":9000".parse(), Ok(Target::Number(9000)));
        assert_eq!("pid:1".parse(), Ok(Target::Pid(1)));
        for text in ["", "x", "pid:", "-1", "pid:x", "99999999999"] {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let near = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let seen = Snapshot::take(&wanted(Some(Target::Number(port.into())))).unwrap();
        assert_eq!(seen.subject, Some(Subject::Port(port)));
        assert_eq!(seen.sockets.len(), 3, "{:?}", seen.sockets);
        let us = std::process::id();
        let seen = Snapshot::take(&wanted(Some(Target::Pid(us)))).unwrap();
        assert_eq!(seen.subject, Some(Subject::Pid(us)));
        assert!(seen.sockets.iter().all(|found| found.owners[0].pid == us));
        let local = near.local_addr().unwrap();
        assert!(seen.sockets.iter().any(|found| found.socket.local == local));
        // No port is so high.
        let seen = Snapshot::take(&wanted(Some(Target::Number(4_000_000)))).unwrap();
        assert_eq!(seen.subject, Some(Subject::Pid(4_000_000)));
        assert!(seen.sockets.is_empty());
    }

    /// O3: what listens, and what is in a state.
    #[test]
    fn filters() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let _near = TcpStream::connect(("127.0.0.1", port)).unwrap();
        let datagram = UdpSocket::bind("127.0.0.1:0").unwrap();
        let all = wanted(None);
        let seen = Snapshot::take(&Wanted { listening: true, ..all.clone() }).unwrap();
        let has = |local| seen.sockets.iter().filter(|f| f.socket.local == local).count();
        assert_eq!(has(listener.local_addr().unwrap()), 1);
        assert_eq!(has(datagram.local_addr().unwrap()), 1);
        let states = vec![State::Established];
        let seen = Snapshot::take(&Wanted { states, ..all }).unwrap();
        let of_port = |f: &&Owned<Socket>| f.socket.local.port() == port;
        assert_eq!(seen.sockets.iter().filter(of_port).count(), 1);
        assert!(seen.sockets.iter().all(|f| f.socket.state == State::Established));
    }
}
