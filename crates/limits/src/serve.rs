//! Limits of servers: accepting, connections, workers, datagrams.

use std::time::Duration;

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

/// How long a worker process may take until it is ready for work; it needs a tenth of a second.
pub const WORKER_START: Duration = Duration::from_secs(10);

/// How long a worker process that was told to go may take before it is killed.
pub const WORKER_EXIT: Duration = Duration::from_secs(2);

/// The longest message between the server and a worker process, in bytes.
pub const WORKER_MESSAGE: usize = 4096;

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
