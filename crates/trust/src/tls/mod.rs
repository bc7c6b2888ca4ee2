//! TLS 1.3 between two Ed25519 keys (RFC 8446, RFC 7250), over any stream of bytes.
//!
//! There are no certificates, no names, no resumption, no early data: a key proves itself anew in
//! each handshake, so a removed one is out at once. The caller bounds the time of a handshake.

mod client;
mod config;
mod error;
#[cfg(any(test, feature = "testing"))]
pub(crate) mod forge;
mod handshake;
mod incoming;
mod outgoing;
mod protect;
mod records;
mod server;
mod stream;
#[cfg(test)]
mod tests;
mod verify;

pub use client::{Expect, connect};
pub use config::{prepare, signing_content_ok};
pub use error::{HandshakeError, explain_read};
pub use server::Acceptor;
pub use stream::TlsStream;
