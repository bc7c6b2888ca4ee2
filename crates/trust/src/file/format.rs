//! OpenSSH's private key format (PROTOCOL.key): what is in clear is read here, what is encrypted
//! by the ssh-key crate.

use std::path::Path;

use base64ct::{Base64, Encoding};
use sockeye_limits as limits;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use ssh_key::{Kdf, PrivateKey};
use zeroize::Zeroizing;

use super::KeyFileError;
use crate::blob::Fields;
use crate::key::{KeyParseError, PublicKey};
use crate::pair::{KeyPair, Signer};
use crate::strict::show;

pub(crate) const BEGIN: &str = "-----BEGIN OPENSSH PRIVATE KEY-----";
pub(crate) const END: &str = "-----END OPENSSH PRIVATE KEY-----";
const MAGIC: &[u8] = b"openssh-key-v1\0";

/// The part of a private key file that is in clear.
#[derive(Debug)]
pub(crate) struct Header {
    pub(crate) public: PublicKey,
    pub(crate) encrypted: bool,
}

impl Header {
    /// Reads it, and refuses what is no Ed25519 key in this format.
    pub(crate) fn parse(text: &[u8], path: &Path) -> Result<Header, KeyFileError> {
        let text = std::str::from_utf8(text);
        let text = text.map_err(|_| KeyFileError::NotAKey { path: show(path) })?.trim();
        let Some(body) = text.strip_prefix(BEGIN) else {
            let other = text.starts_with("-----BEGIN ") && text.contains("PRIVATE KEY-----");
            return Err(if other {
                KeyFileError::OtherFormat { path: show(path) }
            } else {
                KeyFileError::NotAKey { path: show(path) }
            });
        };
        let damaged = || KeyFileError::Damaged { path: show(path) };
        let body = body.strip_suffix(END).ok_or_else(damaged)?;
        // All the room at once: a string that grows leaves copies of the secret behind.
        let mut base64 = Zeroizing::new(String::with_capacity(body.len()));
        base64.extend(body.split_ascii_whitespace());
        let bytes = Zeroizing::new(Base64::decode_vec(&base64).map_err(|_| damaged())?);
        let (cipher, blob) = clear_part(&bytes).ok_or_else(damaged)?;
        let public = PublicKey::from_blob(blob).map_err(|error| match error {
            KeyParseError::OtherType(name) => KeyFileError::WrongType { path: show(path), name },
            _ => damaged(),
        })?;
        Ok(Header { public, encrypted: cipher != b"none" })
    }
}

/// The cipher's name and the public key. A file holds exactly one key.
fn clear_part(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut fields = Fields(bytes.strip_prefix(MAGIC)?);
    let cipher = fields.string()?;
    let _kdf = fields.string()?;
    let mut options = Fields(fields.string()?);
    if !options.is_empty() {
        let _salt = options.string()?;
        // A broken count would keep us busy for years.
        if options.number()? > limits::PASSPHRASE_ROUNDS_MAX {
            return None;
        }
    }
    if fields.number()? != 1 {
        return None;
    }
    Some((cipher, fields.string()?))
}

/// The key of a file that is not encrypted.
pub(crate) fn plain(text: &[u8], path: &Path) -> Result<KeyPair, KeyFileError> {
    let damaged = |_| KeyFileError::Damaged { path: show(path) };
    from_ssh(&PrivateKey::from_openssh(text).map_err(damaged)?, path)
}

/// The key of a file that is encrypted.
pub(crate) fn decrypt(text: &[u8], passphrase: &str, path: &Path) -> Result<KeyPair, KeyFileError> {
    let key = PrivateKey::from_openssh(text);
    let key = key.map_err(|_| KeyFileError::Damaged { path: show(path) })?;
    let open = key.decrypt(passphrase).map_err(|error| match error {
        ssh_key::Error::Crypto => KeyFileError::WrongPassphrase { path: show(path) },
        _ => KeyFileError::Damaged { path: show(path) },
    })?;
    from_ssh(&open, path)
}

fn from_ssh(key: &PrivateKey, path: &Path) -> Result<KeyPair, KeyFileError> {
    let damaged = || KeyFileError::Damaged { path: show(path) };
    let KeypairData::Ed25519(data) = key.key_data() else { return Err(damaged()) };
    let seed = Zeroizing::new(data.private.to_bytes());
    let pair = KeyPair::from_seed(seed, key.comment().to_owned())?;
    // The file holds the public key three times; a forged one would make us leak the secret.
    let claimed = key.public_key().key_data().ed25519().ok_or_else(damaged)?;
    let same = |bytes: &[u8; 32]| bytes == pair.public().as_bytes();
    if same(&claimed.0) && same(&data.public.0) { Ok(pair) } else { Err(damaged()) }
}

/// The text of a private key file.
pub(crate) fn encode(
    pair: &KeyPair,
    passphrase: Option<&str>,
) -> Result<Zeroizing<String>, ssh_key::Error> {
    let mut both = Zeroizing::new([0; 64]);
    both[..32].copy_from_slice(&pair.seed()[..]);
    both[32..].copy_from_slice(pair.public().as_bytes());
    let data = KeypairData::Ed25519(Ed25519Keypair::from_bytes(&both)?);
    let key = PrivateKey::new(data, pair.comment())?;
    let key = match passphrase {
        None | Some("") => key,
        Some(passphrase) => encrypt(&key, passphrase)?,
    };
    key.to_openssh(ssh_key::LineEnding::LF)
}

/// With the cipher and the work that ssh-keygen(1) uses.
fn encrypt(key: &PrivateKey, passphrase: &str) -> Result<PrivateKey, ssh_key::Error> {
    let (mut salt, mut check) = (vec![0; 16], [0; 4]);
    for random in [&mut salt[..], &mut check[..]] {
        aws_lc_rs::rand::fill(random).map_err(|_| ssh_key::Error::Crypto)?;
    }
    let kdf = Kdf::Bcrypt { salt, rounds: limits::PASSPHRASE_ROUNDS };
    key.encrypt_with(ssh_key::Cipher::Aes256Ctr, kdf, u32::from_be_bytes(check), passphrase)
}
