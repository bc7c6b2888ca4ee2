//! Both ends of a TCP connection, and what a packet between them means.

use std::time::Duration;

use sockeye_limits as limits;

use super::Facts;
use super::end::{End, Place, takes};
use super::event::{Flags, Segment, Side, State};
use super::seq::{before, reaches};
use super::state;
use super::step::Note;
use super::verdict::{How, TimeWait};

/// Two ends, and what happened between them.
#[derive(Debug, Default)]
pub(super) struct Connection {
    client: End,
    server: End,
    /// A RST answered the SYN.
    pub(super) refused: bool,
    /// Both sides opened.
    pub(super) crossing_syn: bool,
    /// Who ended it by a RST, and whether it had sent its FIN before.
    pub(super) reset: Option<(Side, bool)>,
    /// From SYN to SYN,ACK.
    pub(super) round_trip: Option<Duration>,
    /// Who sent the first FIN, and how many bytes the other had sent by then.
    pub(super) first: Option<(Side, u64)>,
    pub(super) how: Option<How>,
    /// When the third packet of the handshake was seen.
    third: Option<Duration>,
    /// The server repeats its SYN,ACK although the third packet was seen.
    pub(super) accept_queue: bool,
    /// Who waits, and until when.
    pub(super) waits: Vec<TimeWait>,
    /// The last packet that was sent again and again.
    pub(super) stuck: Option<Stuck>,
}

/// A packet that is sent again and again.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stuck {
    pub(super) side: Side,
    pub(super) seq: u32,
    pub(super) size: usize,
    pub(super) times: u32,
    /// The peer has sent something since: it lives, and short packets pass.
    pub(super) answered: bool,
}

impl Connection {
    pub(super) fn end(&self, side: Side) -> &End {
        match side {
            Side::Client => &self.client,
            Side::Server => &self.server,
        }
    }

    pub(super) fn end_mut(&mut self, side: Side) -> &mut End {
        match side {
            Side::Client => &mut self.client,
            Side::Server => &mut self.server,
        }
    }

    fn pair(&mut self, side: Side) -> (&mut End, &mut End) {
        match side {
            Side::Client => (&mut self.client, &mut self.server),
            Side::Server => (&mut self.server, &mut self.client),
        }
    }

    pub(super) fn state(&self, side: Side) -> Option<State> {
        state::state(self.end(side), self.end(side.other()))
    }

    /// True where this SYN begins another connection between the same addresses.
    pub(super) fn begins_anew(&self, side: Side, segment: &Segment) -> bool {
        let over = |side| matches!(self.state(side), None | Some(State::Closed | State::TimeWait));
        let me = self.end(side);
        segment.flags.has(Flags::SYN)
            && !segment.flags.has(Flags::ACK)
            && (me.joined || me.syn.is_some_and(|syn| syn != segment.seq))
            && (me.over || over(side))
            && over(side.other())
    }

    /// Takes the next packet, which is the step of that number.
    pub(super) fn segment(&mut self, side: Side, segment: &Segment, step: u64) -> Facts {
        let (me, peer) = self.pair(side);
        let (seq, ack) = relative(me, peer, segment);
        let place = me.place(segment, peer);
        let window = scaled(me, peer, segment);
        let mut notes = Vec::new();
        match place {
            Place::Copy(of) => {
                me.counts.copies += 1;
                notes.push(Note::Copy(of));
            }
            Place::Stray => {
                me.counts.strays += 1;
                notes.push(Note::Stray);
            }
            _ => {
                me.counts.packets += 1;
                if segment.flags.has(Flags::RST) {
                    me.sent(segment, place, step);
                    self.reset(side, segment, &mut notes);
                } else {
                    self.packet(side, segment, place, window, step, &mut notes);
                }
            }
        }
        let first = matches!(place, Place::New(_) | Place::Nothing);
        Facts { seq, ack, window, notes, first, ..Facts::of(side) }
    }

    /// A packet that is neither a copy nor a reset.
    fn packet(
        &mut self,
        side: Side,
        segment: &Segment,
        place: Place,
        window: u32,
        step: u64,
        notes: &mut Vec<Note>,
    ) {
        let (me, peer) = self.pair(side);
        let was = Was::of(me, peer);
        note_place(me, place, notes);
        note_window(me, peer, segment, window, place, notes);
        me.over = false;
        me.sent(segment, place, step);
        if place != Place::Late {
            me.behind = is_behind(segment, peer);
        }
        peer.behind = false;
        if place == Place::Probe {
            peer.probed = true;
        }
        if segment.flags.has(Flags::ACK) {
            note_repeated(me, peer, segment, notes);
            if peer.acknowledged(segment.ack, segment.time) {
                notes.push(Note::AcknowledgesUnseen);
            }
            if me.acked.is_none_or(|acked| before(acked, segment.ack)) {
                me.acked = Some(segment.ack);
            }
        }
        self.note_opening(side, segment, place, &was, notes);
        self.note_closing(side, segment, place, &was, notes);
        self.note_stuck(side, segment, place);
        self.note_waits(side, segment.time);
    }

    fn reset(&mut self, side: Side, segment: &Segment, notes: &mut Vec<Note>) {
        let (me, peer) = self.pair(side);
        me.counts.resets += 1;
        if !peer.takes_reset(segment, me) {
            notes.push(Note::StrayReset);
            return;
        }
        let unopened = peer.syn.is_some() && !peer.syn_heard && !peer.syn_answers;
        let after_close = me.fin.is_some();
        let was_over = me.over && peer.over;
        me.over = true;
        peer.over = true;
        if unopened {
            self.refused = true;
            notes.push(Note::Refusal);
            return;
        }
        notes.push(if after_close { Note::ResetAfterClose } else { Note::Reset });
        if !was_over && self.reset.is_none() {
            self.reset = Some((side, after_close));
        }
        // Linux lets a RST end TIME-WAIT too (net.ipv4.tcp_rfc1337 = 0).
        self.waits.clear();
    }

    fn note_opening(
        &mut self,
        side: Side,
        segment: &Segment,
        place: Place,
        was: &Was,
        notes: &mut Vec<Note>,
    ) {
        let (syn, ack) = (segment.flags.has(Flags::SYN), segment.flags.has(Flags::ACK));
        let fresh = matches!(place, Place::New(_));
        let third = self.third;
        let (me, peer) = (self.end(side), self.end(side.other()));
        // Each SYN of the client has its answer, and what crosses the third packet tells nothing.
        let ignores = third.is_some_and(|third| {
            me.syns > peer.syns && segment.time.saturating_sub(third) >= limits::TRACE_CROSSING
        });
        if syn && !ack && fresh {
            let crossing = peer.syn.is_some();
            self.crossing_syn |= crossing;
            notes.push(if crossing { Note::CrossingSyn } else { Note::Handshake(1) });
        } else if syn && ack && fresh && peer.syn_heard {
            self.round_trip = Some(segment.time.saturating_sub(peer.syn_time));
            notes.push(Note::Handshake(2));
        } else if syn && ack && ignores && matches!(place, Place::Again(_)) {
            self.accept_queue = true;
            notes.push(Note::AcceptQueue);
        } else if !syn
            && ack
            && peer.syn_answers
            && peer.syn_heard
            && !was.syn_heard
            && third.is_none()
        {
            self.third = Some(segment.time);
            notes.push(Note::Handshake(3));
        }
    }

    fn note_closing(
        &mut self,
        side: Side,
        segment: &Segment,
        place: Place,
        was: &Was,
        notes: &mut Vec<Note>,
    ) {
        let (me, peer) = (self.end(side), self.end(side.other()));
        let fin = segment.flags.has(Flags::FIN);
        let last = peer.fin_heard && !was.fin_heard && me.fin.is_some_and(|_| !fin);
        if fin && !was.sent_fin && !matches!(place, Place::Again(Some(_))) {
            let meanwhile = self.first.map_or(0, |(_, sent)| me.bytes().saturating_sub(sent));
            let (note, how) = match peer.fin {
                None => {
                    self.first = Some((side, peer.bytes()));
                    notes.push(Note::FirstFin);
                    return;
                }
                Some(first) if reaches(segment.ack, first.end) => {
                    if was.acked.is_some_and(|acked| reaches(acked, first.end)) {
                        (Note::SecondFin, How::FourPackets { meanwhile })
                    } else {
                        (Note::FinRides, How::ThreePackets)
                    }
                }
                Some(_) => (Note::CrossingFin, How::Simultaneous),
            };
            self.how = Some(how);
            notes.push(note);
        } else if last {
            notes.push(Note::LastAck);
        } else if peer.fin_heard && !was.fin_heard && !fin {
            notes.push(Note::FinAcknowledged);
        }
    }

    fn note_stuck(&mut self, side: Side, segment: &Segment, place: Place) {
        match (place, &mut self.stuck) {
            (Place::Again(_), Some(stuck)) if stuck.side == side && stuck.seq == segment.seq => {
                stuck.times += 1;
                stuck.size = stuck.size.min(segment.length);
            }
            (Place::Again(_), stuck) if segment.length > 0 => {
                let (seq, size) = (segment.seq, segment.length);
                *stuck = Some(Stuck { side, seq, size, times: 1, answered: false });
            }
            (_, Some(stuck)) => stuck.answered |= stuck.side != side,
            _ => {}
        }
        let gone = self.stuck.is_some_and(|stuck| {
            self.end(stuck.side.other()).acked.is_some_and(|acked| before(stuck.seq, acked))
        });
        if gone {
            self.stuck = None;
        }
    }

    /// Who has come to TIME-WAIT; another FIN of the peer begins it anew.
    fn note_waits(&mut self, side: Side, time: Duration) {
        for who in [Side::Client, Side::Server] {
            let waiting = self.state(who) == Some(State::TimeWait);
            let known = self.waits.iter().position(|wait| wait.side == who);
            match (waiting, known) {
                (true, None) => {
                    let until = time.saturating_add(limits::TIME_WAIT);
                    self.waits.push(TimeWait { side: who, until, told: false });
                }
                (true, Some(at)) if side == who => {
                    self.waits[at].until = time.saturating_add(limits::TIME_WAIT);
                }
                (false, Some(at)) => drop(self.waits.remove(at)),
                _ => {}
            }
        }
    }
}

/// What was so before a packet.
struct Was {
    syn_heard: bool,
    sent_fin: bool,
    fin_heard: bool,
    acked: Option<u32>,
}

impl Was {
    fn of(me: &End, peer: &End) -> Was {
        Was {
            syn_heard: peer.syn_heard,
            sent_fin: me.fin.is_some(),
            fin_heard: peer.fin_heard,
            acked: me.acked,
        }
    }
}

/// The numbers of a packet relative to the first of each side. Of a side whose SYN was not seen, the
/// first number that was is 1.
fn relative(me: &mut End, peer: &mut End, segment: &Segment) -> (u32, Option<u32>) {
    let syn = segment.flags.has(Flags::SYN);
    let base = *me.base.get_or_insert(segment.seq.wrapping_sub(u32::from(!syn)));
    let ack = segment.flags.has(Flags::ACK).then(|| {
        let base = *peer.base.get_or_insert(segment.ack.wrapping_sub(1));
        segment.ack.wrapping_sub(base)
    });
    (segment.seq.wrapping_sub(base), ack)
}

/// The window in bytes: that of a SYN is never scaled (RFC 7323, section 2.2).
fn scaled(me: &End, peer: &End, segment: &Segment) -> u32 {
    let window = u32::from(segment.window);
    match (segment.flags.has(Flags::SYN), me.scale, peer.scale) {
        (false, Some(scale), Some(_)) => window << scale.min(14),
        _ => window,
    }
}

/// True where the sender of a packet cannot have received what was on its way to it.
fn is_behind(segment: &Segment, peer: &End) -> bool {
    if segment.flags.has(Flags::ACK) {
        peer.fin.is_some_and(|fin| before(segment.ack, fin.end))
    } else {
        segment.flags.has(Flags::SYN) && peer.syn.is_some()
    }
}

fn note_place(me: &mut End, place: Place, notes: &mut Vec<Note>) {
    match place {
        Place::Again(of) => {
            me.counts.retransmissions += 1;
            notes.push(Note::Retransmission(of));
        }
        Place::Late => {
            me.counts.out_of_order += 1;
            notes.push(Note::OutOfOrder);
        }
        Place::New(skipped) if skipped > 0 => notes.push(Note::Skips(skipped)),
        _ => {}
    }
}

fn note_window(
    me: &mut End,
    peer: &mut End,
    segment: &Segment,
    window: u32,
    place: Place,
    notes: &mut Vec<Note>,
) {
    match place {
        Place::Probe if peer.window == Some(0) => {
            me.counts.window_probes += 1;
            notes.push(Note::WindowProbe);
        }
        Place::Probe => {
            me.counts.keepalives += 1;
            notes.push(Note::KeepAlive);
        }
        _ => {}
    }
    if place == Place::Late {
        return;
    }
    let was = me.window.replace(window);
    if window == 0 && was != Some(0) {
        me.counts.zero_windows += 1;
        notes.push(Note::ZeroWindow);
    } else if window > 0 && was == Some(0) {
        notes.push(Note::WindowOpens);
    }
    if takes(segment) > 0 {
        me.same_acks = 0;
    }
}

/// An acknowledgement that only repeats the last: an answer to a probe, or a sign of a gap.
fn note_repeated(me: &mut End, peer: &End, segment: &Segment, notes: &mut Vec<Note>) {
    if takes(segment) > 0 || notes.contains(&Note::KeepAlive) || notes.contains(&Note::WindowProbe)
    {
        return;
    }
    let answers = std::mem::take(&mut me.probed);
    let same =
        me.last_ack.replace((segment.ack, segment.window)) == Some((segment.ack, segment.window));
    let outstanding = peer.next.is_some_and(|next| before(segment.ack, next));
    if same && outstanding {
        me.same_acks += 1;
        me.counts.duplicate_acks += 1;
        notes.push(Note::DuplicateAck(me.same_acks));
    } else {
        me.same_acks = 0;
        if answers {
            notes.push(Note::KeepAliveAnswer);
        }
    }
}
