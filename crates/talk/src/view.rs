//! A transcript and the output that it goes to: what both directions of a conversation share.

use std::cell::RefCell;

use crate::error::Error;
use crate::output::Output;
use crate::transcript::{Direction, Transcript};

/// Shows and records what passes. Both directions of a conversation run in one task and share it.
#[derive(Debug)]
pub struct View {
    transcript: RefCell<Transcript>,
    output: Output,
    lines: bool,
}

impl View {
    /// What the transcript shows goes to the output.
    pub fn new(transcript: Transcript, output: Output) -> View {
        View { transcript: RefCell::new(transcript), output, lines: false }
    }

    /// The same with a newline after each received datagram (`--lines`).
    #[must_use]
    pub fn with_lines(self) -> View {
        View { lines: true, ..self }
    }

    /// Bytes of a stream passed. Waits while the output is behind.
    ///
    /// # Errors
    /// Those of [`Transcript::bytes`] and [`Output::write`].
    pub async fn bytes(&self, direction: Direction, bytes: &[u8]) -> Result<(), Error> {
        let shown = self.transcript.borrow_mut().bytes(direction, bytes)?;
        self.output.write(shown).await
    }

    /// A datagram passed. Waits while the output is behind.
    ///
    /// # Errors
    /// Those of [`Transcript::datagram`] and [`Output::write`].
    pub async fn datagram(&self, direction: Direction, bytes: &[u8]) -> Result<(), Error> {
        let mut shown = self.transcript.borrow_mut().datagram(direction, bytes)?;
        let hex = self.transcript.borrow().is_hex();
        if self.lines && direction == Direction::Received && !hex {
            shown.push(b'\n');
        }
        self.output.write(shown).await
    }

    /// A direction ended.
    ///
    /// # Errors
    /// Those of [`Transcript::end`] and [`Output::write`].
    pub async fn end(&self, direction: Direction) -> Result<(), Error> {
        let shown = self.transcript.borrow_mut().end(direction)?;
        self.output.write(shown).await
    }

    /// Another connection begins: see [`Transcript::next_connection`].
    pub fn next_connection(&self) {
        self.transcript.borrow_mut().next_connection();
    }

    /// Waits until everything is written, also after a failure, and gives the first failure.
    ///
    /// # Errors
    /// That of `result`, else that of [`Output::finish`].
    pub async fn finish<T>(self, result: Result<T, Error>) -> Result<T, Error> {
        let written = self.output.finish().await;
        let value = result?;
        written.map(|()| value)
    }
}
