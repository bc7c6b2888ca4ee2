//! Cuts a stream into the messages of one side of a transfer; contents are not copied twice.

use std::fmt;
use std::marker::PhantomData;

use sockeye_limits as limits;

use crate::frame::HEADER;

/// One of the two sides of a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The one that reads files.
    Sender,
    /// The one that writes them.
    Receiver,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Role::Sender => "sender",
            Role::Receiver => "receiver",
        })
    }
}

/// The beginning of some bytes of a peer, to be shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Excerpt {
    bytes: [u8; 40],
    length: u8,
    cut: bool,
}

impl Excerpt {
    pub(super) fn of(from: &[u8]) -> Excerpt {
        let mut bytes = [0; 40];
        let length = from.len().min(bytes.len());
        bytes[..length].copy_from_slice(&from[..length]);
        // At most 40.
        Excerpt { bytes, length: length as u8, cut: from.len() > length }
    }
}

impl fmt::Display for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = &self.bytes[..usize::from(self.length)];
        write!(f, "\"{}{}\"", bytes.escape_ascii(), if self.cut { "…" } else { "" })
    }
}

impl fmt::Debug for Excerpt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What is wrong with a payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flaw {
    /// It has this.
    Has(&'static str),
    /// It names a file so.
    Name(Excerpt),
}

/// The messages of one side.
pub trait Speech: Sized {
    /// Whose they are.
    const ROLE: Role;

    /// How many bytes of them may wait for whoever hears them, while that is busy saying something.
    const AHEAD: usize;

    /// True for what is said to people alone, and may be lost.
    fn is_note(&self) -> bool {
        false
    }

    /// The least and the most bytes of a payload of this kind; `None` for none of this side's.
    fn bounds(kind: u8) -> Option<(usize, usize)>;

    /// A message that is its payload, if this kind is such a one; else the payload again.
    ///
    /// # Errors
    /// The payload.
    fn data(kind: u8, payload: Vec<u8>) -> Result<Self, Vec<u8>>;

    /// Any message.
    ///
    /// # Errors
    /// What is wrong with it.
    fn read(kind: u8, payload: &[u8]) -> Result<Self, Flaw>;
}

/// A side of a transfer broke the protocol; the connection is of no more use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {guilty} {fault}. {}.", fault.remedy())]
pub struct Wrong {
    /// Who.
    pub guilty: Role,
    /// What it did.
    pub fault: Fault,
}

/// How the protocol was broken in a transfer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It sent a kind of frame that it has no right to.
    #[error("sent a frame of the unknown kind 0x{0:02x}")]
    UnknownKind(u8),
    /// It sent a header with a length that its kind cannot have.
    #[error("sent a frame of kind 0x{kind:02x} and {length} bytes, which is out of bounds")]
    Length {
        /// The kind.
        kind: u8,
        /// The length.
        length: u32,
    },
    /// It sent a payload that is not what its kind has.
    #[error("sent a frame of kind 0x{kind:02x} with {what}")]
    Malformed {
        /// The kind.
        kind: u8,
        /// What is wrong.
        what: &'static str,
    },
    /// It named a file so that it might be elsewhere, or nowhere.
    #[error("named a file {0}, which is no name within a directory")]
    Name(Excerpt),
    /// It answered with another name than was asked for.
    #[error("answered with the name {0}, which was not asked for")]
    NotAsked(Excerpt),
    /// It named a file twice in one directory, or one of our temporary files.
    #[error("named {0} where that name is taken")]
    Taken(Excerpt),
    /// It said something at a wrong time, or that cannot be.
    #[error("sent {0}")]
    OutOfOrder(&'static str),
    /// Its stream ended in the middle.
    #[error("ended the stream too early, the transfer is truncated")]
    Truncated,
}

impl Fault {
    /// What to do: one sentence without a full stop.
    pub fn remedy(&self) -> &'static str {
        match self {
            Fault::Name(_) | Fault::NotAsked(_) | Fault::Taken(_) => {
                "Copy nothing from there unless you trust that side"
            }
            Fault::Truncated => "Check whether it was stopped or the network failed, and try again",
            _ => "Use the same release of sockeye on both sides, and try again",
        }
    }
}

impl Wrong {
    /// The sender named a file that was not asked for.
    pub fn not_asked(name: &[u8]) -> Wrong {
        Wrong { guilty: Role::Sender, fault: Fault::NotAsked(Excerpt::of(name)) }
    }

    /// The sender named a file that it had named before, or that is ours alone.
    pub fn taken(name: &[u8]) -> Wrong {
        Wrong { guilty: Role::Sender, fault: Fault::Taken(Excerpt::of(name)) }
    }
}

/// Collects what comes from a stream and hands on messages of one side.
#[derive(Debug)]
pub struct Frames<M> {
    buffer: Vec<u8>,
    /// What is in `buffer[start..end]` came and was not handed on.
    start: usize,
    end: usize,
    /// The payload of a long frame, how much of it is there, and its kind.
    open: Option<(Vec<u8>, usize, u8)>,
    broken: Option<Wrong>,
    /// Memory of payloads that were used, for the next.
    spare: Vec<Vec<u8>>,
    messages: PhantomData<fn() -> M>,
}

/// Payloads of this many bytes or more are read to where they stay.
const LONG: usize = 16 * 1024;
/// Payloads of this many bytes or more take memory that was used: shorter ones would hold too much.
const REUSED: usize = limits::FRAME_DATA_MAX / 2;

impl<M: Speech> Frames<M> {
    /// Goes on with a stream of which these bytes have come already.
    pub fn new(rest: Vec<u8>) -> Frames<M> {
        let end = rest.len();
        let (open, broken, spare) = (None, None, Vec::new());
        Frames { buffer: rest, start: 0, end, open, broken, spare, messages: PhantomData }
    }

    /// Takes back the payload of a message, to be used again.
    pub fn reuse(&mut self, payload: Vec<u8>) {
        if self.spare.len() < limits::PAYLOADS_SPARE && payload.capacity() >= REUSED {
            self.spare.push(payload);
        }
    }

    /// Where to put the next bytes of the stream: not empty. Take all messages before.
    pub fn space(&mut self) -> &mut [u8] {
        if let Some((payload, filled, _)) = &mut self.open {
            return &mut payload[*filled..];
        }
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.end, 0);
            (self.start, self.end) = (0, self.end - self.start);
        }
        if self.buffer.len() - self.end < limits::WIRE_SPACE {
            self.buffer.resize(self.end + limits::WIRE_SPACE, 0);
        }
        &mut self.buffer[self.end..]
    }

    /// So many bytes came, at most as many as [`space`](Frames::space) had.
    pub fn filled(&mut self, count: usize) {
        match &mut self.open {
            Some((payload, filled, _)) => *filled = (*filled + count).min(payload.len()),
            None => self.end = (self.end + count).min(self.buffer.len()),
        }
    }

    /// The next message; `None` when more bytes are needed for it.
    ///
    /// # Errors
    /// What the side did wrong, now and from then on.
    pub fn message(&mut self) -> Result<Option<M>, Wrong> {
        match self.broken {
            Some(wrong) => Err(wrong),
            None => {
                self.cut().map_err(|fault| *self.broken.insert(Wrong { guilty: M::ROLE, fault }))
            }
        }
    }

    fn cut(&mut self) -> Result<Option<M>, Fault> {
        if let Some((payload, filled, kind)) = self.open.take() {
            if filled < payload.len() {
                self.open = Some((payload, filled, kind));
                return Ok(None);
            }
            return M::data(kind, payload)
                .or_else(|payload| M::read(kind, &payload))
                .map(Some)
                .map_err(|flaw| flaw.of(kind));
        }
        let held = &self.buffer[self.start..self.end];
        let Some((&[kind, a, b, c, d], rest)) = held.split_first_chunk::<HEADER>() else {
            return Ok(None);
        };
        let claimed = u32::from_be_bytes([a, b, c, d]);
        let (least, most) = M::bounds(kind).ok_or(Fault::UnknownKind(kind))?;
        let length = claimed as usize;
        if !(least..=most).contains(&length) {
            return Err(Fault::Length { kind, length: claimed });
        }
        if let Some(payload) = rest.get(..length) {
            let message = M::read(kind, payload).map_err(|flaw| flaw.of(kind))?;
            self.start += HEADER + length;
            return Ok(Some(message));
        }
        if length >= LONG {
            let spare = if length >= REUSED { self.spare.pop() } else { None };
            let (mut payload, filled) = (sized(spare, length), rest.len());
            payload[..filled].copy_from_slice(rest);
            (self.start, self.end) = (0, 0);
            self.open = Some((payload, filled, kind));
        }
        Ok(None)
    }

    /// The memory that it holds for what came and will come, in bytes.
    pub fn capacity(&self) -> usize {
        let spare: usize = self.spare.iter().map(Vec::capacity).sum();
        let open = self.open.as_ref().map_or(0, |(payload, ..)| payload.capacity());
        self.buffer.capacity() + open + spare
    }

    /// True where a part of a frame is there.
    pub fn has_begun(&self) -> bool {
        self.start < self.end || self.open.is_some()
    }

    /// True where [`message`](Frames::message) has something to say: a message, or what is wrong.
    pub fn has_whole(&self) -> bool {
        if self.broken.is_some() {
            return true;
        }
        if let Some((payload, filled, _)) = &self.open {
            return *filled == payload.len();
        }
        let held = &self.buffer[self.start..self.end];
        let Some((&[kind, a, b, c, d], rest)) = held.split_first_chunk::<HEADER>() else {
            return false;
        };
        let length = u32::from_be_bytes([a, b, c, d]) as usize;
        // What is out of bounds, or long, is for `message` to see at once.
        let fits = M::bounds(kind).is_some_and(|(least, most)| (least..=most).contains(&length));
        !fits || rest.len() >= length || length >= LONG
    }

    /// The stream ended.
    ///
    /// # Errors
    /// [`Fault::Truncated`] in the middle of a frame; what the side did wrong before.
    pub fn end(&self) -> Result<(), Wrong> {
        match self.broken {
            Some(wrong) => Err(wrong),
            None if self.has_begun() => Err(Wrong { guilty: M::ROLE, fault: Fault::Truncated }),
            None => Ok(()),
        }
    }
}

/// So many bytes, in this memory where there is some. What was there may still be: whoever takes it
/// writes all of it before anybody reads it.
fn sized(memory: Option<Vec<u8>>, length: usize) -> Vec<u8> {
    match memory {
        Some(mut bytes) => {
            bytes.resize(length, 0);
            bytes
        }
        None => vec![0; length],
    }
}

impl Flaw {
    fn of(self, kind: u8) -> Fault {
        match self {
            Flaw::Has(what) => Fault::Malformed { kind, what },
            Flaw::Name(name) => Fault::Name(name),
        }
    }
}
