//! Any sequence of sayings of both sides of a transfer: what one end lets its owner say, the other
//! end lets pass, whatever crosses it on its way.

use std::collections::VecDeque;

use crate::files::{
    Chunk, Entry, Exchange, FromReceiver, FromSender, Meta, Name, Node, Note, Resume, Tally, Time,
    Wrong, segment,
};

const MIB: u64 = 1 << 20;

/// Lengths of files, and of pieces of them.
const SIZES: [Option<u64>; 8] = [
    Some(0),
    Some(1),
    Some(MIB),
    Some(MIB + 1),
    Some(3 * MIB),
    Some(17 << 30),
    Some(i64::MAX as u64),
    None,
];
const PIECES: [u64; 8] = [1, 2, MIB - 1, MIB, 2 * MIB, MIB - 2, 1 << 49, u64::MAX];

/// Each byte is one saying of either side, or carries some. What an end refuses to its owner is not
/// said.
pub fn transfer_operations(data: &[u8]) {
    let mut both = Both {
        sender: Exchange::new(8),
        receiver: Exchange::new(8),
        upward: VecDeque::new(),
        downward: VecDeque::new(),
        sizes: Vec::new(),
    };
    for byte in data.iter().take(20_000) {
        let (call, value) = (byte & 0x1f, usize::from(byte >> 5));
        match call {
            0..=16 => both.say_up(call, value),
            17..=23 => both.say_down(call, value),
            24..=26 => both.carry_up(1 << value),
            27..=29 => both.carry_down(1 << value),
            _ => both.settle(),
        }
    }
    both.settle();
    assert_eq!(both.sender, both.receiver, "both have heard the same");
}

struct Both {
    /// Either end's exchange.
    sender: Exchange,
    receiver: Exchange,
    /// What is on its way.
    upward: VecDeque<FromSender>,
    downward: VecDeque<FromReceiver>,
    /// The lengths of the files that were listed.
    sizes: Vec<Option<u64>>,
}

impl Both {
    fn say_up(&mut self, call: u8, value: usize) {
        let message = self.saying_up(call, value);
        if !tried(&mut self.sender, |exchange| exchange.sender_says(&message)) {
            return;
        }
        if let FromSender::Root { entry, .. } | FromSender::Entry(entry) = &message
            && let Node::File { size, .. } = entry.node
        {
            self.sizes.push(size);
        }
        self.upward.push_back(message);
    }

    fn saying_up(&self, call: u8, value: usize) -> FromSender {
        let n = value as u32;
        let file = self.sender.next_wanted().unwrap_or(n);
        let listed = self.sizes.get(file as usize).copied().flatten();
        match call {
            0 => root(n, SIZES[value]),
            1 => FromSender::Root { index: n, identity: [0; 16], entry: entry(Node::Directory) },
            2 => {
                let group = (value & 1 == 1).then_some(n / 6);
                FromSender::Entry(entry(Node::File { size: SIZES[value], group }))
            }
            3 => FromSender::Entry(entry(
                [Node::Directory, Node::Fifo { group: None }, Node::Link(0)][value % 3].clone(),
            )),
            4 => FromSender::Leave { complete: value & 1 == 0 },
            5 => FromSender::Listed,
            6 if value & 1 == 1 => FromSender::Ignore(vec![b'n'; MIB as usize]),
            6 => FromSender::Trouble { path: Vec::new(), text: String::new() },
            7 => small(if value == 7 { file + 1 } else { file }),
            8 => {
                let size = if value & 4 == 0 { listed } else { SIZES[value] };
                let from = (value as u64 & 3) * segment(listed.unwrap_or(0));
                FromSender::Begin { file, mtime: Time::default(), size, from }
            }
            9 => FromSender::Data(vec![0; value]),
            10 => FromSender::Hole(PIECES[value]),
            11 => FromSender::Copy { offset: PIECES[value] / 2, length: PIECES[value & 3] },
            12 => FromSender::Mark([0; 32]),
            13 => FromSender::Close { hash: [0; 32] },
            14 => FromSender::Void { file, again: true, text: String::new() },
            15 => FromSender::Void { file, again: false, text: String::new() },
            _ => FromSender::Packed { length: 1 << (2 * value), bytes: vec![0] },
        }
    }

    fn say_down(&mut self, call: u8, value: usize) {
        let message = self.saying_down(call, value);
        if tried(&mut self.receiver, |exchange| exchange.receiver_says(&message)) {
            self.downward.push_back(message);
        }
    }

    fn saying_down(&self, call: u8, value: usize) -> FromReceiver {
        match call {
            17 => FromReceiver::Skip(value as u32),
            18 => FromReceiver::Want(value as u32),
            19 => {
                let (marks, basis) = (vec![[0; 32]; value >> 1], value & 1 == 1);
                FromReceiver::Resume(Resume { marks, basis })
            }
            20 => {
                let chunks = vec![Chunk { length: 1 << 19, hash: [0; 16] }; value >> 1];
                FromReceiver::Basis { last: value & 1 == 1, chunks }
            }
            21 if value == 7 => FromReceiver::Enough(None),
            21 if value > 3 => {
                let next = self.receiver.next_wanted().unwrap_or(0);
                FromReceiver::Enough(Some((next + value as u32).saturating_sub(5)))
            }
            21 => FromReceiver::Trouble { path: Vec::new(), text: String::new() },
            22 => FromReceiver::Note { note: Note::Removed, path: Vec::new() },
            _ => FromReceiver::Finished(Tally::default()),
        }
    }

    fn carry_up(&mut self, most: usize) {
        for message in self.upward.drain(..most.min(self.upward.len())) {
            let heard = self.receiver.sender_says(&message);
            assert_eq!(heard, Ok(()), "the sender might say {message:?}");
        }
    }

    fn carry_down(&mut self, most: usize) {
        for message in self.downward.drain(..most.min(self.downward.len())) {
            let heard = self.sender.receiver_says(&message);
            assert_eq!(heard, Ok(()), "the receiver might say {message:?}");
        }
    }

    fn settle(&mut self) {
        self.carry_up(usize::MAX);
        self.carry_down(usize::MAX);
    }
}

/// Says something; what is refused must have changed nothing.
fn tried(exchange: &mut Exchange, say: impl FnOnce(&mut Exchange) -> Result<(), Wrong>) -> bool {
    let before = exchange.clone();
    let said = say(exchange).is_ok();
    assert!(said || *exchange == before, "changed by what was refused");
    said
}

fn entry(node: Node) -> Entry {
    let name = Name::new(b"n").expect("one letter is a name");
    Entry { name, node, meta: Meta::default() }
}

/// A source that is a file of this length.
pub(super) fn root(index: u32, size: Option<u64>) -> FromSender {
    let entry = entry(Node::File { size, group: None });
    FromSender::Root { index, identity: [0; 16], entry }
}

/// A whole content.
pub(super) fn small(file: u32) -> FromSender {
    FromSender::Small { file, mtime: Time::default(), hash: [0; 32], data: Vec::new() }
}
