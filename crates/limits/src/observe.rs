//! Limits of looking at sockets.

use std::time::Duration;

/// The buffer for answers of the kernel's socket tables, in bytes: it sends at most 32 KiB at once,
/// netlink(7).
pub const NETLINK_BUFFER: usize = 64 * 1024;

/// `ports --watch`: the time between two looks.
pub const WATCH_TIME: Duration = Duration::from_secs(1);

/// The most processes that are named for one socket; the others are counted.
pub const SOCKET_OWNERS: usize = 16;

/// `ports`: the most connections in TIME-WAIT that are shown where that state was not asked for; the
/// others are counted. A server that was just tested hard has tens of thousands.
pub const WAITS_SHOWN: usize = 8;

/// How long TCP stays in TIME-WAIT on Linux, in seconds: TCP_TIMEWAIT_LEN, which no setting changes.
pub const TIME_WAIT_SECONDS: u64 = 60;
