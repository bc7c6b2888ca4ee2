//! The hex view of a conversation: offset, bytes, text, direction and time.

use std::fmt::Write;
use std::time::Duration;

use crate::transcript::Direction;

/// Bytes that one line shows.
pub const BYTES_A_LINE: usize = 16;

/// The lines for one piece of a conversation: `offset` is the piece's first byte in its direction
/// and `since` the time from the start of the conversation.
///
/// ```
/// use std::time::Duration;
/// use sockeye_talk::{Direction, hex};
///
/// let lines = hex::lines(Direction::Sent, 0, b"hello\n", Duration::from_millis(12));
/// assert_eq!(
///     lines,
///     "00000000  68 65 6c 6c 6f 0a                                 |hello.|            >  0.012000\n"
/// );
/// ```
///
/// An empty piece, as a datagram may be, is one line without bytes.
pub fn lines(direction: Direction, offset: u64, piece: &[u8], since: Duration) -> String {
    let mut out = String::with_capacity((piece.len() / BYTES_A_LINE + 1) * 100);
    if piece.is_empty() {
        line(&mut out, direction, offset, piece, since);
    }
    for (row, bytes) in piece.chunks(BYTES_A_LINE).enumerate() {
        let offset = offset + (row * BYTES_A_LINE) as u64;
        line(&mut out, direction, offset, bytes, since);
    }
    out
}

fn line(out: &mut String, direction: Direction, offset: u64, bytes: &[u8], since: Duration) {
    // Writing to a String cannot fail.
    let _ = write!(out, "{offset:08x} ");
    for place in 0..BYTES_A_LINE {
        if place % 8 == 0 {
            out.push(' ');
        }
        match bytes.get(place) {
            Some(byte) => {
                let _ = write!(out, "{byte:02x} ");
            }
            None => out.push_str("   "),
        }
    }
    let text: String = bytes.iter().map(|&byte| shown(byte)).collect();
    let text = format!("|{text}|");
    let (seconds, micros) = (since.as_secs(), since.subsec_micros());
    let _ = writeln!(out, " {text:18}  {}  {seconds}.{micros:06}", direction.arrow());
}

/// ASCII that can be seen as itself, everything else as a full stop.
fn shown(byte: u8) -> char {
    if matches!(byte, b' '..=b'~') { byte as char } else { '.' }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// C3 `--hex`: a full line, a rest, an empty datagram; offsets go on.
    #[test]
    fn examples() {
        let bytes: Vec<u8> = (0x30..0x42).collect();
        let text = lines(Direction::Received, 0x10, &bytes, Duration::from_micros(1_000_007));
        let expected = "\
00000010  30 31 32 33 34 35 36 37  38 39 3a 3b 3c 3d 3e 3f  |0123456789:;<=>?|  <  1.000007
00000020  40 41                                             |@A|                <  1.000007
";
        assert_eq!(text, expected);
        let empty = lines(Direction::Sent, 0, b"", Duration::ZERO);
        let expected = format!("00000000  {:48}  {:18}  >  0.000000\n", "", "||");
        assert_eq!(empty, expected);
    }

    proptest! {
        /// C3 `--hex`, C5: the bytes can be read back, and nothing but plain ASCII is shown.
        #[test]
        fn complete(bytes in proptest::collection::vec(any::<u8>(), 0..100), offset in any::<u32>()) {
            let text = lines(Direction::Sent, offset.into(), &bytes, Duration::from_secs(3));
            let mut back = Vec::new();
            for line in text.lines() {
                let hex = &line[line.find("  ").unwrap()..line.find('|').unwrap()];
                back.extend(hex.split_whitespace().map(|two| u8::from_str_radix(two, 16).unwrap()));
            }
            prop_assert_eq!(back, bytes);
            prop_assert!(text.bytes().all(|byte| byte == b'\n' || matches!(byte, b' '..=b'~')));
        }
    }
}
