//! Transfers: what the two sides say while files move (section X of PROTOCOL.md).
//!
//! A client asks for a transfer with a [`Transfer`]; from the server's answer on the connection
//! belongs to it. One side is the *sender*, which reads, the other the *receiver*, which writes;
//! either may be the client. [`message`] says what can be said, [`codec`] how it looks,
//! [`Exchange`] who may say it when: it is fed with what both sides say and holds at either end,
//! because every answer comes behind what it answers.

pub mod codec;
mod exchange;
mod frames;
mod held;
pub mod message;
mod request;

pub use exchange::Exchange;
pub use frames::{Excerpt, Fault, Flaw, Frames, Role, Speech, Wrong};
pub use message::{
    Chunk, Entry, FromReceiver, FromSender, Hash, Meta, Name, Node, Note, Owner, Resume, Tally,
    Time,
};
pub use request::{Filter, Options, Placement, Transfer, Way};
pub(crate) use request::{decode, encode};

use sockeye_limits as limits;

/// How many bytes of a file are proved together: the file's BLAKE3 hash is a tree, and an aligned
/// segment of a power of two bytes is one subtree of it. 1 MiB, and more in files of more than
/// 16 GiB, so that the proofs of a whole file fit one frame (clause P-X9).
pub fn segment(size: u64) -> u64 {
    let least = size.div_ceil(limits::FILE_SEGMENTS).max(limits::FILE_SEGMENT);
    least.checked_next_power_of_two().unwrap_or(1 << 63)
}
