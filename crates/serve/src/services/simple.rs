//! The services without state: `upper`, `echo` (RFC 862), `discard` (RFC 863), and the shape of
//! those that say one thing and close.

use crate::responder::{Flow, Reply, Responder};

/// ASCII upper case, byte for byte; bytes over 127 unchanged.
pub(super) struct Upper;

impl Responder for Upper {
    fn respond(&mut self, input: &mut [u8], reply: &mut Reply) -> Flow {
        input.make_ascii_uppercase();
        reply.in_place(input.len());
        Flow::Continue
    }

    fn datagram(&mut self, input: &mut [u8], reply: &mut Reply) {
        // What has no lower case stays as it is, and that is all that a loop consists of.
        if !input.iter().any(u8::is_ascii_lowercase) {
            reply.bounce();
        }
        self.respond(input, reply);
    }
}

/// The same bytes back.
pub(super) struct Echo;

impl Responder for Echo {
    fn respond(&mut self, input: &mut [u8], reply: &mut Reply) -> Flow {
        reply.in_place(input.len());
        Flow::Continue
    }
}

/// Nothing back.
pub(super) struct Discard;

impl Responder for Discard {
    fn respond(&mut self, _input: &mut [u8], _reply: &mut Reply) -> Flow {
        Flow::Continue
    }
}

/// Says one thing to whoever connects, and closes; to a datagram it is the answer.
pub(super) struct Announce(pub(super) fn() -> Vec<u8>);

impl Responder for Announce {
    fn open(&mut self, reply: &mut Reply) -> Flow {
        reply.push(&(self.0)());
        Flow::Close
    }

    fn respond(&mut self, _input: &mut [u8], _reply: &mut Reply) -> Flow {
        Flow::Close
    }

    fn datagram(&mut self, _input: &mut [u8], reply: &mut Reply) {
        reply.push(&(self.0)());
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// V1: every byte of any value, however it is cut, and nothing else changes.
        #[test]
        fn upper(mut input in proptest::collection::vec(any::<u8>(), 1..300)) {
            let expected: Vec<u8> = input.iter().map(|byte| match byte {
                b'a'..=b'z' => byte - 32,
                other => *other,
            }).collect();
            let mut reply = Reply::default();
            prop_assert_eq!(Upper.respond(&mut input, &mut reply), Flow::Continue);
            prop_assert_eq!(&input[..reply.in_place_len()], &expected[..]);
            prop_assert!(reply.own().is_empty());
        }
    }

    /// V2: echo answers an empty datagram with an empty one; discard answers nothing.
    #[test]
    fn empty_datagram() {
        let mut reply = Reply::default();
        Echo.datagram(&mut [], &mut reply);
        assert!(reply.answers());
        reply.clear();
        Discard.datagram(&mut [1, 2], &mut reply);
        assert!(!reply.answers());
    }
}
