//! One file received as a stream (standard output): what was written cannot be taken back.

use std::io::{self, Write};

use sockeye_wire::files::{FromReceiver, FromSender, Hash, Node, Tally, segment};

use super::content::Scratch;
use super::talk::Talk;
use super::words::{UNPROVED, cannot};
use super::wrong;
use crate::engine::{Happening, Inbox, Stopped};
use crate::hash::Prover;

struct Stream<'a, 'b> {
    output: Box<dyn Write + Send>,
    talk: &'a mut Talk<'b>,
    name: Vec<u8>,
    prover: Option<Prover>,
    mark: Option<Hash>,
    scratch: Scratch,
    written: u64,
    /// Something was said of the source.
    spoken: bool,
}

static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

pub(super) fn receive(
    output: Box<dyn Write + Send>,
    inbox: &mut dyn Inbox<FromSender>,
    talk: &mut Talk<'_>,
) -> Result<Tally, Stopped> {
    let mut stream = Stream {
        output,
        talk,
        name: Vec::new(),
        prover: None,
        mark: None,
        scratch: Scratch::default(),
        written: 0,
        spoken: false,
    };
    while !stream.talk.is_settled() {
        let message = inbox.wait()?;
        stream.talk.hears(&message)?;
        match message {
            FromSender::Data(data) => {
                stream.bytes(&data, true)?;
                inbox.reuse(data);
            }
            message => stream.take(message)?,
        }
        stream.talk.flush()?;
    }
    if !stream.spoken {
        return wrong("an end of the listing without what was asked for");
    }
    stream.output.flush().map_err(|error| refused(&error))?;
    let tally = stream.talk.tally;
    stream.talk.say(&FromReceiver::Finished(tally))?;
    stream.talk.flush()?;
    Ok(tally)
}

fn refused(error: &io::Error) -> Stopped {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Stopped::OutputClosed;
    }
    Stopped::Refused(cannot("the output cannot be written", error))
}

impl Stream<'_, '_> {
    fn take(&mut self, message: FromSender) -> Result<(), Stopped> {
        self.spoken |= matches!(message, FromSender::Root { .. } | FromSender::Trouble { .. });
        match message {
            FromSender::Root { entry, .. } => {
                let Node::File { size, .. } = entry.node else {
                    let text = "only the content of a file can be written to a stream. Name one.";
                    return Err(Stopped::Refused(text.to_owned()));
                };
                self.name = entry.name.as_bytes().to_vec();
                self.talk.tell(Happening::Listed { bytes: size.unwrap_or(0) });
                self.talk.answer(true)
            }
            FromSender::Trouble { path, text } => {
                self.talk.their_trouble(&path, &text);
                Ok(())
            }
            FromSender::Small { hash, data, .. } => {
                self.prover = Some(Prover::new(segment(0)));
                self.bytes(&data, true)?;
                self.close(&hash)
            }
            FromSender::Begin { size, from: 0, .. } => {
                self.prover = Some(Prover::new(segment(size.unwrap_or(0))));
                Ok(())
            }
            FromSender::Packed { length, bytes } => {
                let mut scratch = std::mem::take(&mut self.scratch);
                let done = match scratch.unpack(&bytes, length) {
                    Some(data) => self.bytes(data, true),
                    None => wrong("packed bytes that are not what they should be"),
                };
                self.scratch = scratch;
                done
            }
            FromSender::Hole(length) => self.zeros(length),
            FromSender::Mark(mark) => {
                if self.mark.take() == Some(mark) {
                    Ok(())
                } else {
                    self.unproved()
                }
            }
            FromSender::Close { hash } => self.close(&hash),
            FromSender::Void { again, text, .. } => self.void(again, &text),
            _ => Ok(()),
        }
    }

    fn bytes(&mut self, data: &[u8], came: bool) -> Result<(), Stopped> {
        let bytes = data.len() as u64;
        if let Some(prover) = &mut self.prover {
            self.mark = prover.update(data);
        }
        self.output.write_all(data).map_err(|error| refused(&error))?;
        self.written += bytes;
        self.talk.count(|tally| &mut tally.data, if came { bytes } else { 0 });
        self.talk.tell(Happening::Moved { bytes });
        Ok(())
    }

    fn zeros(&mut self, mut length: u64) -> Result<(), Stopped> {
        while length > 0 {
            let piece = length.min(ZEROS.len() as u64);
            self.bytes(&ZEROS[..piece as usize], false)?;
            length -= piece;
        }
        Ok(())
    }

    fn close(&mut self, hash: &Hash) -> Result<(), Stopped> {
        let proved = self.prover.take().is_some_and(|prover| prover.finish() == *hash);
        if !proved {
            return self.unproved();
        }
        self.talk.tally.stored += 1;
        let (path, bytes) = (std::mem::take(&mut self.name), self.written);
        self.talk.tell(Happening::Stored { path: &path, bytes });
        Ok(())
    }

    fn unproved(&self) -> Result<(), Stopped> {
        Err(Stopped::Refused(UNPROVED.to_owned()))
    }

    /// What changed while it was read begins again, unless some of it is written.
    fn void(&mut self, again: bool, text: &str) -> Result<(), Stopped> {
        self.prover = None;
        if again && self.written == 0 {
            return Ok(());
        }
        if again {
            let text = "the source changed while it was read, and what was written is of no use. \
                Try again.";
            return Err(Stopped::Refused(text.to_owned()));
        }
        let path = std::mem::take(&mut self.name);
        self.talk.their_trouble(&path, text);
        Ok(())
    }
}
