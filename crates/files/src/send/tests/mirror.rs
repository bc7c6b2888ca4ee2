//! A receiver without a disk: it keeps what it is sent, and checks every proof.

use std::collections::{BTreeMap, VecDeque};

use sockeye_wire::files::{
    Entry, Exchange, FromReceiver, FromSender, Hash, Node, Resume, Tally, segment,
};

use crate::chunk::{Chunks, chunk};
use crate::engine::{Inbox, Outbox};
use crate::hash::Prover;
use crate::testing::End;

/// What it says to a file.
pub(super) enum Answer {
    Skip,
    Want,
    /// It has so much of it.
    Part(Vec<u8>),
    /// It has this older file.
    Older(Vec<u8>),
}

/// Chooses answers by path and entry.
type Chooser = Box<dyn FnMut(&[u8], &Entry) -> Answer + Send>;

pub(super) struct Mirror {
    answer: Chooser,
    /// By path.
    pub(super) entries: BTreeMap<Vec<u8>, Entry>,
    pub(super) contents: BTreeMap<Vec<u8>, Vec<u8>>,
    pub(super) leaves: Vec<bool>,
    pub(super) troubles: Vec<(Vec<u8>, String)>,
    pub(super) voids: Vec<(bool, String)>,
    /// Where contents began, bytes of content in frames, copied, and of holes.
    pub(super) begins: Vec<u64>,
    pub(super) data: u64,
    pub(super) packed: u64,
    pub(super) copied: u64,
    pub(super) holes: u64,
    path: Vec<Vec<u8>>,
    files: Vec<(Vec<u8>, Vec<u8>)>,
    waiting: VecDeque<usize>,
    open: Option<(Vec<u8>, Prover, Option<Hash>)>,
}

impl Mirror {
    pub(super) fn new(answer: Chooser) -> Mirror {
        Mirror {
            answer,
            entries: BTreeMap::new(),
            contents: BTreeMap::new(),
            leaves: Vec::new(),
            troubles: Vec::new(),
            voids: Vec::new(),
            begins: Vec::new(),
            data: 0,
            packed: 0,
            copied: 0,
            holes: 0,
            path: Vec::new(),
            files: Vec::new(),
            waiting: VecDeque::new(),
            open: None,
        }
    }

    pub(super) fn run(&mut self, (mut ear, mut mouth): End<FromSender>) {
        let mut exchange = Exchange::new(1);
        while !exchange.is_settled() {
            let message = ear.wait().unwrap();
            exchange.sender_says(&message).unwrap();
            let mut frames = Vec::new();
            for answer in self.hear(message) {
                exchange.receiver_says(&answer).unwrap();
                answer.put(&mut frames);
            }
            if !frames.is_empty() {
                mouth.send(frames.into()).unwrap();
            }
        }
        let mut last = Vec::new();
        FromReceiver::Finished(Tally::default()).put(&mut last);
        mouth.send(last.into()).unwrap();
    }

    fn hear(&mut self, message: FromSender) -> Vec<FromReceiver> {
        match message {
            FromSender::Root { entry, .. } | FromSender::Entry(entry) => return self.list(entry),
            FromSender::Leave { complete } => {
                self.path.pop();
                self.leaves.push(complete);
            }
            FromSender::Trouble { path, text } => self.troubles.push((path, text)),
            FromSender::Listed => {}
            FromSender::Small { file, hash, data, .. } => {
                assert_eq!(hash, *blake3::hash(&data).as_bytes());
                self.data += data.len() as u64;
                self.settle(file, data);
            }
            FromSender::Void { file, again, text } => {
                self.open = None;
                self.voids.push((again, text));
                if !again {
                    assert_eq!(self.waiting.pop_front(), Some(file as usize));
                }
            }
            other => self.content(other),
        }
        Vec::new()
    }

    fn list(&mut self, entry: Entry) -> Vec<FromReceiver> {
        let mut path = self.path.clone();
        path.push(entry.name.as_bytes().to_vec());
        let joined = path.join(&b'/');
        let mut answers = Vec::new();
        if let Node::File { size, .. } = entry.node {
            let number = self.files.len();
            let answer = (self.answer)(&joined, &entry);
            let mut old = Vec::new();
            answers.push(match &answer {
                Answer::Skip => FromReceiver::Skip(1),
                Answer::Want => FromReceiver::Want(1),
                Answer::Part(have) => {
                    let marks = marks(have, segment(size.unwrap()));
                    FromReceiver::Resume(Resume { marks, basis: false })
                }
                Answer::Older(_) => FromReceiver::Resume(Resume { marks: vec![], basis: true }),
            });
            if !matches!(answer, Answer::Skip) {
                self.waiting.push_back(number);
            }
            if let Answer::Older(older) = &answer {
                answers.push(basis(older, size.unwrap()));
            }
            if let Answer::Part(have) | Answer::Older(have) = answer {
                old = have;
            }
            self.files.push((joined.clone(), old));
        }
        if entry.node == Node::Directory {
            self.path = path;
        }
        assert!(self.entries.insert(joined, entry).is_none());
        answers
    }

    fn content(&mut self, message: FromSender) {
        if let FromSender::Begin { file, size, from, .. } = message {
            assert_eq!(self.waiting.front(), Some(&(file as usize)));
            self.begins.push(from);
            let have = self.files[file as usize].1[..from as usize].to_vec();
            let segment = segment(size.unwrap_or(0));
            let prover = Prover::resume(segment, &marks(&have, segment));
            self.open = Some((have, prover, None));
            return;
        }
        let mut open = self.open.take().unwrap();
        let (content, prover, due) = &mut open;
        let piece = match message {
            FromSender::Data(data) => {
                self.data += data.len() as u64;
                data
            }
            FromSender::Packed { length, bytes } => {
                self.packed += bytes.len() as u64;
                zstd::bulk::decompress(&bytes, length as usize).unwrap()
            }
            FromSender::Hole(length) => {
                self.holes += length;
                vec![0; length as usize]
            }
            FromSender::Copy { offset, length } => {
                self.copied += length;
                let old = &self.files[*self.waiting.front().unwrap()].1;
                old[offset as usize..(offset + length) as usize].to_vec()
            }
            FromSender::Mark(mark) => {
                assert_eq!(due.take(), Some(mark));
                Vec::new()
            }
            FromSender::Close { hash } => {
                assert_eq!(hash, *blake3::hash(content).as_bytes());
                let content = std::mem::take(content);
                return self.settle(*self.waiting.front().unwrap() as u32, content);
            }
            other => panic!("{other:?}"),
        };
        if !piece.is_empty() {
            *due = prover.update(&piece);
            content.extend_from_slice(&piece);
        }
        self.open = Some(open);
    }

    fn settle(&mut self, file: u32, content: Vec<u8>) {
        assert_eq!(self.waiting.pop_front(), Some(file as usize));
        self.contents.insert(self.files[file as usize].0.clone(), content);
    }
}

/// The marks of whole segments.
fn marks(have: &[u8], segment: u64) -> Vec<Hash> {
    let mut prover = Prover::new(segment);
    have.chunks_exact(segment as usize).filter_map(|part| prover.update(part)).collect()
}

fn basis(older: &[u8], size: u64) -> FromReceiver {
    let mut chunks = Chunks::new(older, size);
    let mut all = Vec::new();
    while let Some(bytes) = chunks.next().unwrap() {
        all.push(chunk(bytes));
    }
    FromReceiver::Basis { chunks: all, last: true }
}
