//! PROTOCOL.md says what the code does: its example and its table of kinds.

use sockeye_limits as limits;

use super::*;
use crate::files::{FromReceiver, FromSender, Speech};
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

/// The rows of kinds that these sides send.
fn kinds_of(sides: [&str; 2]) -> impl Iterator<Item = &'static str> {
    let rows = DOCUMENT.lines().filter(|line| line.starts_with("  | 0x"));
    rows.filter(move |line| sides.iter().any(|side| line.contains(side)))
}

/// P-F3: the table of kinds, their senders and their bounds.
#[test]
fn the_kinds() {
    let rows = kinds_of(["| client |", "| server |"]);
    let expected = Kind::ALL.into_iter().map(|kind| {
        let (least, most) = kind.bounds();
        format!("  | 0x{:02x} | {kind} | {} | {least} | {most} |", kind as u8, kind.sender())
    });
    assert!(rows.eq(expected));
}

/// P-X3: the table of a transfer's kinds, their sides and their bounds.
#[test]
fn the_kinds_of_a_transfer() {
    fn row<M: Speech>(kind: u8) -> Option<String> {
        let (least, most) = M::bounds(kind)?;
        Some(format!("| {} | {least} | {most} |", M::ROLE))
    }
    let rows: Vec<_> = kinds_of(["| sender |", "| receiver |"]).collect();
    let kinds = (0..=255).filter_map(|kind| {
        let row = row::<FromSender>(kind).or_else(|| row::<FromReceiver>(kind))?;
        Some((format!("  | 0x{kind:02x} | "), row))
    });
    let kinds: Vec<_> = kinds.collect();
    assert_eq!(rows.len(), kinds.len());
    for (line, (kind, row)) in rows.into_iter().zip(kinds) {
        assert!(line.starts_with(&kind) && line.ends_with(&row), "{line}: {kind}… {row}");
    }
}

/// P-L6, P-X2, P-X11, P-X12, P-X17, P-X18: the limits of a transfer that the document gives.
#[test]
fn the_limits_of_a_transfer() {
    let words = DOCUMENT.split_whitespace().collect::<Vec<_>>().join(" ");
    let number = |number: usize| {
        let digits = number.to_string();
        let (front, back) = digits.split_at(digits.len() - 3);
        format!("{front},{back}")
    };
    let said = [
        format!("how many there are, 1 to {} |", number(limits::TRANSFER_SOURCES)),
        format!("how many there are (1 to {})", limits::TRANSFER_STREAMS),
        format!("a count (at most {}), and for each", number(limits::TRANSFER_FILTERS)),
        format!("most {} files are listed", number(limits::FILES_AHEAD)),
        format!("at most {}. A Mark", number(limits::FILE_SEGMENTS as usize)),
        format!("at most {} above it", number(limits::TREE_DEPTH)),
        format!("at most {} chunks", number(limits::BASIS_ALL)),
        format!("whole within {} s", limits::TRANSFER_FRAME_TIME.as_secs()),
        format!("come to at least {} KiB", limits::TRANSFER_LEAST >> 10),
        format!("up to {} MiB of a sender's words", limits::SENDER_AHEAD >> 20),
        format!("and {} MiB of a receiver's", limits::RECEIVER_AHEAD >> 20),
        format!("either way for {} h", limits::TRANSFER_SILENCE.as_secs() / 3600),
        format!("A Hole is at most {} MiB", limits::HOLE_BYTES >> 20),
    ];
    for text in said {
        assert!(words.contains(&text), "{text}");
    }
}

/// P-F9: the list of signals.
#[test]
fn the_signals() {
    let list = crate::Signal::all().map(|signal| format!("{} {signal}", signal.code()));
    let list = list.collect::<Vec<_>>().join(", ");
    let words = DOCUMENT.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(&format!("{list}.")), "{list}");
}

/// P-T1 to P-P7, P-X1 to P-X20: every clause that a comment of this crate names is in the document.
#[test]
fn the_clauses() {
    let sources = [
        include_str!("bounds.rs"),
        include_str!("credit.rs"),
        include_str!("ends.rs"),
        include_str!("files_bounds.rs"),
        include_str!("files_end.rs"),
        include_str!("files_exchange.rs"),
        include_str!("files_exchange/enough.rs"),
        include_str!("files_frames.rs"),
        include_str!("files_request.rs"),
        include_str!("order.rs"),
        include_str!("round_trip.rs"),
        include_str!("strangers.rs"),
        include_str!("../codec.rs"),
        include_str!("../error.rs"),
        include_str!("../files/codec.rs"),
        include_str!("../files/exchange.rs"),
        include_str!("../files/frames.rs"),
        include_str!("../files/message.rs"),
        include_str!("../files/mod.rs"),
        include_str!("../files/request.rs"),
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
