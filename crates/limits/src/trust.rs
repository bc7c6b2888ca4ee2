//! Limits of keys, lists of keys, the agent and TLS.

use std::time::Duration;

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

/// Bytes that are encrypted and given to the socket at once: a whole frame of data. With fewer the peer is
/// woken more often, which costs more than a processor's own cache saves.
pub const TLS_WRITE_BUFFER: usize = super::FRAME_DATA_MAX;

/// Memory for encrypted bytes that a connection keeps which has little to say.
pub const TLS_WRITE_KEPT: usize = 64 * 1024;

/// Bytes read at once from the socket of a TLS connection that has much to read.
pub const TLS_READ_BUFFER: usize = 128 * 1024;

/// Room from which on encrypted bytes are read to where their plaintext is wanted, and decrypted there.
/// For less, most of a read would be half a record, which has to be moved.
pub const TLS_DIRECT_READ: usize = 64 * 1024;

/// Bytes that a peer may send of a handshake before they are understood: twice a hello. Other messages
/// are shorter, a raw key is no chain of certificates.
pub const TLS_HANDSHAKE_BYTES: usize = 2 * HELLO_BYTES;

/// Records that may come of a handshake before they are understood: of a message in pieces, or of early
/// data that nobody asked for.
pub const TLS_HANDSHAKE_RECORDS: usize = 64;

/// Bytes asked for at once during a handshake, and of a TLS connection that has little to read: a hello with
/// a hybrid key share, and what follows it.
pub const TLS_LITTLE_READ: usize = 4 * 1024;

/// Records that are encrypted with one key, then a new one is taken: AES-GCM allows 2^24.5 of full size
/// (RFC 8446, section 5.5).
pub const TLS_KEY_RECORDS: u64 = 1 << 24;

/// Records in a row that may hold no data: new keys, warnings, nothing at all. They cost work and bring
/// nothing.
pub const TLS_EMPTY_RECORDS: u32 = 32;

/// Bytes that are shown of what a server said that does not speak TLS: enough to know it by.
pub const GREETING_SHOWN: usize = 40;
