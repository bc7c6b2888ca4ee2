//! Datagram workers: a batch in, each datagram judged and answered in place, a batch out.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use std::os::fd::AsFd;

use serde::{Deserialize, Serialize};
use sockeye_limits as limits;
use sockeye_net::Address;
use sockeye_net::sys::batch::Batch;

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
}

impl Reason {
    const ALL: [Reason; 4] =
        [Reason::Rate, Reason::WellKnownPort, Reason::TooShort, Reason::Denied];

    /// As an event names it.
    pub fn name(self) -> &'static str {
        match self {
            Reason::Rate => "rate",
            Reason::WellKnownPort => "well-known-port",
            Reason::TooShort => "too-short",
            Reason::Denied => "denied",
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
    /// The socket is UDP: the kernel may segment answers.
    pub(crate) segments: bool,
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
    reply: Reply,
    refused: Refused,
}

impl Worker {
    /// A worker for a service.
    pub(crate) fn new(service: &Service, duty: Duty, permits: Permits) -> Worker {
        let size = if duty.once { 1 } else { limits::DATAGRAM_BATCH };
        Worker {
            batch: Batch::new(size, duty.segments),
            responder: service.respond(),
            service: service.clone(),
            permits,
            limiter: duty.rate.map(|rate| Limiter::new(rate, Instant::now())),
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
        for i in 0..came {
            let source = Address::from_sockaddr(&self.batch.source(i));
            match self.judge(&source).and_then(|()| self.respond(i)) {
                Ok(()) => {}
                Err(why) => self.refused.note(why, &source),
            }
        }
        Ok(came)
    }

    /// True where the last batch was full: there may be more to receive.
    pub(crate) fn took_all(&self) -> bool {
        self.batch.is_full()
    }

    /// Sends answers from `first` on; where to go on. An answer that the kernel refuses for good
    /// (its source is unreachable) is given up: datagrams may be lost.
    ///
    /// # Errors
    /// `WouldBlock` where the send buffer is full.
    pub(crate) fn send(&mut self, socket: &impl AsFd, mut first: usize) -> Result<(), usize> {
        while first < self.batch.answers() {
            match self.batch.send(socket, first) {
                Ok(sent) => first += sent,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Err(first),
                Err(_) => first += 1,
            }
        }
        Ok(())
    }

    /// What was not answered, at most once a second for each reason.
    pub(crate) fn refusals(&mut self) -> Vec<Refusals> {
        self.refused.take(Instant::now())
    }

    fn judge(&mut self, source: &Address) -> Result<(), Reason> {
        if !(self.permits)(source) {
            return Err(Reason::Denied);
        }
        if source.inet().is_some_and(|inet| inet.port() < limits::WELL_KNOWN_PORTS) {
            return Err(Reason::WellKnownPort);
        }
        let Some(limiter) = &mut self.limiter else { return Ok(()) };
        if limiter.allows(source, Instant::now()) { Ok(()) } else { Err(Reason::Rate) }
    }

    fn respond(&mut self, i: usize) -> Result<(), Reason> {
        self.reply.clear();
        let (responder, reply) = (&mut self.responder, &mut self.reply);
        let input = self.batch.datagram(i);
        // A service that panics loses this datagram and its state, nothing else.
        if catch_unwind(AssertUnwindSafe(|| responder.datagram(input, reply))).is_err() {
            self.responder = self.service.respond();
            return Ok(());
        }
        if !self.reply.answers() {
            return Ok(());
        }
        let (first, own) = (self.reply.in_place_len(), self.reply.own());
        let len = first + own.len();
        if len > input.len() {
            return Err(Reason::TooShort);
        }
        input[first..len].copy_from_slice(own);
        self.batch.answer(i, len);
        Ok(())
    }
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
