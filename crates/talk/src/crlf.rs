//! Newlines as network protocols write them: a lone `\n` becomes `\r\n` (`--crlf`).

/// Converts a stream that comes in pieces: a `\r` that ends one piece belongs to the `\n` that
/// begins the next.
#[derive(Debug, Default)]
pub struct Crlf {
    after_cr: bool,
}

impl Crlf {
    /// The next piece, converted.
    pub fn push(&mut self, piece: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(piece.len() + piece.len() / 16 + 1);
        for &byte in piece {
            if byte == b'\n' && !self.after_cr {
                out.push(b'\r');
            }
            out.push(byte);
            self.after_cr = byte == b'\r';
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// C3 `--crlf`: lone newlines only, and a carriage return on the other side of a border counts.
    #[test]
    fn examples() {
        let mut crlf = Crlf::default();
        assert_eq!(crlf.push(b"a\nb\r\n\n\r"), b"a\r\nb\r\n\r\n\r");
        assert_eq!(crlf.push(b"\n\n"), b"\n\r\n");
        assert_eq!(crlf.push(b""), b"");
    }

    proptest! {
        /// C3 `--crlf`: however the input is cut the result is the same, holds no lone newline, and
        /// converting it again changes nothing.
        #[test]
        fn any_cut(input in "[ab\r\n]{0,60}", cut in 0usize..60) {
            let cut = cut.min(input.len());
            let whole = Crlf::default().push(input.as_bytes());
            let mut crlf = Crlf::default();
            let mut parts = crlf.push(&input.as_bytes()[..cut]);
            parts.extend(crlf.push(&input.as_bytes()[cut..]));
            prop_assert_eq!(&parts, &whole);
            prop_assert_eq!(&Crlf::default().push(&whole), &whole);
            let unix = String::from_utf8(whole).unwrap().replace("\r\n", "");
            prop_assert!(!unix.contains('\n'));
        }
    }
}
