//! Hostile senders and hostile neighbours: nothing leaves the destination, all is bounded.

use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, symlink as link_to};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::*;
use crate::receive::temporary;

fn pull(directory: &Path, expected: &[Option<Name>], words: Vec<FromSender>) -> Came {
    let directory: OwnedFd = fs::File::open(directory).unwrap().into();
    let destination = Destination::At { directory, name: None };
    let transfer = Transfer { way: Way::Pull, ..push(Placement::Into) };
    let (mut inbox, mut outbox) = (Script(words.into()), Heard::default());
    let end = receive(destination, &transfer, expected, &mut inbox, &mut outbox, &mut Nobody);
    Came { end, said: outbox.messages() }
}

/// F8, row 61: only what was asked for.
#[test]
fn another_name_is_refused() {
    let top = tempfile::tempdir().unwrap();
    let words = vec![root(file("b", 1))];
    assert!(pull(top.path(), &[Some(name("a"))], words).stopped().contains("not asked for"));
    let words = vec![root(file("b", 1))];
    assert!(pull(top.path(), &[None], words).stopped().contains("not asked for"));
    assert!(names(top.path()).is_empty());
    let words = tree(vec![FromSender::Entry(file("f", 1))], vec![small(0, b"x")]);
    pull(top.path(), &[None], words).tally();
    assert_eq!(names(top.path()), ["f"]);
}

/// Row 61: names that come twice, and our own, are refused.
#[test]
fn names_that_are_taken() {
    let top = tempfile::tempdir().unwrap();
    let ours = temporary::name::new(&name("f")).unwrap();
    for second in ["a", &ours, &temporary::name::journal(&ours)] {
        let entries = ["a", second].map(|text| FromSender::Entry(file(text, 1)));
        let came = into(top.path(), &push(Placement::Into), tree(entries.into(), vec![]));
        assert!(came.stopped().contains("taken"), "{second}");
    }
    let entries = vec![FromSender::Entry(dir("a")), LEAVE, FromSender::Entry(symlink("a", "/"))];
    let came = into(top.path(), &push(Placement::Into), tree(entries, vec![]));
    assert!(came.stopped().contains("taken"));
}

/// Row 62: a link is no directory, whether the sender made it or it was there.
#[test]
fn links_are_never_followed_out() {
    let (top, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let target = out.path().to_str().unwrap();
    // The same name as link and as directory.
    let entries = vec![
        FromSender::Entry(symlink("x", target)),
        FromSender::Entry(dir("x")),
        FromSender::Entry(file("f", 1)),
        LEAVE,
    ];
    let came = into(top.path(), &push(Placement::Into), tree(entries, vec![small(0, b"x")]));
    assert!(came.stopped().contains("taken"));
    // A link that was there: as source, as directory in it, as file.
    let d = top.path().join("d");
    assert!(d.join("x").is_symlink());
    link_to(out.path().join("file"), d.join("f")).unwrap();
    fs::write(out.path().join("file"), "theirs").unwrap();
    let entries = vec![
        FromSender::Entry(file("f", 4)),
        FromSender::Entry(dir("x")),
        FromSender::Entry(file("g", 1)),
        LEAVE,
    ];
    let came = into(top.path(), &push(Placement::Into), tree(entries, vec![small(0, b"ours")]));
    assert_eq!((came.tally().failed, came.troubles()[0].0.as_str()), (1, "d/x"));
    assert_eq!(names(out.path()), ["file"]);
    assert_eq!(fs::read(out.path().join("file")).unwrap(), b"theirs");
    assert_eq!(fs::read(d.join("f")).unwrap(), b"ours");
    let root_link = top.path().join("r");
    link_to(out.path(), &root_link).unwrap();
    let came = to(top.path(), Some("r"), &push(Placement::Into), one_file(b"x"));
    assert!(came.stopped().contains("no directory"));
}

/// A file or link of our temporary name that somebody else put there is not written through.
#[test]
fn a_temporary_name_is_no_way_in() {
    let (top, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let victim = out.path().join("victim");
    fs::write(&victim, "theirs").unwrap();
    let temporary = top.path().join(temporary::name::new(&name("f")).unwrap());
    link_to(&victim, &temporary).unwrap();
    into(top.path(), &push(Placement::Into), one_file(b"ours")).tally();
    fs::hard_link(&victim, &temporary).unwrap();
    into(top.path(), &push(Placement::Into), one_file(b"longer")).tally();
    assert_eq!(fs::read(&victim).unwrap(), b"theirs");
    assert_eq!(
        (names(top.path()), fs::read(top.path().join("f")).unwrap()),
        (vec!["f".into()], b"longer".to_vec())
    );
}

/// Row 63: a directory flips to a link that leads out while files, directories, links, modes,
/// times and removals go into it.
#[test]
fn a_parent_that_flips() {
    let (top, out) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::create_dir(out.path().join("sub")).unwrap();
    fs::write(out.path().join("theirs"), "").unwrap();
    fs::write(out.path().join("sub/theirs"), "").unwrap();
    let see = |path: &str| {
        let meta = fs::metadata(out.path().join(path)).unwrap();
        (meta.mode(), meta.mtime(), meta.mtime_nsec(), meta.ctime_nsec())
    };
    let before = (see(""), see("sub"), see("theirs"));
    let (d, link) = (top.path().join("d"), top.path().join("link"));
    link_to(out.path(), &link).unwrap();
    fs::create_dir(&d).unwrap();
    let stop = AtomicBool::new(false);
    let entry = FromSender::Entry;
    let entries = || {
        vec![
            entry(file("f", 1)),
            entry(symlink("l", "x")),
            entry(dir("sub")),
            entry(file("g", 1)),
            LEAVE,
            entry(dir("new")),
            entry(file("h", 1)),
            LEAVE,
        ]
    };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // With `delete` the receiver may take either away.
                let _ = renameat_with(CWD, &d, CWD, &link, RenameFlags::EXCHANGE);
            }
        });
        for round in 0..400 {
            let options = Options { delete: round >= 300, ..Options::default() };
            // Whichever files are wanted: those that are not make it stop, which is no matter.
            let contents = vec![small(0, b"x"), small(1, b"y"), small(2, b"z")];
            into(top.path(), &with(options), tree(entries(), contents));
        }
        stop.store(true, Ordering::Relaxed);
    });
    assert_eq!(names(out.path()), ["sub", "theirs"]);
    assert_eq!(names(&out.path().join("sub")), ["theirs"]);
    assert_eq!(before, (see(""), see("sub"), see("theirs")));
}

/// Row 66: what is packed is as long as was said, or the connection ends.
#[test]
fn a_bomb_is_refused() {
    let top = tempfile::tempdir().unwrap();
    let bomb = zstd::bulk::compress(&vec![0; 64 << 20], 1).unwrap();
    for length in [1, 65_536] {
        let begin = FromSender::Begin { file: 0, mtime: THEN, size: Some(1 << 20), from: 0 };
        let packed = FromSender::Packed { length, bytes: bomb.clone() };
        let words = vec![root(file("f", 1 << 20)), FromSender::Listed, begin, packed];
        let came = into(top.path(), &push(Placement::Into), words);
        assert!(came.stopped().contains("packed bytes"));
        assert!(names(top.path()).is_empty());
    }
}

/// F2: content that is not what its proof says is thrown away, and told.
#[test]
fn false_proofs() {
    let top = tempfile::tempdir().unwrap();
    let hash = *blake3::hash(b"other").as_bytes();
    let lie = FromSender::Small { file: 0, mtime: THEN, hash, data: b"content".to_vec() };
    let came =
        into(top.path(), &push(Placement::Into), vec![root(file("f", 7)), FromSender::Listed, lie]);
    assert!(came.troubles()[0].1.contains("proof"));
    let words = vec![
        root(file("f", 7)),
        FromSender::Listed,
        FromSender::Begin { file: 0, mtime: THEN, size: Some(7), from: 0 },
        FromSender::Data(b"content".to_vec()),
        FromSender::Close { hash },
    ];
    let came = into(top.path(), &push(Placement::Into), words);
    assert_eq!((came.tally().failed, came.tally().stored), (1, 0));
    assert!(names(top.path()).is_empty());
}

/// What was not asked for is not made: links and pipes without `archive`.
#[test]
fn no_more_than_was_asked_for() {
    let top = tempfile::tempdir().unwrap();
    let group = Some(1);
    for node in [
        Node::Fifo { group: None },
        Node::Link(1),
        Node::File { size: Some(1), group },
        Node::Symlink { target: b"x".to_vec(), group },
    ] {
        let words = vec![root(entry_of("x", node, 0o600))];
        assert!(
            into(top.path(), &push(Placement::Into), words).stopped().contains("not asked for")
        );
    }
    assert!(names(top.path()).is_empty());
}

/// Row 68: a source that is its own destination, or above it.
#[test]
fn a_copy_onto_itself() {
    let top = tempfile::tempdir().unwrap();
    let inner = top.path().join("a/b");
    fs::create_dir_all(&inner).unwrap();
    fs::write(inner.join("f"), "old").unwrap();
    let identity = |path: &Path| {
        let handle = fs::File::open(path).unwrap();
        crate::identity::identity(&rustix::fs::fstat(handle.as_fd()).unwrap())
    };
    let from = |path: &Path, entry: Entry| {
        vec![FromSender::Root { index: 0, identity: identity(path), entry }]
    };
    let itself = from(&inner.join("f"), file("f", 3));
    assert!(into(&inner, &push(Placement::Into), itself).stopped().contains("itself"));
    let above = from(&top.path().join("a"), dir("a"));
    assert!(into(&inner, &push(Placement::Into), above).stopped().contains("inside"));
    let same = from(&inner, dir("b"));
    assert!(into(&inner, &push(Placement::Exact), same).stopped().contains("itself"));
    let other = from(&inner, dir("b"));
    let came = into(&top.path().join("a"), &push(Placement::Into), other);
    assert!(came.stopped().contains("itself"));
    assert_eq!(fs::read(inner.join("f")).unwrap(), b"old");
}
