//! Limits of endpoints and of dialling.

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
