//! One lasting connection: bytes that are owed to the server, and requests that wait for answers.

use std::io::{self, ErrorKind as Io};

use sockeye_net::{Endpoint, Operation, Stream};

use super::poll::{EventFlags, Poll, Token};
use crate::count::Count;
use crate::error::{ErrorKind, Failure};
use crate::flight::Flight;
use crate::report::Whole;
use crate::text::{Fault, Text};

/// A connection with requests in flight.
#[derive(Debug)]
pub(super) struct Link {
    stream: Stream,
    /// Where in the text it began.
    start: u64,
    sent: u64,
    /// Bytes that came and were right.
    received: u64,
    /// Bytes of requests that have begun and that the system has not taken yet.
    owed: u64,
    flight: Flight,
    /// Whether epoll tells when the socket takes more.
    waiting: bool,
    /// When something came last, was sent into silence, or left of the oldest request, which cannot be
    /// answered before all of it has.
    active: u64,
}

/// Edge-triggered, and told of the server's end together with the last bytes before it.
pub(super) fn reading() -> EventFlags {
    EventFlags::IN | EventFlags::RDHUP | EventFlags::ET
}

impl Link {
    pub(super) fn new(stream: Stream, start: u64) -> Link {
        Link {
            stream,
            start,
            sent: 0,
            received: 0,
            owed: 0,
            flight: Flight::default(),
            waiting: false,
            active: 0,
        }
    }

    /// Requests that wait for their answers.
    pub(super) fn in_flight(&self) -> u64 {
        self.flight.len()
    }

    /// True where requests are in flight and nothing came since `then`.
    pub(super) fn is_silent_since(&self, then: u64) -> bool {
        self.flight.len() > 0 && self.active < then
    }

    /// `count` requests of `size` bytes, to be sent at `intended`, begin now.
    pub(super) fn begin(&mut self, intended: u64, count: u64, size: u64, now: u64) {
        if self.flight.len() == 0 {
            self.active = now;
        }
        self.flight.push(intended, count);
        self.owed += count * size;
    }

    /// Sends what is owed, as far as the socket takes it.
    pub(super) fn send(
        &mut self,
        text: &Text,
        poll: &Poll,
        token: Token,
        whole: &mut Whole,
        now: u64,
    ) -> io::Result<()> {
        let mut full = false;
        let oldest = (self.received / text.size() + 1) * text.size();
        while self.owed > 0 && !full {
            let piece = text.to_send(self.start + self.sent, text.piece(self.owed));
            let sent = match self.stream.send(piece) {
                Ok(sent) => sent,
                Err(error) if error.kind() == Io::WouldBlock => 0,
                Err(error) => return Err(error),
            };
            if sent > 0 && self.sent < oldest {
                self.active = now;
            }
            full = sent < piece.len();
            self.owed -= sent as u64;
            self.sent += sent as u64;
            whole.bytes_out += sent as u64;
        }
        if full != self.waiting {
            let more = if full { EventFlags::OUT } else { EventFlags::empty() };
            poll.modify(&self.stream, token, reading() | more)?;
            self.waiting = full;
        }
        Ok(())
    }

    /// Reads once. None where nothing is there.
    pub(super) fn receive(
        &mut self,
        buffer: &mut [u8],
        endpoint: &Endpoint,
    ) -> Result<Option<usize>, Failure> {
        match self.stream.recv(buffer) {
            Ok(0) => Err(ended()),
            Ok(came) => Ok(Some(came)),
            Err(error) if error.kind() == Io::WouldBlock => Ok(None),
            Err(error) => Err(Failure::new(Operation::Receive, endpoint, error)),
        }
    }

    /// Takes bytes that came, and counts the answers that they make whole. Gives how many.
    pub(super) fn take(
        &mut self,
        came: &[u8],
        text: &Text,
        now: u64,
        count: &mut Count,
    ) -> (u64, Result<(), Failure>) {
        self.active = now;
        let due = usize::try_from(self.sent - self.received).unwrap_or(usize::MAX);
        let compared = text.compare(self.start + self.received, &came[..came.len().min(due)]);
        let (right, fault) = match compared {
            Ok(()) if came.len() > due => (due, Some(too_much())),
            Ok(()) => (came.len(), None),
            Err((at, fault)) => (at, Some(wrong(fault, self.received + at as u64))),
        };
        let before = self.received / text.size();
        self.received += right as u64;
        let answered = self.received / text.size() - before;
        let mut left = answered;
        while left > 0 {
            let Some((intended, so_many)) = self.flight.pop(left) else { break };
            count.answered(intended, now, so_many, so_many * text.size());
            left -= so_many;
        }
        (answered, fault.map_or(Ok(()), Err))
    }

    /// Counts what was in flight as failed, and gives how many that were. An end at which nothing was
    /// asked is no request's.
    pub(super) fn lose(&mut self, failure: Failure, now: u64, count: &mut Count) -> u64 {
        let lost = self.flight.len();
        let kind = failure.kind;
        let single = matches!(kind, ErrorKind::Wrong | ErrorKind::OutOfOrder | ErrorKind::TooMuch);
        let Some((first, so_many)) = self.flight.pop(if single { 1 } else { u64::MAX }) else {
            count.apart(now, kind, || failure.text());
            return 0;
        };
        count.failed(first, so_many, kind, || failure.text());
        while let Some((intended, so_many)) = self.flight.pop(u64::MAX) {
            let kind = if single { ErrorKind::GivenUp } else { kind };
            count.failed(intended, so_many, kind, || {
                "the connection was given up after a wrong answer; see the other errors".into()
            });
        }
        lost
    }
}

pub(super) fn ended() -> Failure {
    Failure::said(
        ErrorKind::Closed,
        "the server ended the connection in the middle. Look at its log and its limits.",
    )
}

pub(super) fn too_much() -> Failure {
    Failure::said(
        ErrorKind::TooMuch,
        "the server sent more than it was asked for. An answer has to be as long as its request: \
         name a server of that kind, such as upper or echo.",
    )
}

pub(super) fn wrong(fault: Fault, at: u64) -> Failure {
    match fault {
        Fault::OutOfOrder => Failure::said(
            ErrorKind::OutOfOrder,
            format!(
                "at byte {at} of a connection the answer to another request came: they are out of \
                 order, or one is missing. Mend the server."
            ),
        ),
        Fault::Unchanged => Failure::said(
            ErrorKind::Wrong,
            "the server answers unchanged, not in upper case. Ask it with --verify echo.",
        ),
        Fault::Wrong => Failure::said(
            ErrorKind::Wrong,
            format!(
                "byte {at} of a connection is not what was to come. Mend the server, or say with \
                 --verify how it answers."
            ),
        ),
    }
}
