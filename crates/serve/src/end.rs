//! How a connection ended.

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
    /// Nothing moved for `--idle-timeout`.
    IdleTimeout,
    /// It was open for `--max-lifetime`.
    MaxLifetime,
    /// The server stopped and `--drain` was over.
    Drain,
    /// The network gave up on a silent peer (keepalive or user timeout).
    Silence,
    /// Another failure of the socket.
    Error,
    /// The service panicked, or answered more than [`sockeye_limits::REPLY_MAX`] bytes at once.
    Panic,
    /// The worker process that served it died.
    WorkerDied,
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

impl End {
    /// The end that both sides said.
    pub(crate) fn clean(closed_first: Side) -> End {
        End { why: Why::End, closed_first }
    }

    /// The end that a socket error made.
    pub(crate) fn failed(error: &io::Error) -> End {
        let why = match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Why::Reset,
            io::ErrorKind::TimedOut | io::ErrorKind::HostUnreachable => Why::Silence,
            _ => Why::Error,
        };
        End { why, closed_first: Side::Peer }
    }

    /// The end that we made.
    pub(crate) fn ours(why: Why) -> End {
        End { why, closed_first: Side::Us }
    }
}
