//! What files have beside their content: how much of it is held, and what becomes of a file where it
//! cannot be set.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::{AtomicBool, Ordering};

use sockeye_limits as limits;
use sockeye_wire::files::{Note, Owner, Role};

use super::super::ignored::Kept;
use super::super::meta::Rights;
use super::super::remove::{Removal, sweep};
use super::*;
use crate::send::Filters;
use crate::tree::{Handles, Place};

fn entry(entry: Entry) -> FromSender {
    FromSender::Entry(entry)
}

fn archive() -> Transfer {
    with(Options { archive: true, ..Options::default() })
}

fn with_attribute(mut entry: Entry, name: &str, length: usize) -> Entry {
    entry.meta.xattrs = vec![(name.into(), vec![b'x'; length])];
    entry
}

fn attribute(path: &Path, name: &str) -> Option<usize> {
    rustix::fs::getxattr(path, name, &mut [0; 64][..]).ok()
}

/// Row 66, P-X17: attributes of files that wait for their content are bounded in sum, and the sender
/// is at fault; those of a directory are set at once, and not held until it is finished.
#[test]
fn attributes_are_bounded_in_sum() {
    let top = tempfile::tempdir().unwrap();
    let mut words = vec![root(with_attribute(dir("d"), "user.early", 3))];
    let many = 2 + limits::ATTRIBUTES_AHEAD / 1_000_000;
    for n in 0..many {
        let file = with_attribute(file(&format!("f{n}"), 1), "user.long", 1_000_000);
        words.push(entry(file));
    }
    let came = into(top.path(), &archive(), words);
    assert_eq!(attribute(&top.path().join("d"), "user.early"), Some(3));
    match came.end {
        Err(Stopped::Peer(wrong)) => {
            assert_eq!(wrong.guilty, Role::Sender);
            assert!(wrong.to_string().contains("attributes"), "{wrong}");
        }
        other => panic!("{other:?}"),
    }
}

/// Row 66, P-X17: so are the names that wait for a file.
#[test]
fn names_of_a_file_are_bounded() {
    let top = tempfile::tempdir().unwrap();
    let node = Node::File { size: Some(1), group: Some(1) };
    let mut words = vec![root(dir("d")), entry(entry_of("first", node, 0o600))];
    for n in 0..=limits::LINKS_AHEAD {
        words.push(entry(entry_of(&format!("n{n}"), Node::Link(1), 0o600)));
    }
    let came = into(top.path(), &archive(), words);
    assert!(came.stopped().contains("names of files"));
}

/// F2, F5: a file whose attribute, owner or mode cannot be set is there all the same, and told as a
/// failure; without the owner that was meant it runs as nobody else.
#[test]
fn what_cannot_be_set_costs_no_file() {
    let top = tempfile::tempdir().unwrap();
    let node = |group| Node::File { size: Some(1), group };
    // The kernel takes no attribute as long as this one, and no owner with this number.
    let long = with_attribute(file("long", 1), "user.long", 100_000);
    let mut owned = entry_of("owned", node(Some(1)), 0o6755);
    owned.meta.owner = Some(Owner { uid: u32::MAX, gid: u32::MAX });
    let mut link = symlink("link", "x");
    link.meta.owner = owned.meta.owner;
    let sub = with_attribute(dir("sub"), "user.long", 100_000);
    let second = entry_of("second", Node::Link(1), 0o6755);
    let entries = [entry(long), entry(owned), entry(second), entry(link), entry(sub), LEAVE];
    let words = tree(entries.to_vec(), vec![small(0, b"1"), small(1, b"2")]);
    let came = into(top.path(), &archive(), words);
    let tally = came.tally();
    assert_eq!((tally.stored, tally.failed), (2, 4), "{:?}", came.troubles());
    let d = top.path().join("d");
    assert_eq!(names(&d), ["link", "long", "owned", "second", "sub"]);
    assert_eq!(fs::read(d.join("long")).unwrap(), b"1");
    let meta = fs::metadata(d.join("owned")).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.nlink(), meta.mtime()), (0o755, 2, THEN.seconds));
    let mut troubles = came.troubles();
    troubles.sort();
    for ((path, text), (expected, what)) in troubles.iter().zip([
        ("d/link", "its owner cannot be set"),
        ("d/long", "its attribute user.long cannot be set"),
        ("d/owned", "its owner cannot be set"),
        ("d/sub", "its attribute user.long cannot be set"),
    ]) {
        assert_eq!(path, expected);
        assert!(text.contains("it is here, but") && text.contains(what), "{text}");
    }
    // What is here and equal stays as well, and so do its other names.
    let mut again = entry_of("owned", node(Some(1)), 0o755);
    again.meta.owner = Some(Owner { uid: u32::MAX, gid: u32::MAX });
    let second = entry_of("second", Node::Link(1), 0o755);
    let words = tree(vec![entry(again), entry(second)], vec![]);
    let came = into(top.path(), &archive(), words);
    assert_eq!((came.tally().skipped, came.tally().failed), (1, 1), "{:?}", came.troubles());
    assert_eq!(fs::metadata(d.join("second")).unwrap().nlink(), 2);
}

/// Row 64: the special bits of a directory that was there are not the source's to clear.
#[test]
fn special_bits_of_directories_stay() {
    let top = tempfile::tempdir().unwrap();
    let d = top.path().join("d");
    fs::create_dir(&d).unwrap();
    let mode = || fs::metadata(&d).unwrap().mode() & 0o7777;
    fs::set_permissions(&d, fs::Permissions::from_mode(0o3775)).unwrap();
    into(top.path(), &push(Placement::Into), tree(vec![], vec![])).tally();
    assert_eq!(mode(), 0o3751);
    into(top.path(), &archive(), tree(vec![], vec![])).tally();
    assert_eq!(mode(), 0o751);
}

/// Row 69: nobody can lock a link while it has its temporary name. Another transfer that removes what
/// is left over takes it away, and it is made again.
#[test]
fn links_outlive_a_sweep() {
    let top = tempfile::tempdir().unwrap();
    let d = top.path().join("d");
    fs::create_dir(&d).unwrap();
    let handle: OwnedFd = fs::File::open(&d).unwrap().into();
    let stop = AtomicBool::new(false);
    let node = Node::File { size: Some(1), group: Some(1) };
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                sweep(&handle).unwrap();
            }
        });
        for round in 0..30 {
            let mut entries = vec![entry(entry_of("first", node.clone(), 0o600))];
            for n in 0..30 {
                entries.push(entry(symlink(&format!("l{n}"), &format!("{round}"))));
                entries.push(entry(entry_of(&format!("n{n}"), Node::Link(1), 0o600)));
                entries.push(entry(entry_of(
                    &format!("p{round}-{n}"),
                    Node::Fifo { group: None },
                    0o600,
                )));
            }
            let contents = if round == 0 { vec![small(0, b"x")] } else { vec![] };
            let came = into(top.path(), &archive(), tree(entries, contents));
            let troubles = came.end.is_err().then(Vec::new).unwrap_or_else(|| came.troubles());
            if !troubles.is_empty() || came.end.is_err() {
                stop.store(true, Ordering::Relaxed);
                panic!("{troubles:?} {:?}", came.end);
            }
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// Row 60, F7: with `delete` a dry run says of what is in the way of a directory, or of a file or
/// link, that it would be removed, and is no failure.
#[test]
fn a_dry_run_over_what_is_in_the_way() {
    let top = tempfile::tempdir().unwrap();
    let d = top.path().join("d");
    fs::create_dir_all(d.join("file/kept")).unwrap();
    fs::create_dir_all(d.join("link/kept")).unwrap();
    fs::write(d.join("sub"), "old").unwrap();
    let entries = vec![
        entry(file("file", 1)),
        entry(symlink("link", "x")),
        entry(dir("sub")),
        entry(file("in", 1)),
        LEAVE,
    ];
    let options = Options { delete: true, dry_run: true, ..Options::default() };
    let came = into(top.path(), &with(options), tree(entries.clone(), vec![]));
    assert_eq!(came.tally().failed, 0, "{:?}", came.troubles());
    let would =
        |path: &str, note| came.said.contains(&FromReceiver::Note { note, path: path.into() });
    for path in ["d/file", "d/link", "d/sub"] {
        assert!(would(path, Note::WouldRemove), "{path}");
    }
    for path in ["d/file", "d/link", "d/sub/in"] {
        assert!(would(path, Note::WouldStore), "{path}");
    }
    assert_eq!(fs::read(d.join("sub")).unwrap(), b"old");
    assert!(d.join("file/kept").is_dir() && d.join("link/kept").is_dir());
    // Without it they are in the way.
    let options = Options { delete: false, ..options };
    let came = into(top.path(), &with(options), tree(entries, vec![]));
    assert_eq!(came.tally().failed, 3, "{:?}", came.troubles());
}

/// F5, P-X5: several names of a link and of a pipe are names of one; where the first cannot be made its
/// others fail, and a group that was begun is not begun again.
#[test]
fn groups_of_links_and_pipes() {
    let top = tempfile::tempdir().unwrap();
    let d = top.path().join("d");
    fs::create_dir_all(d.join("in-the-way/x")).unwrap();
    let link = |group| Node::Symlink { target: b"x".to_vec(), group: Some(group) };
    let pipe = Node::Fifo { group: Some(2) };
    let entries = vec![
        entry(entry_of("a", link(1), 0o777)),
        entry(entry_of("p", pipe, 0o600)),
        entry(entry_of("in-the-way", link(3), 0o777)),
        entry(entry_of("b", Node::Link(1), 0o777)),
        entry(entry_of("q", Node::Link(2), 0o600)),
        entry(entry_of("c", Node::Link(3), 0o777)),
    ];
    for made in [4, 0] {
        let came = into(top.path(), &archive(), tree(entries.clone(), vec![]));
        assert_eq!((came.tally().made, came.tally().failed), (made, 2), "{:?}", came.troubles());
        assert_eq!(names(&d), ["a", "b", "in-the-way", "p", "q"]);
        for (one, other) in [("a", "b"), ("p", "q")] {
            let inode = |name: &str| fs::symlink_metadata(d.join(name)).unwrap().ino();
            assert_eq!(inode(one), inode(other));
        }
    }
    let twice = vec![entry(entry_of("a", link(1), 0o777)), entry(entry_of("b", link(1), 0o777))];
    let came = into(top.path(), &archive(), tree(twice, vec![]));
    assert!(came.stopped().contains("for the second time"));
}

/// F5, P-X5: attributes that a whole list has not are removed, of a directory too, and those of a list
/// that is not whole stay.
#[test]
fn whole_lists_of_attributes() {
    let top = tempfile::tempdir().unwrap();
    let d = top.path().join("d");
    fs::create_dir(&d).unwrap();
    fs::write(d.join("f"), "x").unwrap();
    for path in [&d, &d.join("f")] {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::setxattr(path, "user.old", b"old", flags).unwrap();
    }
    let listing = |whole| {
        let of = |mut entry: Entry| {
            entry = with_attribute(entry, "user.new", 3);
            entry.meta.whole = whole;
            entry
        };
        let file = of(file("f", 1));
        vec![root(of(dir("d"))), entry(file), LEAVE, FromSender::Listed, small(0, b"x")]
    };
    for (whole, left) in [(false, Some(3)), (true, None)] {
        into(top.path(), &archive(), listing(whole)).tally();
        // Of the file that was stored anew nothing is left.
        assert_eq!((attribute(&d, "user.old"), attribute(&d, "user.new")), (left, Some(3)));
        assert_eq!(attribute(&d.join("f"), "user.old"), None);
    }
    // And of one that stays.
    let flags = rustix::fs::XattrFlags::empty();
    rustix::fs::setxattr(d.join("f"), "user.old", b"old", flags).unwrap();
    let kept = |whole| {
        let words =
            listing(whole).into_iter().filter(|word| !matches!(word, FromSender::Small { .. }));
        into(top.path(), &archive(), words.collect()).tally()
    };
    assert_eq!((kept(false).updated, attribute(&d.join("f"), "user.old")), (0, Some(3)));
    assert_eq!((kept(true).updated, attribute(&d.join("f"), "user.old")), (1, None));
}

/// F6, F7: where a directory is to take the place of a file, and another connection has made it already,
/// that stays with all that is in it.
#[test]
fn what_another_connection_made_stays() {
    let top = tempfile::tempdir().unwrap();
    fs::create_dir(top.path().join("d")).unwrap();
    fs::write(top.path().join("d/f"), "theirs").unwrap();
    let handle: OwnedFd = fs::File::open(top.path()).unwrap().into();
    let filters = Filters::new(&[]).unwrap();
    let mut removal = Removal {
        handles: &mut Handles::new(),
        kept: Kept { filters: &filters, ignored: None, source: 0 },
        sources: &[],
        rights: Rights { archive: false, privileged: true },
        dry_run: false,
        removed: 0,
    };
    let gone = removal.tree(&Place::root(handle), &name("d"), false);
    assert!(matches!(gone, Ok(false)));
    assert_eq!(removal.removed, 0);
    assert_eq!(fs::read(top.path().join("d/f")).unwrap(), b"theirs");
}

/// Row 63: what has taken a temporary name of ours meanwhile gets nothing that was meant for a link or a
/// pipe.
#[test]
fn what_took_the_name_is_left_alone() {
    let top = tempfile::tempdir().unwrap();
    fs::write(top.path().join("t"), "theirs").unwrap();
    fs::set_permissions(top.path().join("t"), fs::Permissions::from_mode(0o600)).unwrap();
    let handle: OwnedFd = fs::File::open(top.path()).unwrap().into();
    let rights = Rights { archive: true, privileged: rustix::process::geteuid().is_root() };
    let meta = Meta { mode: 0o4777, mtime: THEN, ..Meta::default() };
    for is in [rustix::fs::FileType::Fifo, rustix::fs::FileType::Symlink] {
        let error = rights.apply_at(&handle, "t", is, &meta).unwrap_err();
        assert_eq!(error.kind(), std::io::ErrorKind::AlreadyExists);
    }
    assert_eq!(fs::metadata(top.path().join("t")).unwrap().mode() & 0o7777, 0o600);
}
