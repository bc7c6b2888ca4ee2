//! Drivers move bytes between a connection and a responder: *blocking* and *event*.
//!
//! Both do the same in the same order: open, then read, respond, write, until the peer's end or
//! the service's; then our end, and a bounded wait for the peer's, so that nothing that is still
//! on its way is destroyed by a reset. A driver never reads on while a reply is not written.

pub(crate) mod blocking;
pub mod channel;
pub(crate) mod event;

use std::io;

use sockeye_limits as limits;

use crate::end::ServiceFault;
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

/// A service must not answer more at once than a driver will hold, nor with more of its input than
/// came: behind it in the buffer are bytes of other connections.
fn check(reply: &Reply, input: usize) -> io::Result<()> {
    if reply.own().len() > limits::REPLY_MAX || reply.in_place_len() > input {
        return Err(io::Error::other(ServiceFault));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::end::{End, Why};

    /// Q4, L2: a service that answers too much ends its connection and shows nobody else's bytes.
    #[test]
    fn greedy_service() {
        let mut reply = Reply::default();
        reply.in_place(5);
        assert!(check(&reply, 5).is_ok());
        let error = check(&reply, 4).unwrap_err();
        assert_eq!(End::failed(&error), End::ours(Why::Panic));
        reply.clear();
        reply.push(&vec![0; limits::REPLY_MAX + 1]);
        assert!(check(&reply, 0).is_err());
    }
}
