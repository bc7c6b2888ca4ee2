//! Why a transfer as a whole cannot be, from the side that finds out to the one that asked.

use sockeye_files::{Outbox, Stopped};
use sockeye_wire::files::message::WHOLE;
use sockeye_wire::files::{FromReceiver, FromSender, Speech};

/// What a side says and hears of a transfer as a whole.
pub(super) trait Whole: Speech {
    /// Why the transfer cannot be, where this says so.
    fn refusal(&self) -> Option<&str>;

    /// The words that say so.
    fn refuse(text: String) -> Vec<u8>;
}

impl Whole for FromSender {
    fn refusal(&self) -> Option<&str> {
        match self {
            FromSender::Trouble { path, text } if path == WHOLE => Some(text),
            _ => None,
        }
    }

    fn refuse(text: String) -> Vec<u8> {
        let mut out = Vec::new();
        FromSender::Trouble { path: WHOLE.to_vec(), text }.put(&mut out);
        out
    }
}

impl Whole for FromReceiver {
    fn refusal(&self) -> Option<&str> {
        match self {
            FromReceiver::Trouble { path, text } if path == WHOLE => Some(text),
            _ => None,
        }
    }

    fn refuse(text: String) -> Vec<u8> {
        let mut out = Vec::new();
        FromReceiver::Trouble { path: WHOLE.to_vec(), text }.put(&mut out);
        out
    }
}

/// Tells the other side why the transfer cannot be, in the words of our side; as far as it still
/// listens.
pub(super) fn tell_refusal<M: Whole>(stopped: &Stopped, outbox: &mut dyn Outbox) {
    if let Stopped::Refused(text) = stopped {
        let _ = outbox.send(M::refuse(text.clone()).into());
    }
}
