//! Private key files in OpenSSH's format: read with care, written whole or not at all.

pub(crate) mod format;
#[cfg(test)]
mod tests;
mod write;

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use sockeye_limits as limits;
use thiserror::Error;
use zeroize::Zeroizing;

use crate::key::PublicKey;
use crate::pair::{KeyPair, SignError};
use crate::strict::{open, ourselves, show};

pub(crate) use write::{Beside, Temporary, make_directory, write};
pub use write::{public_line, write_private};

/// Asks for the passphrase of the key in this file; `None` when there is nobody to ask, or who was
/// asked gave up. Called again when the passphrase was wrong.
pub type Ask<'a> = dyn FnMut(&Path) -> Option<Zeroizing<String>> + 'a;

/// Why a private key file was not read or written. Paths are escaped.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// There is no such file.
    #[error("there is no key file {path}; make one with `sockeye key new --file {path}`")]
    Missing {
        /// The file.
        path: String,
    },
    /// The system refused.
    #[error(
        "cannot {operation} the key file {path}: {source}; look at the path and its permissions"
    )]
    Io {
        /// What was tried.
        operation: &'static str,
        /// The file.
        path: String,
        /// What the system said.
        source: io::Error,
    },
    /// Group or others have a permission on it.
    #[error("the key file {path} is open to others (mode {mode:04o}); run `chmod 600 {path}`")]
    TooOpen {
        /// The file.
        path: String,
        /// Its permission bits.
        mode: u32,
    },
    /// A symbolic link.
    #[error("the key file {path} is a symbolic link; name the file that it points to")]
    Link {
        /// The file.
        path: String,
    },
    /// A directory.
    #[error("{path} is a directory; name the key file in it")]
    Directory {
        /// The path.
        path: String,
    },
    /// A FIFO, a device or the like.
    #[error("{path} is not a regular file; a key is read from a file alone")]
    NotAFile {
        /// The path.
        path: String,
    },
    /// Another user's.
    #[error("the key file {path} belongs to user {owner}; use a key of your own")]
    Foreign {
        /// The file.
        path: String,
        /// Its owner's user number.
        owner: u32,
    },
    /// Longer than any key.
    #[error("{path} is longer than {limit} bytes and so no key; name the key file", limit = limits::KEY_FILE_BYTES)]
    TooLong {
        /// The file.
        path: String,
    },
    /// Not a private key at all.
    #[error(
        "{path} is not a private key; name the file without .pub, or make one with `sockeye key new`"
    )]
    NotAKey {
        /// The file.
        path: String,
    },
    /// A private key in another format than OpenSSH's.
    #[error(
        "{path} is a private key in another format; `ssh-keygen -p -f {path}` makes it OpenSSH's"
    )]
    OtherFormat {
        /// The file.
        path: String,
    },
    /// A key of another type, whose (escaped) name this is.
    #[error("{path} is a key of type {name}; only Ed25519 keys are used: run `sockeye key new`")]
    WrongType {
        /// The file.
        path: String,
        /// The type's name.
        name: String,
    },
    /// A private key whose insides make no sense.
    #[error("the key in {path} is damaged; restore the file, or make a new key")]
    Damaged {
        /// The file.
        path: String,
    },
    /// The passphrase was wrong, every time.
    #[error("wrong passphrase for {path}; try again, or add the key to the agent with ssh-add")]
    WrongPassphrase {
        /// The file.
        path: String,
    },
    /// The key is encrypted, and nobody gave a passphrase.
    #[error(
        "the key {path} needs its passphrase and there is no terminal to ask on, or none was given; add it to the agent with ssh-add"
    )]
    NoPassphrase {
        /// The file.
        path: String,
    },
    /// Writing would replace a file.
    #[error("{path} exists and is never overwritten; choose another name, or move it away")]
    Exists {
        /// The file.
        path: String,
    },
    /// The key's mathematics failed.
    #[error(transparent)]
    Crypto(#[from] SignError),
}

impl KeyFileError {
    pub(crate) fn io(operation: &'static str, path: &Path, source: io::Error) -> KeyFileError {
        match source.kind() {
            io::ErrorKind::NotFound if operation == "open" => {
                KeyFileError::Missing { path: show(path) }
            }
            _ => KeyFileError::Io { operation, path: show(path), source },
        }
    }
}

/// Reads a private key; `ask` is called for the passphrase of an encrypted one, up to
/// [`limits::PASSPHRASE_TRIES`] times.
///
/// The file has to be a regular one of ours that nobody else may even read, and not a link.
///
/// # Errors
/// [`KeyFileError`], one variant for each thing that can be wrong.
pub fn read_private(path: &Path, ask: &mut Ask<'_>) -> Result<KeyPair, KeyFileError> {
    let text = read_secret(path)?;
    let header = format::Header::parse(&text, path)?;
    if !header.encrypted {
        return format::plain(&text, path);
    }
    for _ in 0..limits::PASSPHRASE_TRIES {
        let Some(passphrase) = ask(path) else {
            return Err(KeyFileError::NoPassphrase { path: show(path) });
        };
        match format::decrypt(&text, &passphrase, path) {
            Err(KeyFileError::WrongPassphrase { .. }) => {}
            done => return done,
        }
    }
    Err(KeyFileError::WrongPassphrase { path: show(path) })
}

/// True if the key in the file is encrypted, so that reading it takes a passphrase.
///
/// # Errors
/// As [`read_private`], but for passphrases.
pub fn is_encrypted(path: &Path) -> Result<bool, KeyFileError> {
    Ok(format::Header::parse(&read_secret(path)?, path)?.encrypted)
}

/// The public key of a private key file, without its passphrase: the format holds it in clear.
///
/// # Errors
/// As [`read_private`], but for passphrases.
pub fn public_of(path: &Path) -> Result<PublicKey, KeyFileError> {
    Ok(format::Header::parse(&read_secret(path)?, path)?.public)
}

/// Public key and encryption at one look.
pub(crate) fn look(path: &Path) -> Result<(PublicKey, bool), KeyFileError> {
    let header = format::Header::parse(&read_secret(path)?, path)?;
    Ok((header.public, header.encrypted))
}

/// The bytes of a file that holds a secret, all checks passed.
fn read_secret(path: &Path) -> Result<Zeroizing<Vec<u8>>, KeyFileError> {
    let file = open(path, false).map_err(|error| match error.raw_os_error() {
        Some(code) if code == rustix::io::Errno::LOOP.raw_os_error() => {
            KeyFileError::Link { path: show(path) }
        }
        _ => KeyFileError::io("open", path, error),
    })?;
    let len = judge(&file, path)?;
    // The whole size at once: a buffer that grows leaves copies of the secret behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(len + 1));
    let read = file.take(len as u64).read_to_end(&mut bytes);
    read.map_err(|error| KeyFileError::io("read", path, error))?;
    Ok(bytes)
}

/// What fstat(2) says about the open file; gives its length in bytes.
fn judge(file: &File, path: &Path) -> Result<usize, KeyFileError> {
    let metadata = file.metadata().map_err(|error| KeyFileError::io("look at", path, error))?;
    let path = || show(path);
    if metadata.is_dir() {
        return Err(KeyFileError::Directory { path: path() });
    }
    if !metadata.is_file() {
        return Err(KeyFileError::NotAFile { path: path() });
    }
    if metadata.uid() != ourselves() {
        return Err(KeyFileError::Foreign { path: path(), owner: metadata.uid() });
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(KeyFileError::TooOpen { path: path(), mode: metadata.mode() & 0o7777 });
    }
    if metadata.len() > limits::KEY_FILE_BYTES {
        return Err(KeyFileError::TooLong { path: path() });
    }
    usize::try_from(metadata.len()).map_err(|_| KeyFileError::TooLong { path: path() })
}
