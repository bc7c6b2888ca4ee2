//! The gate of a server: TLS, then the peer's key against the list, or the peer's user on a Unix
//! socket. Whoever is behind it holds a [`Pass`].

use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::SystemTime;

use serde_json::Value;
use sockeye_limits as limits;
use sockeye_net::Peer;
use sockeye_serve::{End, Front, Look, Offence, Proof, Why, drive};
use sockeye_trust::authorized::{self, Denial, Grant};
use sockeye_trust::tls::{Acceptor, HandshakeError, TlsStream};
use sockeye_trust::{
    Fingerprint, HostKeyError, KeyPair, PublicKey, SignError, Signer, hello, host_key,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;

/// What somebody who came in may do.
#[derive(Debug, Clone)]
pub(crate) struct Pass {
    /// The fingerprint of the key, or `uid:` and a number.
    pub(crate) identity: String,
    /// The comment of the key.
    pub(crate) comment: String,
    /// This command and no other.
    pub(crate) forced: Option<String>,
    /// A terminal may be had.
    pub(crate) pty: bool,
    /// Nothing beyond the command itself.
    pub(crate) restricted: bool,
    /// What was proved; none on a Unix socket, where the kernel vouches for the user.
    proof: Option<Proved>,
}

/// The key that a peer has proved, and where it came from.
#[derive(Debug, Clone, Copy)]
struct Proved {
    key: PublicKey,
    source: Option<IpAddr>,
}

/// Why somebody did not come in.
#[derive(Debug)]
pub(crate) struct Rejected {
    pub(crate) why: String,
    pub(crate) offence: Offence,
}

/// The server's own key: it signs in the process that holds it; others ask that process.
pub(crate) struct HostKey {
    public: PublicKey,
    file: PathBuf,
    /// In the server itself.
    held: RwLock<Option<Arc<KeyPair>>>,
}

/// The gate of one server.
pub(crate) struct Gate {
    pub(crate) key: HostKey,
    authorized: PathBuf,
    protocol: &'static [u8],
}

impl HostKey {
    /// In the process that is to hold it; made where there is none yet.
    ///
    /// # Errors
    /// Where the key cannot be read or made.
    pub(crate) fn held(file: &Path) -> Result<HostKey, HostKeyError> {
        let key = host_key(file)?;
        let public = key.public();
        Ok(HostKey { public, file: file.into(), held: RwLock::new(Some(Arc::new(key))) })
    }

    /// In a worker process, from what [`Session::setup`](sockeye_serve::Session::setup)
    /// said in the server.
    pub(crate) fn elsewhere(setup: &Value, file: &Path) -> Option<HostKey> {
        let public = setup.get("key")?.as_str()?.parse().ok()?;
        Some(HostKey { public, file: file.into(), held: RwLock::new(None) })
    }

    fn get(&self) -> Option<Arc<KeyPair>> {
        self.held.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The key that peers know this server by.
    pub(crate) fn public(&self) -> PublicKey {
        self.get().map_or_else(|| self.public, |key| key.public())
    }

    /// Reads the key again and puts it in force.
    ///
    /// # Errors
    /// What was wrong; the old one stays in force.
    pub(crate) fn reload(&self) -> Result<(), String> {
        let key = host_key(&self.file).map_err(|error| error.to_string())?;
        *self.held.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(key));
        Ok(())
    }

    /// The fingerprint that peers compare.
    pub(crate) fn fingerprint(&self) -> String {
        self.public().fingerprint().to_string()
    }

    /// Signs for a worker process: the one thing that a server signs in a handshake, nothing else.
    pub(crate) fn sign_for_worker(&self, question: &[u8]) -> Result<Vec<u8>, String> {
        if !sockeye_trust::tls::signing_content_ok(question) {
            return Err("only a server's part of a TLS 1.3 handshake is signed".into());
        }
        let key = self.get().ok_or("this process holds no key")?;
        key.sign(question).map(|signature| signature.to_vec()).map_err(|error| error.to_string())
    }
}

/// Signs by asking the process that holds the key.
struct Asking {
    public: PublicKey,
    front: Arc<dyn Front>,
}

impl std::fmt::Debug for Asking {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Asking").field(&self.public).finish()
    }
}

impl Signer for Asking {
    fn public(&self) -> PublicKey {
        self.public
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        let answer = self.front.ask(message)?;
        answer.try_into().map_err(|_| SignError::Refused("a signature of another length".into()))
    }
}

impl Gate {
    pub(crate) fn new(key: HostKey, authorized: PathBuf, protocol: &'static [u8]) -> Gate {
        Gate { key, authorized, protocol }
    }

    /// What the first bytes of a connection are.
    pub(crate) fn look(first: &[u8]) -> Look {
        match hello::look(first) {
            hello::Look::More => Look::More,
            hello::Look::Ready => Look::Ready,
            // It is told so by an alert, which the handshake has.
            hello::Look::Stranger("an older TLS") if first.first() == Some(&0x16) => Look::Ready,
            hello::Look::Stranger(what) => Look::Stranger(what),
        }
    }

    /// The handshake; then the peer is known, or turned away.
    pub(crate) async fn secure<S>(
        &self,
        stream: S,
        peer: &Peer,
        front: &Arc<dyn Front>,
    ) -> Result<(TlsStream<S>, Pass), Rejected>
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let signer: Arc<dyn Signer> = match self.key.get() {
            Some(key) => key,
            None => Arc::new(Asking { public: self.key.public(), front: Arc::clone(front) }),
        };
        let verdict = Arc::new(Mutex::new(None));
        let (judged, list) = (Arc::clone(&verdict), self.authorized.clone());
        let source = peer.address.inet().map(|inet| inet.ip().to_canonical());
        let judge = move |key: &PublicKey| {
            let verdict = pass(&list, Proved { key: *key, source });
            let let_in = verdict.is_ok();
            *judged.lock().unwrap_or_else(PoisonError::into_inner) = Some(verdict);
            let_in
        };
        let acceptor = Acceptor::new(signer, &[self.protocol]);
        let handshake = timeout(limits::HANDSHAKE_TIME, acceptor.accept(stream, judge)).await;
        let verdict = verdict.lock().unwrap_or_else(PoisonError::into_inner).take();
        match (handshake, verdict) {
            (Ok(Ok((stream, _))), Some(Ok(pass))) => Ok((stream, pass)),
            (_, Some(Err(rejected))) => Err(rejected),
            (Ok(Ok(_)), None) => {
                Err(Rejected { why: "its key was not judged".into(), offence: Offence::None })
            }
            (Ok(Err(error)), _) => Err(Rejected::by(&error)),
            (Err(_), _) => Err(Rejected {
                why: "it did not finish the TLS handshake in time".into(),
                offence: Offence::Slow,
            }),
        }
    }

    /// Judges somebody who is in again, by the list as it is now: what he may do from here on.
    pub(crate) fn renew(&self, old: &Pass) -> Result<Pass, Rejected> {
        match old.proof {
            // He has misbehaved in nothing, whatever became of his key.
            Some(proof) => pass(&self.authorized, proof)
                .map_err(|rejected| Rejected { offence: Offence::None, ..rejected }),
            None => Ok(old.clone()),
        }
    }

    /// On a Unix socket the kernel knows who it is: the same user may come in (T5).
    pub(crate) fn same_user(peer: &Peer) -> Result<Pass, Rejected> {
        let ours = rustix::process::geteuid().as_raw();
        match peer.credentials {
            Some(theirs) if theirs.uid == ours => Ok(Pass {
                identity: format!("uid:{ours}"),
                comment: String::new(),
                forced: None,
                pty: true,
                restricted: false,
                proof: None,
            }),
            Some(theirs) => Err(Rejected {
                why: format!("it is user {}, and only user {ours} may come in here", theirs.uid),
                offence: Offence::Key,
            }),
            None => Err(Rejected {
                why: "the system does not say whose it is".into(),
                offence: Offence::None,
            }),
        }
    }
}

/// Reads the list anew for each peer and each command: a key that was taken out is out at once.
fn pass(list: &Path, proof: Proved) -> Result<Pass, Rejected> {
    let Proved { key, source } = proof;
    let read = authorized::read(list);
    let authorized = read.map_err(|error| Rejected {
        why: format!("nobody can come in: {error}"),
        offence: Offence::None,
    })?;
    let fingerprint = key.fingerprint();
    let judged = authorized.judge(&key, source, SystemTime::now());
    judged.map(|grant| Pass::of(grant, proof)).map_err(|denial| Rejected {
        why: denied(&fingerprint, &denial, list),
        offence: Offence::Key,
    })
}

fn denied(fingerprint: &Fingerprint, denial: &Denial, list: &Path) -> String {
    let list = sockeye_net::shown::bytes(list.as_os_str().as_encoded_bytes());
    format!("its key {fingerprint} may not come in: {denial} ({list})")
}

impl Pass {
    fn of(grant: Grant, proof: Proved) -> Pass {
        Pass {
            identity: grant.fingerprint.to_string(),
            comment: grant.comment,
            forced: grant.forced,
            pty: grant.pty,
            restricted: grant.restricted,
            proof: Some(proof),
        }
    }

    /// Tells the server who came in, and waits for the place; false where there is none.
    pub(crate) async fn enter(&self, front: &dyn Front) -> bool {
        let (identity, comment) = (self.identity.clone(), cut(&self.comment));
        front.enter(Proof { identity, comment }).await
    }
}

/// Ends a connection that came too late for a place.
pub(crate) async fn no_place(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> End {
    // A peer that has gone meanwhile has missed nothing.
    let _ = drive::channel::say_goodbye(&mut stream).await;
    End::ours(Why::Overload)
}

/// A comment is for people: a long one is shortened, and a message to the server has a limit.
fn cut(comment: &str) -> String {
    comment.chars().take(limits::COMMENT_SHOWN).collect()
}

impl Rejected {
    fn by(error: &HandshakeError) -> Rejected {
        let offence = match error {
            HandshakeError::Signer(_) => Offence::None,
            // Also a client that does not know us yet: it asks its user, comes again and is forgiven.
            HandshakeError::Closed | HandshakeError::Client(_) => Offence::Stopped,
            HandshakeError::Io(error) if error.kind() != io::ErrorKind::InvalidData => {
                Offence::Stopped
            }
            HandshakeError::TimedOut => Offence::Slow,
            _ => Offence::Stranger,
        };
        Rejected { why: format!("the TLS handshake failed: {error}"), offence }
    }
}
