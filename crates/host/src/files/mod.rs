//! Files over the host protocol: what a server grants, and both ends of a transfer around the
//! engines of `sockeye-files`.

mod client;
mod confine;
mod grant;
mod headway;
mod pump;
mod refusal;
mod server;
mod sources;

pub use client::{Transit, begin};
pub(crate) use grant::Grant;
pub use pump::PumpError;
pub(crate) use server::{Moved, Moving};
pub use sources::{destination, sources};
