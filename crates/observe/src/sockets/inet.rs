//! TCP and UDP in sock_diag(7): what is asked (`struct inet_diag_req_v2`) and what comes back
//! (`struct inet_diag_msg` and its attributes), of `linux/inet_diag.h`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::time::Duration;

use super::message::{attributes, word};
use super::{Protocol, Socket, State, Timer, TimerKind, info};

/// AF_INET.
const V4: u8 = 2;

/// AF_INET6.
const V6: u8 = 10;

/// The families that are asked for.
pub(crate) const FAMILIES: [u8; 2] = [V4, V6];

/// Attributes that are asked for: bit N-1 asks for attribute N.
const EXTENSIONS: u8 = 1 << (INFO - 1) | 1 << (MEMORY - 1);

/// INET_DIAG_INFO: `struct tcp_info`.
const INFO: u16 = 2;

/// INET_DIAG_SKMEMINFO: the SK_MEMINFO_… words.
const MEMORY: u16 = 7;

/// The length of `struct inet_diag_msg`.
const FIXED: usize = 72;

/// Asks for all sockets of a protocol and a family, in whatever state.
pub(crate) fn request(protocol: Protocol, family: u8) -> Vec<u8> {
    let mut bytes = vec![family, protocol.number(), EXTENSIONS, 0];
    bytes.extend(u32::MAX.to_ne_bytes());
    // A socket identity of zeros: any.
    bytes.extend([0; 48]);
    bytes
}

/// Asks for the one TCP socket with these ends; `None` where their families differ.
pub(crate) fn request_one(local: SocketAddr, peer: SocketAddr) -> Option<Vec<u8>> {
    let (family, ends) = match (local.ip().to_canonical(), peer.ip().to_canonical()) {
        (IpAddr::V4(local), IpAddr::V4(peer)) => (V4, [v4(local), v4(peer)]),
        (IpAddr::V6(local), IpAddr::V6(peer)) => (V6, [local.octets(), peer.octets()]),
        _ => return None,
    };
    let scope = |end: SocketAddr| match end {
        SocketAddr::V6(end) => end.scope_id(),
        SocketAddr::V4(_) => 0,
    };
    let mut bytes = vec![family, Protocol::Tcp.number(), EXTENSIONS, 0];
    bytes.extend(u32::MAX.to_ne_bytes());
    bytes.extend(local.port().to_be_bytes());
    bytes.extend(peer.port().to_be_bytes());
    bytes.extend(ends.concat());
    bytes.extend(scope(local).max(scope(peer)).to_ne_bytes());
    // INET_DIAG_NOCOOKIE: whichever socket it is.
    bytes.extend([0xff; 8]);
    Some(bytes)
}

/// An IPv4 address in the place of an IPv6 one.
fn v4(ip: Ipv4Addr) -> [u8; 16] {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&ip.octets());
    bytes
}

/// A socket from the body of an answer; `None` where it is none.
pub fn socket(protocol: Protocol, body: &[u8]) -> Option<Socket> {
    let fixed: &[u8; FIXED] = body.first_chunk()?;
    let [family, number, timer, retries] = *fixed.first_chunk()?;
    let state = State::from_number(protocol, number);
    let local = end(family, fixed, 4, 8)?;
    let peer = end(family, fixed, 6, 24)?;
    let mut socket = Socket {
        protocol,
        local,
        peer: (peer.port() != 0 || !peer.ip().is_unspecified()).then_some(peer),
        state,
        receive_queue: word(fixed, 56)?,
        send_queue: word(fixed, 60)?,
        uid: word(fixed, 64)?,
        inode: Some(word(fixed, 68)?.into()).filter(|inode| *inode != 0),
        timer: running(timer, word(fixed, 52)?, retries),
        drops: None,
        info: None,
    };
    for (kind, value) in attributes(&body[FIXED..]) {
        match kind {
            INFO if state != State::Listen => socket.info = info::decode(value),
            // SK_MEMINFO_DROPS is the ninth word.
            MEMORY => socket.drops = word(value, 32),
            _ => {}
        }
    }
    Some(socket)
}

fn running(number: u8, milliseconds: u32, retries: u8) -> Option<Timer> {
    let kind = match number {
        0 => return None,
        1 => TimerKind::Retransmit,
        2 => TimerKind::Keepalive,
        3 => TimerKind::TimeWait,
        4 => TimerKind::ZeroWindow,
        other => TimerKind::Other(other),
    };
    // A timer that is due already is told as a little less than nothing.
    let remaining = i32::from_ne_bytes(milliseconds.to_ne_bytes()).max(0).unsigned_abs();
    Some(Timer { kind, remaining: Duration::from_millis(remaining.into()), retries })
}

/// One end: its port and address, in the network's order, at these places.
fn end(family: u8, fixed: &[u8; FIXED], port: usize, address: usize) -> Option<SocketAddr> {
    let port = u16::from_be_bytes(fixed.get(port..port + 2)?.try_into().ok()?);
    let octets: [u8; 16] = fixed.get(address..address + 16)?.try_into().ok()?;
    match family {
        V4 => {
            let [a, b, c, d] = *octets.first_chunk()?;
            Some(SocketAddr::new(Ipv4Addr::new(a, b, c, d).into(), port))
        }
        V6 => {
            let ip = Ipv6Addr::from(octets);
            // An IPv4 peer of an IPv6 socket is shown as what it is.
            if let Some(ip) = ip.to_ipv4_mapped() {
                return Some(SocketAddr::new(ip.into(), port));
            }
            let scope = if ip.is_unicast_link_local() { word(fixed, 40)? } else { 0 };
            Some(SocketAddrV6::new(ip, port, 0, scope).into())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixed(family: u8, state: u8, timer: u8) -> Vec<u8> {
        let mut body = vec![family, state, timer, 2];
        body.extend(9000u16.to_be_bytes());
        body.extend(51234u16.to_be_bytes());
        body.extend(v4(Ipv4Addr::LOCALHOST));
        body.extend(v4(Ipv4Addr::new(127, 0, 0, 2)));
        body.extend([0; 12]);
        for number in [59_990u32, 3, 4, 1000, 0] {
            body.extend(number.to_ne_bytes());
        }
        body
    }

    /// O3: TIME-WAIT with what remains of it, and nobody's inode.
    #[test]
    fn time_wait() {
        let socket = socket(Protocol::Tcp, &fixed(V4, 6, 3)).unwrap();
        assert_eq!(socket.local, "127.0.0.1:9000".parse().unwrap());
        assert_eq!(socket.peer, Some("127.0.0.2:51234".parse().unwrap()));
        assert_eq!(socket.time_wait(), Some(Duration::from_millis(59_990)));
        assert_eq!((socket.inode, socket.uid, socket.drops), (None, 1000, None));
        assert_eq!((socket.receive_queue, socket.send_queue), (3, 4));
        assert_eq!(socket.timer.unwrap().retries, 2);
    }

    /// O3: drops are the ninth word of the memory attribute; a timer that is due has no time left.
    #[test]
    fn drops() {
        let mut body = fixed(V4, 7, 1);
        body[52..56].copy_from_slice(&(-4i32).to_ne_bytes());
        body.extend(40u16.to_ne_bytes());
        body.extend(MEMORY.to_ne_bytes());
        body.extend([0; 32]);
        body.extend(17u32.to_ne_bytes());
        let socket = socket(Protocol::Udp, &body).unwrap();
        assert_eq!((socket.state, socket.drops), (State::Bound, Some(17)));
        assert_eq!(socket.timer.unwrap().remaining, Duration::ZERO);
    }

    /// Q4: what is cut off or of another family is no socket.
    #[test]
    fn no_socket() {
        let body = fixed(V4, 1, 0);
        assert!(socket(Protocol::Tcp, &body).is_some());
        assert_eq!(socket(Protocol::Tcp, &body[..71]), None);
        assert_eq!(socket(Protocol::Tcp, &fixed(3, 1, 0)), None);
        let (v4, v6) = ("127.0.0.1:1".parse().unwrap(), "[::1]:1".parse().unwrap());
        assert_eq!(request_one(v4, v6), None);
        assert_eq!(request_one(v4, v4).unwrap().len(), 56);
        assert_eq!(request(Protocol::Tcp, V6).len(), 56);
    }
}
