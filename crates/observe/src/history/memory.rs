//! What is remembered of one direction's packets, to tell a copy, a second sending and a late
//! arrival apart.

use std::collections::VecDeque;
use std::time::Duration;

use sockeye_limits as limits;

use super::event::{Flags, Segment};
use super::seq::before;

/// The last packets of one side, and the newest of them by the order in which they were sent.
#[derive(Debug, Default)]
pub(super) struct Memory {
    seen: VecDeque<Seen>,
    newest: Option<Marks>,
    /// The sender's identifications are no counter: a neighbour's was far away.
    random: bool,
}

/// What makes a packet the same packet.
#[derive(Debug, PartialEq, Eq)]
struct Print {
    seq: u32,
    ack: u32,
    flags: Flags,
    length: usize,
    window: u16,
    ident: Option<u16>,
    timestamps: Option<(u32, u32)>,
}

#[derive(Debug)]
struct Seen {
    print: Print,
    /// Behind the last sequence number; `print.seq` where the packet takes none.
    end: u32,
    marks: Marks,
    step: u64,
}

/// What tells in which order packets were sent.
#[derive(Debug, Clone, Copy)]
struct Marks {
    ident: Option<u16>,
    timestamp: Option<u32>,
    time: Duration,
}

impl Memory {
    /// The step in which this very packet was seen before. A packet that can be told from its
    /// second sending has an identification of its own, or takes sequence numbers and carries the
    /// time; of others it cannot be known.
    pub(super) fn copy_of(&self, segment: &Segment) -> Option<u64> {
        let known = identified(segment).is_some()
            || (super::end::takes(segment) > 0 && segment.options.timestamps.is_some());
        if !known {
            return None;
        }
        let print = Print::of(segment);
        self.seen.iter().rev().find(|seen| seen.print == print).map(|seen| seen.step)
    }

    /// The last step in which one of these sequence numbers was seen.
    pub(super) fn step_of(&self, start: u32, end: u32) -> Option<u64> {
        self.overlapping(start, end).next().map(|seen| seen.step)
    }

    /// Whether the packet was sent before those that have been seen already, and so was late, by
    /// its identification or its timestamp; `None` where neither tells. Where what it takes (up to
    /// `end`) was seen before, it is compared with the packets that took it, else with the newest.
    pub(super) fn is_late(&self, segment: &Segment, end: u32) -> Option<bool> {
        let mut seen = self.overlapping(segment.seq, end).peekable();
        if seen.peek().is_none() {
            return self.is_older(segment, self.newest?);
        }
        seen.try_fold(true, |all, seen| Some(all && self.is_older(segment, seen.marks)?))
    }

    fn is_older(&self, segment: &Segment, other: Marks) -> Option<bool> {
        if let (false, Some(ident), Some(other)) = (self.random, identified(segment), other.ident) {
            return Some(ident.wrapping_sub(other) > u16::MAX / 2);
        }
        let (value, other) = (segment.options.timestamps?.0, other.timestamp?);
        (value != other).then(|| before(value, other))
    }

    fn overlapping(&self, start: u32, end: u32) -> impl Iterator<Item = &Seen> {
        let overlaps = move |seen: &&Seen| {
            let seq = seen.print.seq;
            seq != seen.end && before(seq, end) && before(start, seen.end)
        };
        self.seen.iter().rev().filter(overlaps)
    }

    /// True where the newest packet was seen so shortly before that no timer can have run out.
    pub(super) fn is_soon(&self, segment: &Segment) -> bool {
        self.newest
            .is_some_and(|newest| segment.time.saturating_sub(newest.time) < limits::TRACE_REORDER)
    }

    /// Keeps a packet, which takes sequence numbers up to `end`; `ahead` where none that was sent
    /// after it has been seen.
    pub(super) fn keep(&mut self, segment: &Segment, end: u32, step: u64, ahead: bool) {
        if self.seen.len() == limits::TRACE_REMEMBERED {
            self.seen.pop_front();
        }
        // The kernel answers a SYN before there is a socket, with a number of no sequence.
        let ident = identified(segment).filter(|_| !segment.flags.has(Flags::SYN));
        let timestamp = segment.options.timestamps.map(|(value, _)| value);
        let marks = Marks { ident, timestamp, time: segment.time };
        self.seen.push_back(Seen { print: Print::of(segment), end, marks, step });
        // A SYN that is sent again may come behind data that went after it.
        let behind = segment.flags.has(Flags::SYN) && self.newest.is_some();
        if !ahead || end == segment.seq || behind {
            return;
        }
        if let (Some(ident), Some(last)) = (ident, self.newest.and_then(|newest| newest.ident)) {
            let step = ident.wrapping_sub(last);
            self.random |= step.min(step.wrapping_neg()) > limits::TRACE_IDENT_STEP;
            if step > u16::MAX / 2 && !self.random {
                return;
            }
        }
        self.newest = Some(marks);
    }
}

impl Print {
    fn of(segment: &Segment) -> Print {
        Print {
            seq: segment.seq,
            ack: segment.ack,
            flags: segment.flags,
            length: segment.length,
            window: segment.window,
            ident: segment.ident,
            timestamps: segment.options.timestamps,
        }
    }
}

/// Its identification, where it has one: zero is for packets that need none (RFC 6864).
fn identified(segment: &Segment) -> Option<u16> {
    segment.ident.filter(|&ident| ident != 0)
}
