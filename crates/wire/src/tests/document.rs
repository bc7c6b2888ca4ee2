//! PROTOCOL.md says what the code does: its example and its table of kinds.

use super::*;
use crate::pair::Heard;

const DOCUMENT: &str = include_str!("../../../../PROTOCOL.md");

/// The bytes of the example that go in this direction.
fn example(direction: char) -> Vec<u8> {
    let lines = DOCUMENT.lines().filter_map(|line| line.strip_prefix(direction));
    let words = lines.filter_map(|line| line.split_once('#')).flat_map(|(hex, _)| hex.split(' '));
    let words = words.filter(|word| !word.is_empty());
    words.map(|word| u8::from_str_radix(word, 16).unwrap()).collect()
}

/// X2, P-F1, P-F2, P-F5, P-F13: both sides write the example's bytes, and read them.
#[test]
fn the_example() {
    let program = Program::Arguments(vec![b"echo".to_vec(), b"hi".to_vec()]);
    let mut pair = Pair::new(5);
    let mut out = Vec::new();
    pair.client.hello("sockeye/0.1.0", &mut out).unwrap();
    pair.client.run(&Run::new(program), &mut out).unwrap();
    assert_eq!(out, example('>'));
    pair.upward.put(&out);
    pair.settle().unwrap();

    out.clear();
    pair.server.hello("sockeye/0.1.0", &mut out).unwrap();
    pair.server.started(4242, &mut out).unwrap();
    out.extend(pair.server.stdout_header(3).unwrap());
    out.extend(b"hi\n");
    let end = Ended { duration_us: 600, ..ended(3, 0) };
    pair.server.ended(end, &mut out).unwrap();
    assert_eq!(out, example('<'));
    pair.downward.put(&out);
    pair.settle().unwrap();
    assert_eq!(pair.client_heard.last(), Some(&Heard::Ended(end)));
    assert_eq!((pair.client.end(), pair.server.end()), (Ok(()), Ok(())));
}

/// P-F3: the table of kinds, their senders and their bounds.
#[test]
fn the_kinds() {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("  | 0x"));
    let expected = Kind::ALL.into_iter().map(|kind| {
        let (least, most) = kind.bounds();
        format!("  | 0x{:02x} | {kind} | {} | {least} | {most} |", kind as u8, kind.sender())
    });
    assert!(rows.eq(expected));
}

/// P-F9: the list of signals.
#[test]
fn the_signals() {
    let list = crate::Signal::all().map(|signal| format!("{} {signal}", signal.code()));
    let list = list.collect::<Vec<_>>().join(", ");
    let words = DOCUMENT.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(&format!("{list}.")), "{list}");
}

/// P-T1 to P-P7: every clause that a comment of this crate names is in the document.
#[test]
fn the_clauses() {
    let sources = [
        include_str!("bounds.rs"),
        include_str!("credit.rs"),
        include_str!("ends.rs"),
        include_str!("order.rs"),
        include_str!("round_trip.rs"),
        include_str!("strangers.rs"),
        include_str!("../codec.rs"),
        include_str!("../error.rs"),
        include_str!("../message.rs"),
        include_str!("../plain.rs"),
        include_str!("../server.rs"),
    ];
    let text = sources.concat();
    for (at, _) in text.match_indices("P-") {
        let clause = text[at..].chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-');
        let name: String = clause.collect();
        assert!(DOCUMENT.contains(&format!("**{name}**")), "{name} is not in PROTOCOL.md");
    }
}
