//! Every limit of sockeye in one place: its name, its default, its unit and why it is what it is.
//!
//! Nothing here is code. A limit that a user can change says by which option; the others are
//! fixed. A length that comes from a peer is compared with its limit before anything is allocated.
#![forbid(unsafe_code)]

use std::time::Duration;

// ---- Addresses ---------------------------------------------------------------------------------

/// The longest Unix socket path, in bytes: `sun_path` is 108 bytes with the closing NUL, unix(7).
pub const UNIX_PATH_MAX: usize = 107;

/// The longest abstract Unix socket name, in bytes: `sun_path` without its leading NUL, unix(7).
pub const UNIX_NAME_MAX: usize = 107;

/// The longest host name, in bytes (RFC 1035, section 2.3.4, less the root label).
pub const HOST_NAME_MAX: usize = 253;

/// The port that is served and talked to when none is named.
pub const DEFAULT_PORT: u16 = 9000;

/// The port of remote commands when none is named.
pub const HOST_PORT: u16 = 9022;

/// `--mode` of a Unix socket's file: its owner alone.
pub const SOCKET_MODE: u32 = 0o600;

/// How long the lock of a Unix socket's directory is waited for; others may hold it for ever.
pub const LOCK_TIME: Duration = Duration::from_millis(500);

/// The pause between two looks at that lock.
pub const LOCK_PAUSE: Duration = Duration::from_millis(10);

/// The longest time that an option takes: ten years.
pub const LONGEST_TIME: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// The longest time that a socket option takes, in seconds: TCP_KEEPIDLE's own limit, tcp(7).
pub const OPTION_SECONDS: u64 = 32_767;

/// How often a server with port 0 and several addresses looks for one port that is free on all.
pub const SAME_PORT_TRIES: u32 = 32;

// ---- Dialling ----------------------------------------------------------------------------------

/// Happy Eyeballs: the pause before the next address is tried beside the last (RFC 8305, section
/// 5: Connection Attempt Delay).
pub const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);

/// How long a client tries to resolve and connect when `--timeout` does not say (seconds: three
/// SYNs of Linux leave at 0, 1 and 3 s, so that two losses in a row are survived).
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(7);

/// The most addresses of one name that a client tries.
pub const DIAL_ADDRESSES: usize = 16;

/// `--retry`: the pause before the first new attempt; it doubles with each one.
pub const RETRY_DELAY_FIRST: Duration = Duration::from_millis(100);

/// `--retry`: the longest pause between two attempts.
pub const RETRY_DELAY_MAX: Duration = Duration::from_secs(5);

// ---- Listening and accepting -------------------------------------------------------------------

/// `--backlog`: connections that the kernel completes before we accept them (capped by
/// `net.core.somaxconn`).
pub const BACKLOG: u32 = 1024;

/// `--max-connections` under the event model; the descriptors that the process may open bound it
/// further.
pub const CONNECTIONS_EVENT: usize = 65_536;

/// `--max-connections` under the thread model: each costs a thread.
pub const CONNECTIONS_THREAD: usize = 4_096;

/// `--max-connections` under the process model: each costs a process.
pub const CONNECTIONS_PROCESS: usize = 256;

/// Descriptors that a server keeps for itself when it works out how many connections it can hold.
pub const RESERVED_DESCRIPTORS: usize = 64;

/// Descriptors that an event loop and its signals need before the first connection.
pub const RUNTIME_DESCRIPTORS: usize = 12;

/// The most connections taken from one listener before the others get a turn.
pub const ACCEPT_BURST: usize = 64;

/// The first pause after accept(2) ran out of descriptors or memory; it doubles while that lasts.
pub const ACCEPT_PAUSE_FIRST: Duration = Duration::from_millis(20);

/// The longest pause after accept(2) ran out of descriptors or memory.
pub const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// The longest `--allow @FILE` or `--deny @FILE` list, in bytes.
pub const ACCESS_BYTES: u64 = 8 * 1024 * 1024;

/// The most lines in an `--allow @FILE` or `--deny @FILE` list.
pub const ACCESS_LINES: usize = 100_000;

// ---- One connection ----------------------------------------------------------------------------

/// Bytes read at once from a stream, and the size of the one scratch buffer of each event loop.
pub const STREAM_BUFFER: usize = 64 * 1024;

/// The most bytes that a service may answer to one read before the driver refuses to hold more.
/// `upper` and `echo` answer at most [`STREAM_BUFFER`] bytes.
pub const REPLY_MAX: usize = 1024 * 1024;

/// Reads that one connection may do before the other connections of its event loop get a turn.
pub const READS_A_TURN: u32 = 32;

/// Pieces that one call sends at most, of what TLS has made ready.
pub const SEND_PIECES: usize = 64;

/// After our FIN: how long unread input is still drained, so that close(2) does not answer it with
/// a reset that would destroy the reply on its way (RFC 1122, section 4.2.2.13).
pub const LINGER_TIME: Duration = Duration::from_secs(2);

/// After our FIN: how many bytes of unread input are drained at most.
pub const LINGER_BYTES: u64 = 16 * 1024 * 1024;

/// Deadlines of connections are looked at this many times in the shortest of them, so that they
/// are late by an eighth at most.
pub const CLOCK_STEPS: u32 = 8;

/// The shortest pause between two looks at the deadlines of connections.
pub const CLOCK_TICK_MIN: Duration = Duration::from_millis(10);

/// Ticks that one look at the deadlines may be late and still count in full; a longer pause was a
/// stop or a sleep of the machine, and counts as one.
pub const CLOCK_SLACK: u32 = 4;

/// The longest pause between two looks at the deadlines of connections.
pub const CLOCK_TICK_MAX: Duration = Duration::from_secs(1);

/// Keepalive of accepted connections: silence before the first probe (`--set keepalive=…`).
pub const KEEPALIVE_IDLE: Duration = Duration::from_secs(60);

/// Stack of a thread under the thread model, in bytes.
pub const THREAD_STACK: usize = 256 * 1024;

/// Bytes read at once under the thread model, where every connection has a buffer of its own.
pub const THREAD_BUFFER: usize = 16 * 1024;

// ---- The life of a server ----------------------------------------------------------------------

/// `--drain`: how long connections may finish after SIGTERM or SIGINT.
pub const DRAIN: Duration = Duration::from_secs(10);

/// How long connections that were cut may take to notice.
pub const CUT_TIME: Duration = Duration::from_secs(2);

/// How often a server looks whether the kernel dropped datagrams.
pub const DROPS_PAUSE: Duration = Duration::from_secs(1);

/// Events that wait for a slow reader of `--json`; more are dropped and counted.
pub const EVENT_QUEUE: usize = 16_384;

/// Events written with one call at most.
pub const EVENT_BATCH: usize = 256;

/// At the end: how long what was told may take to be written.
pub const PRINT_TIME: Duration = Duration::from_secs(1);

/// `--workers`: at most this many.
pub const WORKERS_MAX: usize = 1024;

/// Connections that were refused (FIN) and are waited for until they have noticed; more are closed
/// at once, which resets those that have sent something.
pub const REFUSED_WAITING: usize = 64;

/// The process model's warm pool when `--workers` does not say: at least this many.
pub const POOL_MIN: usize = 4;

/// How long a worker process above the warm pool waits for a connection before it leaves.
pub const POOL_IDLE: Duration = Duration::from_secs(10);

/// How long after a session has begun its worker process is replaced in the warm pool.
pub const SUCCESSOR_PAUSE: Duration = Duration::from_millis(50);

/// Worker processes that may die early before replacements are slowed down.
pub const RESPAWN_BURST: u32 = 8;

/// The pause between two replacements of dead workers beyond [`RESPAWN_BURST`].
pub const RESPAWN_PAUSE: Duration = Duration::from_millis(250);

/// How long a worker process that was told to go may take before it is killed.
pub const WORKER_EXIT: Duration = Duration::from_secs(2);

/// The longest message between the server and a worker process, in bytes.
pub const WORKER_MESSAGE: usize = 4096;

// ---- Sessions ----------------------------------------------------------------------------------

/// On `tls://`: how long a peer may take until its first message (ClientHello) is whole. With
/// [`HANDSHAKE_TIME`], 10 s in all until it has proved who it is.
pub const HELLO_WAIT: Duration = Duration::from_secs(5);

/// How long the TLS handshake and the proof of the peer's key may take after that.
pub const HANDSHAKE_TIME: Duration = Duration::from_secs(5);

/// On `tls://`: from this many peers on that wait at the door, one of them may have to go when
/// another comes; the chance grows until it is certain at [`DOOR_FULL`].
pub const DOOR_CALM: usize = 32;

/// On `tls://`: peers that may wait at the door at once.
pub const DOOR_FULL: usize = 128;

/// Peers at once whose handshake is under way, beyond the door.
pub const HANDSHAKES: usize = 64;

/// What a source is barred for, in addition, when its peer spoke no TLS or broke the protocol.
pub const PENALTY_STRANGER: Duration = Duration::from_secs(5);

/// The same when it let a handshake time pass.
pub const PENALTY_SLOW: Duration = Duration::from_secs(10);

/// The same when its key was not authorised.
pub const PENALTY_KEY: Duration = Duration::from_secs(5);

/// Penalties below this sum do not bar yet: everybody may err a few times.
pub const PENALTY_FREE: Duration = Duration::from_secs(15);

/// The longest that a source is barred.
pub const PENALTY_MAX: Duration = Duration::from_secs(600);

/// Sources whose penalties are remembered at once; beyond that new ones are not.
pub const PENALTY_SOURCES: usize = 16_384;

/// The longest question of a worker process to its server, and the longest answer, in bytes.
pub const QUESTION_MAX: usize = 1024;

/// Characters of a key's comment or of a command that events show.
pub const COMMENT_SHOWN: usize = 200;

/// Bytes of a command line that events look at.
pub const COMMAND_SHOWN: usize = 400;

/// After the end of a command on a terminal: how long its output must pause to be over, where
/// others that it started keep the terminal open.
pub const TERMINAL_QUIET: Duration = Duration::from_millis(100);

/// A client's own signals and window sizes that wait to be sent.
pub const CONTROLS_WAITING: usize = 64;

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

/// The longest command line of the plain form, in bytes.
pub const PLAIN_LINE_MAX: usize = 64 * 1024;

/// The plain form: a pause of this length after data ends a command line that has no newline.
pub const PLAIN_PAUSE: Duration = Duration::from_millis(50);

/// The plain form: how long the JSON is held back behind its length, and the pause between two
/// looks whether the client has read that.
pub const PLAIN_HOLD_BACK: Duration = Duration::from_millis(10);

/// The plain form: how long it is held back at most for a client that does not read.
pub const PLAIN_HOLD_BACK_MAX: Duration = Duration::from_secs(1);

/// How long a worker process that runs a command may take to end it and all that it started.
pub const SESSION_EXIT: Duration = Duration::from_secs(7);

// ---- Keys --------------------------------------------------------------------------------------

/// The longest private or public key file, in bytes; an Ed25519 one has about 400.
pub const KEY_FILE_BYTES: u64 = 64 * 1024;

/// How often a passphrase may be wrong before we give up.
pub const PASSPHRASE_TRIES: u32 = 3;

/// The longest passphrase that can be typed, in bytes.
pub const PASSPHRASE_BYTES: usize = 1024;

/// The work that a passphrase costs whoever guesses it: rounds of bcrypt_pbkdf, as ssh-keygen(1)
/// sets them (`-a`).
pub const PASSPHRASE_ROUNDS: u32 = 24;

/// The most rounds that we take from a key file: minutes of work, and beyond that a broken file.
pub const PASSPHRASE_ROUNDS_MAX: u32 = 20_000;

/// How long the agent may take for one answer.
pub const AGENT_TIME: Duration = Duration::from_secs(5);

/// The longest message of the agent, in bytes; OpenSSH's own limit.
pub const AGENT_MESSAGE: usize = 256 * 1024;

/// The most keys of the agent that are looked at.
pub const AGENT_KEYS: usize = 1024;

/// The most identities that a client proves itself with, one connection each.
pub const IDENTITIES_MAX: usize = 4;

/// The longest `authorized_keys` file, in bytes.
pub const AUTHORIZED_BYTES: u64 = 4 * 1024 * 1024;

/// The longest `known_hosts` file, in bytes.
pub const KNOWN_BYTES: u64 = 16 * 1024 * 1024;

/// The longest line in either, in bytes: an RSA key of 16,384 bits fits.
pub const KEY_LINE: usize = 16 * 1024;

/// The longest salt of a hashed host name in `known_hosts`, in bytes; OpenSSH writes 20.
pub const HOST_SALT_MAX: usize = 64;

/// The longest pattern in `from=` or in `known_hosts`, in bytes.
pub const PATTERN_MAX: usize = 1024;

/// The longest first message (ClientHello) of a TLS peer: one record of 16 KiB and its header
/// (RFC 8446, section 5.1).
pub const HELLO_BYTES: usize = 16 * 1024 + 5;

/// First bytes of a peer that are kept to say what it speaks when that is not TLS.
pub const FIRST_BYTES: usize = 64;

/// Encrypted bytes that may wait in a TLS connection for the socket. With more, the memory of each
/// frame is taken from the system and given back.
pub const TLS_WRITE_BUFFER: usize = 64 * 1024;

/// Bytes read at once from the socket of a TLS connection that has much to read.
pub const TLS_READ_BUFFER: usize = 128 * 1024;

// ---- Datagrams ---------------------------------------------------------------------------------

/// The largest UDP payload over IPv4: 65,535 less 20 bytes of IP and 8 of UDP header (RFC 768).
pub const DATAGRAM_MAX: usize = 65_507;

/// The buffer for one received UDP datagram: the longest fits, over IPv6 too.
pub const DATAGRAM_BUFFER: usize = 65_536;

/// The buffer for one received Unix datagram: more than `net.core.wmem_default` lets a peer send
/// (212,992 bytes). A longer one is refused, not cut.
pub const UNIX_DATAGRAM_BUFFER: usize = 256 * 1024;

/// Datagrams taken or sent with one system call.
pub const DATAGRAM_BATCH: usize = 64;

/// The same for Unix datagrams, whose buffers are larger.
pub const UNIX_DATAGRAM_BATCH: usize = 16;

/// Answers that leave as one through the kernel's segmentation (UDP_MAX_SEGMENTS of older kernels).
pub const SEGMENTS: usize = 64;

/// `--source-rate` of echo, discard, chargen, daytime, qotd and time: datagrams a second that one
/// source is answered (an IPv4 address, an IPv6 network of 64 bits, a Unix name); the bucket holds
/// one second's worth. `upper` has no limit of its own but for answers that equal their question:
/// two servers could bounce those for ever.
pub const SOURCE_RATE: u32 = 1_000;

/// Sources whose rate is known at once; beyond that all unknown sources share one bucket.
pub const RATE_SOURCES: usize = 16_384;

/// Source ports of well-known services lie below this (RFC 6335, section 6): small datagram
/// services do not answer them, or two servers could be set upon each other.
pub const WELL_KNOWN_PORTS: u16 = 1024;

/// Lines that `chargen` writes at once on a stream: enough to fill a few segments.
pub const CHARGEN_LINES: usize = 200;

/// The longest quotation (RFC 865: "should be limited to less than 512 characters").
pub const QUOTE_MAX: usize = 512;

// ---- Talking -----------------------------------------------------------------------------------

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

// ---- Host protocol -----------------------------------------------------------------------------

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

/// How long a keeper may take to begin, and to leave after the end of its command's tree.
pub const KEEPER_TIME: Duration = Duration::from_secs(5);
