//! Limits of remote commands.

use std::time::Duration;

// ---- Sessions ----------------------------------------------------------------------------------

/// Characters of a key's comment or of a command that events show.
pub const COMMENT_SHOWN: usize = 200;

/// Bytes of a command line that events look at.
pub const COMMAND_SHOWN: usize = 400;

/// After the end of a command on a terminal: how long its output must pause to be over, where
/// others that it started keep the terminal open.
pub const TERMINAL_QUIET: Duration = Duration::from_millis(100);

/// After the end of the input of a command on a terminal: how often it is looked who reads.
pub const TERMINAL_LOOK: Duration = Duration::from_millis(50);

/// So many signals of one kind to a client end it, whatever the remote command does with them.
pub const IMPATIENCE: u32 = 3;

/// How often a question on the terminal is asked again when the answer is not understood.
pub const QUESTIONS: u32 = 3;

/// `exec --json`: bytes of output that are kept where `--max-output` does not say.
pub const JSON_OUTPUT: u64 = 16 * 1024 * 1024;

/// The soft limit of descriptors that a command starts with: FD_SETSIZE, select(2).
pub const CHILD_DESCRIPTORS: u64 = 1024;

/// On both ends of remote commands: silence before a peer is probed, the pause between two probes,
/// and how many of them may stay without answer. A peer that is gone is noticed after 30 s.
pub const HOST_KEEPALIVE: (Duration, Duration, u32) =
    (Duration::from_secs(15), Duration::from_secs(5), 3);

/// On both ends of remote commands: how long sent data may stay unacknowledged.
pub const HOST_USER_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection of the host protocol may stay without a command before the server ends it.
/// At the prompt that is a night, not a lunch.
pub const SESSION_IDLE: Duration = Duration::from_secs(8 * 3600);

/// After the end of a command's tree: how long its output must pause to be over, where a process
/// outside the tree holds a pipe of it open.
pub const OUTPUT_QUIET: Duration = Duration::from_millis(100);

/// How long the lock on an audit file is waited for. It is held for one line; whoever holds it
/// longer is no server.
pub const AUDIT_LOCK_TIME: Duration = Duration::from_millis(500);

/// The pause between two tries for it.
pub const AUDIT_LOCK_PAUSE: Duration = Duration::from_millis(1);

/// How long a worker process that runs a command may take to end it and all that it started.
pub const SESSION_EXIT: Duration = Duration::from_secs(7);

// ---- The plain form ----------------------------------------------------------------------------

/// The longest command line of the plain form, in bytes.
pub const PLAIN_LINE_MAX: usize = 64 * 1024;

/// The plain form: a pause of this length after data ends a command line that has no newline.
pub const PLAIN_PAUSE: Duration = Duration::from_millis(50);

/// The plain form: how long the JSON is held back behind its length, and the pause between two
/// looks whether the client has read that.
pub const PLAIN_HOLD_BACK: Duration = Duration::from_millis(10);

/// The plain form: how long it is held back at most for a client that does not read.
pub const PLAIN_HOLD_BACK_MAX: Duration = Duration::from_secs(1);

/// The plain form: when a client has ended its side, the first pause before a look whether anybody
/// is left to take the answer. What is done by then is done for those, too, who do not wait for it.
pub const PLAIN_LOOK_FIRST: Duration = Duration::from_millis(50);

/// The same, the longest pause between two looks: what a client that was killed leaves behind has to
/// be gone within 5 s ([`TREE_END_TIME`]).
pub const PLAIN_LOOK: Duration = Duration::from_millis(200);

// ---- Jobs --------------------------------------------------------------------------------------

/// What a command's output or input may hold in the kernel, in bytes (F_SETPIPE_SZ): fewer turns
/// than with the usual 64 KiB. Where a user has too many such pipes (pipe(7), pipe-user-pages-soft)
/// it stays what it was.
pub const PIPE_SIZE: usize = 1024 * 1024;

/// How long what a command left behind may take to end after SIGHUP before SIGTERM follows.
pub const HANG_UP_TIME: Duration = Duration::from_millis(500);

/// How long it may take after SIGTERM before SIGKILL follows.
pub const TERM_TIME: Duration = Duration::from_secs(2);

/// How long the end of a command's tree may take in all; 5 s are promised.
pub const TREE_END_TIME: Duration = Duration::from_millis(4_800);

/// Processes in a tree that are asked to end; a larger one looks like a fork bomb and is killed at
/// once.
pub const TREE_ASKED: usize = 512;

/// Rounds of stopping processes before they are killed, for those that fork in the meantime.
pub const FREEZE_ROUNDS: usize = 16;

/// The pause between two looks at processes that are ending and whose end nobody reports.
pub const TREE_PAUSE: Duration = Duration::from_millis(10);

/// How long a job that is dropped waits for its killed command.
pub const DROP_TIME: Duration = Duration::from_millis(100);

/// The longest message between a job and its keeper, in bytes; the plan itself is no message.
pub const KEEPER_MESSAGE: usize = 1024;

/// The pause between two looks at a keeper for which there is no descriptor left to watch it by.
pub const KEEPER_LOOK: Duration = Duration::from_secs(1);

/// How long a keeper may take to begin, and to leave after the end of its command's tree.
pub const KEEPER_TIME: Duration = Duration::from_secs(5);
