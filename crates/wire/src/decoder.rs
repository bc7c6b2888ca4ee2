//! Collects what comes from the stream and cuts it into frames, without copying payloads.

use sockeye_limits as limits;

use crate::VERSION;
use crate::error::{Fault, FirstBytes, Side};
use crate::frame::{HEADER, Header, magic};
use crate::message::Hello;

/// The buffer's size until a Run is longer, in bytes.
const BASE: usize = 2 * limits::WIRE_SPACE;

/// Magic, version, length of the program's name.
const HELLO_FIXED: usize = 8 + 2 + 1;

/// Collects bytes of the stream; [`Server`](crate::Server) and [`Client`](crate::Client) each have
/// one.
///
/// Data is handed on as it comes, so the buffer has to hold no more than a part of a control frame
/// and what one read brought: 128 KiB, and about 1 MiB while a long Run arrives.
#[derive(Debug, Default)]
pub struct Decoder {
    buffer: Vec<u8>,
    /// What is in `buffer[start..end]` came and was not handed on.
    start: usize,
    end: usize,
    /// The frame whose header was taken, with the bytes of its payload that are still to come.
    open: Option<Header>,
}

impl Decoder {
    /// An empty one. It allocates with the first [`space`](Decoder::space).
    pub fn new() -> Decoder {
        Decoder::default()
    }

    // Getters.

    /// What came and was not handed on, for whoever goes on with the stream.
    pub(crate) fn into_rest(mut self) -> Vec<u8> {
        self.buffer.truncate(self.end);
        self.buffer.drain(..self.start);
        self.buffer
    }

    /// True where nothing is held: no byte, and no frame that has begun.
    pub fn is_empty(&self) -> bool {
        self.start == self.end && self.open.is_none()
    }

    /// How many bytes came and were not handed on yet.
    pub fn buffered(&self) -> usize {
        self.end - self.start
    }

    /// The memory that it holds, in bytes.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    // Inputs.

    /// Where to put the next bytes of the stream: at least 64 KiB. Take all messages before, or the
    /// buffer grows.
    pub fn space(&mut self) -> &mut [u8] {
        if self.start == self.end {
            (self.start, self.end) = (0, 0);
            if self.buffer.len() > BASE {
                self.buffer = Vec::new();
            }
        }
        if self.buffer.len() - self.end < limits::WIRE_SPACE {
            self.make_room();
        }
        &mut self.buffer[self.end..]
    }

    /// So many bytes came, at most as many as [`space`](Decoder::space) had.
    pub fn filled(&mut self, count: usize) {
        debug_assert!(count <= self.buffer.len() - self.end, "more bytes than there was space");
        self.end = self.end.saturating_add(count).min(self.buffer.len());
    }

    /// Moves what is held to the front; grows only if that is not enough. Growing doubles, so a
    /// header alone makes nobody hold a megabyte.
    fn make_room(&mut self) {
        self.buffer.copy_within(self.start..self.end, 0);
        (self.start, self.end) = (0, self.end - self.start);
        let least = self.end + limits::WIRE_SPACE;
        if self.buffer.is_empty() {
            // Asked for as zeroed pages, which cost nothing before bytes come into them.
            self.buffer = vec![0; BASE];
        } else if self.buffer.len() < least {
            let longest = HEADER + limits::RUN_BYTES + limits::WIRE_SPACE;
            let length = (2 * self.buffer.len()).clamp(BASE, longest).max(least);
            self.buffer.reserve_exact(length - self.buffer.len());
            self.buffer.resize(length, 0);
        }
    }

    // Outputs.

    fn held(&self) -> &[u8] {
        &self.buffer[self.start..self.end]
    }

    /// The Hello of this side, once all of it is there (clause P-F2); where it is overdue, a part
    /// of it is a fault.
    pub(crate) fn hello(&mut self, from: Side, overdue: bool) -> Result<Option<Hello>, Fault> {
        match self.whole_hello(from)? {
            None if overdue => Err(self.stranger_or(from, Fault::HelloTimeout)),
            hello => Ok(hello),
        }
    }

    fn whole_hello(&mut self, from: Side) -> Result<Option<Hello>, Fault> {
        let held = self.held();
        let Some((first, rest)) = held.split_first_chunk::<8>() else { return Ok(None) };
        if first != magic(from) {
            return Err(Fault::NotSockeye { first: FirstBytes::new(first) });
        }
        let Some((version, rest)) = rest.split_first_chunk() else { return Ok(None) };
        let theirs = u16::from_be_bytes(*version);
        if theirs != VERSION {
            return Err(Fault::VersionMismatch { theirs, ours: VERSION });
        }
        let Some((&length, rest)) = rest.split_first() else { return Ok(None) };
        let length = usize::from(length);
        if !(1..=limits::HELLO_PROGRAM).contains(&length) {
            return Err(Fault::Hello);
        }
        let Some(name) = rest.get(..length) else { return Ok(None) };
        if !name.iter().all(|byte| is_printable(*byte)) {
            return Err(Fault::Hello);
        }
        let program = name.iter().map(|byte| char::from(*byte)).collect();
        self.start += HELLO_FIXED + length;
        Ok(Some(Hello { version: theirs, program }))
    }

    /// What a Hello that does not come on says about its sender: the fault, unless the bytes show
    /// a stranger.
    pub(crate) fn stranger_or(&self, from: Side, fault: Fault) -> Fault {
        let held = self.held();
        if magic(from).starts_with(&held[..held.len().min(8)]) {
            fault
        } else {
            Fault::NotSockeye { first: FirstBytes::new(held) }
        }
    }

    /// The frame that comes next or has begun, and whether its header is seen for the first time.
    /// The header is checked as soon as it is there.
    pub(crate) fn header(&mut self, from: Side) -> Result<Option<(Header, bool)>, Fault> {
        if let Some(header) = self.open {
            return Ok(Some((header, false)));
        }
        let Some(bytes) = self.held().first_chunk::<HEADER>() else { return Ok(None) };
        let header = Header::read(*bytes, from)?;
        self.start += HEADER;
        self.open = Some(header);
        Ok(Some((header, true)))
    }

    /// True where [`take`](Decoder::take) has something of the open frame to hand on: a part of it
    /// if it is data, else the whole.
    pub(crate) fn is_ready(&self) -> bool {
        match self.open {
            Some(header) if header.kind.is_data() => self.start < self.end,
            Some(header) => self.buffered() >= header.length,
            None => false,
        }
    }

    /// The payload of the open frame: of data, as much as is there. Empty where none is ready.
    pub(crate) fn take(&mut self) -> &[u8] {
        let Some(header) = self.open.take() else { return &[] };
        let length = header.length.min(self.end - self.start);
        let left = header.length - length;
        self.open = (left > 0).then_some(Header { kind: header.kind, length: left });
        let start = self.start;
        self.start += length;
        &self.buffer[start..start + length]
    }
}

/// A printable ASCII character, the space included.
pub(crate) fn is_printable(byte: u8) -> bool {
    (0x20..=0x7e).contains(&byte)
}
