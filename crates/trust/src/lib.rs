//! Keys, agent, known hosts, authorised keys, and the TLS that they make.
//!
//! Both ends of a connection prove themselves with Ed25519 keys as OpenSSH keeps them. The way of
//! a connection: a client finds its keys ([`identity`]), dials, and [`tls::connect`] asks whether
//! the server's key is the known one ([`known`]); the server looks at the first bytes ([`hello`]),
//! and [`tls::Acceptor::accept`] asks whether the client's key is authorised ([`authorized`]).
//! Text of foreign origin in errors is escaped already.
#![forbid(unsafe_code)]

pub mod agent;
pub mod authorized;
mod blob;
pub mod file;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod hello;
mod host_key;
pub mod identity;
mod key;
pub mod known;
mod lines;
mod pair;
mod pattern;
pub mod place;
pub mod prompt;
mod strict;
pub mod tls;

#[cfg(test)]
mod testing;

pub use host_key::{HostKeyError, host_key};
pub use key::{Fingerprint, KeyParseError, PublicKey};
pub use lines::Warning;
pub use pair::{KeyPair, SignError, Signer};
pub use strict::ListError;
