//! Many connections at a time: each captured packet goes to the history of its own.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use sockeye_limits as limits;

use crate::capture::Captured;
use crate::history::{Event, Flags, History, Step};
use crate::packet::{Packet, decode};

/// The two ends of a connection, in whichever order they were met first.
type Ends = (SocketAddr, SocketAddr);

/// The connections of a port, as their packets come by.
#[derive(Debug)]
pub struct Connections {
    port: u16,
    /// Since 1970: what times are counted from.
    started: Duration,
    known: HashMap<Ends, Connection>,
    /// How many there were so far.
    met: u64,
}

/// One of them.
#[derive(Debug)]
pub struct Connection {
    /// Its number, from 1.
    pub number: u64,
    /// Its history so far.
    pub history: History,
    /// Whether it is over: closed on both sides, or waiting in TIME-WAIT.
    pub over: bool,
    /// Whether it was over before, however it is now.
    was_over: bool,
    /// Where its packets are seen first; on a bridge they pass several interfaces.
    interface: u32,
}

/// What a packet told.
#[derive(Debug)]
pub struct News<'a> {
    /// Of which connection.
    pub connection: &'a Connection,
    /// Whether it is met for the first time.
    pub first: bool,
    /// Whether it is over now and was not before the packet. A close whose last packet was lost ends more
    /// than once.
    pub ended: bool,
    /// Whether it ended for the first time.
    pub first_end: bool,
    /// The step that it is.
    pub step: Step,
}

impl Connections {
    /// None yet. A connection whose beginning is not seen has its server at `port`. Times count from
    /// `started`, since 1970.
    pub fn new(port: u16, started: Duration) -> Connections {
        Connections { port, started, known: HashMap::new(), met: 0 }
    }

    /// How many connections were met so far.
    pub fn met(&self) -> u64 {
        self.met
    }

    /// Those that are known still, by their numbers.
    pub fn known(&self) -> Vec<&Connection> {
        let mut known: Vec<&Connection> = self.known.values().collect();
        known.sort_by_key(|connection| connection.number);
        known
    }

    /// Takes the next packet. `None` for one that tells nothing: it was seen already on another
    /// interface, or is about a connection that was not met.
    pub fn push(&mut self, captured: &Captured) -> Option<News<'_>> {
        let time = captured.at.saturating_sub(self.started);
        let packet = decode(time, captured.link, &captured.bytes, captured.length)?;
        let (from, to) = ends_of(&packet);
        let opens = matches!(&packet, Packet::Segment(segment)
            if segment.flags.has(Flags::SYN) && !segment.flags.has(Flags::ACK));
        let ends = if self.known.contains_key(&(to, from)) { (to, from) } else { (from, to) };
        if let (Packet::Segment(segment), Some(before)) = (&packet, self.known.get(&ends))
            && before.history.begins_anew(segment)
        {
            self.known.remove(&ends);
        }
        let first = !self.known.contains_key(&ends);
        if first {
            if matches!(packet, Packet::Unreachable(_)) {
                return None;
            }
            let tcp = matches!(packet, Packet::Segment(_));
            self.meet(ends, tcp, opens, captured.interface);
        }
        let connection = self.known.get_mut(&ends)?;
        if connection.interface != captured.interface && !matches!(packet, Packet::Unreachable(_)) {
            return None;
        }
        let step = connection.history.push(Event::from(packet))?.clone();
        let over = connection.history.is_over();
        let ended = over && !connection.over;
        connection.over = over;
        let first_end = ended && !std::mem::replace(&mut connection.was_over, over);
        Some(News { connection, first, ended, first_end, step })
    }

    fn meet(&mut self, ends: Ends, tcp: bool, opens: bool, interface: u32) {
        if self.known.len() >= limits::TRACE_CONNECTIONS {
            let least = |(_, c): &(&Ends, &Connection)| (!c.over, c.number);
            let oldest = self.known.iter().min_by_key(least).map(|(ends, _)| *ends);
            oldest.map(|ends| self.known.remove(&ends));
        }
        self.met += 1;
        let (from, to) = ends;
        let to_server = opens || to.port() == self.port;
        let (client, server) = if to_server { (from, to) } else { (to, from) };
        let history = match tcp {
            true => History::new(client, server),
            false => History::datagrams(client, server),
        };
        // Many strangers' packets come by: each step is handed out and not kept.
        let history = history.forgetful();
        let (number, over) = (self.met, false);
        let connection = Connection { number, history, over, was_over: over, interface };
        self.known.insert(ends, connection);
    }
}

fn ends_of(packet: &Packet) -> Ends {
    match packet {
        Packet::Segment(segment) => (segment.from, segment.to),
        Packet::Datagram(datagram) => (datagram.from, datagram.to),
        Packet::Unreachable(error) => (error.about_from, error.about_to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::packet::Link;

    /// A TCP packet without payload, as Ethernet frames carry it, between ports of 127.0.0.1.
    fn packet(from: u16, to: u16, flags: u8, seq: u32, ack: u32) -> Captured {
        let mut bytes = vec![0; 14 + 20 + 20];
        bytes[12..14].copy_from_slice(&[8, 0]);
        bytes[14..24].copy_from_slice(&[0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6]);
        bytes[26..34].copy_from_slice(&[127, 0, 0, 1, 127, 0, 0, 1]);
        bytes[34..36].copy_from_slice(&from.to_be_bytes());
        bytes[36..38].copy_from_slice(&to.to_be_bytes());
        bytes[38..42].copy_from_slice(&seq.to_be_bytes());
        bytes[42..46].copy_from_slice(&ack.to_be_bytes());
        bytes[46..48].copy_from_slice(&[5 << 4, flags]);
        let length = bytes.len();
        let at = Duration::from_secs(1);
        Captured { at, interface: 1, link: Link::Ethernet, outgoing: true, bytes, length }
    }

    const SYN: u8 = 2;
    const ACK: u8 = 16;
    const RST: u8 = 4;

    /// O1: each connection has its number and its history; who opens is the client, and where that was
    /// not seen, who is not at the port.
    #[test]
    fn apart() {
        let mut all = Connections::new(9000, Duration::ZERO);
        let first = all.push(&packet(5, 9000, SYN, 100, 0)).unwrap();
        assert_eq!((first.connection.number, first.first, first.ended), (1, true, false));
        let joined = all.push(&packet(9000, 6, ACK, 7, 8)).unwrap();
        assert_eq!((joined.connection.number, joined.first), (2, true));
        assert_eq!(joined.connection.history.server_address().port(), 9000);
        let refused = all.push(&packet(9000, 5, RST | ACK, 0, 101)).unwrap();
        assert_eq!((refused.connection.number, refused.first, refused.ended), (1, false, true));
        // The same port once more is another connection.
        let again = all.push(&packet(5, 9000, SYN, 999, 0)).unwrap();
        assert_eq!((again.connection.number, again.first), (3, true));
        assert_eq!(all.met(), 3);
    }

    /// O1, L2: a packet that passes a second interface, as on a bridge, is the same packet; what was
    /// told of it is counted and not kept.
    #[test]
    fn once() {
        let mut all = Connections::new(9000, Duration::ZERO);
        let syn = packet(5, 9000, SYN, 100, 0);
        assert!(all.push(&syn).is_some());
        assert!(all.push(&Captured { interface: 2, ..syn }).is_none());
        assert_eq!(all.known()[0].history.count(), 1);
        assert!(all.known()[0].history.steps().is_empty());
    }

    /// O1: a connection whose last packet was lost is over twice, and counts once.
    #[test]
    fn over_twice() {
        const FIN: u8 = 1;
        let mut all = Connections::new(9000, Duration::ZERO);
        let ends: Vec<(bool, bool)> = [
            packet(5, 9000, SYN, 100, 0),
            packet(9000, 5, SYN | ACK, 700, 101),
            packet(5, 9000, ACK, 101, 701),
            packet(5, 9000, FIN | ACK, 101, 701),
            packet(9000, 5, FIN | ACK, 701, 102),
            packet(5, 9000, ACK, 102, 702),
            // Seconds later: so it was not heard.
            Captured { at: Duration::from_secs(3), ..packet(9000, 5, FIN | ACK, 701, 102) },
            Captured { at: Duration::from_secs(3), ..packet(5, 9000, ACK, 102, 702) },
        ]
        .iter()
        .map(|packet| all.push(packet).map(|news| (news.ended, news.first_end)).unwrap())
        .collect();
        let open = (false, false);
        assert_eq!(ends[..5], [open; 5]);
        assert_eq!(ends[5..], [(true, true), open, (true, false)]);
    }

    /// L2 of those who look: strangers' connections take no memory without bound.
    #[test]
    fn bounded() {
        let mut all = Connections::new(9000, Duration::ZERO);
        for n in 0..3000 {
            all.push(&packet(10_000 + n, 9000, SYN, 1, 0));
        }
        assert_eq!((all.met(), all.known().len()), (3000, limits::TRACE_CONNECTIONS));
    }
}
