//! The disk's side of a transfer: a *sender* reads trees, a *receiver* writes them beneath a handle.
//!
//! No network and no clock of its own: both engines are plain blocking code on threads of their
//! own, and speak through an [`Inbox`] and an [`Outbox`]. What may be said when is
//! [`sockeye_wire::files`].
#![forbid(unsafe_code)]

mod attributes;
mod chunk;
mod engine;
#[cfg(any(test, feature = "testing"))]
#[doc(hidden)]
pub mod fuzzing;
mod hash;
mod identity;
mod parcel;
pub mod receive;
pub mod send;
pub mod tree;

pub use engine::{Gone, Happening, Inbox, Observer, Outbox, Stopped};
pub use parcel::Parcel;
pub use receive::{Destination, receive};
pub use send::{Sent, Source, check_filters, explained, leaves_out, send};

#[cfg(test)]
mod pair;
#[cfg(test)]
mod testing;
