//! Datagram workers: a batch in, each datagram judged and answered in place, a batch out.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use std::os::fd::AsFd;

use serde::{Deserialize, Serialize};
use sockeye_limits as limits;
use sockeye_net::Address;
use sockeye_net::sys::batch::{Batch, Kind};

use crate::rate::Limiter;
use crate::responder::{Reply, Responder};
use crate::service::Service;

/// Why a datagram was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reason {
    /// Its source is answered no more often than this (`--source-rate`).
    Rate,
    /// It came from a well-known service's port: two servers would answer each other for ever.
    WellKnownPort,
    /// The answer would have been longer than the question.
    TooShort,
    /// The access lists do not let its source in.
    Denied,
    /// It is longer than a buffer, so that only a part of it is here.
    TooLong,
}

impl Reason {
    const ALL: [Reason; 5] =
        [Reason::Rate, Reason::WellKnownPort, Reason::TooShort, Reason::Denied, Reason::TooLong];

    /// As an event names it.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Rate => "rate",
            Reason::WellKnownPort => "well-known-port",
            Reason::TooShort => "too-short",
            Reason::Denied => "denied",
            Reason::TooLong => "too-long",
        }
    }
}

/// Datagrams that were not answered, of one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusals {
    /// Why.
    pub why: Reason,
    /// How many since the last report.
    pub count: u64,
    /// Where the last came from.
    pub source: String,
}

/// What a worker is to do with a socket's datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Duty {
    /// This worker's share of what one source is answered a second; `None` is no limit.
    pub(crate) rate: Option<u32>,
    /// One datagram and no more.
    pub(crate) once: bool,
    /// The socket is UDP and not Unix.
    pub(crate) udp: bool,
    /// Each datagram tells which of our addresses it was sent to.
    pub(crate) packet_info: bool,
}

impl Duty {
    fn kind(self) -> Kind {
        let packet_info = self.packet_info;
        if self.udp { Kind::Udp { packet_info } } else { Kind::Unix }
    }
}

/// Whether the access lists let a source in.
pub(crate) type Permits = Box<dyn Fn(&Address) -> bool + Send>;

/// Serves the datagrams of one socket; several workers may share a socket.
pub(crate) struct Worker {
    batch: Batch,
    service: Service,
    responder: Box<dyn Responder>,
    permits: Permits,
    limiter: Option<Limiter>,
    /// The limit of answers that equal their question, where others have none.
    bounces: Limiter,
    reply: Reply,
    refused: Refused,
    udp: bool,
    /// Datagrams of the last batch that were let in.
    served: usize,
}

impl Worker {
    /// A worker for a service.
    pub(crate) fn new(service: &Service, duty: Duty, permits: Permits) -> Worker {
        let size = if duty.once { 1 } else { limits::DATAGRAM_BATCH };
        Worker {
            batch: Batch::new(size, duty.kind()),
            udp: duty.udp,
            served: 0,
            responder: service.respond_to_datagrams(),
            service: service.clone(),
            permits,
            limiter: duty.rate.map(|rate| Limiter::new(rate, Instant::now())),
            bounces: Limiter::new(limits::SOURCE_RATE, Instant::now()),
            reply: Reply::default(),
            refused: Refused::default(),
        }
    }

    /// Takes one batch and makes its answers; [`Worker::send`] sends them. How many came.
    ///
    /// # Errors
    /// As recvmmsg(2), `WouldBlock` among them. An ICMP error that an earlier answer provoked is no error here.
    pub(crate) fn receive(&mut self, socket: &impl AsFd) -> io::Result<usize> {
        let came = match self.batch.receive(socket) {
            Ok(came) => came,
            Err(error) if is_echo_of_an_answer(&error) => 0,
            Err(error) => return Err(error),
        };
        self.served = 0;
        for i in 0..came {
            let source = Address::from_sockaddr(&self.batch.source(i));
            match self.judge(i, &source).and_then(|()| self.respond(i, &source)) {
                Ok(()) => self.served += 1,
                Err(why) => self.refused.note(why, &source),
            }
        }
        Ok(came)
    }

    /// True where a datagram of the last batch was let in and served: that is the one of `--once`.
    pub(crate) fn has_served(&self) -> bool {
        self.served > 0
    }

    /// True where the last batch was full: there may be more to receive.
    pub(crate) fn took_all(&self) -> bool {
        self.batch.is_full()
    }

    /// Sends answers from `first` on. An answer that the kernel refuses for good (its source is
    /// unreachable) is given up: datagrams may be lost. So is one to a Unix peer that does not read:
    /// its own queue is full, and waiting for it would let it hold up everybody.
    ///
    /// # Errors
    /// Where to go on once the socket can be written: the send buffer of UDP is full.
    pub(crate) fn send(&mut self, socket: &impl AsFd, mut first: usize) -> Result<(), usize> {
        while first < self.batch.answers() {
            match self.batch.send(socket, first) {
                Ok(sent) => first += sent,
                Err(error) if self.udp && error.kind() == io::ErrorKind::WouldBlock => {
                    return Err(first);
                }
                Err(_) => first += 1,
            }
        }
        Ok(())
    }

    /// What was not answered, at most once a second for each reason.
    pub(crate) fn refusals(&mut self) -> Vec<Refusals> {
        self.refused.take(Instant::now())
    }

    fn judge(&mut self, i: usize, source: &Address) -> Result<(), Reason> {
        if !(self.permits)(source) {
            return Err(Reason::Denied);
        }
        if self.batch.truncated(i) {
            return Err(Reason::TooLong);
        }
        if source.inet().is_some_and(|inet| inet.port() < limits::WELL_KNOWN_PORTS) {
            return Err(Reason::WellKnownPort);
        }
        let Some(limiter) = &mut self.limiter else { return Ok(()) };
        if limiter.allows(source, Instant::now()) { Ok(()) } else { Err(Reason::Rate) }
    }

    fn respond(&mut self, i: usize, source: &Address) -> Result<(), Reason> {
        self.reply.clear();
        let (responder, reply) = (&mut self.responder, &mut self.reply);
        let input = self.batch.datagram(i);
        // A service that panics loses this datagram and its state, nothing else.
        if catch_unwind(AssertUnwindSafe(|| responder.datagram(input, reply))).is_err() {
            self.responder = self.service.respond_to_datagrams();
            return Ok(());
        }
        let Some(len) = answer(&self.reply, input)? else { return Ok(()) };
        if self.reply.bounces() && !self.bounces.allows(source, Instant::now()) {
            return Err(Reason::Rate);
        }
        self.batch.answer(i, len);
        Ok(())
    }
}

/// Puts the answer where the question is: its length; `None` where there is no answer.
pub(crate) fn answer(reply: &Reply, question: &mut [u8]) -> Result<Option<usize>, Reason> {
    if !reply.answers() {
        return Ok(None);
    }
    let (first, own) = (reply.in_place_len(), reply.own());
    let len = first.saturating_add(own.len());
    let Some(place) = question.get_mut(first..len) else { return Err(Reason::TooShort) };
    place.copy_from_slice(own);
    Ok(Some(len))
}

/// An ICMP message about an earlier answer: it says nothing about the next datagram.
fn is_echo_of_an_answer(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::HostUnreachable
            | io::ErrorKind::NetworkUnreachable
            | io::ErrorKind::ConnectionReset
    )
}

/// Counts of what was not answered.
#[derive(Default)]
struct Refused([Option<Tally>; Reason::ALL.len()]);

struct Tally {
    count: u64,
    last: Address,
    told: Option<Instant>,
}

impl Refused {
    fn note(&mut self, why: Reason, source: &Address) {
        let tally = self.0[why as usize].get_or_insert(Tally {
            count: 0,
            last: Address::Unnamed,
            told: None,
        });
        tally.count += 1;
        tally.last = source.clone();
    }

    fn take(&mut self, now: Instant) -> Vec<Refusals> {
        let mut due = Vec::new();
        for why in Reason::ALL {
            let Some(tally) = &mut self.0[why as usize] else { continue };
            let pause =
                |told: Instant| now.saturating_duration_since(told) < Duration::from_secs(1);
            if tally.count > 0 && !tally.told.is_some_and(pause) {
                due.push(Refusals { why, count: tally.count, source: tally.last.to_string() });
                (tally.count, tally.told) = (0, Some(now));
            }
        }
        due
    }
}
