//! TCP sockets that have an address and neither listen nor are connected: /proc/net/tcp leaves them
//! out, and sock_diag(7) shows them since Linux 6.8, where it is asked for that very state.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};
use sockeye_limits as limits;

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bound {
    pub(crate) local: SocketAddr,
    pub(crate) uid: u32,
    pub(crate) inode: u64,
}

/// SOCK_DIAG_BY_FAMILY, the one question of sock_diag(7).
const BY_FAMILY: u16 = 20;
const DONE: u16 = 3;
const ERROR: u16 = 2;
/// The length of `struct nlmsghdr`.
const HEADER: usize = 16;
/// TCP_BOUND_INACTIVE of net/tcp_states.h, which is a state to ask for alone: such a socket is told to
/// be in TCP_CLOSE.
const BOUND_INACTIVE: u32 = 13;
const CLOSE: u8 = 7;
const V4: u8 = 2;
const V6: u8 = 10;

/// All of them. None where the kernel does not show them, or does not answer.
pub(crate) fn all() -> Vec<Bound> {
    let mut found = Vec::new();
    for family in [V4, V6] {
        // What could not be asked is as if it were not there: this only explains.
        let _ = ask(family, &mut found);
    }
    found
}

fn ask(family: u8, found: &mut Vec<Bound>) -> io::Result<()> {
    let protocol = Some(netlink::SOCK_DIAG);
    let kernel =
        socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, protocol)?;
    let question = request(family);
    retry_on_intr(|| send(&kernel, &question, SendFlags::empty()))?;
    let mut buffer = vec![0; limits::NETLINK_BUFFER];
    loop {
        // With TRUNC the true length is told, so that a cut-off answer is not taken for all.
        let (_, got) = retry_on_intr(|| recv(&kernel, &mut buffer[..], RecvFlags::TRUNC))?;
        let bytes = buffer.get(..got).filter(|bytes| !bytes.is_empty()).ok_or(Errno::PROTO)?;
        if take(bytes, found) {
            return Ok(());
        }
    }
}

/// A dump of the sockets of one family in that state: `struct inet_diag_req_v2` behind its header.
fn request(family: u8) -> Vec<u8> {
    /// NLM_F_REQUEST and NLM_F_DUMP.
    const FLAGS: u16 = 0x301;
    const TCP: u8 = 6;
    let mut body = vec![family, TCP, 0, 0];
    body.extend((1u32 << BOUND_INACTIVE).to_ne_bytes());
    // A socket identity of zeros: any.
    body.extend([0; 48]);
    let mut bytes = u32::try_from(HEADER + body.len()).unwrap_or(0).to_ne_bytes().to_vec();
    bytes.extend(BY_FAMILY.to_ne_bytes());
    bytes.extend(FLAGS.to_ne_bytes());
    bytes.extend([0; 8]);
    bytes.extend(body);
    bytes
}

/// Takes the sockets out of an answer; true where it was the last, or makes no sense.
fn take(mut bytes: &[u8], found: &mut Vec<Bound>) -> bool {
    while let Some(length) = word(bytes, 0).and_then(|length| usize::try_from(length).ok()) {
        let (Some(message), Some(kind)) = (bytes.get(..length), half(bytes, 4)) else {
            return true;
        };
        match (kind, message.get(HEADER..)) {
            (DONE | ERROR, _) | (_, None) => return true,
            (BY_FAMILY, Some(body)) => found.extend(bound(body)),
            _ => {}
        }
        bytes = bytes.get(length.saturating_add(3) & !3..).unwrap_or_default();
    }
    false
}

/// A socket from `struct inet_diag_msg`. A kernel that does not know the state may answer with others.
fn bound(body: &[u8]) -> Option<Bound> {
    let (family, state) = (*body.first()?, *body.get(1)?);
    let port = u16::from_be_bytes(body.get(4..6)?.try_into().ok()?);
    let ip: [u8; 16] = body.get(8..24)?.try_into().ok()?;
    let ip = match family {
        V4 => IpAddr::V4(Ipv4Addr::new(ip[0], ip[1], ip[2], ip[3])),
        V6 => IpAddr::V6(Ipv6Addr::from(ip)),
        _ => return None,
    };
    let (uid, inode) = (word(body, 64)?, word(body, 68)?.into());
    let local = SocketAddr::new(ip, port);
    (state == CLOSE).then_some(Bound { local, uid, inode })
}

fn half(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_ne_bytes(bytes.get(at..at + 2)?.try_into().ok()?))
}

fn word(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at + 4)?.try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// O4: messages are taken one after the other; states that were not asked for are left out.
    #[test]
    fn messages() {
        let message = |kind: u16, state: u8| {
            let mut body = vec![0; 72];
            (body[0], body[1], body[64], body[68]) = (V4, state, 7, 9);
            body[4..6].copy_from_slice(&9000u16.to_be_bytes());
            body[8..12].copy_from_slice(&[127, 0, 0, 1]);
            let mut bytes = 88u32.to_ne_bytes().to_vec();
            bytes.extend(kind.to_ne_bytes());
            bytes.extend([0; 10]);
            bytes.extend(body);
            bytes
        };
        let mut found = Vec::new();
        let all = [message(BY_FAMILY, 7), message(BY_FAMILY, 10), message(BY_FAMILY, 7)].concat();
        assert!(!take(&all, &mut found));
        let local = "127.0.0.1:9000".parse().unwrap();
        let (uid, inode) =
            (u32::from_ne_bytes([7, 0, 0, 0]), u32::from_ne_bytes([9, 0, 0, 0]).into());
        assert_eq!(found, [Bound { local, uid, inode }; 2]);
        assert!(take(&message(DONE, 0), &mut found));
    }

    proptest! {
        /// Q4: no answer makes it panic or go on for ever.
        #[test]
        fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..300), length in 0u8..120) {
            let mut found = Vec::new();
            let _ = take(&bytes, &mut found);
            let likely = [&[length, 0, 0, 0, 20, 0][..], &bytes].concat();
            let _ = take(&likely, &mut found);
            prop_assert!(found.len() <= 40);
        }
    }
}
