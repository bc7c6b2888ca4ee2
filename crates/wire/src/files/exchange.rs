//! Who may say what when in a transfer (clauses P-X10 to P-X15): one machine for both sides.

use std::collections::VecDeque;

use sockeye_limits as limits;

use super::frames::{Fault, Role, Wrong};
use super::held::{Held, Load};
use super::message::{Entry, FromReceiver, FromSender, Node, Resume};
use super::segment;

/// What has been said in a transfer, as far as it decides what may be said next.
///
/// Both ends feed it with the words of both sides, in the order in which they say and hear them.
/// Those orders differ, but whatever answers something comes behind it in both. So each end lets pass
/// what the other end let its owner say. A word that is refused changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    sources: u32,
    /// The least index that the next source may have.
    next_root: u32,
    depth: usize,
    /// A directory was opened, and nothing is listed in it yet.
    opened: bool,
    listed: bool,
    /// The next file's number.
    files: u32,
    /// Those that were listed and not answered: their lengths, and what is held of them.
    unanswered: VecDeque<(Option<u64>, Load)>,
    /// Those whose content is to come, in order.
    wanted: VecDeque<Wanted>,
    /// The chunks of the last wanted file's older version are being told.
    basis_open: bool,
    /// What is held of files that are not settled.
    held: Held,
    content: Option<Content>,
    /// The receiver wants no more contents.
    enough: bool,
    finished: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Wanted {
    file: u32,
    /// Its length as it was listed, which says how long the segments of the marks are.
    size: Option<u64>,
    marks: u64,
    /// The older version's length and chunks, as far as they were told.
    basis: u64,
    chunks: usize,
    /// It has begun again once.
    again: bool,
    load: Load,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Content {
    size: Option<u64>,
    segment: u64,
    at: u64,
    /// The end of the last segment that has its mark; or where the content began.
    marked: u64,
}

impl Exchange {
    /// A transfer of so many sources.
    pub fn new(sources: u32) -> Exchange {
        Exchange {
            sources,
            next_root: 0,
            depth: 0,
            opened: false,
            listed: false,
            files: 0,
            unanswered: VecDeque::new(),
            wanted: VecDeque::new(),
            basis_open: false,
            held: Held::default(),
            content: None,
            enough: false,
            finished: false,
        }
    }

    // Getters.

    /// How many files are listed and not settled.
    pub fn pending(&self) -> usize {
        self.unanswered.len() + self.wanted.len()
    }

    /// True where one more file may be listed, whatever it has.
    pub fn has_room(&self) -> bool {
        self.pending() < limits::FILES_AHEAD && self.held.has_room()
    }

    /// True where all is listed and settled: the receiver may say that it has finished.
    pub fn is_settled(&self) -> bool {
        self.listed && self.pending() == 0
    }

    /// True where the receiver has said that it wants no more contents at all.
    pub fn has_enough(&self) -> bool {
        self.enough
    }

    /// True where the receiver has said its last word.
    pub fn is_finished(&self) -> bool {
        self.finished
    }

    /// The number of the file whose content comes next, where its answer is whole.
    pub fn next_wanted(&self) -> Option<u32> {
        let first = self.wanted.front()?;
        let told = !(self.basis_open && self.wanted.len() == 1);
        told.then_some(first.file)
    }

    // Inputs.

    /// The sender says this.
    ///
    /// # Errors
    /// Where it may not.
    pub fn sender_says(&mut self, message: &FromSender) -> Result<(), Wrong> {
        if self.finished {
            return sender("something after the receiver has finished");
        }
        match message {
            FromSender::Root { index, entry, .. } => self.root(*index, entry),
            FromSender::Entry(entry) => {
                if self.depth == 0 {
                    return sender("a file that is in no directory");
                }
                self.enter(entry)
            }
            FromSender::Leave { .. } => {
                let above = self.depth.checked_sub(1).ok_or(said("an end of no directory"))?;
                self.held.leave(self.depth, self.files);
                (self.depth, self.opened) = (above, false);
                self.held.settled_before(self.first_pending());
                Ok(())
            }
            FromSender::Ignore(_) if !self.opened => {
                sender("patterns that are not at the beginning of a directory")
            }
            FromSender::Ignore(text) => {
                self.held.ignore(self.depth, text.len()).map_err(said)?;
                self.opened = false;
                Ok(())
            }
            // Later it might cross the receiver's last word; a content that fails is void.
            FromSender::Trouble { .. } if self.listed => {
                sender("trouble with a listing that has ended")
            }
            FromSender::Trouble { .. } => Ok(()),
            FromSender::Listed => {
                if self.listed || self.depth > 0 {
                    return sender("an end of the listing in its middle");
                }
                self.listed = true;
                Ok(())
            }
            FromSender::Small { file, .. } => {
                self.wanted(*file)?;
                self.settle();
                Ok(())
            }
            FromSender::Begin { file, size, from, .. } => self.begin(*file, *size, *from),
            FromSender::Data(data) => self.piece(data.len() as u64),
            FromSender::Packed { length, .. } => self.piece(u64::from(*length)),
            FromSender::Hole(length) if *length > limits::HOLE_BYTES => {
                sender("a hole that is longer than is allowed")
            }
            FromSender::Hole(length) => self.piece(*length),
            FromSender::Copy { offset, length } => {
                let basis = self.wanted.front().map_or(0, |wanted| wanted.basis);
                if offset.checked_add(*length).is_none_or(|end| end > basis) {
                    return sender("a copy of what the receiver does not have");
                }
                self.piece(*length)
            }
            FromSender::Mark(_) => self.mark(),
            FromSender::Close { .. } => self.close(),
            FromSender::Void { file, again, .. } => self.void(*file, *again),
        }
    }

    /// The receiver says this.
    ///
    /// # Errors
    /// Where it may not.
    pub fn receiver_says(&mut self, message: &FromReceiver) -> Result<(), Wrong> {
        if self.finished {
            return receiver("something after it had finished");
        }
        match message {
            FromReceiver::Trouble { .. } | FromReceiver::Note { .. } => Ok(()),
            FromReceiver::Basis { chunks, last } => {
                let of = self.wanted.back_mut().filter(|_| self.basis_open);
                let of = of.ok_or(heard("chunks that nobody waits for"))?;
                if of.chunks + chunks.len() > limits::BASIS_ALL {
                    return receiver("more chunks of a file than are allowed");
                }
                if self.held.chunks + chunks.len() > limits::CHUNKS_HELD {
                    return receiver("more chunks at a time than are allowed");
                }
                of.chunks += chunks.len();
                self.held.chunks += chunks.len();
                // So many chunks of less than 4 GiB each.
                of.basis += chunks.iter().map(|chunk| u64::from(chunk.length)).sum::<u64>();
                self.basis_open = !last;
                Ok(())
            }
            _ if self.basis_open => receiver("something between the chunks of a file"),
            FromReceiver::Skip(count) => {
                self.answerable(*count)?;
                for (_, load) in self.unanswered.drain(..*count as usize) {
                    self.held.settle(load);
                }
                self.held.settled_before(self.first_pending());
                Ok(())
            }
            FromReceiver::Want(_) | FromReceiver::Resume(_) | FromReceiver::Enough(_)
                if self.enough =>
            {
                receiver("that it wants more where it had enough")
            }
            FromReceiver::Enough(None) => {
                self.enough = true;
                Ok(())
            }
            FromReceiver::Enough(Some(file)) => {
                // At the sender its content may have come to its end meanwhile.
                let next = self.wanted.front().map(|wanted| wanted.file);
                match *file < self.first_pending() || next == Some(*file) {
                    true => Ok(()),
                    false => receiver("enough of a file whose turn has not come"),
                }
            }
            FromReceiver::Want(count) => {
                let first = self.answerable(*count)?;
                let listed = self.unanswered.drain(..*count as usize);
                let wanted = listed.zip(first..);
                self.wanted
                    .extend(wanted.map(|((size, load), file)| Wanted::whole(file, size, load)));
                Ok(())
            }
            FromReceiver::Resume(resume) => self.resume(resume),
            FromReceiver::Finished(_) => {
                if !self.is_settled() {
                    return receiver("that it has finished where files are missing");
                }
                self.finished = true;
                Ok(())
            }
        }
    }

    /// The content of the first wanted file has come, or never will.
    fn settle(&mut self) {
        if let Some(Wanted { marks, chunks, load, .. }) = self.wanted.pop_front() {
            self.held.marks -= marks;
            self.held.chunks -= chunks;
            self.held.settle(load);
            self.held.settled_before(self.first_pending());
        }
    }

    /// The number of the first file that is not settled; of the next one where there is none.
    fn first_pending(&self) -> u32 {
        // No more files are open than were counted, and those that are wanted were listed before.
        let unanswered = self.files - self.unanswered.len() as u32;
        self.wanted.front().map_or(unanswered, |wanted| wanted.file)
    }

    fn root(&mut self, index: u32, entry: &Entry) -> Result<(), Wrong> {
        if self.listed || self.depth > 0 {
            return sender("a source in the middle of another");
        }
        if index < self.next_root || index >= self.sources {
            return sender("a source that was not asked for");
        }
        self.enter(entry)?;
        self.next_root = index + 1;
        Ok(())
    }

    fn enter(&mut self, entry: &Entry) -> Result<(), Wrong> {
        self.list(entry)?;
        self.opened = entry.node == Node::Directory;
        Ok(())
    }

    fn list(&mut self, entry: &Entry) -> Result<(), Wrong> {
        match entry.node {
            Node::Directory if self.depth >= limits::TREE_DEPTH => {
                sender("more directories in one another than are allowed")
            }
            Node::Directory => {
                self.depth += 1;
                Ok(())
            }
            Node::File { size, group } => {
                if self.pending() >= limits::FILES_AHEAD {
                    return sender("more files than were asked for");
                }
                let files = self.files.checked_add(1).ok_or(said("too many files"))?;
                let load = self.held.list(entry, group).map_err(said)?;
                self.files = files;
                self.unanswered.push_back((size, load));
                Ok(())
            }
            Node::Link(group) => self.held.link(group).map_err(said),
            Node::Symlink { .. } | Node::Fifo { .. } => Ok(()),
        }
    }

    /// The number of the first file that has no answer, where so many have none.
    fn answerable(&self, count: u32) -> Result<u32, Wrong> {
        let open = self.unanswered.len();
        if count as usize > open {
            return receiver("an answer to a file that was not listed");
        }
        // No more files are open than were counted.
        Ok(self.files - open as u32)
    }

    fn resume(&mut self, resume: &Resume) -> Result<(), Wrong> {
        let file = self.answerable(1)?;
        let Some(&(Some(size), load)) = self.unanswered.front() else {
            return receiver("a part of a file whose length nobody knows");
        };
        let marks = resume.marks.len() as u64;
        if marks > 0 && marks.saturating_mul(segment(size)) >= size {
            return receiver("proofs of more than the file has");
        }
        if self.held.marks + marks > limits::MARKS_HELD {
            return receiver("more proofs at a time than are allowed");
        }
        self.held.marks += marks;
        self.unanswered.pop_front();
        self.wanted.push_back(Wanted { marks, ..Wanted::whole(file, Some(size), load) });
        self.basis_open = resume.basis;
        Ok(())
    }

    /// The first of those that are wanted, if it is this one and nothing of it is on its way.
    fn wanted(&mut self, file: u32) -> Result<&mut Wanted, Wrong> {
        if self.content.is_some() {
            return sender("a file in the middle of another");
        }
        if self.next_wanted() != Some(file) {
            return sender("a file that is not wanted now");
        }
        self.wanted.front_mut().ok_or(said("a file that is not wanted"))
    }

    fn begin(&mut self, file: u32, size: Option<u64>, from: u64) -> Result<(), Wrong> {
        let wanted = self.wanted(file)?;
        let segment = segment(size.unwrap_or(0));
        let proved = from.is_multiple_of(segment) && from / segment <= wanted.marks;
        // Of a file that has another length by now the receiver has nothing.
        let same = size == wanted.size && size.is_some_and(|size| from < size);
        if from > 0 && !(proved && same) {
            return sender("a beginning that the receiver does not have");
        }
        self.content = Some(Content { size, segment, at: from, marked: from });
        Ok(())
    }

    fn piece(&mut self, length: u64) -> Result<(), Wrong> {
        let content = self.content.as_mut().ok_or(said("content of no file"))?;
        let whole = content.at == content.marked + content.segment;
        if whole {
            return sender("more of a file before the proof of what came");
        }
        let end = content.at.checked_add(length).ok_or(said("a file without end"))?;
        if content.size.is_some_and(|size| end > size) {
            return sender("more of a file than it said");
        }
        if end > content.marked + content.segment {
            return sender("a piece that reaches beyond its segment");
        }
        content.at = end;
        Ok(())
    }

    fn mark(&mut self) -> Result<(), Wrong> {
        let content = self.content.as_mut().ok_or(said("a proof of no file"))?;
        if content.at != content.marked + content.segment || Some(content.at) == content.size {
            return sender("a proof in the middle of a segment, or at the end of a file");
        }
        content.marked = content.at;
        Ok(())
    }

    fn close(&mut self) -> Result<(), Wrong> {
        let content = self.content.as_ref().ok_or(said("an end of no file"))?;
        if content.size.is_some_and(|size| size != content.at) {
            return sender("less of a file than it said");
        }
        self.content = None;
        self.settle();
        Ok(())
    }

    fn void(&mut self, file: u32, again: bool) -> Result<(), Wrong> {
        let told = self.next_wanted() == Some(file);
        let wanted = self.wanted.front_mut().filter(|_| told);
        let wanted = wanted.ok_or(said("a file that is not wanted now"))?;
        if again && wanted.again {
            return sender("a file for the third time");
        }
        if again {
            // It has changed: what the receiver has of it proves nothing any more.
            self.held.marks -= wanted.marks;
            (wanted.again, wanted.marks) = (true, 0);
        } else {
            self.settle();
        }
        self.content = None;
        Ok(())
    }
}

impl Wanted {
    fn whole(file: u32, size: Option<u64>, load: Load) -> Wanted {
        Wanted { file, size, marks: 0, basis: 0, chunks: 0, again: false, load }
    }
}

fn said(what: &'static str) -> Wrong {
    Wrong { guilty: Role::Sender, fault: Fault::OutOfOrder(what) }
}

fn heard(what: &'static str) -> Wrong {
    Wrong { guilty: Role::Receiver, fault: Fault::OutOfOrder(what) }
}

fn sender<T>(what: &'static str) -> Result<T, Wrong> {
    Err(said(what))
}

fn receiver<T>(what: &'static str) -> Result<T, Wrong> {
    Err(heard(what))
}
