//! The committed corpora of these targets.

#[path = "../../../../fuzz/corpora.rs"]
mod corpora;

use corpora::Target;

use crate::sockets::message::{DONE, ERROR, request};

/// A message's fixed part: family, state, timer, then bytes that tell their place.
fn fixed(family: u8, state: u8, timer: u8) -> Vec<u8> {
    [family, state, timer, 1].into_iter().chain(4..72).collect()
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = 4 + value.len() as u16;
    let mut bytes = [&length.to_ne_bytes()[..], &kind.to_ne_bytes(), value].concat();
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    bytes
}

/// An IPv4 header and what follows it, from one end (`out`) or the other.
fn ip(protocol: u8, out: bool, payload: &[u8]) -> Vec<u8> {
    let (from, to) = if out { (1, 2) } else { (2, 1) };
    let length = (20 + payload.len() as u16).to_be_bytes();
    let head = [&[0x45, 0][..], &length, &[0, 7, 0, 0, 64, protocol, 0, 0]].concat();
    [&head[..], &[127, 0, 0, from, 127, 0, 0, to], payload].concat()
}

/// A TCP header with options and a payload.
fn tcp(out: bool, numbers: [u32; 2], flags: u8, options: &[u8], payload: &[u8]) -> Vec<u8> {
    let ports: [u16; 2] = if out { [51_000, 9000] } else { [9000, 51_000] };
    let numbers = [numbers[0].to_be_bytes(), numbers[1].to_be_bytes()].concat();
    let length = (20 + options.len() as u8) / 4 * 16;
    let head = [&ports.map(u16::to_be_bytes).concat()[..], &numbers, &[length, flags]].concat();
    ip(6, out, &[&head[..], &[2, 0, 0, 0, 0, 0], options, payload].concat())
}

/// Frames as [`super::packets`] takes them, a millisecond apart.
fn frames(choice: u8, frames: &[Vec<u8>]) -> Vec<u8> {
    let mut out = vec![choice];
    for frame in frames {
        out.extend([1, frame.len() as u8]);
        out.extend(frame);
    }
    out
}

fn packet_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let syn = tcp(true, [9, 0], 2, &[2, 4, 255, 215, 4, 2, 1, 1, 3, 3, 7, 0], b"");
    let both = [syn.clone(), tcp(false, [99, 10], 0x12, &[2, 4, 1, 0], b"")];
    let data = tcp(true, [10, 100], 0x18, &[], b"hello\x1b[1m");
    let fin = |out: bool, numbers| tcp(out, numbers, 0x11, &[], b"");
    let ends = [fin(true, [19, 100]), fin(false, [100, 20]), tcp(true, [20, 101], 16, &[], b"")];
    let whole = [&both[..], std::slice::from_ref(&data), &ends].concat();
    let udp = ip(17, true, &[200, 1, 0, 53, 0, 12, 0, 0, b'a', b'b', b'c', b'd']);
    let error = |about: &[u8]| ip(1, false, &[&[3, 3, 0, 0, 0, 0, 0, 0][..], about].concat());
    let ethernet = [&[0; 12][..], &[8, 0], &syn].concat();
    let v6 = [&[0x60, 0, 0, 0, 0, 20, 6, 64][..], &[1; 32], &syn[20..40]].concat();
    vec![
        ("whole", frames(1, &whole)),
        ("backward", frames(1, &whole.iter().rev().cloned().collect::<Vec<_>>())),
        ("twice", frames(1, &[&whole[..], &whole].concat())),
        ("again", frames(1, &[&both[..], &[data.clone(), data.clone(), data.clone()]].concat())),
        ("refused", frames(1, &[syn.clone(), tcp(false, [0, 10], 0x14, &[], b"")])),
        ("longer", frames(201, std::slice::from_ref(&data))),
        ("ethernet", frames(0, &[ethernet])),
        ("v6", frames(1, &[v6])),
        ("udp", frames(1, &[udp.clone(), error(&udp)])),
        ("error", frames(1, &[error(&syn), error(&syn[..24]), syn.clone()])),
        ("options", frames(1, &[tcp(true, [1, 0], 2, &[2, 0, 5, 200], b"")])),
        ("length", frames(1, &[[&[0x45, 0, 0, 21][..], &syn[4..]].concat()])),
        ("cut", frames(1, &[syn[..33].to_vec()])),
    ]
}

fn pcap_seeds() -> Vec<(&'static str, Vec<u8>)> {
    vec![
        ("plain", b"\x05abcdethree packets".to_vec()),
        ("no-comment", b"\x04abcd".to_vec()),
        ("no-packet", b"\0text".to_vec()),
        ("nothing", vec![]),
        ("broken-text", b"\x01x\xff\x1b".to_vec()),
        ("long", [&[3][..], &[0xc3, 0xbc].repeat(300)].concat()),
    ]
}

fn targets() -> Vec<Target> {
    use super::{packets, pcapng, sock_diag};
    vec![
        Target { name: "sock_diag", body: sock_diag, seeds: diag_seeds() },
        Target { name: "packets", body: packets, seeds: packet_seeds() },
        Target { name: "pcapng", body: pcapng, seeds: pcap_seeds() },
    ]
}

fn diag_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let numbers: Vec<u8> = (0..=239).collect();
    let tcp = [fixed(2, 1, 1), attribute(2, &numbers), attribute(7, &numbers[..36])].concat();
    let local = |name: &[u8]| {
        [&[1, 1, 10, 0, 9, 0, 0, 0][..], &[0; 8], &attribute(0, name), &attribute(4, &[3; 8])]
            .concat()
    };
    let said = |body: &[u8]| request(20, true, 7, body);
    vec![
        ("tcp", said(&tcp)),
        (
            "tcp-two",
            [said(&tcp), said(&fixed(10, 6, 3)), request(DONE, false, 7, &[0; 4])].concat(),
        ),
        ("listen", said(&[fixed(2, 10, 0), attribute(2, &numbers)].concat())),
        ("old-info", said(&[fixed(2, 1, 0), attribute(2, &numbers[..104])].concat())),
        ("body", tcp.clone()),
        ("info", numbers.clone()),
        ("path", said(&local(b"/tmp/s\0"))),
        ("abstract", said(&local(b"\0name\0x"))),
        ("no-name", said(&local(b""))),
        ("error", request(ERROR, false, 7, &[0xfe, 0xff, 0xff, 0xff])),
        ("attribute-long", said(&[fixed(2, 1, 0), vec![200, 0, 2, 0, 1]].concat())),
        ("attribute-short", said(&[fixed(2, 1, 0), vec![3, 0, 2, 0, 1, 1, 1, 1]].concat())),
        ("cut", said(&tcp)[..70].to_vec()),
    ]
}

/// Q4, O1, O2, O3: every committed input of the targets passes.
#[test]
fn replay() {
    corpora::replay(&targets());
}

/// Writes the seeds.
#[test]
#[ignore = "writes to the tree; for whoever changes a format"]
fn write_corpora() {
    corpora::write(&targets());
}
