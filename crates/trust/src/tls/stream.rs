//! A connection after its handshake: bytes in and out, and an end that cannot be forged.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::config::Spoken;
use super::wire::Wire;
use crate::key::PublicKey;

/// The TLS library's words for a missing close_notify are for programmers.
fn truncated(error: io::Error) -> io::Error {
    const SENTENCE: &str = "truncated: it ended without the other side's last word (close_notify)";
    match error.kind() {
        io::ErrorKind::UnexpectedEof => io::Error::new(error.kind(), SENTENCE),
        _ => error,
    }
}

macro_rules! stream {
    ($(#[$doc:meta])* $name:ident, $side:ident) => {
        $(#[$doc])*
        ///
        /// Shutting it down sends close_notify. A stream that ended without the peer's reads as
        /// [`io::ErrorKind::UnexpectedEof`]: somebody cut it (RFC 8446, section 6.1).
        #[derive(Debug)]
        pub struct $name<S> {
            inner: tokio_rustls::$side::TlsStream<Wire<S>>,
            peer: PublicKey,
        }

        impl<S> $name<S> {
            pub(super) fn new(
                inner: tokio_rustls::$side::TlsStream<Wire<S>>,
                peer: PublicKey,
            ) -> $name<S> {
                $name { inner, peer }
            }

            /// The key that the other side proved.
            pub fn peer(&self) -> PublicKey {
                self.peer
            }

            /// The stream underneath. Reading from or writing to it breaks the connection.
            pub fn io(&self) -> &S {
                &self.inner.get_ref().0.io
            }

            /// What is spoken, for a person: `TLS 1.3, X25519MLKEM768, TLS13_AES_128_GCM_SHA256`.
            pub fn describe(&self) -> String {
                Spoken(self.inner.get_ref().1).to_string()
            }

            #[cfg(test)]
            pub(super) fn session(&self) -> &tokio_rustls::$side::TlsStream<Wire<S>> {
                &self.inner
            }
        }

        impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for $name<S> {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                Pin::new(&mut self.inner).poll_read(cx, buf).map_err(truncated)
            }
        }

        impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for $name<S> {
            fn poll_write(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bytes: &[u8],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.inner).poll_write(cx, bytes)
            }

            fn poll_write_vectored(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                pieces: &[io::IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                Pin::new(&mut self.inner).poll_write_vectored(cx, pieces)
            }

            fn is_write_vectored(&self) -> bool {
                self.inner.is_write_vectored()
            }

            fn poll_flush(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                Pin::new(&mut self.inner).poll_flush(cx)
            }

            fn poll_shutdown(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                Pin::new(&mut self.inner).poll_shutdown(cx)
            }
        }
    };
}

stream! {
    /// The server's end of a connection whose client has proved its key.
    ServerStream, server
}

stream! {
    /// The client's end of a connection whose server has proved its key. Whether the server takes
    /// the client's key shows with the first read: see [`super::explain_read`].
    ClientStream, client
}
