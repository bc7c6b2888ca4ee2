//! Drivers move bytes between a connection and a responder: *blocking* and *event*.
//!
//! Both do the same in the same order: open, then read, respond, write, until the peer's end or
//! the service's; then our end, and a bounded wait for the peer's, so that nothing that is still
//! on its way is destroyed by a reset. A driver never reads on while a reply is not written.

pub(crate) mod blocking;
pub(crate) mod event;

use std::io;

use sockeye_limits as limits;

use crate::responder::Reply;

/// What a driver needs while it turns, and a waiting connection does not.
pub(crate) struct Scratch {
    pub(crate) buffer: Vec<u8>,
    pub(crate) reply: Reply,
}

impl Scratch {
    /// A buffer of `size` bytes.
    pub(crate) fn new(size: usize) -> Scratch {
        Scratch { buffer: vec![0; size], reply: Reply::default() }
    }
}

/// A service that answers more at once than the driver will hold.
fn check(reply: &Reply) -> io::Result<()> {
    if reply.own().len() > limits::REPLY_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "the service's reply is too long"));
    }
    Ok(())
}
