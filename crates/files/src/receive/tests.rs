//! The receiver, told by hand-made messages; the sender's words are a list.

mod attack;
mod dress;
mod figures;
mod files;
mod resume;
mod small;

use std::collections::VecDeque;
use std::fs;
use std::os::fd::OwnedFd;
use std::path::Path;

use sockeye_wire::files::{
    Entry, Frames, FromReceiver, FromSender, Meta, Name, Node, Options, Placement, Tally, Time,
    Transfer, Way,
};

use super::{Destination, receive};
use crate::engine::{Gone, Happening, Inbox, Observer, Outbox, Stopped};
use crate::parcel::Parcel;

/// The sender's words, one after another; then the connection ends. Each waits for what the
/// receiver says to those before.
struct Script(VecDeque<FromSender>);

impl Inbox<FromSender> for Script {
    fn wait(&mut self) -> Result<FromSender, Gone> {
        self.0.pop_front().ok_or(Gone)
    }

    fn poll(&mut self) -> Result<Option<FromSender>, Gone> {
        Ok(None)
    }
}

#[derive(Default)]
struct Heard(Vec<u8>);

impl Outbox for Heard {
    fn send(&mut self, frames: Parcel) -> Result<(), Gone> {
        self.0.extend(frames.bytes().concat());
        Ok(())
    }

    fn parcel(&mut self) -> Parcel {
        Parcel::default()
    }
}

impl Heard {
    fn messages(self) -> Vec<FromReceiver> {
        let mut frames = Frames::new(self.0);
        std::iter::from_fn(|| frames.message().unwrap()).collect()
    }
}

struct Nobody;

impl Observer for Nobody {
    fn tell(&mut self, _: Happening<'_>) {}
}

/// What came of a transfer.
struct Came {
    end: Result<Tally, Stopped>,
    said: Vec<FromReceiver>,
}

impl Came {
    fn tally(&self) -> Tally {
        *self.end.as_ref().unwrap_or_else(|error| panic!("{error}"))
    }

    /// What it said of trouble.
    fn troubles(&self) -> Vec<(String, String)> {
        let troubles = self.said.iter().filter_map(|message| match message {
            FromReceiver::Trouble { path, text } => {
                Some((String::from_utf8_lossy(path).into_owned(), text.clone()))
            }
            _ => None,
        });
        troubles.collect()
    }

    /// Why it stopped.
    fn stopped(self) -> String {
        self.end.expect_err("it came to its end").to_string()
    }
}

fn name(text: &str) -> Name {
    Name::new(text.as_bytes()).unwrap()
}

const THEN: Time = Time { seconds: 1_000_000_000, nanoseconds: 123_000_000 };

fn push(placement: Placement) -> Transfer {
    Transfer {
        way: Way::Push,
        placement,
        options: Options::default(),
        paths: vec![b"destination".to_vec()],
        sources: 1,
        filters: Vec::new(),
        part: (0, 1),
    }
}

fn with(options: Options) -> Transfer {
    Transfer { options, ..push(Placement::Into) }
}

/// Receives these words into a directory.
fn into(directory: &Path, transfer: &Transfer, words: Vec<FromSender>) -> Came {
    to(directory, None, transfer, words)
}

fn to(directory: &Path, last: Option<&str>, transfer: &Transfer, words: Vec<FromSender>) -> Came {
    let directory: OwnedFd = fs::File::open(directory).unwrap().into();
    let destination = Destination::At { directory, name: last.map(name) };
    let (mut inbox, mut outbox) = (Script(words.into()), Heard::default());
    let end = receive(destination, transfer, &[], &mut inbox, &mut outbox, &mut Nobody);
    Came { end, said: outbox.messages() }
}

fn entry_of(text: &str, node: Node, mode: u16) -> Entry {
    let meta = Meta { mode, mtime: THEN, ..Meta::default() };
    Entry { name: name(text), node, meta }
}

fn root(entry: Entry) -> FromSender {
    FromSender::Root { index: 0, identity: [7; 16], entry }
}

fn file(text: &str, size: usize) -> Entry {
    entry_of(text, Node::File { size: Some(size as u64), group: None }, 0o640)
}

fn dir(text: &str) -> Entry {
    entry_of(text, Node::Directory, 0o751)
}

fn symlink(text: &str, target: &str) -> Entry {
    entry_of(text, Node::Symlink { target: target.into(), group: None }, 0o777)
}

fn small(file: u32, data: &[u8]) -> FromSender {
    let hash = *blake3::hash(data).as_bytes();
    FromSender::Small { file, mtime: THEN, hash, data: data.to_vec() }
}

const LEAVE: FromSender = FromSender::Leave { complete: true };

/// The directory `d` with these in it, and what comes behind the listing.
fn tree(entries: Vec<FromSender>, contents: Vec<FromSender>) -> Vec<FromSender> {
    let mut words = vec![root(dir("d"))];
    words.extend(entries);
    words.extend([LEAVE, FromSender::Listed]);
    words.extend(contents);
    words
}

fn one_file(data: &[u8]) -> Vec<FromSender> {
    vec![root(file("f", data.len())), FromSender::Listed, small(0, data)]
}

/// All names in a directory, ours as well.
fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    names
}
