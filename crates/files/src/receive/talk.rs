//! What a receiver says: answers gathered to runs, trouble, notes, and the tally.

use sockeye_limits as limits;
use sockeye_wire::files::{Exchange, FromReceiver, FromSender, Note, Tally, Wrong};

use crate::engine::{Happening, Observer, Outbox, Stopped};
use crate::parcel::Parcel;

/// Frames are sent when there are this many bytes of them.
const GATHERED: usize = 64 * 1024;

pub(super) struct Talk<'a> {
    outbox: &'a mut dyn Outbox,
    observer: &'a mut dyn Observer,
    exchange: Exchange,
    out: Parcel,
    /// Answers not yet said: wanted or not, and how many.
    run: Option<(bool, u32)>,
    /// What came of it so far.
    pub(super) tally: Tally,
}

impl<'a> Talk<'a> {
    pub(super) fn new(
        sources: u32,
        outbox: &'a mut dyn Outbox,
        observer: &'a mut dyn Observer,
    ) -> Talk<'a> {
        let out = outbox.parcel();
        let exchange = Exchange::new(sources);
        Talk { outbox, observer, exchange, out, run: None, tally: Tally::default() }
    }

    /// The sender says this; refused where it may not.
    pub(super) fn hears(&mut self, message: &FromSender) -> Result<(), Wrong> {
        self.exchange.sender_says(message)
    }

    /// True where all is listed, answered and settled.
    pub(super) fn is_settled(&self) -> bool {
        self.run.is_none() && self.exchange.is_settled()
    }

    /// The next file that has no answer is wanted whole, or not at all.
    pub(super) fn answer(&mut self, wanted: bool) -> Result<(), Stopped> {
        match &mut self.run {
            Some((same, count)) if *same == wanted => *count += 1,
            _ => {
                self.end_run()?;
                self.run = Some((wanted, 1));
            }
        }
        match self.run {
            Some((_, limits::ANSWERS_GATHERED)) => self.flush(),
            _ => Ok(()),
        }
    }

    fn end_run(&mut self) -> Result<(), Stopped> {
        match self.run.take() {
            Some((true, count)) => self.put(&FromReceiver::Want(count)),
            Some((false, count)) => self.put(&FromReceiver::Skip(count)),
            None => Ok(()),
        }
    }

    pub(super) fn say(&mut self, message: &FromReceiver) -> Result<(), Stopped> {
        self.end_run()?;
        self.put(message)
    }

    fn put(&mut self, message: &FromReceiver) -> Result<(), Stopped> {
        self.exchange.receiver_says(message)?;
        message.put(self.out.frames());
        self.relieve()
    }

    /// Sends what was said where that is much.
    pub(super) fn relieve(&mut self) -> Result<(), Stopped> {
        if self.out.frames().len() >= GATHERED { self.send() } else { Ok(()) }
    }

    /// Sends what was said: nothing more is known before the sender speaks.
    pub(super) fn flush(&mut self) -> Result<(), Stopped> {
        self.end_run()?;
        if self.out.is_empty() { Ok(()) } else { self.send() }
    }

    fn send(&mut self) -> Result<(), Stopped> {
        let next = self.outbox.parcel();
        let full = std::mem::replace(&mut self.out, next);
        Ok(self.outbox.send(full)?)
    }

    /// Counts so many bytes, of which a sender may claim any number.
    pub(super) fn count(&mut self, of: impl FnOnce(&mut Tally) -> &mut u64, bytes: u64) {
        let number = of(&mut self.tally);
        *number = number.saturating_add(bytes);
    }

    /// Something failed here; the transfer goes on.
    pub(super) fn trouble(&mut self, path: Vec<u8>, text: String) -> Result<(), Stopped> {
        self.tally.failed += 1;
        self.tell(Happening::Trouble { path: &path, text: &text, theirs: false });
        self.say(&FromReceiver::Trouble { path, text })
    }

    /// Something failed there.
    pub(super) fn their_trouble(&mut self, path: &[u8], text: &str) {
        self.tally.failed += 1;
        self.tell(Happening::Trouble { path, text, theirs: true });
    }

    pub(super) fn note(&mut self, note: Note, path: Vec<u8>) -> Result<(), Stopped> {
        self.tell(Happening::Noted { note, path: &path });
        self.say(&FromReceiver::Note { note, path })
    }

    /// The same, to be sent with the next words: in the middle of something that has to come to its end.
    /// A note may be said at any time.
    pub(super) fn gather_note(&mut self, note: Note, path: Vec<u8>) {
        self.tell(Happening::Noted { note, path: &path });
        FromReceiver::Note { note, path }.put(self.out.frames());
    }

    pub(super) fn tell(&mut self, happening: Happening<'_>) {
        self.observer.tell(happening);
    }
}
