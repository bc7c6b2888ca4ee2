//! Bytes both ways at once over a stream: the conversation of a program in a pipe.

use std::io;
use std::pin::pin;
use std::time::Duration;

use rustix::io::Errno;
use sockeye_limits as limits;
use sockeye_net::{self as net, Operation};
use tokio::sync::SetOnce;
use tokio::task::consume_budget;

use crate::error::Error;
use crate::input::Input;
use crate::line::Line;
use crate::silence::Silence;
use crate::transcript::Direction::{Received, Sent};
use crate::view::View;

/// Sends the input while it shows what is received.
///
/// The input's end becomes our FIN, and then we read on until the peer's end. Where the peer ends
/// first, the input is still sent as long as it pauses for less than [`limits::HALF_CLOSE_GRACE`].
/// Without an input nothing is sent, and our FIN follows the peer's. Input is read only as fast as
/// the peer takes it, and received only as fast as the output takes it.
///
/// # Errors
/// Everything but an end of both directions: a reset, an input that the peer did not read to its
/// end, an output that cannot be written, and nothing that moved either way for `timeout`.
/// What was received before is shown all the same, by [`View::finish`].
pub async fn pipe(
    line: &Line,
    input: Option<Input>,
    view: &View,
    timeout: Option<Duration>,
) -> Result<(), Error> {
    let pipe = Pipe { line, view, silence: Silence::new(), peer_ended: SetOnce::new() };
    tokio::select! {
        result = pipe.both(input) => result,
        () = pipe.silence.lasts(timeout) => {
            let span = timeout.unwrap_or_default();
            Err(Error::timed_out(line.endpoint(), format!("nothing moved either way for {span:?}")))
        }
    }
}

struct Pipe<'a> {
    line: &'a Line,
    view: &'a View,
    silence: Silence,
    peer_ended: SetOnce<()>,
}

impl Pipe<'_> {
    async fn both(&self, input: Option<Input>) -> Result<(), Error> {
        let mut receiving = pin!(self.receive());
        let mut sending = pin!(self.send_all(input));
        tokio::select! {
            received = &mut receiving => {
                received?;
                sending.await?;
                // A reset that our last bytes met (on this machine it comes back at once).
                match self.line.pending_error() {
                    Some(error) => Err(Error::closed_early(self.line.endpoint(), error)),
                    None => Ok(()),
                }
            }
            sent = &mut sending => match sent {
                Ok(()) => receiving.await,
                Err(failed @ Error::Net(_)) => {
                    // What the peer said before it reset may say why; more cannot come.
                    let _ = tokio::time::timeout(limits::LINGER_TIME, receiving).await;
                    Err(failed)
                }
                Err(failed) => Err(failed),
            },
        }
    }

    async fn receive(&self) -> Result<(), Error> {
        let mut buffer = vec![0; limits::STREAM_BUFFER];
        let mut alert = None;
        loop {
            let got = self.line.receive(&mut buffer).await;
            let got = got.map_err(|error| Error::receive(self.line.endpoint(), error))?;
            self.silence.broken();
            if got.kept == 0 {
                // Set once: this is the only place, and it is left.
                let _ = self.peer_ended.set(());
                self.view.end(Received).await?;
                return match alert {
                    Some(true) => Err(Error::met_tls(self.line.endpoint())),
                    _ => Ok(()),
                };
            }
            // An alert and nothing else.
            alert = Some(alert.is_none() && is_tls_alert(&buffer[..got.kept]));
            self.silence.during(self.view.bytes(Received, &buffer[..got.kept])).await?;
            // A peer that never pauses must not keep the other direction from its turn.
            consume_budget().await;
        }
    }

    async fn send_all(&self, input: Option<Input>) -> Result<(), Error> {
        match input {
            Some(mut input) => {
                while let Some(piece) = self.next_piece(&mut input).await {
                    self.send(&piece?).await?;
                }
            }
            None => {
                self.peer_ended.wait().await;
            }
        }
        self.line
            .end()
            .await
            .map_err(|error| net::Error::new(Operation::Shutdown, self.line.endpoint(), error))?;
        self.view.end(Sent).await
    }

    async fn next_piece(&self, input: &mut Input) -> Option<Result<Vec<u8>, Error>> {
        let grace_is_over = async {
            self.peer_ended.wait().await;
            tokio::time::sleep(limits::HALF_CLOSE_GRACE).await;
        };
        tokio::select! {
            biased;
            piece = input.next() => piece,
            () = grace_is_over => None,
        }
    }

    async fn send(&self, mut rest: &[u8]) -> Result<(), Error> {
        while !rest.is_empty() {
            let n = self.line.send(rest).await.map_err(|error| self.send_failed(error))?;
            self.silence.broken();
            let (sent, unsent) = rest.split_at(n);
            self.silence.during(self.view.bytes(Sent, sent)).await?;
            rest = unsent;
            consume_budget().await;
        }
        Ok(())
    }

    /// EPIPE says that the peer's FIN came before its reset, tcp(7); or that a Unix peer closed.
    fn send_failed(&self, error: io::Error) -> Error {
        let errno = Errno::from_io_error(&error);
        let reset = errno == Some(Errno::CONNRESET);
        if errno == Some(Errno::PIPE) || (reset && self.peer_ended.get().is_some()) {
            Error::closed_early(self.line.endpoint(), error)
        } else {
            Error::send(self.line.endpoint(), error)
        }
    }
}

/// A whole record that is an alert (RFC 8446, sections 5.1 and 6).
fn is_tls_alert(bytes: &[u8]) -> bool {
    matches!(bytes, [21, 3, _, 0, 2, _, _])
}

#[cfg(test)]
mod tests;
