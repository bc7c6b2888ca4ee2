//! A connection's history: what was seen of it goes in, who did what and why comes out.
//!
//! Pure: time is in the events, and nothing here reads a socket or a clock. Packets are those that
//! pass one point between the ends; on loopback that is both ends' view.
//!
//! ```
//! use sockeye_observe::history::{Flags, History, Note, Segment, State};
//!
//! let (client, server) = ("127.0.0.1:51000".parse().unwrap(), "127.0.0.1:9000".parse().unwrap());
//! let mut history = History::new(client, server);
//! let syn = Segment { flags: Flags::SYN, seq: 7, ..Segment::empty(client, server) };
//! let step = history.push(syn.into()).expect("it is a packet of this connection");
//! assert_eq!((step.seq, step.client), (0, Some(State::SynSent)));
//! assert_eq!(step.notes, [Note::Handshake(1)]);
//! ```

mod calls;
mod connection;
mod end;
mod event;
mod memory;
mod seq;
#[cfg(test)]
mod simulator;
mod state;
mod step;
#[cfg(test)]
mod tests;
mod verdict;

use std::net::SocketAddr;
use std::time::Duration;

use sockeye_limits as limits;

use calls::Calls;
use connection::Connection;
pub use event::{
    Call, CallResult, Datagram, Event, Flags, Options, Reason, Segment, Side, State, Unreachable,
};
pub use step::{Note, Step};
pub use verdict::{Closing, Counts, How, Opening, TimeWait, Trouble, Verdict};

/// What is known of one connection, or of one exchange of datagrams.
///
/// In: [`push`](History::push). Out: the [`Step`] that it returns, [`steps`](History::steps),
/// [`client`](History::client), [`server`](History::server), [`verdict`](History::verdict).
#[derive(Debug)]
pub struct History {
    client: SocketAddr,
    server: SocketAddr,
    tcp: bool,
    connection: Connection,
    calls: Calls,
    datagrams: [Counts; 2],
    unreachable: Vec<Reason>,
    missed: u64,
    steps: Vec<Step>,
    /// How many of them are kept.
    keeps: usize,
    /// The steps so far, those that are not kept included.
    count: u64,
    last: Option<Step>,
    first_time: Option<Duration>,
    last_time: Duration,
    last_packet: Option<Duration>,
}

impl History {
    /// The history of a TCP connection that `client` opens to `server`.
    pub fn new(client: SocketAddr, server: SocketAddr) -> History {
        let mut connection = Connection::default();
        connection.end_mut(Side::Client).told = Some(State::Closed);
        History {
            client,
            server,
            tcp: true,
            connection,
            calls: Calls::default(),
            datagrams: [Counts::default(); 2],
            unreachable: Vec::new(),
            missed: 0,
            steps: Vec::new(),
            keeps: limits::TRACE_STEPS,
            count: 0,
            last: None,
            first_time: None,
            last_time: Duration::ZERO,
            last_packet: None,
        }
    }

    /// The history of datagrams between two addresses; the client is who sends first. There are no
    /// states.
    pub fn datagrams(client: SocketAddr, server: SocketAddr) -> History {
        let mut history = History::new(client, server);
        history.tcp = false;
        history.connection = Connection::default();
        history
    }

    /// The same without memory of its steps, for whoever draws each as it comes: thousands of such
    /// histories take no more than what their verdicts need.
    pub fn forgetful(self) -> History {
        History { keeps: 0, ..self }
    }

    /// The client's address.
    pub fn client_address(&self) -> SocketAddr {
        self.client
    }

    /// The server's address.
    pub fn server_address(&self) -> SocketAddr {
        self.server
    }

    /// True for a TCP connection, false for datagrams.
    pub fn is_tcp(&self) -> bool {
        self.tcp
    }

    /// The client's state; `None` while nothing tells it.
    pub fn client(&self) -> Option<State> {
        self.connection.state(Side::Client)
    }

    /// The server's state; `None` while nothing tells it.
    pub fn server(&self) -> Option<State> {
        self.connection.state(Side::Server)
    }

    /// What has happened, in order; the first [`sockeye_limits::TRACE_STEPS`] steps are kept.
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// How many steps there were, those that are not kept included.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// True where both ends have come to their end: nothing but TIME-WAIT's answers can follow.
    pub fn is_over(&self) -> bool {
        let over =
            |side| matches!(self.connection.state(side), Some(State::Closed | State::TimeWait));
        self.tcp && self.count > 0 && over(Side::Client) && over(Side::Server)
    }

    /// True where the segment is a SYN that begins another connection between the same addresses,
    /// for which a new history is due.
    pub fn begins_anew(&self, segment: &Segment) -> bool {
        self.side(segment.from, segment.to)
            .is_some_and(|side| self.connection.begins_anew(side, segment))
    }

    /// Takes the next event, and says what it means. `None` for an event of another connection, and
    /// for one that tells nothing new.
    pub fn push(&mut self, event: Event) -> Option<&Step> {
        let time = event.time();
        let facts = match &event {
            Event::Segment(segment) => self.segment(segment)?,
            Event::Datagram(datagram) => self.datagram(datagram)?,
            Event::Unreachable(error) => self.unreachable(error)?,
            Event::Call(call) => {
                self.calls.push(call, self.count + 1);
                Facts::of(call.side)
            }
            Event::State { side, new, .. } => self.told(*side, *new)?,
            Event::TimeWait { side, remaining, .. } => {
                self.waits(*side, time.saturating_add(*remaining))
            }
            Event::Missed { count, .. } => {
                self.missed = self.missed.saturating_add(*count);
                Facts::default()
            }
        };
        self.count += 1;
        let step = self.step(event, facts);
        self.first_time.get_or_insert(time);
        self.last_time = self.last_time.max(time);
        if matches!(step.event, Event::Segment(_) | Event::Datagram(_)) {
            self.last_packet = Some(time);
        }
        if self.steps.len() < self.keeps {
            self.steps.push(step);
            self.steps.last()
        } else {
            self.last = Some(step);
            self.last.as_ref()
        }
    }

    fn step(&self, event: Event, facts: Facts) -> Step {
        Step {
            number: self.count,
            side: facts.side,
            since: event.time().saturating_sub(self.last_packet.unwrap_or_default()),
            client: self.client(),
            server: self.server(),
            seq: facts.seq,
            ack: facts.ack,
            window: facts.window,
            cause: facts.cause,
            notes: facts.notes,
            event,
        }
    }

    /// Who sent a packet; `None` where it is none of theirs.
    fn side(&self, from: SocketAddr, to: SocketAddr) -> Option<Side> {
        if (from, to) == (self.client, self.server) {
            Some(Side::Client)
        } else if (from, to) == (self.server, self.client) {
            Some(Side::Server)
        } else {
            None
        }
    }

    fn segment(&mut self, segment: &Segment) -> Option<Facts> {
        let side = self.side(segment.from, segment.to).filter(|_| self.tcp)?;
        let anew = self.connection.begins_anew(side, segment);
        if anew {
            self.connection = Connection::default();
        }
        let mut facts = self.connection.segment(side, segment, self.count + 1);
        if anew {
            facts.notes.insert(0, Note::Anew);
        }
        facts.cause = facts.first.then(|| self.calls.cause(side, segment)).flatten();
        Some(facts)
    }

    fn datagram(&mut self, datagram: &Datagram) -> Option<Facts> {
        let side = self.side(datagram.from, datagram.to).filter(|_| !self.tcp)?;
        let counts = &mut self.datagrams[side as usize];
        counts.packets += 1;
        counts.bytes = counts.bytes.saturating_add(datagram.length as u64);
        Some(Facts { cause: self.calls.sent(side), ..Facts::of(side) })
    }

    fn unreachable(&mut self, error: &Unreachable) -> Option<Facts> {
        let about = self.side(error.about_from, error.about_to)?;
        if self.unreachable.len() < limits::TRACE_TROUBLES
            && !self.unreachable.contains(&error.reason)
        {
            self.unreachable.push(error.reason);
        }
        let other = match about {
            Side::Client => self.server.ip(),
            Side::Server => self.client.ip(),
        };
        let side = (error.from == other).then_some(about.other());
        Some(Facts { side, ..Facts::default() })
    }

    /// What the kernel says of a state; `None` where it was known, or lags behind the packets.
    fn told(&mut self, side: Side, new: State) -> Option<Facts> {
        let was = self.connection.state(side);
        let end = self.connection.end_mut(side);
        if new == State::Closed {
            end.over |= state::believes_closed(was);
        } else {
            end.told = Some(new);
        }
        (self.connection.state(side) != was).then(|| Facts::of(side))
    }

    fn waits(&mut self, side: Side, until: Duration) -> Facts {
        let waits = &mut self.connection.waits;
        waits.retain(|wait| wait.side != side);
        waits.push(TimeWait { side, until, told: true });
        self.connection.end_mut(side).told = Some(State::TimeWait);
        Facts::of(side)
    }

    /// What it comes to, so far.
    pub fn verdict(&self) -> Verdict {
        verdict::of(self)
    }
}

/// What a step says besides its event and the states.
#[derive(Debug, Default)]
struct Facts {
    side: Option<Side>,
    seq: u32,
    ack: Option<u32>,
    window: u32,
    notes: Vec<Note>,
    cause: Option<u64>,
    /// It is a first sending, so that a call may have caused it.
    first: bool,
}

impl Facts {
    fn of(side: Side) -> Facts {
        Facts { side: Some(side), ..Facts::default() }
    }
}
