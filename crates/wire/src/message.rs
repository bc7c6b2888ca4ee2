//! What the two sides say to each other.

use crate::files::Transfer;
use crate::signal::Signal;

/// What either side says first (clause P-F2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// The version of the protocol that the side speaks.
    pub version: u16,
    /// The side's program, as in `sockeye/0.1.0`: 1 to 64 printable ASCII characters.
    pub program: String,
}

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Program {
    /// An argument list, the program first: at least one, without NUL bytes. No shell sees it.
    Arguments(Vec<Vec<u8>>),
    /// A line for the user's shell, without NUL bytes.
    Line(Vec<u8>),
    /// The user's login shell.
    Login,
}

/// The size of a terminal's window, ioctl_tty(2) under TIOCSWINSZ.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WindowSize {
    /// Lines of text.
    pub rows: u16,
    /// Characters in a line.
    pub columns: u16,
    /// Width in pixels; 0 where it is not known.
    pub width: u16,
    /// Height in pixels; 0 where it is not known.
    pub height: u16,
}

/// A terminal that the command shall have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terminal {
    /// What becomes `TERM`, environ(7): at most 128 bytes, no NUL; empty where it is not known.
    pub name: Vec<u8>,
    /// Its first size.
    pub size: WindowSize,
}

/// A command and what it is given (clause P-F5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// What is to be run.
    pub program: Program,
    /// Where it starts: not empty, no NUL bytes. `None` is the user's home directory.
    pub directory: Option<Vec<u8>>,
    /// Variables to set, a name and a value each, as far as the server allows them; the later of
    /// two of one name counts. No NUL bytes; names are not empty and hold no `=`.
    pub environment: Vec<(Vec<u8>, Vec<u8>)>,
    /// The terminal that it runs on; `None` gives it pipes.
    pub terminal: Option<Terminal>,
    /// True where the client will send standard input and its end.
    pub stdin: bool,
    /// The command is ended after this many milliseconds.
    pub timeout_ms: Option<u64>,
    /// The command is ended when it has written more than this many bytes in all.
    pub max_output: Option<u64>,
    /// The command outlives the connection. It has no standard input, no output and no terminal,
    /// and its Ended comes at once (clause P-S9).
    pub detach: bool,
}

impl Run {
    /// This program with nothing else asked for: no standard input, no terminal, no bounds.
    pub fn new(program: Program) -> Run {
        Run {
            program,
            directory: None,
            environment: Vec::new(),
            terminal: None,
            stdin: false,
            timeout_ms: None,
            max_output: None,
            detach: false,
        }
    }
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// By itself, with this exit status.
    Exited(u8),
    /// By a signal.
    Signaled {
        /// Linux's number of it, 1 to 64, signal(7).
        signal: u8,
        /// True where it left a core file.
        core: bool,
    },
    /// The server ended it: [`Run::timeout_ms`] was over.
    TimedOut,
    /// The server ended it: it wrote more than [`Run::max_output`].
    OutputLimit,
}

/// The end of a command, after all of its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ended {
    /// How it ended.
    pub status: Status,
    /// How many bytes the Stdout frames of this command carried. Both ends count and compare.
    pub stdout_bytes: u64,
    /// The same for Stderr.
    pub stderr_bytes: u64,
    /// From its start to its end, in microseconds.
    pub duration_us: u64,
}

/// Why a command was not started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FailureKind {
    /// There is no such program.
    NotFound,
    /// There is, but it cannot be executed.
    NotExecutable,
    /// The server's rules do not allow it.
    Refused,
    /// The directory to start in is not there or may not be entered.
    Directory,
    /// The system failed.
    System,
    /// The server has too much to do, or is about to stop.
    Busy,
}

impl FailureKind {
    /// All of them with their codes on the wire (clause P-F14).
    const CODES: [(FailureKind, u8); 6] = [
        (FailureKind::NotFound, 1),
        (FailureKind::NotExecutable, 2),
        (FailureKind::Refused, 3),
        (FailureKind::Directory, 4),
        (FailureKind::System, 5),
        (FailureKind::Busy, 6),
    ];

    /// All of them.
    pub fn all() -> impl Iterator<Item = FailureKind> {
        FailureKind::CODES.into_iter().map(|(kind, _)| kind)
    }

    pub(crate) fn code(self) -> u8 {
        // A kind is its position in the table but one; a test holds the two together.
        self as u8 + 1
    }

    pub(crate) fn from_code(code: u8) -> Option<FailureKind> {
        FailureKind::CODES.into_iter().find_map(|(kind, of)| (of == code).then_some(kind))
    }
}

/// A command that was not started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub kind: FailureKind,
    /// The same in words, at most 2048 bytes. It comes from the peer: escape it before it is shown.
    pub text: String,
}

/// What a client says to a server.
#[derive(Debug, PartialEq, Eq)]
pub enum ToServer<'a> {
    /// Who it is; the first message, and only that.
    Hello(Hello),
    /// Run this. There is never a second one before [`Server::ended`](crate::Server::ended) or
    /// [`Server::failed`](crate::Server::failed).
    Run(Box<Run>),
    /// Some bytes of standard input, at least one: as many of a frame as have come.
    Stdin(&'a [u8]),
    /// The end of standard input.
    StdinEnd,
    /// A signal for the command.
    Signal(Signal),
    /// The client's window has another size.
    Resize(WindowSize),
    /// Move files. The server answers with [`Server::ready`](crate::Server::ready), and the rest of
    /// the connection is the transfer's; or with [`Server::failed`](crate::Server::failed).
    Transfer(Box<Transfer>),
}

/// What a server says to a client.
#[derive(Debug, PartialEq, Eq)]
pub enum ToClient<'a> {
    /// Who it is; the first message, and only that.
    Hello(Hello),
    /// The command runs.
    Started {
        /// Its number at the server.
        pid: u32,
    },
    /// Some bytes of standard output, at least one: as many of a frame as have come.
    Stdout(&'a [u8]),
    /// The same of standard error.
    Stderr(&'a [u8]),
    /// The command reads no more; the client stops sending standard input.
    StdinClosed,
    /// It ended. All of its output came before.
    Ended(Ended),
    /// It was not started.
    Failed(Failure),
    /// The transfer begins: the rest of the connection is its.
    Ready,
}

/// Where a connection is (clause P-S1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// The other side has not said its Hello, and no command was asked for.
    Hello,
    /// No command: none yet, or the last one is over. The only phase to end a stream in.
    Idle,
    /// A command was asked for; it has neither started nor failed.
    Starting,
    /// A command runs.
    Running,
}
