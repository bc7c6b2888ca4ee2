//! What a history comes to: how the connection was opened and closed, who waits, what went wrong.

use std::time::Duration;

use sockeye_limits as limits;

use super::History;
use super::connection::{Connection, Stuck};
use super::event::{Reason, Side};

/// What was counted of one side's packets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Packets, copies aside.
    pub packets: u64,
    /// Bytes of payload, each once.
    pub bytes: u64,
    /// Packets that were sent again.
    pub retransmissions: u64,
    /// Packets that came doubled.
    pub copies: u64,
    /// Packets that came behind later ones.
    pub out_of_order: u64,
    /// Acknowledgements that only repeat the last.
    pub duplicate_acks: u64,
    /// How often it offered a window of 0 after another one.
    pub zero_windows: u64,
    /// Keepalives.
    pub keepalives: u64,
    /// Questions whether the peer's window is still closed.
    pub window_probes: u64,
    /// Resets.
    pub resets: u64,
    /// Packets whose numbers belong to no connection that is known here.
    pub strays: u64,
}

/// How a connection began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Opening {
    /// Nothing was seen yet, or datagrams, which need none.
    None,
    /// It was open when the history began.
    Unseen,
    /// The SYN has no answer, however often it was sent.
    Unanswered {
        /// How often it was sent.
        syns: u32,
    },
    /// A RST answered the SYN.
    Refused,
    /// The SYN was answered, the third packet was not seen.
    Half,
    /// The three-way handshake.
    Handshake {
        /// From SYN to SYN,ACK; unknown where either was sent more than once (Karn's rule, RFC 6298,
        /// section 3): which answered which nobody can tell.
        round_trip: Option<Duration>,
    },
    /// Both sides opened at once.
    Simultaneous,
}

/// How the two directions ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// FIN, ACK, FIN, ACK; in between the side that closed second sent so many bytes.
    FourPackets {
        /// Bytes after the first FIN.
        meanwhile: u64,
    },
    /// FIN, FIN with ACK, ACK: the second side had nothing left to send.
    ThreePackets,
    /// Both sent their FIN before they had the other's.
    Simultaneous,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Closing {
    /// It did not.
    Open,
    /// One direction ended, the other did not.
    HalfClosed {
        /// Who ended its direction.
        by: Side,
    },
    /// Both directions ended; the second FIN or the last acknowledgement was not seen.
    Unfinished {
        /// Who sent the first FIN.
        first: Side,
    },
    /// Both directions ended.
    Closed {
        /// Who sent the first FIN.
        first: Side,
        /// How.
        how: How,
    },
    /// A RST ended it.
    Reset {
        /// Who sent it.
        by: Side,
        /// It came after a FIN of the same side: its socket was closed while data still came.
        after_close: bool,
    },
}

/// An end that waits in TIME-WAIT.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeWait {
    /// Which.
    pub side: Side,
    /// Until when, since the start of the trace.
    pub until: Duration,
    /// The kernel says so; else it is what Linux does ([`sockeye_limits::TIME_WAIT`] from the last
    /// packet).
    pub told: bool,
}

/// Something that went wrong on the way, with what speaks for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// The server repeats its SYN,ACK although the third packet was seen: its accept queue is full,
    /// or the packet was lost behind this point.
    AcceptQueue,
    /// Long packets are sent again and again and not acknowledged, though the peer answers short
    /// ones: somewhere on the way they are too long, and nobody says so.
    BlackHole {
        /// Who sends them.
        side: Side,
        /// How long they are, in bytes of payload.
        size: usize,
    },
    /// A packet is sent again and again, and nothing comes back.
    Silence {
        /// Who sends it.
        side: Side,
        /// How long it is, in bytes of payload.
        size: usize,
        /// How often it was sent again.
        times: u32,
    },
    /// An ICMP error came.
    Unreachable(Reason),
    /// So many packets were not captured.
    Missed(u64),
}

/// What a history comes to, so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// How it began.
    pub opening: Opening,
    /// How it ended.
    pub closing: Closing,
    /// Who waits in TIME-WAIT.
    pub time_wait: Vec<TimeWait>,
    /// What was counted of the client's packets.
    pub client: Counts,
    /// What was counted of the server's packets.
    pub server: Counts,
    /// What went wrong.
    pub troubles: Vec<Trouble>,
    /// From the first event to the last.
    pub duration: Duration,
}

impl Verdict {
    /// Packets that either side sent again.
    pub fn retransmissions(&self) -> u64 {
        self.client.retransmissions + self.server.retransmissions
    }
}

/// The verdict of a history.
pub(super) fn of(history: &History) -> Verdict {
    let connection = &history.connection;
    let counts = |side: Side| {
        let end = connection.end(side);
        if history.tcp {
            Counts { bytes: end.bytes(), ..end.counts }
        } else {
            history.datagrams[side as usize]
        }
    };
    Verdict {
        opening: opening(connection),
        closing: closing(connection),
        time_wait: connection.waits.clone(),
        client: counts(Side::Client),
        server: counts(Side::Server),
        troubles: troubles(history),
        duration: history.last_time.saturating_sub(history.first_time.unwrap_or_default()),
    }
}

fn opening(connection: &Connection) -> Opening {
    let (client, server) = (connection.end(Side::Client), connection.end(Side::Server));
    if connection.refused {
        Opening::Refused
    } else if client.syn.is_none() && server.syn.is_none() {
        if client.joined || server.joined { Opening::Unseen } else { Opening::None }
    } else if client.syn.is_some() && server.syn.is_none() && !server.joined {
        Opening::Unanswered { syns: client.syns }
    } else if connection.crossing_syn {
        Opening::Simultaneous
    } else if client.syn_heard && server.syn_heard {
        let once = client.syns == 1 && server.syns == 1;
        Opening::Handshake { round_trip: connection.round_trip.filter(|_| once) }
    } else {
        Opening::Half
    }
}

fn closing(connection: &Connection) -> Closing {
    if let Some((by, after_close)) = connection.reset {
        return Closing::Reset { by, after_close };
    }
    let Some((first, _)) = connection.first else { return Closing::Open };
    let Some(how) = connection.how else {
        // The kernel's TIME-WAIT proves the other FIN, seen or not.
        let proved = connection.waits.iter().any(|wait| wait.told && wait.side == first);
        return match proved {
            true => Closing::Unfinished { first },
            false => Closing::HalfClosed { by: first },
        };
    };
    let heard = |side| connection.end(side).fin_heard;
    if heard(Side::Client) && heard(Side::Server) {
        Closing::Closed { first, how }
    } else {
        Closing::Unfinished { first }
    }
}

fn troubles(history: &History) -> Vec<Trouble> {
    let connection = &history.connection;
    let mut troubles = Vec::new();
    if connection.accept_queue {
        troubles.push(Trouble::AcceptQueue);
    }
    if let Some(stuck) = connection.stuck
        && stuck.times >= limits::TRACE_BLACK_HOLE_TIMES
    {
        let Stuck { side, size, times, answered, .. } = stuck;
        if answered && size > limits::TRACE_SMALL_PACKET && !connection.accept_queue {
            troubles.push(Trouble::BlackHole { side, size });
        } else if !answered {
            troubles.push(Trouble::Silence { side, size, times });
        }
    }
    troubles.extend(history.unreachable.iter().copied().map(Trouble::Unreachable));
    if history.missed > 0 {
        troubles.push(Trouble::Missed(history.missed));
    }
    troubles
}
