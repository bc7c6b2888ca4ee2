//! One attempt to talk, to one address: the capture around it, and the history of both.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};

use sockeye_limits as limits;
use sockeye_net::{Address, Endpoint, Operation, Transport};

use super::client::{Client, Talked};
use super::ending::Ending;
use super::log::Log;
use super::server::Serving;
use super::{How, Plan, TraceError, Traced, deduce, ending};
use crate::capture::{Capture, CaptureError, Captured, Protocol, Watch};
use crate::history::{Event, History};
use crate::packet::decode;

pub(super) struct Attempt<'a> {
    pub(super) plan: &'a Plan,
    /// Where it goes: an address, no name.
    pub(super) at: Endpoint,
    pub(super) address: &'a Address,
    /// Where a server of our own has written already; else the trace starts once packets are seen.
    pub(super) log: Option<Arc<Log>>,
}

/// The packets that were captured, as many as are kept.
#[derive(Default)]
struct Kept {
    packets: Vec<Captured>,
    bytes: usize,
    missed: u64,
}

impl Kept {
    fn add(&mut self, packet: Captured) {
        if self.bytes + packet.bytes.len() > limits::CAPTURE_KEPT {
            self.missed += 1;
            return;
        }
        self.bytes += packet.bytes.len();
        self.packets.push(packet);
    }
}

/// What a conversation left to be told.
struct Seen {
    talked: Talked,
    packets: Vec<Captured>,
    missed: u64,
    ending: Ending,
}

impl Attempt<'_> {
    /// Talks, with `server` as a server of our own.
    pub(super) fn make(self, server: Option<Serving>) -> Result<Traced, TraceError> {
        let Address::Inet(target) = *self.address else {
            let log = self.log.clone().unwrap_or_else(|| Arc::new(Log::start()));
            let talked = self.client(&log).talk(self.address, |_| {});
            let seen = Seen { talked, packets: Vec::new(), missed: 0, ending: Ending::default() };
            return Ok(self.tell(&log, How::Unix, seen, unspecified(None)));
        };
        let protocol = match self.at.transport() {
            Transport::Udp => Protocol::Udp,
            _ => Protocol::Tcp,
        };
        let kept = Arc::new(Mutex::new(Kept::default()));
        let keeper = Arc::clone(&kept);
        let sink = move |packet| {
            keeper.lock().unwrap_or_else(PoisonError::into_inner).add(packet);
            true
        };
        let (capture, how) = match Capture::start(Watch::Server(protocol, target), sink) {
            Ok(capture) => (Some(capture), How::Packets),
            Err(why @ (CaptureError::Forbidden | CaptureError::Missing)) => (None, How::Calls(why)),
            Err(error) => return Err(error.into()),
        };
        let log = self.log.clone().unwrap_or_else(|| Arc::new(Log::start()));
        let talked = self.client(&log).talk(self.address, |client| {
            if let Some(capture) = &capture {
                // A filter that stays wide lets more through than the history takes: no harm.
                let _ = capture.narrow(Watch::Connection(protocol, client, target));
            }
        });
        if let Some(server) = server {
            let failed = talked.error.as_ref().map(|error| error.operation);
            let came =
                !matches!(failed, Some(Operation::Socket | Operation::Bind | Operation::Connect));
            server.end(came && protocol == Protocol::Tcp);
        }
        let ending = match (protocol, talked.local) {
            (Protocol::Tcp, Some(client)) => ending::watch(client, target, &log),
            _ => Ending::default(),
        };
        let lost = capture.map_or(0, Capture::finish);
        let kept = std::mem::take(&mut *kept.lock().unwrap_or_else(PoisonError::into_inner));
        let seen = Seen { talked, packets: kept.packets, missed: lost + kept.missed, ending };
        Ok(self.tell(&log, how, seen, target))
    }

    fn client<'a>(&'a self, log: &'a Log) -> Client<'a> {
        Client::new(self.plan, &self.at, log)
    }

    /// Puts all that was seen in order.
    fn tell(self, log: &Log, how: How, seen: Seen, server: SocketAddr) -> Traced {
        let calls = log.records();
        let client = seen.talked.local.unwrap_or(unspecified(Some(server)));
        let mut events: Vec<(Event, Option<usize>)> = Vec::new();
        events.extend(calls.iter().flat_map(|call| call.events()).map(|event| (event, None)));
        if matches!(how, How::Calls(_)) {
            let deduced = match self.at.transport() {
                Transport::Tcp => deduce::segments(&calls, client, server, seen.ending.gone),
                _ => deduce::datagrams(&calls, client, server),
            };
            events.extend(deduced.into_iter().map(|event| (event, None)));
        }
        for (n, packet) in seen.packets.iter().enumerate() {
            let time = packet.at.saturating_sub(log.started());
            let Some(packet) = decode(time, packet.link, &packet.bytes, packet.length) else {
                continue;
            };
            events.push((Event::from(packet), Some(n)));
        }
        // What stands in the list before stays before at the same time: calls make packets.
        events.sort_by_key(|(event, _)| event.time());
        if seen.missed > 0 {
            let (time, count) = (log.now(), seen.missed);
            events.push((Event::Missed { time, count }, None));
        }
        events.extend(seen.ending.events.into_iter().map(|event| (event, None)));

        let mut history = match self.at.transport() {
            Transport::Tcp => History::new(client, server),
            // Datagrams and Unix sockets have no states of a connection.
            _ => History::datagrams(client, server),
        };
        let mut numbers = vec![None; seen.packets.len()];
        for (event, packet) in events {
            let number = history.push(event).map(|step| step.number);
            if let Some(at) = packet {
                numbers[at] = number;
            }
        }
        Traced {
            how,
            endpoint: self.at,
            history,
            packets: seen.packets.into_iter().zip(numbers).collect(),
            missed: seen.missed,
            calls,
            error: seen.talked.error,
            stopped: seen.talked.stopped,
            answer: seen.talked.answer,
            counted: seen.talked.last,
        }
    }
}

/// The address of an end that has none, of the same family as the other.
fn unspecified(other: Option<SocketAddr>) -> SocketAddr {
    let ip: IpAddr = match other {
        Some(SocketAddr::V6(_)) => Ipv6Addr::UNSPECIFIED.into(),
        _ => Ipv4Addr::UNSPECIFIED.into(),
    };
    SocketAddr::new(ip, 0)
}
