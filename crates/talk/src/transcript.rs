//! What passes over the line, as it is shown and recorded.

use std::fmt;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use sockeye_net::shown::StreamEscaper;

use crate::error::Error;
use crate::hex;
use crate::record::Recorder;

/// Which way bytes went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Direction {
    /// From us to the peer.
    #[serde(rename = ">")]
    Sent,
    /// From the peer to us.
    #[serde(rename = "<")]
    Received,
}

impl Direction {
    /// `>` for sent, `<` for received.
    pub fn arrow(self) -> char {
        match self {
            Direction::Sent => '>',
            Direction::Received => '<',
        }
    }
}

/// How a conversation is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Show {
    /// Received bytes, unchanged.
    AsIs,
    /// Received bytes with everything escaped that could drive a terminal.
    Escaped,
    /// Both directions in hexadecimal.
    Hex,
}

/// Turns what passes into what is shown, and records it.
pub struct Transcript {
    show: Show,
    escaper: StreamEscaper,
    recorder: Option<Recorder>,
    start: Instant,
    sent: u64,
    received: u64,
}

impl fmt::Debug for Transcript {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transcript").field("show", &self.show).finish_non_exhaustive()
    }
}

impl Transcript {
    /// A transcript that begins now and is not recorded.
    pub fn new(show: Show) -> Transcript {
        Transcript {
            show,
            escaper: StreamEscaper::default(),
            recorder: None,
            start: Instant::now(),
            sent: 0,
            received: 0,
        }
    }

    /// The same, recorded.
    #[must_use]
    pub fn recorded(self, recorder: Recorder) -> Transcript {
        Transcript { recorder: Some(recorder), ..self }
    }

    /// Bytes of a stream passed: what is to be shown of them.
    ///
    /// # Errors
    /// [`Error::Record`].
    pub fn bytes(&mut self, direction: Direction, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let at = self.record(direction, Some(bytes))?;
        let passed = match direction {
            Direction::Sent => &mut self.sent,
            Direction::Received => &mut self.received,
        };
        let offset = *passed;
        *passed += bytes.len() as u64;
        Ok(self.shown(direction, offset, bytes, at))
    }

    /// A datagram passed: what is to be shown of it.
    ///
    /// # Errors
    /// [`Error::Record`].
    pub fn datagram(&mut self, direction: Direction, bytes: &[u8]) -> Result<Vec<u8>, Error> {
        let at = self.record(direction, Some(bytes))?;
        let mut shown = self.shown(direction, 0, bytes, at);
        // The next datagram does not complete a character of this one.
        shown.extend(self.escaper.finish().into_bytes());
        Ok(shown)
    }

    /// A direction ended: what is still to be shown.
    ///
    /// # Errors
    /// [`Error::Record`].
    pub fn end(&mut self, direction: Direction) -> Result<Vec<u8>, Error> {
        self.record(direction, None)?;
        match direction {
            Direction::Sent => Ok(Vec::new()),
            Direction::Received => Ok(self.escaper.finish().into_bytes()),
        }
    }

    /// The next connection of the same run: offsets begin anew, the clock goes on.
    pub fn next_connection(&mut self) {
        (self.sent, self.received) = (0, 0);
    }

    /// True where what is shown is lines of our own, not the peer's bytes.
    pub fn is_hex(&self) -> bool {
        self.show == Show::Hex
    }

    fn record(&mut self, direction: Direction, data: Option<&[u8]>) -> Result<Duration, Error> {
        let at = self.start.elapsed();
        if let Some(recorder) = &mut self.recorder {
            recorder.event(at, direction, data)?;
        }
        Ok(at)
    }

    fn shown(&mut self, direction: Direction, offset: u64, bytes: &[u8], at: Duration) -> Vec<u8> {
        match (self.show, direction) {
            (Show::Hex, _) => hex::lines(direction, offset, bytes, at).into_bytes(),
            (_, Direction::Sent) => Vec::new(),
            (Show::AsIs, Direction::Received) => bytes.to_vec(),
            (Show::Escaped, Direction::Received) => self.escaper.push(bytes).into_bytes(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record;
    use crate::testing::Shared;

    /// C5: a terminal sees no control characters; raw means raw; what we sent is not shown.
    #[test]
    fn shown() {
        let mut raw = Transcript::new(Show::AsIs);
        assert_eq!(raw.bytes(Direction::Received, b"\x1b[2J").unwrap(), b"\x1b[2J");
        assert_eq!(raw.bytes(Direction::Sent, b"x").unwrap(), b"");
        let mut escaped = Transcript::new(Show::Escaped);
        assert_eq!(escaped.bytes(Direction::Received, b"\x1b[2J\xe2").unwrap(), b"\\x1b[2J");
        assert_eq!(escaped.bytes(Direction::Received, b"\x82\xac\xc3").unwrap(), "€".as_bytes());
        assert_eq!(escaped.end(Direction::Received).unwrap(), b"\\xc3");
        assert_eq!(escaped.datagram(Direction::Received, b"a\xe2").unwrap(), b"a\\xe2");
    }

    /// C3 `--hex`: offsets go on over a stream, each direction its own, and begin anew with a
    /// datagram.
    #[test]
    fn offsets() {
        let mut hex = Transcript::new(Show::Hex);
        let offset = |shown: Vec<u8>| String::from_utf8(shown).unwrap()[..8].to_string();
        assert_eq!(offset(hex.bytes(Direction::Sent, b"abc").unwrap()), "00000000");
        assert_eq!(offset(hex.bytes(Direction::Sent, b"abc").unwrap()), "00000003");
        assert_eq!(offset(hex.bytes(Direction::Received, b"abc").unwrap()), "00000000");
        assert_eq!(offset(hex.datagram(Direction::Sent, b"").unwrap()), "00000000");
    }

    /// C3 `--record`, C4: both directions and both ends are in it, empty datagrams too.
    #[test]
    fn recorded() {
        let shared = Shared::default();
        let recorder = Recorder::new(shared.clone(), "udp://h:1").unwrap();
        let mut transcript = Transcript::new(Show::AsIs).recorded(recorder);
        transcript.datagram(Direction::Sent, b"").unwrap();
        transcript.end(Direction::Sent).unwrap();
        transcript.datagram(Direction::Received, b"r").unwrap();
        let mut reader = record::Reader::new(std::io::Cursor::new(shared.take())).unwrap();
        let mut next = || {
            let event = reader.event().unwrap().unwrap();
            (event.direction, event.data)
        };
        assert_eq!(next(), (Direction::Sent, Some(Vec::new())));
        assert_eq!(next(), (Direction::Sent, None));
        assert_eq!(next(), (Direction::Received, Some(b"r".to_vec())));
    }
}
