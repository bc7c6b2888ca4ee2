//! For tests: the bodies of the fuzz targets, which panic where something is wrong.

use std::time::Duration;

use sockeye_limits as limits;
use sockeye_net::shown;

use crate::capture::Captured;
use crate::draw::{Source, Style, json, layers, page, picture};
use crate::history::{Event, History};
use crate::packet::{Frame, Link, Packet, decode};
use crate::pcap::Pcap;
use crate::sockets::message::{HEADER, attributes, messages, request};
use crate::sockets::{Protocol, inet, info, local};

#[cfg(test)]
mod tests;

/// What the kernel is taken to say lies within the bytes that came, in order and without overlap,
/// and a socket is the same whatever follows its message.
pub fn sock_diag(data: &[u8]) {
    let mut at = 0;
    for message in messages(data) {
        let (start, end) = place(data, message.body);
        assert!(start >= at + HEADER, "messages overlap");
        at = end;
        // What is understood can be said, and understood again.
        let again = request(message.kind, false, message.sequence, message.body);
        assert_eq!(messages(&again).collect::<Vec<_>>(), [message]);
        body(message.body);
    }
    at = 0;
    for (kind, value) in attributes(data) {
        let (start, end) = place(data, value);
        assert!(start >= at + 4 && kind < 0x4000, "attributes overlap");
        at = end;
    }
    body(data);
}

/// Where a part lies within the whole.
fn place(whole: &[u8], part: &[u8]) -> (usize, usize) {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    assert!(start + part.len() <= whole.len(), "outside of the buffer");
    (start, start + part.len())
}

fn body(body: &[u8]) {
    for protocol in Protocol::ALL {
        let Some(socket) = inet::socket(protocol, body) else { continue };
        assert_eq!(socket.protocol, protocol);
        assert!(matches!(body[0], 2 | 10) && socket.inode != Some(0));
        assert!(socket.peer.is_none_or(|peer| peer.port() != 0 || !peer.ip().is_unspecified()));
        // The beginning of a message is a socket without its attributes.
        let fixed = inet::socket(protocol, &body[..72]).expect("the fixed part is all it needs");
        assert_eq!(
            (fixed.local, fixed.peer, fixed.state),
            (socket.local, socket.peer, socket.state)
        );
        assert!(fixed.info.is_none() && fixed.drops.is_none());
    }
    if let Some(socket) = local::socket(body) {
        assert!(body[0] == 1 && socket.peer != Some(0));
        let name = socket.name.unwrap_or_default();
        assert!(name.len() <= body.len());
        assert!(name.first() == Some(&0) || !name.contains(&0), "a path with a NUL");
    }
    if let Some(info) = info::decode(body) {
        // More bytes are a newer kernel's, and change nothing that an older one says.
        let longer = info::decode(&[body, &[0; 8]].concat()).expect("more is no less");
        assert_eq!((longer.rtt, longer.retransmit_timeout), (info.rtt, info.retransmit_timeout));
    }
}

/// Whatever is captured, a history of it and its pictures are made, within their limits. The first
/// byte is the link; each frame follows the milliseconds since the last one and its length.
pub fn packets(data: &[u8]) {
    let Some((choice, mut rest)) = data.split_first() else { return };
    let link = if choice & 1 == 0 { Link::Ethernet } else { Link::Ip };
    let (mut time, mut history, mut pushed) = (Duration::ZERO, None, 0);
    while let [delay, length, after @ ..] = rest {
        let (frame, after) = after.split_at(after.len().min(usize::from(*length)));
        (rest, time) = (after, time + Duration::from_millis((*delay).into()));
        let longer = frame.len() + usize::from(choice >> 1);
        for line in layers::lines(&Frame::new(link, frame, longer)) {
            assert_eq!(shown::line(&line), line, "not escaped");
        }
        let Some(packet) = decode(time, link, frame, longer) else { continue };
        let (event, new) = understood(packet, frame, longer);
        let history = history.get_or_insert(new);
        pushed += u64::from(history.push(event).is_some());
        assert_eq!(history.count(), pushed, "a step for each event that tells something");
        assert!(history.steps().len() <= limits::TRACE_STEPS);
    }
    if let Some(history) = history {
        draw(&history);
    }
}

/// The event of a packet, and a history that it can begin.
fn understood(packet: Packet, frame: &[u8], length: usize) -> (Event, History) {
    let bounds = |payload: &[u8], said: usize| {
        assert!(payload.len() <= said.min(frame.len()).min(limits::TRACE_PAYLOAD));
        assert!(said <= length.max(1 << 16), "a payload of {said} in {length} bytes");
        assert!(frame.windows(payload.len().max(1)).any(|w| w == payload) || payload.is_empty());
    };
    match packet {
        Packet::Segment(one) => {
            bounds(&one.payload, one.length);
            let history = History::new(one.from, one.to);
            (Event::Segment(one), history)
        }
        Packet::Datagram(one) => {
            bounds(&one.payload, one.length);
            let history = History::datagrams(one.from, one.to);
            (Event::Datagram(one), history)
        }
        Packet::Unreachable(one) => {
            let history = History::new(one.about_from, one.about_to);
            (Event::Unreachable(one), history)
        }
    }
}

fn draw(history: &History) {
    let style = Style { ascii: false, colour: false, layers: true };
    for line in picture(history, style).lines() {
        assert!(!line.chars().any(shown::is_hazard), "{line:?}");
    }
    let page = page(history, Source { said: "captured", deduced: false });
    assert!(page.trim_end().ends_with("</html>") && !page.chars().any(shown::is_hazard));
    for step in history.steps() {
        assert!(!json::step(step).contains('\n'), "one line a step");
    }
}

/// A file of captured packets is blocks whose lengths stand at both ends, and holds what it was
/// given. The first byte cuts the rest into a packet and its comment.
pub fn pcapng(data: &[u8]) {
    let Some((cut, data)) = data.split_first() else { return };
    let (bytes, comment) = data.split_at(data.len().min(usize::from(*cut)));
    let comment = String::from_utf8_lossy(comment);
    let mut pcap = Pcap::new(Vec::new(), "sockeye").expect("memory takes all");
    for (n, link) in [Link::Ethernet, Link::Ip, Link::Ethernet].into_iter().enumerate() {
        let packet = Captured {
            at: Duration::from_secs(n as u64),
            interface: 1,
            link,
            outgoing: n == 0,
            bytes: bytes.to_vec(),
            length: bytes.len() + n,
        };
        pcap.write(&packet, &comment, |_| Some(comment.to_string())).expect("memory takes all");
    }
    let file = pcap.finish().expect("memory takes all");
    check_blocks(&file, bytes);
}

fn check_blocks(mut file: &[u8], packet: &[u8]) {
    let mut packets = 0;
    while !file.is_empty() {
        let word = |at: usize| {
            let word = file[at..].first_chunk().expect("a word");
            u32::from_le_bytes(*word) as usize
        };
        let length = word(4);
        assert!(length.is_multiple_of(4) && word(length - 4) == length, "both lengths agree");
        if word(0) == 6 {
            assert_eq!((word(20), &file[28..28 + packet.len()]), (packet.len(), packet));
            packets += 1;
        }
        file = &file[length..];
    }
    assert_eq!(packets, 3);
}
