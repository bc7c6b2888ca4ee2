//! Whoever can sign for a key: a key pair in memory, the agent, or another process.

use std::fmt;
use std::io;

use aws_lc_rs::rand;
use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::agent::AgentError;
use crate::key::PublicKey;

/// Signs with one Ed25519 key.
///
/// [`Signer::sign`] may block (an agent asks its user, another process is asked): a TLS handshake
/// calls it where it runs, so a handshake whose signer is not a [`KeyPair`] belongs off the event
/// loop, or on a runtime of its own.
pub trait Signer: Send + Sync + fmt::Debug {
    /// The key that signs.
    fn public(&self) -> PublicKey;

    /// The Ed25519 signature of `message` (RFC 8032, section 5.1.6).
    ///
    /// # Errors
    /// [`SignError`] when whoever holds the key does not sign.
    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError>;
}

/// Why nobody signed.
#[derive(Debug, Error)]
pub enum SignError {
    /// The agent did not.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// The process that holds the key could not be asked.
    #[error("the process that holds the key does not answer ({0}); restart the server")]
    Io(#[from] io::Error),
    /// The process that holds the key refused, and why.
    #[error("the key's holder refused to sign: {0}; look into its log")]
    Refused(String),
    /// The cryptographic library failed.
    #[error("signing failed in the cryptographic library; make a new key with `sockeye key new`")]
    Crypto,
}

/// An Ed25519 key pair with its comment. The secret is wiped from memory when this is dropped, and
/// is in no `Debug` text.
pub struct KeyPair {
    seed: Zeroizing<[u8; 32]>,
    /// Its memory is wiped by aws-lc when it is freed.
    key: Ed25519KeyPair,
    public: PublicKey,
    comment: String,
}

impl KeyPair {
    /// A new key from the system's randomness.
    ///
    /// # Errors
    /// [`SignError::Crypto`] when there is no randomness to be had.
    pub fn generate(comment: impl Into<String>) -> Result<KeyPair, SignError> {
        let mut seed = Zeroizing::new([0; 32]);
        rand::fill(&mut seed[..]).map_err(|_| SignError::Crypto)?;
        KeyPair::from_seed(seed, comment.into())
    }

    /// The key pair of a seed (RFC 8032, section 5.1.5).
    pub(crate) fn from_seed(
        seed: Zeroizing<[u8; 32]>,
        comment: String,
    ) -> Result<KeyPair, SignError> {
        let key = Ed25519KeyPair::from_seed_unchecked(&seed[..]).map_err(|_| SignError::Crypto)?;
        let public = key.public_key().as_ref().try_into().map_err(|_| SignError::Crypto)?;
        Ok(KeyPair { seed, key, public: PublicKey::from_bytes(public), comment })
    }

    /// The comment, as the key's file has it.
    pub fn comment(&self) -> &str {
        &self.comment
    }

    /// The secret, for writing it to a file.
    pub(crate) fn seed(&self) -> &Zeroizing<[u8; 32]> {
        &self.seed
    }
}

impl Signer for KeyPair {
    fn public(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        let signature = self.key.try_sign(message).map_err(|_| SignError::Crypto)?;
        signature.as_ref().try_into().map_err(|_| SignError::Crypto)
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeyPair({})", self.public.fingerprint())
    }
}
