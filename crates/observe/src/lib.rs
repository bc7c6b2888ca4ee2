//! Looks at sockets and never touches them: `sockeye ports` and `sockeye trace` as a library.
//!
//! [`sockets`] asks the kernel for its tables of sockets, [`owners`] finds the processes that have
//! them open, [`counters`] reads what the kernel counts (overflows, drops), and [`tune`] says what
//! the settings that matter do on the running kernel. A [`snapshot`] is all of it at one moment.
//!
//! [`packet`] decodes what was captured, [`history`] makes of it what happened to a connection, and
//! [`draw`] draws that. [`capture`] is where packets come from, [`netns`] a private network to capture
//! in, [`pcap`] a file of them, [`talk`] a conversation that is traced, and [`live`] the connections of
//! others.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(missing_docs))]

pub mod capture;
pub mod counters;
pub mod draw;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod fuzzing;
pub mod history;
pub mod live;
pub mod netns;
pub mod owners;
pub mod packet;
pub mod pcap;
pub mod snapshot;
pub mod sockets;
pub mod talk;
#[cfg(test)]
mod testing;
pub mod tune;
