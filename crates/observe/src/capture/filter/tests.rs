//! The programs, run by a small interpreter over packets as the kernel would have them.

use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;

/// What a program sees: the bytes from the network header on, and what the kernel knows beside.
struct Seen {
    bytes: Vec<u8>,
    protocol: u32,
    kind: u32,
    hardware: u32,
}

impl Seen {
    /// A load; `None` outside the packet, where the kernel rejects it.
    fn load(&self, at: u32, size: usize) -> Option<u32> {
        match at {
            EXTRA_PROTOCOL => return Some(self.protocol),
            EXTRA_KIND => return Some(self.kind),
            EXTRA_HARDWARE => return Some(self.hardware),
            _ => {}
        }
        let start = at.checked_sub(NET)? as usize;
        let bytes = self.bytes.get(start..start + size)?;
        Some(bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte)))
    }
}

/// As the kernel runs it; whether the packet passes.
fn passes(program: &[Instruction], seen: &Seen) -> bool {
    let (mut a, mut x, mut at) = (0_u32, 0_u32, 0_usize);
    loop {
        let Instruction { code, yes, no, value } = program[at];
        at += 1;
        let size = match code & 0x18 {
            0x00 => 4,
            0x08 => 2,
            _ => 1,
        };
        match code {
            LOAD_WORD | LOAD_HALF | LOAD_BYTE | LOAD_HALF_AT | LOAD_BYTE_AT => {
                let base = if matches!(code, LOAD_HALF_AT | LOAD_BYTE_AT) { x } else { 0 };
                match seen.load(value.wrapping_add(base), size) {
                    Some(loaded) => a = loaded,
                    None => return false,
                }
            }
            AND => a &= value,
            SHIFT_LEFT => a <<= value,
            ADD_X => a = a.wrapping_add(x),
            TO_X => x = a,
            IF_EQUAL => at += usize::from(if a == value { yes } else { no }),
            IF_ANY_BIT => at += usize::from(if a & value != 0 { yes } else { no }),
            0x05 => at += value as usize,
            RETURN => return value != 0,
            other => panic!("an instruction that is never made: {other:#x}"),
        }
    }
}

fn ports(from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    [from.port().to_be_bytes(), to.port().to_be_bytes()].concat()
}

/// An IP header with `words` of options (IPv4 only) before the ports.
fn packet(number: u8, from: SocketAddr, to: SocketAddr, words: u8) -> Seen {
    let (mut bytes, protocol) = match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(target)) => {
            let mut head = vec![0; 20 + 4 * usize::from(words)];
            head[0] = 0x45 + words;
            head[9] = number;
            head[12..16].copy_from_slice(&source.octets());
            head[16..20].copy_from_slice(&target.octets());
            (head, 0x0800)
        }
        (IpAddr::V6(source), IpAddr::V6(target)) => {
            let mut head = vec![0; 40];
            head[0] = 0x60;
            head[6] = number;
            head[8..24].copy_from_slice(&source.octets());
            head[24..40].copy_from_slice(&target.octets());
            (head, 0x86dd)
        }
        mixed => panic!("one version at a time: {mixed:?}"),
    };
    bytes.extend(ports(from, to));
    bytes.extend([0; 16]);
    Seen { bytes, protocol, kind: 0, hardware: 1 }
}

/// An ICMP error about `inner`.
fn error_about(inner: &Seen, kind: u8) -> Seen {
    let v4 = inner.protocol == 0x0800;
    let router: SocketAddr = if v4 { "192.0.2.1:0" } else { "[2001:db8::1]:0" }.parse().unwrap();
    let mut outer = packet(if v4 { 1 } else { 58 }, router, router, 0);
    outer.bytes.truncate(if v4 { 20 } else { 40 });
    outer.bytes.extend([kind, 0, 0, 0, 0, 0, 0, 0]);
    outer.bytes.extend(&inner.bytes);
    outer
}

fn ends(v6: bool) -> (SocketAddr, SocketAddr) {
    match v6 {
        false => ("10.1.2.3:40000".parse().unwrap(), "10.9.8.7:9000".parse().unwrap()),
        true => ("[2001:db8::3]:40000".parse().unwrap(), "[2001:db8::7]:9000".parse().unwrap()),
    }
}

/// O1: a connection's own packets pass, both ways, on both versions of IP, with and without options;
/// others that differ in one place do not.
#[test]
fn one_connection() {
    for (v6, protocol, number) in [
        (false, Protocol::Tcp, 6),
        (true, Protocol::Tcp, 6),
        (false, Protocol::Udp, 17),
        (true, Protocol::Udp, 17),
    ] {
        let (client, server) = ends(v6);
        let program = Watch::Connection(protocol, client, server).program();
        for words in 0..=if v6 { 0 } else { 10 } {
            assert!(passes(&program, &packet(number, client, server, words)));
            assert!(passes(&program, &packet(number, server, client, words)));
        }
        let mut other_ip = client;
        other_ip.set_ip(if v6 { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() });
        let mut other_port = client;
        other_port.set_port(40001);
        for other in [other_ip, other_port] {
            assert!(!passes(&program, &packet(number, other, server, 0)), "{other}");
            assert!(!passes(&program, &packet(number, server, other, 0)), "{other}");
            let wide = Watch::Server(protocol, server).program();
            assert!(passes(&wide, &packet(number, other, server, 0)), "{other}");
            let port = Watch::Port(protocol, 9000).program();
            assert!(passes(&port, &packet(number, server, other, 0)), "{other}");
        }
        assert!(!passes(&program, &packet(23 - number, client, server, 0)), "another protocol");
    }
}

/// O1: on loopback one of the two sights of each packet passes.
#[test]
fn loopback_once() {
    let (client, server) = ends(false);
    let program = Watch::Port(Protocol::Tcp, 9000).program();
    let mut seen = packet(6, client, server, 0);
    seen.hardware = LOOPBACK;
    assert!(!passes(&program, &seen));
    seen.kind = OUTGOING;
    assert!(passes(&program, &seen));
}

/// O1, fault 31: ICMP errors about the connection pass, about others they do not.
#[test]
fn errors_about_it() {
    for v6 in [false, true] {
        let (client, server) = ends(v6);
        let program = Watch::Server(Protocol::Tcp, server).program();
        let sent = packet(6, client, server, 0);
        let kinds: &[u8] = if v6 { &[1, 2, 3] } else { &[3, 11] };
        for kind in kinds {
            assert!(passes(&program, &error_about(&sent, *kind)), "{kind}");
        }
        assert!(!passes(&program, &error_about(&sent, 128)), "an echo request");
        let mut other = server;
        other.set_port(9001);
        assert!(!passes(&program, &error_about(&packet(6, client, other, 0), kinds[0])));
        assert!(!passes(&program, &error_about(&packet(17, client, server, 0), kinds[0])));
    }
}

/// A later fragment has no ports where the first has them.
#[test]
fn fragments() {
    let (client, server) = ends(false);
    let program = Watch::Port(Protocol::Udp, 9000).program();
    let mut seen = packet(17, client, server, 0);
    seen.bytes[6..8].copy_from_slice(&0x2000_u16.to_be_bytes());
    assert!(passes(&program, &seen), "the first fragment");
    seen.bytes[6..8].copy_from_slice(&0x00b9_u16.to_be_bytes());
    assert!(!passes(&program, &seen));
}

proptest! {
    /// Q4: a program ends on any bytes, and its jumps stay within it.
    #[test]
    fn any_bytes(
        bytes in proptest::collection::vec(any::<u8>(), 0..120),
        v6: bool,
        protocol in prop_oneof![Just(0x0800_u32), Just(0x86dd), any::<u32>()],
    ) {
        let (client, server) = ends(v6);
        let program = Watch::Connection(Protocol::Tcp, client, server).program();
        prop_assert!(program.len() < 200, "{}", program.len());
        passes(&program, &Seen { bytes, protocol, kind: OUTGOING, hardware: LOOPBACK });
    }
}
