//! The bytes to send, read on a thread of their own, so that a silent input holds up nothing.

use std::io::Read;
use std::thread;

use sockeye_limits as limits;
use tokio::sync::mpsc;

use crate::crlf::Crlf;
use crate::error::Error;

/// An input in pieces. At most one piece is read ahead of what the socket takes.
///
/// A read that never returns (an idle terminal) keeps its thread, but neither the conversation nor
/// the end of the process waits for it.
#[derive(Debug)]
pub struct Input {
    pieces: mpsc::Receiver<Result<Vec<u8>, Error>>,
    crlf: Option<Crlf>,
}

/// Where the thread behind an [`Input`] puts its pieces; false once nobody wants more.
pub(crate) struct Feed(mpsc::Sender<Result<Vec<u8>, Error>>);

impl Feed {
    pub(crate) fn put(&self, piece: Result<Vec<u8>, Error>) -> bool {
        self.0.blocking_send(piece).is_ok()
    }
}

impl Input {
    /// Reads from `reader` to its end.
    pub fn new(reader: impl Read + Send + 'static) -> Input {
        Input::fed_by(move |feed| read_all(reader, &feed))
    }

    /// One piece, then the end.
    pub fn once(bytes: impl Into<Vec<u8>>) -> Input {
        let (sender, pieces) = mpsc::channel(1);
        // The channel is empty and has room for one.
        let _ = sender.try_send(Ok(bytes.into()));
        Input { pieces, crlf: None }
    }

    pub(crate) fn fed_by(work: impl FnOnce(Feed) + Send + 'static) -> Input {
        let (sender, pieces) = mpsc::channel(1);
        let feed = Feed(sender.clone());
        let spawned = thread::Builder::new().name("input".into()).spawn(move || work(feed));
        if let Err(error) = spawned {
            // The channel is empty and has room for one.
            let _ = sender.try_send(Err(Error::Input(error)));
        }
        Input { pieces, crlf: None }
    }

    /// The same with each lone newline made a carriage return and a newline (`--crlf`).
    #[must_use]
    pub fn with_crlf(self) -> Input {
        Input { crlf: Some(Crlf::default()), ..self }
    }

    /// The next piece; `None` at the end. Nothing is lost when the wait is given up.
    pub async fn next(&mut self) -> Option<Result<Vec<u8>, Error>> {
        let piece = self.pieces.recv().await?;
        Some(piece.map(|bytes| match &mut self.crlf {
            Some(crlf) => crlf.push(&bytes),
            None => bytes,
        }))
    }
}

fn read_all(mut reader: impl Read, feed: &Feed) {
    let mut buffer = vec![0; limits::INPUT_CHUNK];
    loop {
        let piece = match reader.read(&mut buffer) {
            Ok(0) => return,
            Ok(n) => Ok(buffer[..n].to_vec()),
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            Err(error) => Err(Error::Input(error)),
        };
        let failed = piece.is_err();
        if !feed.put(piece) || failed {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Broken;

    /// C2: pieces come in order, then the end.
    #[tokio::test]
    async fn pieces() {
        let bytes: Vec<u8> = (0..limits::INPUT_CHUNK * 3 + 5).map(|n| n as u8).collect();
        let mut input = Input::new(std::io::Cursor::new(bytes.clone()));
        let mut got = Vec::new();
        while let Some(piece) = input.next().await {
            got.extend(piece.unwrap());
        }
        assert!(got == bytes);
    }

    /// C2: an input that cannot be read is an error, not an end.
    #[tokio::test]
    async fn broken() {
        let mut input = Input::new(Broken);
        let error = input.next().await.unwrap().unwrap_err();
        assert!(matches!(error, Error::Input(_)), "{error}");
        assert!(input.next().await.is_none());
    }

    /// C3 `--crlf`.
    #[tokio::test]
    async fn with_crlf() {
        let mut input = Input::new(&b"a\nb\r\n"[..]).with_crlf();
        assert_eq!(input.next().await.unwrap().unwrap(), b"a\r\nb\r\n");
    }
}
