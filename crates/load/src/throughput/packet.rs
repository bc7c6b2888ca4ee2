//! Datagrams of `bench throughput`, in letters: numbered and time-stamped data, a question to who
//! receives them, and its answer.
//!
//! | bytes | data `d` | question `q` | answer `r` |
//! |---|---|---|---|
//! | 1 | kind | kind | kind |
//! | 8 | session | session | session |
//! | 8 | number | | |
//! | 13 | time of sending, ns | | |
//! | 5 × 13 | | | datagrams, bytes, out of order, duplicates, jitter in ns |
//!
//! Numbers are letters, a = 0, the lowest digit first. A question is padded to [`QUESTION`] bytes, and
//! no answer is longer than its question, so that a receiver is no use to who forges his address.

use sockeye_limits as limits;

/// The length of a question.
pub(super) const QUESTION: usize = 128;

const SESSION: usize = 8;
const NUMBER: usize = 8;
const LONG: usize = 13;

/// What a datagram says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packet {
    Data { session: u64, number: u64, stamp: u64 },
    Question { session: u64 },
    Answer { session: u64, counts: Counts },
}

/// What a receiver has counted of one session.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Counts {
    /// Different datagrams.
    pub(super) received: u64,
    /// Their bytes.
    pub(super) bytes: u64,
    pub(super) reordered: u64,
    pub(super) duplicates: u64,
    pub(super) jitter_ns: u64,
}

impl Packet {
    /// A session that no other has had lately.
    pub(super) fn session() -> u64 {
        use std::hash::{BuildHasher, Hasher};
        // The standard library seeds it anew, from the system's random numbers.
        let random = std::collections::hash_map::RandomState::new().build_hasher().finish();
        random % 26_u64.pow(SESSION as u32)
    }

    /// Writes it at the beginning of `into`, which is long enough; gives how long it is.
    pub(super) fn write(self, into: &mut [u8]) -> usize {
        let mut rest = into;
        let mut length = 0;
        let mut put = |value: u64, digits: usize| {
            let (now, later) = std::mem::take(&mut rest).split_at_mut(digits);
            write(value, now);
            (rest, length) = (later, length + digits);
        };
        match self {
            Packet::Data { session, number, stamp } => {
                put(u64::from(b'd' - b'a'), 1);
                put(session, SESSION);
                put(number, NUMBER);
                put(stamp, LONG);
            }
            Packet::Question { session } => {
                put(u64::from(b'q' - b'a'), 1);
                put(session, SESSION);
            }
            Packet::Answer { session, counts } => {
                put(u64::from(b'r' - b'a'), 1);
                put(session, SESSION);
                let Counts { received, bytes, reordered, duplicates, jitter_ns } = counts;
                for value in [received, bytes, reordered, duplicates, jitter_ns] {
                    put(value, LONG);
                }
            }
        }
        length
    }

    /// Reads what came; none where it is nothing of this kind.
    pub(super) fn read(bytes: &[u8]) -> Option<Packet> {
        let mut rest = bytes.get(1..)?;
        let mut take = |digits: usize| {
            let (now, later) = rest.split_at_checked(digits)?;
            rest = later;
            read(now)
        };
        let session = take(SESSION)?;
        match bytes[0] {
            b'd' => Some(Packet::Data { session, number: take(NUMBER)?, stamp: take(LONG)? }),
            b'q' if bytes.len() == QUESTION => Some(Packet::Question { session }),
            b'r' => {
                let counts = Counts {
                    received: take(LONG)?,
                    bytes: take(LONG)?,
                    reordered: take(LONG)?,
                    duplicates: take(LONG)?,
                    jitter_ns: take(LONG)?,
                };
                Some(Packet::Answer { session, counts })
            }
            _ => None,
        }
    }
}

/// The least data datagram has room for its header.
const _: () = assert!(1 + SESSION + NUMBER + LONG <= limits::LOAD_BULK_DATAGRAM_MIN);
const _: () = assert!(1 + SESSION + 5 * LONG <= QUESTION);

fn write(mut value: u64, into: &mut [u8]) {
    for letter in into {
        *letter = b'a' + (value % 26) as u8;
        value /= 26;
    }
}

fn read(from: &[u8]) -> Option<u64> {
    from.iter().rev().try_fold(0_u64, |value, letter| {
        let digit = letter.checked_sub(b'a').filter(|digit| *digit < 26)?;
        // The last bits of what is too much are of no use to anybody.
        Some(value.wrapping_mul(26).wrapping_add(u64::from(digit)))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// B4: what is written is read again; nothing that comes makes the reader fail.
        #[test]
        fn back(a in 0..1_u64 << 61, number in 0..1_u64 << 37, noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            let session = number;
            let counts = Counts { received: a, bytes: a / 2, reordered: a / 3, duplicates: 7, jitter_ns: a / 5 };
            for packet in [
                Packet::Data { session, number, stamp: a },
                Packet::Question { session },
                Packet::Answer { session, counts },
            ] {
                let mut bytes = [b'a'; QUESTION];
                let length = packet.write(&mut bytes);
                let length = if matches!(packet, Packet::Question { .. }) { QUESTION } else { length };
                prop_assert_eq!(Packet::read(&bytes[..length]), Some(packet));
                bytes.make_ascii_uppercase();
                prop_assert_eq!(Packet::read(&bytes[..length]), None);
            }
            let _ = Packet::read(&noise);
        }
    }
}
