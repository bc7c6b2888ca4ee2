//! Limits of capturing packets and of the conversations that are traced.

use std::time::Duration;

/// What the kernel keeps of captured packets for us to take, in bytes; more is lost and counted.
pub const CAPTURE_BUFFER: usize = 8 * 1024 * 1024;

/// What is captured of one packet, in bytes: whole packets of every link but loopback with packets
/// above 64 KiB (BIG TCP).
pub const CAPTURE_PACKET: u32 = 65_535 + 64;

/// How many packets wait between who captures and who looks at them; when it is full the kernel's
/// buffer fills.
pub const CAPTURE_QUEUE: usize = 4096;

/// What is kept of all packets of one conversation, in bytes; later ones are counted.
pub const CAPTURE_KEPT: usize = 64 * 1024 * 1024;

/// How often it is looked whether the kernel stamps packets with their time already.
pub const CAPTURE_STAMPS: usize = 50;

/// The pause between two such looks.
pub const CAPTURE_STAMP_PAUSE: Duration = Duration::from_millis(2);

/// `trace --port`: the most connections whose histories are held at a time.
pub const TRACE_CONNECTIONS: usize = 1024;

/// How long a traced client waits for a server that does not answer before it ends its side.
pub const TRACE_ANSWER_TIME: Duration = Duration::from_secs(1);

/// How long the answer may pause before it counts as whole, where its end is not told otherwise.
pub const TRACE_QUIET_TIME: Duration = Duration::from_millis(50);

/// How long a trace waits after its last call for the connection's end in the kernel.
pub const TRACE_END_TIME: Duration = Duration::from_secs(2);

/// The pause between two looks at the kernel's table of sockets.
pub const TRACE_PAUSE: Duration = Duration::from_millis(10);

/// The most bytes that a traced client takes of an answer; what comes then is not read.
pub const TRACE_ANSWER: usize = 16 * 1024 * 1024;

/// The buffer of a traced client's and server's recv calls, in bytes: a call, a line.
pub const TRACE_READ: usize = 64 * 1024;

/// How much of what is sent is quoted in a call, in characters.
pub const TRACE_QUOTED: usize = 16;

/// The most calls that a traced conversation tells.
pub const TRACE_RECORDS: usize = 4096;
