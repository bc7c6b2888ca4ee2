//! Limits of the host protocol.

use std::time::Duration;

/// How long either side may take to say its whole Hello.
pub const HELLO_TIME: Duration = Duration::from_secs(10);

/// The longest name of a program in a Hello, in bytes.
pub const HELLO_PROGRAM: usize = 64;

/// The most bytes of output or input in one data frame. Data is handed on as it comes, so this
/// bounds no memory; it bounds how long a control frame waits behind one data frame.
pub const FRAME_DATA_MAX: usize = 256 * 1024;

/// The longest Run frame, in bytes: half of what Linux lets a command have as arguments and
/// environment by default (2 MiB, execve(2)).
pub const RUN_BYTES: usize = 1024 * 1024;

/// The most arguments of a command.
pub const RUN_ARGUMENTS: usize = 65_536;

/// The most variables that a Run sets.
pub const RUN_ENVIRONMENT: usize = 1024;

/// The longest name of a terminal (TERM), in bytes.
pub const TERMINAL_NAME: usize = 128;

/// The longest text of a failure, in bytes; longer ones are cut where they are made.
pub const FAILURE_TEXT: usize = 2048;

/// The most bytes of standard input that are on their way: sent by the client and not yet taken by
/// the command. A server holds so many for a command that does not read, and goes on reading the
/// stream, so that signals and the end of the client are never stuck behind input.
pub const STDIN_WINDOW: usize = 1024 * 1024;

/// The server tells what the command has taken in steps of this many bytes.
pub const STDIN_STEP: usize = STDIN_WINDOW / 8;

/// The most signals and window sizes that a server takes in one second.
pub const CONTROL_RATE: u32 = 4096;

/// The most signals and window sizes that our client sends in one second; more are merged. A
/// network that stalls for a minute and then delivers all at once stays below [`CONTROL_RATE`].
pub const CONTROL_PACE: u32 = 64;

/// The buffer for what comes from the stream has room for this many bytes, or makes it.
pub const WIRE_SPACE: usize = 64 * 1024;

/// The longest JSON of a reply in the plain form, in bytes.
pub const PLAIN_REPLY_MAX: usize = 64 * 1024 * 1024;
