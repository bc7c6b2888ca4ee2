//! Destinations that take no more: a full disk, a quota that is used up, a file system that is read-only.
//! Who sends all the rest to such a one sends it for nothing.

use std::io;

use rustix::io::Errno;
use sockeye_limits as limits;
use sockeye_wire::files::FromReceiver;

use super::Receiver;
use super::words::cannot;
use crate::engine::Stopped;

/// Whether the destination takes more.
#[derive(Default)]
pub(super) struct Room {
    /// How many things in a row found none, and what the last one was told.
    failed: u32,
    error: Option<Errno>,
    /// The sender was told that nothing more is wanted.
    enough: bool,
}

impl Receiver<'_> {
    /// True where nothing more is wanted.
    pub(super) fn has_enough(&self) -> bool {
        self.room.enough
    }

    /// A file is stored. One without content may be where there is no room for any.
    pub(super) fn found_room(&mut self, bytes: u64) {
        if bytes > 0 {
            self.room.failed = 0;
        }
    }

    /// Something could not be made or written for this reason.
    pub(super) fn missed(&mut self, error: &io::Error) {
        let error = Errno::from_io_error(error);
        if let Some(full @ (Errno::NOSPC | Errno::DQUOT | Errno::ROFS)) = error {
            self.room.failed += 1;
            self.room.error = Some(full);
        }
    }

    /// Where several things in a row found no room, the sender hears that it is enough.
    pub(super) fn end_where_full(&mut self) -> Result<(), Stopped> {
        if self.room.failed < limits::FULL_FAILURES || self.room.enough {
            return Ok(());
        }
        self.room.enough = true;
        let error = io::Error::from(self.room.error.unwrap_or(Errno::NOSPC));
        let what = "after several failures in a row the rest was not tried";
        let top = self.folders.at(self.roots.top()).path(None);
        let path = if top.is_empty() { b".".to_vec() } else { top };
        self.talk.trouble(path, cannot(what, &error))?;
        self.talk.say(&FromReceiver::Enough(None))?;
        self.skip_all()?;
        self.talk.flush()
    }

    /// The content that comes has failed: the rest of it would be thrown away.
    pub(super) fn end_content(&mut self) -> Result<(), Stopped> {
        match &mut self.content {
            Some(content) if !self.room.enough => {
                content.file.given_up = true;
                let number = content.number;
                self.talk.say(&FromReceiver::Enough(Some(number)))?;
                self.talk.flush()
            }
            _ => Ok(()),
        }
    }
}
