//! One line of `known_hosts`.

use aws_lc_rs::hmac;
use base64ct::{Base64, Encoding};
use sockeye_limits as limits;

use crate::blob::Fields;
use crate::key::{ED25519_NAME, Fingerprint, PublicKey, is_key_type};
use crate::lines::{Line, unfit, word};
use crate::pattern;

/// A line that counts.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Its number, from 1.
    pub line: usize,
    /// What is said of the key.
    pub mark: Mark,
    /// The names as they stand in the file; hashed ones begin with `|1|`.
    pub hosts: String,
    /// The key.
    pub key: HostKey,
    /// The text behind it, as it stands in the file.
    pub comment: String,
}

/// What a line says of its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mark {
    /// It is the host's.
    Host,
    /// It must never be taken (`@revoked`).
    Revoked,
}

/// A server's key of any type.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HostKey {
    /// One that we can talk to.
    Ed25519(PublicKey),
    /// One of another type.
    Other {
        /// The type's name, one that OpenSSH knows.
        name: String,
        /// The key's fingerprint.
        fingerprint: Fingerprint,
    },
}

impl HostKey {
    /// Its fingerprint.
    pub fn fingerprint(&self) -> Fingerprint {
        match self {
            HostKey::Ed25519(key) => key.fingerprint(),
            HostKey::Other { fingerprint, .. } => *fingerprint,
        }
    }
}

impl Entry {
    /// True if one of its names fits and none that is negated does. `name` is as
    /// [`super::name`] gives it.
    pub fn is_for(&self, name: &str) -> bool {
        if let Some(hashed) = self.hosts.strip_prefix("|1|") {
            return is_hash_of(hashed, name);
        }
        let mut fits = false;
        for pattern in self.hosts.split(',') {
            let (negated, pattern) = match pattern.strip_prefix('!') {
                Some(pattern) => (true, pattern),
                None => (false, pattern),
            };
            let pattern = pattern.to_ascii_lowercase();
            if pattern::matches(pattern.as_bytes(), name.as_bytes()) {
                if negated {
                    return false;
                }
                fits = true;
            }
        }
        fits
    }
}

/// True if `SALT|HASH` is the hash of this name: HMAC-SHA1 with the salt as its key.
fn is_hash_of(hashed: &str, name: &str) -> bool {
    let Some((salt, hash)) = split_hash(hashed) else { return false };
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
    hmac::verify(&key, name.as_bytes(), &hash).is_ok()
}

fn split_hash(hashed: &str) -> Option<(Vec<u8>, Vec<u8>)> {
    let (salt, hash) = hashed.split_once('|')?;
    let (salt, hash) = (Base64::decode_vec(salt).ok()?, Base64::decode_vec(hash).ok()?);
    (salt.len() <= limits::HOST_SALT_MAX && hash.len() == 20).then_some((salt, hash))
}

/// The line's meaning; `None` for one that is none of our business; the error says why it was
/// skipped.
pub(super) fn parse(line: Line<'_>) -> Result<Option<Entry>, String> {
    if let Some(text) = unfit(line.bytes) {
        return Err(text);
    }
    let (mark, rest) = match word(line.bytes) {
        (b"@revoked", rest) => (Mark::Revoked, rest),
        (b"@cert-authority", _) => return Ok(None),
        ([b'@', ..], _) => return Err("skipped: an unknown marker".into()),
        _ => (Mark::Host, line.bytes),
    };
    let (hosts, rest) = word(rest);
    let hosts = str::from_utf8(hosts).map_err(|_| "skipped: its names are not UTF-8")?;
    check_hosts(hosts)?;
    let (kind, rest) = word(rest);
    let (base64, comment) = word(rest);
    let key = host_key(kind, base64)?;
    let comment = String::from_utf8_lossy(comment).into_owned();
    Ok(Some(Entry { line: line.number, mark, hosts: hosts.to_owned(), key, comment }))
}

fn check_hosts(hosts: &str) -> Result<(), String> {
    if hosts.starts_with('|') {
        let known = hosts.strip_prefix("|1|").and_then(split_hash);
        return known.map(drop).ok_or("skipped: its hashed name is broken".into());
    }
    let long = |name: &str| name.len() > limits::PATTERN_MAX;
    if hosts.split(',').any(long) {
        return Err("skipped: a name is too long".into());
    }
    Ok(())
}

fn host_key(kind: &[u8], base64: &[u8]) -> Result<HostKey, String> {
    let kind = str::from_utf8(kind).ok().filter(|kind| is_key_type(kind));
    let kind = kind.ok_or("skipped: there is no key in it")?;
    let base64 = str::from_utf8(base64).unwrap_or_default();
    let blob = Base64::decode_vec(base64).map_err(|_| "skipped: the key's base64 is broken")?;
    if kind == ED25519_NAME {
        let key = PublicKey::from_blob(&blob).map_err(|error| format!("skipped: {error}"))?;
        return Ok(HostKey::Ed25519(key));
    }
    match Fields(&blob).string() {
        Some(name) if name == kind.as_bytes() => {
            Ok(HostKey::Other { name: kind.into(), fingerprint: Fingerprint::of_blob(&blob) })
        }
        _ => Err("skipped: the key is not of the type that it says".into()),
    }
}
