//! One step of a history: an event, the states after it, and what is worth saying about it.

use std::time::Duration;

use super::event::{Event, Side, State};

/// An event and what it means.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Its number, from 1.
    pub number: u64,
    /// What happened.
    pub event: Event,
    /// Who sent the packet or made the call; `None` where neither end did.
    pub side: Option<Side>,
    /// Since the packet before this one; since the start of the trace for the first.
    pub since: Duration,
    /// The client's state afterwards; `None` while nothing tells it.
    pub client: Option<State>,
    /// The server's state afterwards; `None` while nothing tells it.
    pub server: Option<State>,
    /// The sequence number relative to the sender's first, of a segment.
    pub seq: u32,
    /// The acknowledgement number relative to the peer's first, of a segment with ACK.
    pub ack: Option<u32>,
    /// The window in bytes, of a segment, scaled where both ends agreed to.
    pub window: u32,
    /// The step of the call that caused the packet.
    pub cause: Option<u64>,
    /// What is worth saying about it.
    pub notes: Vec<Note>,
}

impl Step {
    /// The state of one side afterwards.
    pub fn state(&self, side: Side) -> Option<State> {
        match side {
            Side::Client => self.client,
            Side::Server => self.server,
        }
    }
}

/// What a step is remarkable for.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// The first, second or third packet of the handshake.
    Handshake(u8),
    /// A SYN that crosses the peer's: both open (RFC 9293, figure 7).
    CrossingSyn,
    /// The first FIN: this side ends its direction.
    FirstFin,
    /// The peer's FIN is acknowledged alone: the direction back stays open for now.
    FinAcknowledged,
    /// The second FIN, after the first was acknowledged: the close takes four packets.
    SecondFin,
    /// The second FIN, which carries the acknowledgement of the first: three packets.
    FinRides,
    /// A FIN that crosses the peer's: both close at once (RFC 9293, figure 13).
    CrossingFin,
    /// The last acknowledgement of the close.
    LastAck,
    /// It was sent before, in the step of this number where that was seen.
    Retransmission(Option<u64>),
    /// The same packet as in the step of this number, doubled on its way.
    Copy(u64),
    /// Sent before a packet that was seen before it.
    OutOfOrder,
    /// So many bytes before it have not been seen.
    Skips(u32),
    /// It acknowledges what was not seen: the capture has a gap.
    AcknowledgesUnseen,
    /// The same acknowledgement again, for the so-manieth time: something arrived out of order.
    DuplicateAck(u32),
    /// Asks whether the peer is still there.
    KeepAlive,
    /// Answers a keepalive or a probe.
    KeepAliveAnswer,
    /// Asks whether the peer's window is still closed.
    WindowProbe,
    /// The receiver has no room left.
    ZeroWindow,
    /// The receiver has room again.
    WindowOpens,
    /// A RST that answers a SYN: nobody listens.
    Refusal,
    /// A RST that ends the connection.
    Reset,
    /// A RST from a side whose socket was closed already.
    ResetAfterClose,
    /// A RST that the peer has to ignore: its number is not within the window.
    StrayReset,
    /// A packet whose numbers belong to no connection that is known here.
    Stray,
    /// The server says SYN,ACK again although the ACK of the first was seen: it did not take it.
    AcceptQueue,
    /// The same addresses begin a new connection.
    Anew,
}
