//! A packet opened: link, network, transport and application, field by field, with its bytes.
//!
//! Fields are called as their standards call them: IEEE 802.3, RFC 791 (IPv4), RFC 8200 (IPv6),
//! RFC 9293 (TCP), RFC 768 (UDP).

use std::net::{Ipv4Addr, Ipv6Addr};

use etherparse::{LaxNetSlice, TransportSlice};
use sockeye_limits as limits;

use super::{text, words};
use crate::history::Flags;
use crate::packet::{self, Frame, Link};

mod transport;

/// A layer of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layer {
    /// Which: `network: IPv4 (RFC 791)`.
    pub name: &'static str,
    /// What stands in it, in order.
    pub fields: Vec<Field>,
}

/// A field of a layer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name in the standard.
    pub name: &'static str,
    /// What it says.
    pub value: String,
    /// Where it begins in the frame, in bytes.
    pub offset: usize,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Reads fields one after the other.
struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
    fields: Vec<Field>,
}

impl<'a> Reader<'a> {
    fn new(header: &'a [u8], offset: usize) -> Reader<'a> {
        Reader { bytes: header, offset, fields: Vec::new() }
    }

    /// The next field of `N` bytes, as `value` puts it; nothing where they are not there.
    fn field<const N: usize>(&mut self, name: &'static str, value: impl FnOnce([u8; N]) -> String) {
        if let Some((&taken, rest)) = self.bytes.split_first_chunk::<N>() {
            let (offset, bytes) = (self.offset, taken.to_vec());
            self.fields.push(Field { name, value: value(taken), offset, bytes });
            self.bytes = rest;
            self.offset += N;
        }
    }

    /// A field of so many bytes, as far as they are there.
    fn rest(&mut self, name: &'static str, length: usize, value: String) {
        let (bytes, rest) = self.bytes.split_at(length.min(self.bytes.len()));
        if !bytes.is_empty() {
            let (offset, bytes) = (self.offset, bytes.to_vec());
            self.offset += bytes.len();
            self.fields.push(Field { name, value, offset, bytes });
            self.bytes = rest;
        }
    }

    fn layer(self, name: &'static str) -> Layer {
        Layer { name, fields: self.fields }
    }
}

fn short(bytes: [u8; 2]) -> String {
    u16::from_be_bytes(bytes).to_string()
}

fn long(bytes: [u8; 4]) -> String {
    u32::from_be_bytes(bytes).to_string()
}

fn hex2(bytes: [u8; 2]) -> String {
    format!("0x{:04x}", u16::from_be_bytes(bytes))
}

/// The layers of a frame, as far as it was captured.
pub fn layers(frame: &Frame) -> Vec<Layer> {
    let bytes = &frame.bytes[..];
    let Some(sliced) = packet::slice(frame.link, bytes) else { return Vec::new() };
    let offset = |part: &[u8]| (part.as_ptr() as usize).saturating_sub(bytes.as_ptr() as usize);
    let mut layers = Vec::new();
    if frame.link == Link::Ethernet {
        layers.push(ethernet(bytes));
    }
    match &sliced.net {
        Some(LaxNetSlice::Ipv4(v4)) => {
            let header = v4.header();
            layers.push(ipv4(header.slice(), offset(header.slice())));
        }
        Some(LaxNetSlice::Ipv6(v6)) => {
            let header = v6.header();
            layers.push(ipv6(header.slice(), offset(header.slice())));
        }
        _ => return layers,
    }
    let payload = match &sliced.transport {
        Some(TransportSlice::Tcp(tcp)) => {
            let header = tcp.header_slice();
            layers.push(transport::tcp(header, offset(header)));
            tcp.payload()
        }
        Some(TransportSlice::Udp(udp)) => {
            layers.push(transport::udp(udp.header_slice(), offset(udp.header_slice())));
            udp.payload()
        }
        _ => return layers,
    };
    if !payload.is_empty() {
        let mut reader = Reader::new(payload, offset(payload));
        let said = words::payload(payload, payload.len(), limits::TRACE_PAYLOAD);
        reader.rest("Data", payload.len(), said);
        layers.push(reader.layer("application: bytes of the conversation"));
    }
    layers
}

fn ethernet(header: &[u8]) -> Layer {
    let mac = |bytes: [u8; 6]| bytes.map(|byte| format!("{byte:02x}")).join(":");
    let mut reader = Reader::new(header, 0);
    reader.field("Destination", mac);
    reader.field("Source", mac);
    reader.field("EtherType", |kind| {
        let name = match kind {
            [0x08, 0x00] => " IPv4",
            [0x86, 0xdd] => " IPv6",
            [0x81, 0x00] => " VLAN",
            _ => "",
        };
        hex2(kind) + name
    });
    reader.layer("link: Ethernet II (IEEE 802.3); on loopback all zeros")
}

fn protocol(number: u8) -> String {
    let name = match number {
        1 => " ICMP",
        6 => " TCP",
        17 => " UDP",
        58 => " ICMPv6",
        _ => "",
    };
    format!("{number}{name}")
}

fn ipv4(header: &[u8], offset: usize) -> Layer {
    let mut reader = Reader::new(header, offset);
    reader.field("Version, IHL", |[byte]| {
        format!("{}, {} bytes", byte >> 4, usize::from(byte & 15) * 4)
    });
    reader.field("DSCP, ECN", |[byte]| format!("{}, {}", byte >> 2, byte & 3));
    reader.field("Total Length", short);
    reader.field("Identification", hex2);
    reader.field("Flags, Fragment Offset", |bytes| {
        let value = u16::from_be_bytes(bytes);
        let flags = match value >> 13 {
            0b010 => "DF (don't fragment)",
            0b001 => "MF (more fragments)",
            0 => "none",
            _ => "odd",
        };
        format!("{flags}, {}", (value & 0x1fff) * 8)
    });
    reader.field("Time to Live", |[byte]| byte.to_string());
    reader.field("Protocol", |[byte]| protocol(byte));
    reader.field("Header Checksum", hex2);
    reader.field("Source Address", |bytes: [u8; 4]| Ipv4Addr::from(bytes).to_string());
    reader.field("Destination Address", |bytes: [u8; 4]| Ipv4Addr::from(bytes).to_string());
    reader.rest("Options", header.len(), String::new());
    reader.layer("network: IPv4 (RFC 791)")
}

fn ipv6(header: &[u8], offset: usize) -> Layer {
    let mut reader = Reader::new(header, offset);
    reader.field("Version, Class, Flow", |bytes| {
        let value = u32::from_be_bytes(bytes);
        format!("{}, {}, 0x{:05x}", value >> 28, (value >> 20) & 0xff, value & 0xf_ffff)
    });
    reader.field("Payload Length", short);
    reader.field("Next Header", |[byte]| protocol(byte));
    reader.field("Hop Limit", |[byte]| byte.to_string());
    reader.field("Source Address", |bytes: [u8; 16]| Ipv6Addr::from(bytes).to_string());
    reader.field("Destination Address", |bytes: [u8; 16]| Ipv6Addr::from(bytes).to_string());
    reader.layer("network: IPv6 (RFC 8200)")
}

/// Bytes that one line shows.
const ROW: usize = 8;
/// Columns of a field's name.
const NAME: usize = 22;
/// Columns before a field's value.
const BEFORE: usize = 2 + 4 + 2 + ROW * 3 + 1 + NAME + 1;

/// The layers as lines: offset, bytes in hexadecimal, name and value.
pub fn lines(frame: &Frame) -> Vec<String> {
    let mut lines = Vec::new();
    for layer in layers(frame) {
        lines.push(format!("  {}", layer.name));
        for field in &layer.fields {
            lines.extend(field_lines(field));
        }
    }
    let captured = frame.bytes.len();
    if captured < frame.length {
        lines.push(format!("  the first {captured} of {} bytes are kept", frame.length));
    }
    lines
}

fn field_lines(field: &Field) -> Vec<String> {
    let values = text::wrap(&field.value, limits::TRACE_WIDTH - BEFORE);
    let rows = field.bytes.len().div_ceil(ROW).max(values.len());
    let mut lines = Vec::with_capacity(rows);
    for row in 0..rows {
        let bytes = field.bytes.chunks(ROW).nth(row).unwrap_or_default();
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x} ")).collect();
        let offset = field.offset + row * ROW;
        let offset = if bytes.is_empty() { String::new() } else { format!("{offset:04x}") };
        let name = if row == 0 { field.name } else { "" };
        let value = values.get(row).map_or("", String::as_str);
        let line = format!("  {offset:4}  {hex:24} {name:NAME$} {value}");
        lines.push(line.trim_end().to_owned());
    }
    lines
}
