//! Why a socket operation failed: what was tried, where, the system's own error, cause and remedy.

use std::fmt;
use std::io;

use crate::explain;

/// What was being done when it failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Turning a name into addresses.
    Resolve,
    /// socket(2).
    Socket,
    /// setsockopt(2) of the option of this name.
    SetOption(&'static str),
    /// bind(2).
    Bind,
    /// listen(2).
    Listen,
    /// accept(2).
    Accept,
    /// connect(2).
    Connect,
    /// recv(2).
    Receive,
    /// send(2).
    Send,
    /// shutdown(2).
    Shutdown,
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Operation::Resolve => f.write_str("resolve"),
            Operation::Socket => f.write_str("make a socket for"),
            Operation::SetOption(name) => write!(f, "set {name} on"),
            Operation::Bind => f.write_str("bind"),
            Operation::Listen => f.write_str("listen on"),
            Operation::Accept => f.write_str("accept on"),
            Operation::Connect => f.write_str("connect to"),
            Operation::Receive => f.write_str("receive from"),
            Operation::Send => f.write_str("send to"),
            Operation::Shutdown => f.write_str("shut down"),
        }
    }
}

/// A failed socket operation. Shown, it is one sentence of cause and one of remedy.
///
/// The error number that the system gave is unchanged underneath: [`Error::errno`].
#[derive(Debug)]
pub struct Error {
    /// What was being done.
    pub operation: Operation,
    /// The endpoint or address that it was done to, as a user writes it.
    pub endpoint: Box<str>,
    /// The other end, where there was one.
    pub peer: Option<Box<str>>,
    /// Why it failed: one sentence without a full stop.
    pub cause: Box<str>,
    /// What to do: one sentence without a full stop.
    pub remedy: Box<str>,
    /// The system's error.
    pub source: io::Error,
}

impl Error {
    /// An error of this operation on this endpoint, explained.
    pub fn new(operation: Operation, endpoint: impl fmt::Display, source: io::Error) -> Error {
        let endpoint = endpoint.to_string();
        let (cause, remedy) = explain::explain(operation, &endpoint, &source);
        Error::explained(operation, endpoint, source, cause, remedy)
    }

    /// The same with a cause and a remedy that the caller knows better.
    pub fn explained(
        operation: Operation,
        endpoint: impl fmt::Display,
        source: io::Error,
        cause: impl Into<Box<str>>,
        remedy: impl Into<Box<str>>,
    ) -> Error {
        let endpoint = endpoint.to_string().into();
        Error {
            operation,
            endpoint,
            peer: None,
            cause: cause.into(),
            remedy: remedy.into(),
            source,
        }
    }

    /// The same with the other end named.
    #[must_use]
    pub fn with_peer(mut self, peer: impl fmt::Display) -> Error {
        self.peer = Some(peer.to_string().into());
        self
    }

    /// The system's error number, errno(3), where the system gave one.
    pub fn errno(&self) -> Option<i32> {
        self.source.raw_os_error()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {} {}", self.operation, self.endpoint)?;
        if let Some(peer) = &self.peer {
            write!(f, " (peer {peer})")?;
        }
        write!(f, ": {}. {}.", self.cause, self.remedy)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&self.source)
    }
}

impl From<Error> for io::Error {
    /// The same error number where there is one, else the same kind with the explanation.
    fn from(error: Error) -> io::Error {
        match error.errno() {
            Some(errno) => io::Error::from_raw_os_error(errno),
            None => io::Error::new(error.source.kind(), error.to_string()),
        }
    }
}
