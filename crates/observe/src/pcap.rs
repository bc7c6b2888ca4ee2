//! Writes captured packets as pcapng, which Wireshark and tshark open: draft-ietf-opsawg-pcapng.
//!
//! Times are nanoseconds, and a packet may carry a comment, which Wireshark shows above it.

use std::io::{self, Write};

use sockeye_limits as limits;

use crate::capture::Captured;
use crate::packet::Link;

const SECTION: u32 = 0x0a0d_0d0a;
const BYTE_ORDER: u32 = 0x1a2b_3c4d;
const INTERFACE: u32 = 1;
const PACKET: u32 = 6;

const END: u16 = 0;
const COMMENT: u16 = 1;
const NAME: u16 = 2;
const FLAGS: u16 = 2;
const APPLICATION: u16 = 4;
const RESOLUTION: u16 = 9;

/// A file of packets that is being written.
#[derive(Debug)]
pub struct Pcap<W: Write> {
    out: W,
    /// The interfaces that were described, by number and link; their places are their names later.
    interfaces: Vec<(u32, Link)>,
}

impl<W: Write> Pcap<W> {
    /// Begins the file: the section header block.
    ///
    /// # Errors
    /// As the writer's.
    pub fn new(mut out: W, application: &str) -> io::Result<Pcap<W>> {
        let mut body = BYTE_ORDER.to_le_bytes().to_vec();
        body.extend([1, 0, 0, 0]);
        // The length of the section is not known before its end.
        body.extend([0xff; 8]);
        option(&mut body, APPLICATION, application.as_bytes());
        option(&mut body, END, &[]);
        block(&mut out, SECTION, &body)?;
        Ok(Pcap { out, interfaces: Vec::new() })
    }

    /// Adds a packet: an enhanced packet block, and before it the description of its interface where
    /// that is new. `name` is asked for the interface's name then.
    ///
    /// # Errors
    /// As the writer's.
    pub fn write(
        &mut self,
        packet: &Captured,
        comment: &str,
        name: impl FnOnce(u32) -> Option<String>,
    ) -> io::Result<()> {
        let interface = self.interface((packet.interface, packet.link), name)?;
        let time = u64::try_from(packet.at.as_nanos()).unwrap_or(u64::MAX);
        let kept = packet.bytes.len();
        let mut body = Vec::with_capacity(kept + comment.len() + 64);
        let length = packet.length.max(kept);
        for word in [interface, (time >> 32) as u32, time as u32, short(kept), short(length)] {
            body.extend(word.to_le_bytes());
        }
        body.extend(&packet.bytes);
        pad(&mut body);
        if !comment.is_empty() {
            option(&mut body, COMMENT, comment.as_bytes());
        }
        let direction: u32 = if packet.outgoing { 2 } else { 1 };
        option(&mut body, FLAGS, &direction.to_le_bytes());
        option(&mut body, END, &[]);
        block(&mut self.out, PACKET, &body)
    }

    /// Hands the rest to the system and gives the writer back.
    ///
    /// # Errors
    /// As the writer's.
    pub fn finish(mut self) -> io::Result<W> {
        self.out.flush()?;
        Ok(self.out)
    }

    /// The number that the interface has in this file.
    fn interface(
        &mut self,
        which: (u32, Link),
        name: impl FnOnce(u32) -> Option<String>,
    ) -> io::Result<u32> {
        if let Some(at) = self.interfaces.iter().position(|known| *known == which) {
            return Ok(short(at));
        }
        // LINKTYPE_ETHERNET and LINKTYPE_RAW.
        let link: u16 = match which.1 {
            Link::Ethernet => 1,
            Link::Ip => 101,
        };
        let mut body = link.to_le_bytes().to_vec();
        body.extend([0, 0]);
        body.extend(limits::CAPTURE_PACKET.to_le_bytes());
        if let Some(name) = name(which.0) {
            option(&mut body, NAME, name.as_bytes());
        }
        // Ten to the power of minus nine.
        option(&mut body, RESOLUTION, &[9]);
        option(&mut body, END, &[]);
        block(&mut self.out, INTERFACE, &body)?;
        self.interfaces.push(which);
        Ok(short(self.interfaces.len() - 1))
    }
}

/// A length or a place, which the limits keep far below this bound.
fn short(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}

/// A value longer than an option can be is cut, at a place where text stays text.
fn option(body: &mut Vec<u8>, code: u16, value: &[u8]) {
    let mut length = value.len().min(usize::from(u16::MAX));
    while length < value.len() && value[length] & 0xc0 == 0x80 {
        length -= 1;
    }
    body.extend(code.to_le_bytes());
    body.extend((length as u16).to_le_bytes());
    body.extend(&value[..length]);
    pad(body);
}

fn block(out: &mut impl Write, kind: u32, body: &[u8]) -> io::Result<()> {
    let length = short(body.len() + 12).to_le_bytes();
    out.write_all(&kind.to_le_bytes())?;
    out.write_all(&length)?;
    out.write_all(body)?;
    out.write_all(&length)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn packet(bytes: &[u8], link: Link) -> Captured {
        Captured {
            at: Duration::new(1_700_000_000, 123_456_789),
            interface: 1,
            link,
            outgoing: true,
            bytes: bytes.to_vec(),
            length: bytes.len() + 100,
        }
    }

    /// The blocks of a file: kinds and bodies, each with its length at both ends.
    fn blocks(mut file: &[u8]) -> Vec<(u32, Vec<u8>)> {
        let mut found = Vec::new();
        while !file.is_empty() {
            let word = |at: usize| u32::from_le_bytes(file[at..at + 4].try_into().unwrap());
            let length = word(4) as usize;
            assert_eq!(length % 4, 0);
            assert_eq!(word(length - 4) as usize, length);
            found.push((word(0), file[8..length - 4].to_vec()));
            file = &file[length..];
        }
        found
    }

    /// O2: sections, an interface for each link, packets with time, both lengths and comment.
    #[test]
    fn blocks_and_options() {
        let mut pcap = Pcap::new(Vec::new(), "sockeye").unwrap();
        pcap.write(&packet(b"abcde", Link::Ethernet), "three packets", |_| Some("lo".into()))
            .unwrap();
        pcap.write(&packet(b"x", Link::Ethernet), "", |_| None).unwrap();
        pcap.write(&packet(b"y", Link::Ip), "", |_| None).unwrap();
        let blocks = blocks(&pcap.finish().unwrap());
        let kinds: Vec<u32> = blocks.iter().map(|(kind, _)| *kind).collect();
        assert_eq!(kinds, [SECTION, INTERFACE, PACKET, PACKET, INTERFACE, PACKET]);
        let (_, first) = &blocks[2];
        let word = |at: usize| u32::from_le_bytes(first[at..at + 4].try_into().unwrap());
        let time = u64::from(word(4)) << 32 | u64::from(word(8));
        assert_eq!((word(0), time), (0, 1_700_000_000_123_456_789));
        assert_eq!((word(12), word(16)), (5, 105));
        assert_eq!(&first[20..28], b"abcde\0\0\0");
        assert!(first.windows(13).any(|w| w == b"three packets"));
        let (_, last) = &blocks[5];
        assert_eq!(last[0], 1, "the second interface");
        assert_eq!(blocks[4].1[0], 101);
    }

    /// Q4: a comment that no option can hold is cut between characters.
    #[test]
    fn long_comment() {
        let mut pcap = Pcap::new(Vec::new(), "sockeye").unwrap();
        pcap.write(&packet(b"x", Link::Ip), &"ü".repeat(40_000), |_| None).unwrap();
        let blocks = blocks(&pcap.finish().unwrap());
        let (_, body) = &blocks[2];
        let length = usize::from(u16::from_le_bytes([body[26], body[27]]));
        assert_eq!(length, 65_534);
        assert!(std::str::from_utf8(&body[28..28 + length]).is_ok());
    }
}
