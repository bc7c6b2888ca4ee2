//! Lasting connections, each with requests in flight.

use sockeye_limits as limits;
use sockeye_net::{Operation, Stream};

use super::drive::{Core, Drive, drive, left_over, silent, turn, unanswered};
use super::link::{Link, reading};
use super::poll::{EventFlags, Token};
use super::{Done, Job, nanoseconds, unwatched};
use crate::error::{Error, Failure};
use crate::target::{Started, is_own};
use crate::text::Text;

/// The place of one connection; when that fails, another takes it.
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
    Open(Link),
    Connecting { stream: Stream, since: u64 },
    Waiting { until: u64 },
}

/// All but the slots, so that one slot and this can be used at a time.
struct Engine<'a> {
    core: Core<'a>,
    text: Text,
    size: u64,
    depth: u64,
    buffer: Vec<u8>,
}

struct Worker<'a> {
    slots: Vec<Slot>,
    engine: Engine<'a>,
}

pub(super) fn run(mut job: Job<'_>) -> Result<Option<Done>, Error> {
    let first = job.first.take();
    let slots = job.connections().zip(0..).map(|at| Slot::new(at, &job)).collect();
    let engine = Engine::new(job)?;
    let mut worker = Worker { slots, engine };
    worker.connect(first)?;
    drive(worker)
}

impl Slot {
    fn new((number, place): (u64, u32), job: &Job<'_>) -> Slot {
        let state = State::Waiting { until: 0 };
        Slot { place, number, begun: 0, warm: job.warm(number), generation: 0, failures: 0, state }
    }

    fn token(&self) -> Token {
        Token { place: self.place, generation: self.generation }
    }

    /// True where it is neither there nor has failed.
    fn is_on_its_way(&self) -> bool {
        match self.state {
            State::Open(_) => false,
            State::Connecting { .. } => true,
            State::Waiting { .. } => self.failures == 0,
        }
    }
}

impl<'a> Engine<'a> {
    fn new(job: Job<'a>) -> Result<Engine<'a>, Error> {
        let plan = job.plan;
        // One byte more than can be in flight, so that a read empties the socket.
        let piece = (plan.size.saturating_mul(plan.depth) + 1).min(limits::LOAD_PIECE);
        Ok(Engine {
            text: Text::new(plan.size, piece, plan.verify),
            size: plan.size as u64,
            depth: plan.depth as u64,
            buffer: vec![0; piece],
            core: Core::new(job)?,
        })
    }

    /// What a connection's event asks for.
    fn event(&mut self, slot: &mut Slot, flags: EventFlags) {
        match &mut slot.state {
            State::Open(_) => {
                let ended = EventFlags::RDHUP | EventFlags::HUP | EventFlags::ERR;
                self.receive(slot, flags.intersects(ended));
            }
            State::Connecting { .. } => self.connected(slot),
            State::Waiting { .. } => {}
        }
    }

    /// Takes what came until there is no more, and sends what that allows.
    fn receive(&mut self, slot: &mut Slot, ended: bool) {
        let mut now = self.core.clock.now();
        loop {
            let State::Open(link) = &mut slot.state else { return };
            let came = match link.receive(&mut self.buffer, &self.core.job.target.endpoint) {
                Ok(Some(came)) => came,
                Ok(None) => break,
                Err(failure) => return self.lose(slot, failure, now),
            };
            now = self.core.clock.now();
            self.core.whole.bytes_in += came as u64;
            let bytes = &self.buffer[..came];
            let (answered, right) = link.take(bytes, &self.text, now, &mut self.core.count);
            self.core.in_flight -= answered;
            if answered > 0 {
                slot.failures = 0;
            }
            if let Err(failure) = right {
                return self.lose(slot, failure, now);
            }
            // A short read has emptied the socket; the end behind it has to be read as well.
            if came < self.buffer.len() && !ended {
                break;
            }
        }
        self.go_on(slot, now);
    }

    /// Begins the requests that the connection has room for and that are due, and sends.
    fn go_on(&mut self, slot: &mut Slot, now: u64) {
        let State::Open(link) = &mut slot.state else { return };
        if self.core.ending.is_none() {
            let before = link.in_flight();
            let room = self.depth - before;
            match &self.core.schedule {
                None if room > 0 && now < self.core.job.window.end => {
                    link.begin(now, room, self.size, now);
                    self.core.count.begun(now, room);
                }
                None => {}
                Some(schedule) => {
                    if now >= self.core.job.window.start {
                        slot.begun = slot.begun.max(slot.warm);
                    }
                    let due = schedule.due_of(slot.number, now);
                    let begins = room.min(due.saturating_sub(slot.begun));
                    for request in slot.begun..slot.begun + begins {
                        let intended = schedule.time_of(slot.number, request);
                        // Behind an answer it is the server that was waited for.
                        if self.core.looking {
                            self.core.count.sent_late(intended, now);
                        }
                        link.begin(intended, 1, self.size, now);
                        self.core.count.begun(intended, 1);
                    }
                    slot.begun += begins;
                }
            }
            self.core.in_flight += link.in_flight() - before;
        }
        let token = Token { place: slot.place, generation: slot.generation };
        let Core { poll, whole, .. } = &mut self.core;
        if let Err(error) = link.send(&self.text, poll, token, whole, now) {
            self.lose(slot, self.core.failed(Operation::Send, error), now);
        }
    }

    /// A connection is over: counts what was in flight, and makes another.
    fn lose(&mut self, slot: &mut Slot, failure: Failure, now: u64) {
        match &mut slot.state {
            State::Open(link) => {
                self.core.in_flight -= link.lose(failure, now, &mut self.core.count);
                self.core.open -= 1;
            }
            // As a request, an attempt belongs to the time in which it began.
            State::Connecting { since, .. } => {
                self.core.count.apart(*since, failure.kind, || failure.text());
            }
            State::Waiting { .. } => self.core.count.apart(now, failure.kind, || failure.text()),
        }
        let (first, until) = (slot.failures == 0, self.core.again(now, slot.failures));
        slot.failures = slot.failures.saturating_add(1);
        slot.state = State::Waiting { until };
        if first && self.core.ending.is_none() {
            self.attempt(slot, now);
        }
    }

    /// Begins to connect.
    fn attempt(&mut self, slot: &mut Slot, now: u64) {
        slot.generation = slot.generation.wrapping_add(1);
        let number = slot.number.wrapping_add(u64::from(slot.generation) << 20);
        match self.core.job.target.connect(number) {
            Ok(Started::Connected(stream)) => self.opened(slot, stream),
            Ok(Started::Pending(stream)) => {
                let flags = EventFlags::OUT | EventFlags::ET;
                match self.core.poll.add(&stream, slot.token(), flags) {
                    Ok(()) => slot.state = State::Connecting { stream, since: now },
                    Err(errno) => self.lose(slot, unwatched(&self.core.job, errno), now),
                }
            }
            Ok(Started::Full) => {
                let until = now + nanoseconds(limits::LOAD_PAUSE_FIRST);
                slot.state = State::Waiting { until };
            }
            Err(failure) => self.lose(slot, failure, now),
        }
    }

    /// connect(2) has an outcome.
    fn connected(&mut self, slot: &mut Slot) {
        let now = self.core.clock.now();
        let State::Connecting { stream, .. } = &slot.state else { return };
        let error = match stream.socket().take_error() {
            Ok(None) if slot.failures > 0 && is_own(stream) => {
                Some(rustix::io::Errno::CONNREFUSED.into())
            }
            Ok(error) => error,
            Err(error) => Some(error),
        };
        if let Some(error) = error {
            return self.lose(slot, self.core.failed(Operation::Connect, error), now);
        }
        let waiting = State::Waiting { until: u64::MAX };
        if let State::Connecting { stream, .. } = std::mem::replace(&mut slot.state, waiting) {
            self.opened(slot, stream);
        }
    }

    /// A connection is there: its first requests go.
    fn opened(&mut self, slot: &mut Slot, stream: Stream) {
        let now = self.core.clock.now();
        // The socket is new to epoll, or waited there for its connection.
        let watched = match self.core.poll.add(&stream, slot.token(), reading()) {
            Err(rustix::io::Errno::EXIST) => {
                self.core.poll.modify(&stream, slot.token(), reading())
            }
            other => other,
        };
        if let Err(errno) = watched {
            return self.lose(slot, unwatched(&self.core.job, errno), now);
        }
        self.core.whole.connections += 1;
        self.core.open += 1;
        let start = self.text.start(slot.number + self.core.whole.connections);
        slot.state = State::Open(Link::new(stream, start));
        if self.core.running {
            self.go_on(slot, now);
        }
    }

    /// Makes the connection again, or gives it up, where it is time.
    fn sweep(&mut self, slot: &mut Slot, now: u64) {
        let patience = nanoseconds(self.core.job.target.patience());
        let silence = now.saturating_sub(nanoseconds(self.core.job.plan.timeout));
        match &slot.state {
            State::Waiting { until } if *until <= now && self.core.ending.is_none() => {
                self.attempt(slot, now);
            }
            State::Connecting { since, .. } if now.saturating_sub(*since) > patience => {
                self.lose(slot, unanswered(), now);
            }
            State::Open(link) if silence > 0 && link.is_silent_since(silence) => {
                // An edge may have been missed: behind TCP's urgent mark a read ends early.
                self.receive(slot, false);
                if let State::Open(link) = &slot.state
                    && link.is_silent_since(silence)
                {
                    self.lose(slot, silent(), now);
                }
            }
            _ => {}
        }
    }
}

impl Worker<'_> {
    /// Opens the connections, a few at a time. Those that fail are counted, and tried again later.
    fn connect(&mut self, first: Option<Stream>) -> Result<(), Error> {
        let mut next = 0;
        if let (Some(stream), Some(slot)) = (first, self.slots.first_mut()) {
            self.engine.opened(slot, stream);
            next = 1;
        }
        let end = nanoseconds(self.engine.core.job.target.patience()).saturating_mul(2);
        while !self.engine.core.job.stopped() {
            let now = self.engine.core.clock.now();
            let on_their_way =
                self.slots[..next].iter().filter(|slot| slot.is_on_its_way()).count();
            let free = limits::LOAD_CONNECTING.saturating_sub(on_their_way);
            for slot in self.slots.iter_mut().skip(next).take(free) {
                self.engine.attempt(slot, now);
                next += 1;
            }
            let open = |slot: &Slot| !slot.is_on_its_way();
            if next == self.slots.len() && self.slots.iter().all(open) || now > end {
                break;
            }
            turn(self, limits::LOAD_TICK)?;
            let now = self.engine.core.clock.now();
            self.slots[..next].iter_mut().for_each(|slot| self.engine.sweep(slot, now));
        }
        Ok(())
    }
}

impl<'a> Drive<'a> for Worker<'a> {
    fn core(&mut self) -> &mut Core<'a> {
        &mut self.engine.core
    }

    fn start(&mut self, now: u64) {
        for slot in &mut self.slots {
            // Until now another clock ran.
            match &mut slot.state {
                State::Waiting { until } => *until = 0,
                State::Connecting { since, .. } => *since = now,
                State::Open(_) => {}
            }
            self.engine.go_on(slot, now);
        }
    }

    fn due(&mut self, place: usize, now: u64) {
        self.engine.go_on(&mut self.slots[place], now);
    }

    fn event(&mut self, token: Token, flags: EventFlags) {
        let slot = &mut self.slots[token.place as usize];
        if slot.generation == token.generation {
            self.engine.event(slot, flags);
        }
    }

    fn sweep(&mut self, now: u64) {
        self.slots.iter_mut().for_each(|slot| self.engine.sweep(slot, now));
    }

    fn give_up(&mut self, now: u64) {
        for slot in &mut self.slots {
            match &mut slot.state {
                State::Open(link) if link.in_flight() > 0 => {
                    let failure = left_over(self.engine.core.job.stopped());
                    link.lose(failure, now, &mut self.engine.core.count);
                }
                // One that is made in a moment is no failure.
                State::Connecting { since, .. }
                    if now.saturating_sub(*since) > nanoseconds(limits::LOAD_PAUSE_MAX) =>
                {
                    let (failure, count) = (unanswered(), &mut self.engine.core.count);
                    count.apart(*since, failure.kind, || failure.text());
                }
                _ => {}
            }
        }
    }

    fn begun(&self) -> Vec<(u64, u64)> {
        self.slots.iter().map(|slot| (slot.number, slot.begun)).collect()
    }
}
