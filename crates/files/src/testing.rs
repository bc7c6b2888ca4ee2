//! A connection between two engines of one process, for tests: real frames through channels.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};

use sockeye_wire::files::{
    Frames, FromReceiver, FromSender, Options, Placement, Speech, Transfer, Way,
};

use crate::engine::{Gone, Happening, Inbox, Observer, Outbox};
use crate::parcel::Parcel;

/// What comes from the other end.
pub(crate) struct Ear<M> {
    channel: Receiver<Vec<u8>>,
    frames: Frames<M>,
    messages: VecDeque<M>,
}

/// What goes to the other end, up to where the connection breaks: perhaps within a frame.
pub(crate) struct Mouth {
    channel: Sender<Vec<u8>>,
    left: u64,
}

/// One end of a connection.
pub(crate) type End<M> = (Ear<M>, Mouth);

/// A sender's end and a receiver's. It breaks after `left` bytes of the sender's.
pub(crate) fn connection(left: u64) -> (End<FromReceiver>, End<FromSender>) {
    let (to_receiver, from_sender) = channel();
    let (to_sender, from_receiver) = channel();
    let sender = (Ear::new(from_receiver), Mouth { channel: to_receiver, left });
    let receiver = (Ear::new(from_sender), Mouth { channel: to_sender, left: u64::MAX });
    (sender, receiver)
}

impl<M: Speech> Ear<M> {
    fn new(channel: Receiver<Vec<u8>>) -> Ear<M> {
        Ear { channel, frames: Frames::new(Vec::new()), messages: VecDeque::new() }
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let space = self.frames.space();
            let count = space.len().min(bytes.len());
            space[..count].copy_from_slice(&bytes[..count]);
            self.frames.filled(count);
            bytes = &bytes[count..];
            while let Some(message) = self.frames.message().unwrap() {
                self.messages.push_back(message);
            }
        }
    }
}

impl<M: Speech> Inbox<M> for Ear<M> {
    fn wait(&mut self) -> Result<M, Gone> {
        loop {
            if let Some(message) = self.messages.pop_front() {
                return Ok(message);
            }
            let bytes = self.channel.recv().map_err(|_| Gone)?;
            self.take(&bytes);
        }
    }

    fn reuse(&mut self, payload: Vec<u8>) {
        self.frames.reuse(payload);
    }

    fn poll(&mut self) -> Result<Option<M>, Gone> {
        while self.messages.is_empty() {
            match self.channel.try_recv() {
                Ok(bytes) => self.take(&bytes),
                Err(TryRecvError::Empty) => return Ok(None),
                Err(TryRecvError::Disconnected) => return Err(Gone),
            }
        }
        Ok(self.messages.pop_front())
    }
}

impl Outbox for Mouth {
    fn send(&mut self, parcel: Parcel) -> Result<(), Gone> {
        let mut frames = parcel.bytes().concat();
        let whole = frames.len() as u64 <= self.left;
        frames.truncate(usize::try_from(self.left).unwrap_or(usize::MAX));
        self.left -= frames.len() as u64;
        self.channel.send(frames).map_err(|_| Gone)?;
        if whole { Ok(()) } else { Err(Gone) }
    }

    fn parcel(&mut self) -> Parcel {
        Parcel::default()
    }
}

/// Writes down what fails, and counts.
#[derive(Debug, Default)]
pub(crate) struct Diary {
    pub(crate) troubles: Vec<String>,
    pub(crate) stored: Vec<Vec<u8>>,
    pub(crate) skipped: u64,
    pub(crate) noted: Vec<String>,
    pub(crate) moved: u64,
}

impl Observer for Diary {
    fn tell(&mut self, happening: Happening<'_>) {
        match happening {
            Happening::Trouble { path, text, theirs } => {
                let whose = if theirs { "theirs" } else { "ours" };
                self.troubles.push(format!("{whose}: {} {text}", path.escape_ascii()));
            }
            Happening::Stored { path, .. } => self.stored.push(path.to_vec()),
            Happening::Skipped { .. } => self.skipped += 1,
            Happening::Moved { bytes } => self.moved += bytes,
            Happening::Noted { note, path } => {
                self.noted.push(format!("{note:?} {}", path.escape_ascii()));
            }
            Happening::Listed { .. } => {}
        }
    }
}

/// Bytes without any order, always the same.
pub(crate) fn noise(length: usize, seed: u64) -> Vec<u8> {
    let mut out = vec![0; length];
    blake3::Hasher::new().update(&seed.to_be_bytes()).finalize_xof().fill(&mut out);
    out
}

/// One source that is pushed into a directory.
pub(crate) fn transfer(options: Options) -> Transfer {
    Transfer {
        way: Way::Push,
        placement: Placement::Into,
        options,
        paths: vec![b"x".to_vec()],
        sources: 1,
        filters: Vec::new(),
        part: (0, 1),
    }
}
