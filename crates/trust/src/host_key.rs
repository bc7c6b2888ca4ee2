//! The server's own key: read, or made at its first start.

use std::path::Path;

use thiserror::Error;

use crate::file::{self, Beside, KeyFileError};
use crate::pair::{KeyPair, SignError};

/// Why there is no host key.
#[derive(Debug, Error)]
pub enum HostKeyError {
    /// The file could not be read or written, or is encrypted.
    #[error("no host key: {0}")]
    File(#[from] KeyFileError),
    /// No key could be made.
    #[error("no host key: {0}")]
    Make(#[from] SignError),
}

/// The server's key from this file, made if there is none.
///
/// Servers that start at once end with the same key: it appears whole under its name, once, and
/// whoever comes second reads it. A host key is never encrypted: nobody is there to be asked.
///
/// # Errors
/// [`HostKeyError`].
pub fn host_key(path: &Path) -> Result<KeyPair, HostKeyError> {
    let read = || file::read_private(path, &mut |_| None);
    match read() {
        Err(KeyFileError::Missing { .. }) => {}
        done => return Ok(done?),
    }
    let pair = KeyPair::generate("sockeye host key")?;
    match file::write(path, &pair, None, Beside::Replace) {
        Err(KeyFileError::Exists { .. }) => Ok(read()?),
        done => Ok(done.map(|()| pair)?),
    }
}
