//! One end of a connection: what its packets, and the peer's answers to them, say about it.

use std::time::Duration;

use sockeye_limits as limits;

use super::event::{Flags, Segment, State};
use super::memory::Memory;
use super::seq::{Holes, before, near, reaches};
use super::verdict::Counts;

/// A FIN that was seen.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fin {
    /// Behind its sequence number.
    pub(super) end: u32,
    /// What it acknowledged when it was seen first: whether its sender knew of the peer's FIN.
    pub(super) covers: u32,
}

/// How a packet stands to those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// It takes no sequence numbers.
    Nothing,
    /// All that it takes is new; so many before it were skipped.
    New(u32),
    /// It was sent before, in that step where it was seen.
    Again(Option<u64>),
    /// It was sent before others that were seen already.
    Late,
    /// The same packet as in that step.
    Copy(u64),
    /// Asks for a sign of life, or for the window where that is closed.
    Probe,
    /// Its number is nowhere near.
    Stray,
}

/// What is known of one end.
#[derive(Debug, Default)]
pub(super) struct End {
    /// The sequence number that counts as 0.
    pub(super) base: Option<u32>,
    /// The sequence number of its SYN.
    pub(super) syn: Option<u32>,
    /// Its SYN acknowledged the peer's.
    pub(super) syn_answers: bool,
    /// When its SYN was seen first.
    pub(super) syn_time: Duration,
    /// How often it was seen, copies aside.
    pub(super) syns: u32,
    /// The peer's acknowledgement of the SYN is under way or there.
    pub(super) syn_heard: bool,
    /// The connection was open when the history began.
    pub(super) joined: bool,
    /// Behind the highest sequence number that was seen.
    pub(super) next: Option<u32>,
    /// By how much that has grown.
    advanced: u64,
    pub(super) holes: Holes,
    pub(super) fin: Option<Fin>,
    /// The peer's acknowledgement of the FIN is under way or there.
    pub(super) fin_heard: bool,
    /// When that was seen last.
    fin_heard_time: Duration,
    /// The highest acknowledgement that it sent.
    pub(super) acked: Option<u32>,
    /// When it sent its last packet it had not received what was already on its way to it.
    pub(super) behind: bool,
    /// It has no socket any more: it sent a RST, got one, or the kernel says so.
    pub(super) over: bool,
    /// What the kernel says.
    pub(super) told: Option<State>,
    /// The window that it offers, in bytes.
    pub(super) window: Option<u32>,
    pub(super) scale: Option<u8>,
    /// The last acknowledgement without data, as it stands in the header, and its repetitions.
    pub(super) last_ack: Option<(u32, u16)>,
    pub(super) same_acks: u32,
    /// A probe of the peer that it has not answered.
    pub(super) probed: bool,
    pub(super) memory: Memory,
    pub(super) counts: Counts,
}

/// How many sequence numbers a segment takes.
pub(super) fn takes(segment: &Segment) -> u32 {
    let flags = u32::from(segment.flags.has(Flags::SYN)) + u32::from(segment.flags.has(Flags::FIN));
    u32::try_from(segment.length).unwrap_or(u32::MAX / 4).saturating_add(flags)
}

/// True for a SYN,ACK that nothing tells from the one before though it is another: a SYN that comes
/// again is answered again, and the timer of the first answer runs out in the same millisecond.
fn answers_anew(segment: &Segment, peer: &End) -> bool {
    segment.flags.has(Flags::SYN | Flags::ACK)
        && segment.ident.is_none_or(|ident| ident == 0)
        && peer.syns > 1
}

impl End {
    /// How a packet of this end stands to what was seen of it.
    pub(super) fn place(&self, segment: &Segment, peer: &End) -> Place {
        if let Some(step) = self.memory.copy_of(segment)
            && !answers_anew(segment, peer)
        {
            return Place::Copy(step);
        }
        if self.is_of_another(segment, peer) {
            return Place::Stray;
        }
        let takes = takes(segment);
        let Some(next) = self.next else {
            return if takes == 0 { Place::Nothing } else { Place::New(0) };
        };
        if !near(segment.seq, next) {
            return Place::Stray;
        }
        let control = Flags::SYN.0 | Flags::FIN.0 | Flags::RST.0;
        // Old systems put a byte into a probe; that is the same packet as a byte sent again.
        let probes = segment.length == 0 && segment.flags.0 & control == 0;
        if probes && segment.seq == next.wrapping_sub(1) && self.is_settled(next, peer) {
            return Place::Probe;
        }
        if takes == 0 {
            return Place::Nothing;
        }
        if reaches(segment.seq, next) {
            return Place::New(segment.seq.wrapping_sub(next));
        }
        let end = segment.seq.wrapping_add(takes);
        let late = self.memory.is_late(segment, end).unwrap_or_else(|| {
            self.holes.touches(segment.seq, end) && self.memory.is_soon(segment)
        });
        if late {
            return Place::Late;
        }
        Place::Again(self.memory.step_of(segment.seq, end))
    }

    /// True for numbers of another connection, or of nobody: a second SYN beside ours, which moves neither
    /// our numbers nor our window, and an acknowledgement of what no window has room for.
    fn is_of_another(&self, segment: &Segment, peer: &End) -> bool {
        let flags = segment.flags;
        let second = flags.has(Flags::SYN) && self.syn.is_some_and(|syn| syn != segment.seq);
        let known = peer.next.filter(|_| flags.has(Flags::ACK) && !flags.has(Flags::RST));
        second || known.is_some_and(|next| !near(segment.ack, next))
    }

    /// All that this end sent before `next` is acknowledged, so that nothing can be sent again.
    fn is_settled(&self, next: u32, peer: &End) -> bool {
        self.syn != Some(next.wrapping_sub(1))
            && self.fin.is_none()
            && peer.acked.is_some_and(|acked| reaches(acked, next))
    }

    /// Takes over what a packet of this end says about its own direction.
    pub(super) fn sent(&mut self, segment: &Segment, place: Place, step: u64) {
        let end = segment.seq.wrapping_add(takes(segment));
        let beside = place == Place::Probe || segment.flags.has(Flags::RST);
        self.memory.keep(segment, end, step, !beside && place != Place::Late);
        if beside {
            return;
        }
        self.joined |= self.syn.is_none() && !segment.flags.has(Flags::SYN);
        if end != segment.seq || self.next.is_none() {
            let syn = u32::from(segment.flags.has(Flags::SYN));
            let next = *self.next.get_or_insert(segment.seq.wrapping_add(syn));
            if before(next, segment.seq) {
                self.holes.open(next, segment.seq);
            }
            self.holes.fill(segment.seq, end);
            self.advance(end);
        }
        if segment.flags.has(Flags::SYN) {
            self.sent_syn(segment);
        }
        if segment.flags.has(Flags::FIN) {
            if self.fin.is_none() {
                self.fin = Some(Fin { end, covers: segment.ack });
            }
            // A FIN that is repeated was not heard, unless it crossed its acknowledgement.
            let since = segment.time.saturating_sub(self.fin_heard_time);
            self.fin_heard &= since < limits::TRACE_CROSSING;
        }
    }

    fn advance(&mut self, end: u32) {
        if let Some(next) = self.next
            && before(next, end)
        {
            self.advanced += u64::from(end.wrapping_sub(next));
            self.next = Some(end);
        }
    }

    /// The bytes of payload up to the highest sequence number.
    pub(super) fn bytes(&self) -> u64 {
        self.advanced.saturating_sub(u64::from(self.fin.is_some()))
    }

    fn sent_syn(&mut self, segment: &Segment) {
        if self.syn.is_none() {
            self.syn = Some(segment.seq);
            self.syn_time = segment.time;
        }
        self.syns += 1;
        let answers = segment.flags.has(Flags::ACK);
        // The answer to a crossing SYN repeats our own without saying that it was not heard.
        if answers == self.syn_answers {
            self.syn_heard = false;
        }
        self.syn_answers |= answers;
        self.scale = segment.options.window_scale;
    }

    /// Takes over what the peer's acknowledgement says about this end; true where it acknowledges
    /// what was not seen.
    pub(super) fn acknowledged(&mut self, ack: u32, time: Duration) -> bool {
        self.joined |= self.syn.is_none();
        let unseen = self.next.is_some_and(|next| before(next, ack));
        self.next.get_or_insert(ack);
        self.advance(ack);
        self.holes.close_before(ack);
        self.syn_heard |= self.syn.is_some_and(|syn| reaches(ack, syn.wrapping_add(1)));
        if self.fin.is_some_and(|fin| reaches(ack, fin.end)) {
            self.fin_heard = true;
            self.fin_heard_time = time;
        }
        unseen
    }

    /// True where this end is presumed to have the peer's FIN and all before it.
    pub(super) fn has_fin_of(&self, peer: &End) -> bool {
        peer.fin.is_some_and(|fin| {
            self.acked.is_some_and(|acked| reaches(acked, fin.end))
                || (peer.holes.is_empty() && !self.behind)
        })
    }

    /// True where a RST of the peer with that number counts here (RFC 9293, section 3.10.7.4).
    pub(super) fn takes_reset(&self, reset: &Segment, peer: &End) -> bool {
        if let (Some(syn), false) = (self.syn, self.syn_heard || self.syn_answers) {
            // Before the handshake only the acknowledgement proves who sent it.
            return reset.flags.has(Flags::ACK) && reset.ack == syn.wrapping_add(1);
        }
        let window = self.window.unwrap_or(0);
        let within = |start: u32| reset.seq.wrapping_sub(start) <= window;
        self.acked.is_some_and(within) || peer.next == Some(reset.seq) || self.acked.is_none()
    }
}
