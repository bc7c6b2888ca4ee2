//! What a directory does while it is read.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File};
use std::os::fd::OwnedFd;

use rustix::fs::{SeekFrom, seek};
use sockeye_wire::files::Options;

use super::*;
use crate::engine::Inbox;
use crate::testing::{Diary, connection, transfer};

/// Row 59: a directory that changes while it is read may give a name twice. Each is listed once, as a
/// receiver takes it.
#[test]
fn a_name_is_listed_once() {
    let home = tempfile::tempdir().unwrap();
    for n in 0..10 {
        fs::write(home.path().join(format!("f{n}")), "x").unwrap();
        fs::create_dir(home.path().join(format!("d{n}"))).unwrap();
    }
    let ((mut ear, mut mouth), (mut theirs, _ours)) = connection(u64::MAX);
    let mut diary = Diary::default();
    let mut link = Link::new(1, &mut ear, &mut mouth, &mut diary);
    let handle: OwnedFd = File::open(home.path()).unwrap().into();
    let label = Name::new(b"top").unwrap();
    let source = Source::Directory { handle: Arc::new(handle), label, shown: Vec::new() };
    let mut walk = Walk::new(vec![source], &transfer(Options::default())).unwrap();
    let (mut handles, mut listed, mut again) = (Handles::new(), VecDeque::new(), true);
    while walk.has_more() {
        let (link, handles, listed) = (&mut link, &mut handles, &mut listed);
        walk.step(&mut Ends { link, handles, listed }).unwrap();
        // Once it has been read, it is read again from its beginning.
        if let Some(level) = walk.levels.last()
            && !level.found.is_empty()
            && std::mem::take(&mut again)
        {
            seek(level.handle.as_ref().unwrap(), SeekFrom::Start(0)).unwrap();
        }
    }
    link.flush().unwrap();
    assert!(!again);
    let mut names: BTreeMap<_, u32> = BTreeMap::new();
    while let Some(message) = theirs.poll().unwrap() {
        if let FromSender::Entry(entry) = message {
            *names.entry(entry.name).or_default() += 1;
        }
    }
    assert_eq!((names.len(), names.values().max()), (20, Some(&1)), "{names:?}");
}
