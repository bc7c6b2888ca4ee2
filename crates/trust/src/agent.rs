//! A small client of the SSH agent: which keys it holds, and signatures by them.
//!
//! The protocol is draft-ietf-sshm-ssh-agent; we speak two of its requests. Each request has a
//! connection of its own and a deadline, and every length is checked.

use std::env;
use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use sockeye_limits as limits;
use sockeye_net::shown;
use thiserror::Error;

use crate::blob::{Fields, put_string};
use crate::key::{ED25519_NAME, PublicKey};
use crate::pair::{SignError, Signer};

/// Message numbers (draft-ietf-sshm-ssh-agent, section 6.1).
const REQUEST_IDENTITIES: u8 = 11;
pub(crate) const IDENTITIES_ANSWER: u8 = 12;
const SIGN_REQUEST: u8 = 13;
pub(crate) const SIGN_RESPONSE: u8 = 14;

/// Why the agent was of no use.
#[derive(Debug, Error)]
pub enum AgentError {
    /// Its socket could not be talked to.
    #[error("cannot talk to the SSH agent: {0}; start one, or unset SSH_AUTH_SOCK")]
    Io(#[from] io::Error),
    /// It took longer than [`limits::AGENT_TIME`] for one answer.
    #[error("the SSH agent did not answer in {} s; unlock it, or answer its question", limits::AGENT_TIME.as_secs())]
    TimedOut,
    /// It will not sign with that key.
    #[error("the SSH agent refused to sign; unlock it (ssh-add -X), or add the key again")]
    Refused,
    /// What it said made no sense.
    #[error("the SSH agent sent {0}; look what SSH_AUTH_SOCK points to")]
    Broken(&'static str),
}

/// A running agent, by its socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Agent {
    path: PathBuf,
}

impl Agent {
    /// The user's agent, from `SSH_AUTH_SOCK`. `None` if that is unset or empty; whether anybody
    /// listens there is seen when it is asked.
    pub fn from_env() -> Option<Agent> {
        let path = env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty())?;
        Some(Agent::at(Path::new(&path)))
    }

    /// The agent behind this socket.
    pub fn at(path: &Path) -> Agent {
        Agent { path: path.to_owned() }
    }

    /// Its Ed25519 keys with their comments (escaped), at most [`limits::AGENT_KEYS`] of them.
    ///
    /// # Errors
    /// [`AgentError`].
    pub fn list(&self) -> Result<Vec<(PublicKey, String)>, AgentError> {
        let answer = self.ask(&[REQUEST_IDENTITIES])?;
        parse_list(&answer).ok_or(AgentError::Broken("a broken list of keys"))
    }

    /// A signer for a key of its own. Whether the agent has the key is seen when it signs.
    pub fn signer(&self, key: PublicKey) -> AgentSigner {
        AgentSigner { agent: self.clone(), key }
    }

    /// One request and its answer, whose first byte says what it is.
    fn ask(&self, request: &[u8]) -> Result<Vec<u8>, AgentError> {
        let end = Instant::now() + limits::AGENT_TIME;
        let mut stream = connect(&self.path)?;
        let mut message = Vec::with_capacity(request.len() + 4);
        put_string(&mut message, request);
        stream.write_all(&message).map_err(timed_out)?;
        let mut len = [0; 4];
        read_until(&mut stream, &mut len, end)?;
        let len = u32::from_be_bytes(len) as usize;
        if len == 0 || len > limits::AGENT_MESSAGE {
            return Err(AgentError::Broken("an answer of an impossible length"));
        }
        let mut answer = vec![0; len];
        read_until(&mut stream, &mut answer, end)?;
        Ok(answer)
    }
}

pub(crate) fn parse_list(answer: &[u8]) -> Option<Vec<(PublicKey, String)>> {
    let mut fields = Fields(answer);
    if fields.byte()? != IDENTITIES_ANSWER {
        return None;
    }
    let count = fields.number()? as usize;
    let mut keys = Vec::new();
    for _ in 0..count.min(limits::AGENT_KEYS) {
        let blob = fields.string()?;
        let comment = fields.string()?;
        // Keys of other types are none of our business.
        if let Ok(key) = PublicKey::from_blob(blob) {
            keys.push((key, shown::bytes(comment)));
        }
    }
    Some(keys)
}

/// The sending timeout bounds connect(2) as well, which waits for a place in the agent's queue.
fn connect(path: &Path) -> Result<UnixStream, AgentError> {
    let address = SocketAddrUnix::new(path).map_err(io::Error::from)?;
    let flags = SocketFlags::CLOEXEC;
    let socket = rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None);
    let socket = socket.map_err(io::Error::from)?;
    set_socket_timeout(&socket, Timeout::Send, Some(limits::AGENT_TIME))
        .map_err(io::Error::from)?;
    rustix::net::connect(&socket, &address).map_err(|error| timed_out(error.into()))?;
    Ok(UnixStream::from(socket))
}

/// Fills the buffer before the deadline, however slowly the bytes come.
fn read_until(
    stream: &mut UnixStream,
    mut buffer: &mut [u8],
    end: Instant,
) -> Result<(), AgentError> {
    while !buffer.is_empty() {
        let left = end.saturating_duration_since(Instant::now());
        if left < Duration::from_millis(1) {
            return Err(AgentError::TimedOut);
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(buffer) {
            Ok(0) => return Err(AgentError::Broken("half an answer")),
            Ok(n) => buffer = &mut buffer[n..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(timed_out(error)),
        }
    }
    Ok(())
}

fn timed_out(error: io::Error) -> AgentError {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => AgentError::TimedOut,
        _ => AgentError::Io(error),
    }
}

/// Signs with one key of the agent. Blocks until the agent answered, at most
/// [`limits::AGENT_TIME`]: keep it off the event loop.
#[derive(Clone)]
pub struct AgentSigner {
    agent: Agent,
    key: PublicKey,
}

impl AgentSigner {
    fn ask(&self, message: &[u8]) -> Result<[u8; 64], AgentError> {
        let mut request = vec![SIGN_REQUEST];
        put_string(&mut request, &self.key.to_blob());
        put_string(&mut request, message);
        request.extend_from_slice(&0u32.to_be_bytes());
        let answer = self.agent.ask(&request)?;
        if answer[0] != SIGN_RESPONSE {
            return Err(AgentError::Refused);
        }
        let signature = parse_signature(&answer).ok_or(AgentError::Broken("a broken signature"))?;
        if !self.key.verify(message, &signature) {
            return Err(AgentError::Broken("a wrong signature"));
        }
        Ok(signature)
    }
}

pub(crate) fn parse_signature(answer: &[u8]) -> Option<[u8; 64]> {
    let mut fields = Fields(answer.get(1..)?);
    let mut inner = Fields(fields.string()?);
    if inner.string()? != ED25519_NAME.as_bytes() {
        return None;
    }
    inner.string()?.try_into().ok()
}

impl Signer for AgentSigner {
    fn public(&self) -> PublicKey {
        self.key
    }

    fn sign(&self, message: &[u8]) -> Result<[u8; 64], SignError> {
        Ok(self.ask(message)?)
    }
}

impl fmt::Debug for AgentSigner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AgentSigner({})", self.key.fingerprint())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixListener;

    use super::*;
    use crate::file::public_of;
    use crate::testing::{TestAgent, has, keygen};

    /// T2: keys of a real agent sign, and only those that it holds.
    #[test]
    fn signs() {
        if !has("ssh-agent") || !has("ssh-add") || !has("ssh-keygen") {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let running = TestAgent::start(dir.path());
        assert_eq!(running.agent().list().unwrap(), []);
        keygen(dir.path(), &["-qted25519", "-N", "", "-C", "one\u{1b}[1m", "-f", "k"]);
        keygen(dir.path(), &["-qtecdsa", "-N", "", "-f", "other"]);
        running.add(dir.path(), &["-q", "k", "other"]);
        let key = public_of(&dir.path().join("k")).unwrap();
        let agent = running.agent();
        assert_eq!(agent.list().unwrap(), [(key, "one\\x1b[1m".to_owned())]);
        let signature = agent.signer(key).sign(b"message").unwrap();
        assert!(key.verify(b"message", &signature));
        assert!(!key.verify(b"another", &signature));
        running.add(dir.path(), &["-q", "-D"]);
        let gone = agent.signer(key).sign(b"message").unwrap_err();
        assert!(matches!(gone, SignError::Agent(AgentError::Refused)), "{gone}");
    }

    /// An agent that gives one answer to whatever it is asked.
    fn answering(answer: &[u8]) -> (tempfile::TempDir, Agent) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("agent");
        let listener = UnixListener::bind(&path).unwrap();
        let answer = answer.to_vec();
        std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut question = [0; 512];
            let _ = stream.read(&mut question);
            let _ = stream.write_all(&answer);
        });
        (dir, Agent::at(&path))
    }

    fn message(body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        put_string(&mut out, body);
        out
    }

    /// T2, fault 46: lengths that an agent claims are checked before anything is believed.
    #[test]
    fn nonsense() {
        let wrong = {
            let mut signature = Vec::new();
            put_string(&mut signature, b"ssh-ed25519");
            put_string(&mut signature, &[7; 64]);
            let mut body = vec![SIGN_RESPONSE];
            put_string(&mut body, &signature);
            message(&body)
        };
        for answer in [
            Vec::new(),
            vec![0, 0, 0],
            vec![0, 0, 0, 0],
            vec![0xff, 0xff, 0xff, 0xff, 12],
            message(&[IDENTITIES_ANSWER, 0xff, 0xff, 0xff, 0xff]),
            message(&[IDENTITIES_ANSWER, 0, 0, 0, 1, 0xff, 0, 0, 0]),
            message(&[SIGN_RESPONSE, 0, 0, 0, 9, 1]),
            wrong,
        ] {
            let (_dir, agent) = answering(&answer);
            assert!(matches!(agent.list(), Err(AgentError::Broken(_) | AgentError::Io(_))));
            let (_dir, agent) = answering(&answer);
            let signed = agent.signer(PublicKey::from_bytes([9; 32])).sign(b"x");
            assert!(matches!(signed, Err(SignError::Agent(_))), "{answer:?}");
        }
        let (_dir, agent) = answering(&message(&[5]));
        let refused = agent.signer(PublicKey::from_bytes([9; 32])).sign(b"x").unwrap_err();
        assert!(matches!(refused, SignError::Agent(AgentError::Refused)));
    }

    /// T2: no agent behind the socket is an error that says what to do.
    #[test]
    fn nobody() {
        let error = Agent::at(Path::new("/nowhere/agent")).list().unwrap_err();
        assert!(error.to_string().contains("unset SSH_AUTH_SOCK"), "{error}");
    }
}
