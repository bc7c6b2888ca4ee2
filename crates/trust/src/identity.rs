//! Which key a client proves itself with: the file that was named, the usual files, the agent.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sockeye_limits as limits;
use thiserror::Error;

use crate::agent::{Agent, AgentError};
use crate::file::{self, Ask, KeyFileError};
use crate::key::PublicKey;
use crate::pair::Signer;
use crate::place;
use crate::strict::show;

/// Why there is no key to prove ourselves with.
#[derive(Debug, Error)]
pub enum IdentityError {
    /// None was found anywhere.
    #[error("no key to prove who you are; run `sockeye key new`, or give --identity FILE")]
    Nothing,
    /// A key file is there but could not be used.
    #[error(transparent)]
    File(#[from] KeyFileError),
    /// The agent was asked for, and failed.
    #[error(transparent)]
    Agent(#[from] AgentError),
    /// A public key file was named, and the agent does not have its private half.
    #[error("the SSH agent does not hold the key of {path}; run ssh-add, or name the private key")]
    NotInAgent {
        /// The file, escaped.
        path: String,
    },
}

/// Where a candidate's key is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// In this private key file.
    File(PathBuf),
    /// In the agent, under this comment (escaped).
    Agent(String),
}

/// A key that a client may prove itself with. Nobody is asked for a passphrase before
/// [`Candidate::signer`].
#[derive(Debug, Clone)]
pub struct Candidate {
    public: PublicKey,
    origin: Origin,
    agent: Option<Agent>,
}

impl Candidate {
    /// Its public key.
    pub fn public(&self) -> PublicKey {
        self.public
    }

    /// Where it is.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Whoever signs for it; `ask` is called if it is in an encrypted file.
    ///
    /// # Errors
    /// [`KeyFileError`], when the file changed or the passphrase was wrong.
    pub fn signer(&self, ask: &mut Ask<'_>) -> Result<Arc<dyn Signer>, KeyFileError> {
        match (&self.agent, &self.origin) {
            (Some(agent), _) => Ok(Arc::new(agent.signer(self.public))),
            (None, Origin::File(path)) => Ok(Arc::new(file::read_private(path, ask)?)),
            (None, Origin::Agent(_)) => unreachable!("made below, with its agent"),
        }
    }
}

/// The keys to try, best first, at most [`limits::IDENTITIES_MAX`], each once.
///
/// With `explicit` (`--identity`) it is that file's key alone; the file may also be a public key
/// whose private half the agent has. Else: [`place::identities`], then the agent's other keys.
/// Where a file is encrypted and the agent has its key, the agent signs.
///
/// # Errors
/// [`IdentityError`]: nothing found, or a file that is there cannot be used.
pub fn candidates(explicit: Option<&Path>) -> Result<Vec<Candidate>, IdentityError> {
    Sources { files: place::identities(), agent: Agent::from_env() }.candidates(explicit)
}

/// Where [`candidates`] looks.
#[derive(Debug, Clone, Default)]
pub struct Sources {
    /// Private key files; those that are missing are passed over.
    pub files: Vec<PathBuf>,
    /// The agent.
    pub agent: Option<Agent>,
}

impl Sources {
    /// As [`candidates`], with other sources.
    ///
    /// # Errors
    /// As [`candidates`].
    pub fn candidates(&self, explicit: Option<&Path>) -> Result<Vec<Candidate>, IdentityError> {
        if let Some(path) = explicit {
            return Ok(vec![self.explicit(path)?]);
        }
        // An agent that does not work must not stop who has a file: it is told if nothing is left.
        let (held, failed) = match self.agent.as_ref().map(Agent::list) {
            Some(Ok(keys)) => (keys, None),
            Some(Err(error)) => (Vec::new(), Some(error)),
            None => (Vec::new(), None),
        };
        let mut found: Vec<Candidate> = Vec::new();
        for path in &self.files {
            match self.in_file(path, &held) {
                Err(KeyFileError::Missing { .. }) => {}
                candidate => found.push(candidate?),
            }
        }
        for (public, comment) in held {
            let origin = Origin::Agent(comment);
            found.push(Candidate { public, origin, agent: self.agent.clone() });
        }
        let mut seen = Vec::new();
        found.retain(|candidate| {
            let new = !seen.contains(&candidate.public);
            seen.push(candidate.public);
            new
        });
        found.truncate(limits::IDENTITIES_MAX);
        match failed {
            _ if !found.is_empty() => Ok(found),
            Some(error) => Err(error.into()),
            None => Err(IdentityError::Nothing),
        }
    }

    fn explicit(&self, path: &Path) -> Result<Candidate, IdentityError> {
        if let Some(public) = public_file(path) {
            let agent = self.agent.as_ref();
            let held = agent.map(Agent::list).transpose()?.unwrap_or_default();
            let Some((public, comment)) = held.into_iter().find(|(key, _)| *key == public) else {
                return Err(IdentityError::NotInAgent { path: show(path) });
            };
            let origin = Origin::Agent(comment);
            return Ok(Candidate { public, origin, agent: self.agent.clone() });
        }
        // Only an encrypted key needs the agent; if that fails, the passphrase is asked for.
        let held = self.agent.as_ref().and_then(|agent| agent.list().ok()).unwrap_or_default();
        Ok(self.in_file(path, &held)?)
    }

    fn in_file(
        &self,
        path: &Path,
        held: &[(PublicKey, String)],
    ) -> Result<Candidate, KeyFileError> {
        let (public, encrypted) = file::look(path)?;
        let by_agent = encrypted && held.iter().any(|(key, _)| *key == public);
        let agent = self.agent.clone().filter(|_| by_agent);
        Ok(Candidate { public, origin: Origin::File(path.to_owned()), agent })
    }
}

/// The key of a `.pub` file; `None` if the path does not end so or holds none.
fn public_file(path: &Path) -> Option<PublicKey> {
    let metadata = fs::metadata(path).ok()?;
    let small = metadata.is_file() && metadata.len() <= limits::KEY_FILE_BYTES;
    if path.extension()? != "pub" || !small {
        return None;
    }
    fs::read_to_string(path).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::file::write_private;
    use crate::testing::{TestAgent, has, key, nobody};

    fn origins(candidates: &[Candidate]) -> Vec<String> {
        let one = |candidate: &Candidate| match candidate.origin() {
            Origin::File(path) => path.file_name().unwrap().to_string_lossy().into_owned(),
            Origin::Agent(comment) => format!("agent {comment}"),
        };
        candidates.iter().map(one).collect()
    }

    /// T2: files in their order, missing ones passed over, then the agent's keys; an encrypted
    /// file whose key the agent has asks nobody; no key twice, four at most.
    #[test]
    fn order() {
        if !has("ssh-agent") || !has("ssh-add") {
            return;
        }
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let running = TestAgent::start(dir.path());
        for (name, passphrase) in [("a", None), ("locked", Some("secret")), ("c", None)] {
            write_private(&at(name), &key(), passphrase).unwrap();
            running.add(dir.path(), &["-q", name]);
        }
        for name in ["d", "e", "f"] {
            let pair = crate::KeyPair::generate(name).unwrap();
            write_private(&at(name), &pair, None).unwrap();
            running.add(dir.path(), &["-q", name]);
        }
        let files = vec![at("none"), at("a"), at("locked")];
        let sources = Sources { files, agent: Some(running.agent()) };
        let found = sources.candidates(None).unwrap();
        assert_eq!(origins(&found), ["a", "locked", "agent test", "agent d"]);
        for candidate in &found {
            let signer = candidate.signer(&mut nobody()).unwrap();
            assert_eq!(signer.public(), candidate.public());
            assert!(candidate.public().verify(b"m", &signer.sign(b"m").unwrap()));
        }
        let explicit = sources.candidates(Some(&at("e.pub"))).unwrap();
        assert_eq!(origins(&explicit), ["agent e"]);
        let explicit = sources.candidates(Some(&at("locked"))).unwrap();
        explicit[0].signer(&mut nobody()).unwrap();
    }

    /// T2: without an agent an encrypted file asks, but only when it is its turn; a file that is
    /// there and unusable is an error that names it.
    #[test]
    fn lazy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("k");
        write_private(&path, &key(), Some("secret")).unwrap();
        let sources = Sources { files: vec![path.clone()], agent: None };
        let found = sources.candidates(None).unwrap();
        let mut asked = 0;
        let mut ask = |_: &Path| {
            asked += 1;
            Some(zeroize::Zeroizing::new("secret".to_owned()))
        };
        found[0].signer(&mut ask).unwrap();
        assert_eq!(asked, 1);
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o644);
        fs::set_permissions(&path, mode).unwrap();
        let error = sources.candidates(None).unwrap_err().to_string();
        assert!(error.contains(&*path.to_string_lossy()) && error.contains("chmod"), "{error}");
    }

    /// T2: nothing found says what to do; an agent that is gone is told if nothing else is there.
    #[test]
    fn nothing() {
        let error = Sources::default().candidates(None).unwrap_err();
        assert!(error.to_string().contains("sockeye key new"), "{error}");
        let gone = Some(Agent::at(Path::new("/nowhere/agent")));
        let sources = Sources { files: Vec::new(), agent: gone };
        assert!(matches!(sources.candidates(None), Err(IdentityError::Agent(_))));
        let missing = sources.candidates(Some(Path::new("/nowhere/key")));
        assert!(matches!(missing, Err(IdentityError::File(KeyFileError::Missing { .. }))));
        let dir = tempfile::tempdir().unwrap();
        let public = dir.path().join("k.pub");
        fs::write(&public, key().public().to_string()).unwrap();
        let error = Sources::default().candidates(Some(&public)).unwrap_err();
        assert!(matches!(error, IdentityError::NotInAgent { .. }), "{error}");
    }
}
