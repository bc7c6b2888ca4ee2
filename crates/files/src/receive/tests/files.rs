//! What arrives is what was sent: modes, times, links, names, placement, deletion, dry runs.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink as link_to};

use sockeye_wire::files::{Filter, Note, Owner};

use super::*;

fn entry(entry: Entry) -> FromSender {
    FromSender::Entry(entry)
}

#[test]
fn a_tree_arrives() {
    let top = tempfile::tempdir().unwrap();
    let words = tree(
        vec![
            entry(file("a", 3)),
            entry(file("empty", 0)),
            entry(symlink("link", "../nowhere")),
            entry(dir("sub")),
            entry(file("b", 2)),
            LEAVE,
            entry(dir("bare")),
            LEAVE,
        ],
        vec![small(0, b"one"), small(1, b""), small(2, b"to")],
    );
    let came = into(top.path(), &push(Placement::Into), words);
    let tally = came.tally();
    assert_eq!((tally.stored, tally.made, tally.failed, tally.data), (3, 4, 0, 5));
    let d = top.path().join("d");
    assert_eq!(names(&d), ["a", "bare", "empty", "link", "sub"]);
    assert_eq!(fs::read(d.join("sub/b")).unwrap(), b"to");
    assert_eq!(fs::read_link(d.join("link")).unwrap(), Path::new("../nowhere"));
    for path in ["", "sub", "bare"] {
        let meta = fs::metadata(d.join(path)).unwrap();
        assert_eq!((meta.mode() & 0o7777, meta.mtime()), (0o751, THEN.seconds), "{path}");
    }
    let meta = fs::metadata(d.join("a")).unwrap();
    assert_eq!(
        (meta.mode() & 0o7777, meta.mtime(), meta.mtime_nsec()),
        (0o640, THEN.seconds, 123_000_000)
    );
    assert_eq!(fs::symlink_metadata(d.join("link")).unwrap().mtime(), THEN.seconds);
}

/// F4: what is there and equal is not sent again, but has its mode set.
#[test]
fn equal_files_are_skipped() {
    let top = tempfile::tempdir().unwrap();
    into(top.path(), &push(Placement::Into), one_file(b"content")).tally();
    let path = top.path().join("f");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let words = vec![root(file("f", 7)), FromSender::Listed];
    let came = into(top.path(), &push(Placement::Into), words);
    assert_eq!((came.tally().skipped, came.tally().stored), (1, 0));
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o640);
    assert!(came.said.contains(&FromReceiver::Skip(1)));
}

/// F4: with `checksum`, what only looks equal is compared by its chunks.
#[test]
fn files_that_look_equal_are_compared() {
    let top = tempfile::tempdir().unwrap();
    into(top.path(), &push(Placement::Into), one_file(b"content")).tally();
    let transfer = with(Options { checksum: true, ..Options::default() });
    let words = vec![
        root(file("f", 7)),
        FromSender::Listed,
        FromSender::Begin { file: 0, mtime: THEN, size: Some(7), from: 0 },
        FromSender::Copy { offset: 0, length: 7 },
        FromSender::Close { hash: *blake3::hash(b"content").as_bytes() },
    ];
    let inode = || fs::metadata(top.path().join("f")).unwrap().ino();
    let before = inode();
    let came = into(top.path(), &transfer, words);
    let Tally { stored, skipped, reused, data, .. } = came.tally();
    assert_eq!((stored, skipped, reused, data), (0, 1, 0, 0));
    assert_eq!((fs::read(top.path().join("f")).unwrap(), inode()), (b"content".to_vec(), before));
}

/// F2, F4: with `checksum`, words that claim the same content in other ways, or another one, come to
/// what they prove, and nothing else.
#[test]
fn what_is_compared_is_proved() {
    let begin = || FromSender::Begin { file: 0, mtime: THEN, size: Some(7), from: 0 };
    let close = |content: &[u8]| FromSender::Close { hash: *blake3::hash(content).as_bytes() };
    let data = |bytes: &[u8]| FromSender::Data(bytes.to_vec());
    let copy = |offset, length| FromSender::Copy { offset, length };
    type Case = (Vec<FromSender>, &'static [u8], [u64; 3]);
    let cases: [Case; 7] = [
        (vec![begin(), data(b"con"), copy(3, 4), close(b"content")], b"content", [0, 1, 0]),
        (vec![small(0, b"content")], b"content", [0, 1, 0]),
        (vec![small(0, b"conTent")], b"conTent", [1, 0, 0]),
        (vec![begin(), copy(0, 3), data(b"TENT"), close(b"conTENT")], b"conTENT", [1, 0, 0]),
        (vec![begin(), copy(0, 5), copy(0, 2), close(b"conteco")], b"conteco", [1, 0, 0]),
        (vec![begin(), FromSender::Hole(7), close(&[0; 7])], &[0; 7], [1, 0, 0]),
        // The proof is of something else.
        (vec![begin(), copy(0, 7), close(b"another")], b"content", [0, 0, 1]),
    ];
    for (number, (contents, expected, [stored, skipped, failed])) in cases.into_iter().enumerate() {
        for dry_run in [false, true] {
            let top = tempfile::tempdir().unwrap();
            into(top.path(), &push(Placement::Into), one_file(b"content")).tally();
            let options = Options { checksum: true, dry_run, ..Options::default() };
            let mut words = vec![root(file("f", 7)), FromSender::Listed];
            words.extend(contents.clone());
            let came = into(top.path(), &with(options), words);
            let tally = came.tally();
            let stored = if dry_run { 0 } else { stored };
            assert_eq!(
                (tally.stored, tally.skipped, tally.failed),
                (stored, skipped, failed),
                "{number}"
            );
            let expected = if dry_run { b"content" } else { expected };
            assert_eq!(fs::read(top.path().join("f")).unwrap(), expected, "{number}");
            let note = FromReceiver::Note { note: Note::WouldStore, path: b"f".to_vec() };
            assert_eq!(came.said.contains(&note), dry_run && skipped + failed == 0, "{number}");
            assert_eq!(names(top.path()), ["f"], "{number}");
        }
    }
}

/// Row 64: bits of set-user-ID, set-group-ID and sticky only where they were asked for; mode 0000;
/// the directory that files go to is not touched.
#[test]
fn modes() {
    for archive in [false, true] {
        let top = tempfile::tempdir().unwrap();
        fs::set_permissions(top.path(), fs::Permissions::from_mode(0o1707)).unwrap();
        let before = fs::metadata(top.path()).unwrap();
        let node = || Node::File { size: Some(1), group: None };
        let words = tree(
            vec![entry(entry_of("s", node(), 0o6755)), entry(entry_of("n", node(), 0))],
            vec![small(0, b"x"), small(1, b"y")],
        );
        let options = Options { archive, ..Options::default() };
        into(top.path(), &with(options), words).tally();
        let mode = |path: &str| fs::metadata(top.path().join(path)).unwrap().mode() & 0o7777;
        assert_eq!(mode("d/s"), if archive { 0o6755 } else { 0o755 });
        assert_eq!(mode("d/n"), 0);
        assert_eq!(mode(""), before.mode() & 0o7777);
    }
}

/// Row 65: any name that a file can have.
#[test]
fn names_of_all_kinds() {
    let top = tempfile::tempdir().unwrap();
    let odd: [&[u8]; 7] =
        [b"new\nline", b"\xff\xfe", &[b'x'; 255], b"-rf", b"a:b", b" ", b".sockeye-x"];
    let mut words = vec![root(dir("d"))];
    for bytes in odd {
        let name = Name::new(bytes).unwrap();
        words.push(entry(Entry { name, ..file("x", 1) }));
    }
    words.extend([LEAVE, FromSender::Listed]);
    words.extend((0..7).map(|n| small(n, &[b'0' + n as u8])));
    assert_eq!(into(top.path(), &push(Placement::Into), words).tally().stored, 7);
    for (n, bytes) in odd.into_iter().enumerate() {
        let path = top.path().join("d").join(std::ffi::OsStr::from_bytes(bytes));
        assert_eq!(fs::read(path).unwrap(), [b'0' + n as u8]);
    }
}

/// Row 65: 4,000 levels deep, made and finished from the innermost on.
#[test]
fn four_thousand_levels() {
    let top = tempfile::tempdir().unwrap();
    let mut words = vec![root(dir("d"))];
    words.extend((1..4000).map(|_| entry(dir("d"))));
    words.push(entry(file("f", 1)));
    words.extend((0..4000).map(|_| LEAVE));
    words.extend([FromSender::Listed, small(0, b"x")]);
    let tally = into(top.path(), &push(Placement::Into), words.clone()).tally();
    assert_eq!((tally.made, tally.stored, tally.failed), (4000, 1, 0));
    words.pop();
    assert_eq!(into(top.path(), &push(Placement::Into), words).tally().skipped, 1);
    std::process::Command::new("rm").arg("-rf").arg(top.path()).status().unwrap();
}

/// F1: where a source goes.
#[test]
fn placement() {
    let top = tempfile::tempdir().unwrap();
    let exact = push(Placement::Exact);
    to(top.path(), Some("x"), &exact, one_file(b"1")).tally();
    assert_eq!(fs::read(top.path().join("x")).unwrap(), b"1");
    to(top.path(), Some("y"), &push(Placement::Auto), one_file(b"2")).tally();
    assert_eq!(fs::read(top.path().join("y")).unwrap(), b"2");
    fs::create_dir(top.path().join("dir")).unwrap();
    to(top.path(), Some("dir"), &push(Placement::Auto), one_file(b"3")).tally();
    assert_eq!(fs::read(top.path().join("dir/f")).unwrap(), b"3");
    let words = tree(vec![entry(file("g", 1))], vec![small(0, b"4")]);
    to(top.path(), Some("dir"), &exact, words).tally();
    assert_eq!(fs::read(top.path().join("dir/g")).unwrap(), b"4");
    let words = tree(vec![entry(file("g", 1))], vec![]);
    into(&top.path().join("dir"), &exact, words).tally();
    assert_eq!(fs::metadata(top.path().join("dir")).unwrap().mode() & 0o777, 0o751);
    for missing in ["x", "none"] {
        let came = to(top.path(), Some(missing), &push(Placement::Into), one_file(b"5"));
        assert!(came.stopped().contains("no directory"));
    }
    let two = Transfer { sources: 2, ..push(Placement::Exact) };
    assert!(to(top.path(), Some("x"), &two, vec![]).stopped().contains("several sources"));
}

/// Row 60: a directory is in the way of a file, and the reverse; nothing is lost, the rest goes on.
#[test]
fn what_is_in_the_way_stays() {
    let top = tempfile::tempdir().unwrap();
    let d = top.path().join("d");
    fs::create_dir_all(d.join("a/kept")).unwrap();
    fs::write(d.join("sub"), "old").unwrap();
    fs::create_dir(d.join("l")).unwrap();
    let entries = vec![
        entry(file("a", 1)),
        entry(file("b", 1)),
        entry(symlink("l", "b")),
        entry(dir("sub")),
        entry(file("c", 1)),
        LEAVE,
    ];
    let words = tree(entries.clone(), vec![small(1, b"b")]);
    let came = into(top.path(), &push(Placement::Into), words);
    assert_eq!((came.tally().failed, came.tally().stored), (3, 1));
    let troubles = came.troubles();
    let paths: Vec<_> = troubles.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(paths, ["d/a", "d/l", "d/sub"]);
    assert!(troubles[0].1.contains("a directory is here"), "{troubles:?}");
    assert!(d.join("a/kept").is_dir());
    assert_eq!(fs::read(d.join("sub")).unwrap(), b"old");

    let transfer = with(Options { delete: true, ..Options::default() });
    let words = tree(entries, vec![small(0, b"a"), small(2, b"c")]);
    assert_eq!(into(top.path(), &transfer, words).tally().failed, 0);
    assert_eq!(fs::read(d.join("a")).unwrap(), b"a");
    assert_eq!(fs::read(d.join("sub/c")).unwrap(), b"c");
    assert!(fs::symlink_metadata(d.join("l")).unwrap().is_symlink());
}

/// Row 60: a program that runs is replaced as any other file.
#[test]
fn a_busy_program_is_replaced() {
    let top = tempfile::tempdir().unwrap();
    let path = top.path().join("f");
    // By another process: a child forked meanwhile could hold a descriptor of ours (ETXTBSY).
    assert!(
        std::process::Command::new("cp").arg("/bin/sleep").arg(&path).status().unwrap().success()
    );
    let mut child = std::process::Command::new(&path).arg("60").spawn().unwrap();
    let tally = into(top.path(), &push(Placement::Into), one_file(b"new")).tally();
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!((tally.stored, fs::read(&path).unwrap()), (1, b"new".to_vec()));
}

/// F1: `delete` removes what was not listed, but for what patterns leave out, and never where the
/// listing may be short.
#[test]
fn deletion() {
    let top = tempfile::tempdir().unwrap();
    let d = top.path().join("d");
    let fill = || {
        fs::create_dir_all(d.join("gone/deep")).unwrap();
        fs::write(d.join("gone/deep/x"), "").unwrap();
        fs::write(d.join("gone/keep.o"), "").unwrap();
        fs::write(d.join("old"), "").unwrap();
        fs::write(d.join("keep.o"), "").unwrap();
        let _ = link_to("/etc", d.join("out"));
    };
    fill();
    let listing = || tree(vec![], vec![]);
    let options = Options { delete: true, ..Options::default() };
    let filters = vec![Filter { include: false, pattern: "*.o".into() }];
    let dry = Transfer { filters: filters.clone(), ..with(Options { dry_run: true, ..options }) };
    let came = into(top.path(), &dry, listing());
    // As many as are removed below, and nothing is.
    assert_eq!(came.tally().removed, 4);
    assert_eq!(names(&d), ["gone", "keep.o", "old", "out"]);
    let would = |path: &str| FromReceiver::Note { note: Note::WouldRemove, path: path.into() };
    assert!(came.said.contains(&would("d/old")) && !came.said.contains(&would("d/keep.o")));

    let short = |words: Vec<FromSender>| into(top.path(), &with(options), words);
    let leave = FromSender::Leave { complete: false };
    let came = short(vec![root(dir("d")), leave, FromSender::Listed]);
    assert!(came.troubles()[0].1.contains("nothing was removed"));
    let trouble = FromSender::Trouble { path: b"d/x".to_vec(), text: "no".into() };
    assert_eq!(short(tree(vec![trouble], vec![])).tally().removed, 0);
    assert_eq!(names(&d), ["gone", "keep.o", "old", "out"]);

    let came = into(top.path(), &Transfer { filters, ..with(options) }, listing());
    assert_eq!(came.tally().removed, 4);
    assert_eq!(names(&d), ["gone", "keep.o"]);
    assert_eq!(names(&d.join("gone")), ["keep.o"]);
    fill();
    let came = into(top.path(), &with(options), listing());
    assert_eq!((came.tally().removed, names(&d).len()), (7, 0));
    assert!(Path::new("/etc/passwd").exists());
}

/// F7: a dry run writes nothing.
#[test]
fn a_dry_run_writes_nothing() {
    let top = tempfile::tempdir().unwrap();
    let entries = vec![entry(file("a", 1)), entry(symlink("l", "x")), entry(dir("s")), LEAVE];
    let transfer = with(Options { dry_run: true, ..Options::default() });
    let came = into(top.path(), &transfer, tree(entries, vec![]));
    assert_eq!(came.tally(), Tally::default());
    for path in ["d/a", "d/l"] {
        let note = FromReceiver::Note { note: Note::WouldStore, path: path.into() };
        assert!(came.said.contains(&note), "{path}");
    }
    assert!(names(top.path()).is_empty());
}

/// F5: hard links, whichever is settled first; owner; attributes.
#[test]
fn an_archive_keeps_everything() {
    let top = tempfile::tempdir().unwrap();
    let node = |group| Node::File { size: Some(1), group: Some(group) };
    let mut first = entry_of("a", node(1), 0o444);
    first.meta.xattrs = vec![(b"user.color".to_vec(), b"red".to_vec())];
    if rustix::process::geteuid().is_root() {
        first.meta.owner = Some(Owner { uid: 1234, gid: 4321 });
    }
    let entries = vec![
        entry(first),
        entry(entry_of("b", Node::Link(1), 0o444)),
        entry(entry_of("p", Node::Fifo { group: None }, 0o600)),
        entry(entry_of("v", node(2), 0o444)),
        entry(entry_of("w", Node::Link(2), 0o444)),
    ];
    let void = FromSender::Void { file: 1, again: false, text: "gone".into() };
    let transfer = with(Options { archive: true, ..Options::default() });
    let came = into(top.path(), &transfer, tree(entries, vec![small(0, b"x"), void]));
    assert_eq!((came.tally().stored, came.tally().failed), (1, 2));
    let d = top.path().join("d");
    let (a, b) = (fs::metadata(d.join("a")).unwrap(), fs::metadata(d.join("b")).unwrap());
    assert_eq!((a.ino(), a.nlink()), (b.ino(), 2));
    if rustix::process::geteuid().is_root() {
        assert_eq!((a.uid(), a.gid()), (1234, 4321));
    }
    let mut value = [0; 8];
    let length = rustix::fs::getxattr(d.join("a"), "user.color", &mut value[..]).unwrap();
    assert_eq!(&value[..length], b"red");
    assert_eq!(names(&d), ["a", "b", "p"]);
    assert_eq!(fs::metadata(&d).unwrap().mtime(), THEN.seconds);
}

/// One file to standard output.
#[test]
fn a_stream() {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let words = vec![
        root(entry_of("x", Node::File { size: None, group: None }, 0o600)),
        FromSender::Listed,
        FromSender::Begin { file: 0, mtime: THEN, size: None, from: 0 },
        FromSender::Data(b"ab".to_vec()),
        FromSender::Hole(2),
        FromSender::Close { hash: *blake3::hash(b"ab\0\0").as_bytes() },
    ];
    let (mut inbox, mut outbox) = (Script(words.into()), Heard::default());
    let destination = Destination::Stream(Box::new(writer));
    let transfer = push(Placement::Exact);
    let tally = receive(destination, &transfer, &[], &mut inbox, &mut outbox, &mut Nobody);
    assert_eq!(tally.unwrap().stored, 1);
    let mut came = Vec::new();
    std::io::Read::read_to_end(&mut reader, &mut came).unwrap();
    assert_eq!(came, b"ab\0\0");
}

/// F1: what the sender says of its `.gitignore` files is not removed, nor in the place of a file; what
/// such files say here does not count. A dry run says the same.
#[test]
fn what_git_ignores_stays() {
    let options = Options { delete: true, gitignore: true, ..Options::default() };
    let ignore = |text: &str| FromSender::Ignore(text.into());
    for (theirs, dry_run) in [(true, true), (true, false), (false, true), (false, false)] {
        let top = tempfile::tempdir().unwrap();
        let d = top.path().join("d");
        for name in ["sub/target", "sub/x", "x", "old/y", "new/target"] {
            fs::create_dir_all(d.join(name)).unwrap();
        }
        if theirs {
            fs::write(d.join(".gitignore"), "old\n").unwrap();
            fs::write(d.join("sub/.gitignore"), "!target/\n").unwrap();
        }
        let mut entries = vec![ignore("target/\n"), entry(dir("sub")), ignore("/x\n"), LEAVE];
        entries.extend([entry(file("new", 1)), entry(file(".gitignore", 8))]);
        let contents = if dry_run { vec![] } else { vec![small(0, b"x"), small(1, b"target/\n")] };
        let options = Options { dry_run, ..options };
        let tally = into(top.path(), &with(options), tree(entries, contents)).tally();
        assert_eq!(
            (tally.removed, tally.failed),
            (3 + u64::from(theirs), 1),
            "{dry_run} {tally:?}"
        );
        if !dry_run {
            assert_eq!(names(&d), [".gitignore", "new", "sub"]);
            assert_eq!(names(&d.join("sub")), ["target", "x"]);
            assert_eq!(names(&d.join("new")), ["target"]);
        }
    }
    // Whoever removes nothing has not asked.
    let top = tempfile::tempdir().unwrap();
    let without = Options { gitignore: false, ..options };
    let came = into(top.path(), &with(without), tree(vec![ignore("x")], vec![]));
    assert!(came.stopped().contains("not asked for"));
}

/// F1: what patterns leave out stays, also where its directory is in the way of a file: then the file
/// is what fails.
#[test]
fn what_is_excluded_stays_in_the_way() {
    let top = tempfile::tempdir().unwrap();
    let d = top.path().join("d");
    fs::create_dir_all(d.join("x")).unwrap();
    fs::write(d.join("x/keep"), "").unwrap();
    fs::write(d.join("x/old"), "").unwrap();
    let options = Options { delete: true, ..Options::default() };
    let mut transfer = with(options);
    transfer.filters = vec![Filter { include: false, pattern: "keep".into() }];
    let came = into(top.path(), &transfer, tree(vec![entry(file("x", 1))], vec![small(0, b"x")]));
    assert_eq!(came.tally().failed, 1);
    assert_eq!(names(&d.join("x")), ["keep"]);
}

/// Row 60: names of a file whose first name could not be made are trouble, and no end of the transfer.
#[test]
fn links_to_what_has_no_directory() {
    let top = tempfile::tempdir().unwrap();
    let d = top.path().join("d");
    fs::create_dir_all(&d).unwrap();
    fs::write(d.join("a"), "in the way").unwrap();
    let options = Options { archive: true, ..Options::default() };
    let group = |text| entry(entry_of(text, Node::File { size: Some(1), group: Some(7) }, 0o600));
    let link = entry(entry_of("y", Node::Link(7), 0o600));
    let entries = vec![entry(dir("a")), group("x"), LEAVE, link, entry(file("z", 1))];
    let came = into(top.path(), &with(options), tree(entries, vec![small(1, b"z")]));
    assert_eq!((came.tally().stored, came.tally().failed), (1, 2));
    assert_eq!(names(&d), ["a", "z"]);
}

/// F8, row 66: owners and attributes come only where they were asked for.
#[test]
fn attributes_nobody_asked_for() {
    let top = tempfile::tempdir().unwrap();
    let mut with_attribute = file("x", 1);
    with_attribute.meta.xattrs = vec![(b"user.x".to_vec(), vec![0; 1000])];
    let mut whole = file("x", 1);
    whole.meta.whole = true;
    for asked_for in [with_attribute, whole] {
        let words = tree(vec![entry(asked_for)], vec![]);
        let came = into(top.path(), &with(Options::default()), words);
        assert!(came.stopped().contains("not asked for"));
    }
}
