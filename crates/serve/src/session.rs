//! A session: a service that needs more than its socket, as an async function over one connection.
//!
//! Where it runs is the model's business: on an event loop, or on a runtime of its own in a thread
//! or a worker process. A worker process serves one session and ends, so that what one peer made of
//! it meets no other.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sockeye_net::{Peer, Transport};

use crate::channel::Channel;
use crate::end::End;

/// What serves a connection to its end.
pub type Serving = Pin<Box<dyn Future<Output = End> + Send>>;

/// The wait for a place, see [`Front::enter`].
pub type Entering<'a> = Pin<Box<dyn Future<Output = bool> + Send + 'a>>;

/// A service that needs more than its socket: a child process, files, keys.
pub trait Session: Send + Sync {
    /// Serves one connection to its end. On `tls://` it says [`Front::enter`] as soon as the peer has
    /// proved who it is; until then the connection is one of [`sockeye_limits::HANDSHAKES`] and
    /// counts neither for `--max-connections` nor for `--once`.
    fn serve(self: Arc<Self>, call: Call) -> Serving;

    /// What a worker process needs to make the same service again. It is handed over in memory and
    /// never holds a secret.
    fn setup(&self) -> Value;

    /// Gets ready in a worker process that waits for its connection, so that the connection finds
    /// warm what can be.
    fn prepare(&self) {}

    /// Whether what a peer sent first deserves a session. Asked in the server itself, which only
    /// looks at the bytes.
    fn look(&self, first: &[u8]) -> Look {
        let _ = first;
        Look::Ready
    }

    /// What a stranger is told before its connection is ended, in the session's own protocol.
    fn farewell(&self) -> &'static [u8] {
        b""
    }

    /// Answers what a session asked by [`Front::ask`], in the server's own process: where a worker
    /// process must not hold a key, this signs for it.
    ///
    /// # Errors
    /// Where the question is not one that may be asked.
    fn answer(&self, question: &[u8]) -> Result<Vec<u8>, String> {
        let _ = question;
        Err("nothing can be asked here".into())
    }

    /// The fingerprint of the key that peers know this server by.
    fn fingerprint(&self) -> Option<String> {
        None
    }

    /// Reads its files again (SIGHUP).
    ///
    /// # Errors
    /// What was wrong; the old ones stay in force.
    fn reload(&self) -> Result<(), String> {
        Ok(())
    }
}

/// What the first bytes of a connection are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// Not enough to tell.
    More,
    /// A session may begin.
    Ready,
    /// Something else, named for the log.
    Stranger(&'static str),
}

/// One connection for a session.
pub struct Call {
    /// The connection as a byte stream.
    pub channel: Channel,
    /// Who it is.
    pub peer: Peer,
    /// How it came.
    pub transport: Transport,
    /// The way to the server.
    pub front: Arc<dyn Front>,
    /// True where this process serves nothing else, and ends with it.
    pub alone: bool,
}

/// The way from a session to its server, which may be another process.
pub trait Front: Send + Sync {
    /// Asks the server, which answers by [`Session::answer`]. Waits for the answer.
    ///
    /// # Errors
    /// Where the server refuses to answer or is gone.
    fn ask(&self, question: &[u8]) -> io::Result<Vec<u8>>;

    /// Tells the server that the peer has proved who it is, and waits for its place: from here on it
    /// counts for `--max-connections` and `--once`. False where those leave no place for it; the
    /// session then ends the connection.
    fn enter(&self, proof: Proof) -> Entering<'_>;

    /// Tells the server what happened. A server that is gone is told nothing.
    fn tell(&self, news: News);
}

/// Who a peer has proved to be.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Proof {
    /// The fingerprint of its key, or the user at the other end of a Unix socket.
    pub identity: String,
    /// The comment of the key.
    pub comment: String,
}

/// What a session tells its server.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub enum News {
    /// The peer was turned away.
    Rejected {
        /// Why, for the log: one sentence.
        why: String,
        /// What kind of offence it was.
        offence: Offence,
    },
    /// A command has ended.
    Command(CommandNews),
    /// Something that the owner of the server should know, as a warning.
    Warning(String),
}

/// A command that has ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandNews {
    /// What was run, escaped and shortened for show.
    pub command: String,
    /// Its exit status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exit: Option<i32>,
    /// The signal that ended it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signal: Option<i32>,
    /// What ended it where that was not the command itself: `timed-out`, `output-limit`, `vanished`
    /// (its client); or that it was `detached`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
    /// Bytes of output.
    pub output: u64,
    /// How long it ran, in milliseconds.
    pub duration_ms: u64,
}

/// Why a peer was turned away.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Offence {
    /// It spoke something else, or broke the protocol.
    Stranger,
    /// It let time pass.
    Slow,
    /// Its key is not authorised, or it is another user.
    Key,
    /// It went away in the middle of a handshake.
    Stopped,
    /// None: the fault is ours, or it has done nothing wrong.
    None,
}
