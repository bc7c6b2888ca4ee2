//! How many ports are left for outgoing connections.

use std::collections::{HashMap, HashSet};
use std::net::{IpAddr, SocketAddr};

use crate::sockets::{Protocol, Socket, State};

/// The ports that connect(2) chooses from (net.ipv4.ip_local_port_range).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    /// The lowest.
    pub low: u16,
    /// The highest; it is one of them.
    pub high: u16,
}

impl PortRange {
    /// That of this network namespace.
    pub fn read() -> Option<PortRange> {
        PortRange::parse(&super::read("net.ipv4.ip_local_port_range")?)
    }

    pub(super) fn parse(text: &str) -> Option<PortRange> {
        let (low, high) = text.split_once(' ')?;
        let range = PortRange { low: low.parse().ok()?, high: high.parse().ok()? };
        (range.low <= range.high).then_some(range)
    }

    /// How many ports there are in it.
    pub fn count(self) -> u32 {
        u32::from(self.high) - u32::from(self.low) + 1
    }

    /// True for a port of it.
    pub fn has(self, port: u16) -> bool {
        (self.low..=self.high).contains(&port)
    }
}

/// A peer towards which most ports are taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crowded {
    /// The peer.
    pub peer: SocketAddr,
    /// Ports of the range that are taken towards it, from one address of ours.
    pub taken: u32,
    /// How many of them by connections in TIME-WAIT.
    pub time_wait: u32,
}

/// The peer towards which the most ports of the range are taken; `None` where there are no
/// connections from it.
pub fn crowded(sockets: &[Socket], range: PortRange) -> Option<Crowded> {
    let mut taken: HashMap<(IpAddr, SocketAddr), (HashSet<u16>, u32)> = HashMap::new();
    for socket in sockets.iter().filter(|socket| socket.protocol == Protocol::Tcp) {
        if let Some(peer) = socket.peer.filter(|_| range.has(socket.local.port())) {
            let entry = taken.entry((socket.local.ip(), peer)).or_default();
            entry.0.insert(socket.local.port());
            entry.1 += u32::from(socket.state == State::TimeWait);
        }
    }
    let (key, found) = taken.into_iter().max_by_key(|(_, (ports, _))| ports.len())?;
    let (ports, time_wait) = found;
    Some(Crowded { peer: key.1, taken: u32::try_from(ports.len()).ok()?, time_wait })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::sockets::{Timer, TimerKind};

    /// A connection in TIME-WAIT from that port.
    pub(crate) fn waiting(port: u16, peer: &str) -> Socket {
        Socket {
            protocol: Protocol::Tcp,
            local: SocketAddr::new([127, 0, 0, 1].into(), port),
            peer: Some(peer.parse().unwrap()),
            state: State::TimeWait,
            receive_queue: 0,
            send_queue: 0,
            uid: 0,
            inode: None,
            timer: Some(Timer {
                kind: TimerKind::TimeWait,
                remaining: Duration::from_secs(60),
                retries: 0,
            }),
            drops: None,
            info: None,
        }
    }

    /// O5, fault 20: ports are counted towards one peer, those outside the range are not.
    #[test]
    fn towards_one_peer() {
        let range = PortRange::parse("40000 40009").unwrap();
        assert_eq!(range.count(), 10);
        let mut sockets: Vec<Socket> =
            (39_999..40_003).map(|port| waiting(port, "127.0.0.1:80")).collect();
        sockets.push(waiting(40_005, "127.0.0.1:81"));
        sockets[1].state = State::Established;
        let most = crowded(&sockets, range).unwrap();
        assert_eq!(
            (most.peer, most.taken, most.time_wait),
            ("127.0.0.1:80".parse().unwrap(), 3, 2)
        );
        assert_eq!(crowded(&[], range), None);
        assert_eq!(PortRange::parse("9 8"), None);
    }
}
