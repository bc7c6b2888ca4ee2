//! Limits of traces.

use std::time::Duration;

/// What is kept of a captured frame, in bytes: all headers and a full frame of most links.
pub const TRACE_FRAME: usize = 2048;

/// What is kept of a packet's payload, in bytes.
pub const TRACE_PAYLOAD: usize = 1024;

/// The most steps that a history keeps; later ones are still told, and counted.
pub const TRACE_STEPS: usize = 10_000;

/// The largest window of TCP, in bytes: 65,535 shifted by 14 (RFC 7323, section 2.3), rounded up.
pub const TCP_WINDOW_MAX: u32 = 1 << 30;

/// The most ranges of one direction that are remembered as skipped.
pub const TRACE_HOLES: usize = 64;

/// The packets of one direction that are remembered, so that a copy or a second sending is known.
pub const TRACE_REMEMBERED: usize = 256;

/// How far IPv4 identifications of neighbouring packets may be apart to be taken for a counter.
pub const TRACE_IDENT_STEP: u16 = 4096;

/// A packet that fills a hole within this time was late on its way, not sent again, where neither
/// identification nor timestamp tells; no retransmission timer is as short.
pub const TRACE_REORDER: Duration = Duration::from_millis(3);

/// How long Linux keeps TIME-WAIT: TCP_TIMEWAIT_LEN, fixed when the kernel is built.
pub const TIME_WAIT: Duration = Duration::from_secs(60);

/// The most kinds of ICMP errors that a history tells of.
pub const TRACE_TROUBLES: usize = 8;

/// A packet that was sent again so often without an answer, while shorter ones pass, points to a
/// path whose packets are too long for it.
pub const TRACE_BLACK_HOLE_TIMES: u32 = 3;

/// Payload up to which a packet is short, in bytes: what any path takes (RFC 791's 576, less
/// headers).
pub const TRACE_SMALL_PACKET: usize = 536;

/// A FIN or SYN,ACK that is sent again so soon after its acknowledgement was seen has crossed it:
/// shorter than any retransmission timer (200 ms on Linux).
pub const TRACE_CROSSING: Duration = Duration::from_millis(100);

/// The columns of a drawing: a terminal has 80, and some break a line that fills them all.
pub const TRACE_WIDTH: usize = 79;

/// The most calls of one side that a drawing remembers as begun.
pub const TRACE_CALLS: usize = 16;

/// The most lines of a drawing that one call takes.
pub const TRACE_CALL_LINES: usize = 3;

/// The most steps that a page draws.
pub const TRACE_PAGE_STEPS: usize = 500;

/// The most bytes of a field that a page shows in hexadecimal.
pub const TRACE_PAGE_BYTES: usize = 64;
