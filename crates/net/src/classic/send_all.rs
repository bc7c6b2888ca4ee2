//! What a [`Socket::send_all`](super::Socket::send_all) that failed says.

use std::fmt;
use std::io;

/// Why [`Socket::send_all`](super::Socket::send_all) failed, and how far it had come. As an [`io::Error`] it is the system's
/// error alone.
#[derive(Debug)]
pub struct SendAllError {
    /// Bytes that the system took before the failure; the peer may have received fewer.
    pub sent: usize,
    /// The system's error.
    pub source: io::Error,
}

impl fmt::Display for SendAllError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {} bytes were sent", self.source, self.sent)
    }
}

impl std::error::Error for SendAllError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl From<SendAllError> for io::Error {
    fn from(error: SendAllError) -> io::Error {
        error.source
    }
}
