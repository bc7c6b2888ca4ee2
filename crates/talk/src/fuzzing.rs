//! For tests: the bodies of the fuzz targets, which panic where something is wrong.

use std::io::Write;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use sockeye_net::shown;

use crate::crlf::Crlf;
use crate::error::Error;
use crate::hex::{self, BYTES_A_LINE};
use crate::record::{Event, Reader, Recorder, check};
use crate::transcript::{Direction, Show, Transcript};

#[cfg(test)]
mod tests;

/// What can be played is recorded again as the same; what cannot is refused in one line that names
/// a line of the file.
pub fn recording(data: &[u8]) {
    let events = match read(data) {
        Ok(events) => events,
        Err(error) => {
            let text = error.to_string();
            assert_eq!(shown::line(&text), text, "not escaped");
            let Error::Replay { line, .. } = error else { panic!("{text}") };
            let lines = data.split(|byte| *byte == b'\n').count() as u64;
            assert!((1..=lines).contains(&line), "line {line} of {lines}");
            return assert!(check(data).is_err());
        }
    };
    check(data).expect("what was played");
    let again = record(&events);
    assert_eq!(read(&again).expect("what we recorded"), events);
}

fn read(data: &[u8]) -> Result<Vec<Event>, Error> {
    let mut reader = Reader::new(data)?;
    let mut events = Vec::new();
    while let Some(event) = reader.event()? {
        events.push(event);
    }
    Ok(events)
}

/// A file that can be looked into while a recorder owns it.
struct Sent(Sender<Vec<u8>>);

impl Write for Sent {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        // Whoever reads waits until the recorder is gone.
        let _ = self.0.send(bytes.to_vec());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn record(events: &[Event]) -> Vec<u8> {
    let (to, from) = channel();
    let mut recorder = Recorder::new(Sent(to), "tcp://[::1]:7").expect("memory takes all");
    for event in events {
        let data = event.data.as_deref();
        recorder.event(event.at, event.direction, data).expect("memory takes all");
    }
    drop(recorder);
    from.into_iter().flatten().collect()
}

/// What passes is shown whole and safe, however it was cut. The first byte is the length of the
/// pieces.
pub fn transcript(data: &[u8]) {
    let (piece, data) = data.split_first().unwrap_or((&0, &[]));
    let piece = usize::from(*piece) + 1;
    assert_eq!(pass(Show::AsIs, data, piece), data);
    let escaped = pass(Show::Escaped, data, piece);
    let text = String::from_utf8(escaped.clone()).expect("escaped text is UTF-8");
    assert!(!text.chars().any(shown::is_hazard));
    assert_eq!(escaped, pass(Show::Escaped, data, data.len().max(1)), "pieces of {piece}");
    check_hex(&pass(Show::Hex, data, piece), data);
    check_crlf(data, piece);
}

/// What a transcript shows of these received bytes.
fn pass(show: Show, data: &[u8], piece: usize) -> Vec<u8> {
    let mut transcript = Transcript::new(show);
    let mut out = Vec::new();
    for piece in data.chunks(piece) {
        out.extend(transcript.bytes(Direction::Received, piece).expect("nothing is recorded"));
    }
    out.extend(transcript.end(Direction::Received).expect("nothing is recorded"));
    out
}

/// The bytes can be read out of the view, at their offsets.
fn check_hex(view: &[u8], data: &[u8]) {
    assert!(view.iter().all(|byte| matches!(byte, b' '..=b'~' | b'\n')), "plain ASCII");
    let view = String::from_utf8_lossy(view);
    let mut back = Vec::new();
    for line in view.lines() {
        let (left, _) = line.split_once('|').expect("text stands behind the digits");
        let (offset, digits) = left.split_once("  ").expect("an offset stands first");
        assert_eq!(usize::from_str_radix(offset, 16), Ok(back.len()));
        let two = |two: &str| u8::from_str_radix(two, 16).expect("two digits");
        back.extend(digits.split_whitespace().map(two));
    }
    assert_eq!(back, data);
    let lines = hex::lines(Direction::Sent, 0, data, Duration::ZERO);
    assert_eq!(lines.lines().count(), data.len().div_ceil(BYTES_A_LINE).max(1));
}

fn check_crlf(data: &[u8], piece: usize) {
    let convert = |piece: usize, data: &[u8]| -> Vec<u8> {
        let mut crlf = Crlf::default();
        data.chunks(piece).flat_map(|piece| crlf.push(piece)).collect()
    };
    let whole = convert(data.len().max(1), data);
    assert_eq!(convert(piece, data), whole, "cut into pieces of {piece}");
    assert_eq!(convert(piece, &whole), whole, "converted twice");
    let without = |bytes: &[u8]| bytes.iter().copied().filter(|b| *b != b'\r').collect::<Vec<_>>();
    assert_eq!(without(&whole), without(data), "something else than CR was added");
}
