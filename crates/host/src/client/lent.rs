//! Descriptors whose calls may block and cannot be kept from it: each has a thread of its own that
//! does them.
//!
//! A thread in a call that never returns is waited for by nobody, nor does it hold up the end of the
//! process.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::sync::mpsc as blocking;
use std::thread;

use sockeye_limits as limits;
use tokio::sync::mpsc;

/// A thread that does one call after another, each when it is asked for.
struct Hand<Q, A> {
    asks: blocking::Sender<Q>,
    answers: mpsc::Receiver<A>,
    /// It is at work.
    busy: bool,
}

impl<Q: Send + 'static, A: Send + 'static> Hand<Q, A> {
    fn new(name: &str, mut work: impl FnMut(Q) -> A + Send + 'static) -> io::Result<Hand<Q, A>> {
        let (asks, asked) = blocking::channel();
        let (answer, answers) = mpsc::channel(1);
        thread::Builder::new().name(name.into()).spawn(move || {
            while let Ok(what) = asked.recv() {
                if answer.blocking_send(work(what)).is_err() {
                    return;
                }
            }
        })?;
        Ok(Hand { asks, answers, busy: false })
    }

    /// The answer to what was asked before and is still to come, or to this. Cancel-safe: then the
    /// next call gets it.
    async fn ask(&mut self, what: impl FnOnce() -> Q) -> io::Result<A> {
        if !self.busy {
            self.asks.send(what()).map_err(|_| gone())?;
            self.busy = true;
        }
        let answer = self.answers.recv().await.ok_or_else(gone)?;
        self.busy = false;
        Ok(answer)
    }
}

fn gone() -> io::Error {
    io::Error::other("its thread has gone")
}

/// Reads; nothing is read that nobody has asked for.
pub(super) struct Reader {
    hand: Hand<usize, io::Result<Vec<u8>>>,
    /// What a shorter buffer has left of the last piece.
    left: Vec<u8>,
}

impl Reader {
    /// # Errors
    /// As pthread_create(3).
    pub(super) fn new(mut file: File) -> io::Result<Reader> {
        let hand = Hand::new("input", move |most: usize| {
            let mut piece = vec![0; most];
            let n = again(|| file.read(&mut piece))?;
            piece.truncate(n);
            Ok(piece)
        })?;
        Ok(Reader { hand, left: Vec::new() })
    }

    /// Reads once; 0 is the end. Cancel-safe.
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.left.is_empty() {
            self.left = self.hand.ask(|| buffer.len()).await??;
        }
        let n = self.left.len().min(buffer.len());
        buffer[..n].copy_from_slice(&self.left[..n]);
        self.left.drain(..n);
        Ok(n)
    }
}

/// Writes.
pub(super) struct Writer {
    hand: Hand<Vec<u8>, io::Result<usize>>,
}

impl Writer {
    /// # Errors
    /// As pthread_create(3).
    pub(super) fn new(mut file: File) -> io::Result<Writer> {
        let hand = Hand::new("output", move |piece: Vec<u8>| again(|| file.write(&piece)))?;
        Ok(Writer { hand })
    }

    /// Writes the beginning of these bytes, and says how much that was. Cancel-safe as long as the
    /// next call brings the same bytes, if with more behind them.
    pub(super) async fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let piece = || bytes[..bytes.len().min(limits::INPUT_CHUNK)].to_vec();
        match self.hand.ask(piece).await? {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            other => other,
        }
    }
}

/// Does a call again that a signal has interrupted.
fn again(mut call: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match call() {
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            other => return other,
        }
    }
}
