//! An input cut into messages: what becomes one datagram, or one connection each.

use sockeye_limits as limits;

use crate::error::Error;
use crate::input::Input;

/// Where one message ends and the next begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// After each newline, which belongs to the message.
    Lines,
    /// After each newline, which is left out: a blank line is an empty message (`--lines`).
    LinesStripped,
    /// Nowhere: the whole input is one message, an empty input an empty one (`--whole`).
    Whole,
    /// Between the pieces of the input, as a recording gives them.
    Pieces,
}

/// The messages of an input.
#[derive(Debug)]
pub struct Messages {
    input: Input,
    split: Split,
    limit: usize,
    held: Vec<u8>,
    /// Bytes at the front of `held` that were given out.
    taken: usize,
    /// Bytes of `held` that are known to hold no newline beyond `taken`.
    scanned: usize,
    ended: bool,
}

impl Messages {
    /// Messages that become datagrams: of at most [`limits::DATAGRAM_INPUT`] bytes.
    pub fn datagrams(input: Input, split: Split) -> Messages {
        Messages::new(input, split, limits::DATAGRAM_INPUT)
    }

    /// Lines with their newlines, of at most [`limits::LINE_MAX`] bytes.
    pub fn lines(input: Input) -> Messages {
        Messages::new(input, Split::Lines, limits::LINE_MAX)
    }

    fn new(input: Input, split: Split, limit: usize) -> Messages {
        Messages { input, split, limit, held: Vec::new(), taken: 0, scanned: 0, ended: false }
    }

    /// The next message; `None` at the end. Nothing is lost when the wait is given up.
    ///
    /// # Errors
    /// The input's, or [`Error::LineTooLong`].
    pub async fn next(&mut self) -> Option<Result<Vec<u8>, Error>> {
        if self.split == Split::Pieces {
            return self.input.next().await;
        }
        loop {
            if let Some(message) = self.cut_held() {
                return Some(Ok(message));
            }
            if self.ended {
                return None;
            }
            if self.held.len() - self.taken > self.limit {
                self.give_up();
                return Some(Err(Error::LineTooLong(self.limit)));
            }
            match self.input.next().await {
                Some(Ok(piece)) => self.hold(&piece),
                Some(Err(error)) => {
                    self.give_up();
                    return Some(Err(error));
                }
                None => {
                    self.ended = true;
                    return self.rest().map(Ok);
                }
            }
        }
    }

    fn cut_held(&mut self) -> Option<Vec<u8>> {
        if self.split == Split::Whole {
            return None;
        }
        let Some(found) = self.held[self.scanned..].iter().position(|&byte| byte == b'\n') else {
            self.scanned = self.held.len();
            return None;
        };
        let newline = self.scanned + found;
        let end = if self.split == Split::LinesStripped { newline } else { newline + 1 };
        let message = self.held[self.taken..end].to_vec();
        self.taken = newline + 1;
        self.scanned = self.taken;
        Some(message)
    }

    fn hold(&mut self, piece: &[u8]) {
        self.held.drain(..self.taken);
        self.scanned -= self.taken;
        self.taken = 0;
        self.held.extend_from_slice(piece);
    }

    /// What is left at the input's end: a line without a newline, or the whole.
    fn rest(&mut self) -> Option<Vec<u8>> {
        let rest = self.held.split_off(self.taken);
        self.give_up();
        (self.split == Split::Whole || !rest.is_empty()).then_some(rest)
    }

    fn give_up(&mut self) {
        self.held.clear();
        (self.taken, self.scanned, self.ended) = (0, 0, true);
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Cursor, Read};

    use super::*;

    async fn cut(split: Split, reader: impl Read + Send + 'static) -> Vec<String> {
        let mut messages = Messages::datagrams(Input::new(reader), split);
        let mut all = Vec::new();
        while let Some(message) = messages.next().await {
            all.push(String::from_utf8(message.unwrap()).unwrap());
        }
        all
    }

    /// Gives a byte a read.
    struct Slow(Cursor<Vec<u8>>);

    impl Read for Slow {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0.read(&mut buffer[..1])
        }
    }

    /// C4: each way of cutting, however the input comes.
    #[tokio::test]
    async fn splits() {
        let text = b"a\n\nbc";
        for slow in [false, true] {
            let reader = || -> Box<dyn Read + Send> {
                let cursor = Cursor::new(text.to_vec());
                if slow { Box::new(Slow(cursor)) } else { Box::new(cursor) }
            };
            assert_eq!(cut(Split::Lines, reader()).await, ["a\n", "\n", "bc"]);
            assert_eq!(cut(Split::LinesStripped, reader()).await, ["a", "", "bc"]);
            assert_eq!(cut(Split::Whole, reader()).await, ["a\n\nbc"]);
        }
        let nothing = || Cursor::new(Vec::new());
        assert_eq!(cut(Split::Lines, nothing()).await, [""; 0]);
        assert_eq!(cut(Split::LinesStripped, nothing()).await, [""; 0]);
        assert_eq!(cut(Split::Whole, nothing()).await, [""]);
        let many = "0123456789\n".repeat(50_000);
        assert_eq!(cut(Split::Lines, Cursor::new(many.into_bytes())).await.len(), 50_000);
    }

    /// Q4: memory is bounded where no newline comes.
    #[tokio::test]
    async fn too_long() {
        for split in [Split::Lines, Split::Whole] {
            let mut messages = Messages::datagrams(Input::new(std::io::repeat(b'x')), split);
            let error = messages.next().await.unwrap().unwrap_err();
            assert!(matches!(error, Error::LineTooLong(limits::DATAGRAM_INPUT)), "{error}");
            assert!(messages.next().await.is_none());
        }
    }
}
