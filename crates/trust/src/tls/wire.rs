//! The stream under TLS: remembers what the peer sent first, and reads ahead when there is much.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use sockeye_limits as limits;
use sockeye_net::Pages;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// A stream with a read buffer of its own. The TLS library asks for 4 KiB at a time, which would
/// be a system call each; so once a read filled all that was asked for, the next one takes as much
/// as there is. A connection that says little has no buffer.
#[derive(Debug)]
pub(super) struct Wire<S> {
    pub(super) io: S,
    first: [u8; limits::FIRST_BYTES],
    first_len: usize,
    buffer: Pages,
    start: usize,
    end: usize,
    busy: bool,
}

impl<S> Wire<S> {
    pub(super) fn new(io: S) -> Wire<S> {
        Wire {
            io,
            first: [0; limits::FIRST_BYTES],
            first_len: 0,
            buffer: Pages::default(),
            start: 0,
            end: 0,
            busy: false,
        }
    }

    /// The first bytes that the peer sent, at most [`limits::FIRST_BYTES`].
    pub(super) fn first(&self) -> &[u8] {
        &self.first[..self.first_len]
    }

    fn remember(&mut self, bytes: &[u8]) {
        let room = &mut self.first[self.first_len..];
        let n = room.len().min(bytes.len());
        room[..n].copy_from_slice(&bytes[..n]);
        self.first_len += n;
    }
}

impl<S: AsyncRead + Unpin> Wire<S> {
    /// Reads straight into the caller's buffer.
    fn read_through(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buf))?;
        self.busy = buf.remaining() == 0;
        if self.first_len < limits::FIRST_BYTES {
            self.remember(&buf.filled()[before..]);
        }
        Poll::Ready(Ok(()))
    }

    /// Fills our own buffer, which is empty.
    fn read_ahead(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.buffer.is_empty() {
            self.buffer = Pages::new(limits::TLS_READ_BUFFER);
        }
        let mut all = ReadBuf::new(&mut self.buffer);
        ready!(Pin::new(&mut self.io).poll_read(cx, &mut all))?;
        (self.start, self.end) = (0, all.filled().len());
        if self.first_len < limits::FIRST_BYTES {
            let piece: Vec<u8> = self.buffer[..self.end.min(limits::FIRST_BYTES)].to_vec();
            self.remember(&piece);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Wire<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if this.start == this.end {
            if !this.busy {
                return this.read_through(cx, buf);
            }
            ready!(this.read_ahead(cx))?;
        }
        let n = buf.remaining().min(this.end - this.start);
        buf.put_slice(&this.buffer[this.start..this.start + n]);
        this.start += n;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Wire<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
