//! The server's end of a handshake.

use std::fmt;
use std::sync::Arc;

use rustls::server::{
    AlwaysResolvesServerRawPublicKeys, NoServerSessionStorage, ServerConfig,
    UnbufferedServerConnection,
};
use sockeye_limits as limits;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use super::config::{self, Identity};
use super::error::{HandshakeError, Side, from_io};
use super::handshake::{Established, Failed, shake};
use super::stream::TlsStream;
use super::verify::Judge;
use crate::key::PublicKey;
use crate::pair::Signer;

/// Takes connections: proves the server's key, and has each client's proved and judged.
pub struct Acceptor {
    signer: Arc<dyn Signer>,
    alpn: Vec<Vec<u8>>,
}

impl Acceptor {
    /// A server with this key, for these protocols (ALPN, RFC 7301), the best first. A client has
    /// to ask for one of them.
    pub fn new(signer: Arc<dyn Signer>, alpn: &[&[u8]]) -> Acceptor {
        Acceptor { signer, alpn: alpn.iter().map(|name| name.to_vec()).collect() }
    }

    /// The key that it proves.
    pub fn public(&self) -> PublicKey {
        self.signer.public()
    }

    /// Does the handshake with the client behind `io`.
    ///
    /// `judge` says whether a key is welcome. It is asked only after the client has proved that it
    /// holds the key, so nobody learns about keys of others; it is called on this task and must
    /// not block long. A key that is not welcome is told so (the alert access_denied). After a
    /// failure what the client still sends is drained for [`limits::LINGER_TIME`] at most, so that
    /// no reset destroys the alert. The caller bounds the time, and needs a runtime with timers.
    ///
    /// # Errors
    /// [`HandshakeError`]; [`HandshakeError::NotAuthorised`] for a key that is not welcome.
    pub async fn accept<S>(
        &self,
        mut io: S,
        judge: impl Fn(&PublicKey) -> bool + Send + Sync + 'static,
    ) -> Result<(TlsStream<S>, PublicKey), HandshakeError>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let (key, failed) = Identity::certify(self.signer.clone());
        let (judge, refused) = Judge::new(Box::new(judge));
        let config = self.configure(key, judge)?;
        let end = UnbufferedServerConnection::new(Arc::new(config))
            .map_err(|error| HandshakeError::Tls(error.to_string()))?;
        match shake(end, &mut io).await {
            Ok(established) => self.admitted(io, established),
            Err(Failed { error, first }) => {
                linger(&mut io).await;
                Err(match (refused.get(), failed.take()) {
                    (Some(_), _) => HandshakeError::NotAuthorised,
                    (None, Some(error)) => HandshakeError::Signer(error),
                    (None, None) => from_io(error, Side::Server, &first),
                })
            }
        }
    }

    fn admitted<S>(
        &self,
        io: S,
        established: Established,
    ) -> Result<(TlsStream<S>, PublicKey), HandshakeError> {
        // A client that offers no protocol at all passes the library's own check.
        if !self.alpn.is_empty() && established.alpn.is_none() {
            return Err(HandshakeError::Protocol);
        }
        let peer = established.peer;
        let peer = peer.ok_or_else(|| HandshakeError::Tls("the client has no key".into()))?;
        Ok((TlsStream::new(io, established, peer), peer))
    }

    fn configure(
        &self,
        key: Arc<rustls::sign::CertifiedKey>,
        judge: Arc<Judge>,
    ) -> Result<ServerConfig, HandshakeError> {
        let builder = ServerConfig::builder_with_provider(config::provider())
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(|error| HandshakeError::Tls(error.to_string()))?;
        let mut config = builder
            .with_client_cert_verifier(judge)
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(key)));
        config.alpn_protocols = self.alpn.clone();
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        config.max_early_data_size = 0;
        config.send_half_rtt_data = false;
        // The records behind the handshake are ours.
        config.enable_secret_extraction = true;
        Ok(config)
    }
}

/// Ends our side and reads what still comes, bounded: close(2) with unread input is a reset, which
/// would overtake the alert (RFC 1122, section 4.2.2.13).
async fn linger<S: AsyncRead + AsyncWrite + Unpin>(io: &mut S) {
    let drain = async {
        if io.shutdown().await.is_err() {
            return;
        }
        let (mut scratch, mut left) = ([0; 2048], limits::HELLO_BYTES * 4);
        while let Ok(n) = io.read(&mut scratch).await
            && n > 0
            && n < left
        {
            left -= n;
        }
    };
    let _ = tokio::time::timeout(limits::LINGER_TIME, drain).await;
}

impl fmt::Debug for Acceptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Acceptor({})", self.signer.public().fingerprint())
    }
}
