//! To a server: dial, prove both sides, say hello.

use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use sockeye_limits as limits;
use sockeye_net::dial::{DialOptions, dial_stream};
use sockeye_net::endpoint::Host;
use sockeye_net::{Endpoint, shown};
use sockeye_trust::file::{Ask, KeyFileError};
use sockeye_trust::identity::{Candidate, IdentityError, candidates};
use sockeye_trust::known::{self, Verdict};
use sockeye_trust::tls::{Expect, HandshakeError, connect, explain_read};
use sockeye_trust::{Fingerprint, PublicKey, Signer};
use thiserror::Error;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio::time::timeout;

use super::remote::{CallError, Remote};

/// Any connection to a server.
pub trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// What to do about a server that is met for the first time.
pub enum FirstContact<'a> {
    /// Nobody can be asked.
    Refuse,
    /// The key with this fingerprint is trusted from now on, and no other, known or not.
    Pinned(Fingerprint),
    /// Somebody is asked: the server's name, the fingerprint of its key.
    Ask(&'a mut dyn FnMut(&str, &Fingerprint) -> bool),
}

/// How a server is reached.
pub struct Reach<'a> {
    /// Where it is: `tls://` or `unix:`.
    pub endpoint: &'a Endpoint,
    /// How it is dialled.
    pub dial: &'a DialOptions,
    /// The key file that was named.
    pub identity: Option<&'a Path>,
    /// The servers that are known.
    pub known_hosts: &'a Path,
    /// What to do about one that is not.
    pub first_contact: FirstContact<'a>,
    /// Asks for a passphrase.
    pub passphrase: &'a mut Ask<'a>,
}

/// Why a server was not reached. Each is a sentence of its own.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ReachError {
    /// No connection.
    #[error(transparent)]
    Dial(#[from] sockeye_net::Error),
    /// We have no key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Our key cannot be used.
    #[error(transparent)]
    Key(#[from] KeyFileError),
    /// The list of known servers cannot be used.
    #[error("cannot use the list of known servers: {0}")]
    List(String),
    /// Nobody knows the server.
    #[error(
        "{host} is not known: its key is {fingerprint}. Compare that with the line that the server \
         prints at its start, then use --trust {fingerprint}, or connect once from a terminal."
    )]
    Unknown {
        /// The server's name.
        host: String,
        /// Its key.
        fingerprint: Fingerprint,
    },
    /// The user does not trust it.
    #[error("the key of {host} was not accepted. Ask its owner for the fingerprint.")]
    NotTrusted {
        /// The server's name.
        host: String,
    },
    /// The one key that was to be trusted is not the server's.
    #[error(
        "{host} has the key {new}, not {expected} as --trust says. Somebody may be in between: ask \
         the server's owner for the fingerprint."
    )]
    NotPinned {
        /// The server's name.
        host: String,
        /// The key that it proved.
        new: Fingerprint,
        /// The one that was to be trusted.
        expected: Fingerprint,
    },
    /// The server has another key than it had.
    #[error(
        "THE KEY OF {host} HAS CHANGED: it was {old} ({file}, line {line}), now it is {new}. \
         Somebody may be in between. If its owner confirms the new key, run `sockeye key trust \
         --remove {host}` and connect again."
    )]
    Changed {
        /// The server's name.
        host: String,
        /// What was known.
        old: Fingerprint,
        /// What it proved.
        new: Fingerprint,
        /// Where the old one stands.
        line: usize,
        /// In which file.
        file: String,
    },
    /// The server is known by keys of other types only.
    #[error(
        "{host} is known by another type of key ({types}), not by the Ed25519 key that it proved. \
         If its owner confirms {new}, add it with `sockeye key trust {host} 'ssh-ed25519 …'`."
    )]
    OtherTypes {
        /// The server's name.
        host: String,
        /// The types that are known.
        types: String,
        /// What it proved.
        new: Fingerprint,
    },
    /// The key must never be taken.
    #[error("the key of {host} is revoked ({file}, line {line}). Do not use this server.")]
    Revoked {
        /// The server's name.
        host: String,
        /// Where that stands.
        line: usize,
        /// In which file.
        file: String,
    },
    /// Another user's server is behind a Unix socket, where the kernel stands for keys.
    #[error(
        "{endpoint} is served by user {theirs}, and you are user {ours}: over a Unix socket commands \
         go to your own user only. Use tls:// for others."
    )]
    OtherUser {
        /// Where.
        endpoint: String,
        /// The server's user number.
        theirs: u32,
        /// Ours.
        ours: u32,
    },
    /// The handshake failed.
    #[error("{endpoint}: {error}")]
    Handshake {
        /// Where.
        endpoint: String,
        /// How.
        error: HandshakeError,
    },
    /// The first words failed.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The event loop does not take the socket.
    #[error("cannot wait for the connection: {0}. Raise `ulimit -n`.")]
    System(io::Error),
}

impl Reach<'_> {
    /// A connection over which the host protocol is spoken. Of several keys each is tried until one
    /// is let in.
    ///
    /// # Errors
    /// [`ReachError`].
    pub async fn remote(mut self) -> Result<Remote<Box<dyn Duplex>>, ReachError> {
        if matches!(self.endpoint, Endpoint::Unix(_)) {
            return Ok(Remote::new(self.plug().await?)?);
        }
        let mut keys = candidates(self.identity)?.into_iter().peekable();
        loop {
            let key = keys.next().ok_or(IdentityError::Nothing)?;
            let stream = self.secure(&key, sockeye_wire::ALPN).await?;
            let mut remote = Remote::new(stream)?;
            if keys.peek().is_none() {
                // The last one need not be waited for: a refusal is told by the first command.
                return Ok(remote);
            }
            match remote.greet().await {
                Ok(()) => return Ok(remote),
                Err(CallError::Connection(error)) if is_refusal(&error) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// A secured connection over which bytes flow both ways, with the first of our keys.
    ///
    /// # Errors
    /// [`ReachError`].
    pub async fn stream(mut self) -> Result<Box<dyn Duplex>, ReachError> {
        let key = candidates(self.identity)?.into_iter().next().ok_or(IdentityError::Nothing)?;
        let stream = self.secure(&key, crate::secured::ALPN).await?;
        Ok(Box::new(Explained(stream)))
    }

    async fn plug(&self) -> Result<Box<dyn Duplex>, ReachError> {
        let dialled = dial_stream(self.endpoint, self.dial).await?;
        if self.endpoint.host_port().is_some() && !self.says_how_long() {
            dialled.socket.watch_peer().map_err(ReachError::System)?;
        }
        let fd = std::os::fd::OwnedFd::from(dialled.socket);
        Ok(if matches!(self.endpoint, Endpoint::Unix(_)) {
            let stream = UnixStream::from_std(fd.into()).map_err(ReachError::System)?;
            let theirs = stream.peer_cred().map_err(ReachError::System)?.uid();
            let ours = rustix::process::geteuid().as_raw();
            if theirs != ours {
                let endpoint = self.endpoint.to_string();
                return Err(ReachError::OtherUser { endpoint, theirs, ours });
            }
            Box::new(stream)
        } else {
            Box::new(TcpStream::from_std(fd.into()).map_err(ReachError::System)?)
        })
    }

    /// True where the user has said how long a silent server is waited for.
    fn says_how_long(&self) -> bool {
        let names = self.dial.options.iter().map(ToString::to_string);
        names.into_iter().any(|name| name.starts_with("keep") || name.starts_with("user-timeout"))
    }

    /// A handshake; a second one where somebody had to be asked about the server first, so that no
    /// server waits for a person.
    async fn secure(
        &mut self,
        key: &Candidate,
        alpn: &[u8],
    ) -> Result<Box<dyn Duplex>, ReachError> {
        let (host, port) = self.name();
        let known = known::read(self.known_hosts);
        let known = known.map_err(|error| ReachError::List(error.to_string()))?;
        let (lines, name, pinned) = (known.clone(), host.clone(), self.pinned());
        let expect = Expect::judge(move |key| {
            lines.judge(&name, port, key) == Verdict::Known
                && pinned.is_none_or(|pinned| pinned == key.fingerprint())
        });
        let signer = key.signer(self.passphrase)?;
        let proved = match self.handshake(&signer, alpn, expect).await? {
            Ok(stream) => return Ok(stream),
            Err(proved) => proved,
        };
        self.meet(&host, port, &proved, &known.judge(&host, port, &proved))?;
        match self.handshake(&signer, alpn, Expect::Key(proved)).await? {
            Ok(stream) => Ok(stream),
            Err(other) => Err(ReachError::NotPinned {
                host,
                new: other.fingerprint(),
                expected: proved.fingerprint(),
            }),
        }
    }

    /// The secured stream, or the key that was not the expected one.
    async fn handshake(
        &self,
        signer: &Arc<dyn Signer>,
        alpn: &[u8],
        expect: Expect,
    ) -> Result<Result<Box<dyn Duplex>, PublicKey>, ReachError> {
        let plug = self.plug().await?;
        let time = limits::HELLO_WAIT + limits::HANDSHAKE_TIME;
        let connected = timeout(time, connect(plug, Arc::clone(signer), alpn, expect)).await;
        let endpoint = self.endpoint.to_string();
        match connected {
            Ok(Ok(stream)) => Ok(Ok(Box::new(stream))),
            Ok(Err(HandshakeError::HostKey(key))) => Ok(Err(key)),
            Ok(Err(error)) => Err(ReachError::Handshake { endpoint, error }),
            Err(_) => Err(ReachError::Handshake { endpoint, error: HandshakeError::TimedOut }),
        }
    }

    /// The one key that may be the server's, known or not.
    fn pinned(&self) -> Option<Fingerprint> {
        match self.first_contact {
            FirstContact::Pinned(fingerprint) => Some(fingerprint),
            _ => None,
        }
    }

    /// Decides about a key that is not known as this server's, or known and not the pinned one; one
    /// that is accepted is remembered.
    fn meet(
        &mut self,
        host: &str,
        port: u16,
        key: &PublicKey,
        verdict: &Verdict,
    ) -> Result<(), ReachError> {
        let new = key.fingerprint();
        let name = display_name(host, port);
        let file = shown::bytes(self.known_hosts.as_os_str().as_encoded_bytes());
        match verdict {
            Verdict::Known => {
                let expected = self.pinned().unwrap_or(new);
                return Err(ReachError::NotPinned { host: name, new, expected });
            }
            Verdict::Changed { line, old } => {
                return Err(ReachError::Changed { host: name, old: *old, new, line: *line, file });
            }
            Verdict::OtherTypes(types) => {
                let types = types.join(", ");
                return Err(ReachError::OtherTypes { host: name, types, new });
            }
            Verdict::Revoked { line } => {
                return Err(ReachError::Revoked { host: name, line: *line, file });
            }
            Verdict::Unknown => {}
        }
        match &mut self.first_contact {
            FirstContact::Refuse => {
                return Err(ReachError::Unknown { host: name, fingerprint: new });
            }
            FirstContact::Pinned(expected) if *expected != new => {
                return Err(ReachError::NotPinned { host: name, new, expected: *expected });
            }
            FirstContact::Ask(ask) => {
                if !ask(&name, &new) {
                    return Err(ReachError::NotTrusted { host: name });
                }
            }
            FirstContact::Pinned(_) => {}
        }
        known::append(self.known_hosts, host, port, key)
            .map_err(|error| ReachError::List(error.to_string()))
    }

    /// The name that the server is known by: what the user wrote.
    fn name(&self) -> (String, u16) {
        match self.endpoint.host_port() {
            None => (self.endpoint.to_string(), 0),
            Some(at) => {
                let host = match &at.host {
                    Host::Name(name) => name.clone(),
                    Host::V4(ip) => ip.to_string(),
                    Host::V6(ip, _) => ip.to_string(),
                };
                (host, at.port)
            }
        }
    }
}

fn display_name(host: &str, port: u16) -> String {
    let host = shown::line(host);
    match port {
        limits::HOST_PORT => host,
        _ if host.contains(':') => format!("[{host}]:{port}"),
        _ => format!("{host}:{port}"),
    }
}

/// True where the server has judged our key, and not let it in.
pub(crate) fn is_refusal(error: &io::Error) -> bool {
    matches!(explain_read(error), Some(HandshakeError::NotAuthorised))
}

/// A stream whose failures are told by whoever knows most: in TLS 1.3 the server judges our key when
/// we think that the handshake is over.
struct Explained(Box<dyn Duplex>);

fn explained<T>(done: io::Result<T>) -> io::Result<T> {
    done.map_err(|error| match explain_read(&error) {
        Some(better) => io::Error::new(error.kind(), better),
        None => error,
    })
}

impl AsyncRead for Explained {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer).map(explained)
    }
}

impl AsyncWrite for Explained {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes).map(explained)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx).map(explained)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx).map(explained)
    }
}
