//! How much of a file has to come while it comes: a sender that trickles whole frames holds nobody.

use std::time::Duration;

use sockeye_limits as limits;
use sockeye_wire::files::{FromReceiver, FromSender};

/// What a message is to the content of a file whose length is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Part {
    /// It begins; so much of it is to come.
    Begins(u64),
    /// So much of it.
    Piece(u64),
    /// It is over, or has no length: who knows when the input of a stream goes on.
    Ends,
    /// Nothing.
    Other,
}

/// What somebody says of contents.
pub(super) trait Parts {
    /// What this is to a content.
    fn part(&self) -> Part;
}

impl Parts for FromSender {
    fn part(&self) -> Part {
        match self {
            FromSender::Begin { size: Some(size), from, .. } => {
                Part::Begins(size.saturating_sub(*from))
            }
            FromSender::Data(data) => Part::Piece(data.len() as u64),
            FromSender::Packed { length, .. } => Part::Piece(u64::from(*length)),
            FromSender::Hole(length) | FromSender::Copy { length, .. } => Part::Piece(*length),
            FromSender::Begin { size: None, .. }
            | FromSender::Close { .. }
            | FromSender::Void { .. } => Part::Ends,
            _ => Part::Other,
        }
    }
}

impl Parts for FromReceiver {
    fn part(&self) -> Part {
        Part::Other
    }
}

/// Watches the content that is coming. The time that counts is what we spend waiting for the peer,
/// and a window of it begins behind a piece: a sender may be silent while it reads, and then sends
/// much at once.
#[derive(Debug, Default)]
pub(super) struct Headway {
    /// What is to come of the content that has begun.
    left: u64,
    window: Option<Window>,
}

#[derive(Debug, Default)]
struct Window {
    waited: Duration,
    moved: u64,
}

impl Headway {
    /// This came.
    pub(super) fn heard(&mut self, part: Part) {
        match part {
            Part::Begins(left) => *self = Headway { left, window: None },
            Part::Piece(bytes) if bytes < self.left => {
                self.left -= bytes;
                let window = self.window.get_or_insert_default();
                window.moved = window.moved.saturating_add(bytes);
            }
            Part::Piece(_) | Part::Ends => *self = Headway::default(),
            Part::Other => {}
        }
    }

    /// We have waited so long for what came.
    pub(super) fn waited(&mut self, span: Duration) {
        if let Some(window) = &mut self.window {
            window.waited += span;
        }
    }

    /// True where a window is over and too little came in it.
    pub(super) fn is_short(&mut self) -> bool {
        let over = |window: &mut Window| window.waited >= limits::TRANSFER_FRAME_TIME;
        let window = self.window.take_if(over);
        window.is_some_and(|window| window.moved < limits::TRANSFER_LEAST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// True where this peer is given up: a content of so many bytes, of which a piece comes each so
    /// often.
    fn is_given_up(length: u64, piece: u64, each: Duration) -> bool {
        let mut headway = Headway::default();
        headway.heard(Part::Begins(length));
        for _ in 0..(length / piece).min(10_000) {
            headway.waited(each);
            headway.heard(Part::Piece(piece));
            if headway.is_short() {
                return true;
            }
        }
        false
    }

    /// Fault 70, P-X18: pieces of one byte are too little, however long each takes; 64 kbit/s, and
    /// much at once behind a long silence, are not.
    #[test]
    fn least() {
        for seconds in [1, 5, 63, 1000] {
            assert!(is_given_up(1 << 20, 1, SECOND * seconds), "{seconds} s");
        }
        assert!(is_given_up(1 << 30, 1000, SECOND));
        assert!(!is_given_up(1 << 24, 8000, SECOND));
        assert!(!is_given_up(1 << 24, 256 * 1024, SECOND * 3600));
    }

    /// P-X18: the last piece of a file may be short, and there is nothing to be late for between
    /// two contents.
    #[test]
    fn ends() {
        let mut headway = Headway::default();
        headway.heard(Part::Begins(10));
        for part in [Part::Piece(1), Part::Piece(9), Part::Ends, Part::Begins(10), Part::Ends] {
            headway.heard(part);
        }
        headway.waited(SECOND * 1000);
        assert!(!headway.is_short());
    }
}
