//! Limits of load: what `sockeye bench` drives, and how it counts.

use std::time::Duration;

/// `--connections` when none is said: enough to keep a server busy, and few enough for any.
pub const LOAD_CONNECTIONS: usize = 50;

/// The most connections of one run; the descriptors that the process may open bound it further.
pub const LOAD_CONNECTIONS_MAX: usize = 1 << 20;

/// `--size` when none is said, in bytes.
pub const LOAD_SIZE: usize = 64;

/// The longest request, in bytes; of datagrams [`crate::DATAGRAM_MAX`].
pub const LOAD_SIZE_MAX: usize = 16 * 1024 * 1024;

/// The most requests in flight on one connection.
pub const LOAD_DEPTH_MAX: usize = 4096;

/// `--depth` at a fixed rate when none is said: a stalled connection does not hold back the requests
/// behind it before the server has so many of it to do. Datagrams have no such bound there.
pub const LOAD_DEPTH_OPEN: usize = 16;

/// `--rate`: the most requests a second.
pub const LOAD_RATE_MAX: u64 = 1_000_000_000;

/// `--duration` when none is said.
pub const LOAD_DURATION: Duration = Duration::from_secs(5);

/// `--warmup` when none is said: the same load, not counted.
pub const LOAD_WARMUP: Duration = Duration::from_millis(500);

/// `--timeout` when none is said: a connection with requests in flight that says nothing for so long
/// has failed.
pub const LOAD_TIMEOUT: Duration = Duration::from_secs(5);

/// The same of datagrams, where nobody says that one is lost: while it is waited for, in a closed loop
/// its place in `--depth` is taken.
pub const LOAD_DATAGRAM_TIMEOUT: Duration = Duration::from_millis(500);

/// Datagrams of one run that are remembered at a time, shared by its sockets, each of which has at most
/// [`LOAD_KNOWN`]: 24 bytes for each that was sent within `--timeout` and may still be answered. Where
/// there is no room the next one is held back, which shows as lateness.
pub const LOAD_AWAITED: u64 = 4 * 1024 * 1024;

/// The pause between two looks of an observer at a run.
pub const LOAD_PROGRESS: Duration = Duration::from_millis(100);

/// The longest latency that is told apart from longer ones, in nanoseconds: an hour.
pub const LOAD_LATENCY_MAX: u64 = 3_600_000_000_000;

/// Significant digits of a latency: 3 means that it is right to a part in a thousand.
pub const LOAD_DIGITS: u8 = 3;

/// The addresses of loopback (127.0.0.1 and up) that connections to loopback come from in turn, so that
/// their ports do not run out: each has 28,000 of them towards a server, and keeps one for a minute
/// after its connection was closed (TIME_WAIT).
pub const LOAD_SOURCES: u64 = 64;

/// Connections that one worker has on their way at a time when a run begins: fewer than listen queues
/// hold.
pub const LOAD_CONNECTING: usize = 64;

/// Descriptors of a load process that are no connections: standard streams, the terminal, events.
pub const LOAD_DESCRIPTORS: usize = 16;

/// The longest time that a worker sleeps: how late it notices the end of a run.
pub const LOAD_TICK: Duration = Duration::from_millis(10);

/// How often a worker looks for connections that have failed or say nothing.
pub const LOAD_SWEEP: Duration = Duration::from_millis(20);

/// The first pause before a connection that failed is made again, when the one before it had failed,
/// too; it doubles.
pub const LOAD_PAUSE_FIRST: Duration = Duration::from_millis(10);

/// The longest such pause.
pub const LOAD_PAUSE_MAX: Duration = Duration::from_secs(1);

/// The pause before a Unix server whose queue is full is tried again.
pub const LOAD_FULL: Duration = Duration::from_millis(1);

/// The most bytes that one call sends or takes.
pub const LOAD_PIECE: usize = 256 * 1024;

/// The most calls in a row that take datagrams from one socket, before others have their turn.
pub const LOAD_BATCHES: usize = 64;

/// The most calls in a row that send datagrams over one socket at a fixed rate: what is due besides has
/// its turn with the next one that becomes due.
pub const LOAD_BURST: usize = 4;

/// Bytes that a server of `bench throughput` may say although the data only goes up, such as a
/// greeting; one that says more answers.
pub const LOAD_GREETING: u64 = 64 * 1024;

/// Numbered datagrams of one sender of which it is known whether they came, counted back from the
/// highest: a bit for each, 8 KiB for a sender. One that is older counts as a second copy.
pub const LOAD_KNOWN: u64 = 64 * 1024;

/// Events that a worker takes from the kernel with one call: more of them make no call cheaper.
pub const LOAD_EVENTS: usize = 512;

/// The most threads that drive load.
pub const LOAD_WORKERS_MAX: usize = 256;

/// The most seconds of a run that are kept one by one; of a longer run, the last ones.
pub const LOAD_SERIES: usize = 24 * 3600;

/// `--streams` of `bench throughput` when none is said.
pub const LOAD_STREAMS: usize = 1;

/// Bytes of one send of `bench throughput` over a stream when `--size` does not say.
pub const LOAD_BULK_SIZE: usize = 128 * 1024;

/// Bytes of one datagram of `bench throughput` when `--size` does not say: what fits one Ethernet
/// frame over IPv6.
pub const LOAD_BULK_DATAGRAM: usize = 1432;

/// `--rate` of `bench throughput` over datagrams when none is said, in bits a second.
pub const LOAD_BULK_RATE: u64 = 10_000_000;

/// The shortest datagram of `bench throughput`, in bytes: its header.
pub const LOAD_BULK_DATAGRAM_MIN: usize = 32;

/// `--streams` of `bench throughput`: each is a thread.
pub const LOAD_STREAMS_MAX: usize = 256;

/// How long the last datagrams of `bench throughput` are waited for when nothing comes, and the last
/// answers of a run that was ended early.
pub const LOAD_SETTLE: Duration = Duration::from_millis(500);

/// `bench throughput` over datagrams: the pause between two questions what has arrived.
pub const LOAD_ASK: Duration = Duration::from_millis(100);

/// `bench throughput --serve`: so many senders are counted; of more, those who were silent longest are
/// forgotten.
pub const LOAD_SESSIONS: usize = 1024;

/// How wide a result is drawn where it goes to no terminal, in columns.
pub const PRINT_COLUMNS: usize = 80;

/// How wide a result is drawn at most: a wider picture is no clearer.
pub const PRINT_COLUMNS_MAX: usize = 120;

/// `--duration` of `bench models` when none is said: all of it takes half a minute.
pub const MODELS_DURATION: Duration = Duration::from_millis(700);

/// The load that runs before it is counted there: workers and threads have started by then.
pub const MODELS_WARMUP: Duration = Duration::from_millis(400);

/// `--rounds` of `bench models` when none is said: the least of which a median leaves an odd one out.
pub const MODELS_ROUNDS: usize = 3;

/// The most rounds of `bench models`.
pub const MODELS_ROUNDS_MAX: usize = 1000;

/// `--idle` of `bench models` when none is said: silent connections.
pub const MODELS_IDLE: usize = 200;

/// The most connections of `bench models`: under the process model each is a process.
pub const MODELS_CONNECTIONS_MAX: usize = 4000;

/// A request of `bench models` without its answer for so long has failed, at least.
pub const MODELS_TIMEOUT: Duration = Duration::from_secs(2);

/// How long one silent connection may take to be made, at least: a full listen queue answers only the
/// second or third SYN, after 1 s and 3 s.
pub const MODELS_CONNECT: Duration = Duration::from_secs(5);

/// How long silent connections may go without a further answer before the rest counts as waiting.
pub const MODELS_PATIENCE: Duration = Duration::from_secs(3);

/// How long a server that is measured may take until it listens.
pub const SERVER_START: Duration = Duration::from_secs(20);

/// The pause between two looks whether it has ended.
pub const SERVER_LOOK: Duration = Duration::from_millis(2);

/// How long it may take to end when it is asked to.
pub const SERVER_END: Duration = Duration::from_secs(5);
