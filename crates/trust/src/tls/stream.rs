//! A connection after its handshake: bytes in and out, and an end that cannot be forged.

use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use rustls::Error as TlsError;
use sockeye_limits as limits;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::handshake::Established;
use super::incoming::Incoming;
use super::outgoing::Outgoing;
use super::protect;
use super::records::{Over, Records};
use crate::key::PublicKey;

/// One end of a connection on which both sides have proved their keys. Whether a server takes the
/// client's key shows with the client's first read: see [`super::explain_read`].
///
/// Shutting it down sends close_notify. A stream that ended without the peer's reads as
/// [`io::ErrorKind::UnexpectedEof`]: somebody cut it (RFC 8446, section 6.1).
pub struct TlsStream<S> {
    io: S,
    records: Records,
    incoming: Incoming,
    outgoing: Outgoing,
    peer: PublicKey,
    spoken: String,
}

impl<S> TlsStream<S> {
    pub(super) fn new(io: S, established: Established, peer: PublicKey) -> TlsStream<S> {
        let Established { records, rest, spoken, .. } = established;
        let (incoming, outgoing) = (Incoming::new(rest), Outgoing::default());
        TlsStream { io, records, incoming, outgoing, peer, spoken }
    }

    /// The key that the other side proved.
    pub fn peer(&self) -> PublicKey {
        self.peer
    }

    /// The stream underneath. Reading from or writing to it breaks the connection.
    pub fn io(&self) -> &S {
        &self.io
    }

    /// What is spoken, for a person: `TLS 1.3, X25519MLKEM768, TLS13_AES_128_GCM_SHA256`.
    pub fn describe(&self) -> String {
        self.spoken.clone()
    }

    #[cfg(test)]
    pub(super) fn records(&mut self) -> &mut Records {
        &mut self.records
    }

    #[cfg(test)]
    pub(super) fn io_mut(&mut self) -> &mut S {
        &mut self.io
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    /// Opens whole records that are there, for as long as there is room for data and none has failed.
    fn take(&mut self, buf: &mut ReadBuf<'_>) -> Result<(), TlsError> {
        loop {
            self.incoming.give(buf);
            if buf.remaining() == 0 || self.records.over().is_some() {
                return Ok(());
            }
            let Some(record) = self.incoming.next()? else { return Ok(()) };
            let opened = self.records.open(record, 0, self.outgoing.records());
            self.incoming.opened(opened);
        }
    }

    /// Reads once: encrypted bytes to where their plaintext is wanted, if there is much room, and opens
    /// them there; otherwise to our own buffer. False at the end of the stream.
    fn poll_more(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<bool>> {
        if buf.remaining() < limits::TLS_DIRECT_READ {
            let mut room = ReadBuf::new(self.incoming.room());
            ready!(Pin::new(&mut self.io).poll_read(cx, &mut room))?;
            let read = room.filled().len();
            self.incoming.filled(read);
            return Poll::Ready(Ok(read > 0));
        }
        let room = buf.initialize_unfilled();
        // The beginning of a record that is here already; it stays ours until there is more.
        let begun = self.incoming.begun().len();
        room[..begun].copy_from_slice(self.incoming.begun());
        let mut more = ReadBuf::new(&mut room[begun..]);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut more))?;
        let read = more.filled().len();
        if read > 0 {
            self.incoming.passed_by();
            let opened = self.open_all(&mut room[..begun + read]);
            buf.advance(opened);
        }
        Poll::Ready(Ok(read > 0))
    }

    /// Opens all whole records of these bytes; their data is moved together at the start. Keeps the
    /// beginning of the next. Returns how much data there is.
    fn open_all(&mut self, bytes: &mut [u8]) -> usize {
        let (mut at, mut data) = (0, 0);
        while self.records.over().is_none() {
            match protect::whole(&bytes[at..]) {
                Ok(Some(length)) => {
                    let record = &mut bytes[data..at + length];
                    data += self.records.open(record, at - data, self.outgoing.records());
                    at += length;
                }
                Ok(None) => break,
                Err(error) => self.records.fail(error, self.outgoing.records()),
            }
        }
        // Behind an end nothing is opened any more.
        let rest = if self.records.over().is_none() { at } else { bytes.len() };
        self.incoming.keep(&bytes[rest..]);
        data
    }

    /// Tries to send the alert about a failure. A writer that waits does it itself, and is not woken by
    /// somebody else's attempt; nobody waits for this one.
    fn last_gasp(&mut self, had_rest: bool) {
        if !had_rest && !self.outgoing.is_empty() {
            let mut cx = Context::from_waker(Waker::noop());
            let _ = self.outgoing.poll_drain(&mut cx, &mut self.io);
        }
    }

    fn poll_data(&mut self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        loop {
            if let Err(error) = self.take(buf) {
                self.records.fail(error, self.outgoing.records());
            }
            // Data that came before an end is handed out before it.
            if buf.filled().len() > before || buf.remaining() == 0 {
                return Poll::Ready(Ok(()));
            }
            match self.records.over() {
                Some(Over::Closed) => return Poll::Ready(Ok(())),
                Some(Over::Failed(error)) => return Poll::Ready(Err(failed(error))),
                None => {}
            }
            if !ready!(self.poll_more(cx, buf))? {
                return Poll::Ready(Err(truncated()));
            }
        }
    }

    /// Makes records of data.
    fn seal(&mut self, data: &[u8]) -> io::Result<()> {
        for plaintext in data.chunks(protect::MOST) {
            let sealed = self.records.data(plaintext, self.outgoing.records());
            sealed.map_err(|error| failed(&error))?;
        }
        Ok(())
    }

    /// Ready once everything is sent that was said, where more may be said.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.outgoing.poll_drain(cx, &mut self.io))?;
        Poll::Ready(match (self.records.over(), self.records.closed()) {
            // It may be known before it is read.
            (Some(Over::Failed(error)), _) => Err(failed(error)),
            (_, true) => {
                Err(io::Error::new(io::ErrorKind::BrokenPipe, "the connection was closed"))
            }
            _ => Ok(()),
        })
    }
}

fn failed(error: &TlsError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.clone())
}

fn truncated() -> io::Error {
    const SENTENCE: &str = "truncated: it ended without the other side's last word (close_notify)";
    io::Error::new(io::ErrorKind::UnexpectedEof, SENTENCE)
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let (had_rest, was_open) = (!this.outgoing.is_empty(), !this.records.closed());
        let result = this.poll_data(cx, buf);
        if was_open && this.records.closed() {
            this.last_gasp(had_rest);
        }
        result
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    /// Encrypts and sends as much as the stream underneath takes. What is encrypted and not yet sent is
    /// sent with the next write, or a flush.
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        let mut taken = 0;
        loop {
            match this.poll_room(cx)? {
                Poll::Pending if taken == 0 => return Poll::Pending,
                Poll::Ready(()) if taken < bytes.len() => {}
                _ => return Poll::Ready(Ok(taken)),
            }
            // A little more than is sent at once goes with it: it would wake the peer for next to nothing.
            let left = &bytes[taken..];
            let count = match left.len() > limits::TLS_WRITE_BUFFER + protect::MOST {
                true => limits::TLS_WRITE_BUFFER,
                false => left.len(),
            };
            this.seal(&left[..count])?;
            taken += count;
        }
    }

    /// The same for pieces that belong together: each begins a record of its own, and all are sent at once
    /// where they are not too much for that.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let all: usize = pieces.iter().map(|piece| piece.len()).sum();
        if all > limits::TLS_WRITE_BUFFER + protect::MOST {
            let first = pieces.iter().find(|piece| !piece.is_empty());
            return self.poll_write(cx, first.map_or(&[][..], |piece| piece));
        }
        let this = &mut *self;
        ready!(this.poll_room(cx))?;
        for piece in pieces {
            this.seal(piece)?;
        }
        // What is not sent now is sent with the next write, or a flush.
        let _ = this.outgoing.poll_drain(cx, &mut this.io)?;
        Poll::Ready(Ok(all))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.outgoing.poll_drain(cx, &mut this.io))?;
        this.outgoing.shrink();
        Pin::new(&mut this.io).poll_flush(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        this.records.close(this.outgoing.records()).map_err(|error| failed(&error))?;
        ready!(this.outgoing.poll_drain(cx, &mut this.io))?;
        Pin::new(&mut this.io).poll_shutdown(cx)
    }
}

impl<S> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TlsStream({}, {})", self.peer.fingerprint(), self.spoken)
    }
}
