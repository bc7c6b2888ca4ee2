//! Frames of every kind, whole, cut off and damaged.

use etherparse::{PacketBuilder, TcpOptionElement as Opt};
use proptest::prelude::*;

use super::*;

const AT: Duration = Duration::from_millis(7);

fn syn_v4(payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2([0; 6], [0; 6])
        .ipv4([127, 0, 0, 1], [127, 0, 0, 2], 64)
        .tcp(51_000, 9000, 0xffff_fff0, 65_483)
        .syn()
        .ece()
        .options(&[
            Opt::MaximumSegmentSize(65_495),
            Opt::SelectiveAcknowledgementPermitted,
            Opt::Timestamp(11, 22),
            Opt::Noop,
            Opt::WindowScale(7),
        ])
        .unwrap();
    let mut bytes = Vec::new();
    builder.write(&mut bytes, payload).unwrap();
    bytes
}

fn data_v6(payload: &[u8]) -> Vec<u8> {
    let builder = PacketBuilder::ipv6([1; 16], [2; 16], 64)
        .tcp(51_000, 9000, 5, 100)
        .psh()
        .ack(77)
        .options(&[Opt::SelectiveAcknowledgement((10, 20), [Some((30, 40)), None, None])])
        .unwrap();
    let mut bytes = Vec::new();
    builder.write(&mut bytes, payload).unwrap();
    bytes
}

fn tcp(packet: Option<Packet>) -> Segment {
    match packet {
        Some(Packet::Segment(segment)) => segment,
        other => panic!("{other:?}"),
    }
}

/// O1: addresses, flags, numbers, options and payload of a segment over IPv4 and IPv6.
#[test]
fn segments() {
    let bytes = syn_v4(b"");
    let segment = tcp(decode(AT, Link::Ethernet, &bytes, bytes.len()));
    assert_eq!(segment.from, "127.0.0.1:51000".parse().unwrap());
    assert_eq!(segment.to, "127.0.0.2:9000".parse().unwrap());
    assert_eq!(segment.flags, Flags::SYN | Flags::ECE);
    assert_eq!((segment.seq, segment.window, segment.length), (0xffff_fff0, 65_483, 0));
    assert_eq!(segment.options.mss, Some(65_495));
    assert_eq!(segment.options.window_scale, Some(7));
    assert_eq!(segment.options.timestamps, Some((11, 22)));
    assert!(segment.options.sack_permitted && segment.ident.is_some());

    let bytes = data_v6(b"hello");
    let segment = tcp(decode(AT, Link::Ip, &bytes, bytes.len()));
    assert_eq!(segment.from, "[101:101:101:101:101:101:101:101]:51000".parse().unwrap());
    assert_eq!(segment.flags, Flags::PSH | Flags::ACK);
    assert_eq!((segment.seq, segment.ack, segment.length), (5, 77, 5));
    assert_eq!(segment.payload, b"hello");
    assert_eq!(segment.options.sack, [(10, 20), (30, 40)]);
    assert_eq!(segment.ident, None);
}

/// O1: padding behind a packet is no payload, a frame captured in part has its true length, and a
/// packet too long for IPv4's length field has the frame's.
#[test]
fn lengths() {
    let mut bytes = syn_v4(b"");
    let length = bytes.len() + 6;
    bytes.extend([0; 6]);
    assert_eq!(tcp(decode(AT, Link::Ethernet, &bytes, length)).length, 0);

    let whole = syn_v4(&[b'x'; 5000]);
    let segment = tcp(decode(AT, Link::Ethernet, &whole[..200], whole.len()));
    assert_eq!(segment.length, 5000);
    assert!(segment.payload.len() < 200 && segment.payload.iter().all(|&byte| byte == b'x'));
    assert_eq!(segment.frame.length, whole.len());
    let segment = tcp(decode(AT, Link::Ethernet, &whole, whole.len()));
    assert_eq!(segment.payload.len(), limits::TRACE_PAYLOAD);
    assert_eq!(segment.frame.bytes.len(), limits::TRACE_FRAME);

    let mut huge = syn_v4(&[b'x'; 5000]);
    huge[16..18].copy_from_slice(&[0, 0]);
    assert_eq!(tcp(decode(AT, Link::Ethernet, &huge[..1000], huge.len())).length, 5000);
}

/// O1, fault 27: datagrams, empty ones too, and ICMP errors about them.
#[test]
fn datagrams() {
    let mut bytes = Vec::new();
    PacketBuilder::ipv4([10, 0, 0, 1], [10, 0, 0, 2], 64).udp(5, 6).write(&mut bytes, b"").unwrap();
    let Some(Packet::Datagram(datagram)) = decode(AT, Link::Ip, &bytes, bytes.len()) else {
        panic!("no datagram");
    };
    assert_eq!((datagram.length, datagram.from.port(), datagram.to.port()), (0, 5, 6));

    let kinds = [(3, Reason::Port), (4, Reason::TooBig(Some(1280))), (13, Reason::Prohibited)];
    for (code, reason) in kinds {
        let mut icmp = Vec::new();
        let builder = PacketBuilder::ipv4([10, 0, 0, 9], [10, 0, 0, 1], 64);
        builder.icmpv4_raw(3, code, [0, 0, 5, 0]).write(&mut icmp, &bytes).unwrap();
        let Some(Packet::Unreachable(error)) = decode(AT, Link::Ip, &icmp, icmp.len()) else {
            panic!("no ICMP error");
        };
        assert_eq!(error.reason, reason);
        assert_eq!(error.from, IpAddr::from([10, 0, 0, 9]));
        assert_eq!((error.about_from, error.about_to), (datagram.from, datagram.to));
    }
    let mut echo = Vec::new();
    let builder = PacketBuilder::ipv4([10, 0, 0, 9], [10, 0, 0, 1], 64);
    builder.icmpv4_echo_request(1, 2).write(&mut echo, b"ping").unwrap();
    assert_eq!(decode(AT, Link::Ip, &echo, echo.len()), None);
}

proptest! {
    /// Q4: no frame makes the decoder panic, and it keeps no more than its limits.
    #[test]
    fn any_bytes(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..400),
        ether_type in proptest::sample::select(vec![0x0800u16, 0x86dd, 0x8100, 0x0806]),
        nibble in 0u8..16,
        protocol in proptest::sample::select(vec![1u8, 6, 17, 58]),
        ip in any::<bool>(),
        length in 0usize..70_000,
    ) {
        let link = if ip { Link::Ip } else { Link::Ethernet };
        let start = if ip { 0 } else { 14 };
        if bytes.len() > start + 20 {
            bytes[12..14].copy_from_slice(&ether_type.to_be_bytes());
            let version = if ether_type == 0x86dd { 0x60 } else { 0x40 };
            bytes[start] = version | nibble;
            bytes[start + if version == 0x60 { 6 } else { 9 }] = protocol;
        }
        check(decode(AT, link, &bytes, length));
    }

    /// Q4: a good packet cut anywhere, with bytes changed, is refused or decoded within its limits.
    #[test]
    fn damaged(cut in 0usize..200, at in 0usize..120, to in any::<u8>(), six in any::<bool>()) {
        let (link, mut bytes) =
            if six { (Link::Ip, data_v6(b"hello")) } else { (Link::Ethernet, syn_v4(b"hello")) };
        if let Some(byte) = bytes.get_mut(at) {
            *byte = to;
        }
        bytes.truncate(cut);
        check(decode(AT, link, &bytes, bytes.len()));
    }
}

fn check(packet: Option<Packet>) {
    if let Some(Packet::Segment(Segment { payload, length, frame, .. })) = packet {
        assert!(payload.len() <= length && payload.len() <= limits::TRACE_PAYLOAD);
        assert!(frame.bytes.len() <= limits::TRACE_FRAME);
    }
}
