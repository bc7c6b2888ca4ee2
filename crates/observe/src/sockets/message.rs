//! Netlink's framing (netlink(7), RFC 3549 section 2.3): a buffer becomes messages, a message's body
//! attributes. Bytes in, values out; no bytes make it panic.

/// The length of `struct nlmsghdr`.
pub(crate) const HEADER: usize = 16;

/// The last message of a dump (NLMSG_DONE).
pub(crate) const DONE: u16 = 3;

/// An error, or with number 0 an acknowledgement (NLMSG_ERROR).
pub(crate) const ERROR: u16 = 2;

/// A message as it lies in a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its type.
    pub kind: u16,
    /// Which request it answers.
    pub sequence: u32,
    /// What follows its header.
    pub body: &'a [u8],
}

/// The messages of a buffer, up to the first that is cut off.
pub fn messages(buffer: &[u8]) -> impl Iterator<Item = Message<'_>> {
    let mut rest = buffer;
    std::iter::from_fn(move || {
        let length = usize::try_from(word(rest, 0)?).ok()?;
        let whole = rest.get(..length)?;
        let body = whole.get(HEADER..)?;
        let (kind, sequence) = (half(whole, 4)?, word(whole, 8)?);
        rest = rest.get(padded(length)..).unwrap_or_default();
        Some(Message { kind, sequence, body })
    })
}

/// The attributes that follow a fixed part: type and value, up to the first that is cut off.
pub fn attributes(bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = bytes;
    std::iter::from_fn(move || {
        let length = usize::from(half(rest, 0)?);
        let value = rest.get(4..length)?;
        // The two upper bits are flags (NLA_F_NESTED, NLA_F_NET_BYTEORDER).
        let kind = half(rest, 2)? & 0x3fff;
        rest = rest.get(padded(length)..).unwrap_or_default();
        Some((kind, value))
    })
}

/// A request: header and body. `dump` asks for all that fit instead of one.
pub(crate) fn request(kind: u16, dump: bool, sequence: u32, body: &[u8]) -> Vec<u8> {
    const REQUEST: u16 = 1;
    const DUMP: u16 = 0x300;
    let length = u32::try_from(HEADER + body.len()).unwrap_or(u32::MAX);
    let flags = if dump { REQUEST | DUMP } else { REQUEST };
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend(length.to_ne_bytes());
    bytes.extend(kind.to_ne_bytes());
    bytes.extend(flags.to_ne_bytes());
    bytes.extend(sequence.to_ne_bytes());
    // From port 0: the kernel knows which socket it came from.
    bytes.extend(0u32.to_ne_bytes());
    bytes.extend(body);
    bytes
}

/// Everything in netlink is aligned to four bytes.
fn padded(length: usize) -> usize {
    length.saturating_add(3) & !3
}

/// A number of two bytes in the machine's order.
pub(crate) fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

/// A number of four bytes in the machine's order.
pub(crate) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// A number of eight bytes in the machine's order.
pub(crate) fn long(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::{Protocol, inet, info, local};
    use super::*;

    /// O3: a request is one message, and attributes come out as they were put in.
    #[test]
    fn round_trip() {
        let mut both = request(20, true, 7, b"body");
        both.extend(request(DONE, false, 7, b""));
        let found: Vec<Message<'_>> = messages(&both).collect();
        assert_eq!(found[0], Message { kind: 20, sequence: 7, body: b"body" });
        assert_eq!((found.len(), found[1].kind), (2, DONE));
        let bytes = [&[7, 0, 2, 0, b'a', b'b', b'c', 0][..], &[4, 0, 9, 0x80], &[200, 0]].concat();
        let found: Vec<(u16, &[u8])> = attributes(&bytes).collect();
        assert_eq!(found, [(2, &b"abc"[..]), (9, &b""[..])]);
    }

    /// A message or attribute shorter than its own header ends the walk: it cannot go on for ever.
    #[test]
    fn too_short() {
        for length in 0..16u32 {
            let bytes = [&length.to_ne_bytes()[..], &[0; 60]].concat();
            assert_eq!(messages(&bytes).count(), 0, "{length}");
        }
        for length in 0..4u8 {
            assert_eq!(attributes(&[length, 0, 1, 0, 0, 0, 0, 0]).count(), 0, "{length}");
        }
    }

    proptest! {
        /// Q4: no bytes make any of the decoders panic or go on for ever.
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(messages(&bytes).count() <= bytes.len() / HEADER);
            prop_assert!(attributes(&bytes).count() <= bytes.len() / 4);
            for protocol in Protocol::ALL {
                let _ = inet::socket(protocol, &bytes);
            }
            let _ = local::socket(&bytes);
            let _ = info::decode(&bytes);
        }

        /// Q4: the same for bodies that begin as the kernel's do.
        #[test]
        fn likely_bytes(
            family in prop::sample::select(vec![1u8, 2, 10]),
            state in 0u8..16,
            timer in 0u8..8,
            rest in prop::collection::vec(any::<u8>(), 68..300),
        ) {
            let bytes = [&[family, state, timer, 3][..], &rest].concat();
            let found = inet::socket(Protocol::Tcp, &bytes);
            prop_assert_eq!(found.is_some(), family != 1);
            let _ = local::socket(&bytes);
        }
    }
}
