//! Recordings of conversations (`--record`): one JSON object a line.
//!
//! The first line is `{"sockeye":"recording","version":1,"endpoint":"tcp://…"}`. Then comes what
//! passed, in order: `{"t_us":120,"dir":">","data":"68690a"}` for bytes (`>` sent, `<` received, in
//! hexadecimal; one line a datagram), and `{"t_us":345,"dir":">","end":true}` for the end of a
//! direction. `t_us` counts microseconds from the start of the conversation.

use std::io::{BufRead, Read, Write};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sockeye_limits as limits;

use crate::error::Error;
use crate::transcript::Direction;

/// The version that is written, and the only one that is read.
pub const VERSION: u32 = 1;

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    sockeye: String,
    version: u32,
    endpoint: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Row {
    t_us: u64,
    dir: Direction,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<bool>,
}

/// One thing that passed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// When, from the start of the conversation; whole microseconds.
    pub at: Duration,
    /// Which way.
    pub direction: Direction,
    /// What: bytes, or `None` for the end of that direction.
    pub data: Option<Vec<u8>>,
}

/// Writes a recording, each line as it happens.
pub struct Recorder {
    to: Box<dyn Write + Send>,
}

impl Recorder {
    /// Begins a recording of a conversation with this endpoint.
    ///
    /// # Errors
    /// [`Error::Record`].
    pub fn new(to: impl Write + Send + 'static, endpoint: &str) -> Result<Recorder, Error> {
        let header =
            Header { sockeye: "recording".into(), version: VERSION, endpoint: endpoint.into() };
        let mut recorder = Recorder { to: Box::new(to) };
        recorder.write(&header)?;
        Ok(recorder)
    }

    /// Writes one line.
    ///
    /// # Errors
    /// [`Error::Record`].
    pub fn event(
        &mut self,
        at: Duration,
        direction: Direction,
        data: Option<&[u8]>,
    ) -> Result<(), Error> {
        let t_us = u64::try_from(at.as_micros()).unwrap_or(u64::MAX);
        let end = data.is_none().then_some(true);
        self.write(&Row { t_us, dir: direction, data: data.map(to_hex), end })
    }

    fn write(&mut self, line: &impl Serialize) -> Result<(), Error> {
        let mut bytes = serde_json::to_vec(line).map_err(|error| Error::Record(error.into()))?;
        bytes.push(b'\n');
        self.to.write_all(&bytes).and_then(|()| self.to.flush()).map_err(Error::Record)
    }
}

fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| DIGITS[usize::from(nibble)] as char;
    bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| (digit as char).to_digit(16);
    let pair = |two: &[u8]| match two {
        [high, low] => u8::try_from(nibble(*high)? << 4 | nibble(*low)?).ok(),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

/// Reads a recording; memory stays flat, whatever its length.
pub struct Reader<R> {
    from: R,
    line: u64,
    buffer: Vec<u8>,
}

impl<R: BufRead> Reader<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// [`Error::Replay`] where it does not begin a recording that we can play.
    pub fn new(from: R) -> Result<Reader<R>, Error> {
        let mut reader = Reader { from, line: 0, buffer: Vec::new() };
        if !reader.next_line()? {
            return Err(reader.wrong("the file is empty"));
        }
        let header: Header = match serde_json::from_slice(&reader.buffer) {
            Ok(header) => header,
            Err(_) => return Err(reader.wrong("this is not the first line of a recording")),
        };
        if header.sockeye != "recording" {
            return Err(reader.wrong("this is not the first line of a recording"));
        }
        if header.version != VERSION {
            let what = format!(
                "it is of version {}, and this program reads version {VERSION}",
                header.version
            );
            return Err(reader.wrong(what));
        }
        Ok(reader)
    }

    /// The next event; `None` at the end.
    ///
    /// # Errors
    /// [`Error::Replay`] with the number of the line that is broken; [`Error::Input`] where the
    /// file cannot be read.
    pub fn event(&mut self) -> Result<Option<Event>, Error> {
        if !self.next_line()? {
            return Ok(None);
        }
        let row: Row = match serde_json::from_slice(&self.buffer) {
            Ok(row) => row,
            Err(error) => return Err(self.wrong(json_error(&error))),
        };
        let data = match (row.data, row.end) {
            (Some(data), None) => match from_hex(&data) {
                Some(bytes) => Some(bytes),
                None => return Err(self.wrong("\"data\" is not pairs of hexadecimal digits")),
            },
            (None, Some(true)) => None,
            _ => return Err(self.wrong("it has neither \"data\" nor \"end\":true, or both")),
        };
        Ok(Some(Event { at: Duration::from_micros(row.t_us), direction: row.dir, data }))
    }

    fn next_line(&mut self) -> Result<bool, Error> {
        self.buffer.clear();
        self.line += 1;
        let most = limits::RECORD_LINE as u64 + 1;
        let mut bounded = (&mut self.from).take(most);
        bounded.read_until(b'\n', &mut self.buffer).map_err(Error::Input)?;
        if self.buffer.last() == Some(&b'\n') {
            self.buffer.pop();
        } else if self.buffer.len() > limits::RECORD_LINE {
            return Err(self.wrong(format!("it is longer than {} bytes", limits::RECORD_LINE)));
        } else if self.buffer.is_empty() {
            return Ok(false);
        }
        Ok(true)
    }

    fn wrong(&self, what: impl Into<String>) -> Error {
        Error::Replay { line: self.line, what: what.into() }
    }
}

/// Reads a recording to its end, to find what is broken before anything is sent.
///
/// # Errors
/// As [`Reader`].
pub fn check(from: impl BufRead) -> Result<(), Error> {
    let mut reader = Reader::new(from)?;
    while reader.event()?.is_some() {}
    Ok(())
}

/// serde_json's message without its "at line 1 column 5": every line is its line 1.
fn json_error(error: &serde_json::Error) -> String {
    let text = sockeye_net::shown::line(&error.to_string());
    let what = text.split(" at line ").next().unwrap_or(&text);
    format!("{what} (column {})", error.column())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::Shared;

    fn read(bytes: &[u8]) -> Result<Vec<Event>, Error> {
        let mut reader = Reader::new(bytes)?;
        let mut events = Vec::new();
        while let Some(event) = reader.event()? {
            events.push(event);
        }
        Ok(events)
    }

    const HEADER: &str =
        "{\"sockeye\":\"recording\",\"version\":1,\"endpoint\":\"udp://[::1]:7\"}\n";

    /// C3 `--record`: the format, byte for byte.
    #[test]
    fn format() {
        let shared = Shared::default();
        let mut recorder = Recorder::new(shared.clone(), "udp://[::1]:7").unwrap();
        recorder.event(Duration::from_micros(120), Direction::Sent, Some(b"hi\n")).unwrap();
        recorder.event(Duration::from_micros(130), Direction::Received, Some(b"")).unwrap();
        recorder.event(Duration::from_nanos(140_999), Direction::Sent, None).unwrap();
        let expected = format!(
            "{HEADER}{}\n{}\n{}\n",
            r#"{"t_us":120,"dir":">","data":"68690a"}"#,
            r#"{"t_us":130,"dir":"<","data":""}"#,
            r#"{"t_us":140,"dir":">","end":true}"#,
        );
        assert_eq!(shared.text(), expected);
    }

    /// C3 `--replay`: what is broken is named with its line.
    #[test]
    fn broken() {
        let long = format!("{{\"t_us\":1,\"dir\":\">\",\"data\":\"{}\"}}", "0".repeat(1 << 20));
        let cases = [
            ("", 1, "empty"),
            ("hello\n", 1, "first line"),
            ("{\"sockeye\":\"recording\",\"version\":2,\"endpoint\":\"\"}\n", 1, "version 2"),
            (&format!("{HEADER}\n"), 2, "EOF"),
            (&format!("{HEADER}{{\"t_us\":1,\"dir\":\">\",\"da"), 2, "EOF"),
            (
                &format!("{HEADER}{{\"t_us\":1,\"dir\":\"?\",\"data\":\"\"}}\n"),
                2,
                "unknown variant",
            ),
            (&format!("{HEADER}{{\"t_us\":1,\"dir\":\">\",\"data\":\"abc\"}}\n"), 2, "pairs"),
            (&format!("{HEADER}{{\"t_us\":1,\"dir\":\">\",\"data\":\"+1\"}}\n"), 2, "pairs"),
            (&format!("{HEADER}{{\"t_us\":1,\"dir\":\">\"}}\n"), 2, "neither"),
            (&format!("{HEADER}{{\"t_us\":-1,\"dir\":\">\",\"end\":true}}\n"), 2, "invalid value"),
            (&format!("{HEADER}{{\"t_us\":1,\"dir\":\">\",\"end\":true}}\n{long}\n"), 3, "longer"),
        ];
        for (text, line, what) in cases {
            let error = check(text.as_bytes()).unwrap_err();
            let shown = error.to_string();
            assert!(shown.contains(&format!("line {line}: ")) && shown.contains(what), "{shown}");
        }
    }

    proptest! {
        /// C3 `--record`, `--replay`: what is written is read.
        #[test]
        fn round_trip(rows in proptest::collection::vec(
            (any::<u32>(), any::<bool>(), proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40))),
            0..20,
        )) {
            let shared = Shared::default();
            let mut recorder = Recorder::new(shared.clone(), "tcp://h\"ö:1").unwrap();
            let events: Vec<Event> = rows.into_iter().map(|(at, sent, data)| Event {
                at: Duration::from_micros(at.into()),
                direction: if sent { Direction::Sent } else { Direction::Received },
                data,
            }).collect();
            for event in &events {
                recorder.event(event.at, event.direction, event.data.as_deref()).unwrap();
            }
            prop_assert_eq!(read(&shared.take()).unwrap(), events);
        }

        /// Q4: no recording makes the reader panic.
        #[test]
        fn never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..200), row in ".{0,80}") {
            let _ = check(&bytes[..]);
            let _ = check(format!("{HEADER}{row}").as_bytes());
            let data = format!("{HEADER}{{\"t_us\":1,\"dir\":\"<\",\"data\":{}}}",
                serde_json::to_string(&row).unwrap());
            let _ = check(data.as_bytes());
        }
    }
}
