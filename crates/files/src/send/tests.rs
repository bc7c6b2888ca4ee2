//! The sender against a receiver that keeps everything in memory.

mod enough;
mod mirror;
mod rows;
mod trees;

use std::os::fd::OwnedFd;
use std::path::Path;
use std::sync::Arc;

use sockeye_wire::files::{Entry, Name, Options, Transfer};

use super::*;
use crate::testing::{Diary, connection, transfer};
use mirror::{Answer, Mirror};

fn name(bytes: &[u8]) -> Name {
    Name::new(bytes).unwrap()
}

fn directory(path: &Path) -> Source {
    let handle: OwnedFd = std::fs::File::open(path).unwrap().into();
    Source::Directory { handle: Arc::new(handle), label: name(b"top"), shown: b"src".to_vec() }
}

fn file(path: &Path) -> Source {
    let parent: OwnedFd = std::fs::File::open(path.parent().unwrap()).unwrap().into();
    let own = name(path.file_name().unwrap().as_encoded_bytes());
    Source::At {
        directory: Arc::new(parent),
        name: own,
        label: name(b"top"),
        shown: b"src".to_vec(),
    }
}

/// Sends this to a mirror that answers so; what it got.
fn sent(
    source: Source,
    transfer: &Transfer,
    answer: impl FnMut(&[u8], &Entry) -> Answer + Send + 'static,
) -> (Mirror, Sent, Diary) {
    let ((mut ear, mut mouth), end) = connection(u64::MAX);
    let mut mirror = Mirror::new(Box::new(answer));
    let other = std::thread::spawn(move || {
        mirror.run(end);
        mirror
    });
    let mut diary = Diary::default();
    let sent = send(vec![source], transfer, &mut ear, &mut mouth, &mut diary);
    drop((ear, mouth));
    let mirror = other.join().unwrap();
    (mirror, sent.unwrap(), diary)
}
