//! The client's end of a transfer: it asks, and then sends or receives.

use sockeye_files::{Destination, Observer, Sent, Source, receive, send};
use sockeye_wire::files::{FromReceiver, FromSender, Name, Tally, Transfer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};

use super::pump::{PumpError, pump};
use super::refusal::tell_refusal;
use super::server::{hold_to_destination, hold_to_sources};
use crate::client::{CallError, Remote};

/// A connection that belongs to a transfer.
pub struct Transit<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    rest: Vec<u8>,
    transfer: Transfer,
    limit: Option<u64>,
}

/// Asks a server for a transfer. `limit` is in bytes a second, each way.
///
/// # Errors
/// [`CallError::Failed`] where the server refuses; [`CallError`] where the connection fails.
pub async fn begin<S: AsyncRead + AsyncWrite + Unpin>(
    remote: Remote<S>,
    transfer: Transfer,
    limit: Option<u64>,
) -> Result<Transit<S>, CallError> {
    let (reader, writer, rest) = remote.transfer(&transfer).await?;
    Ok(Transit { reader, writer, rest, transfer, limit })
}

impl<S: AsyncRead + AsyncWrite + Unpin> Transit<S> {
    /// Sends these sources.
    ///
    /// # Errors
    /// [`PumpError`]; what single files failed with is told to the observer.
    pub async fn send(
        mut self,
        sources: Vec<Source>,
        mut observer: impl Observer + Send + 'static,
    ) -> Result<Sent, PumpError> {
        let (transfer, rest) = (self.transfer, self.rest);
        let engine = move |inbox: &mut dyn sockeye_files::Inbox<_>,
                           outbox: &mut dyn sockeye_files::Outbox| {
            hold_to_sources(&sources)
                .and_then(|()| send(sources, &transfer, inbox, outbox, &mut observer))
                .inspect_err(|stopped| tell_refusal::<FromSender>(stopped, outbox))
        };
        let sent = pump((&mut self.reader, &mut self.writer), rest, self.limit, engine).await?;
        // All is proved: how the connection ends matters to nobody.
        let _ = self.writer.shutdown().await;
        Ok(sent)
    }

    /// Receives to this destination what was asked for; `expected` names each source.
    ///
    /// # Errors
    /// As [`send`](Transit::send).
    pub async fn receive(
        mut self,
        destination: Destination,
        expected: Vec<Option<Name>>,
        mut observer: impl Observer + Send + 'static,
    ) -> Result<Tally, PumpError> {
        let (transfer, rest) = (self.transfer, self.rest);
        let engine = move |inbox: &mut dyn sockeye_files::Inbox<_>,
                           outbox: &mut dyn sockeye_files::Outbox| {
            hold_to_destination(&destination)
                .and_then(|()| {
                    receive(destination, &transfer, &expected, inbox, outbox, &mut observer)
                })
                .inspect_err(|stopped| tell_refusal::<FromReceiver>(stopped, outbox))
        };
        let tally = pump((&mut self.reader, &mut self.writer), rest, self.limit, engine).await?;
        let _ = self.writer.shutdown().await;
        Ok(tally)
    }
}
