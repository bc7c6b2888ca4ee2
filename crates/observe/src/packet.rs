//! Decodes a captured frame: link, network and transport, down to what a history takes.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use etherparse::{
    LaxIpSlice, LaxNetSlice, LaxSlicedPacket, TcpOptionElement, TcpSlice, TransportSlice,
    UdpHeader, ip_number,
};
use sockeye_limits as limits;

use crate::history::{Datagram, Flags, Options, Reason, Segment, Unreachable};

/// What a captured frame begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// Ethernet's header; Linux's loopback has it too, with zeros for addresses.
    Ethernet,
    /// The IP header itself, as on a TUN device.
    Ip,
}

/// A packet as it was captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// What it begins with.
    pub link: Link,
    /// Its beginning, at most [`sockeye_limits::TRACE_FRAME`] bytes.
    pub bytes: Vec<u8>,
    /// How long it was, in bytes.
    pub length: usize,
}

impl Frame {
    /// A bounded copy of `bytes`, which are the beginning of a frame of `length` bytes.
    pub fn new(link: Link, bytes: &[u8], length: usize) -> Frame {
        let kept = &bytes[..bytes.len().min(limits::TRACE_FRAME)];
        Frame { link, bytes: kept.to_vec(), length: length.max(bytes.len()) }
    }
}

/// What a frame carried.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Packet {
    /// A TCP segment.
    Segment(Segment),
    /// A UDP datagram.
    Datagram(Datagram),
    /// An ICMP error about a TCP or UDP packet.
    Unreachable(Unreachable),
}

/// Decodes the frame that begins with `bytes` and is `length` bytes long, seen at `time` since the
/// start of the trace. `None` for everything that is not TCP, UDP or an ICMP error about them, for
/// fragments, and for what is cut off before the end of its headers.
pub fn decode(time: Duration, link: Link, bytes: &[u8], length: usize) -> Option<Packet> {
    let length = length.max(bytes.len());
    let sliced = slice(link, bytes)?;
    let net = sliced.net.as_ref()?;
    let ip = Addresses::of(net)?;
    let transport = net.ip_payload_ref()?.payload;
    let room = transport_length(bytes, length, net, transport)?;
    let frame = || Frame::new(link, bytes, length);
    Some(match sliced.transport.as_ref()? {
        TransportSlice::Tcp(tcp) => {
            let length = room.checked_sub(tcp.header_len())?;
            let payload = bounded(tcp.payload(), length);
            Packet::Segment(segment(time, &ip, tcp, payload, length, frame()))
        }
        TransportSlice::Udp(udp) => {
            let length = room.checked_sub(UdpHeader::LEN)?;
            Packet::Datagram(Datagram {
                time,
                from: SocketAddr::new(ip.from, udp.source_port()),
                to: SocketAddr::new(ip.to, udp.destination_port()),
                payload: bounded(udp.payload(), length),
                length,
                frame: frame(),
            })
        }
        TransportSlice::Icmpv4(icmp) => {
            let reason = reason_v4(icmp.type_u8(), icmp.code_u8(), icmp.bytes5to8())?;
            unreachable(time, ip.from, reason, icmp.payload(), frame())?
        }
        TransportSlice::Icmpv6(icmp) => {
            let reason = reason_v6(icmp.type_u8(), icmp.code_u8(), icmp.bytes5to8())?;
            unreachable(time, ip.from, reason, icmp.payload(), frame())?
        }
        TransportSlice::Igmp(_) => return None,
    })
}

/// The layers of a frame, as far as they are whole.
pub(crate) fn slice(link: Link, bytes: &[u8]) -> Option<LaxSlicedPacket<'_>> {
    match link {
        Link::Ethernet => LaxSlicedPacket::from_ethernet(bytes).ok(),
        Link::Ip => LaxSlicedPacket::from_ip(bytes).ok(),
    }
}

/// What a history takes of an IP header.
struct Addresses {
    from: IpAddr,
    to: IpAddr,
    ident: Option<u16>,
}

impl Addresses {
    fn of(net: &LaxNetSlice<'_>) -> Option<Addresses> {
        match net {
            LaxNetSlice::Ipv4(v4) => Some(Addresses {
                from: v4.header().source_addr().into(),
                to: v4.header().destination_addr().into(),
                ident: Some(v4.header().identification()),
            }),
            LaxNetSlice::Ipv6(v6) => Some(Addresses {
                from: v6.header().source_addr().into(),
                to: v6.header().destination_addr().into(),
                ident: None,
            }),
            LaxNetSlice::Arp(_) => None,
        }
    }
}

/// How long header and payload of the transport are, by what the IP header says, where it says it:
/// a frame may be padded behind them, and may have been captured in part.
fn transport_length(
    bytes: &[u8],
    length: usize,
    net: &LaxNetSlice<'_>,
    transport: &[u8],
) -> Option<usize> {
    let (header, said) = match net {
        LaxNetSlice::Ipv4(v4) => {
            (v4.header().slice().as_ptr(), usize::from(v4.header().total_len()))
        }
        LaxNetSlice::Ipv6(v6) => {
            let header = v6.header();
            let said = match header.payload_length() {
                0 => 0,
                length => usize::from(length) + header.slice().len(),
            };
            (header.slice().as_ptr(), said)
        }
        LaxNetSlice::Arp(_) => return None,
    };
    let offset = |at: *const u8| (at as usize).checked_sub(bytes.as_ptr() as usize);
    let start = offset(header)?;
    // A packet that the kernel has yet to cut up may be too long for the field, which is then 0.
    let end = if said == 0 { length } else { start + said };
    end.checked_sub(offset(transport.as_ptr())?)
}

fn bounded(payload: &[u8], length: usize) -> Vec<u8> {
    payload[..payload.len().min(length).min(limits::TRACE_PAYLOAD)].to_vec()
}

fn segment(
    time: Duration,
    ip: &Addresses,
    tcp: &TcpSlice<'_>,
    payload: Vec<u8>,
    length: usize,
    frame: Frame,
) -> Segment {
    Segment {
        time,
        from: SocketAddr::new(ip.from, tcp.source_port()),
        to: SocketAddr::new(ip.to, tcp.destination_port()),
        // The eight bits stand in the header's fourteenth byte (RFC 9293, section 3.1).
        flags: Flags(tcp.header_slice()[13]),
        seq: tcp.sequence_number(),
        ack: tcp.acknowledgment_number(),
        window: tcp.window_size(),
        options: options(tcp),
        ident: ip.ident,
        payload,
        length,
        frame,
    }
}

/// The options up to the first that is malformed.
fn options(tcp: &TcpSlice<'_>) -> Options {
    let mut options = Options::default();
    for element in tcp.options_iterator().map_while(Result::ok) {
        match element {
            TcpOptionElement::Noop => {}
            TcpOptionElement::MaximumSegmentSize(mss) => options.mss = Some(mss),
            TcpOptionElement::WindowScale(scale) => options.window_scale = Some(scale),
            TcpOptionElement::SelectiveAcknowledgementPermitted => options.sack_permitted = true,
            TcpOptionElement::SelectiveAcknowledgement(first, more) => {
                options.sack = std::iter::once(first).chain(more.into_iter().flatten()).collect();
            }
            TcpOptionElement::Timestamp(value, echo) => options.timestamps = Some((value, echo)),
        }
    }
    options
}

/// RFC 792, with RFC 1191 for the size and RFC 1122 and 1812 for codes that came later.
fn reason_v4(kind: u8, code: u8, rest: [u8; 4]) -> Option<Reason> {
    Some(match (kind, code) {
        (3, 0 | 6 | 11) => Reason::Network,
        (3, 1 | 7 | 12) => Reason::Host,
        (3, 3) => Reason::Port,
        (3, 4) => Reason::TooBig(match u16::from_be_bytes([rest[2], rest[3]]) {
            0 => None,
            size => Some(size.into()),
        }),
        (3, 9 | 10 | 13) => Reason::Prohibited,
        (11, _) => Reason::TimeExceeded,
        (3 | 12, _) => Reason::Other(kind, code),
        _ => return None,
    })
}

/// RFC 4443, section 3.
fn reason_v6(kind: u8, code: u8, rest: [u8; 4]) -> Option<Reason> {
    Some(match (kind, code) {
        (1, 0) => Reason::Network,
        (1, 1 | 5 | 6) => Reason::Prohibited,
        (1, 3) => Reason::Host,
        (1, 4) => Reason::Port,
        (2, _) => Reason::TooBig(Some(u32::from_be_bytes(rest))),
        (3, _) => Reason::TimeExceeded,
        (1 | 4, _) => Reason::Other(kind, code),
        _ => return None,
    })
}

fn unreachable(
    time: Duration,
    from: IpAddr,
    reason: Reason,
    carried: &[u8],
    frame: Frame,
) -> Option<Packet> {
    let (about_from, about_to) = about(carried)?;
    Some(Packet::Unreachable(Unreachable { time, from, about_from, about_to, reason, frame }))
}

/// The ends of the packet that an ICMP error carries: of its transport only eight bytes are sure to
/// be there (RFC 792), and the ports are the first four.
fn about(carried: &[u8]) -> Option<(SocketAddr, SocketAddr)> {
    let (ip, _) = LaxIpSlice::from_slice(carried).ok()?;
    let net = LaxNetSlice::from(ip);
    let addresses = Addresses::of(&net)?;
    let payload = net.ip_payload_ref()?;
    if !matches!(payload.ip_number, ip_number::TCP | ip_number::UDP) || payload.fragmented {
        return None;
    }
    let ports = payload.payload.first_chunk::<4>()?;
    let from = u16::from_be_bytes([ports[0], ports[1]]);
    let to = u16::from_be_bytes([ports[2], ports[3]]);
    Some((SocketAddr::new(addresses.from, from), SocketAddr::new(addresses.to, to)))
}

#[cfg(test)]
mod tests;
