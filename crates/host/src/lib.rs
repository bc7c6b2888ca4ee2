//! Remote commands: server sessions, client calls, child processes.
//!
//! On the server [`Host`] is a session of `sockeye-serve`: the *gate* proves who is there, the
//! session takes one command after another, and a [`job`] is a command as a child process.
//! [`Secured`] puts the same gate before a service that answers by itself; [`plain`] is the older,
//! unguarded conversation for loopback. On the client [`client::Reach`] makes a connection and
//! [`client::Remote`] runs commands over it.
#![forbid(unsafe_code)]

mod account;
mod audit;
pub mod client;
pub mod files;
mod gate;
mod gated;
pub mod job;
mod link;
pub mod plain;
mod quote;
mod rules;
pub mod secured;
mod server;

pub use quote::quoted;
pub use rules::{ACCEPT_ENV, Rules};
pub use secured::Secured;
pub use server::Host;
