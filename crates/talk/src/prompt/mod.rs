//! Talking to a person on a terminal: a prompt, a line, its answer, the next prompt.

mod console;
mod history;

use std::time::Duration;

use sockeye_limits as limits;
use sockeye_net::{self as net, Operation};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, timeout};

pub use console::Console;
use console::{Event, Typed};
pub use history::History;

use crate::dial::{Step, Tell};
use crate::error::Error;
use crate::line::{Line, Received};
use crate::transcript::Direction;
use crate::transcript::Transcript;

/// What asks for a line.
pub const PROMPT: &str = ">>: ";

/// The line that ends the conversation.
pub const QUIT: &str = "q";

/// How lines are sent and answers shown.
#[derive(Debug, Clone, Copy, Default)]
pub struct Style {
    /// Lines end with `\r\n` (`--crlf`), and blank ones are sent as well.
    pub crlf: bool,
    /// Lines are sent without their newline, and received datagrams are shown with one
    /// (`--lines`).
    pub lines: bool,
}

impl Style {
    fn message(self, text: &str) -> Vec<u8> {
        let ending = match self {
            Style { lines: true, .. } => "",
            Style { crlf: true, .. } => "\r\n",
            Style { .. } => "\n",
        };
        format!("{text}{ending}").into_bytes()
    }
}

/// Asks for lines, sends each and shows the answer before it asks again.
///
/// A blank line is not sent, but with [`Style::crlf`] it is: it ends a header. `q` or the end of the
/// input ends the conversation: our FIN is sent, and what the peer still says at once is shown. Where the
/// peer ends first, that is told.
///
/// Where it ends while the prompt of a terminal stands, the standard output of this process leads nowhere
/// from then on.
///
/// # Errors
/// A reset or another failure of the socket, and a terminal that cannot be used.
pub async fn prompt(
    line: &Line,
    console: Console,
    transcript: Transcript,
    style: Style,
    tell: Tell<'_>,
) -> Result<(), Error> {
    let buffer = vec![0; limits::DATAGRAM_INPUT];
    let mut prompt = Prompt { line, console, transcript, style, tell, buffer };
    let ended = tokio::select! {
        ended = prompt.talk() => ended,
        // The terminal is in raw mode: whoever ends us must not leave it so.
        name = told_to_end() => Err(Error::Signal(name)),
    };
    prompt.console.settle_on_screen().await;
    if ended? == Ended::ByPeer {
        // The terminal is ours again before anything else is written to it.
        prompt.console.close();
        tell(&Step::PeerEnded);
    }
    Ok(())
}

/// The name of the signal that asks for our end, when it comes.
async fn told_to_end() -> &'static str {
    let hears = (signal(SignalKind::terminate()), signal(SignalKind::hangup()));
    let (Ok(mut terminate), Ok(mut hangup)) = hears else {
        // Without handlers the signals end the process as they always did.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = hangup.recv() => "SIGHUP",
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ended {
    ByUser,
    ByPeer,
}

/// Whether the peer may still say something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Peer {
    Speaks,
    Ended,
}

struct Prompt<'a> {
    line: &'a Line,
    console: Console,
    transcript: Transcript,
    style: Style,
    tell: Tell<'a>,
    buffer: Vec<u8>,
}

impl Prompt<'_> {
    async fn talk(&mut self) -> Result<Ended, Error> {
        loop {
            self.console.ask();
            let typed = match self.await_line().await? {
                Some(typed) => typed,
                None => return Ok(Ended::ByPeer),
            };
            let text = match typed {
                Typed::Line(text) => text,
                Typed::Interrupted => continue,
                Typed::End => return self.leave().await,
                Typed::Failed(what) => return Err(Error::Terminal(what)),
            };
            match text.trim() {
                "" if !self.style.crlf => continue,
                QUIT => return self.leave().await,
                _ if text.len() > limits::LINE_MAX => {
                    return Err(Error::LineTooLong(limits::LINE_MAX));
                }
                _ => {}
            }
            let message = self.style.message(&text);
            if self.send(&message).await? == Peer::Ended || self.answer().await? == Peer::Ended {
                return Ok(Ended::ByPeer);
            }
        }
    }

    /// Shows what comes until a line is typed; `None` where the peer ends.
    async fn await_line(&mut self) -> Result<Option<Typed>, Error> {
        let mut quiet = Instant::now();
        loop {
            // What comes faster than the terminal shows it waits in the socket.
            let settled = self.console.is_settled();
            tokio::select! {
                event = self.console.event() => match event {
                    Event::Typed(typed) => return Ok(Some(typed)),
                    Event::Printed => {}
                },
                got = self.line.receive(&mut self.buffer), if settled && Instant::now() >= quiet => {
                    if self.show(got)? == Peer::Ended {
                        return Ok(None);
                    }
                    quiet = Instant::now() + limits::PROMPT_PACE;
                }
                // rustyline shows what is there before it looks at keys: give it time for those.
                () = tokio::time::sleep_until(quiet), if Instant::now() < quiet => {}
            }
        }
    }

    /// Sends a message whole, and shows what comes meanwhile: a peer that answers before it has
    /// read everything must be read from.
    async fn send(&mut self, message: &[u8]) -> Result<Peer, Error> {
        let mut rest = message;
        loop {
            tokio::select! {
                biased;
                sent = self.line.send(rest) => {
                    let n = sent.map_err(|error| Error::send(self.line.endpoint(), error))?;
                    self.show_sent(&rest[..n])?;
                    rest = &rest[n..];
                    if rest.is_empty() {
                        return Ok(Peer::Speaks);
                    }
                }
                got = self.line.receive(&mut self.buffer) => {
                    if self.show(got)? == Peer::Ended {
                        return Ok(Peer::Ended);
                    }
                }
            }
            self.console.settle().await;
        }
    }

    /// Shows the answer: what comes until it pauses.
    async fn answer(&mut self) -> Result<Peer, Error> {
        let end = Instant::now() + limits::PROMPT_LONGEST;
        let mut patience = limits::PROMPT_WAIT;
        while let Ok(got) = timeout(self.until(end, patience), self.receive()).await {
            if self.show(got)? == Peer::Ended {
                return Ok(Peer::Ended);
            }
            self.console.settle().await;
            patience = limits::PROMPT_QUIET;
        }
        Ok(Peer::Speaks)
    }

    /// Our FIN, and what the peer still says.
    async fn leave(&mut self) -> Result<Ended, Error> {
        let failed = |error| net::Error::new(Operation::Shutdown, self.line.endpoint(), error);
        self.line.end().await.map_err(failed)?;
        self.transcript.end(Direction::Sent)?;
        if self.line.is_stream() {
            let end = Instant::now() + limits::PROMPT_LONGEST;
            while let Ok(got) = timeout(self.until(end, limits::PROMPT_WAIT), self.receive()).await
            {
                if self.show(got)? == Peer::Ended {
                    break;
                }
                self.console.settle().await;
            }
        }
        Ok(Ended::ByUser)
    }

    fn until(&self, end: Instant, patience: Duration) -> Duration {
        patience.min(end.saturating_duration_since(Instant::now()))
    }

    async fn receive(&mut self) -> std::io::Result<Received> {
        self.line.receive(&mut self.buffer).await
    }

    fn show(&mut self, got: std::io::Result<Received>) -> Result<Peer, Error> {
        let got = got.map_err(|error| Error::receive(self.line.endpoint(), error))?;
        let bytes = &self.buffer[..got.kept];
        let way = Direction::Received;
        if self.line.is_stream() {
            if got.kept == 0 {
                self.console.print(self.transcript.end(way)?);
                return Ok(Peer::Ended);
            }
            self.console.print(self.transcript.bytes(way, bytes)?);
            return Ok(Peer::Speaks);
        }
        if got.length > got.kept {
            (self.tell)(&Step::Truncated { length: got.length, kept: got.kept });
        }
        let mut shown = self.transcript.datagram(way, bytes)?;
        if self.style.lines && !self.transcript.is_hex() {
            shown.push(b'\n');
        }
        self.console.print(shown);
        Ok(Peer::Speaks)
    }

    fn show_sent(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let shown = match self.line.is_stream() {
            true => self.transcript.bytes(Direction::Sent, bytes)?,
            false => self.transcript.datagram(Direction::Sent, bytes)?,
        };
        self.console.print(shown);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
