//! How a connection ended.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Why {
    /// Both sides said their end (FIN).
    End,
    /// The peer reset it (RST), or went away while we wrote.
    Reset,
    /// Nothing moved for `--idle-timeout`, or a session had nothing to do for its own limit.
    IdleTimeout,
    /// It was open for `--max-lifetime`.
    MaxLifetime,
    /// The server stopped and `--drain` was over.
    Drain,
    /// The network gave up on a silent peer (keepalive or user timeout).
    Silence,
    /// Another failure of the socket.
    Error,
    /// The service panicked, answered more than [`sockeye_limits::REPLY_MAX`] bytes at once, or with
    /// more of its input than there was.
    Panic,
    /// The worker process that served it died.
    WorkerDied,
    /// The system had no thread or process for it, or `--max-connections` or `--once` no place.
    Overload,
    /// The peer did not prove that it may come in.
    Rejected,
    /// The peer broke the protocol that it had begun.
    Protocol,
}

impl Why {
    /// The word for it, in events and lines.
    pub fn name(self) -> &'static str {
        match self {
            Why::End => "end",
            Why::Reset => "reset",
            Why::IdleTimeout => "idle-timeout",
            Why::MaxLifetime => "max-lifetime",
            Why::Drain => "drain",
            Why::Silence => "silence",
            Why::Error => "error",
            Why::Panic => "panic",
            Why::WorkerDied => "worker-died",
            Why::Overload => "overload",
            Why::Rejected => "rejected",
            Why::Protocol => "protocol",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One side of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The other end.
    Peer,
    /// This server.
    Us,
}

/// How a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// Why.
    pub why: Why,
    /// Who said its end first.
    pub closed_first: Side,
}

/// What a service must not do, found out by its driver; as an `io::Error`, it ends the connection.
#[derive(Debug, thiserror::Error)]
#[error("the service's reply is too long")]
pub(crate) struct ServiceFault;

impl End {
    /// The end that both sides said.
    pub fn clean(closed_first: Side) -> End {
        End { why: Why::End, closed_first }
    }

    /// The end that a socket error made.
    pub fn failed(error: &io::Error) -> End {
        if error.get_ref().is_some_and(|inner| inner.is::<ServiceFault>()) {
            return End::ours(Why::Panic);
        }
        let why = match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Why::Reset,
            io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable => Why::Silence,
            _ => Why::Error,
        };
        End { why, closed_first: Side::Peer }
    }

    /// The end that we made.
    pub fn ours(why: Why) -> End {
        End { why, closed_first: Side::Us }
    }
}
