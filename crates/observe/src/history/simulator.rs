//! For tests: two ends of TCP and a bad network between them, in virtual time.
//!
//! The ends follow RFC 9293 by transitions, the other way round from the history, which concludes
//! states from packets. A tap between them sees what passes; what it cannot know is told beside it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use super::event::{Flags, Options, Segment, Side, State};
use super::seq::{before, reaches};

const MSS: u32 = 100;
const FLIGHT: u32 = 6 * MSS;

/// What the ends do and what the network does to them. Odds are in 256.
#[derive(Debug, Clone, Copy)]
pub(super) struct Plan {
    pub(super) bytes: [u32; 2],
    /// When an end closes: at that time and once everything is sent, or after the peer's FIN.
    pub(super) close: [Option<u64>; 2],
    /// The application takes so long to answer the peer's FIN with a close.
    pub(super) slow_close: [u64; 2],
    /// An end aborts at that time.
    pub(super) abort: Option<(Side, u64)>,
    pub(super) loss_before: u8,
    pub(super) loss_behind: u8,
    pub(super) doubles: u8,
    /// How much longer a packet may take before the tap and behind it, in microseconds.
    pub(super) jitter: [u64; 2],
    /// Packets carry identifications and timestamps.
    pub(super) marked: bool,
    pub(super) iss: [u32; 2],
}

/// A packet as the tap saw it.
#[derive(Debug, Clone)]
pub(super) struct Tapped {
    pub(super) segment: Segment,
    /// It was sent before.
    pub(super) again: bool,
    /// Its number among all that were sent.
    packet: u64,
    /// The network made two of it, and this is the second.
    pub(super) copy: bool,
}

#[derive(Debug)]
enum Happening {
    Tap(Side, Tapped),
    Deliver(Side, Segment),
    Timer(Side, u64),
    Close(Side),
    Abort(Side),
}

/// One end.
#[derive(Debug)]
pub(super) struct Host {
    pub(super) state: State,
    /// The states that it went through.
    pub(super) way: Vec<State>,
    /// When it sent its FIN it had the peer's, and had acknowledged it alone before.
    pub(super) fin: Option<(bool, bool)>,
    pub(super) gave_up: bool,
    iss: u32,
    una: u32,
    next: u32,
    peer_next: Option<u32>,
    /// Received out of order.
    early: BTreeMap<u32, (u32, bool)>,
    unsent: u32,
    closing: bool,
    got_fin: bool,
    acked_fin: bool,
    flight: VecDeque<(u32, u32, Flags)>,
    timer: u64,
    tries: u32,
    same_acks: u32,
    /// When it answered a SYN.
    answered: u64,
    ident: u16,
}

/// The two ends, the network and the tap.
pub(super) struct Simulator {
    plan: Plan,
    seed: u64,
    pub(super) hosts: [Host; 2],
    queue: BTreeMap<(u64, u64), Happening>,
    order: u64,
    now: u64,
    pub(super) tapped: Vec<Tapped>,
}

impl Host {
    fn new(state: State, iss: u32, unsent: u32) -> Host {
        Host {
            state,
            way: vec![state],
            fin: None,
            gave_up: false,
            iss,
            una: iss,
            next: iss,
            peer_next: None,
            early: BTreeMap::new(),
            unsent,
            closing: false,
            got_fin: false,
            acked_fin: false,
            flight: VecDeque::new(),
            timer: 0,
            tries: 0,
            same_acks: 0,
            answered: 0,
            ident: (iss >> 7) as u16,
        }
    }

    fn enter(&mut self, state: State) {
        if self.state != state {
            self.state = state;
            self.way.push(state);
        }
    }
}

impl Simulator {
    /// Runs a plan to its end, or to the hour when one side gives up.
    pub(super) fn run(plan: Plan, seed: u64) -> Simulator {
        let [client, server] = plan.iss;
        let hosts = [
            Host::new(State::Closed, client, plan.bytes[0]),
            Host::new(State::Listen, server, plan.bytes[1]),
        ];
        let queue = BTreeMap::new();
        let mut sim = Simulator { plan, seed, hosts, queue, order: 0, now: 0, tapped: Vec::new() };
        sim.hosts[0].enter(State::SynSent);
        sim.send(Side::Client, client, 0, Flags::SYN);
        for side in [Side::Client, Side::Server] {
            if let Some(time) = plan.close[side as usize] {
                sim.at(time, Happening::Close(side));
            }
        }
        if let Some((side, time)) = plan.abort {
            sim.at(time, Happening::Abort(side));
        }
        while let Some(((now, _), happening)) = sim.queue.pop_first() {
            sim.now = now;
            sim.happens(happening);
        }
        sim
    }

    fn at(&mut self, time: u64, happening: Happening) {
        self.order += 1;
        self.queue.insert((time, self.order), happening);
    }

    fn odds(&mut self, of: u8) -> bool {
        self.random() & 0xff < u64::from(of)
    }

    fn delay(&mut self, stage: usize) -> u64 {
        let jitter = self.plan.jitter[stage];
        1_000 + self.random() % (jitter + 1)
    }

    /// The next number of splitmix64.
    fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.seed ^ (self.seed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn happens(&mut self, happening: Happening) {
        match happening {
            Happening::Tap(from, tapped) => self.tap(from, tapped),
            Happening::Deliver(to, segment) => self.deliver(to, &segment),
            Happening::Timer(side, timer) => self.timer(side, timer),
            Happening::Close(side) => {
                self.hosts[side as usize].closing = true;
                self.go_on(side);
            }
            Happening::Abort(side) => {
                let host = &mut self.hosts[side as usize];
                if matches!(host.state, State::Established | State::CloseWait | State::FinWait1) {
                    host.enter(State::Closed);
                    let next = host.next;
                    self.send(side, next, 0, Flags::RST | Flags::ACK);
                }
            }
        }
    }

    fn tap(&mut self, from: Side, mut tapped: Tapped) {
        tapped.segment.time = Duration::from_micros(self.now);
        tapped.copy = self.tapped.iter().any(|other| other.packet == tapped.packet);
        self.tapped.push(tapped.clone());
        let behind = self.delay(1);
        if !self.odds(self.plan.loss_behind) {
            self.at(self.now + behind, Happening::Deliver(from.other(), tapped.segment));
        }
    }

    /// Sends a new packet, and keeps it until it is acknowledged where it takes numbers.
    fn send(&mut self, side: Side, seq: u32, length: u32, flags: Flags) {
        let control = u32::from(flags.has(Flags::SYN)) + u32::from(flags.has(Flags::FIN));
        let host = &mut self.hosts[side as usize];
        if length + control > 0 {
            host.flight.push_back((seq, length, flags));
            host.next = seq.wrapping_add(length + control);
            if host.flight.len() == 1 {
                self.arm(side);
            }
        }
        self.transmit(side, seq, length, flags, false);
    }

    fn arm(&mut self, side: Side) {
        let host = &mut self.hosts[side as usize];
        host.timer += 1;
        let (timer, wait) = (host.timer, 200_000 << host.tries.min(4));
        self.at(self.now + wait, Happening::Timer(side, timer));
    }

    fn transmit(&mut self, side: Side, seq: u32, length: u32, flags: Flags, again: bool) {
        let (now, marked) = (self.now, self.plan.marked);
        let host = &mut self.hosts[side as usize];
        host.ident = host.ident.wrapping_add(1).max(1);
        let flags = if host.peer_next.is_some() { flags | Flags::ACK } else { flags };
        if host.got_fin && !flags.has(Flags::FIN) && !flags.has(Flags::RST) {
            host.acked_fin = true;
        }
        let (from, to) = super::tests::ends(side);
        let segment = Segment {
            flags,
            seq,
            ack: host.peer_next.unwrap_or(0),
            window: 5_000,
            ident: marked.then_some(host.ident),
            options: Options {
                timestamps: marked.then_some(((now / 1000) as u32, 0)),
                ..Options::default()
            },
            length: length as usize,
            ..Segment::empty(from, to)
        };
        if self.odds(self.plan.loss_before) {
            return;
        }
        let times = 1 + u64::from(self.odds(self.plan.doubles));
        self.order += 1;
        let packet = self.order;
        for _ in 0..times {
            let time = now + self.delay(0);
            let tapped = Tapped { segment: segment.clone(), again, packet, copy: false };
            self.at(time, Happening::Tap(side, tapped));
        }
    }

    fn timer(&mut self, side: Side, timer: u64) {
        let host = &mut self.hosts[side as usize];
        let Some(&(seq, length, flags)) = host.flight.front() else { return };
        if timer != host.timer || host.state == State::Closed {
            return;
        }
        host.tries += 1;
        if host.tries > 12 {
            host.gave_up = true;
            host.enter(State::Closed);
            return;
        }
        self.transmit(side, seq, length, flags, true);
        self.arm(side);
    }

    /// Sends what may be sent: data, and the FIN behind it.
    fn go_on(&mut self, side: Side) {
        loop {
            let host = &mut self.hosts[side as usize];
            if !matches!(host.state, State::Established | State::CloseWait) {
                return;
            }
            let room = FLIGHT.saturating_sub(host.next.wrapping_sub(host.una));
            let (next, length) = (host.next, host.unsent.min(MSS));
            if length > 0 {
                if room < length {
                    return;
                }
                host.unsent -= length;
                self.send(side, next, length, Flags::PSH);
            } else if host.closing {
                host.fin = Some((host.got_fin, host.acked_fin));
                let second = host.state == State::CloseWait;
                host.enter(if second { State::LastAck } else { State::FinWait1 });
                self.send(side, next, 0, Flags::FIN);
            } else {
                return;
            }
        }
    }

    fn deliver(&mut self, to: Side, segment: &Segment) {
        let host = &mut self.hosts[to as usize];
        if segment.flags.has(Flags::RST) {
            if host.peer_next == Some(segment.seq) {
                host.enter(State::Closed);
            }
            return;
        }
        if host.state == State::Closed {
            if segment.flags.has(Flags::ACK) {
                self.send_reset(to, segment);
            }
            return;
        }
        if segment.flags.has(Flags::SYN) {
            return self.deliver_syn(to, segment);
        }
        if host.peer_next.is_none() {
            return;
        }
        if segment.flags.has(Flags::ACK) {
            self.deliver_ack(to, segment);
        }
        self.deliver_data(to, segment);
        self.go_on(to);
    }

    fn send_reset(&mut self, side: Side, answered: &Segment) {
        self.hosts[side as usize].peer_next = None;
        self.transmit(side, answered.ack, 0, Flags::RST, false);
    }

    fn deliver_syn(&mut self, to: Side, segment: &Segment) {
        let host = &mut self.hosts[to as usize];
        let acknowledges = segment.flags.has(Flags::ACK);
        match (host.state, acknowledges) {
            (State::Listen, false) => {
                host.peer_next = Some(segment.seq.wrapping_add(1));
                host.enter(State::SynReceived);
                host.answered = self.now;
                let iss = host.iss;
                self.send(to, iss, 0, Flags::SYN);
            }
            (State::SynSent, true) => {
                host.peer_next = Some(segment.seq.wrapping_add(1));
                host.enter(State::Established);
                self.deliver_ack(to, segment);
                self.acknowledge(to);
                self.go_on(to);
            }
            // As Linux does: a SYN that comes again is answered again, but not one that was doubled.
            (State::SynReceived, false) if self.now - host.answered > 100_000 => {
                host.answered = self.now;
                let iss = host.iss;
                self.transmit(to, iss, 0, Flags::SYN, true);
            }
            (State::SynReceived, false) => {}
            _ => self.acknowledge(to),
        }
    }

    fn acknowledge(&mut self, side: Side) {
        let next = self.hosts[side as usize].next;
        self.send(side, next, 0, Flags::default());
    }

    fn deliver_ack(&mut self, to: Side, segment: &Segment) {
        let host = &mut self.hosts[to as usize];
        if before(host.next, segment.ack) || before(segment.ack, host.una) {
            return;
        }
        if segment.ack == host.una {
            host.same_acks += u32::from(segment.length == 0);
            if host.same_acks == 3
                && let Some(&(seq, length, flags)) = host.flight.front()
            {
                self.transmit(to, seq, length, flags, true);
            }
            return;
        }
        host.una = segment.ack;
        host.same_acks = 0;
        host.tries = 0;
        let over = |&(seq, length, flags): &(u32, u32, Flags)| {
            let control = flags.has(Flags::SYN) || flags.has(Flags::FIN);
            reaches(segment.ack, seq.wrapping_add(length + u32::from(control)))
        };
        while host.flight.front().is_some_and(over) {
            host.flight.pop_front();
        }
        let all = host.una == host.next;
        match host.state {
            State::SynReceived => host.enter(State::Established),
            State::FinWait1 if all => host.enter(State::FinWait2),
            State::Closing if all => host.enter(State::TimeWait),
            State::LastAck if all => host.enter(State::Closed),
            _ => {}
        }
        self.arm(to);
    }

    fn deliver_data(&mut self, to: Side, segment: &Segment) {
        let fin = segment.flags.has(Flags::FIN);
        let takes = segment.length as u32 + u32::from(fin);
        if takes == 0 {
            return;
        }
        let host = &mut self.hosts[to as usize];
        host.early.insert(segment.seq, (takes, fin));
        let mut closed = false;
        while let Some(next) = host.peer_next
            && let Some((&seq, &(takes, fin))) =
                host.early.iter().find(|(seq, _)| reaches(next, **seq))
        {
            host.early.remove(&seq);
            let end = seq.wrapping_add(takes);
            if before(next, end) {
                host.peer_next = Some(end);
                closed |= fin;
            }
        }
        if closed {
            host.got_fin = true;
            match host.state {
                State::Established => host.enter(State::CloseWait),
                State::FinWait1 => host.enter(State::Closing),
                State::FinWait2 => host.enter(State::TimeWait),
                _ => {}
            }
            self.closes_after(to);
        }
        let sends_fin = self.hosts[to as usize].closing && self.hosts[to as usize].unsent == 0;
        if !(closed && sends_fin && self.hosts[to as usize].state == State::CloseWait) {
            self.acknowledge(to);
        }
    }

    /// An application that reads the peer's end closes too, at once or some time later.
    fn closes_after(&mut self, side: Side) {
        match self.plan.slow_close[side as usize] {
            0 => self.hosts[side as usize].closing = true,
            time => self.at(self.now + time, Happening::Close(side)),
        }
    }
}
