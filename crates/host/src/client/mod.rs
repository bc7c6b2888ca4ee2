//! The client's side of remote commands.

mod controls;
mod lent;
mod local;
mod reach;
mod remote;
mod terminal;
#[cfg(test)]
mod tests;

pub use controls::{Control, Controls};
pub use local::{Input, Output};
pub use reach::{Duplex, FirstContact, Reach, ReachError};
pub use remote::{CallError, Local, Remote};
pub use terminal::{KeptTerminal, RawTerminal, window_size};
