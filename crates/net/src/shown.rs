//! Text of foreign origin made safe to show: control, bidirectional and invalid bytes escaped.
//!
//! What a peer sends, a file is called or another program is named can hold bytes that drive a
//! terminal (ESC, OSC, C1) or that reorder what a reader sees (Unicode's bidirectional controls).
//! Everything that goes to a terminal or a log from outside passes through here.

use std::fmt::Write;

/// True for a character that would drive a terminal or disguise text: C0 but tab and newline, DEL,
/// C1, and Unicode's bidirectional and line-separating controls.
pub fn is_hazard(c: char) -> bool {
    matches!(c,
        '\0'..='\x08' | '\x0b'..='\x1f' | '\x7f'..='\u{9f}'
        | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        | '\u{2028}' | '\u{2029}' | '\u{61c}' | '\u{feff}')
}

fn escape_into(out: &mut String, c: char) {
    let code = c as u32;
    // Writing to a String cannot fail.
    let _ = if code < 0x80 { write!(out, "\\x{code:02x}") } else { write!(out, "\\u{{{code:x}}}") };
}

/// One line of text for a person: newlines and tabs are escaped as well.
pub fn line(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            c if is_hazard(c) => escape_into(&mut out, c),
            c => out.push(c),
        }
    }
    out
}

/// One line of text for a person, from bytes that may not be UTF-8 (those become `\xff`).
pub fn bytes(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(&line(chunk.valid()));
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// A JSON text with the same meaning that cannot drive a terminal. JSON's own rules let DEL, C1 and
/// Unicode's controls stand in strings as they are (RFC 8259, section 7), and nowhere else.
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_hazard(c) {
            // All of them are in the first plane: one unit of UTF-16.
            let _ = write!(out, "\\u{:04x}", c as u32);
        } else {
            out.push(c);
        }
    }
    out
}

/// Escapes a stream that arrives in pieces: a character cut in two by a read is still one.
///
/// Tabs and newlines pass, and so does a carriage return before a newline; everything that
/// [`is_hazard`] names is shown escaped.
#[derive(Debug, Default)]
pub struct StreamEscaper {
    /// The beginning of a UTF-8 character, or a carriage return, that the last piece ended with.
    held: Vec<u8>,
}

impl StreamEscaper {
    /// The text to show for the next piece.
    pub fn push(&mut self, piece: &[u8]) -> String {
        let mut input = std::mem::take(&mut self.held);
        input.extend_from_slice(piece);
        let keep = held_back(&input);
        self.held = input.split_off(input.len() - keep);
        escape(&input)
    }

    /// The text to show for what was held back, at the end of the stream.
    pub fn finish(&mut self) -> String {
        escape(&std::mem::take(&mut self.held))
    }
}

fn escape(input: &[u8]) -> String {
    let mut out = String::with_capacity(input.len());
    for chunk in input.utf8_chunks() {
        let mut chars = chunk.valid().chars().peekable();
        while let Some(c) = chars.next() {
            match c {
                '\r' if chars.peek() == Some(&'\n') => {}
                c if is_hazard(c) => escape_into(&mut out, c),
                c => out.push(c),
            }
        }
        for byte in chunk.invalid() {
            let _ = write!(out, "\\x{byte:02x}");
        }
    }
    out
}

/// How many bytes at the end wait for their other half.
fn held_back(input: &[u8]) -> usize {
    if input.last() == Some(&b'\r') {
        return 1;
    }
    for back in 1..=input.len().min(3) {
        let byte = input[input.len() - back];
        let len = match byte {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            0x80..=0xbf => continue,
            _ => return 0,
        };
        return if back < len { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// C5, fault 56: escape sequences, C1, bidi and bare carriage returns are shown, not obeyed.
    #[test]
    fn hazards() {
        let mut stream = StreamEscaper::default();
        let shown = stream.push("a\x1b[31m\x07\u{9b}2J\u{202e}\r\r\nb\t".as_bytes());
        assert_eq!(shown, "a\\x1b[31m\\x07\\u{9b}2J\\u{202e}\\x0d\nb\t");
        assert_eq!(bytes(b"x\xff\n"), "x\\xff\\n");
    }

    /// C5, fault 56: JSON keeps its meaning and loses what drives a terminal.
    #[test]
    fn json_text() {
        assert_eq!(
            json("{\"a\":\"x\u{9b}\u{7f}\u{202e}é\"}\n"),
            "{\"a\":\"x\\u009b\\u007f\\u202eé\"}\n"
        );
    }

    /// C5: a character that two reads cut is whole again.
    #[test]
    fn cut_characters() {
        let mut stream = StreamEscaper::default();
        assert_eq!(stream.push(b"\xe2"), "");
        assert_eq!(stream.push(b"\x82\xac\xe2"), "€");
        assert_eq!(stream.finish(), "\\xe2");
    }

    proptest! {
        /// C5: however the stream is cut, the text is the same and holds no hazard.
        #[test]
        fn any_cut(input in proptest::collection::vec(any::<u8>(), 0..200), cut in 0usize..200) {
            let cut = cut.min(input.len());
            let mut whole = StreamEscaper::default();
            let expected = whole.push(&input) + &whole.finish();
            let mut parts = StreamEscaper::default();
            let got = parts.push(&input[..cut]) + &parts.push(&input[cut..]) + &parts.finish();
            prop_assert_eq!(&got, &expected);
            prop_assert!(!got.chars().any(is_hazard));
        }
    }
}
