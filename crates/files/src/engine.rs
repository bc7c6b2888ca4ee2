//! What both engines have in common: where words come from and go to, and how a transfer stops.

use sockeye_wire::files::{Note, Wrong};

use crate::parcel::Parcel;

/// The connection is of no more use. Why is known to whoever holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gone;

/// What the other side says, in batches of whole messages.
pub trait Inbox<M> {
    /// The next message; waits for it.
    ///
    /// # Errors
    /// [`Gone`] where no more will come.
    fn wait(&mut self) -> Result<M, Gone>;

    /// The next message that is there already.
    ///
    /// # Errors
    /// [`Gone`] where no more will come.
    fn poll(&mut self) -> Result<Option<M>, Gone>;

    /// A payload is of no more use: its memory may take the next.
    fn reuse(&mut self, _payload: Vec<u8>) {}
}

/// Where our words go.
pub trait Outbox {
    /// Takes whole frames; waits while the connection takes no more. Few large pieces are cheaper
    /// than many small ones.
    ///
    /// # Errors
    /// [`Gone`] where nobody will get them.
    fn send(&mut self, frames: Parcel) -> Result<(), Gone>;

    /// An empty one to write frames to, with the memory of one that was sent where there is one.
    fn parcel(&mut self) -> Parcel;
}

/// Something that happens, for whoever shows it.
#[derive(Debug, Clone)]
pub enum Happening<'a> {
    /// A file was listed: so many bytes more that may have to move (0 where nobody knows).
    Listed {
        /// Its length.
        bytes: u64,
    },
    /// So many bytes of content went or came, over the connection or from what was there already.
    Moved {
        /// As they are in the file.
        bytes: u64,
    },
    /// The content of a file went out whole, or was stored and proved.
    Stored {
        /// Which, from the name of its source.
        path: &'a [u8],
        /// Its length.
        bytes: u64,
    },
    /// A file needs not move: it is there and equal.
    Skipped {
        /// Its length.
        bytes: u64,
    },
    /// Something was or would be done.
    Noted {
        /// What.
        note: Note,
        /// To which file.
        path: &'a [u8],
    },
    /// Something failed, here or there; the transfer goes on.
    Trouble {
        /// Which file.
        path: &'a [u8],
        /// Why, in words. Where `theirs`, it comes from the peer: escape it before it is shown.
        text: &'a str,
        /// True where the other side said so.
        theirs: bool,
    },
}

/// Sees what happens.
pub trait Observer {
    /// This happens.
    fn tell(&mut self, happening: Happening<'_>);
}

/// Why a transfer came to no end of its own.
#[derive(Debug, thiserror::Error)]
pub enum Stopped {
    /// The connection is gone; its owner knows why.
    #[error("the connection ended in the middle of the transfer")]
    Gone,
    /// The other side broke the protocol.
    #[error(transparent)]
    Peer(#[from] Wrong),
    /// The transfer as a whole cannot be.
    #[error("{0}")]
    Refused(String),
    /// Whoever read what is received as a stream has seen enough, as in `| head`.
    #[error("nobody reads the output any more")]
    OutputClosed,
}

impl From<Gone> for Stopped {
    fn from(_: Gone) -> Stopped {
        Stopped::Gone
    }
}
