//! Services, drivers and concurrency models: what a connection does and who does the work.
//!
//! Three axes that know nothing of each other:
//!
//! - a [`Service`] makes [`Responder`]s: pure code, bytes in and bytes out;
//! - a [`Session`] is a service that needs more than its socket, an async function over it;
//! - a *driver* moves bytes between a connection and a responder; there are two, in [`drive`]:
//!   *blocking* (plain calls) and *event* (tokio);
//! - a [`Model`] decides where a connection's driver runs: here, in a thread, in a process, on an
//!   event loop.
//!
//! Everything around them is written once: taking connections in (`accept`), limits (`hall`),
//! deadlines (`connections`), events ([`Event`]), the life of a server ([`Server`]).
//!
//! A service of one's own is a screenful:
//!
//! ```
//! use sockeye_serve::{Flow, Reply, Responder, Service};
//!
//! struct Rot13;
//!
//! impl Responder for Rot13 {
//!     fn respond(&mut self, input: &mut [u8], reply: &mut Reply) -> Flow {
//!         for byte in input.iter_mut().filter(|b| b.is_ascii_alphabetic()) {
//!             let base = if byte.is_ascii_lowercase() { b'a' } else { b'A' };
//!             *byte = (*byte - base + 13) % 26 + base;
//!         }
//!         reply.in_place(input.len());
//!         Flow::Continue
//!     }
//! }
//!
//! let service = Service::new("rot13", || Rot13);
//! assert_eq!(service.name(), "rot13");
//! ```
#![forbid(unsafe_code)]

mod accept;
pub mod cells;
mod channel;
mod clock;
mod connections;
pub mod datagram;
mod door;
pub mod drive;
mod ear;
mod end;
mod event;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod fuzzing;
mod hall;
mod model;
mod penalty;
mod rate;
mod responder;
mod see_off;
mod server;
mod service;
pub mod services;
mod session;
mod settings;
mod signals;
mod worker;

pub use channel::Channel;
pub use end::{End, Side, Why};
pub use event::{Event, Observer};
pub use hall::Overflow;
pub use model::Model;
pub use responder::{Flow, Reply, Responder};
pub use server::{ServeError, Server, Stopper, Summary};
pub use service::Service;
pub use session::{
    Call, CommandNews, Entering, Front, Look, News, Offence, Proof, Serving, Session,
};
pub use settings::{Reload, Settings};
pub use worker::{is_worker, run_worker};
