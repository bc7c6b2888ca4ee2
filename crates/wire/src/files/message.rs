//! What sender and receiver of a transfer say to each other.

use std::fmt;

/// The path of a [`FromSender::Trouble`] or [`FromReceiver::Trouble`] that is about the transfer as a
/// whole: whoever says it ends the connection behind it (clause P-X19). No file can have it.
pub const WHOLE: &[u8] = b"\0";

/// A BLAKE3 hash, or the chaining value of a subtree of one.
pub type Hash = [u8; 32];

/// A file's name in its directory: 1 to 255 bytes, none of them `/` or NUL, and not `.` or `..`.
///
/// There is no other way to name anything beneath a source or a destination, so nothing that a peer
/// says can lead out of it.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name(Box<[u8]>);

impl Name {
    /// These bytes as a name; `None` where they are none.
    pub fn new(bytes: &[u8]) -> Option<Name> {
        let fits = (1..=255).contains(&bytes.len());
        let special = matches!(bytes, b"." | b"..") || bytes.iter().any(|b| matches!(b, b'/' | 0));
        (fits && !special).then(|| Name(bytes.into()))
    }

    /// Its bytes; they need not be UTF-8.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({})", self.0.escape_ascii())
    }
}

/// A moment: seconds since 1970 and nanoseconds, as `struct timespec`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Time {
    /// Seconds; before 1970 they are negative.
    pub seconds: i64,
    /// Nanoseconds, less than a thousand million.
    pub nanoseconds: u32,
}

/// Numbers of user and group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The user.
    pub uid: u32,
    /// The group.
    pub gid: u32,
}

/// What is known of a file beside its content.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Meta {
    /// Its permission bits: 12 of them, those of set-user-ID, set-group-ID and sticky included.
    pub mode: u16,
    /// When its content was last changed.
    pub mtime: Time,
    /// Whose it is; only where that was asked for ([`Options::archive`](super::Options)).
    pub owner: Option<Owner>,
    /// Its extended attributes, name and value; only where that was asked for.
    pub xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    /// True where these are all that it has (of those that everybody sees): what else a receiver's has
    /// is to go. Only where attributes were asked for.
    pub whole: bool,
}

/// What kind of file it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    /// A regular file. It is answered, and its content may follow.
    File {
        /// Its length in bytes; `None` for a stream whose end nobody knows.
        size: Option<u64>,
        /// Where it has several names: the number of its group, which no other group of this
        /// transfer has. Others of them follow as [`Node::Link`].
        group: Option<u32>,
    },
    /// A directory. What is in it follows, up to [`FromSender::Leave`].
    Directory,
    /// A symbolic link.
    Symlink {
        /// Where it points: not empty, no NUL, at most 4095 bytes.
        target: Vec<u8>,
        /// As a file's.
        group: Option<u32>,
    },
    /// Another name of the file, link or pipe that began this group.
    Link(u32),
    /// A named pipe.
    Fifo {
        /// As a file's.
        group: Option<u32>,
    },
}

/// One file of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name in the directory that is open.
    pub name: Name,
    /// What it is.
    pub node: Node,
    /// What else is known of it.
    pub meta: Meta,
}

/// What a sender says. Files are counted from 0 in the order in which they are listed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromSender {
    /// A source begins.
    Root {
        /// Which one of those that were asked for, or will be sent, from 0.
        index: u32,
        /// Tells this file from all others of this machine, until it is started again: a source
        /// that is its own destination is found by it.
        identity: [u8; 16],
        /// What it is.
        entry: Entry,
    },
    /// One more in the directory that is open.
    Entry(Entry),
    /// The text of the `.gitignore` file of the directory that is open (gitignore(5)), before anything
    /// that is in it; only where both [`Options::gitignore`](super::Options) and
    /// [`Options::delete`](super::Options) were asked for. What it names is not listed, and stays at
    /// the receiver.
    Ignore(Vec<u8>),
    /// The directory that is open has nothing more.
    Leave {
        /// True where all of it was read: only then may the receiver remove what was not listed.
        complete: bool,
    },
    /// Something could not be read. The transfer goes on and ends as a failure.
    Trouble {
        /// What, for people.
        path: Vec<u8>,
        /// Why.
        text: String,
    },
    /// All sources are listed.
    Listed,
    /// The whole content of a wanted file.
    Small {
        /// Which file.
        file: u32,
        /// When it was last changed, at the time of reading.
        mtime: Time,
        /// The hash of its content.
        hash: Hash,
        /// Its content.
        data: Vec<u8>,
    },
    /// The content of a wanted file begins.
    Begin {
        /// Which file.
        file: u32,
        /// When it was last changed, at the time of reading.
        mtime: Time,
        /// Its length at the time of reading; `None` for a stream.
        size: Option<u64>,
        /// Where it begins: 0, or as far as the receiver has it.
        from: u64,
    },
    /// The next bytes of it.
    Data(Vec<u8>),
    /// The next bytes of it, compressed with Zstandard (RFC 8878).
    Packed {
        /// How many they are.
        length: u32,
        /// One whole Zstandard frame.
        bytes: Vec<u8>,
    },
    /// So many zero bytes that need no space.
    Hole(u64),
    /// The next bytes are in the receiver's old file.
    Copy {
        /// From here in the old file.
        offset: u64,
        /// So many.
        length: u64,
    },
    /// The chaining value of the [`segment`](super::segment) that ends here.
    Mark(Hash),
    /// The content is whole.
    Close {
        /// The hash of the whole file.
        hash: Hash,
    },
    /// The content that was begun, or wanted, is of no use.
    Void {
        /// Which file.
        file: u32,
        /// True where it changed while it was read, and begins again.
        again: bool,
        /// Why.
        text: String,
    },
}

/// A chunk of a receiver's old file, whose borders its content decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Chunk {
    /// Its length in bytes, not 0.
    pub length: u32,
    /// The first half of its BLAKE3 hash. Two chunks that only seem equal are found out by the hash
    /// of the whole file.
    pub hash: [u8; 16],
}

/// An answer to a listed file: what the receiver has of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resume {
    /// The chaining value of each segment that it has, from the file's beginning.
    pub marks: Vec<Hash>,
    /// True where it has an older file: its chunks follow as [`FromReceiver::Basis`].
    pub basis: bool,
}

/// Something that a receiver did, or would do, for people to read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Note {
    /// It removed a file that the source does not have.
    Removed,
    /// It would store this (a dry run).
    WouldStore,
    /// It would remove this (a dry run).
    WouldRemove,
    /// The content stayed; mode, time, owner or attributes were changed to what the source has.
    Updated,
    /// They would be (a dry run).
    WouldUpdate,
    /// It would make this directory (a dry run).
    WouldMake,
}

/// What came of a transfer, as the receiver counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Files whose content was stored and proved.
    pub stored: u64,
    /// Files that were there and equal.
    pub skipped: u64,
    /// Those of them whose length and time alone were compared: nobody looked at what is in them.
    pub compared: u64,
    /// Files, directories, links and pipes that stayed, and of which mode, time, owner or attributes
    /// were changed; in a dry run those of which they would be.
    pub updated: u64,
    /// Directories, links and other things made or renewed.
    pub made: u64,
    /// Files and directories removed, each of them; in a dry run those that would be.
    pub removed: u64,
    /// What failed, at either side.
    pub failed: u64,
    /// Bytes of content that came over the connection, as they are in the files.
    pub data: u64,
    /// Bytes that were taken from older files at the receiver.
    pub reused: u64,
    /// Bytes that an earlier, interrupted transfer had left.
    pub resumed: u64,
}

impl Tally {
    /// Both together: each number stops at the largest there is, for a peer may claim any.
    #[must_use]
    pub fn plus(self, other: Tally) -> Tally {
        Tally {
            stored: self.stored.saturating_add(other.stored),
            skipped: self.skipped.saturating_add(other.skipped),
            compared: self.compared.saturating_add(other.compared),
            updated: self.updated.saturating_add(other.updated),
            made: self.made.saturating_add(other.made),
            removed: self.removed.saturating_add(other.removed),
            failed: self.failed.saturating_add(other.failed),
            data: self.data.saturating_add(other.data),
            reused: self.reused.saturating_add(other.reused),
            resumed: self.resumed.saturating_add(other.resumed),
        }
    }
}

/// What a receiver says. Each listed file is answered once, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FromReceiver {
    /// The next files, so many of them, are not wanted.
    Skip(u32),
    /// The next files, so many of them, are wanted whole.
    Want(u32),
    /// The next file is wanted, but for what is here.
    Resume(Resume),
    /// Chunks of the older file, from its beginning.
    Basis {
        /// The chunks.
        chunks: Vec<Chunk>,
        /// True for the last of these messages.
        last: bool,
    },
    /// Something could not be stored. The transfer goes on and ends as a failure.
    Trouble {
        /// What, from the name of its source, for people.
        path: Vec<u8>,
        /// Why.
        text: String,
    },
    /// Something happened, or would.
    Note {
        /// What.
        note: Note,
        /// To which file, from the name of its source.
        path: Vec<u8>,
    },
    /// More of a content is of no use, as where a disk is full: that of the file with this number, or
    /// with `None` those of all files that are not settled, and no more are to be listed.
    Enough(Option<u32>),
    /// Everything is stored, and proved, or told as trouble. The last message.
    Finished(Tally),
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P-X8, F7: what a peer claims comes to no more than the largest number, and to no less than that.
    #[test]
    fn sums_stop_at_the_largest() {
        let claimed = Tally { stored: u64::MAX, removed: u64::MAX - 1, ..Tally::default() };
        let sum = claimed.plus(Tally { stored: 1, removed: 1, data: 5, ..Tally::default() });
        assert_eq!((sum.stored, sum.removed, sum.data), (u64::MAX, u64::MAX, 5));
    }
}
