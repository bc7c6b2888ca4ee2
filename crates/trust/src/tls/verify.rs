//! Judges of the other side's key: asked only once its signature has been verified.

use std::fmt;
use std::sync::{Arc, OnceLock};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{CertificateError, DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};

use super::config;
use crate::key::PublicKey;

/// Whether a key is welcome.
pub(super) type Judgement = Box<dyn Fn(&PublicKey) -> bool + Send + Sync>;

/// Verifies that the peer holds the key that it shows, then asks whether that key is welcome.
pub(super) struct Judge {
    welcome: Judgement,
    /// The key that was proved and not welcome.
    refused: Arc<OnceLock<PublicKey>>,
}

impl Judge {
    pub(super) fn new(welcome: Judgement) -> (Arc<Judge>, Arc<OnceLock<PublicKey>>) {
        let refused = Arc::new(OnceLock::new());
        (Arc::new(Judge { welcome, refused: refused.clone() }), refused)
    }

    fn signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = key_of(cert)?;
        let spki = SubjectPublicKeyInfoDer::from(cert.as_ref());
        let provider = config::provider();
        let algorithms = &provider.signature_verification_algorithms;
        if dss.scheme != SignatureScheme::ED25519 {
            return Err(CertificateError::BadEncoding.into());
        }
        let valid =
            rustls::crypto::verify_tls13_signature_with_raw_key(message, &spki, dss, algorithms)?;
        if (self.welcome)(&key) {
            return Ok(valid);
        }
        let _ = self.refused.set(key);
        // This is what makes the alert access_denied.
        Err(CertificateError::ApplicationVerificationFailure.into())
    }
}

/// The key, if it is one of ours and alone.
fn key_of(cert: &CertificateDer<'_>) -> Result<PublicKey, Error> {
    PublicKey::from_spki(cert).ok_or(Error::InvalidCertificate(CertificateError::BadEncoding))
}

fn alone(cert: &CertificateDer<'_>, others: &[CertificateDer<'_>]) -> Result<(), Error> {
    if !others.is_empty() {
        return Err(CertificateError::BadEncoding.into());
    }
    key_of(cert).map(drop)
}

/// What the library asks of either judge in the same words.
macro_rules! signatures {
    () => {
        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(Error::General("TLS 1.2 is not spoken here".into()))
        }

        fn verify_tls13_signature(
            &self,
            message: &[u8],
            cert: &CertificateDer<'_>,
            dss: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            self.signature(message, cert, dss)
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            vec![SignatureScheme::ED25519]
        }

        fn requires_raw_public_keys(&self) -> bool {
            true
        }
    };
}

impl ServerCertVerifier for Judge {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        alone(end_entity, intermediates)?;
        Ok(ServerCertVerified::assertion())
    }

    signatures!();
}

impl ClientCertVerifier for Judge {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        alone(end_entity, intermediates)?;
        Ok(ClientCertVerified::assertion())
    }

    signatures!();
}

impl fmt::Debug for Judge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Judge")
    }
}
