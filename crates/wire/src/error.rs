//! What goes wrong: the other side breaks the protocol, or our own code asks for what it forbids.

use std::fmt;

use sockeye_limits as limits;

use crate::VERSION;
use crate::frame::Kind;
use crate::run::InvalidRun;

/// One of the two ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// The one that asks for commands.
    Client,
    /// The one that runs them.
    Server,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Side::Client => "client",
            Side::Server => "server",
        })
    }
}

/// The other side broke the protocol; the connection is of no more use.
///
/// Shown, it is one sentence that names the guilty side and one of remedy. Nothing in it can drive
/// a terminal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the {guilty} {fault}. {}.", fault.remedy())]
pub struct ProtocolError {
    guilty: Side,
    fault: Fault,
}

impl ProtocolError {
    pub(crate) fn new(guilty: Side, fault: Fault) -> ProtocolError {
        ProtocolError { guilty, fault }
    }

    /// Who broke the protocol.
    pub fn guilty(&self) -> Side {
        self.guilty
    }

    /// What it did.
    pub fn fault(&self) -> Fault {
        self.fault
    }
}

/// The first bytes of a stream that is not the host protocol, eight at most.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FirstBytes {
    bytes: [u8; 8],
    length: u8,
}

impl FirstBytes {
    pub(crate) fn new(from: &[u8]) -> FirstBytes {
        let mut bytes = [0; 8];
        let mut length = 0;
        for (place, byte) in bytes.iter_mut().zip(from) {
            *place = *byte;
            length += 1;
        }
        FirstBytes { bytes, length }
    }

    /// The bytes as they came.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..usize::from(self.length)]
    }

    /// What such bytes are the beginning of, where that is well known.
    pub fn resembles(&self) -> Option<&'static str> {
        let bytes = self.as_bytes();
        let begins = |with: &[u8]| bytes.starts_with(with);
        let http = [&b"HTTP/"[..], b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"PRI * HT"];
        match bytes {
            [0x14..=0x17, 0x03, ..] => Some("TLS"),
            _ if begins(b"SSH-") => Some("SSH"),
            _ if http.into_iter().any(begins) => Some("HTTP"),
            _ if begins(b"sockeye") => Some("our own words echoed"),
            _ if begins(b"SOCKEYE") => Some("our own words in upper case"),
            _ => None,
        }
    }
}

impl fmt::Display for FirstBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.as_bytes().escape_ascii())?;
        match self.resembles() {
            Some(name) => write!(f, ", which looks like {name}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for FirstBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// How the protocol was broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Fault {
    /// It does not speak the host protocol (clause P-E2).
    #[error("does not speak the host protocol: it began with {first}")]
    NotSockeye {
        /// What it began with.
        first: FirstBytes,
    },
    /// It speaks another version (clause P-E3).
    #[error("speaks version {theirs} of the host protocol, we speak version {ours}")]
    VersionMismatch {
        /// Its version.
        theirs: u16,
        /// Our version.
        ours: u16,
    },
    /// Its Hello names no program in 1 to 64 printable ASCII characters.
    #[error("sent a Hello that does not name its program in 1 to 64 printable characters")]
    Hello,
    /// Its Hello did not come in [`limits::HELLO_TIME`] (clause P-L3).
    #[error("did not say Hello within {} s", limits::HELLO_TIME.as_secs())]
    HelloTimeout,
    /// It sent a kind of frame that does not exist, or that only the other side may send.
    #[error("sent a frame of the unknown kind 0x{0:02x}")]
    UnknownKind(u8),
    /// It sent a header with a length that its kind cannot have (clause P-L1).
    #[error("sent a frame of kind {kind} and {length} bytes, which is out of bounds")]
    Length {
        /// The kind of frame.
        kind: Kind,
        /// The length that the header claims.
        length: u32,
    },
    /// It sent a frame whose payload is not what its kind has.
    #[error("sent a frame of kind {kind} with {what}")]
    Malformed {
        /// The kind of frame.
        kind: Kind,
        /// What is wrong with it.
        what: &'static str,
    },
    /// It sent a frame that has no place there (clauses P-S2 and P-S3).
    #[error("sent a frame of kind {kind} {when}")]
    OutOfOrder {
        /// The kind of frame.
        kind: Kind,
        /// Where it has no place.
        when: &'static str,
    },
    /// It sent more standard input than was asked for (clause P-L4).
    #[error("sent more than {} bytes of input that nobody took yet", limits::STDIN_WINDOW)]
    StdinWindow,
    /// It said that more standard input was taken than was sent.
    #[error("said that more input was taken than was sent")]
    StdinTaken,
    /// It sent too many signals and window sizes (clause P-L5).
    #[error("sent more than {} signals and window sizes in one second", limits::CONTROL_RATE)]
    Flood,
    /// Its Ended counts other bytes than came (clause P-E5).
    #[error("counted {said} bytes of output at the end where {came} came")]
    Counts {
        /// Bytes of both outputs that it says it sent.
        said: u64,
        /// Bytes of both outputs that came.
        came: u64,
    },
    /// Its stream ended in the middle (clause P-E1).
    #[error("ended the stream too early, it is truncated")]
    Truncated,
}

impl Fault {
    /// What to do: one sentence without a full stop.
    pub fn remedy(&self) -> &'static str {
        match self {
            Fault::NotSockeye { .. } => "Check the address and the port",
            Fault::VersionMismatch { theirs, .. } if *theirs > VERSION => "Update this side",
            Fault::VersionMismatch { .. } => "Update the other side",
            Fault::HelloTimeout => "Check the address, and that the machine is not overloaded",
            Fault::Truncated => "Check whether it was stopped or the network failed, and try again",
            _ => "Use the same release of sockeye on both sides, and try again",
        }
    }
}

/// Our own code asked a [`Server`](crate::Server) or [`Client`](crate::Client) for something that
/// the protocol forbids at this place. Nothing was written and nothing changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misuse {
    /// Something was said before our Hello.
    #[error("nothing can be said before our Hello. Say it first.")]
    NoHello,
    /// Our Hello was said twice.
    #[error("our Hello was said already. Say it once.")]
    HelloTwice,
    /// The program's name is not 1 to 64 printable ASCII characters.
    #[error("the program's name is not 1 to 64 printable characters. Use one such as sockeye/1.0.")]
    ProgramName,
    /// There is no command that this could be for.
    #[error("there is no command for this. Wait for one to start.")]
    NoJob,
    /// There is a command already.
    #[error("the last command is not over. Wait for its end.")]
    Busy,
    /// The command cannot be asked for.
    #[error("the command cannot be sent: {0}")]
    Run(InvalidRun),
    /// The transfer cannot be asked for.
    #[error("the transfer cannot be asked for: it has {0}. Look at its paths and patterns.")]
    Transfer(&'static str),
    /// A data frame holds 1 to [`limits::FRAME_DATA_MAX`] bytes.
    #[error("a piece of data has 1 to {} bytes. Cut it.", limits::FRAME_DATA_MAX)]
    Length,
    /// The command was asked for without standard input, or its end was sent.
    #[error("the command takes no input. Send none.")]
    NoStdin,
    /// The server cannot take so much input yet; see [`Client::stdin_room`](crate::Client::stdin_room).
    #[error("the server takes no more input now. Wait until there is room.")]
    NoRoom,
    /// More input was taken than came.
    #[error("more input was taken than came. Count again.")]
    Taken,
    /// The command has no terminal.
    #[error("the command has no terminal. Ask for one at its start.")]
    NoTerminal,
    /// A detached command has no output.
    #[error("a detached command has no output. Send none.")]
    Detached,
    /// The counts of an Ended are not those of the headers that were made.
    #[error("the end counts other output than was sent. Count what was sent.")]
    Counts,
    /// A signal's number is not one of 1 to 64.
    #[error("a command ends by a signal from 1 to 64. Use Linux's numbers.")]
    SignalNumber,
}
