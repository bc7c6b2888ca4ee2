//! What is shown, written on a thread of its own: a slow reader holds up what we receive, and not
//! what we send.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use sockeye_limits as limits;
use tokio::sync::{mpsc, oneshot};

use crate::error::Error;

/// Where received bytes go. Call [`Output::finish`] at the end, or the last of them may be lost.
#[derive(Debug)]
pub struct Output {
    pieces: Option<mpsc::Sender<Vec<u8>>>,
    /// Why the thread stopped early.
    failed: Arc<Mutex<Option<io::Error>>>,
    done: Option<oneshot::Receiver<()>>,
}

impl Output {
    /// Writes to `writer`, each piece flushed.
    pub fn new(writer: impl Write + Send + 'static) -> Output {
        let (sender, pieces) = mpsc::channel(limits::OUTPUT_QUEUE);
        let (ended, done) = oneshot::channel();
        let failed = Arc::new(Mutex::new(None));
        let result = Arc::clone(&failed);
        let work = move || {
            if let Err(error) = write_all(writer, pieces) {
                put(&result, error);
            }
            // Nobody waits for it where the conversation was given up.
            let _ = ended.send(());
        };
        if let Err(error) = thread::Builder::new().name("output".into()).spawn(work) {
            put(&failed, error);
        }
        Output { pieces: Some(sender), failed, done: Some(done) }
    }

    /// Takes everything and shows nothing (`--send-only`).
    pub fn discard() -> Output {
        Output { pieces: None, failed: Arc::default(), done: None }
    }

    /// Hands a piece over; waits while too many are unwritten.
    ///
    /// # Errors
    /// [`Error::OutputClosed`] where the reader went away, else [`Error::Output`].
    pub async fn write(&self, piece: Vec<u8>) -> Result<(), Error> {
        let Some(pieces) = &self.pieces else { return Ok(()) };
        if piece.is_empty() || pieces.send(piece).await.is_ok() {
            return Ok(());
        }
        Err(self.failure().unwrap_or(Error::OutputClosed))
    }

    /// Waits until everything is written.
    ///
    /// # Errors
    /// As [`Output::write`].
    pub async fn finish(mut self) -> Result<(), Error> {
        self.pieces = None;
        if let Some(done) = self.done.take() {
            // An error here says that the thread is gone, which is what is waited for.
            let _ = done.await;
        }
        self.failure().map_or(Ok(()), Err)
    }

    fn failure(&self) -> Option<Error> {
        let error = self.failed.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        Some(match error.kind() {
            io::ErrorKind::BrokenPipe => Error::OutputClosed,
            _ => Error::Output(error),
        })
    }
}

fn put(place: &Mutex<Option<io::Error>>, error: io::Error) {
    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
}

fn write_all(mut writer: impl Write, mut pieces: mpsc::Receiver<Vec<u8>>) -> io::Result<()> {
    while let Some(piece) = pieces.blocking_recv() {
        writer.write_all(&piece)?;
        writer.flush()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;
    use crate::testing::Shared;

    /// C2: what was written is there when `finish` returns.
    #[tokio::test]
    async fn all_is_written() {
        let shared = Shared::default();
        let output = Output::new(shared.clone());
        for n in 0..50u8 {
            output.write(vec![n; 3]).await.unwrap();
        }
        output.finish().await.unwrap();
        assert_eq!(shared.take().len(), 150);
        Output::discard().write(vec![1]).await.unwrap();
    }

    /// Fault 45, Q1: a full output is an error; a closed one is its own.
    #[tokio::test]
    async fn full_and_closed() {
        let full = Output::new(File::options().write(true).open("/dev/full").unwrap());
        full.write(vec![1]).await.unwrap();
        let error = full.finish().await.unwrap_err();
        assert!(matches!(error, Error::Output(_)), "{error}");

        let (reader, writer) = io::pipe().unwrap();
        drop(reader);
        let closed = Output::new(writer);
        let error = loop {
            if let Err(error) = closed.write(vec![1]).await {
                break error;
            }
        };
        assert!(matches!(error, Error::OutputClosed), "{error}");
    }
}
