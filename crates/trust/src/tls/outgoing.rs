//! Encrypted bytes on their way to the stream underneath.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use sockeye_limits as limits;
use tokio::io::AsyncWrite;

/// Room before the first record, so that its data does not lie 1 to 31 bytes further within a page than
/// where it comes from: some processors copy so very slowly (see `net::Pages`).
const LEAD: usize = 64;

/// Records that were made and not yet sent.
#[derive(Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    sent: usize,
}

impl Outgoing {
    /// Where the next record is appended.
    pub(super) fn records(&mut self) -> &mut Vec<u8> {
        if self.is_empty() {
            self.bytes.resize(LEAD, 0);
            self.sent = LEAD;
        }
        &mut self.bytes
    }

    /// True where all was sent.
    pub(super) fn is_empty(&self) -> bool {
        self.sent == self.bytes.len()
    }

    /// Gives memory back that was for more than what was sent last.
    pub(super) fn shrink(&mut self) {
        let kept = limits::TLS_WRITE_KEPT;
        if self.is_empty() && self.bytes.len() <= kept && self.bytes.capacity() > 2 * kept {
            *self = Outgoing::default();
        }
    }

    /// Sends everything.
    pub(super) fn poll_drain(
        &mut self,
        cx: &mut Context<'_>,
        io: &mut (impl AsyncWrite + Unpin),
    ) -> Poll<io::Result<()>> {
        while !self.is_empty() {
            match ready!(Pin::new(&mut *io).poll_write(cx, &self.bytes[self.sent..]))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent += sent,
            }
        }
        Poll::Ready(Ok(()))
    }
}
