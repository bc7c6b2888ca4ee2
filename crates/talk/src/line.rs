//! The line that a conversation runs over: a connected stream or datagram socket on the event loop.

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::sync::Arc;

use rustix::net::{RecvFlags, SendFlags};
use socket2::Socket;
use sockeye_net::sys::watch::Watched;
use sockeye_net::{self as net, Endpoint, Operation, Stream};
use tokio::io::{
    AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, Interest, ReadHalf, WriteHalf,
};
use tokio::sync::Mutex;

use crate::error::Error;

/// A connected, non-blocking socket, its endpoint known for messages.
pub struct Line {
    wire: Wire,
    endpoint: Endpoint,
}

enum Wire {
    Stream(Watched<Stream>),
    Datagram(Watched<Socket>),
    Secured(Secured),
}

/// A connection that is more than its socket, as TLS: each direction has its own half.
struct Secured {
    reader: Mutex<ReadHalf<Box<dyn Duplex>>>,
    writer: Mutex<WriteHalf<Box<dyn Duplex>>>,
}

/// Any stream of bytes both ways. Shutting it down ends our direction alone.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// What one receive gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// Bytes that were put into the buffer. 0 is the end of a stream, or an empty datagram.
    pub kept: usize,
    /// The datagram's own length: more than `kept` where the buffer was too short.
    pub length: usize,
}

impl Line {
    /// The line over a connected stream, which is made non-blocking.
    ///
    /// # Errors
    /// [`Operation::Socket`] where the event loop does not take the socket.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O.
    pub fn stream(stream: Stream, endpoint: &Endpoint) -> Result<Line, Error> {
        let watched = stream
            .set_nonblocking(true)
            .and_then(|()| Watched::new(Arc::new(stream), Interest::READABLE | Interest::WRITABLE))
            .map_err(|error| net::Error::new(Operation::Socket, endpoint, error))?;
        Ok(Line { wire: Wire::Stream(watched), endpoint: endpoint.clone() })
    }

    /// The line over a stream that somebody has secured already.
    pub fn secured(stream: Box<dyn Duplex>, endpoint: &Endpoint) -> Line {
        let (reader, writer) = tokio::io::split(stream);
        let secured = Secured { reader: Mutex::new(reader), writer: Mutex::new(writer) };
        Line { wire: Wire::Secured(secured), endpoint: endpoint.clone() }
    }

    /// The line over a connected datagram socket, which is made non-blocking.
    ///
    /// # Errors
    /// [`Operation::Socket`] where the event loop does not take the socket.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O.
    pub fn datagram(socket: Socket, endpoint: &Endpoint) -> Result<Line, Error> {
        let watched = socket
            .set_nonblocking(true)
            .and_then(|()| Watched::new(Arc::new(socket), Interest::READABLE | Interest::WRITABLE))
            .map_err(|error| net::Error::new(Operation::Socket, endpoint, error))?;
        Ok(Line { wire: Wire::Datagram(watched), endpoint: endpoint.clone() })
    }

    /// The other end, as the user wrote it.
    pub fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// True where bytes flow without boundaries.
    pub fn is_stream(&self) -> bool {
        !matches!(self.wire, Wire::Datagram(_))
    }

    /// Waits for bytes or a datagram, or a stream's end.
    ///
    /// # Errors
    /// As recv(2); on UDP an ICMP error that an earlier datagram caused.
    pub async fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        match &self.wire {
            Wire::Stream(watched) => {
                let kept = when_readable(watched, |stream| stream.recv(buffer)).await?;
                Ok(Received { kept, length: kept })
            }
            Wire::Secured(Secured { reader, .. }) => {
                let kept = reader.lock().await.read(buffer).await?;
                Ok(Received { kept, length: kept })
            }
            Wire::Datagram(watched) => {
                // TRUNC: the second number is the datagram's length even where it did not fit.
                let mut take = |socket: &Socket| {
                    let got = rustix::net::recv(socket, &mut *buffer, RecvFlags::TRUNC)?;
                    Ok(Received { kept: got.0, length: got.1 })
                };
                // Linux reports an ICMP error with EPOLLERR and no EPOLLIN, which tokio counts as
                // the writing side's news; so both are waited for.
                tokio::select! {
                    got = when_readable(watched, &mut take) => got,
                    error = error_reported(watched) => Err(error),
                }
            }
        }
    }

    /// Sends one datagram, or as much of the bytes as a stream takes now: at least one.
    ///
    /// # Errors
    /// As send(2), without SIGPIPE.
    pub async fn send(&self, bytes: &[u8]) -> io::Result<usize> {
        match &self.wire {
            Wire::Stream(watched) => when_writable(watched, |stream| stream.send(bytes)).await,
            Wire::Secured(Secured { writer, .. }) => {
                let mut writer = writer.lock().await;
                let n = writer.write(bytes).await?;
                writer.flush().await?;
                Ok(n)
            }
            Wire::Datagram(watched) => {
                let put =
                    |socket: &Socket| Ok(rustix::net::send(socket, bytes, SendFlags::NOSIGNAL)?);
                when_writable(watched, put).await
            }
        }
    }

    /// Ends our direction of a stream (FIN). Datagrams have no end.
    ///
    /// # Errors
    /// As shutdown(2), but never `ENOTCONN`.
    pub async fn end(&self) -> io::Result<()> {
        match &self.wire {
            Wire::Stream(watched) => watched.get().shutdown(Shutdown::Write),
            Wire::Secured(Secured { writer, .. }) => writer.lock().await.shutdown().await,
            Wire::Datagram(_) => Ok(()),
        }
    }

    /// An error that the socket has met since the last call (SO_ERROR, socket(7)).
    pub fn pending_error(&self) -> Option<io::Error> {
        let socket = match &self.wire {
            Wire::Stream(watched) => watched.get().socket(),
            Wire::Datagram(watched) => watched.get(),
            Wire::Secured(_) => return None,
        };
        socket.take_error().ok().flatten()
    }
}

async fn when_readable<T: AsFd, R>(
    watched: &Watched<T>,
    mut call: impl FnMut(&T) -> io::Result<R>,
) -> io::Result<R> {
    loop {
        let mut ready = watched.readable().await?;
        match call(watched.get()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// The call comes first and the wait only after it says `WouldBlock`, so that readiness that
/// [`error_reported`] has cleared holds nobody up.
async fn when_writable<T: AsFd, R>(
    watched: &Watched<T>,
    mut call: impl FnMut(&T) -> io::Result<R>,
) -> io::Result<R> {
    loop {
        match call(watched.get()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            other => return other,
        }
        let mut ready = watched.writable().await?;
        match call(watched.get()) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}

/// Waits until the socket has an error. Each cleared readiness comes back with the kernel's next
/// report, of an error or of room.
async fn error_reported(watched: &Watched<Socket>) -> io::Error {
    loop {
        match watched.writable().await {
            Ok(mut ready) => ready.clear_ready(),
            Err(error) => return error,
        }
        match watched.get().take_error() {
            Ok(None) => {}
            Ok(Some(error)) | Err(error) => return error,
        }
    }
}
