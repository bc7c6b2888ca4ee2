//! Frames: a byte of kind, four bytes of length, a payload (clause P-F1), and what bounds each kind.

use std::fmt;

use sockeye_limits as limits;

use crate::error::{Fault, Side};
use crate::message::WindowSize;

/// The length of a frame's header, in bytes.
pub const HEADER: usize = 5;

/// What a client's Hello begins with.
pub const CLIENT_MAGIC: [u8; 8] = *b"sockeye?";

/// What a server's Hello begins with. It differs, so that an echo is no server.
pub const SERVER_MAGIC: [u8; 8] = *b"sockeye!";

/// The magic of this side's Hello.
pub(crate) fn magic(side: Side) -> &'static [u8; 8] {
    match side {
        Side::Client => &CLIENT_MAGIC,
        Side::Server => &SERVER_MAGIC,
    }
}

/// The kind of a frame. Those of a server have their highest bit set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Kind {
    /// The client asks for a command.
    Run = 0x01,
    /// Standard input.
    Stdin = 0x02,
    /// The end of standard input.
    StdinEnd = 0x03,
    /// A signal for the command.
    Signal = 0x04,
    /// The window has another size.
    Resize = 0x05,
    /// The client asks for a transfer.
    Transfer = 0x06,
    /// The command runs.
    Started = 0x81,
    /// Standard output.
    Stdout = 0x82,
    /// Standard error.
    Stderr = 0x83,
    /// The command took so much of its standard input.
    StdinTaken = 0x84,
    /// The command reads no more.
    StdinClosed = 0x85,
    /// The command ended.
    Ended = 0x86,
    /// The command was not started.
    Failed = 0x87,
    /// The transfer begins.
    Ready = 0x88,
}

impl Kind {
    /// All of them.
    pub const ALL: [Kind; 14] = [
        Kind::Run,
        Kind::Stdin,
        Kind::StdinEnd,
        Kind::Signal,
        Kind::Resize,
        Kind::Transfer,
        Kind::Started,
        Kind::Stdout,
        Kind::Stderr,
        Kind::StdinTaken,
        Kind::StdinClosed,
        Kind::Ended,
        Kind::Failed,
        Kind::Ready,
    ];

    /// Who sends it.
    pub fn sender(self) -> Side {
        if self as u8 & 0x80 == 0 { Side::Client } else { Side::Server }
    }

    /// The least and the most bytes of its payload.
    pub fn bounds(self) -> (usize, usize) {
        match self {
            Kind::Run => (RUN_LEAST, limits::RUN_BYTES),
            Kind::Stdin | Kind::Stdout | Kind::Stderr => (1, limits::FRAME_DATA_MAX),
            Kind::Transfer => (TRANSFER_LEAST, limits::RUN_BYTES),
            Kind::StdinEnd | Kind::StdinClosed | Kind::Ready => (0, 0),
            Kind::Signal => (1, 1),
            Kind::Resize => (8, 8),
            Kind::Started | Kind::StdinTaken => (4, 4),
            Kind::Ended => (27, 27),
            Kind::Failed => (1, 1 + limits::FAILURE_TEXT),
        }
    }

    /// True for those whose payload is handed on as it comes.
    pub fn is_data(self) -> bool {
        matches!(self, Kind::Stdin | Kind::Stdout | Kind::Stderr)
    }

    fn from_byte(byte: u8) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == byte)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// The shortest Run: flags, a login shell, no variables.
const RUN_LEAST: usize = 1 + 1 + 4;

/// The shortest Transfer: three bytes, three numbers, a path of one byte, no patterns.
const TRANSFER_LEAST: usize = 3 + 3 * 4 + 4 + 5 + 4;

/// A header that is within its bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) length: usize,
}

impl Header {
    /// Reads a header that came from this side; nothing else is looked at, nothing allocated.
    pub(crate) fn read(bytes: [u8; HEADER], from: Side) -> Result<Header, Fault> {
        let [byte, length @ ..] = bytes;
        let claimed = u32::from_be_bytes(length);
        let kind = Kind::from_byte(byte)
            .filter(|kind| kind.sender() == from)
            .ok_or(Fault::UnknownKind(byte))?;
        let (least, most) = kind.bounds();
        match usize::try_from(claimed) {
            Ok(length) if (least..=most).contains(&length) => Ok(Header { kind, length }),
            _ => Err(Fault::Length { kind, length: claimed }),
        }
    }
}

/// The header of a frame of `length` bytes. Callers have checked it against the kind's bounds, all
/// of which fit four bytes.
pub(crate) fn header(kind: Kind, length: usize) -> [u8; HEADER] {
    let length = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [kind as u8, length[0], length[1], length[2], length[3]]
}

/// Appends a whole frame.
pub(crate) fn put(kind: Kind, payload: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(&header(kind, payload.len()));
    out.extend_from_slice(payload);
}

/// A window size as it is in Run and Resize: four numbers of two bytes.
pub(crate) fn window_bytes(size: WindowSize) -> [u8; 8] {
    let mut bytes = [0; 8];
    let numbers = [size.rows, size.columns, size.width, size.height];
    for (place, number) in bytes.chunks_exact_mut(2).zip(numbers) {
        place.copy_from_slice(&number.to_be_bytes());
    }
    bytes
}
