//! The one TLS configuration that there is, and our keys as it wants them.

use std::fmt;
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use rustls::crypto::{CryptoProvider, aws_lc_rs as crypto, ring as records};
use rustls::pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{SignatureAlgorithm, SignatureScheme};

use crate::pair::{SignError, Signer};

/// Post-quantum hybrid key exchange first; AES-128-GCM first, which is the fastest. Keys are AWS-LC's,
/// records are ring's: of the two only that has AES-GCM for processors with wide AES instructions
/// (VAES) and without AVX-512, where it is twice as fast.
pub(super) fn provider() -> Arc<CryptoProvider> {
    static PROVIDER: LazyLock<Arc<CryptoProvider>> = LazyLock::new(|| {
        Arc::new(CryptoProvider {
            cipher_suites: vec![
                records::cipher_suite::TLS13_AES_128_GCM_SHA256,
                records::cipher_suite::TLS13_AES_256_GCM_SHA384,
                records::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256,
            ],
            kx_groups: vec![crypto::kx_group::X25519MLKEM768, crypto::kx_group::X25519],
            ..crypto::default_provider()
        })
    });
    PROVIDER.clone()
}

/// Makes what the first handshake of a process would have to make: tables, and the state of random
/// numbers. For a process that has time before its first peer comes.
pub fn prepare() {
    for group in &provider().kx_groups {
        // Half a key exchange, thrown away. One that fails here fails in the handshake too.
        let _ = group.start();
    }
}

/// A key of ours for one handshake, and what went wrong when it should have signed.
#[derive(Debug)]
pub(super) struct Identity {
    signer: Arc<dyn Signer>,
    failed: Failed,
}

impl Identity {
    /// The key as the library wants it, and where to ask why it did not sign.
    pub(super) fn certify(signer: Arc<dyn Signer>) -> (Arc<CertifiedKey>, Failed) {
        let failed = Failed::default();
        let spki = signer.public().to_spki().to_vec();
        let key = Arc::new(Identity { signer, failed: failed.clone() });
        // With raw public keys the "certificate" is the SubjectPublicKeyInfo (RFC 7250).
        let certified = CertifiedKey::new(vec![CertificateDer::from(spki)], key);
        (Arc::new(certified), failed)
    }
}

/// Why the signer failed, if it did: the TLS library passes on no more than a text.
#[derive(Debug, Clone, Default)]
pub(super) struct Failed(Arc<Mutex<Option<SignError>>>);

impl Failed {
    fn set(&self, error: SignError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }

    pub(super) fn take(&self) -> Option<SignError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl SigningKey for Identity {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn rustls::sign::Signer>> {
        let signs = offered.contains(&SignatureScheme::ED25519);
        signs.then(|| {
            Box::new(Identity { signer: self.signer.clone(), failed: self.failed.clone() }) as _
        })
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(SubjectPublicKeyInfoDer::from(self.signer.public().to_spki().to_vec()))
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl rustls::sign::Signer for Identity {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rustls::Error> {
        match self.signer.sign(message) {
            Ok(signature) => Ok(signature.to_vec()),
            Err(error) => {
                let text = error.to_string();
                self.failed.set(error);
                Err(rustls::Error::General(text))
            }
        }
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// What a connection speaks, for `-v`.
pub(super) struct Spoken<'a>(pub(super) &'a rustls::CommonState);

impl fmt::Display for Spoken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let group = self.0.negotiated_key_exchange_group().map(|group| group.name());
        let suite = self.0.negotiated_cipher_suite().map(|suite| suite.suite());
        match (group, suite) {
            (Some(group), Some(suite)) => write!(f, "TLS 1.3, {group:?}, {suite:?}"),
            _ => write!(f, "TLS 1.3"),
        }
    }
}

/// True for exactly what a TLS 1.3 *server* signs to prove its key (RFC 8446, section 4.4.3): 64
/// spaces, a fixed text, a NUL and a hash of 32 or 48 bytes. A process that signs for others signs
/// nothing else, so its key cannot be lent to a client, an agent or another protocol.
pub fn signing_content_ok(message: &[u8]) -> bool {
    const CONTEXT: &[u8] = b"TLS 1.3, server CertificateVerify\0";
    let Some((spaces, rest)) = message.split_at_checked(64) else { return false };
    let Some(hash) = rest.strip_prefix(CONTEXT) else { return false };
    spaces.iter().all(|byte| *byte == b' ') && matches!(hash.len(), 32 | 48)
}
