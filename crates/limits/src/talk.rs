//! Limits of a conversation from the client's side.

use std::time::Duration;

/// In a pipe, after the peer's end: how long standard input may pause before we stop as well.
pub const HALF_CLOSE_GRACE: Duration = Duration::from_millis(500);

/// In a pipe, on datagrams, after standard input's end: how long an answer may take.
pub const DATAGRAM_WAIT: Duration = Duration::from_secs(1);

/// At the prompt: how long an answer is awaited before the next prompt.
pub const PROMPT_WAIT: Duration = Duration::from_millis(500);

/// At the prompt: how long an answer may pause before it counts as whole.
pub const PROMPT_QUIET: Duration = Duration::from_millis(40);

/// At the prompt: the pause between two pieces that are shown beside it, for keys to be heard.
pub const PROMPT_PACE: Duration = Duration::from_millis(20);

/// Bytes read at once from standard input.
pub const INPUT_CHUNK: usize = 64 * 1024;

/// The longest line at the prompt or of a `--per-message` input, in bytes.
pub const LINE_MAX: usize = 1024 * 1024;

/// The longest datagram that is taken from standard input, and the buffer for one received, in
/// bytes: more than a Unix datagram socket takes by default (212,992, `net.core.wmem_default`).
pub const DATAGRAM_INPUT: usize = 256 * 1024;

/// At the prompt: how long an answer that does not pause holds back the next prompt.
pub const PROMPT_LONGEST: Duration = Duration::from_secs(2);

/// Lines that the prompt remembers from earlier conversations.
pub const HISTORY_LINES: usize = 1_000;

/// Pieces of output that wait for a slow reader of standard output before we stop receiving.
pub const OUTPUT_QUEUE: usize = 4;

/// The longest line of a recording, in bytes.
pub const RECORD_LINE: usize = 1024 * 1024;
