//! What a history is made of: packets, calls, what the kernel says of states.

use std::borrow::Cow;
use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use crate::packet::{Frame, Link, Packet};
pub use crate::sockets::State;

/// One of the two ends: who opened, and who was opened to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The end that called connect.
    Client,
    /// The end that listened.
    Server,
}

impl Side {
    /// The other one.
    #[must_use]
    pub fn other(self) -> Side {
        match self {
            Side::Client => Side::Server,
            Side::Server => Side::Client,
        }
    }

    /// `client` or `server`.
    pub fn name(self) -> &'static str {
        match self {
            Side::Client => "client",
            Side::Server => "server",
        }
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The control bits of a segment (RFC 9293, section 3.1), as they stand in the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Flags(pub u8);

impl Flags {
    /// No more data from the sender.
    pub const FIN: Flags = Flags(0x01);
    /// Synchronise sequence numbers.
    pub const SYN: Flags = Flags(0x02);
    /// Reset the connection.
    pub const RST: Flags = Flags(0x04);
    /// Push.
    pub const PSH: Flags = Flags(0x08);
    /// The acknowledgement number counts.
    pub const ACK: Flags = Flags(0x10);
    /// The urgent pointer counts.
    pub const URG: Flags = Flags(0x20);
    /// ECN-Echo (RFC 3168).
    pub const ECE: Flags = Flags(0x40);
    /// Congestion window reduced (RFC 3168).
    pub const CWR: Flags = Flags(0x80);

    /// True where all bits of `other` are set.
    pub fn has(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }
}

impl std::ops::BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

/// `SYN,ACK`; `none` without any.
impl fmt::Display for Flags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const NAMES: [(Flags, &str); 8] = [
            (Flags::SYN, "SYN"),
            (Flags::FIN, "FIN"),
            (Flags::RST, "RST"),
            (Flags::PSH, "PSH"),
            (Flags::ACK, "ACK"),
            (Flags::URG, "URG"),
            (Flags::ECE, "ECE"),
            (Flags::CWR, "CWR"),
        ];
        let mut between = "";
        for (flag, name) in NAMES {
            if self.has(flag) {
                write!(f, "{between}{name}")?;
                between = ",";
            }
        }
        if between.is_empty() { f.write_str("none") } else { Ok(()) }
    }
}

/// The options of a segment that the history looks at (RFC 9293, 7323, 2018).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// Maximum segment size, in bytes.
    pub mss: Option<u16>,
    /// Window scale: the window is to be shifted left so many bits.
    pub window_scale: Option<u8>,
    /// The sender takes selective acknowledgements.
    pub sack_permitted: bool,
    /// Selective acknowledgements: from (inclusive) and to (exclusive), absolute.
    pub sack: Vec<(u32, u32)>,
    /// Timestamps: TSval and TSecr.
    pub timestamps: Option<(u32, u32)>,
}

/// What one TCP packet was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Segment {
    /// Since the start of the trace.
    pub time: Duration,
    /// Its source.
    pub from: SocketAddr,
    /// Its destination.
    pub to: SocketAddr,
    /// Its control bits.
    pub flags: Flags,
    /// The sequence number, absolute.
    pub seq: u32,
    /// The acknowledgement number, absolute; it counts where ACK is set.
    pub ack: u32,
    /// The window as it stands in the header, not scaled.
    pub window: u16,
    /// Its options.
    pub options: Options,
    /// The identification of IPv4, which tells a copy from a second sending; `None` on IPv6.
    pub ident: Option<u16>,
    /// The beginning of its payload, at most [`sockeye_limits::TRACE_PAYLOAD`] bytes.
    pub payload: Vec<u8>,
    /// How long the payload is, in bytes.
    pub length: usize,
    /// The packet as it was captured, for `--layers`.
    pub frame: Frame,
}

impl Segment {
    /// A segment without flags, numbers and payload, its window open, at the start of the trace: for
    /// examples and tests.
    pub fn empty(from: SocketAddr, to: SocketAddr) -> Segment {
        Segment {
            time: Duration::ZERO,
            from,
            to,
            flags: Flags::default(),
            seq: 0,
            ack: 0,
            window: u16::MAX,
            options: Options::default(),
            ident: None,
            payload: Vec::new(),
            length: 0,
            frame: Frame::new(Link::Ip, &[], 0),
        }
    }
}

/// One UDP datagram.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Datagram {
    /// Since the start of the trace.
    pub time: Duration,
    /// Its source.
    pub from: SocketAddr,
    /// Its destination.
    pub to: SocketAddr,
    /// The beginning of its payload, at most [`sockeye_limits::TRACE_PAYLOAD`] bytes.
    pub payload: Vec<u8>,
    /// How long the payload is, in bytes.
    pub length: usize,
    /// The packet as it was captured.
    pub frame: Frame,
}

/// Why a packet did not arrive, as ICMP has it (RFC 792, RFC 4443).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// Nobody has the port open.
    Port,
    /// The host does not answer.
    Host,
    /// No route to the network.
    Network,
    /// A firewall forbids it.
    Prohibited,
    /// It is longer than the way ahead takes; so many bytes would pass, where it is said.
    TooBig(Option<u32>),
    /// It went through too many routers, or its fragments did not come together.
    TimeExceeded,
    /// Another reason: ICMP's type and code.
    Other(u8, u8),
}

/// An ICMP error about a packet of the conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreachable {
    /// Since the start of the trace.
    pub time: Duration,
    /// Who says so.
    pub from: IpAddr,
    /// The source of the packet that it is about.
    pub about_from: SocketAddr,
    /// That packet's destination.
    pub about_to: SocketAddr,
    /// Why.
    pub reason: Reason,
    /// The packet as it was captured.
    pub frame: Frame,
}

/// How far a call has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallResult {
    /// It began; what it returns is told by another `Call` of the same name.
    Begun,
    /// It returned this number (0 or a count of bytes).
    Done(u64),
    /// It failed: the error's name and text, `ECONNREFUSED: …`.
    Failed(String),
}

/// A system call of one of the ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// When it began, or returned where [`CallResult::Begun`] was told before.
    pub time: Duration,
    /// Whose it is.
    pub side: Side,
    /// Its name: `connect`, `send`, `recv`, `shutdown`, `close` …
    pub name: Cow<'static, str>,
    /// What stands between its parentheses, or what it brought, for people.
    pub text: String,
    /// How far it has come.
    pub result: CallResult,
}

/// Something that happened to a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// A TCP packet was seen.
    Segment(Segment),
    /// A UDP datagram was seen.
    Datagram(Datagram),
    /// An ICMP error was seen.
    Unreachable(Unreachable),
    /// One of the ends called the system.
    Call(Call),
    /// The kernel says that a socket changed its state, or (`old` = `new`) which it has.
    State {
        /// Since the start of the trace.
        time: Duration,
        /// Whose socket.
        side: Side,
        /// Its state before.
        old: State,
        /// Its state now.
        new: State,
    },
    /// The kernel says that an end waits in TIME-WAIT.
    TimeWait {
        /// Since the start of the trace.
        time: Duration,
        /// Which end.
        side: Side,
        /// How long still.
        remaining: Duration,
    },
    /// So many packets were not captured: the history has a gap.
    Missed {
        /// Since the start of the trace.
        time: Duration,
        /// How many.
        count: u64,
    },
}

impl Event {
    /// When it happened, since the start of the trace.
    pub fn time(&self) -> Duration {
        match self {
            Event::Segment(Segment { time, .. })
            | Event::Datagram(Datagram { time, .. })
            | Event::Unreachable(Unreachable { time, .. })
            | Event::Call(Call { time, .. })
            | Event::State { time, .. }
            | Event::TimeWait { time, .. }
            | Event::Missed { time, .. } => *time,
        }
    }
}

impl From<Segment> for Event {
    fn from(segment: Segment) -> Event {
        Event::Segment(segment)
    }
}

impl From<Packet> for Event {
    fn from(packet: Packet) -> Event {
        match packet {
            Packet::Segment(segment) => Event::Segment(segment),
            Packet::Datagram(datagram) => Event::Datagram(datagram),
            Packet::Unreachable(error) => Event::Unreachable(error),
        }
    }
}
