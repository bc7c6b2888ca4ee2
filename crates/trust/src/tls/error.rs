//! How a handshake fails, in words that say which side has to do what.

use std::io;

use rustls::{AlertDescription, Error as TlsError, PeerIncompatible};
use sockeye_net::shown;
use thiserror::Error;

use crate::key::PublicKey;
use crate::pair::SignError;

/// Why two ends did not come together. Text of the peer's is escaped.
#[derive(Debug, Error)]
pub enum HandshakeError {
    /// The server does not know the client's key, or does not let it in from there or now.
    #[error("the key is not authorised on the server; run `sockeye key authorize` there")]
    NotAuthorised,
    /// The server proved a key that is not the expected one. Nothing of ours was sent.
    #[error("the server's key {} is not the expected one; compare it with `sockeye key show` there", .0.fingerprint())]
    HostKey(PublicKey),
    /// The peer speaks something else, described.
    #[error("the peer does not speak TLS 1.3 but {0}; look at the host and the port")]
    NotTls(String),
    /// The peer speaks TLS, but proves itself otherwise: somebody's web server, say.
    #[error(
        "the peer speaks TLS with certificates, or without raw Ed25519 keys, which sockeye does not \
         know; for such a server use `openssl s_client`"
    )]
    OtherTls,
    /// Both speak TLS, but no application protocol in common.
    #[error(
        "the peer serves another protocol, or another version of this one; update the older side"
    )]
    Protocol,
    /// The peer hung up in the middle.
    #[error("the peer closed the connection during the handshake; look into its log")]
    Closed,
    /// The client gave up with this alert.
    #[error("the client broke the handshake off ({0}); its own message says why")]
    Client(String),
    /// Time ran out.
    #[error("the handshake took too long; look at the network, or at the peer's load")]
    TimedOut,
    /// Our own key did not sign.
    #[error(transparent)]
    Signer(#[from] SignError),
    /// The connection failed.
    #[error("the connection failed during the handshake: {0}; look at the network and try again")]
    Io(io::Error),
    /// TLS itself failed: a forged or damaged message, or a peer that breaks the protocol.
    #[error("TLS failed: {0}; if it happens again, something on the way changes the data")]
    Tls(String),
}

/// What a failed read or write on a stream that had its handshake means, where TLS knows better
/// than the system: in TLS 1.3 the client is done before the server has judged its key, so the
/// refusal arrives with the first read. After a failed write, read once to learn of it.
pub fn explain_read(error: &io::Error) -> Option<HandshakeError> {
    let inner = error.get_ref()?.downcast_ref::<TlsError>()?;
    Some(from_tls(inner, Side::Client))
}

/// Which end we are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    Client,
    Server,
}

/// What a failed handshake means. `first` is what the peer sent first.
pub(super) fn from_io(error: io::Error, side: Side, first: &[u8]) -> HandshakeError {
    if side == Side::Client && is_echo(first) {
        return HandshakeError::NotTls("an echo of what we sent".into());
    }
    if let Some(inner) = error.get_ref().and_then(|inner| inner.downcast_ref::<TlsError>()) {
        return match inner {
            TlsError::InvalidMessage(_) | TlsError::InappropriateMessage { .. }
                if !is_tls(first) =>
            {
                HandshakeError::NotTls(crate::hello::describe(first))
            }
            inner => from_tls(inner, side),
        };
    }
    match error.kind() {
        io::ErrorKind::UnexpectedEof if !first.is_empty() && !is_tls(first) => {
            HandshakeError::NotTls(crate::hello::describe(first))
        }
        io::ErrorKind::UnexpectedEof
        | io::ErrorKind::ConnectionReset
        | io::ErrorKind::BrokenPipe
        | io::ErrorKind::ConnectionAborted => HandshakeError::Closed,
        io::ErrorKind::TimedOut => HandshakeError::TimedOut,
        _ => HandshakeError::Io(error),
    }
}

/// True if the first bytes are those of a TLS record (RFC 8446, section 5.1).
fn is_tls(first: &[u8]) -> bool {
    matches!(first, [] | [20..=23] | [20..=23, 3, ..])
}

/// True if a server's first message is a ClientHello (RFC 8446, section 4): our own, come back.
fn is_echo(first: &[u8]) -> bool {
    matches!(first, [22, 3, _, _, _, 1, ..])
}

fn from_tls(error: &TlsError, side: Side) -> HandshakeError {
    match error {
        TlsError::AlertReceived(alert) => from_alert(*alert, side),
        TlsError::NoApplicationProtocol => HandshakeError::Protocol,
        TlsError::PeerIncompatible(
            PeerIncompatible::SupportedVersionsExtensionRequired
            | PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig
            | PeerIncompatible::Tls12NotOffered,
        ) => HandshakeError::NotTls("an older TLS".into()),
        TlsError::PeerIncompatible(_) => HandshakeError::OtherTls,
        other => HandshakeError::Tls(shown::line(&other.to_string())),
    }
}

fn from_alert(alert: AlertDescription, side: Side) -> HandshakeError {
    match alert {
        AlertDescription::NoApplicationProtocol => HandshakeError::Protocol,
        AlertDescription::AccessDenied if side == Side::Client => HandshakeError::NotAuthorised,
        AlertDescription::AccessDenied => {
            HandshakeError::Client("it does not accept this server's key".into())
        }
        AlertDescription::ProtocolVersion => HandshakeError::NotTls("an older TLS".into()),
        AlertDescription::HandshakeFailure
        | AlertDescription::MissingExtension
        | AlertDescription::UnsupportedCertificate => HandshakeError::OtherTls,
        alert if side == Side::Client => {
            HandshakeError::Tls(format!("the server sent the alert {alert:?}"))
        }
        alert => HandshakeError::Client(format!("alert {alert:?}")),
    }
}
