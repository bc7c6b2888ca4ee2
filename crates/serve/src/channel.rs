//! A connection as an async byte stream, for sessions: reads and writes are counted, so that
//! deadlines and events know of them.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use sockeye_limits as limits;
use sockeye_net::sys::watch::Watched;
use sockeye_net::{Address, Stream};
use tokio::io::{AsyncRead, AsyncWrite, Interest, ReadBuf};

use crate::connections::Conn;

/// One connection, read and written on an event loop.
pub struct Channel(Watched<Conn>);

impl Channel {
    /// The connection on the current event loop; its socket is made non-blocking.
    pub(crate) fn new(conn: &Arc<Conn>) -> io::Result<Channel> {
        conn.stream().set_nonblocking(true)?;
        let interest = Interest::READABLE | Interest::WRITABLE;
        Ok(Channel(Watched::new(Arc::clone(conn), interest)?))
    }

    /// Our own address.
    ///
    /// # Errors
    /// As getsockname(2).
    pub fn local(&self) -> io::Result<Address> {
        self.0.get().stream().local()
    }

    /// True where the connection is over in both directions: see [`Stream::has_hung_up`].
    ///
    /// # Errors
    /// As poll(2).
    pub fn has_hung_up(&self) -> io::Result<bool> {
        self.0.get().stream().has_hung_up()
    }
}

/// One EAGAIN may be spurious: the kernel is asked before the wait.
fn is_blocked(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
}

impl AsyncRead for Channel {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut ready = ready!(self.0.poll_readable(cx))?;
            let conn = self.0.get();
            match conn.stream().recv(buffer.initialize_unfilled()) {
                Ok(n) => {
                    conn.received(n);
                    buffer.advance(n);
                    return Poll::Ready(Ok(()));
                }
                Err(error) if is_blocked(&error) => {
                    if !conn.stream().wait_readable(Some(Duration::ZERO))? {
                        ready.clear_ready();
                    }
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl Channel {
    fn poll_send(
        &mut self,
        cx: &mut Context<'_>,
        send: impl Fn(&Stream) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        loop {
            let mut ready = ready!(self.0.poll_writable(cx))?;
            let conn = self.0.get();
            match send(conn.stream()) {
                Ok(n) => {
                    conn.sent(n);
                    return Poll::Ready(Ok(n));
                }
                Err(error) if is_blocked(&error) => {
                    if !conn.stream().wait_writable(Some(Duration::ZERO))? {
                        ready.clear_ready();
                    }
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Channel {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_send(cx, |stream| stream.send(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // Beyond IOV_MAX sendmsg(2) fails; what is left comes again.
        let pieces = &pieces[..pieces.len().min(limits::SEND_PIECES)];
        self.poll_send(cx, |stream| stream.send_vectored(pieces))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.0.get().stream().shutdown(Shutdown::Write))
    }
}
