//! Whether anybody is left to take an answer, when a client has said its end.
//!
//! A client that has only ended its side of a connection waits for its answer; one that has closed
//! it, or was killed, does not. To our socket both look alike on TCP (a FIN), so we ask the kernel
//! about the other end: the plain form is spoken on one machine only.

use std::net::SocketAddr;

use sockeye_limits as limits;
use sockeye_net::Peer;
use sockeye_net::sys::holder::{OtherEnd, other_end};
use sockeye_serve::Channel;
use tokio::time::sleep;

/// Looks after the other end of one connection.
pub(super) struct Presence {
    /// Theirs and ours, over TCP.
    ends: Option<(SocketAddr, SocketAddr)>,
    /// Their end was seen open.
    seen: bool,
}

impl Presence {
    pub(super) fn new(channel: &Channel, peer: &Peer) -> Presence {
        let ours = channel.local().ok().and_then(|local| local.inet());
        Presence { ends: peer.address.inet().zip(ours), seen: false }
    }

    /// True where nobody has the other end any more. Where the kernel does not show it (another
    /// network namespace, rewritten addresses), it counts as there.
    fn is_gone(&mut self, channel: &Channel) -> bool {
        if channel.has_hung_up().unwrap_or(true) {
            return true;
        }
        let Some((theirs, ours)) = self.ends else { return false };
        match other_end(theirs, ours) {
            OtherEnd::Held => {
                self.seen = true;
                false
            }
            OtherEnd::Orphan => true,
            OtherEnd::Unseen => self.seen,
        }
    }

    /// Resolves when nobody has the other end any more.
    pub(super) async fn gone(&mut self, channel: &Channel) {
        let mut pause = limits::PLAIN_LOOK_FIRST;
        loop {
            sleep(pause).await;
            if self.is_gone(channel) {
                return;
            }
            pause = limits::PLAIN_LOOK.min(pause * 2);
        }
    }
}
