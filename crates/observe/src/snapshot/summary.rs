//! What is in TIME-WAIT, and which ports that holds.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use crate::sockets::{Protocol, Socket, State};
use crate::tune::PortRange;

/// The connections in TIME-WAIT: who closes first holds it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TimeWaits {
    /// How many there are.
    pub count: usize,
    /// Those of servers that closed first: their port and how many, the most first.
    pub held: Vec<(u16, usize)>,
    /// Those of clients that closed first: towards whom and how many, the most first. Each holds a
    /// port of the range that outgoing connections choose from.
    pub towards: Vec<(SocketAddr, usize)>,
    /// When the last of them is over, if no more come.
    pub longest: Duration,
}

impl TimeWaits {
    pub(super) fn count<'a>(sockets: impl Iterator<Item = &'a Socket>) -> TimeWaits {
        let range = PortRange::read();
        let waiting: Vec<&Socket> =
            sockets.filter(|s| s.protocol == Protocol::Tcp && s.state == State::TimeWait).collect();
        let ours = |s: &Socket| range.is_some_and(|range| range.has(s.local.port()));
        // A server may listen on a port of the range as well: then it has several peers there.
        let mut ports: HashMap<u16, usize> = HashMap::new();
        for socket in &waiting {
            *ports.entry(socket.local.port()).or_default() += 1;
        }
        let (clients, servers): (Vec<&Socket>, Vec<&Socket>) = waiting
            .iter()
            .partition(|s| ours(s) && ports.get(&s.local.port()).is_none_or(|count| *count == 1));
        TimeWaits {
            count: waiting.len(),
            held: ranked(servers.iter().map(|s| s.local.port())),
            towards: ranked(clients.iter().filter_map(|s| s.peer)),
            longest: waiting.iter().filter_map(|s| s.time_wait()).max().unwrap_or_default(),
        }
    }
}

/// How often each occurs, the most frequent first.
fn ranked<T: Copy + Ord + std::hash::Hash>(items: impl Iterator<Item = T>) -> Vec<(T, usize)> {
    let mut counts: HashMap<T, usize> = HashMap::new();
    for item in items {
        *counts.entry(item).or_default() += 1;
    }
    let mut ranked: Vec<(T, usize)> = counts.into_iter().collect();
    ranked.sort_by_key(|(item, count)| (std::cmp::Reverse(*count), *item));
    ranked
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tune::waiting;

    /// O3: a server's port is named with its count; clients' by whom they went to.
    #[test]
    fn who_holds_what() {
        let range = PortRange::read().unwrap();
        let mut sockets = vec![waiting(80, "127.0.0.1:51000"), waiting(80, "127.0.0.1:51001")];
        sockets.push(waiting(range.low, "10.0.0.1:443"));
        sockets[0].state = State::LastAck;
        let found = TimeWaits::count(sockets.iter());
        assert_eq!((found.count, found.held), (2, vec![(80, 1)]));
        assert_eq!(found.towards, [("10.0.0.1:443".parse().unwrap(), 1)]);
        assert_eq!(found.longest, Duration::from_secs(60));
    }
}
