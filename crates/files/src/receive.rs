//! The receiver: writes the trees that a sender tells of, beneath a handle, each file whole or not
//! at all.

mod answer;
mod content;
mod enough;
mod entry;
mod folder;
mod ignored;
pub(crate) mod journal;
mod leave;
mod links;
mod meta;
mod other;
mod remove;
mod root;
mod same;
mod small;
mod stream;
mod talk;
mod temporary;
#[cfg(test)]
mod tests;
mod unnamed;
mod words;

use std::collections::VecDeque;
use std::io::Write;
use std::os::fd::OwnedFd;

use sockeye_wire::files::{
    Fault, FromReceiver, FromSender, Name, Options, Placement, Role, Tally, Transfer, Wrong,
};

use crate::engine::{Inbox, Observer, Outbox, Stopped};
use crate::send::Filters;
use crate::tree::Handles;
use answer::Listed;
use content::{Awaited, Content, Scratch};
use enough::Room;
use folder::Folders;
use links::Groups;
use meta::Rights;
use root::Roots;
use small::Helper;
use talk::Talk;

pub(crate) use temporary::is_temporary;
#[cfg(test)]
pub(crate) use temporary::name::new as temporary_name;

/// Where files go.
pub enum Destination {
    /// `name` in `directory`, whether it exists or not; without a name the directory itself.
    ///
    /// A symbolic link of that name is never followed: resolve it before, where it should be.
    At {
        /// The directory.
        directory: OwnedFd,
        /// The name in it.
        name: Option<Name>,
    },
    /// One file as a stream (standard output).
    Stream(Box<dyn Write + Send>),
}

/// A listed directory that is open.
enum Open {
    Folder(folder::Id),
    /// It could not be made: nothing in it is wanted.
    Skipped,
}

struct Receiver<'a> {
    talk: Talk<'a>,
    options: Options,
    rights: Rights,
    filters: Filters,
    roots: Roots,
    handles: Handles,
    folders: Folders,
    /// The directories that are open, from the source inwards.
    open: Vec<Open>,
    /// Files that have no answer yet, in their order.
    unanswered: VecDeque<Listed>,
    /// Sources that were asked for and of which nothing was said; where patterns may leave them out,
    /// none.
    unspoken: u32,
    /// Files that are wanted, in their order.
    awaited: VecDeque<Awaited>,
    /// How many of these hold a file open.
    held: usize,
    content: Option<Content>,
    groups: Groups,
    room: Room,
    scratch: Scratch,
    /// Stores small files beside us, where there are several.
    helper: Option<Helper>,
}

/// Receives a transfer to its end, and says what came of it.
///
/// `expected` is, for a pull, the name that each source must have; where there is none, the source
/// is a directory whose content goes into the destination itself. It is empty for a push, whose
/// names are the client's own.
///
/// # Errors
/// [`Stopped`]; what was stored until then stays, and what can be resumed is kept.
pub fn receive(
    destination: Destination,
    transfer: &Transfer,
    expected: &[Option<Name>],
    inbox: &mut dyn Inbox<FromSender>,
    outbox: &mut dyn Outbox,
    observer: &mut dyn Observer,
) -> Result<Tally, Stopped> {
    let mut talk = Talk::new(transfer.sources, outbox, observer);
    let (directory, name) = match destination {
        Destination::Stream(output) => return stream::receive(output, inbox, &mut talk),
        Destination::At { directory, name } => (directory, name),
    };
    let mut handles = Handles::new();
    let mut folders = Folders::default();
    let filters = Filters::new(&transfer.filters).map_err(Stopped::Refused)?;
    let unspoken = unspoken(transfer, expected, &filters);
    let roots = Roots::new(directory, name, transfer, expected, &mut folders, &mut handles)?;
    let privileged = rustix::process::geteuid().is_root();
    let mut receiver = Receiver {
        talk,
        options: transfer.options,
        rights: Rights { archive: transfer.options.archive, privileged },
        filters,
        roots,
        handles,
        folders,
        open: Vec::new(),
        unanswered: VecDeque::new(),
        unspoken,
        awaited: VecDeque::new(),
        held: 0,
        content: None,
        groups: Groups::default(),
        room: Room::default(),
        scratch: Scratch::default(),
        helper: None,
    };
    receiver.run(inbox)
}

impl Receiver<'_> {
    fn run(&mut self, inbox: &mut dyn Inbox<FromSender>) -> Result<Tally, Stopped> {
        while !self.talk.is_settled() {
            let message = match inbox.poll()? {
                Some(message) => message,
                None => {
                    self.talk.flush()?;
                    // Our own last answer may have settled it.
                    if self.talk.is_settled() {
                        break;
                    }
                    inbox.wait()?
                }
            };
            self.talk.hears(&message)?;
            match message {
                FromSender::Data(data) => {
                    self.data(&data)?;
                    inbox.reuse(data);
                }
                message => self.take(message)?,
            }
            self.take_results(false)?;
            self.end_where_full()?;
            self.answer_next()?;
        }
        self.end()
    }

    fn take(&mut self, message: FromSender) -> Result<(), Stopped> {
        match message {
            FromSender::Root { index, identity, entry } => {
                self.unspoken = self.unspoken.saturating_sub(1);
                self.root(index, &identity, entry)
            }
            FromSender::Entry(entry) => match self.open.last() {
                Some(Open::Folder(id)) => self.entry(*id, entry),
                _ => self.pass_over(&entry.node),
            },
            FromSender::Ignore(text) => self.ignore(&text),
            FromSender::Leave { complete } => self.leave(complete),
            FromSender::Trouble { path, text } => {
                if let Some(Open::Folder(id)) = self.open.last() {
                    self.folders.at(*id).doubt = true;
                }
                self.unspoken = self.unspoken.saturating_sub(1);
                self.talk.their_trouble(&path, &text);
                Ok(())
            }
            FromSender::Listed => Ok(()),
            content => self.take_content(content),
        }
    }

    /// All is settled: what is left to do, and the last word.
    fn end(&mut self) -> Result<Tally, Stopped> {
        self.take_results(true)?;
        if self.unspoken > 0 && !self.has_enough() {
            return wrong("an end of the listing without a source that was asked for");
        }
        self.end_groups()?;
        for id in self.roots.take_folders() {
            self.clean_up(id)?;
            self.release(id)?;
        }
        let tally = self.talk.tally;
        self.talk.say(&FromReceiver::Finished(tally))?;
        self.talk.flush()?;
        Ok(tally)
    }

    /// Something failed with this file of this folder.
    fn trouble(
        &mut self,
        folder: folder::Id,
        name: Option<&Name>,
        text: String,
    ) -> Result<(), Stopped> {
        let path = self.folders.at(folder).path(name);
        self.talk.trouble(path, text)
    }
}

/// How many sources a sender has to speak of: all that were asked for, unless it may leave some out.
fn unspoken(transfer: &Transfer, expected: &[Option<Name>], filters: &Filters) -> u32 {
    if transfer.part.1 > 1 {
        return 0;
    }
    let may_be_left_out = |name: &Name| {
        // Which of both it is the sender knows.
        let either = [false, true].iter().any(|kind| filters.excludes_source(name, *kind));
        either && transfer.placement != Placement::Exact
    };
    let asked = expected.iter().filter(|name| !name.as_ref().is_some_and(may_be_left_out));
    u32::try_from(asked.count()).unwrap_or(u32::MAX)
}

/// The sender said what it may not.
fn wrong<T>(what: &'static str) -> Result<T, Stopped> {
    Err(Stopped::Peer(Wrong { guilty: Role::Sender, fault: Fault::OutOfOrder(what) }))
}
