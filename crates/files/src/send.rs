//! The sender: lists trees, and sends the contents that the receiver wants, in one thread.

mod content;
mod delta;
mod filter;
mod flow;
mod large;
mod link;
mod listing;
mod names;
mod pack;
mod source;
mod state;
mod walk;

use std::collections::VecDeque;
use std::io::Read;
use std::sync::Arc;

use sockeye_limits as limits;
use sockeye_wire::files::{Chunk, FromReceiver, Hash, Name, Tally, Time, Transfer};

use crate::engine::{Happening, Inbox, Observer, Outbox, Stopped};
use crate::tree::{Handles, Place};
use content::Contents;
pub(crate) use filter::{Filters, Ignored};
pub use filter::{check_filters, leaves_out};
use link::Link;
pub(crate) use names::joined;
pub use source::{Source, explained};
use state::State;
use walk::{Ends, Walk};

/// What came of sending.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// What the receiver counted.
    pub tally: Tally,
    /// What failed at this side, in number; it is told to the observer when it happens, and the
    /// receiver's [`Tally::failed`] has it as well.
    pub troubles: u64,
}

/// A file that was listed.
struct Listed {
    what: What,
    /// `None` for a stream.
    size: Option<u64>,
}

/// Where the content of a listed file is.
enum What {
    File {
        place: Place,
        name: Name,
        /// What its source is called.
        shown: Arc<[u8]>,
        /// True where it is the source itself.
        is_root: bool,
        /// As it was then.
        state: State,
    },
    Stream {
        input: Box<dyn Read + Send>,
        /// What its source is called.
        shown: Name,
        mtime: Time,
    },
}

/// A file whose content is wanted.
struct Wanted {
    file: u32,
    listed: Listed,
    marks: Vec<Hash>,
    basis: Option<Vec<Chunk>>,
}

/// The files between their listing and their end, in order.
#[derive(Default)]
struct Queue {
    unanswered: VecDeque<Listed>,
    wanted: VecDeque<Wanted>,
    /// The number of the first that is not answered.
    next: u32,
    /// How many chunks of older files are held.
    chunks: usize,
}

/// Sends all sources; returns when the receiver has said its last word.
///
/// # Errors
/// [`Stopped`]: the connection is gone, the receiver broke the protocol, or the patterns of the
/// request cannot be read. What happens to single files is no error: see [`Sent`].
pub fn send(
    sources: Vec<Source>,
    transfer: &Transfer,
    inbox: &mut dyn Inbox<FromReceiver>,
    outbox: &mut dyn Outbox,
    observer: &mut dyn Observer,
) -> Result<Sent, Stopped> {
    let mut link = Link::new(transfer.sources, inbox, outbox, observer);
    let mut walk = Walk::new(sources, transfer)?;
    let mut contents = Contents::new(transfer.options);
    let mut handles = Handles::new();
    let mut queue = Queue::default();
    loop {
        while queue.takes_more(&link) {
            let Some(message) = link.poll()? else { break };
            if let Some(tally) = queue.heard(message, &mut link) {
                return Ok(Sent { tally, troubles: link.troubles() });
            }
        }
        let enough = link.exchange().has_enough();
        if enough && walk.has_more() {
            let (link, handles, listed) = (&mut link, &mut handles, &mut queue.unanswered);
            walk.end(&mut Ends { link, handles, listed })?;
        }
        let lists = walk.has_more() && link.exchange().has_room();
        let ready = link.exchange().next_wanted().is_some();
        if lists && (!ready || queue.unanswered.len() < limits::FILES_ASKED) {
            let (link, handles, listed) = (&mut link, &mut handles, &mut queue.unanswered);
            walk.step(&mut Ends { link, handles, listed })?;
        } else if enough && let Some(wanted) = queue.begin() {
            Contents::give_up(&wanted, &mut link)?;
        } else if ready && let Some(wanted) = queue.begin() {
            contents.send(wanted, &mut link, &mut handles)?;
        } else {
            link.flush()?;
            let message = link.wait()?;
            if let Some(tally) = queue.heard(message, &mut link) {
                return Ok(Sent { tally, troubles: link.troubles() });
            }
        }
    }
}

impl Queue {
    /// False where enough is known to go on with, and more would only take memory.
    fn takes_more(&self, link: &Link<'_>) -> bool {
        self.chunks < limits::BASIS_ALL || link.exchange().next_wanted().is_none()
    }

    /// Takes out the file whose content comes next.
    fn begin(&mut self) -> Option<Wanted> {
        let wanted = self.wanted.pop_front()?;
        self.chunks -= wanted.basis.as_ref().map_or(0, Vec::len);
        Some(wanted)
    }

    /// What the receiver says, which the exchange has let pass; its last word.
    fn heard(&mut self, message: FromReceiver, link: &mut Link<'_>) -> Option<Tally> {
        match message {
            FromReceiver::Skip(count) => {
                for _ in 0..count {
                    let bytes = self.answered().and_then(|listed| listed.size).unwrap_or(0);
                    link.tell(Happening::Skipped { bytes });
                }
            }
            FromReceiver::Want(count) => {
                (0..count).for_each(|_| self.want(Vec::new(), None));
            }
            FromReceiver::Resume(resume) => self.want(resume.marks, resume.basis.then(Vec::new)),
            FromReceiver::Basis { chunks, .. } => {
                let last = self.wanted.back_mut().and_then(|wanted| wanted.basis.as_mut());
                if let Some(basis) = last {
                    self.chunks += chunks.len();
                    basis.extend_from_slice(&chunks);
                }
            }
            FromReceiver::Trouble { path, text } => {
                link.tell(Happening::Trouble { path: &path, text: &text, theirs: true });
            }
            FromReceiver::Note { note, path } => link.tell(Happening::Noted { note, path: &path }),
            // The link has taken note of it.
            FromReceiver::Enough(_) => {}
            FromReceiver::Finished(tally) => return Some(tally),
        }
        None
    }

    fn answered(&mut self) -> Option<Listed> {
        self.next += 1;
        self.unanswered.pop_front()
    }

    fn want(&mut self, marks: Vec<Hash>, basis: Option<Vec<Chunk>>) {
        let file = self.next;
        if let Some(listed) = self.answered() {
            self.wanted.push_back(Wanted { file, listed, marks, basis });
        }
    }
}

impl Listed {
    /// What it is called in messages.
    fn path(&self) -> Vec<u8> {
        match &self.what {
            What::Stream { shown, .. } => shown.as_bytes().to_vec(),
            What::File { shown, is_root: true, .. } => shown.to_vec(),
            What::File { place, name, shown, .. } => joined(shown, &place.path(Some(name))),
        }
    }
}

#[cfg(test)]
mod tests;
