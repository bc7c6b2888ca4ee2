//! Why a conversation failed: each kind of failure in its own words.

use std::fmt;
use std::io;

use rustix::io::Errno;
use sockeye_net::shown;
use sockeye_net::{self as net, Endpoint, Operation};

/// Why a conversation did not end cleanly. Shown, it is one line: what could not be done, the cause
/// and the remedy.
#[derive(Debug)]
#[non_exhaustive]
pub enum Error {
    /// The socket: refused, reset, timed out, unreachable, …
    Net(Box<net::Error>),
    /// The input could not be read.
    Input(io::Error),
    /// A line of the input is longer than this many bytes.
    LineTooLong(usize),
    /// The output could not be written.
    Output(io::Error),
    /// The reader of our output went away (`EPIPE`): no failure to a program that is a filter.
    OutputClosed,
    /// The recording could not be written.
    Record(io::Error),
    /// The recording could not be played: its line, from 1, and what is wrong there.
    Replay {
        /// The line of the recording, from 1.
        line: u64,
        /// What is wrong with it, without a full stop.
        what: String,
    },
    /// The terminal failed.
    Terminal(String),
    /// The connection was not secured: cause and remedy.
    Security(String),
    /// A signal of this name asked for the end.
    Signal(&'static str),
}

impl Error {
    /// A failure of recv(2).
    pub(crate) fn receive(endpoint: &Endpoint, error: io::Error) -> Error {
        net::Error::new(Operation::Receive, endpoint, error).into()
    }

    /// A failure of send(2).
    pub(crate) fn send(endpoint: &Endpoint, error: io::Error) -> Error {
        net::Error::new(Operation::Send, endpoint, error).into()
    }

    /// The peer ended its direction and then did not take what we sent.
    pub(crate) fn closed_early(endpoint: &Endpoint, error: io::Error) -> Error {
        net::Error::explained(
            Operation::Send,
            endpoint,
            error,
            "the peer closed the connection before it had read all of our input",
            "Send less, or look at the peer's log for why it stopped reading",
        )
        .into()
    }

    /// All that the peer said was TLS's word for "what is that?".
    pub(crate) fn met_tls(endpoint: &Endpoint) -> Error {
        net::Error::explained(
            Operation::Receive,
            endpoint,
            io::ErrorKind::InvalidData.into(),
            "the peer speaks TLS: it answered with an alert",
            "Use tls:// where sockeye serves there, or a TLS client such as `openssl s_client`",
        )
        .into()
    }

    /// Nothing moved for as long as `--timeout` allows.
    pub(crate) fn timed_out(endpoint: &Endpoint, what: impl Into<String>) -> Error {
        net::Error::explained(
            Operation::Receive,
            endpoint,
            io::Error::from_raw_os_error(Errno::TIMEDOUT.raw_os_error()),
            format!("timed out: {}", what.into()),
            "Look whether the peer still works, or raise --timeout",
        )
        .into()
    }
}

impl From<net::Error> for Error {
    fn from(error: net::Error) -> Error {
        Error::Net(Box::new(error))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Net(error) => error.fmt(f),
            Error::Input(error) => {
                write!(f, "cannot read the input: {}. Give another input.", text(error))
            }
            Error::LineTooLong(limit) => write!(
                f,
                "cannot send the input: a line is longer than {limit} bytes. Send shorter lines, or \
                 send it as a stream."
            ),
            Error::Output(error) => write!(
                f,
                "cannot write the output: {}. Make room, or send the output elsewhere.",
                text(error)
            ),
            Error::OutputClosed => {
                f.write_str("cannot write the output: its reader went away. Keep reading it.")
            }
            Error::Record(error) => write!(
                f,
                "cannot write the recording: {}. Choose another file or file system.",
                text(error)
            ),
            Error::Replay { line, what } => write!(
                f,
                "cannot replay the recording: line {line}: {what}. Record it again, or mend that \
                 line."
            ),
            Error::Signal(name) => {
                write!(f, "cannot go on talking: stopped by {name}. Start again.")
            }
            Error::Security(what) => f.write_str(&shown::line(what)),
            Error::Terminal(what) => write!(
                f,
                "cannot use the terminal: {}. Use a pipe instead of a terminal.",
                shown::line(what)
            ),
        }
    }
}

fn text(error: &io::Error) -> String {
    shown::line(&error.to_string())
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Error::Net(error) => Some(&**error),
            Error::Input(error) | Error::Output(error) | Error::Record(error) => Some(error),
            _ => None,
        }
    }
}
