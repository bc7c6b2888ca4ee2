//! What is said of trees.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::rows::mkfifo;
use super::*;
use sockeye_wire::files::{Filter, Node};

fn skip(_: &[u8], _: &Entry) -> Answer {
    Answer::Skip
}

fn paths(mirror: &Mirror) -> Vec<String> {
    mirror.entries.keys().map(|path| String::from_utf8_lossy(path).into_owned()).collect()
}

fn filter(include: bool, pattern: &str) -> Filter {
    Filter { include, pattern: pattern.to_owned() }
}

/// F5, row 65: files, links, empty directories, modes and times, under any legal name.
#[test]
fn everything_is_listed() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &[u8]| home.path().join(OsStr::from_bytes(name));
    let long = [b'x'; 255];
    let names: [&[u8]; 6] = [b"-rf", b"a:b", b"line\nbreak", b"\xff\xfe", b" ", &long];
    for name in names {
        fs::write(at(name), name).unwrap();
    }
    fs::create_dir(at(b"empty")).unwrap();
    fs::create_dir_all(at(b"a/b")).unwrap();
    fs::write(at(b"a/b/c"), "c").unwrap();
    fs::set_permissions(at(b"a/b/c"), fs::Permissions::from_mode(0o4751)).unwrap();
    symlink("nowhere/\u{e4}", at(b"link")).unwrap();
    let ours = crate::receive::temporary_name(&Name::new(b"f").unwrap()).unwrap();
    fs::write(at(ours.as_bytes()), "ours").unwrap();
    let (mirror, sent, _) = sent(directory(home.path()), &transfer(Options::default()), skip);
    // A name of ours is told, as nothing of such a name can be stored.
    assert_eq!(sent.troubles, 1);
    assert!(mirror.troubles[0].0.ends_with(ours.as_bytes()));
    assert_eq!(mirror.entries.len(), 1 + names.len() + 5);
    for name in names {
        assert!(mirror.entries.contains_key(&[b"top/", name].concat()));
    }
    let link = &mirror.entries[b"top/link".as_slice()];
    assert_eq!(link.node, Node::Symlink { target: "nowhere/\u{e4}".into(), group: None });
    let c = &mirror.entries[b"top/a/b/c".as_slice()];
    let known = fs::metadata(at(b"a/b/c")).unwrap();
    assert_eq!(c.node, Node::File { size: Some(1), group: None });
    assert_eq!((c.meta.mode, c.meta.mtime.seconds), (0o4751, known.mtime()));
    assert_eq!(i64::from(c.meta.mtime.nanoseconds), known.mtime_nsec());
    assert_eq!(c.meta.owner, None);
    assert_eq!(mirror.leaves, [true, true, true, false]);
}

/// Row 65: 4,000 directories in one another.
#[test]
fn deep() {
    const LEVELS: usize = 4000;
    let home = tempfile::tempdir().unwrap();
    let mut handle: OwnedFd = fs::File::open(home.path()).unwrap().into();
    let flags = rustix::fs::OFlags::DIRECTORY;
    for _ in 0..LEVELS {
        rustix::fs::mkdirat(&handle, "d", rustix::fs::Mode::RWXU).unwrap();
        handle = rustix::fs::openat(&handle, "d", flags, rustix::fs::Mode::empty()).unwrap();
    }
    let (mirror, sent, _) = sent(directory(home.path()), &transfer(Options::default()), skip);
    assert_eq!((mirror.entries.len(), sent.troubles), (LEVELS + 1, 0));
    assert_eq!(mirror.leaves.len(), LEVELS + 1);
    // What clears temporary directories away may not get so deep.
    for _ in 0..LEVELS {
        handle = rustix::fs::openat(&handle, "..", flags, rustix::fs::Mode::empty()).unwrap();
        rustix::fs::unlinkat(&handle, "d", rustix::fs::AtFlags::REMOVEDIR).unwrap();
    }
}

/// F5: with `--archive` owners, attributes, names of one file, and pipes; without, none of them.
#[test]
fn archive() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::write(at("one"), "one").unwrap();
    fs::hard_link(at("one"), at("two")).unwrap();
    mkfifo(&at("pipe"));
    let attribute =
        rustix::fs::setxattr(at("one"), "user.note", b"value", rustix::fs::XattrFlags::empty());
    let options = Options { archive: true, ..Options::default() };
    let (mirror, result, _) = sent(directory(home.path()), &transfer(options), skip);
    assert_eq!(result.troubles, 0);
    let nodes = ["top/one", "top/two"].map(|path| &mirror.entries[path.as_bytes()]);
    let files = nodes.iter().filter(|e| e.node == Node::File { size: Some(3), group: Some(0) });
    let file = files.clone().next().unwrap();
    assert_eq!(files.count(), 1);
    assert!(nodes.iter().any(|entry| entry.node == Node::Link(0)));
    assert_eq!(mirror.entries[b"top/pipe".as_slice()].node, Node::Fifo { group: None });
    let known = fs::metadata(at("one")).unwrap();
    assert_eq!(file.meta.owner.map(|owner| owner.uid), Some(known.uid()));
    if attribute.is_ok() {
        assert_eq!(file.meta.xattrs, [(b"user.note".to_vec(), b"value".to_vec())]);
    } else {
        assert!(std::env::var_os("CI").is_none(), "needs a file system with user attributes");
        eprintln!("skipped: this file system has no user attributes");
    }
    let (mirror, result, diary) = sent(directory(home.path()), &transfer(Options::default()), skip);
    assert_eq!((result.troubles, mirror.entries.len()), (1, 3));
    assert!(diary.troubles[0].contains("top/pipe is a named pipe"));
    assert_eq!(mirror.leaves, [false]);
}

/// F1: patterns leave out files, and directories with all in them.
#[test]
fn patterns() {
    let home = tempfile::tempdir().unwrap();
    for path in ["a/x.o", "a/keep.o", "a/y.c", "build/z.c", "a/build/q.c"] {
        let path = home.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let filters = vec![filter(false, "*.o"), filter(true, "keep.o"), filter(false, "/build/")];
    let transfer = Transfer { filters, ..transfer(Options::default()) };
    let (mirror, ..) = sent(directory(home.path()), &transfer, skip);
    let expected = ["top", "top/a", "top/a/build", "top/a/build/q.c", "top/a/keep.o", "top/a/y.c"];
    assert_eq!(paths(&mirror), expected);
}

/// F1: `.gitignore` files count on request only, the nearest one first.
#[test]
fn gitignore() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join("sub/target")).unwrap();
    for (path, text) in [
        (".gitignore", "*.log\ntarget/\n"),
        ("sub/.gitignore", "!keep.log\n"),
        ("a.log", ""),
        ("sub/keep.log", ""),
        ("sub/b.log", ""),
        ("sub/target/c", ""),
    ] {
        fs::write(home.path().join(path), text).unwrap();
    }
    let options = Options { gitignore: true, ..Options::default() };
    let (mirror, ..) = sent(directory(home.path()), &transfer(options), skip);
    let expected = ["top", "top/.gitignore", "top/sub", "top/sub/.gitignore", "top/sub/keep.log"];
    assert_eq!(paths(&mirror), expected);
    let (mirror, ..) = sent(directory(home.path()), &transfer(Options::default()), skip);
    assert_eq!(mirror.entries.len(), 9);
}

/// F6: several connections send each file once, and none of them lets anything be removed.
#[test]
fn parts() {
    let home = tempfile::tempdir().unwrap();
    for n in 0..200 {
        let path = home.path().join(format!("{}/{n}", n % 7));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    let mut counts = std::collections::BTreeMap::<Vec<u8>, u32>::new();
    for number in 0..4 {
        let transfer = Transfer { part: (number, 4), ..transfer(Options::default()) };
        let (mirror, ..) = sent(directory(home.path()), &transfer, skip);
        assert_eq!(mirror.leaves, [false; 8]);
        for (path, entry) in mirror.entries {
            *counts.entry(path).or_default() += u32::from(entry.node != Node::Directory);
        }
    }
    let counts: Vec<u32> = counts.into_values().filter(|count| *count > 0).collect();
    assert_eq!(counts, [1; 200]);
}

/// F2: what cannot be read is named, and the rest goes on.
#[test]
fn missing_sources_are_told() {
    let why = "does not exist. Look at its name.".to_owned();
    let source = Source::Missing { shown: b"none".to_vec(), why };
    let (mirror, sent, _) = sent(source, &transfer(Options::default()), skip);
    assert_eq!((sent.troubles, mirror.troubles.len()), (1, 1));
}
