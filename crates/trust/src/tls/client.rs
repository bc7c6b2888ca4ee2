//! The client's end of a handshake.

use std::fmt;
use std::sync::Arc;

use rustls::client::{
    AlwaysResolvesClientRawPublicKeys, ClientConfig, Resumption, UnbufferedClientConnection,
};
use rustls::pki_types::{DnsName, ServerName};
use tokio::io::{AsyncRead, AsyncWrite};

use super::config::{self, Identity};
use super::error::{HandshakeError, Side, from_io};
use super::handshake::{Established, Failed, shake};
use super::stream::TlsStream;
use super::verify::Judge;
use crate::key::{Fingerprint, PublicKey};
use crate::pair::Signer;

/// Which server key is accepted. It is asked once the server has proved that it holds the key.
pub enum Expect {
    /// This one.
    Key(PublicKey),
    /// The one with this fingerprint.
    Fingerprint(Fingerprint),
    /// Whichever this function accepts.
    Judge(Box<dyn Fn(&PublicKey) -> bool + Send + Sync>),
}

impl Expect {
    /// A function as [`Expect::Judge`].
    pub fn judge(welcome: impl Fn(&PublicKey) -> bool + Send + Sync + 'static) -> Expect {
        Expect::Judge(Box::new(welcome))
    }

    fn accepts(&self, key: &PublicKey) -> bool {
        match self {
            Expect::Key(expected) => expected == key,
            Expect::Fingerprint(expected) => *expected == key.fingerprint(),
            Expect::Judge(welcome) => welcome(key),
        }
    }
}

impl fmt::Debug for Expect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expect::Key(key) => write!(f, "Expect({})", key.fingerprint()),
            Expect::Fingerprint(fingerprint) => write!(f, "Expect({fingerprint})"),
            Expect::Judge(_) => f.write_str("Expect(a function)"),
        }
    }
}

/// Proves `signer`'s key to the server behind `io`, for the protocol `alpn`.
///
/// A server whose key is not as expected learns nothing of ours, not even the public key: that
/// leaves encrypted, and only after the server's own proof was accepted. This returns before the
/// server has judged our key; see [`super::explain_read`]. The caller bounds the time.
///
/// # Errors
/// [`HandshakeError`]; [`HandshakeError::HostKey`] carries the key that the server proved.
pub async fn connect<S>(
    mut io: S,
    signer: Arc<dyn Signer>,
    alpn: &[u8],
    expected: Expect,
) -> Result<TlsStream<S>, HandshakeError>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    // Longer or shorter names cannot be offered (RFC 7301, section 3.1).
    if alpn.is_empty() || alpn.len() > 255 {
        return Err(HandshakeError::Protocol);
    }
    let (key, failed) = Identity::certify(signer);
    let (judge, refused) = Judge::new(Box::new(move |key| expected.accepts(key)));
    let config = configure(key, judge, &[alpn])?;
    let end = UnbufferedClientConnection::new(Arc::new(config), name())
        .map_err(|error| HandshakeError::Tls(error.to_string()))?;
    match shake(end, &mut io).await {
        Ok(established) if established.alpn.as_deref() != Some(alpn) => {
            Err(HandshakeError::Protocol)
        }
        Ok(Established { peer: None, .. }) => {
            Err(HandshakeError::Tls("the server has no key".into()))
        }
        Ok(established @ Established { peer: Some(peer), .. }) => {
            Ok(TlsStream::new(io, established, peer))
        }
        Err(Failed { error, first }) => Err(match (refused.get(), failed.take()) {
            (Some(key), _) => HandshakeError::HostKey(*key),
            (None, Some(error)) => HandshakeError::Signer(error),
            (None, None) => from_io(error, Side::Client, &first),
        }),
    }
}

pub(super) fn configure(
    key: Arc<rustls::sign::CertifiedKey>,
    judge: Arc<Judge>,
    alpn: &[&[u8]],
) -> Result<ClientConfig, HandshakeError> {
    let builder = ClientConfig::builder_with_provider(config::provider())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(|error| HandshakeError::Tls(error.to_string()))?;
    let mut config = builder
        .dangerous()
        .with_custom_certificate_verifier(judge)
        .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(key)));
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    config.resumption = Resumption::disabled();
    config.enable_early_data = false;
    config.enable_sni = false;
    // The records behind the handshake are ours.
    config.enable_secret_extraction = true;
    Ok(config)
}

/// Keys count here, not names; the library wants one all the same, and does not send it.
fn name() -> ServerName<'static> {
    ServerName::DnsName(DnsName::try_from_str("sockeye.invalid").expect("a valid DNS name"))
}
