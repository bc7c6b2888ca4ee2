//! Playing a recording (`--replay`): what was sent is sent again, at its time.

use std::io::BufRead;
use std::thread;
use std::time::Instant;

use crate::error::Error;
use crate::input::{Feed, Input};
use crate::record::Reader;
use crate::transcript::Direction;

/// An input that gives the sent records of a recording, each at its time from now on, and ends
/// where the recording ended our direction; a recording that never did ends after its last record.
pub fn input(from: impl BufRead + Send + 'static) -> Input {
    Input::fed_by(move |feed| {
        if let Err(error) = play(from, &feed) {
            feed.put(Err(error));
        }
    })
}

fn play(from: impl BufRead, feed: &Feed) -> Result<(), Error> {
    let start = Instant::now();
    let mut reader = Reader::new(from)?;
    while let Some(event) = reader.event()? {
        // What was received is not sent, but its time counts: a recording without our end lasts
        // as long as it did.
        let due = event.at.saturating_sub(start.elapsed());
        if !due.is_zero() {
            thread::sleep(due);
        }
        if event.direction == Direction::Received {
            continue;
        }
        let Some(bytes) = event.data else { return Ok(()) };
        if !feed.put(Ok(bytes)) {
            return Ok(());
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;
    use std::time::Duration;

    use super::*;

    const HEADER: &str = "{\"sockeye\":\"recording\",\"version\":1,\"endpoint\":\"tcp://h:1\"}\n";

    /// C3 `--replay`: sent records only, an empty datagram kept, not before their time, and no
    /// more after our end.
    #[tokio::test]
    async fn plays() {
        let text = format!(
            "{HEADER}{}\n{}\n{}\n{}\n{}\n",
            r#"{"t_us":0,"dir":">","data":"61"}"#,
            r#"{"t_us":5,"dir":"<","data":"ff"}"#,
            r#"{"t_us":30000,"dir":">","data":""}"#,
            r#"{"t_us":30000,"dir":">","end":true}"#,
            r#"{"t_us":30000,"dir":">","data":"62"}"#,
        );
        let start = Instant::now();
        let mut input = input(Cursor::new(text));
        assert_eq!(input.next().await.unwrap().unwrap(), b"a");
        assert_eq!(input.next().await.unwrap().unwrap(), b"");
        assert!(start.elapsed() >= Duration::from_millis(30));
        assert!(input.next().await.is_none());
    }

    /// C3 `--replay`: a broken recording is an error with its line.
    #[tokio::test]
    async fn broken() {
        let mut input = input(Cursor::new(format!("{HEADER}nonsense\n")));
        let error = input.next().await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Replay { line: 2, .. }), "{error}");
    }
}
