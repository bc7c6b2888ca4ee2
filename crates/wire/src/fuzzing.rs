//! For tests: the bodies of the fuzz targets, as plain functions that panic where something is wrong.
//!
//! The targets in `fuzz/` call them with what the fuzzer makes up; tests call them with the
//! committed corpora and with random bytes.

mod bytes;
mod operations;
mod sayings;
mod transfer;

pub use bytes::{client_bytes, server_bytes};
pub use operations::operations;
pub use sayings::transfer_operations;
#[cfg(test)]
pub(crate) use transfer::{Frame, cut};
pub use transfer::{transfer_receiver_bytes, transfer_sender_bytes};

use crate::plain::{PlainError, Reply, ReplyDecoder};

/// A plain reply of any bytes, whole and in pieces, comes to the same; what is taken can be made
/// and taken again.
pub fn plain_reply(data: &[u8]) {
    let whole = feed_plain(data, data.len().max(1));
    for piece in [1, 3, 7] {
        assert_eq!(feed_plain(data, piece), whole, "cut into pieces of {piece}");
    }
    if let Ok(reply) = whole {
        let encoded = reply.encode().expect("escaped, at most six times what came: far too short");
        let again = feed_plain((encoded.digits + &encoded.json).as_bytes(), 11);
        assert_eq!(again.as_ref(), Ok(&reply));
    }
}

fn feed_plain(data: &[u8], piece: usize) -> Result<Reply, PlainError> {
    let mut decoder = ReplyDecoder::new();
    let mut reply = None;
    for piece in data.chunks(piece) {
        match decoder.feed(piece) {
            Ok(found) => reply = reply.or(found),
            Err(error) => {
                assert_eq!(decoder.feed(b"1"), Err(error), "an error is forgotten");
                return Err(error);
            }
        }
    }
    decoder.end().map(|()| reply.expect("a decoder that is at its end has handed on a reply"))
}
