//! Limits of the door on `tls://`: what a peer may cost before it has proved who it is.

use std::time::Duration;

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

/// Peers at once whose handshake is under way, beyond the door. They count neither for
/// `--max-connections`, which is for those who are known, nor for `--once`; under the iterative
/// model, which has one thread, for the former, too.
pub const HANDSHAKES: usize = 64;

/// What a source is barred for, in addition, when its peer spoke no TLS or broke the protocol.
pub const PENALTY_STRANGER: Duration = Duration::from_secs(5);

/// The same when it let a handshake time pass.
pub const PENALTY_SLOW: Duration = Duration::from_secs(10);

/// The same when its key was not authorised.
pub const PENALTY_KEY: Duration = Duration::from_secs(5);

/// The same when it went away in the middle of a handshake, which cost a worker. Our own client does
/// so at its first contact with a server, while it asks its user.
pub const PENALTY_STOPPED: Duration = Duration::from_secs(1);

/// Penalties up to this sum do not bar yet: everybody may err a few times. A first contact and the
/// wrong ones of [`IDENTITIES_MAX`](crate::IDENTITIES_MAX) keys fit in; they are forgiven when the
/// right one comes in.
pub const PENALTY_FREE: Duration = Duration::from_secs(20);

/// The longest that a source is barred.
pub const PENALTY_MAX: Duration = Duration::from_secs(600);

/// Sources whose penalties are remembered at once; beyond that new ones are not.
pub const PENALTY_SOURCES: usize = 16_384;

/// The longest question of a worker process to its server, and the longest answer, in bytes.
pub const QUESTION_MAX: usize = 1024;
