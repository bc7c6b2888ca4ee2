//! Between a connection and an engine of a transfer: frames come in batches to the engine's thread,
//! and its frames go out, with back-pressure both ways.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, mpsc as recycled};
use std::thread;
use std::time::Duration;

use sockeye_files::{Gone, Inbox, Outbox, Parcel, Stopped};
use sockeye_limits as limits;
use sockeye_net::shown;
use sockeye_wire::files::{Frames, Speech, Wrong};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::{Instant, sleep, sleep_until, timeout, timeout_at};

use super::headway::{Headway, Parts};
use super::refusal::Whole;

/// Why a transfer lost its connection.
#[derive(Debug, thiserror::Error)]
pub enum PumpError {
    /// The stream failed.
    #[error("the connection failed in the middle of the transfer: {0}. Run it again: it resumes.")]
    Io(#[from] io::Error),
    /// The other side ended it.
    #[error("the other side ended the connection in the middle. Run it again: it resumes.")]
    Ended,
    /// The other side broke the protocol.
    #[error(transparent)]
    Wrong(#[from] Wrong),
    /// The other side was too slow.
    #[error(
        "the other side made no progress for {} s. Check the network, and run it again: it resumes.",
        .0.as_secs()
    )]
    Stalled(Duration),
    /// The other side sent whole frames, and next to nothing in them.
    #[error(
        "the other side sent less than {} KiB of a file in {} s. Check the network and what it \
         reads from, and run it again: it resumes.",
        limits::TRANSFER_LEAST / 1024,
        limits::TRANSFER_FRAME_TIME.as_secs()
    )]
    Trickles,
    /// The transfer as a whole cannot be.
    #[error("{0}")]
    Refused(String),
    /// The same, as the other side says.
    #[error("the other side: {}", shown::line(.0))]
    TheyRefused(String),
    /// Whoever read what came, as a stream, has seen enough.
    #[error("nobody reads the output any more")]
    OutputClosed,
    /// No thread could be had.
    #[error("cannot start a thread: {0}. Raise `ulimit -u`.")]
    Thread(io::Error),
    /// Our own engine panicked.
    #[error("a fault of our own ended the transfer. Please report it.")]
    Fault,
}

/// What waits for an engine, in bytes.
#[derive(Default)]
struct Waiting {
    bytes: AtomicUsize,
    less: Notify,
}

/// Messages, and the bytes that they were.
type Batch<M> = (Vec<M>, usize);

/// What an engine hears.
struct Heard<M> {
    batches: mpsc::UnboundedReceiver<Batch<M>>,
    batch: std::vec::IntoIter<M>,
    waiting: Arc<Waiting>,
    used: recycled::Sender<Vec<u8>>,
}

impl<M: Speech> Heard<M> {
    fn take(&mut self, (batch, bytes): Batch<M>) {
        let left = self.waiting.bytes.fetch_sub(bytes, Ordering::Relaxed) - bytes;
        if left <= M::AHEAD / 2 {
            self.waiting.less.notify_one();
        }
        self.batch = batch.into_iter();
    }
}

impl<M: Speech> Inbox<M> for Heard<M> {
    fn wait(&mut self) -> Result<M, Gone> {
        loop {
            if let Some(message) = self.batch.next() {
                return Ok(message);
            }
            let batch = self.batches.blocking_recv().ok_or(Gone)?;
            self.take(batch);
        }
    }

    fn poll(&mut self) -> Result<Option<M>, Gone> {
        loop {
            if let Some(message) = self.batch.next() {
                return Ok(Some(message));
            }
            match self.batches.try_recv() {
                Ok(batch) => self.take(batch),
                Err(mpsc::error::TryRecvError::Empty) => return Ok(None),
                Err(mpsc::error::TryRecvError::Disconnected) => return Err(Gone),
            }
        }
    }

    fn reuse(&mut self, payload: Vec<u8>) {
        // Nobody may be there to hear more.
        let _ = self.used.send(payload);
    }
}

/// What an engine says.
struct Said {
    parcels: mpsc::Sender<Parcel>,
    used: recycled::Receiver<Parcel>,
}

impl Outbox for Said {
    fn send(&mut self, frames: Parcel) -> Result<(), Gone> {
        self.parcels.blocking_send(frames).map_err(|_| Gone)
    }

    fn parcel(&mut self) -> Parcel {
        let mut parcel = self.used.try_recv().unwrap_or_default();
        parcel.clear();
        parcel
    }
}

/// When something last went either way.
struct Progress {
    since: Instant,
    /// Milliseconds from then on.
    last: AtomicU64,
}

impl Progress {
    fn new() -> Progress {
        Progress { since: Instant::now(), last: AtomicU64::new(0) }
    }

    fn moved(&self) {
        let millis = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.last.store(millis, Ordering::Relaxed);
    }

    fn last(&self) -> Instant {
        self.since + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }
}

/// Keeps a rate: after so many bytes the time for them has to be over.
struct Pace {
    /// Bytes a second.
    rate: Option<u64>,
    since: Instant,
    bytes: u64,
}

impl Pace {
    fn new(rate: Option<u64>) -> Pace {
        Pace { rate, since: Instant::now(), bytes: 0 }
    }

    /// So many bytes went or came.
    async fn spend(&mut self, count: usize) {
        let Some(rate) = self.rate else { return };
        self.bytes += count as u64;
        let due = self.since + Duration::from_secs_f64(self.bytes as f64 / rate as f64);
        if due < Instant::now() {
            // What was not used before is not saved up.
            (self.since, self.bytes) = (Instant::now(), 0);
        } else {
            sleep_until(due).await;
        }
    }
}

/// Runs an engine over a connection, of which the bytes in `rest` have come already, to the
/// engine's end. All that it said has been sent then. `limit` is in bytes a second, each way.
///
/// # Errors
/// What the engine ended with; where it lost the connection, why.
pub(crate) async fn pump<M, T>(
    (reader, writer): (&mut (impl AsyncRead + Unpin), &mut (impl AsyncWrite + Unpin)),
    rest: Vec<u8>,
    limit: Option<u64>,
    engine: impl FnOnce(&mut dyn Inbox<M>, &mut dyn Outbox) -> Result<T, Stopped> + Send + 'static,
) -> Result<T, PumpError>
where
    M: Whole + Parts + Send + 'static,
    T: Send + 'static,
{
    let (to_engine, batches) = mpsc::unbounded_channel();
    let waiting = Arc::new(Waiting::default());
    let heard_of = Arc::clone(&waiting);
    // What waits for a rate is not on its way: progress would be shown that was not made.
    let ahead = if limit.is_some() { 1 } else { limits::TRANSFER_BATCHES };
    let (parcels, from_engine) = mpsc::channel(ahead);
    let (give_back, used) = recycled::channel();
    let (done_with, payloads) = recycled::channel();
    let (done, mut over) = oneshot::channel();
    let run = move || {
        let batch = Vec::new().into_iter();
        let mut heard = Heard { batches, batch, waiting: heard_of, used: done_with };
        let result = engine(&mut heard, &mut Said { parcels, used });
        // Nobody waits for it where the connection has ended.
        let _ = done.send(result);
    };
    thread::Builder::new().name("transfer".into()).spawn(run).map_err(PumpError::Thread)?;
    let progress = Progress::new();
    let mut hearing = Box::pin(hear(
        Frames::new(rest),
        reader,
        (to_engine, waiting, payloads),
        (Pace::new(limit), &progress),
    ));
    let mut saying = Box::pin(say(writer, from_engine, give_back, (Pace::new(limit), &progress)));
    // The engine ends its words when it is over. Where hearing ends first, the engine finds out,
    // and what it says of that is worth more than our own word.
    let mut broken = None;
    let said = loop {
        tokio::select! {
            said = &mut saying => break said,
            heard = &mut hearing, if broken.is_none() => broken = Some(heard),
            // An engine that waits for its own input finds nothing out.
            () = sleep(limits::LINGER_TIME), if broken.is_some() => break Ok(()),
        }
    };
    if said.is_err() && broken.is_none() {
        // What the other side said before it went says more than our own failure.
        broken = timeout(limits::LINGER_TIME, &mut hearing).await.ok();
    }
    // Where saying failed, the engine finds out with its next word, or when it waits for ours.
    drop((hearing, saying));
    let result = match &broken {
        None => (&mut over).await.map_err(|_| PumpError::Fault)?,
        Some(_) => match timeout(limits::LINGER_TIME, &mut over).await {
            Ok(result) => result.map_err(|_| PumpError::Fault)?,
            Err(_) => Err(Stopped::Gone),
        },
    };
    match (result, broken, said) {
        (Err(Stopped::Peer(wrong)), ..) => Err(wrong.into()),
        (Err(Stopped::Refused(why)), ..) => Err(PumpError::Refused(why)),
        (Err(Stopped::OutputClosed), ..) => Err(PumpError::OutputClosed),
        (_, Some(PumpError::Wrong(wrong)), _) => Err(wrong.into()),
        (_, Some(PumpError::TheyRefused(why)), _) => Err(PumpError::TheyRefused(why)),
        // The stream may end behind the last word.
        (Ok(result), _, Ok(())) => Ok(result),
        (_, Some(error), _) | (_, None, Err(error)) => Err(error),
        (Err(Stopped::Gone), None, Ok(())) => Err(PumpError::Ended),
    }
}

/// The way to an engine, and what it gives back.
type ToEngine<M> = (mpsc::UnboundedSender<Batch<M>>, Arc<Waiting>, recycled::Receiver<Vec<u8>>);

/// Hands on what comes until the stream ends, which is for the engine to judge; returns why it ended.
async fn hear<M: Whole + Parts>(
    mut frames: Frames<M>,
    reader: &mut (impl AsyncRead + Unpin),
    (engine, waiting, payloads): ToEngine<M>,
    (mut pace, progress): (Pace, &Progress),
) -> PumpError {
    let mut bytes = 0;
    let mut headway = Headway::default();
    loop {
        let mut batch = Vec::new();
        payloads.try_iter().for_each(|payload| frames.reuse(payload));
        loop {
            match frames.message() {
                Ok(Some(message)) => match message.refusal() {
                    Some(why) => return PumpError::TheyRefused(why.to_owned()),
                    None => {
                        headway.heard(message.part());
                        batch.push(message);
                    }
                },
                Ok(None) => break,
                Err(wrong) => return wrong.into(),
            }
        }
        if headway.is_short() {
            return PumpError::Trickles;
        }
        if !batch.is_empty() {
            make_room(&mut batch, bytes, &waiting).await;
            waiting.bytes.fetch_add(bytes, Ordering::Relaxed);
            if engine.send((batch, std::mem::take(&mut bytes))).is_err() {
                // The engine is over; whoever waits for its result ends all this.
                return std::future::pending().await;
            }
        }
        let since = Instant::now();
        match read(&mut frames, reader, progress).await {
            Ok(count) => {
                headway.waited(since.elapsed());
                bytes += count;
                pace.spend(count).await;
            }
            Err(error) => return error,
        }
    }
}

/// Waits until there is room for a batch, or makes some.
///
/// An engine that is busy saying something hears nothing meanwhile; if then its peer waited for us to
/// hear, both would wait for ever. So there is room for all that an honest peer may have on its way,
/// and notes, which have no bound, are dropped.
async fn make_room<M: Speech>(batch: &mut Vec<M>, bytes: usize, waiting: &Waiting) {
    let before = || waiting.bytes.load(Ordering::Relaxed);
    let is_full = |before: usize| before > 0 && before + bytes > M::AHEAD;
    if !is_full(before()) {
        return;
    }
    batch.retain(|message| !message.is_note());
    // Half of it is waited for: who is woken for each batch does little else.
    let is_half_full = |before: usize| before > M::AHEAD / 2 || is_full(before);
    while is_half_full(before()) && !batch.is_empty() {
        waiting.less.notified().await;
    }
}

/// Reads until there is a whole frame, or the stream ends. A frame that has begun is whole in
/// [`limits::TRANSFER_FRAME_TIME`]: a peer that trickles holds nobody.
async fn read<M: Speech>(
    frames: &mut Frames<M>,
    reader: &mut (impl AsyncRead + Unpin),
    progress: &Progress,
) -> Result<usize, PumpError> {
    let begun = frames.has_begun();
    let frame = Instant::now() + limits::TRANSFER_FRAME_TIME;
    let mut count = 0;
    loop {
        // A peer that takes what we send need not say anything meanwhile.
        let silence = progress.last() + limits::TRANSFER_SILENCE;
        let until = if begun { frame } else { silence };
        let Ok(read) = timeout_at(until, reader.read(frames.space())).await else {
            if begun {
                return Err(PumpError::Stalled(limits::TRANSFER_FRAME_TIME));
            }
            if progress.last() + limits::TRANSFER_SILENCE > Instant::now() {
                continue;
            }
            return Err(PumpError::Stalled(limits::TRANSFER_SILENCE));
        };
        progress.moved();
        match read? {
            0 => {
                frames.end()?;
                return Err(PumpError::Ended);
            }
            n => {
                frames.filled(n);
                count += n;
            }
        }
        // From silence to a beginning, or to the end of what had begun.
        if !begun || frames.has_whole() {
            return Ok(count);
        }
    }
}

/// Sends what the engine says until it is over.
async fn say(
    writer: &mut (impl AsyncWrite + Unpin),
    mut engine: mpsc::Receiver<Parcel>,
    give_back: recycled::Sender<Parcel>,
    (mut pace, progress): (Pace, &Progress),
) -> Result<(), PumpError> {
    loop {
        let parcel = match engine.try_recv() {
            Ok(parcel) => parcel,
            Err(_) => {
                timeout(limits::TRANSFER_FRAME_TIME, writer.flush())
                    .await
                    .map_err(|_| PumpError::Stalled(limits::TRANSFER_FRAME_TIME))??;
                match engine.recv().await {
                    Some(parcel) => parcel,
                    None => return Ok(()),
                }
            }
        };
        let until = Instant::now() + limits::TRANSFER_FRAME_TIME;
        let mut pieces = parcel.bytes().map(IoSlice::new);
        let mut left = &mut pieces[..];
        IoSlice::advance_slices(&mut left, 0);
        while !left.is_empty() {
            let count = timeout_at(until, writer.write_vectored(left))
                .await
                .map_err(|_| PumpError::Stalled(limits::TRANSFER_FRAME_TIME))??;
            if count == 0 {
                return Err(io::Error::from(io::ErrorKind::WriteZero).into());
            }
            IoSlice::advance_slices(&mut left, count);
            progress.moved();
            pace.spend(count).await;
        }
        // The engine may be over.
        let _ = give_back.send(parcel);
    }
}

#[cfg(test)]
mod tests;
