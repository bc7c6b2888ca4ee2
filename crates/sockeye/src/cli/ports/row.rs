//! One socket of the table, as lines of a screen.

use std::fmt::Write;

use sockeye_net::shown;
use sockeye_observe::snapshot::Owned;
use sockeye_observe::sockets::{Socket, UnixKind, UnixSocket};

use super::details::{self, Detail};
use super::paint::{Ink, Screen, clip, width};

/// What became of a row since the last look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Same,
    New,
    Changed,
    Gone,
}

/// A socket as it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Row {
    /// The heading that it stands under.
    pub(super) state: &'static str,
    pub(super) kind: &'static str,
    pub(super) local: String,
    pub(super) peer: Option<String>,
    pub(super) owner: Detail,
    pub(super) details: Vec<Detail>,
    /// Which socket it is, whatever its state.
    pub(super) key: String,
    /// What is compared: it runs down no clock.
    pub(super) facts: (u32, u32, Option<u32>),
    pub(super) mark: Mark,
}

impl Row {
    pub(super) fn ends(&self) -> String {
        match &self.peer {
            Some(peer) => format!("{} ↔ {peer}", self.local),
            None => self.local.clone(),
        }
    }

    /// One line, or several where it is wider than the screen; then the details.
    pub(super) fn write(&self, text: &mut String, ends: &str, column: usize, screen: &Screen) {
        let (ink, mark) = match self.mark {
            Mark::Same => (Ink::Plain, ' '),
            Mark::New => (Ink::Good, '+'),
            Mark::Changed => (Ink::Changed, '~'),
            Mark::Gone => (Ink::Bad, '-'),
        };
        let start = format!("{mark} {:<5}", self.kind);
        let room = screen.width.saturating_sub(width(&start));
        let (owner_ink, owner) = (self.owner.0, clip(&self.owner.1, room));
        let put = |text: &mut String, line: &str| {
            let _ = writeln!(text, "{}", line.trim_end());
        };
        let beside = column.max(width(ends)) + 2;
        if !owner.is_empty() && beside + width(&owner) <= room {
            let gap = " ".repeat(beside - width(ends));
            let owner = screen.ink(owner_ink, &owner);
            put(text, &format!("{}{gap}{owner}", screen.ink(ink, &format!("{start}{ends}"))));
        } else {
            let indent = " ".repeat(width(&start));
            let pieces = if width(ends) <= room {
                vec![ends.to_owned()]
            } else {
                let peer = self.peer.iter().map(|peer| format!("↔ {peer}"));
                std::iter::once(self.local.clone()).chain(peer).collect()
            };
            for (at, piece) in pieces.iter().enumerate() {
                let lead = if at == 0 { &start } else { &indent };
                put(text, &screen.ink(ink, &format!("{lead}{}", clip(piece, room))));
            }
            if !owner.is_empty() {
                put(text, &format!("{indent}{}", screen.ink(owner_ink, &owner)));
            }
        }
        wrap(text, &self.details, 9, screen);
    }
}

/// A TCP or UDP socket.
pub(super) fn inet(found: &Owned<Socket>, verbose: bool) -> Row {
    let socket = &found.socket;
    let peer = socket.peer.map(|peer| peer.to_string());
    let local = socket.local.to_string();
    let inode = socket.inode.filter(|_| peer.is_none()).unwrap_or(0);
    Row {
        state: socket.state.name(),
        kind: socket.protocol.name(),
        key: format!("{} {local} {peer:?} {inode}", socket.protocol.name()),
        local,
        peer,
        owner: details::owner(found),
        details: details::of(socket, verbose),
        facts: (socket.receive_queue, socket.send_queue, socket.drops),
        mark: Mark::Same,
    }
}

/// A Unix socket.
pub(super) fn unix(found: &Owned<UnixSocket>) -> Row {
    let socket = &found.socket;
    let local = match socket.name.as_deref() {
        Some([0, name @ ..]) => format!("@{}", shown::bytes(name)),
        Some(path) => shown::bytes(path),
        None => format!("(no name, inode {})", socket.inode),
    };
    Row {
        state: socket.state.name(),
        kind: match socket.kind {
            UnixKind::Stream => "unix",
            UnixKind::Datagram => "ugram",
            UnixKind::SeqPacket => "useq",
        },
        local,
        peer: socket.peer.map(|peer| format!("inode {peer}")),
        owner: details::owner_unix(found),
        details: details::of_unix(socket),
        key: format!("unix {}", socket.inode),
        facts: (socket.receive_queue.unwrap_or(0), 0, None),
        mark: Mark::Same,
    }
}

/// Pieces with ` · ` between them, in lines of the screen's width; a piece that is wider breaks at
/// its spaces.
pub(super) fn wrap(text: &mut String, pieces: &[Detail], indent: usize, screen: &Screen) {
    let room = screen.width.saturating_sub(indent).max(20);
    let mut column = 0;
    for (at, (ink, piece)) in pieces.iter().enumerate() {
        let last = at + 1 == pieces.len();
        for (place, word) in piece.split(' ').enumerate() {
            let word = clip(word, room);
            let lead = match (column, place) {
                (0, _) => " ".repeat(indent),
                (_, 0) => " · ".to_owned(),
                _ => " ".to_owned(),
            };
            let whole = if place == 0 { width(piece).min(room) } else { width(&word) };
            if column > 0 && column + width(&lead) + whole > room {
                let _ = write!(text, "\n{}{}", " ".repeat(indent), screen.ink(*ink, &word));
                column = width(&word);
            } else {
                let _ = write!(text, "{lead}{}", screen.ink(*ink, &word));
                column += width(&word) + if column > 0 { width(&lead) } else { 0 };
            }
        }
        if last {
            text.push('\n');
        }
    }
}
