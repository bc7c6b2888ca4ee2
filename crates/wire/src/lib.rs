//! The host protocol: bytes in, values out. No sockets, clock, threads or files.
//!
//! PROTOCOL.md at the root of the tree is the protocol in numbered clauses. Here a [`Server`] or a
//! [`Client`] is one end of it, a state machine that is fed with what came from a reliable byte
//! stream and that appends what is to be sent to a buffer of the caller. Time is an argument: a
//! [`Duration`](std::time::Duration) since any moment, as long as it is always the same one.
//!
//! ```
//! # use std::time::Duration;
//! # use sockeye_wire::{Client, Program, Run, Server, ToServer};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let now = Duration::ZERO;
//! let (mut client, mut server) = (Client::new(now), Server::new(now));
//!
//! // What the client says first goes out in one piece.
//! let mut out = Vec::new();
//! client.hello("sockeye/0.1.0", &mut out)?;
//! client.run(&Run::new(Program::Line(b"uptime".to_vec())), &mut out)?;
//!
//! // The server reads it where there is space, and takes messages until there are none.
//! server.space()[..out.len()].copy_from_slice(&out);
//! server.filled(out.len());
//! assert!(matches!(server.next(now)?, Some(ToServer::Hello(_))));
//! assert!(matches!(server.next(now)?, Some(ToServer::Run(_))));
//! assert!(server.next(now)?.is_none());
//! # Ok(())
//! # }
//! ```
//!
//! In reading order: [`message`] says what can be said, [`frame`] how it looks on the wire,
//! [`server`] and [`client`] who may say it when, [`error`] what goes wrong. [`plain`] is the other,
//! older form of remote commands.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(missing_docs))]

pub mod client;
mod codec;
mod decoder;
pub mod error;
mod field;
pub mod files;
pub mod frame;
#[cfg(any(test, feature = "testing"))]
pub mod fuzzing;
pub mod message;
#[cfg(any(test, feature = "testing"))]
pub mod pair;
pub mod plain;
mod rate;
mod run;
pub mod server;
pub mod signal;
mod stdin;
#[cfg(test)]
mod tests;

pub use client::Client;
pub use decoder::Decoder;
pub use error::{Fault, FirstBytes, Misuse, ProtocolError, Side};
pub use frame::HEADER;
pub use message::{
    Ended, Failure, FailureKind, Hello, Phase, Program, Run, Status, Terminal, ToClient, ToServer,
    WindowSize,
};
pub use run::InvalidRun;
pub use server::Server;
pub use signal::{Signal, UnknownSignal};

/// The version of the protocol that this crate speaks.
pub const VERSION: u16 = 1;

/// The protocol's name in TLS (ALPN, RFC 7301).
pub const ALPN: &[u8] = b"sockeye-host/1";
