//! Who may come in: `authorized_keys` as OpenSSH writes it (sshd(8), AUTHORIZED_KEYS FILE FORMAT).
//!
//! A line is understood whole or not at all: one with an option that we do not know, or that we
//! cannot honour, is skipped with a warning. Keys of other types are ssh's and passed over.

mod line;
mod options;
mod source;
#[cfg(test)]
mod tests;
mod write;

use std::net::IpAddr;
use std::path::Path;
use std::time::SystemTime;

use sockeye_limits as limits;
use thiserror::Error;

use crate::key::{Fingerprint, PublicKey};
use crate::lines::{self, Warning};
use crate::place;
use crate::strict::{self, ListError};
use line::Parsed;
use source::Sources;
pub(crate) use write::append as append_line;
pub use write::{Added, authorize};

/// The keys that may come in, and how.
#[derive(Debug, Clone, Default)]
pub struct Authorized {
    /// The lines that count, in the file's order.
    pub entries: Vec<Entry>,
    /// The lines that were skipped although they are meant for us.
    pub warnings: Vec<Warning>,
    /// False if there is no such file at all.
    pub found: bool,
    /// Keys whose lines were skipped for their options.
    skipped: Vec<(PublicKey, Denial)>,
}

/// One line: a key and what is allowed to it.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The key.
    pub key: PublicKey,
    /// The text behind it, as it stands in the file.
    pub comment: String,
    /// The line's number, from 1.
    pub line: usize,
    /// The options as they stand in the file; empty if there are none.
    pub options: String,
    /// `command="…"`: the only command that may run.
    pub forced: Option<String>,
    /// True unless `no-pty` or `restrict` took it away.
    pub pty: bool,
    /// `restrict` was given.
    pub restricted: bool,
    /// `expiry-time="…"`: not from this moment on.
    pub expires: Option<SystemTime>,
    /// `from="…"`: only from there.
    from: Option<Sources>,
}

/// What a key that may come in is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// Of the key that was proved.
    pub fingerprint: Fingerprint,
    /// The comment of its line, as it stands in the file: escape it before it is shown.
    pub comment: String,
    /// The number of its line, from 1.
    pub line: usize,
    /// The only command that may run, whatever was asked for.
    pub forced: Option<String>,
    /// Whether it may have a terminal.
    pub pty: bool,
    /// `restrict` was given: nothing beyond running commands.
    pub restricted: bool,
}

/// Why a key may not come in. For the server's log; the client is told no more than that.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Denial {
    /// No line that counts has this key.
    #[error("the key is in no line; add it with `sockeye key authorize`")]
    Unknown,
    /// Its line was skipped: what was meant to be restricted shall not be added without a restriction.
    #[error("line {line} has this key and was {text}; mend the line")]
    Skipped {
        /// The line's number, from 1.
        line: usize,
        /// `skipped:` and why.
        text: String,
    },
    /// Its line does not allow it from there.
    #[error("line {line} does not allow this key from there (from=); change the line")]
    Source {
        /// The line's number, from 1.
        line: usize,
    },
    /// Its line was valid until a moment that has passed.
    #[error("the key of line {line} has expired (expiry-time=); change the line")]
    Expired {
        /// The line's number, from 1.
        line: usize,
    },
}

/// Understands a file's contents, each line alone.
pub fn parse(bytes: &[u8]) -> Authorized {
    let mut authorized = Authorized { found: true, ..Authorized::default() };
    for line in lines::lines(bytes) {
        match line::parse(line) {
            Parsed::Entry(entry) => authorized.entries.push(*entry),
            Parsed::NotOurs => {}
            Parsed::Broken(text, key) => {
                let line = line.number;
                let skipped = key.map(|key| (key, Denial::Skipped { line, text: text.clone() }));
                authorized.skipped.extend(skipped);
                authorized.warnings.push(Warning { line, text });
            }
        }
    }
    authorized
}

/// Reads a file, if it and the directories above it, up to our home directory or the root, can be
/// changed by nobody but us and root (StrictModes of sshd_config(5); a sticky directory such as
/// /tmp passes). A missing file is an empty list.
///
/// # Errors
/// [`ListError`].
pub fn read(path: &Path) -> Result<Authorized, ListError> {
    let bytes = strict::read_strict(path, place::home().as_deref(), limits::AUTHORIZED_BYTES)?;
    Ok(bytes.map(|bytes| parse(&bytes)).unwrap_or_default())
}

impl Authorized {
    /// What `key` is allowed when it comes from `source` (`None`: not from the network, so that no
    /// `from=` fits) at the time `now`. The first of its lines that fits counts.
    ///
    /// # Errors
    /// [`Denial`]: the first reason, where several lines have the key.
    pub fn judge(
        &self,
        key: &PublicKey,
        source: Option<IpAddr>,
        now: SystemTime,
    ) -> Result<Grant, Denial> {
        let skipped = self.skipped.iter().find(|(skipped, _)| skipped == key);
        let unknown = skipped.map_or(Denial::Unknown, |(_, denial)| denial.clone());
        let mut denial = None;
        for entry in self.entries.iter().filter(|entry| entry.key == *key) {
            match entry.judge(source, now) {
                Ok(grant) => return Ok(grant),
                Err(reason) => denial = denial.or(Some(reason)),
            }
        }
        Err(denial.unwrap_or(unknown))
    }
}

impl Entry {
    fn judge(&self, source: Option<IpAddr>, now: SystemTime) -> Result<Grant, Denial> {
        if let Some(from) = &self.from
            && !source.is_some_and(|source| from.allow(source))
        {
            return Err(Denial::Source { line: self.line });
        }
        if self.expires.is_some_and(|expires| now >= expires) {
            return Err(Denial::Expired { line: self.line });
        }
        Ok(Grant {
            fingerprint: self.key.fingerprint(),
            comment: self.comment.clone(),
            line: self.line,
            forced: self.forced.clone(),
            pty: self.pty,
            restricted: self.restricted,
        })
    }
}
