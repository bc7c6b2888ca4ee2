//! Lines from a socket, buffered and of bounded length.

use std::io::{self, BufRead, BufReader};

use sockeye_limits as limits;

use super::Socket;

/// Reads a socket line by line; made by [`Socket::lines`].
///
/// A line ends with a line feed, and the bytes after the last one, where there are any, are a line
/// too. What was read of a line outlives an error: after `EAGAIN` or `ETIMEDOUT` ask again.
///
/// As an iterator it gives each line without its `\n` or `\r\n`, as [`BufRead::lines`] does, and is
/// over after the end and after a line that was too long.
#[derive(Debug)]
pub struct LineReader<'a> {
    input: BufReader<&'a Socket>,
    line: Vec<u8>,
    max_line: usize,
    over: bool,
}

impl<'a> LineReader<'a> {
    pub(super) fn new(socket: &'a Socket) -> LineReader<'a> {
        LineReader {
            input: BufReader::new(socket),
            line: Vec::new(),
            max_line: limits::LINE_MAX,
            over: false,
        }
    }

    /// The same with another limit: a line may have so many bytes, its line feed among them.
    #[must_use]
    pub fn max_line(mut self, bytes: usize) -> LineReader<'a> {
        self.max_line = bytes;
        self
    }

    /// The next line with its line feed, which only the last may lack; `None` after the peer's end.
    ///
    /// # Errors
    /// `InvalidData` where the line is longer than the limit, and again at each further call; else
    /// as [`Socket::recv`].
    pub fn next_line(&mut self) -> io::Result<Option<Vec<u8>>> {
        loop {
            let chunk = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                other => other?,
            };
            if chunk.is_empty() {
                return Ok((!self.line.is_empty()).then(|| std::mem::take(&mut self.line)));
            }
            let feed = chunk.iter().position(|byte| *byte == b'\n');
            let taken = feed.map_or(chunk.len(), |at| at + 1);
            // Before it is kept: a peer that sends no line feed costs no more than the limit.
            if taken > self.max_line.saturating_sub(self.line.len()) {
                let text = format!("a line is longer than {} bytes", self.max_line);
                return Err(io::Error::new(io::ErrorKind::InvalidData, text));
            }
            self.line.extend_from_slice(&chunk[..taken]);
            self.input.consume(taken);
            if feed.is_some() {
                return Ok(Some(std::mem::take(&mut self.line)));
            }
        }
    }
}

impl Iterator for LineReader<'_> {
    type Item = io::Result<Vec<u8>>;

    fn next(&mut self) -> Option<io::Result<Vec<u8>>> {
        if self.over {
            return None;
        }
        let mut line = match self.next_line() {
            Ok(Some(line)) => line,
            Ok(None) => {
                self.over = true;
                return None;
            }
            Err(error) => {
                self.over = error.kind() == io::ErrorKind::InvalidData;
                return Some(Err(error));
            }
        };
        if line.ends_with(b"\n") {
            line.pop();
            if line.ends_with(b"\r") {
                line.pop();
            }
        }
        Some(Ok(line))
    }
}
