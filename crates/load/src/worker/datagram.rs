//! Datagram sockets, each with numbered datagrams in flight.

use std::collections::VecDeque;
use std::io;

use socket2::Socket;
use sockeye_limits as limits;
use sockeye_net::sys::batch::{Batch, Kind};
use sockeye_net::sys::outgoing::Outgoing;
use sockeye_net::sys::receive_drops;
use sockeye_net::{Operation, Transport};

use super::drive::{Core, Drive, INTERRUPTED, drive};
use super::poll::{EventFlags, Token};
use super::{Done, Job, nanoseconds, unwatched};
use crate::arrivals::Arrivals;
use crate::error::{Error, ErrorKind, Failure};
use crate::numbered;
use crate::plan::{Plan, Verify};
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
    /// The last call that sent reported an error of one before it.
    excused: bool,
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
    /// In a closed loop: how many may wait for their answers.
    depth: u64,
    /// How many are remembered, answered ones behind an unanswered one too.
    memory: u64,
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
        // One more than can be in flight, so that one call empties the socket.
        let at_once = if job.open() { limits::DATAGRAM_BATCH } else { plan.depth + 1 };
        Ok(Engine {
            text: Text::new(plan.size.max(1), plan.size, plan.verify),
            size: plan.size,
            depth: plan.depth as u64,
            memory: memory(plan),
            timeout: nanoseconds(plan.timeout),
            verify: plan.verify,
            outgoing: Outgoing::new(if job.open() { at_once } else { plan.depth }, plan.size),
            batch: Batch::new(at_once, kind),
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
            excused: false,
            more: false,
        })
    }

    /// Sends what is due and what there is room for, and takes what comes meanwhile.
    fn go_on(&mut self, client: &mut Client, mut now: u64) {
        if self.core.ending.is_some() || !self.core.running {
            return;
        }
        // A rate that cannot be reached does not keep this loop from all else, nor from the end.
        for _ in 0..limits::LOAD_BURST {
            let count = self.due(client, now).min(self.outgoing.most() as u64) as usize;
            if count == 0 || !self.send(client, count, now) {
                return;
            }
            // In an open loop answers may come quicker than all that is due has left: a socket holds
            // a few hundred, and drops the rest.
            if self.core.schedule.is_some() && count == self.outgoing.most() {
                now = self.core.clock.now();
                self.take(client, now);
                if now >= self.core.job.window.end {
                    return;
                }
            }
        }
    }

    /// How many datagrams are due, as far as there is room for them. At a fixed rate none waits for
    /// another: a lost one would hold back those behind it until it is given up.
    fn due(&self, client: &mut Client, now: u64) -> u64 {
        let due = match &self.core.schedule {
            None if now < client.until || now >= self.core.job.window.end => 0,
            None => self.depth.saturating_sub(client.in_flight),
            Some(schedule) => {
                if now >= self.core.job.window.start {
                    client.begun = client.begun.max(client.warm);
                }
                schedule.due_of(client.number, now).saturating_sub(client.begun)
            }
        };
        due.min(self.memory.saturating_sub(client.waiting.len() as u64))
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
            Err(error) => return self.not_sent(client, error, now),
        };
        client.excused &= sent == 0;
        for _ in 0..sent {
            let intended = self.begin(client, now);
            client.waiting.push_back(Waiting { intended, sent: now, settled: false });
        }
        client.sent += sent as u64;
        client.in_flight += sent as u64;
        self.core.in_flight += sent as u64;
        self.core.whole.bytes_out += (sent * self.size) as u64;
        sent == count
    }

    /// The next request begins; gives the time at which it was to be sent.
    fn begin(&mut self, client: &mut Client, now: u64) -> u64 {
        let intended = match &self.core.schedule {
            None => now,
            Some(schedule) => schedule.time_of(client.number, client.begun),
        };
        // Over UDP no server holds one back; a Unix socket waits for the server's queue.
        if self.core.looking || self.is_udp() {
            self.core.count.sent_late(intended, now);
        }
        client.begun += 1;
        self.core.count.begun(intended, 1);
        intended
    }

    /// The call that sends has failed. What the network said of a datagram that left before comes in
    /// this way as well, once; any other error is that of the next datagram, which does not leave.
    /// True where the schedule goes on none the less.
    fn not_sent(&mut self, client: &mut Client, error: io::Error, now: u64) -> bool {
        if self.is_udp() && !client.excused && client.in_flight > 0 {
            client.excused = true;
            self.refused(client, Operation::Send, error, now);
        } else {
            let failure = self.core.failed(Operation::Send, error);
            let intended = self.begin(client, now);
            self.core.count.failed(intended, 1, failure.kind, || failure.text());
            self.pause(client, now);
        }
        self.core.schedule.is_some()
    }

    fn is_udp(&self) -> bool {
        self.core.job.plan.endpoint.transport() == Transport::Udp
    }

    /// The socket reports an error: of one that left before, which one it does not say.
    fn refused(&mut self, client: &mut Client, operation: Operation, error: io::Error, now: u64) {
        let failure = self.core.failed(operation, error);
        match client.waiting.iter_mut().find(|waiting| !waiting.settled) {
            Some(oldest) => {
                oldest.settled = true;
                client.in_flight -= 1;
                self.core.in_flight -= 1;
                self.core.count.failed(oldest.intended, 1, failure.kind, || failure.text());
                client.settle();
            }
            None => self.core.count.apart(now, failure.kind, || failure.text()),
        }
        self.pause(client, now);
    }

    /// In a closed loop nothing else keeps a socket that fails from doing so as fast as it goes.
    fn pause(&mut self, client: &mut Client, now: u64) {
        client.failures = client.failures.saturating_add(1);
        client.until = self.core.again(now, client.failures);
    }

    /// Takes datagrams until there are no more, and sends what that allows.
    fn receive(&mut self, client: &mut Client) {
        let now = self.core.clock.now();
        let now = self.take(client, now);
        self.go_on(client, now);
    }

    /// Takes datagrams until there are no more; gives when that was.
    fn take(&mut self, client: &mut Client, mut now: u64) -> u64 {
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
        now
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
        let Some(waiting) = waiting else {
            return self.core.count.apart(now, ErrorKind::Wrong, || WRONG.into());
        };
        waiting.settled = true;
        client.in_flight -= 1;
        self.core.in_flight -= 1;
        self.core.count.failed(waiting.intended, 1, ErrorKind::Wrong, || WRONG.into());
        client.settle();
    }

    /// Gives up what was sent too long ago, and sends again.
    fn sweep(&mut self, client: &mut Client, now: u64) {
        if client.more {
            self.receive(client);
        }
        self.expire(client, now.saturating_sub(self.timeout), u64::MAX);
        self.go_on(client, now);
    }

    /// Gives up what was sent before `silence`. What was not sent before `patient` is no loss: the run
    /// was ended before anybody knows.
    fn expire(&mut self, client: &mut Client, silence: u64, patient: u64) {
        while let Some(waiting) = client.waiting.front()
            && (waiting.settled || waiting.sent < silence)
        {
            if !waiting.settled {
                client.in_flight -= 1;
                self.core.in_flight -= 1;
                let (kind, said) = match waiting.sent < patient {
                    true => (ErrorKind::Timeout, LOST),
                    // Its time was not over yet.
                    false => (ErrorKind::Interrupted, INTERRUPTED),
                };
                self.core.count.failed(waiting.intended, 1, kind, || said.into());
            }
            client.waiting.pop_front();
        }
    }
}

/// How many datagrams of one socket are remembered at a time: of more nobody would know whether an
/// answer comes for the first time ([`limits::LOAD_KNOWN`]).
fn memory(plan: &Plan) -> u64 {
    let share = limits::LOAD_AWAITED / plan.connections.max(1) as u64;
    share.max(plan.depth as u64).min(limits::LOAD_KNOWN)
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
        let engine = &mut self.engine;
        // A run that was not ended early has waited long enough for the last ones as well.
        let patient = match engine.core.job.stopped() {
            true => now.saturating_sub(engine.timeout),
            false => u64::MAX,
        };
        for client in &mut self.clients {
            if client.more {
                engine.take(client, now);
            }
            engine.expire(client, u64::MAX, patient);
        }
    }

    fn begun(&self) -> Vec<(u64, u64)> {
        self.clients.iter().map(|client| (client.number, client.begun)).collect()
    }

    fn datagrams(&self) -> Option<Datagrams> {
        let figures = self.clients.iter().map(|client| {
            // Where the system does not tell, nothing is claimed.
            let dropped_here = receive_drops(&client.socket).unwrap_or(0).into();
            Datagrams { dropped_here, ..client.arrivals.figures(client.sent) }
        });
        figures.reduce(Datagrams::and)
    }
}

const LOST: &str = "no answer came within --timeout: the datagram or its answer was lost, the server is \
                    too slow, or it answers one source no more often. Lower --rate or --depth; of \
                    `sockeye serve`, look at --source-rate and --set rcvbuf.";

const WRONG: &str = "a datagram is not the answer to any that was sent. Say with --verify how the \
                     server answers.";
