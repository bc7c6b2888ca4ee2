//! Public keys and their fingerprints, in the forms that OpenSSH and TLS write them.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest;
use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64ct::{Base64, Base64Unpadded, Encoding};
use sockeye_net::shown;
use thiserror::Error;

use crate::blob::{Fields, put_string};

/// The name of the one key type that we use (RFC 8709, section 4).
pub(crate) const ED25519_NAME: &str = "ssh-ed25519";

/// What stands before the 32 bytes in a SubjectPublicKeyInfo (RFC 8410, section 4).
const SPKI_PREFIX: [u8; 12] =
    [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// An Ed25519 public key (RFC 8032), 32 bytes.
///
/// Its text is OpenSSH's, `ssh-ed25519 AAAA…`; parsing takes a comment behind it and ignores it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey([u8; 32]);

/// Why a text or bytes are no Ed25519 public key.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum KeyParseError {
    /// Not the one-line form at all.
    #[error("not a public key; one is written as `ssh-ed25519 AAAA…`")]
    NotAKey,
    /// A key of another type, whose name this is (escaped).
    #[error("a key of type {0}; only Ed25519 keys are used here (`sockeye key new` makes one)")]
    OtherType(String),
    /// The base64 of the key is broken, or holds something else.
    #[error("the key's base64 is broken or incomplete; copy the whole line of the .pub file")]
    Broken,
    /// Not a fingerprint.
    #[error("not a fingerprint; one is written as `SHA256:` and 43 characters")]
    NotAFingerprint,
}

impl PublicKey {
    /// The key whose 32 bytes these are (RFC 8032, section 5.1.5).
    pub fn from_bytes(bytes: [u8; 32]) -> PublicKey {
        PublicKey(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The SHA-256 of the key as `ssh-keygen -l` shows it.
    pub fn fingerprint(&self) -> Fingerprint {
        Fingerprint::of_blob(&self.to_blob())
    }

    /// From a DER SubjectPublicKeyInfo, which is how TLS carries raw keys (RFC 7250, RFC 8410).
    /// `None` unless it is exactly that of an Ed25519 key.
    pub fn from_spki(der: &[u8]) -> Option<PublicKey> {
        let key = der.strip_prefix(&SPKI_PREFIX)?;
        Some(PublicKey(key.try_into().ok()?))
    }

    /// As a DER SubjectPublicKeyInfo of 44 bytes (RFC 8410, section 4).
    pub fn to_spki(&self) -> [u8; 44] {
        let mut der = [0; 44];
        der[..12].copy_from_slice(&SPKI_PREFIX);
        der[12..].copy_from_slice(&self.0);
        der
    }

    /// From SSH's encoding (RFC 8709, section 4).
    ///
    /// # Errors
    /// [`KeyParseError`], also for whole keys of other types.
    pub fn from_blob(blob: &[u8]) -> Result<PublicKey, KeyParseError> {
        let mut fields = Fields(blob);
        let name = fields.string().ok_or(KeyParseError::Broken)?;
        if name != ED25519_NAME.as_bytes() {
            return Err(KeyParseError::OtherType(shown::bytes(&name[..name.len().min(64)])));
        }
        let key = fields.string().ok_or(KeyParseError::Broken)?;
        let key = key.try_into().map_err(|_| KeyParseError::Broken)?;
        if fields.is_empty() { Ok(PublicKey(key)) } else { Err(KeyParseError::Broken) }
    }

    /// In SSH's encoding (RFC 8709, section 4), 51 bytes.
    pub fn to_blob(&self) -> Vec<u8> {
        let mut blob = Vec::with_capacity(51);
        put_string(&mut blob, ED25519_NAME.as_bytes());
        put_string(&mut blob, &self.0);
        blob
    }

    /// True if `signature` is this key's signature of `message` (RFC 8032, section 5.1.7).
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> bool {
        UnparsedPublicKey::new(&ED25519, &self.0).verify(message, signature).is_ok()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{ED25519_NAME} {}", Base64::encode_string(&self.to_blob()))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.fingerprint())
    }
}

impl FromStr for PublicKey {
    type Err = KeyParseError;

    fn from_str(text: &str) -> Result<PublicKey, KeyParseError> {
        let mut words = text.split_ascii_whitespace();
        let name = words.next().ok_or(KeyParseError::NotAKey)?;
        let base64 = words.next();
        if !is_key_type(name) {
            return Err(KeyParseError::NotAKey);
        }
        if name != ED25519_NAME {
            return Err(KeyParseError::OtherType(name.to_owned()));
        }
        let blob = Base64::decode_vec(base64.ok_or(KeyParseError::Broken)?);
        PublicKey::from_blob(&blob.map_err(|_| KeyParseError::Broken)?)
    }
}

/// The key types that OpenSSH knows (sshd(8), AUTHORIZED_KEYS FILE FORMAT), certificates included.
/// Such a name is shown as it stands: it is printable ASCII of at most 64 characters (RFC 4251,
/// section 6).
pub(crate) fn is_key_type(name: &str) -> bool {
    const TYPES: [&str; 9] = [
        ED25519_NAME,
        "ssh-rsa",
        "ssh-dss",
        "ecdsa-sha2-nistp256",
        "ecdsa-sha2-nistp384",
        "ecdsa-sha2-nistp521",
        "sk-ssh-ed25519@openssh.com",
        "sk-ecdsa-sha2-nistp256@openssh.com",
        "ssh-xmss@openssh.com",
    ];
    let printable = name.len() <= 64 && name.bytes().all(|byte| byte.is_ascii_graphic());
    TYPES.contains(&name) || printable && name.ends_with("-cert-v01@openssh.com")
}

/// The SHA-256 of a public key, shown as `ssh-keygen -l` does: `SHA256:` and unpadded base64.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// The fingerprint of a key of any type in SSH's encoding.
    pub fn of_blob(blob: &[u8]) -> Fingerprint {
        let hash = digest::digest(&digest::SHA256, blob);
        Fingerprint(hash.as_ref().try_into().expect("SHA-256 has 32 bytes"))
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SHA256:{}", Base64Unpadded::encode_string(&self.0))
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = KeyParseError;

    fn from_str(text: &str) -> Result<Fingerprint, KeyParseError> {
        let base64 = text.strip_prefix("SHA256:").ok_or(KeyParseError::NotAFingerprint)?;
        let mut hash = [0; 32];
        match Base64Unpadded::decode(base64, &mut hash) {
            Ok(hash) if hash.len() == 32 => {}
            _ => return Err(KeyParseError::NotAFingerprint),
        }
        Ok(Fingerprint(hash))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{has, keygen};

    /// T2: the text forms and the fingerprint are ssh-keygen's own.
    #[test]
    fn like_ssh_keygen() {
        if !has("ssh-keygen") {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        keygen(dir.path(), &["-q", "-t", "ed25519", "-N", "", "-C", "a comment", "-f", "k"]);
        let line = std::fs::read_to_string(dir.path().join("k.pub")).unwrap();
        let key: PublicKey = line.parse().unwrap();
        assert_eq!(format!("{key} a comment\n"), line);
        let shown = keygen(dir.path(), &["-l", "-f", "k.pub"]);
        assert_eq!(shown, format!("256 {} a comment (ED25519)\n", key.fingerprint()));
        assert_eq!(key.fingerprint().to_string().parse(), Ok(key.fingerprint()));
    }

    /// T2: what is no Ed25519 key is refused, with the type named where it has one.
    #[test]
    fn refused() {
        let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQ== x".parse::<PublicKey>();
        assert_eq!(rsa, Err(KeyParseError::OtherType("ssh-rsa".into())));
        for (text, error) in [
            ("", KeyParseError::NotAKey),
            ("hello world", KeyParseError::NotAKey),
            ("ssh-ed25519", KeyParseError::Broken),
            ("ssh-ed25519 AAAA", KeyParseError::Broken),
            ("ssh-ed25519 !!!!", KeyParseError::Broken),
        ] {
            assert_eq!(text.parse::<PublicKey>(), Err(error), "{text}");
        }
        for text in ["", "SHA256:", "MD5:aa:bb", "SHA256:AAAA", "sha256:x"] {
            assert_eq!(text.parse::<Fingerprint>(), Err(KeyParseError::NotAFingerprint), "{text}");
        }
    }

    /// T2, C5: a key type that could drive a terminal is none, however it ends.
    #[test]
    fn types_are_printable() {
        let certificate = "ssh-ed25519-cert-v01@openssh.com";
        let other = KeyParseError::OtherType(certificate.into());
        assert_eq!(format!("{certificate} AAAA").parse::<PublicKey>(), Err(other));
        for before in ["\x1b[31m", "\u{202e}", "\u{fffd}", &"x".repeat(64)] {
            let text = format!("{before}{certificate} AAAA");
            assert_eq!(text.parse::<PublicKey>(), Err(KeyParseError::NotAKey), "{text:?}");
        }
    }

    proptest! {
        /// T1, T2: every form of a key reads back, and no bytes make parsing panic.
        #[test]
        fn forms(bytes: [u8; 32], noise in proptest::collection::vec(any::<u8>(), 0..80)) {
            let key = PublicKey::from_bytes(bytes);
            prop_assert_eq!(PublicKey::from_spki(&key.to_spki()), Some(key));
            prop_assert_eq!(PublicKey::from_blob(&key.to_blob()), Ok(key));
            prop_assert_eq!(key.to_string().parse(), Ok(key));
            let _ = PublicKey::from_blob(&noise);
            let _ = PublicKey::from_spki(&noise);
            let _ = String::from_utf8_lossy(&noise).parse::<PublicKey>();
            let _ = String::from_utf8_lossy(&noise).parse::<Fingerprint>();
        }
    }
}
