//! A conversation in datagrams: boundaries are kept both ways, and an unreachable port is told.

use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use sockeye_limits as limits;
use tokio::task::consume_budget;

use crate::dial::{Step, Tell};
use crate::error::Error;
use crate::line::Line;
use crate::messages::Messages;
use crate::silence::Silence;
use crate::transcript::Direction::{Received, Sent};
use crate::view::View;

/// Sends each message as one datagram while it shows what is received.
///
/// Datagrams have no end. So after the last message it is over when as many datagrams have come as
/// were sent, or when none has come for `timeout`, without one [`limits::DATAGRAM_WAIT`]. Without
/// messages nothing is sent, and silence for `timeout` is the end.
///
/// # Errors
/// A datagram that is too long (`EMSGSIZE`), an unreachable port (`ECONNREFUSED`), also when that
/// is only known later, and where a `timeout` is given: none received for that long.
pub async fn datagrams(
    line: &Line,
    messages: Option<Messages>,
    view: &View,
    timeout: Option<Duration>,
    tell: Tell<'_>,
) -> Result<(), Error> {
    let talk = Talk {
        line,
        view,
        tell,
        silence: Silence::new(),
        sent: Cell::new(0),
        received: Cell::new(0),
        all_sent: Cell::new(false),
    };
    let mut receiving = pin!(talk.receive());
    let patience = match messages {
        None => timeout,
        Some(messages) => {
            tokio::select! {
                result = &mut receiving => return result,
                sent = talk.send_all(messages) => sent?,
                () = talk.silence.lasts(timeout) => return Err(talk.timed_out(timeout)),
            }
            Some(timeout.unwrap_or(limits::DATAGRAM_WAIT))
        }
    };
    if !talk.is_complete() {
        tokio::select! {
            result = &mut receiving => result?,
            () = talk.silence.lasts(patience) => {
                if timeout.is_some() && talk.received.get() == 0 {
                    return Err(talk.timed_out(timeout));
                }
            }
        }
    }
    match line.pending_error() {
        Some(error) => Err(Error::receive(line.endpoint(), error)),
        None => Ok(()),
    }
}

struct Talk<'a> {
    line: &'a Line,
    view: &'a View,
    tell: Tell<'a>,
    silence: Silence,
    sent: Cell<u64>,
    received: Cell<u64>,
    all_sent: Cell<bool>,
}

impl Talk<'_> {
    fn is_complete(&self) -> bool {
        self.all_sent.get() && self.received.get() >= self.sent.get()
    }

    async fn send_all(&self, mut messages: Messages) -> Result<(), Error> {
        while let Some(message) = messages.next().await {
            let message = message?;
            let sent = self.line.send(&message).await;
            sent.map_err(|error| Error::send(self.line.endpoint(), error))?;
            self.sent.set(self.sent.get() + 1);
            self.silence.broken();
            self.silence.during(self.view.datagram(Sent, &message)).await?;
            // Answers are taken between two datagrams, or they would overflow our receive buffer.
            tokio::task::yield_now().await;
        }
        self.all_sent.set(true);
        self.view.end(Sent).await
    }

    /// Ends when an answer has come for each datagram that was sent, and no more are.
    async fn receive(&self) -> Result<(), Error> {
        let mut buffer = vec![0; limits::DATAGRAM_INPUT];
        while !self.is_complete() {
            let got = self.line.receive(&mut buffer).await;
            let got = got.map_err(|error| Error::receive(self.line.endpoint(), error))?;
            self.silence.broken();
            if got.length > got.kept {
                (self.tell)(&Step::Truncated { length: got.length, kept: got.kept });
            }
            self.silence.during(self.view.datagram(Received, &buffer[..got.kept])).await?;
            // Counted only now: the last one ends the conversation, and has to be shown before.
            self.received.set(self.received.get() + 1);
            consume_budget().await;
        }
        Ok(())
    }

    fn timed_out(&self, timeout: Option<Duration>) -> Error {
        let span = timeout.unwrap_or_default();
        let what = match self.received.get() {
            0 => format!("no datagram came for {span:?}"),
            _ => format!("nothing moved either way for {span:?}"),
        };
        Error::timed_out(self.line.endpoint(), what)
    }
}

#[cfg(test)]
mod tests;
