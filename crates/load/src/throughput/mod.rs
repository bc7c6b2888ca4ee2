//! Bulk data: how many bytes a second go one way, or both, and what becomes of datagrams.
//!
//! Streams need a service at the other end that takes or makes as much as it can: `discard`,
//! `chargen`, `echo`. Datagrams that go up are counted by a [`Receiver`], which is asked for its
//! counts; both ways an `echo` sends them back, and they are counted here.

mod dgram;
mod lane;
mod line;
mod packet;
mod plan;
mod receive;
mod report;
mod run;

pub use plan::{Direction, ThroughputPlan};
pub use receive::Receiver;
pub use report::{StreamFigures, ThroughputReport, ThroughputSecond};
pub use run::run;
