//! The plain form of remote commands (clauses P-P1 to P-P10): a line goes there, a length and a JSON
//! array come back. Nobody is asked who he is, so it is for loopback and Unix sockets.

mod client;
mod presence;
mod server;

pub use client::{PlainCallError, ask};
pub use server::Command;
