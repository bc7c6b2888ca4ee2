//! Load for a server: when to send, how to count, and the workers that do it.
//!
//! A [`Plan`] says what is sent where and how fast, [`run`] does it and tells an [`Observer`] a few
//! times a second how it goes, and a [`Report`] says what came of it. Schedules, patterns and reports
//! are pure: time is an argument. The same for bulk data in [`throughput`].
//!
//! Latency counts from the time at which a request was *meant* to be sent. At a fixed rate
//! ([`Pace::Open`]) a server that stalls shows in every request that it kept from being sent. Without
//! one ([`Pace::Closed`]) a connection waits for its answer before it asks again, so that a stall
//! shows once a connection; a report says which of the two it was.
#![forbid(unsafe_code)]

mod arrivals;
mod collect;
pub mod cores;
mod count;
pub mod draw;
mod error;
mod flight;
pub mod models;
mod numbered;
mod plan;
pub mod process;
mod progress;
mod report;
mod run;
mod schedule;
pub mod server;
mod target;
#[cfg(test)]
mod tests;
mod text;
pub mod throughput;
mod worker;

pub use error::{Error, ErrorKind};
pub use plan::{Pace, Plan, Verify};
pub use progress::{Observer, Phase, Progress};
pub use report::{Datagrams, Report, Second, Warmup, Whole};
pub use run::run;
