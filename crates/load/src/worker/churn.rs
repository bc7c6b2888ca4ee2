//! A connection for each request: connect, send, receive, close.
//!
//! We close first, with an ordinary FIN, as clients do. With `--verify none` our end of sending asks
//! for the server's, and all that comes before it is the answer.

use std::io;
use std::net::Shutdown;

use rustix::io::Errno;
use sockeye_limits as limits;
use sockeye_net::{Operation, Stream};

use super::drive::{Core, Drive, drive, left_over, silent, unanswered, unfinished};
use super::link::{ended, too_much, wrong};
use super::poll::{EventFlags, Token};
use super::{Done, Job, nanoseconds, unwatched};
use crate::error::{Error, Failure};
use crate::plan::Verify;
use crate::target::{Started, is_own};
use crate::text::Text;

/// The place of one connection at a time.
struct Slot {
    place: u32,
    /// Its number in the run.
    number: u64,
    /// Requests of its schedule that have begun.
    begun: u64,
    /// Those of the warm-up.
    warm: u64,
    generation: u32,
    /// Failures since the last answer.
    failures: u32,
    state: State,
}

enum State {
    /// A connection is on its way or there.
    Busy(Exchange),
    /// Nothing is to be done before then.
    Idle { until: u64 },
    /// The server's queue is full (Unix), and the request waits. It counts as in flight.
    Held { until: u64, intended: u64, since: u64 },
}

/// One connection and its request.
struct Exchange {
    stream: Stream,
    /// When the request was to be sent.
    intended: u64,
    opened: u64,
    /// Where in the text it begins.
    start: u64,
    sent: u64,
    received: u64,
}

struct Worker<'a> {
    slots: Vec<Slot>,
    engine: Engine<'a>,
}

/// All but the slots, so that one slot and this can be used at a time.
struct Engine<'a> {
    core: Core<'a>,
    text: Text,
    size: u64,
    /// The answer ends where the server does.
    to_the_end: bool,
    buffer: Vec<u8>,
    /// Requests that wait for the server's queue.
    held: u64,
}

pub(super) fn run(mut job: Job<'_>) -> Result<Option<Done>, Error> {
    // It has shown that the server is there. One that no request was sent on is no part of the run.
    drop(job.first.take());
    let slots = job.connections().zip(0..).map(|at| Slot::new(at, &job)).collect();
    let engine = Engine::new(job)?;
    drive(Worker { slots, engine })
}

impl Slot {
    fn new((number, place): (u64, u32), job: &Job<'_>) -> Slot {
        let state = State::Idle { until: 0 };
        Slot { place, number, begun: 0, warm: job.warm(number), generation: 0, failures: 0, state }
    }

    fn token(&self) -> Token {
        Token { place: self.place, generation: self.generation }
    }
}

impl<'a> Engine<'a> {
    fn new(job: Job<'a>) -> Result<Engine<'a>, Error> {
        let plan = job.plan;
        let piece = (plan.size + 1).min(limits::LOAD_PIECE);
        let to_the_end = plan.verify == Verify::None;
        Ok(Engine {
            text: Text::new(plan.size, piece, plan.verify),
            size: plan.size as u64,
            to_the_end,
            buffer: vec![0; if to_the_end { limits::STREAM_BUFFER } else { piece }],
            held: 0,
            core: Core::new(job)?,
        })
    }

    /// Begins the next request, where one is due and nothing is in the way.
    fn go_on(&mut self, slot: &mut Slot, now: u64) {
        let State::Idle { until } = slot.state else { return };
        if until > now || self.core.ending.is_some() {
            return;
        }
        let intended = match &self.core.schedule {
            None if now >= self.core.job.window.end => return,
            None => now,
            Some(schedule) => {
                if now >= self.core.job.window.start {
                    slot.begun = slot.begun.max(slot.warm);
                }
                if slot.begun >= schedule.due_of(slot.number, now) {
                    return;
                }
                let intended = schedule.time_of(slot.number, slot.begun);
                slot.begun += 1;
                if self.core.looking {
                    self.core.count.sent_late(intended, now);
                }
                intended
            }
        };
        self.core.count.begun(intended, 1);
        self.open(slot, intended, now, now);
    }

    /// Connects, and sends at once: on loopback the handshake is over when connect(2) returns.
    fn open(&mut self, slot: &mut Slot, intended: u64, since: u64, now: u64) {
        slot.generation = slot.generation.wrapping_add(1);
        let number = self.core.whole.connections + slot.number;
        let started = match self.core.job.target.connect(number) {
            Ok(started) => started,
            Err(failure) => return self.fail(slot, intended, failure, now),
        };
        let (Started::Connected(stream) | Started::Pending(stream)) = started else {
            let until = now + nanoseconds(limits::LOAD_FULL);
            slot.state = State::Held { until, intended, since };
            self.core.in_flight += 1;
            self.held += 1;
            return;
        };
        self.core.whole.connections += 1;
        let start = self.text.start(number);
        let mut exchange =
            Exchange { stream, intended, opened: since, start, sent: 0, received: 0 };
        let flags = match self.send(&mut exchange) {
            Ok(true) => EventFlags::IN,
            Ok(false) => EventFlags::OUT,
            Err(error) => {
                let failure = self.core.failed(Operation::Connect, error);
                return self.fail(slot, intended, failure, now);
            }
        };
        if let Err(errno) = self.core.poll.add(&exchange.stream, slot.token(), flags) {
            return self.fail(slot, intended, unwatched(&self.core.job, errno), now);
        }
        self.core.in_flight += 1;
        self.core.open += 1;
        slot.state = State::Busy(exchange);
    }

    /// Sends as much of the request as the socket takes; true where that was all.
    fn send(&mut self, exchange: &mut Exchange) -> io::Result<bool> {
        while exchange.sent < self.size {
            let length = self.text.piece(self.size - exchange.sent);
            let piece = self.text.to_send(exchange.start + exchange.sent, length);
            match exchange.stream.send(piece) {
                Ok(sent) => {
                    exchange.sent += sent as u64;
                    self.core.whole.bytes_out += sent as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(error) => return Err(error),
            }
        }
        if self.to_the_end {
            exchange.stream.shutdown(Shutdown::Write)?;
        }
        Ok(true)
    }

    fn event(&mut self, slot: &mut Slot) {
        let token = slot.token();
        let State::Busy(exchange) = &mut slot.state else { return };
        let now = self.core.clock.now();
        let outcome = if exchange.sent < self.size {
            self.writable(exchange, slot.failures, token).map(|()| false)
        } else {
            self.readable(exchange)
        };
        match outcome {
            Ok(false) => {}
            Ok(true) => {
                let (intended, bytes) = (exchange.intended, exchange.received);
                // The clock before the answer was read would make it earlier than it was.
                let now = self.core.clock.now();
                self.core.count.answered(intended, now, 1, bytes);
                slot.failures = 0;
                self.close(slot);
                self.go_on(slot, now);
            }
            Err(failure) => {
                let intended = exchange.intended;
                self.close(slot);
                self.fail(slot, intended, failure, now);
            }
        }
    }

    fn writable(
        &mut self,
        exchange: &mut Exchange,
        failures: u32,
        token: Token,
    ) -> Result<(), Failure> {
        let operation = if exchange.sent == 0 { Operation::Connect } else { Operation::Send };
        if failures > 0 && is_own(&exchange.stream) {
            return Err(self.core.failed(operation, Errno::CONNREFUSED.into()));
        }
        match self.send(exchange) {
            Ok(true) => self
                .core
                .poll
                .modify(&exchange.stream, token, EventFlags::IN)
                .map_err(|errno| unwatched(&self.core.job, errno)),
            Ok(false) => Ok(()),
            Err(error) => Err(self.core.failed(operation, error)),
        }
    }

    /// Takes what came; true where the answer is whole.
    fn readable(&mut self, exchange: &mut Exchange) -> Result<bool, Failure> {
        let came = match exchange.stream.recv(&mut self.buffer) {
            Ok(0) if self.to_the_end && exchange.received > 0 => return Ok(true),
            Ok(0) => return Err(ended()),
            Ok(came) => came,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(self.core.failed(Operation::Receive, error)),
        };
        self.core.whole.bytes_in += came as u64;
        exchange.received += came as u64;
        if self.to_the_end {
            return Ok(false);
        }
        if exchange.received > self.size {
            return Err(too_much());
        }
        let place = exchange.start + exchange.received - came as u64;
        self.text
            .compare(place, &self.buffer[..came])
            .map_err(|(at, fault)| wrong(fault, exchange.received - came as u64 + at as u64))?;
        Ok(exchange.received == self.size)
    }

    fn close(&mut self, slot: &mut Slot) {
        self.core.in_flight -= 1;
        self.core.open -= 1;
        slot.state = State::Idle { until: 0 };
    }

    /// A request waits for the server's queue no more.
    fn release(&mut self, slot: &mut Slot) {
        self.core.in_flight -= 1;
        self.held -= 1;
        slot.state = State::Idle { until: 0 };
    }

    /// The request has failed. The next one waits a little where the one before it had failed, too.
    fn fail(&mut self, slot: &mut Slot, intended: u64, failure: Failure, now: u64) {
        self.core.count.failed(intended, 1, failure.kind, || failure.text());
        slot.failures = slot.failures.saturating_add(1);
        // Also the first time: an endless row of refusals would keep this loop from all else.
        slot.state = State::Idle { until: self.core.again(now, slot.failures) };
    }

    fn sweep(&mut self, slot: &mut Slot, now: u64) {
        let silence = now.saturating_sub(nanoseconds(self.core.job.plan.timeout));
        let failure = match &slot.state {
            State::Busy(exchange) if exchange.opened < silence => {
                let failure = match (exchange.sent, exchange.received) {
                    (0, _) => unanswered(),
                    (_, 0) => silent(),
                    _ => unfinished(),
                };
                (exchange.intended, failure)
            }
            State::Busy(_) => return,
            State::Held { since, intended, .. } if *since < silence => {
                let intended = *intended;
                self.release(slot);
                return self.fail(slot, intended, unanswered(), now);
            }
            State::Held { until, intended, since } => {
                let (until, intended, since) = (*until, *intended, *since);
                if until <= now {
                    self.release(slot);
                    self.open(slot, intended, since, now);
                }
                return;
            }
            State::Idle { .. } => return self.go_on(slot, now),
        };
        self.close(slot);
        self.fail(slot, failure.0, failure.1, now);
    }
}

impl<'a> Drive<'a> for Worker<'a> {
    fn core(&mut self) -> &mut Core<'a> {
        &mut self.engine.core
    }

    fn start(&mut self, now: u64) {
        self.slots.iter_mut().for_each(|slot| self.engine.go_on(slot, now));
    }

    fn due(&mut self, place: usize, now: u64) {
        self.engine.go_on(&mut self.slots[place], now);
    }

    fn event(&mut self, token: Token, _: EventFlags) {
        let slot = &mut self.slots[token.place as usize];
        if slot.generation == token.generation {
            self.engine.event(slot);
        }
    }

    fn sweep(&mut self, now: u64) {
        self.slots.iter_mut().for_each(|slot| self.engine.sweep(slot, now));
    }

    fn hurries(&self) -> bool {
        self.engine.held > 0
    }

    fn give_up(&mut self, now: u64) {
        for slot in &mut self.slots {
            let intended = match &slot.state {
                State::Busy(exchange) => exchange.intended,
                State::Held { intended, .. } => *intended,
                State::Idle { .. } => continue,
            };
            match slot.state {
                State::Held { .. } => self.engine.release(slot),
                _ => self.engine.close(slot),
            }
            let failure = left_over(self.engine.core.job.stopped());
            self.engine.fail(slot, intended, failure, now);
        }
    }

    fn begun(&self) -> Vec<(u64, u64)> {
        self.slots.iter().map(|slot| (slot.number, slot.begun)).collect()
    }
}
