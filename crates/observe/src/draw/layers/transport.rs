//! The fields of TCP's and UDP's headers.

use super::{Flags, Layer, Reader, hex2, long, short};

pub(super) fn tcp(header: &[u8], offset: usize) -> Layer {
    let mut reader = Reader::new(header, offset);
    reader.field("Source Port", short);
    reader.field("Destination Port", short);
    reader.field("Sequence Number", long);
    reader.field("Acknowledgment Number", long);
    reader.field("Data Offset", |[byte]| format!("{} bytes", usize::from(byte >> 4) * 4));
    reader.field("Control Bits", |[byte]| Flags(byte).to_string());
    reader.field("Window", short);
    reader.field("Checksum", hex2);
    reader.field("Urgent Pointer", short);
    while let Some(&kind) = reader.bytes.first() {
        option(&mut reader, kind);
    }
    reader.layer("transport: TCP (RFC 9293)")
}

/// One option: a kind, and for most a length that counts both (RFC 9293, section 3.2).
fn option(reader: &mut Reader<'_>, kind: u8) {
    let length = match kind {
        0 => reader.bytes.len(),
        1 => 1,
        _ => reader.bytes.get(1).map_or(1, |&length| usize::from(length).max(2)),
    };
    let body: Vec<u8> = reader.bytes.iter().take(length).skip(2).copied().collect();
    let (name, value) = match (kind, &body[..]) {
        (0, _) => ("Option: End of List", String::new()),
        (1, _) => ("Option: No-Operation", String::new()),
        (2, &[high, low]) => ("Option: Max Segment", short([high, low]) + " bytes"),
        (3, &[shift]) => ("Option: Window Scale", format!("shift by {shift}")),
        (4, []) => ("Option: SACK Permitted", String::new()),
        (5, blocks) => ("Option: SACK", sack(blocks)),
        (8, &[a, b, c, d, e, f, g, h]) => (
            "Option: Timestamps",
            format!("TSval {}, TSecr {}", long([a, b, c, d]), long([e, f, g, h])),
        ),
        _ => ("Option", format!("kind {kind}")),
    };
    reader.rest(name, length, value);
}

fn sack(blocks: &[u8]) -> String {
    let edges = blocks.chunks_exact(4).map(|edge| long([edge[0], edge[1], edge[2], edge[3]]));
    let edges: Vec<String> = edges.collect();
    edges.chunks(2).map(|pair| pair.join("-")).collect::<Vec<_>>().join(", ")
}

pub(super) fn udp(header: &[u8], offset: usize) -> Layer {
    let mut reader = Reader::new(header, offset);
    reader.field("Source Port", short);
    reader.field("Destination Port", short);
    reader.field("Length", short);
    reader.field("Checksum", hex2);
    reader.layer("transport: UDP (RFC 768)")
}
