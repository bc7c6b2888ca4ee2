//! Which server has which key: `known_hosts` as OpenSSH writes it (sshd(8), SSH_KNOWN_HOSTS FILE
//! FORMAT).

mod line;
#[cfg(test)]
mod tests;
mod write;

use std::path::Path;

use sockeye_limits as limits;

use crate::key::{Fingerprint, PublicKey};
use crate::lines::{self, Warning};
use crate::strict::{self, ListError};
pub use line::{Entry, HostKey, Mark};
#[cfg(any(test, feature = "testing"))]
pub(crate) use write::without;
pub use write::{append, remove};

/// The servers that are known.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// The lines that count, in the file's order.
    pub entries: Vec<Entry>,
    /// The lines that were skipped.
    pub warnings: Vec<Warning>,
    /// False if there is no such file at all.
    pub found: bool,
}

/// What is known of a server that proved a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It is this server's key.
    Known,
    /// The server is not known.
    Unknown,
    /// The server is known by keys of these other types alone, and so by none that it could have
    /// proved: fault 52, as bad as a changed key.
    OtherTypes(Vec<String>),
    /// The server is known by another key.
    Changed {
        /// The line that has it, from 1.
        line: usize,
        /// The fingerprint of the known key.
        old: Fingerprint,
    },
    /// The key is marked as revoked.
    Revoked {
        /// The line that says so, from 1.
        line: usize,
    },
}

/// The name of a server in the file: the host alone for port 22, else `[host]:port`. Lower case.
pub fn name(host: &str, port: u16) -> String {
    let host = host.to_ascii_lowercase();
    if port == 22 { host } else { format!("[{host}]:{port}") }
}

/// Understands a file's contents, each line alone.
pub fn parse(bytes: &[u8]) -> Known {
    let mut known = Known { found: true, ..Known::default() };
    for line in lines::lines(bytes) {
        match line::parse(line) {
            Ok(Some(entry)) => known.entries.push(entry),
            Ok(None) => {}
            Err(text) => known.warnings.push(Warning { line: line.number, text }),
        }
    }
    known
}

/// Reads a file; a missing one is an empty list.
///
/// # Errors
/// [`ListError`].
pub fn read(path: &Path) -> Result<Known, ListError> {
    let bytes = strict::read_list(path, limits::KNOWN_BYTES)?;
    Ok(bytes.map(|bytes| parse(&bytes)).unwrap_or_default())
}

impl Known {
    /// What is known of the server `host` (a name, or an address without brackets) at `port` that
    /// proved `key`.
    pub fn judge(&self, host: &str, port: u16, key: &PublicKey) -> Verdict {
        let name = name(host, port);
        let lines: Vec<&Entry> = self.entries.iter().filter(|entry| entry.is_for(&name)).collect();
        let has = |entry: &&&Entry| entry.key == HostKey::Ed25519(*key);
        let (revoked, hosts): (Vec<&Entry>, Vec<&Entry>) =
            lines.into_iter().partition(|entry| entry.mark == Mark::Revoked);
        if let Some(entry) = revoked.iter().find(has) {
            return Verdict::Revoked { line: entry.line };
        }
        if hosts.iter().any(|entry| has(&entry)) {
            return Verdict::Known;
        }
        let mut types = Vec::new();
        for entry in hosts {
            match &entry.key {
                HostKey::Ed25519(old) => {
                    return Verdict::Changed { line: entry.line, old: old.fingerprint() };
                }
                HostKey::Other { name, .. } => types.push(name.clone()),
            }
        }
        if types.is_empty() { Verdict::Unknown } else { Verdict::OtherTypes(types) }
    }
}
