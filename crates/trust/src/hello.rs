//! What the first bytes of a connection are, before any key of ours is touched.

use sockeye_limits as limits;
use sockeye_net::shown;

/// What a peer on a TLS port began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Look {
    /// The beginning of a ClientHello: read on.
    More,
    /// A whole first record with a ClientHello: the handshake can begin.
    Ready,
    /// Something else, by name: `"HTTP"`, `"SSH"`, `"an older TLS"`, `"plain text"`, `"binary"`.
    Stranger(&'static str),
}

/// A TLS record's type for handshake messages (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 22;
/// A TLS record's type for alerts.
const ALERT: u8 = 21;
/// What a TLS server tells a peer that does not speak TLS: the fatal alert unexpected_message
/// (RFC 8446, section 6.2).
pub const FAREWELL: [u8; 7] = [ALERT, 3, 3, 0, 2, 2, 10];
/// The handshake message ClientHello (RFC 8446, section 4).
const CLIENT_HELLO: u8 = 1;
/// The extension supported_versions (RFC 8446, section 4.2.1), and TLS 1.3 in it.
const SUPPORTED_VERSIONS: u16 = 43;
const TLS13: u16 = 0x0304;

/// What the first bytes of a connection are. Call it with all bytes so far until it no longer says
/// [`Look::More`]; [`limits::HELLO_BYTES`] are always enough.
pub fn look(first: &[u8]) -> Look {
    let Some((kind, rest)) = first.split_first() else { return Look::More };
    if *kind != HANDSHAKE {
        return stranger(first);
    }
    // The record's version is 3.1 or 3.3 from TLS 1.3 clients (RFC 8446, section 5.1).
    match rest {
        [] => return Look::More,
        [3, ..] => {}
        _ => return Look::Stranger("binary"),
    }
    let [_, minor, high, low, message @ ..] = rest else { return Look::More };
    let len = usize::from(u16::from_be_bytes([*high, *low]));
    if *minor > 4 || len < 4 || len + 5 > limits::HELLO_BYTES {
        return Look::Stranger("binary");
    }
    if message.first().is_some_and(|kind| *kind != CLIENT_HELLO) {
        return Look::Stranger("binary");
    }
    let Some(record) = message.get(..len) else { return Look::More };
    hello(record)
}

/// A whole first record.
fn hello(record: &[u8]) -> Look {
    match speaks_tls13(record) {
        Some(true) => Look::Ready,
        Some(false) => Look::Stranger("an older TLS"),
        // A hello of more than one record is legal, and judged by the TLS library.
        None if declared(record) > record.len() => Look::Ready,
        None => Look::Stranger("binary"),
    }
}

/// The length that the handshake message claims, its header included.
fn declared(record: &[u8]) -> usize {
    match record {
        [_, a, b, c, ..] => (usize::from(*a) << 16 | usize::from(*b) << 8 | usize::from(*c)) + 4,
        _ => 0,
    }
}

/// True if TLS 1.3 is among the versions; `None` if the message is broken.
fn speaks_tls13(record: &[u8]) -> Option<bool> {
    let mut at = Cut(record.get(4..declared(record))?);
    at.take(2 + 32)?;
    at.vector8()?;
    at.vector16()?;
    at.vector8()?;
    if at.0.is_empty() {
        return Some(false);
    }
    let mut extensions = Cut(at.vector16()?);
    while !extensions.0.is_empty() {
        let kind = extensions.number()?;
        let body = extensions.vector16()?;
        if kind == SUPPORTED_VERSIONS {
            let versions = Cut(body).vector8()?;
            return Some(versions.chunks_exact(2).any(|v| v == TLS13.to_be_bytes()));
        }
    }
    Some(false)
}

/// TLS's own encoding (RFC 8446, section 3.4).
struct Cut<'a>(&'a [u8]);

impl<'a> Cut<'a> {
    fn take(&mut self, len: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(len)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self) -> Option<u16> {
        Some(u16::from_be_bytes(self.take(2)?.try_into().ok()?))
    }

    fn vector8(&mut self) -> Option<&'a [u8]> {
        let len = self.take(1)?[0];
        self.take(usize::from(len))
    }

    fn vector16(&mut self) -> Option<&'a [u8]> {
        let len = self.number()?;
        self.take(usize::from(len))
    }
}

fn stranger(first: &[u8]) -> Look {
    Look::Stranger(name(first))
}

/// What bytes that are no TLS look like.
fn name(first: &[u8]) -> &'static str {
    const METHODS: [&[u8]; 8] =
        [b"GET ", b"POST ", b"HEAD ", b"PUT ", b"OPTIONS ", b"CONNECT ", b"DELETE ", b"PRI * "];
    // An SSLv2 hello that offers newer versions (RFC 5246, appendix E.2).
    if matches!(first, [0x80..=0xff, _, 1, 2 | 3, ..]) {
        return "an older TLS";
    }
    let begins = |word: &&[u8]| first.starts_with(word);
    if first.starts_with(b"HTTP/") || METHODS.iter().any(begins) || is_request_line(first) {
        return "HTTP";
    }
    if first.starts_with(b"SSH-") {
        return "SSH";
    }
    let printable = |byte: &u8| matches!(byte, b' '..=b'~' | b'\t' | b'\r' | b'\n' | 0x80..);
    let is_text = first.iter().all(printable) && starts_as_utf8(first);
    if is_text { "plain text" } else { "binary" }
}

/// Whether the first line ends in HTTP's version, whatever its method: a page can make up methods
/// (RFC 9112, section 3).
fn is_request_line(first: &[u8]) -> bool {
    let line = first.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let mut words = line.trim_ascii_end().rsplit(|byte| *byte == b' ');
    words.next().is_some_and(|last| last.starts_with(b"HTTP/")) && words.next().is_some()
}

/// True if the bytes are UTF-8, but for a character that was cut at the end.
fn starts_as_utf8(bytes: &[u8]) -> bool {
    match std::str::from_utf8(bytes) {
        Ok(_) => true,
        Err(error) => error.error_len().is_none(),
    }
}

/// True where a server's first bytes are a TLS alert: it did not understand a plain client.
pub fn is_alert(first: &[u8]) -> bool {
    matches!(first, [ALERT, 3, _, 0, 2, ..])
}

/// For the client: what a server that does not speak TLS said, escaped and short, as the end of a
/// sentence: `HTTP ("HTTP/1.1 400 Bad Request\x0d\n…")`.
pub fn describe(first: &[u8]) -> String {
    let kind = match first {
        [] => return "nothing".into(),
        [HANDSHAKE | ALERT, 3, ..] => "an older TLS",
        _ => name(first),
    };
    let cut = if first.len() > limits::GREETING_SHOWN { "…" } else { "" };
    format!("{kind} (\"{}{cut}\")", shown::bytes(&first[..first.len().min(limits::GREETING_SHOWN)]))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A ClientHello with these extensions, in one record.
    fn hello_with(extensions: &[u8]) -> Vec<u8> {
        let mut body = vec![3, 3];
        body.extend([7; 32]);
        body.extend([0, 0, 2, 0x13, 0x01, 1, 0]);
        body.extend((extensions.len() as u16).to_be_bytes());
        body.extend(extensions);
        let mut message = vec![CLIENT_HELLO, 0];
        message.extend((body.len() as u16).to_be_bytes());
        message.extend(body);
        let mut record = vec![HANDSHAKE, 3, 1];
        record.extend((message.len() as u16).to_be_bytes());
        record.extend(message);
        record
    }

    const TLS13_OFFERED: [u8; 9] = [0, 43, 0, 5, 4, 3, 3, 3, 4];

    /// T6, fault 49: a ClientHello is waited for until its record is whole, not longer.
    #[test]
    fn whole_or_not() {
        let hello = hello_with(&TLS13_OFFERED);
        for len in 0..hello.len() {
            assert_eq!(look(&hello[..len]), Look::More, "{len}");
        }
        assert_eq!(look(&hello), Look::Ready);
        let more = [&hello[..], b"early"].concat();
        assert_eq!(look(&more), Look::Ready);
    }

    /// Fault 48: what is not TLS 1.3 is named, at the first byte that tells.
    #[test]
    fn strangers() {
        for (first, name) in [
            (&b"GET / HTTP/1.1\r\n"[..], "HTTP"),
            (b"PRI * HTTP/2.0\r\n", "HTTP"),
            (b"patch / HTTP/1.1\r\nHost: a\r\n", "HTTP"),
            (b"M-SEARCH * HTTP/1.1", "HTTP"),
            (b"HTTPS/1.1\n", "plain text"),
            (b"echo HTTP/1.1 is old\n", "plain text"),
            (b"SSH-2.0-OpenSSH_9.9\r\n", "SSH"),
            (b"hello\n", "plain text"),
            ("grüße".as_bytes(), "plain text"),
            (b"\x00\x01\x02", "binary"),
            (b"\x16\x02", "binary"),
            (b"\x16\x03\x01\x00\x10\x02", "binary"),
            (b"\x16\x03\x01\xff\xff", "binary"),
            (b"\x16\x03\x01\x00\x00", "binary"),
            (b"\x80\x2e\x01\x03\x01", "an older TLS"),
        ] {
            assert_eq!(look(first), Look::Stranger(name), "{first:?}");
        }
        for older in [&hello_with(&[0, 43, 0, 3, 2, 3, 3])[..], &hello_with(&[0, 10, 0, 0])] {
            assert_eq!(look(older), Look::Stranger("an older TLS"));
        }
        assert_eq!(look(&hello_with(&[0, 43, 0, 9])), Look::Stranger("binary"));
    }

    /// Fault 48, fault 56: what a server said is named, cut short and escaped.
    #[test]
    fn described() {
        assert_eq!(describe(b"SSH-2.0-x\r\n"), "SSH (\"SSH-2.0-x\\x0d\\n\")");
        assert_eq!(describe(b""), "nothing");
        let long = describe(&[b'\x1b'; 64]);
        assert!(!long.contains('\x1b') && long.contains('…'), "{long}");
    }

    proptest! {
        /// T6, fault 46: any bytes get an answer, and the longest hello is never too long to wait.
        #[test]
        fn any_bytes(mut bytes in proptest::collection::vec(any::<u8>(), 0..200), tls: bool) {
            if tls && bytes.len() > 6 {
                bytes[..3].copy_from_slice(&[22, 3, 1]);
                bytes[5] = 1;
            }
            let _ = describe(&bytes);
            if look(&bytes) == Look::More {
                bytes.resize(limits::HELLO_BYTES, 0);
                prop_assert_ne!(look(&bytes), Look::More);
            }
        }
    }
}
