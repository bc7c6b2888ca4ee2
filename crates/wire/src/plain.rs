//! The plain form's reply (clauses P-P1 to P-P7): a length in ASCII digits, then `[status, "output"]`.

use std::fmt::Write;

use sockeye_limits as limits;

/// The shortest JSON of a reply: `[0,""]`.
const SHORTEST: usize = 6;

/// The most digits of a length; [`limits::PLAIN_REPLY_MAX`] has as many.
const DIGITS: usize = 8;

/// What a command came to, in the plain form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// Its exit status; 128 and the signal's number where it died by one.
    pub status: i32,
    /// What it wrote, stdout and stderr merged, as text.
    pub output: String,
}

/// A reply as it goes over the wire: two pieces, sent in two segments (clause P-P4).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Encoded {
    /// The length of `json` in decimal.
    pub digits: String,
    /// `[status, "output"]`. It is ASCII: everything else is escaped, so that characters and bytes
    /// are the same to every reader.
    pub json: String,
}

impl Reply {
    /// A reply of what a command wrote; bytes that are not UTF-8 become U+FFFD.
    pub fn new(status: i32, output: &[u8]) -> Reply {
        Reply { status, output: String::from_utf8_lossy(output).into_owned() }
    }

    /// The two pieces to send.
    ///
    /// # Errors
    ///
    /// [`PlainError::Length`] where the JSON is longer than [`limits::PLAIN_REPLY_MAX`].
    pub fn encode(&self) -> Result<Encoded, PlainError> {
        let mut json = String::with_capacity(self.output.len() + 16);
        // Writing to a String cannot fail.
        let _ = write!(json, "[{}, \"", self.status);
        for c in self.output.chars() {
            put_char(c, &mut json);
            if json.len() > limits::PLAIN_REPLY_MAX {
                return Err(PlainError::Length);
            }
        }
        json.push_str("\"]");
        if json.len() > limits::PLAIN_REPLY_MAX {
            return Err(PlainError::Length);
        }
        Ok(Encoded { digits: json.len().to_string(), json })
    }
}

/// One character of a JSON string in ASCII (RFC 8259, section 7).
fn put_char(c: char, json: &mut String) {
    match c {
        '"' => json.push_str("\\\""),
        '\\' => json.push_str("\\\\"),
        '\n' => json.push_str("\\n"),
        '\r' => json.push_str("\\r"),
        '\t' => json.push_str("\\t"),
        ' '..='~' => json.push(c),
        c => {
            for unit in c.encode_utf16(&mut [0; 2]) {
                let _ = write!(json, "\\u{unit:04x}");
            }
        }
    }
}

/// What came is not a reply in the plain form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlainError {
    /// It does not begin with a length in digits and a JSON array (clause P-P3).
    #[error(
        "the reply does not begin with its length and a JSON array. Check the port: it may be \
         another service's."
    )]
    Beginning,
    /// The JSON is shorter than any reply or longer than [`limits::PLAIN_REPLY_MAX`].
    #[error(
        "the reply's JSON would have less than {SHORTEST} or more than {} bytes. Let the command \
         write to a file.",
        limits::PLAIN_REPLY_MAX
    )]
    Length,
    /// The JSON is not `[status, "output"]`.
    #[error(
        "the reply is not the JSON array of a status and a text. Check that the server speaks the \
         plain form."
    )]
    Json,
    /// Bytes came behind the reply.
    #[error("the server sent more than one reply. Check that it speaks the plain form.")]
    Trailing,
    /// The stream ended before the reply did.
    #[error("the stream ended before the reply did: it is truncated. Try again.")]
    Truncated,
}

/// Takes one reply from a stream, however it is cut (clause P-P6).
#[derive(Debug, Default)]
pub struct ReplyDecoder {
    state: State,
}

#[derive(Debug)]
enum State {
    /// These digits came.
    Digits(String),
    /// So many bytes of JSON are to come, these came.
    Json(usize, Vec<u8>),
    /// The reply was handed on.
    Done,
    Broken(PlainError),
}

impl Default for State {
    fn default() -> State {
        State::Digits(String::new())
    }
}

impl ReplyDecoder {
    /// One that waits for a reply.
    pub fn new() -> ReplyDecoder {
        ReplyDecoder::default()
    }

    /// True where the stream may end: before the first byte of a reply, or after its last.
    pub fn is_idle(&self) -> bool {
        match &self.state {
            State::Digits(digits) => digits.is_empty(),
            State::Json(..) | State::Broken(_) => false,
            State::Done => true,
        }
    }

    /// The next bytes of the stream; the reply when it is whole. For another reply, another
    /// decoder.
    ///
    /// It holds no more than what came, and parses once, when all is there.
    ///
    /// # Errors
    ///
    /// What is wrong with the reply, now and from then on.
    pub fn feed(&mut self, bytes: &[u8]) -> Result<Option<Reply>, PlainError> {
        let fed = self.advance(bytes);
        if let Err(error) = &fed {
            self.state = State::Broken(*error);
        }
        fed
    }

    /// The stream ended.
    ///
    /// # Errors
    ///
    /// [`PlainError::Truncated`] where no whole reply came; what was wrong before.
    pub fn end(&self) -> Result<(), PlainError> {
        match &self.state {
            State::Done => Ok(()),
            State::Broken(error) => Err(*error),
            State::Digits(_) | State::Json(..) => Err(PlainError::Truncated),
        }
    }

    fn advance(&mut self, bytes: &[u8]) -> Result<Option<Reply>, PlainError> {
        let rest = match &mut self.state {
            State::Digits(digits) => {
                let rest = take_digits(digits, bytes)?;
                if rest.is_empty() {
                    return Ok(None);
                }
                self.state = State::Json(length(digits)?, Vec::new());
                rest
            }
            _ => bytes,
        };
        match &mut self.state {
            State::Json(length, json) => {
                let (more, behind) = rest.split_at(rest.len().min(*length - json.len()));
                json.extend_from_slice(more);
                if json.len() < *length {
                    return Ok(None);
                }
                let reply = parse(json)?;
                self.state = State::Done;
                if behind.is_empty() { Ok(Some(reply)) } else { Err(PlainError::Trailing) }
            }
            State::Broken(error) => Err(*error),
            _ if rest.is_empty() => Ok(None),
            _ => Err(PlainError::Trailing),
        }
    }
}

/// Takes digits; what is left begins with the JSON array, or is empty.
fn take_digits<'a>(digits: &mut String, bytes: &'a [u8]) -> Result<&'a [u8], PlainError> {
    for (index, byte) in bytes.iter().enumerate() {
        match byte {
            b'0'..=b'9' if digits == "0" => return Err(PlainError::Beginning),
            b'0'..=b'9' if digits.len() == DIGITS => return Err(PlainError::Length),
            b'0'..=b'9' => digits.push(char::from(*byte)),
            b'[' if !digits.is_empty() => return Ok(&bytes[index..]),
            _ => return Err(PlainError::Beginning),
        }
    }
    Ok(&[])
}

/// The length that the digits name.
fn length(digits: &str) -> Result<usize, PlainError> {
    let length = digits.parse().map_err(|_| PlainError::Length)?;
    if (SHORTEST..=limits::PLAIN_REPLY_MAX).contains(&length) {
        Ok(length)
    } else {
        Err(PlainError::Length)
    }
}

fn parse(json: &[u8]) -> Result<Reply, PlainError> {
    let (status, output) = serde_json::from_slice(json).map_err(|_| PlainError::Json)?;
    Ok(Reply { status, output })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn whole(bytes: &[u8]) -> Result<Option<Reply>, PlainError> {
        let mut decoder = ReplyDecoder::new();
        let reply = decoder.feed(bytes)?;
        if reply.is_none() {
            decoder.end()?;
        }
        Ok(reply)
    }

    /// X1, P-P3, P-P5: the digits count the JSON, which is ASCII; bad UTF-8 becomes U+FFFD.
    #[test]
    fn looks() -> Result<(), PlainError> {
        let encoded = Reply::new(0, b"a\"\\\n\x1b\xffz").encode()?;
        assert_eq!(encoded.json, r#"[0, "a\"\\\n\u001b\ufffdz"]"#);
        assert_eq!(encoded.digits, encoded.json.len().to_string());
        let clef = Reply { status: -1, output: "𝄞".to_owned() };
        assert_eq!(clef.encode()?.json, r#"[-1, "\ud834\udd1e"]"#);
        Ok(())
    }

    /// X1, P-P3, P-P7: nonsense is refused, each kind by its own error.
    #[test]
    fn nonsense() {
        let cases: [(&[u8], PlainError); 16] = [
            (b"", PlainError::Truncated),
            (b"12", PlainError::Truncated),
            (b"7[0, ", PlainError::Truncated),
            (b"007[0, \"\"]", PlainError::Beginning),
            (b"[0, \"\"]", PlainError::Beginning),
            (b"-7[0, \"\"]", PlainError::Beginning),
            (b"7 [0, \"\"]", PlainError::Beginning),
            (b"HTTP/1.1 400", PlainError::Beginning),
            (b"0[", PlainError::Length),
            (b"5[0,\"]", PlainError::Length),
            (b"67108865[", PlainError::Length),
            (b"123456789", PlainError::Length),
            (b"7[0, \"\"]x", PlainError::Trailing),
            (b"10[0, \"\", 1]", PlainError::Json),
            (b"9[\"0\", \"\"]", PlainError::Json),
            (b"12[2147483648]", PlainError::Json),
        ];
        for (bytes, error) in cases {
            assert_eq!(whole(bytes), Err(error), "{}", bytes.escape_ascii());
        }
        assert!(matches!(whole(b"67108864["), Err(PlainError::Truncated)));
    }

    /// X1, P-P7: after its end, and after an error, a decoder takes nothing more.
    #[test]
    fn once() {
        let mut decoder = ReplyDecoder::new();
        assert!(decoder.is_idle());
        assert!(matches!(decoder.feed(b"6[3,\"\"]"), Ok(Some(Reply { status: 3, .. }))));
        assert!(decoder.is_idle());
        assert_eq!(decoder.end(), Ok(()));
        assert_eq!(decoder.feed(b""), Ok(None));
        assert_eq!(decoder.feed(b"6"), Err(PlainError::Trailing));
        assert_eq!(decoder.feed(b""), Err(PlainError::Trailing));
    }

    /// X1, P-P5: a reply that is too long is refused by who makes it.
    #[test]
    fn too_long() -> Result<(), PlainError> {
        let fits = limits::PLAIN_REPLY_MAX - SHORTEST - 1;
        let mut reply = Reply { status: 0, output: "x".repeat(fits) };
        let encoded = reply.encode()?;
        assert_eq!(encoded.json.len(), limits::PLAIN_REPLY_MAX);
        assert_eq!(whole((encoded.digits + &encoded.json).as_bytes()), Ok(Some(reply.clone())));
        reply.output.push('x');
        assert_eq!(reply.encode(), Err(PlainError::Length));
        Ok(())
    }

    proptest! {
        /// X1, P-P6: glued and cut anywhere, what arrives is what was sent, and no part of it is.
        #[test]
        fn any_cut(
            status: i32,
            output in proptest::collection::vec(any::<u8>(), 0..300),
            cuts in proptest::collection::vec(0usize..400, 0..8),
        ) {
            let reply = Reply::new(status, &output);
            let encoded = reply.encode().map_err(|error| TestCaseError::fail(error.to_string()))?;
            let bytes = (encoded.digits + &encoded.json).into_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let mut decoder = ReplyDecoder::new();
            let mut got = None;
            for pair in cuts.windows(2) {
                prop_assert!(got.is_none() || pair[0] == pair[1]);
                let fed = decoder.feed(&bytes[pair[0]..pair[1]]);
                got = got.or(fed.map_err(|error| TestCaseError::fail(error.to_string()))?);
                prop_assert_eq!(got.is_some(), pair[1] == bytes.len());
                prop_assert_eq!(decoder.end().is_ok(), pair[1] == bytes.len());
            }
            prop_assert_eq!(got, Some(reply));
        }

        /// X1, Q4: random bytes never panic, and hold no more memory than came.
        #[test]
        fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..64), digits in "[0-9]{0,9}") {
            let _ = whole(&[digits.as_bytes(), b"[", &bytes].concat());
            let _ = whole(&bytes);
        }
    }
}
