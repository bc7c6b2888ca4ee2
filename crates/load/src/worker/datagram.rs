//! Datagram sockets, each with numbered datagrams in flight.

use std::collections::VecDeque;
use std::io;

use socket2::Socket;
use sockeye_limits as limits;
use sockeye_net::sys::batch::{Batch, Kind};
use sockeye_net::sys::outgoing::Outgoing;
use sockeye_net::{Operation, Transport};

use super::drive::{Core, Drive, drive};
use super::poll::{EventFlags, Token};
use super::{Done, Job, nanoseconds, unwatched};
use crate::arrivals::Arrivals;
use crate::error::{Error, ErrorKind, Failure};
use crate::numbered;
use crate::plan::Verify;
use crate::report::Datagrams;
use crate::text::Text;

/// One socket, a client of its own.
struct Client {
    socket: Socket,
    /// Its number in the run.
    number: u64,
    /// Requests of its schedule that have begun.
    begun: u64,
    /// Those of the warm-up.
    warm: u64,
    /// Datagrams that left: the number of the next one.
    sent: u64,
    /// Those that were not settled when the oldest of them left, by their numbers.
    waiting: VecDeque<Waiting>,
    /// How many of them have no answer yet.
    in_flight: u64,
    arrivals: Arrivals,
    failures: u32,
    /// Nothing is sent before then.
    until: u64,
    /// More had come than one look takes.
    more: bool,
}

#[derive(Clone, Copy)]
struct Waiting {
    intended: u64,
    sent: u64,
    settled: bool,
}

struct Worker<'a> {
    clients: Vec<Client>,
    engine: Engine<'a>,
}

/// All but the sockets, so that one and this can be used at a time.
struct Engine<'a> {
    core: Core<'a>,
    text: Text,
    size: usize,
    depth: u64,
    timeout: u64,
    verify: Verify,
    outgoing: Outgoing,
    batch: Batch,
}

pub(super) fn run(job: Job<'_>) -> Result<Option<Done>, Error> {
    let connections = job.connections();
    let mut worker = Worker { clients: Vec::new(), engine: Engine::new(job)? };
    for (number, place) in connections.zip(0..) {
        let client = worker.engine.open(number, place)?;
        worker.clients.push(client);
    }
    drive(worker)
}

impl<'a> Engine<'a> {
    fn new(job: Job<'a>) -> Result<Engine<'a>, Error> {
        let plan = job.plan;
        let kind = match plan.endpoint.transport() {
            Transport::Unixgram => Kind::Unix,
            _ => Kind::Udp { packet_info: false },
        };
        Ok(Engine {
            text: Text::new(plan.size.max(1), plan.size, plan.verify),
            size: plan.size,
            depth: plan.depth as u64,
            timeout: nanoseconds(plan.timeout),
            verify: plan.verify,
            outgoing: Outgoing::new(plan.depth, plan.size),
            // One more than can be in flight, so that one call empties the socket.
            batch: Batch::new(plan.depth + 1, kind),
            core: Core::new(job)?,
        })
    }

    fn open(&mut self, number: u64, place: u32) -> Result<Client, Error> {
        let target = self.core.job.target;
        let socket = target.datagram().map_err(Failure::into_error)?;
        let token = Token { place, generation: 0 };
        let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
        self.core
            .poll
            .add(&socket, token, flags)
            .map_err(|errno| unwatched(&self.core.job, errno).into_error())?;
        self.core.open += 1;
        self.core.whole.connections += 1;
        Ok(Client {
            socket,
            number,
            begun: 0,
            warm: self.core.job.warm(number),
            sent: 0,
            waiting: VecDeque::new(),
            in_flight: 0,
            arrivals: Arrivals::new(),
            failures: 0,
            until: 0,
            more: false,
        })
    }

    /// Sends what is due and what the depth has room for.
    fn go_on(&mut self, client: &mut Client, now: u64) {
        if self.core.ending.is_some() || !self.core.running || now < client.until {
            return;
        }
        loop {
            let room = self.depth.saturating_sub(client.in_flight);
            let due = match &self.core.schedule {
                None => room,
                Some(schedule) => {
                    if now >= self.core.job.window.start {
                        client.begun = client.begun.max(client.warm);
                    }
                    schedule.due_of(client.number, now).saturating_sub(client.begun).min(room)
                }
            };
            let count = due.min(self.outgoing.most() as u64) as usize;
            if count == 0 || !self.send(client, count, now) {
                return;
            }
        }
    }

    /// Sends so many datagrams; false where the socket takes no more now.
    fn send(&mut self, client: &mut Client, count: usize, now: u64) -> bool {
        for (i, number) in (client.sent..).take(count).enumerate() {
            let datagram = self.outgoing.datagram(i);
            datagram
                .copy_from_slice(self.text.to_send(client.place_of(number, self.size), self.size));
            numbered::write(number, datagram);
        }
        let sent = match self.outgoing.send(&client.socket, count) {
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => {
                self.refused(client, Operation::Send, error, now);
                return false;
            }
        };
        for _ in 0..sent {
            let intended = match &self.core.schedule {
                None => now,
                Some(schedule) => schedule.time_of(client.number, client.begun),
            };
            if self.core.looking {
                self.core.count.sent_late(intended, now);
            }
            client.begun += 1;
            client.waiting.push_back(Waiting { intended, sent: now, settled: false });
        }
        client.sent += sent as u64;
        client.in_flight += sent as u64;
        self.core.in_flight += sent as u64;
        self.core.whole.bytes_out += (sent * self.size) as u64;
        sent == count
    }

    /// The socket reports an error: of one that left before, which one it does not say.
    fn refused(&mut self, client: &mut Client, operation: Operation, error: io::Error, now: u64) {
        let failure = self.core.failed(operation, error);
        let oldest = client.waiting.iter_mut().find(|waiting| !waiting.settled);
        let intended = oldest.map_or(now, |oldest| {
            oldest.settled = true;
            client.in_flight -= 1;
            self.core.in_flight -= 1;
            oldest.intended
        });
        self.core.count.failed(intended, 1, failure.kind, || failure.text());
        client.failures = client.failures.saturating_add(1);
        client.until = now + nanoseconds(super::pause(client.failures));
    }

    /// Takes datagrams until there are no more, and sends what that allows.
    fn receive(&mut self, client: &mut Client) {
        let mut now = self.core.clock.now();
        client.more = true;
        // A flood that nobody asked for does not keep this loop from all else.
        for _ in 0..limits::LOAD_BATCHES {
            let came = match self.batch.receive(&client.socket) {
                Ok(came) => came,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    client.more = false;
                    break;
                }
                Err(error) => {
                    self.refused(client, Operation::Receive, error, now);
                    continue;
                }
            };
            now = self.core.clock.now();
            (0..came).for_each(|i| self.arrived(client, i, now));
            if !self.batch.is_full() {
                client.more = false;
                break;
            }
        }
        self.go_on(client, now);
    }

    fn arrived(&mut self, client: &mut Client, i: usize, now: u64) {
        let truncated = self.batch.truncated(i);
        let datagram = &*self.batch.datagram(i);
        let length = datagram.len() as u64;
        self.core.whole.bytes_in += length;
        let (number, right) = match self.verify {
            Verify::None => (client.oldest(), true),
            verify => {
                let number = numbered::read(datagram, verify == Verify::Upper, client.sent)
                    .filter(|number| *number < client.sent && self.size > 0)
                    .or(client.oldest().filter(|_| self.size == 0));
                let whole = datagram.len() == self.size && !truncated;
                let right = number.is_some_and(|number| {
                    let behind = self.size.min(numbered::DIGITS);
                    let place = client.place_of(number, self.size) + behind as u64;
                    whole && self.text.compare(place, &datagram[behind..]).is_ok()
                });
                (number, right)
            }
        };
        match number {
            Some(number) if right => self.answered(client, number, length, now),
            number => self.wrong(client, number, now),
        }
    }

    fn answered(&mut self, client: &mut Client, number: u64, bytes: u64, now: u64) {
        let base = client.sent - client.waiting.len() as u64;
        let waiting = number.checked_sub(base).and_then(|i| client.waiting.get_mut(i as usize));
        let transit = waiting.as_ref().map_or(0, |waiting| now.saturating_sub(waiting.sent));
        if !client.arrivals.arrive(number, transit) {
            return;
        }
        // One that was given up has its error already; it is not lost, but no answer either.
        let Some(waiting) = waiting.filter(|waiting| !waiting.settled) else { return };
        waiting.settled = true;
        client.in_flight -= 1;
        client.failures = 0;
        self.core.in_flight -= 1;
        self.core.count.answered(waiting.intended, now, 1, bytes);
        client.settle();
    }

    fn wrong(&mut self, client: &mut Client, number: Option<u64>, now: u64) {
        let base = client.sent - client.waiting.len() as u64;
        let waiting = number
            .and_then(|number| client.waiting.get_mut(number.checked_sub(base)? as usize))
            .filter(|waiting| !waiting.settled);
        let intended = waiting.map_or(now, |waiting| {
            waiting.settled = true;
            client.in_flight -= 1;
            self.core.in_flight -= 1;
            waiting.intended
        });
        self.core.count.failed(intended, 1, ErrorKind::Wrong, || WRONG.into());
    }

    /// Gives up what was sent too long ago, and sends again.
    fn sweep(&mut self, client: &mut Client, now: u64) {
        if client.more {
            self.receive(client);
        }
        let silence = now.saturating_sub(self.timeout);
        while let Some(waiting) = client.waiting.front()
            && (waiting.settled || waiting.sent < silence)
        {
            if !waiting.settled {
                client.in_flight -= 1;
                self.core.in_flight -= 1;
                self.core.count.failed(waiting.intended, 1, ErrorKind::Timeout, || LOST.into());
            }
            client.waiting.pop_front();
        }
        self.go_on(client, now);
    }
}

impl Client {
    /// Where in the text a datagram begins.
    fn place_of(&self, number: u64, size: usize) -> u64 {
        // Sockets stand apart, so that an answer to another is not taken for one of ours.
        self.number * 7919 + number * size as u64
    }

    /// The oldest one without an answer.
    fn oldest(&self) -> Option<u64> {
        let base = self.sent - self.waiting.len() as u64;
        let at = self.waiting.iter().position(|waiting| !waiting.settled)?;
        Some(base + at as u64)
    }

    /// Forgets the oldest ones that are settled.
    fn settle(&mut self) {
        while self.waiting.front().is_some_and(|waiting| waiting.settled) {
            self.waiting.pop_front();
        }
    }
}

impl<'a> Drive<'a> for Worker<'a> {
    fn core(&mut self) -> &mut Core<'a> {
        &mut self.engine.core
    }

    fn start(&mut self, now: u64) {
        self.clients.iter_mut().for_each(|client| self.engine.go_on(client, now));
    }

    fn due(&mut self, place: usize, now: u64) {
        self.engine.go_on(&mut self.clients[place], now);
    }

    fn event(&mut self, token: Token, _: EventFlags) {
        self.engine.receive(&mut self.clients[token.place as usize]);
    }

    fn sweep(&mut self, now: u64) {
        self.clients.iter_mut().for_each(|client| self.engine.sweep(client, now));
    }

    fn give_up(&mut self, now: u64) {
        // All that was sent until now is older than that.
        let later = now + self.engine.timeout + 1;
        self.clients.iter_mut().for_each(|client| self.engine.sweep(client, later));
    }

    fn begun(&self) -> Vec<(u64, u64)> {
        self.clients.iter().map(|client| (client.number, client.begun)).collect()
    }

    fn datagrams(&self) -> Option<Datagrams> {
        let figures = self.clients.iter().map(|client| client.arrivals.figures(client.sent));
        figures.reduce(Datagrams::and)
    }
}

const LOST: &str = "no answer came within --timeout: the datagram or its answer was lost, the server is \
                    too slow, or it answers one source no more often. Lower --rate or --depth; of \
                    `sockeye serve`, look at --source-rate and --set rcvbuf.";

const WRONG: &str = "a datagram is not the answer to any that was sent. Say with --verify how the \
                     server answers.";
