//! The sender's end of the connection: every word goes through the exchange, and frames leave in
//! large pieces.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::time::{Duration, Instant};

use sockeye_wire::files::{Exchange, FromReceiver, FromSender};

use crate::engine::{Gone, Happening, Inbox, Observer, Outbox, Stopped};
use crate::parcel::Parcel;

/// So many bytes of frames go together, where nobody waits for them.
const GATHERED: usize = 128 * 1024;
/// Pieces of content of this many bytes or more go from where they were read to; shorter ones are
/// gathered.
const APART: usize = 64 * 1024;

pub(super) struct Link<'a> {
    inbox: &'a mut dyn Inbox<FromReceiver>,
    outbox: &'a mut dyn Outbox,
    observer: &'a mut dyn Observer,
    exchange: Exchange,
    out: Parcel,
    /// How long we have waited for the connection to take more.
    waited: Duration,
    troubles: u64,
    /// What was heard in the middle of a content, for whoever asks next.
    ahead: VecDeque<FromReceiver>,
    /// The receiver wants no more of the file with this number.
    enough: Option<u32>,
}

impl<'a> Link<'a> {
    pub(super) fn new(
        sources: u32,
        inbox: &'a mut dyn Inbox<FromReceiver>,
        outbox: &'a mut dyn Outbox,
        observer: &'a mut dyn Observer,
    ) -> Link<'a> {
        let out = outbox.parcel();
        let (exchange, waited) = (Exchange::new(sources), Duration::ZERO);
        let (ahead, enough) = (VecDeque::new(), None);
        Link { inbox, outbox, observer, exchange, out, waited, troubles: 0, ahead, enough }
    }

    pub(super) fn exchange(&self) -> &Exchange {
        &self.exchange
    }

    pub(super) fn troubles(&self) -> u64 {
        self.troubles
    }

    pub(super) fn waited(&self) -> Duration {
        self.waited
    }

    /// What is written and not sent.
    pub(super) fn out(&mut self) -> &mut Vec<u8> {
        self.out.frames()
    }

    /// Reads a piece of content, at most so many bytes; how many, 0 at the file's end.
    pub(super) fn read_piece(&mut self, mut file: &File, most: usize) -> io::Result<usize> {
        let room = self.out.room();
        let most = most.min(room.len());
        loop {
            match file.read(&mut room[..most]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read,
            }
        }
    }

    /// The piece of so many bytes that was read last.
    pub(super) fn piece(&self, length: usize) -> &[u8] {
        self.out.piece(length)
    }

    /// Says that piece.
    pub(super) fn say_piece(&mut self, length: usize) -> Result<(), Stopped> {
        if length >= APART {
            self.out.end_with_piece(length);
            self.said_piece(length)?;
            return self.flush();
        }
        self.out.gather_piece(length);
        self.said_piece(length)
    }

    /// Says this.
    pub(super) fn say(&mut self, message: &FromSender) -> Result<(), Stopped> {
        self.exchange.sender_says(message)?;
        message.put(self.out.frames());
        self.written()
    }

    /// Notes a message whose frame the caller has written to [`out`](Link::out).
    pub(super) fn said(&mut self, message: &FromSender) -> Result<(), Stopped> {
        self.exchange.sender_says(message)?;
        self.written()
    }

    /// Notes so many bytes of content, whose frame the caller has written.
    pub(super) fn said_piece(&mut self, length: usize) -> Result<(), Stopped> {
        // For the order of things one piece is like another, and this one needs no copy of it.
        self.said(&FromSender::Hole(length as u64))
    }

    fn written(&mut self) -> Result<(), Stopped> {
        if self.out.frames().len() >= GATHERED { self.flush() } else { Ok(()) }
    }

    /// Sends what is written.
    pub(super) fn flush(&mut self) -> Result<(), Stopped> {
        if self.out.is_empty() {
            return Ok(());
        }
        let started = Instant::now();
        self.outbox.send(std::mem::take(&mut self.out))?;
        self.waited += started.elapsed();
        self.out = self.outbox.parcel();
        Ok(())
    }

    /// True where the receiver wants no more of this file. What else it has said is kept: the exchange
    /// bounds it, and notes are told at once.
    pub(super) fn is_enough(&mut self, file: u32) -> Result<bool, Stopped> {
        while let Some(message) = self.inbox.poll()? {
            match self.hear(message)? {
                FromReceiver::Enough(_) => {}
                FromReceiver::Note { note, path } => {
                    self.tell(Happening::Noted { note, path: &path });
                }
                FromReceiver::Trouble { path, text } => {
                    self.tell(Happening::Trouble { path: &path, text: &text, theirs: true });
                }
                other => self.ahead.push_back(other),
            }
        }
        Ok(self.exchange.has_enough() || self.enough == Some(file))
    }

    /// What the receiver has said already.
    pub(super) fn poll(&mut self) -> Result<Option<FromReceiver>, Stopped> {
        if let Some(message) = self.ahead.pop_front() {
            return Ok(Some(message));
        }
        match self.inbox.poll()? {
            Some(message) => self.hear(message).map(Some),
            None => Ok(None),
        }
    }

    /// What the receiver says next.
    pub(super) fn wait(&mut self) -> Result<FromReceiver, Stopped> {
        if let Some(message) = self.ahead.pop_front() {
            return Ok(message);
        }
        let message = self.inbox.wait().map_err(|Gone| Stopped::Gone)?;
        self.hear(message)
    }

    fn hear(&mut self, message: FromReceiver) -> Result<FromReceiver, Stopped> {
        self.exchange.receiver_says(&message)?;
        if let FromReceiver::Enough(Some(file)) = message {
            self.enough = Some(file);
        }
        Ok(message)
    }

    pub(super) fn tell(&mut self, happening: Happening<'_>) {
        self.observer.tell(happening);
    }

    /// Something could not be read: the receiver is told.
    pub(super) fn trouble(&mut self, path: Vec<u8>, text: String) -> Result<(), Stopped> {
        self.failed(&path, &text);
        self.say(&FromSender::Trouble { path, text })
    }

    /// Something failed, and the receiver knows.
    pub(super) fn failed(&mut self, path: &[u8], text: &str) {
        self.troubles += 1;
        self.tell(Happening::Trouble { path, text, theirs: false });
    }
}
