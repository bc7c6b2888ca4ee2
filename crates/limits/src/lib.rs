//! Every limit of sockeye in one place: its name, its default, its unit and why it is what it is.
//!
//! A file for each room. Nothing here is code. A limit that a user can change
//! says by which option; the others are fixed. A length that comes from a peer is compared with its
//! limit before anything is allocated.
#![forbid(unsafe_code)]

mod capture;
mod door;
mod files;
mod host;
mod load;
mod net;
mod observe;
mod serve;
mod talk;
mod trace;
mod trust;
mod wire;

pub use capture::*;
pub use door::*;
pub use files::*;
pub use host::*;
pub use load::*;
pub use net::*;
pub use observe::*;
pub use serve::*;
pub use talk::*;
pub use trace::*;
pub use trust::*;
pub use wire::*;
