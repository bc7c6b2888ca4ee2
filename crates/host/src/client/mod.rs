//! The client's side of remote commands.

mod local;
mod reach;
mod remote;
mod terminal;

pub use local::{Input, Output};
pub use reach::{Duplex, FirstContact, Reach, ReachError};
pub use remote::{CallError, Control, Local, Remote};
pub use terminal::{Impatient, RawTerminal, controls, window_size};
