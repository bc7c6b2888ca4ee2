//! Encrypted bytes as they came, and data that was opened among them and not yet taken.

use std::ops::Range;

use rustls::Error as TlsError;
use sockeye_limits as limits;
use sockeye_net::Pages;
use tokio::io::ReadBuf;

use super::protect;

/// Our own buffer for what is read. A connection that says little has a small one.
pub(super) struct Incoming {
    buffer: Pages,
    /// Of the buffer: data to be taken. It lies before what is still encrypted.
    data: Range<usize>,
    /// Of the buffer: what is still encrypted.
    sealed: Range<usize>,
    /// Of the buffer: where the record begins that is being opened.
    record: usize,
    /// Where the room of the last read ended, and whether it was filled.
    room: usize,
    busy: bool,
}

impl Incoming {
    /// With encrypted bytes that came behind the handshake.
    pub(super) fn new(rest: Vec<u8>) -> Incoming {
        let mut incoming = Incoming {
            buffer: Pages::default(),
            data: 0..0,
            sealed: 0..0,
            record: 0,
            room: 0,
            busy: false,
        };
        incoming.keep(&rest);
        incoming
    }

    /// Gives data to be taken.
    pub(super) fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let count = buf.remaining().min(self.data.len());
        buf.put_slice(&self.buffer[self.data.start..self.data.start + count]);
        self.data.start += count;
    }

    /// The next whole record, which [`Incoming::opened`] makes data of.
    ///
    /// # Errors
    /// For what can be no record.
    pub(super) fn next(&mut self) -> Result<Option<&mut [u8]>, TlsError> {
        let Some(length) = protect::whole(&self.buffer[self.sealed.clone()])? else {
            return Ok(None);
        };
        self.record = self.sealed.start;
        self.sealed.start += length;
        Ok(Some(&mut self.buffer[self.record..self.sealed.start]))
    }

    /// So much data lies now at the start of the record.
    pub(super) fn opened(&mut self, length: usize) {
        self.data = self.record..self.record + length;
    }

    /// The beginning of a record, while no more of it is there.
    pub(super) fn begun(&self) -> &[u8] {
        &self.buffer[self.sealed.clone()]
    }

    /// Keeps the beginning of a record in place of what there was.
    pub(super) fn keep(&mut self, begun: &[u8]) {
        self.sealed = 0..0;
        self.at_least(begun.len());
        self.buffer[..begun.len()].copy_from_slice(begun);
        self.sealed.end = begun.len();
    }

    /// Room to read to, behind the beginning of a record. There is no data then.
    ///
    /// As long as others read much to where they want it, this is for what is left of a record, or for
    /// little: what is read here is copied once more.
    pub(super) fn room(&mut self) -> &mut [u8] {
        let begun = self.sealed.clone();
        self.sealed = 0..begun.len();
        self.buffer.copy_within(begun, 0);
        let end = match (self.busy, protect::length(self.begun())) {
            (true, _) => limits::TLS_READ_BUFFER,
            // There is no whole record, so this is behind what is there.
            (false, Some(length)) => length,
            (false, None) => self.sealed.end + limits::TLS_LITTLE_READ,
        };
        self.at_least(end);
        self.room = end;
        &mut self.buffer[self.sealed.end..end]
    }

    /// So many bytes were read there.
    pub(super) fn filled(&mut self, count: usize) {
        self.sealed.end += count;
        self.busy = self.sealed.end == self.room;
    }

    /// Bytes were read elsewhere.
    pub(super) fn passed_by(&mut self) {
        self.busy = false;
    }

    /// A larger buffer, where this one is too small.
    fn at_least(&mut self, length: usize) {
        if self.buffer.len() < length {
            let little = length <= limits::TLS_LITTLE_READ;
            let much = length.max(limits::TLS_READ_BUFFER);
            let mut larger = Pages::new(if little { length } else { much });
            larger[..self.sealed.len()].copy_from_slice(&self.buffer[self.sealed.clone()]);
            self.sealed = 0..self.sealed.len();
            self.buffer = larger;
        }
    }
}
