//! Why a run could not begin, and why a request failed.

use std::fmt;
use std::io;

use rustix::io::Errno;
use sockeye_net::{self as net, Operation};

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The plan makes no sense: one sentence that says what was wrong and what is right.
    #[error("cannot run this: {0}.")]
    Plan(String),
    /// The server could not be reached at all.
    #[error(transparent)]
    Net(#[from] Box<sockeye_net::Error>),
    /// A socket could not be made: cause and remedy.
    #[error("{0}")]
    Failed(String),
    /// More connections than this process may have descriptors.
    #[error(
        "cannot open {wanted} connections: this process may have {most} descriptors, {own} of them \
         for itself. Raise `ulimit -Hn`, or lower --connections."
    )]
    Descriptors {
        /// Connections that were asked for.
        wanted: usize,
        /// Descriptors that the process may have.
        most: usize,
        /// Those that it needs for itself.
        own: usize,
    },
    /// The system refused something that the run needs for itself.
    #[error("cannot {what}: {source}. Close other programs, or ask for less.")]
    System {
        /// What was tried.
        what: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

/// Why a request failed, as reports count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The connection was refused: nothing listens there (ECONNREFUSED).
    Refused,
    /// The server reset the connection.
    Reset,
    /// The server ended the connection in the middle.
    Closed,
    /// No answer within the plan's timeout; of datagrams: lost.
    Timeout,
    /// The answer is right for another request: out of order, or one before it is missing.
    OutOfOrder,
    /// The answer is not what was to come.
    Wrong,
    /// More came than was asked for.
    TooMuch,
    /// No local port or address was left (EADDRNOTAVAIL, EADDRINUSE).
    NoPorts,
    /// No descriptor or memory was left (EMFILE, ENFILE, ENOBUFS, ENOMEM).
    NoRoom,
    /// There is no way to the server (ENETUNREACH, EHOSTUNREACH …).
    Unreachable,
    /// It was in flight on a connection that was given up after a wrong answer.
    GivenUp,
    /// It was in flight when the run was ended early.
    Interrupted,
    /// At a fixed rate: it was due, and could not be sent before the run ended.
    Unsent,
    /// Anything else that the system said.
    Other,
}

impl ErrorKind {
    /// The name that reports and JSON use.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Refused => "refused",
            ErrorKind::Reset => "reset",
            ErrorKind::Closed => "closed",
            ErrorKind::Timeout => "timeout",
            ErrorKind::OutOfOrder => "out-of-order",
            ErrorKind::Wrong => "wrong-answer",
            ErrorKind::TooMuch => "too-much",
            ErrorKind::NoPorts => "no-ports",
            ErrorKind::NoRoom => "no-room",
            ErrorKind::Unreachable => "unreachable",
            ErrorKind::GivenUp => "given-up",
            ErrorKind::Interrupted => "interrupted",
            ErrorKind::Unsent => "unsent",
            ErrorKind::Other => "other",
        }
    }
}

impl fmt::Display for ErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why something failed: what is counted, and in words.
#[derive(Debug)]
pub(crate) struct Failure {
    pub(crate) kind: ErrorKind,
    text: Words,
}

/// Words are made for the first failure of a kind only.
#[derive(Debug)]
enum Words {
    Said(String),
    Net(Operation, String, io::Error),
}

impl Failure {
    /// A failure in our own words: one sentence of cause, one of remedy.
    pub(crate) fn said(kind: ErrorKind, text: impl Into<String>) -> Failure {
        Failure { kind, text: Words::Said(text.into()) }
    }

    /// A failed call.
    pub(crate) fn new(operation: Operation, endpoint: &net::Endpoint, error: io::Error) -> Failure {
        let kind = Errno::from_io_error(&error).map_or(ErrorKind::Other, kind);
        Failure { kind, text: Words::Net(operation, endpoint.to_string(), error) }
    }

    /// The failure as the reason why there is no report.
    pub(crate) fn into_error(self) -> Error {
        match self.text {
            Words::Said(text) => Error::Failed(text),
            Words::Net(operation, endpoint, error) => {
                Error::Net(Box::new(net::Error::new(operation, endpoint, error)))
            }
        }
    }

    /// Cause and remedy.
    pub(crate) fn text(self) -> String {
        match self.text {
            Words::Said(text) => text,
            Words::Net(operation, endpoint, error) => {
                net::Error::new(operation, endpoint, error).to_string()
            }
        }
    }
}

impl From<net::Error> for Failure {
    fn from(error: net::Error) -> Failure {
        let kind = error.errno().map(Errno::from_raw_os_error).map_or(ErrorKind::Other, kind);
        Failure::said(kind, error.to_string())
    }
}

fn kind(errno: Errno) -> ErrorKind {
    match errno {
        Errno::CONNREFUSED | Errno::NOENT => ErrorKind::Refused,
        Errno::CONNRESET | Errno::PIPE | Errno::CONNABORTED => ErrorKind::Reset,
        Errno::TIMEDOUT => ErrorKind::Timeout,
        Errno::ADDRNOTAVAIL | Errno::ADDRINUSE => ErrorKind::NoPorts,
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => ErrorKind::NoRoom,
        Errno::NETUNREACH | Errno::HOSTUNREACH | Errno::NETDOWN | Errno::ACCESS => {
            ErrorKind::Unreachable
        }
        _ => ErrorKind::Other,
    }
}
