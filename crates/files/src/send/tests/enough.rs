//! A receiver that has enough.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fs;
use std::rc::Rc;

use sockeye_wire::files::{Exchange, Frames, FromSender, Node};

use super::*;
use crate::engine::Gone;
use crate::parcel::Parcel;
use crate::testing::noise;

const MIB: usize = 1 << 20;

/// It wants all files, and has enough once the content of a large one begins: of that one, or of all.
struct Full {
    of_all: bool,
    exchange: Exchange,
    frames: Frames<FromSender>,
    says: VecDeque<FromReceiver>,
    /// The sender knows.
    known: bool,
    /// What it said, and what of that once it knew.
    heard: Vec<FromSender>,
    later: Vec<FromSender>,
}

impl Full {
    fn hear(&mut self, message: FromSender) {
        self.exchange.sender_says(&message).unwrap();
        let listed = match &message {
            FromSender::Root { entry, .. } | FromSender::Entry(entry) => Some(&entry.node),
            _ => None,
        };
        if let Some(Node::File { .. }) = listed {
            let enough = self.exchange.has_enough();
            self.say(if enough { FromReceiver::Skip(1) } else { FromReceiver::Want(1) });
        }
        if let FromSender::Begin { file, .. } = message {
            self.say(FromReceiver::Enough((!self.of_all).then_some(file)));
        }
        if self.known { &mut self.later } else { &mut self.heard }.push(message);
        if self.exchange.is_settled() && !self.exchange.is_finished() {
            self.say(FromReceiver::Finished(Tally::default()));
        }
    }

    fn say(&mut self, message: FromReceiver) {
        self.exchange.receiver_says(&message).unwrap();
        self.says.push_back(message);
    }
}

#[derive(Clone)]
struct Both(Rc<RefCell<Full>>);

impl Inbox<FromReceiver> for Both {
    fn wait(&mut self) -> Result<FromReceiver, Gone> {
        self.poll()?.ok_or(Gone)
    }

    fn poll(&mut self) -> Result<Option<FromReceiver>, Gone> {
        let mut full = self.0.borrow_mut();
        let next = full.says.pop_front();
        full.known |= matches!(next, Some(FromReceiver::Enough(_)));
        Ok(next)
    }
}

impl Outbox for Both {
    fn send(&mut self, frames: Parcel) -> Result<(), Gone> {
        let mut full = self.0.borrow_mut();
        for mut bytes in frames.bytes() {
            while !bytes.is_empty() {
                let space = full.frames.space();
                let count = space.len().min(bytes.len());
                space[..count].copy_from_slice(&bytes[..count]);
                full.frames.filled(count);
                bytes = &bytes[count..];
                while let Some(message) = full.frames.message().unwrap() {
                    full.hear(message);
                }
            }
        }
        Ok(())
    }

    fn parcel(&mut self) -> Parcel {
        Parcel::default()
    }
}

/// Sends a directory to it; what was heard before and after it was known that it has enough.
fn told(of_all: bool) -> (Vec<FromSender>, Vec<FromSender>) {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("d")).unwrap();
    fs::write(home.path().join("large"), noise(8 * MIB, 1)).unwrap();
    for number in 0..50 {
        fs::write(home.path().join(format!("d/{number}")), "small").unwrap();
    }
    let full = Full {
        of_all,
        exchange: Exchange::new(1),
        frames: Frames::new(Vec::new()),
        says: VecDeque::new(),
        known: false,
        heard: Vec::new(),
        later: Vec::new(),
    };
    let both = Both(Rc::new(RefCell::new(full)));
    let (mut ear, mut mouth, mut diary) = (both.clone(), both.clone(), Diary::default());
    let transfer = transfer(Options::default());
    let sent = send(vec![directory(home.path())], &transfer, &mut ear, &mut mouth, &mut diary);
    assert_eq!(sent.unwrap().troubles, 0, "the receiver told what failed: {:?}", diary.troubles);
    let full = both.0.borrow();
    (full.heard.clone(), full.later.clone())
}

fn data(words: &[FromSender]) -> usize {
    let lengths = words.iter().map(|word| match word {
        FromSender::Data(data) => data.len(),
        FromSender::Packed { length, .. } => *length as usize,
        _ => 0,
    });
    lengths.sum()
}

fn count(words: &[FromSender], what: impl Fn(&FromSender) -> bool) -> usize {
    words.iter().filter(|word| what(word)).count()
}

/// Fault 58, P-X20: a large file whose content is of no use ends at once, and the rest goes on.
#[test]
fn of_one_file() {
    let (before, after) = told(false);
    assert!(data(&before) > 0 && data(&before) + data(&after) < MIB);
    let small = |word: &FromSender| matches!(word, FromSender::Small { .. });
    let void = |word: &FromSender| matches!(word, FromSender::Void { again: false, .. });
    assert_eq!(count(&before, small) + count(&after, small), 50);
    assert_eq!((count(&before, void), count(&after, void)), (0, 1));
}

/// Fault 58, P-X20: of nothing at all anything more comes: no content, and nothing is listed.
#[test]
fn of_all_files() {
    let (before, after) = told(true);
    assert!(data(&before) > 0 && data(&after) == 0);
    for word in &after {
        let ends = matches!(
            word,
            FromSender::Void { again: false, .. }
                | FromSender::Leave { complete: false }
                | FromSender::Listed
        );
        assert!(ends, "{word:?}");
    }
    assert!(matches!(after.first(), Some(FromSender::Void { .. })));
}
