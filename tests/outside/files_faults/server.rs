//! Hostile servers (F8, faults 61, 62, 66): a client writes only what it asked for, where it asked.

use std::fs;
use std::path::Path;

use sockeye_wire::files::{FromReceiver, FromSender, Node};

use super::peers::{
    Far, Met, directory, entry, file, leave, link, meet, meet_in, renamed, root, sent, server,
    small,
};
use crate::harness::files::{litter, names_in, put, temporary_name, text_of};

/// A client asks for `asked` into `dst`, and the server says these bytes at once.
fn told(words: &[&str], said: Vec<u8>) -> Met {
    let fake = server(async move |mut far: Far<FromReceiver>| {
        far.say(&said).await;
        far.hear_rest().await;
    });
    meet(&fake, words)
}

/// The client has failed, and its directory has nothing but what is named.
#[track_caller]
fn assert_nothing(met: &Met, what: &str, but: &[&str]) {
    assert_eq!(met.output.code, Some(1), "{what}: {:?}", met.output);
    assert_eq!(names_in(met.here.path()), but, "{what}: {:?}", met.output);
}

const NAMES: [&[u8]; 9] =
    [b"../x", b"/x", b"", b".", b"..", b"a/b", b"x\0y", b"/etc/passwd", b"../../../tmp/x"];

/// F8, fault 61: a source is called what was asked for. Names that lead elsewhere, and those that
/// are none, are refused and shown.
#[test]
fn root_names() {
    for name in NAMES {
        let placeholder = root(file("placeholder", 1));
        let met = told(&["cp", ":a", "dst"], renamed(&placeholder, name));
        assert_nothing(&met, &name.escape_ascii().to_string(), &[]);
        let shown = format!("\"{}\"", name.escape_ascii());
        assert!(met.output.stderr.contains(&shown), "{shown}: {:?}", met.output);
        assert!(met.output.stderr.contains("the sender"), "{:?}", met.output);
    }
    for other in ["b", "A", "a ", "aa"] {
        let met = told(&["cp", ":a", "dst"], sent(&[root(file(other, 1))]));
        assert_nothing(&met, other, &[]);
        assert!(met.output.stderr.contains("not asked for"), "{:?}", met.output);
    }
}

/// F8, fault 61: one file was asked for: more sources, and files outside of any, are refused.
#[test]
fn more_than_asked() {
    let second = FromSender::Root { index: 1, identity: [8; 16], entry: file("b", 1) };
    let cases = [
        ("second source", sent(&[root(directory("a")), leave(), second])),
        ("the same twice", sent(&[root(directory("a")), leave(), root(directory("a"))])),
        ("no directory", sent(&[FromSender::Entry(file("b", 1))])),
        ("left too often", sent(&[root(directory("a")), leave(), leave()])),
    ];
    for (what, said) in cases {
        let met = told(&["cp", ":a", "dst"], said);
        assert_eq!(met.output.code, Some(1), "{what}: {:?}", met.output);
        assert!(met.output.stderr.contains("the sender"), "{what}: {:?}", met.output);
        assert!(!met.here.path().join("b").exists(), "{what}");
    }
}

/// F8, fault 61: the same names within a directory; names that were there before, and our own
/// temporary ones.
#[test]
fn entry_names() {
    let outside = tempfile::tempdir().unwrap();
    for name in NAMES {
        for node in [
            Node::Directory,
            Node::Symlink { target: b"/".to_vec(), group: None },
            Node::File { size: Some(1), group: None },
        ] {
            let placeholder = FromSender::Entry(entry("placeholder", node));
            let said = [sent(&[root(directory("a"))]), renamed(&placeholder, name)].concat();
            let met = told(&["cp", ":a", "a"], said);
            assert_eq!(met.output.code, Some(1), "{name:?}: {:?}", met.output);
            assert!(names_in(met.here.path()).iter().all(|name| name == "a"), "{name:?}");
        }
    }
    let temporary = &temporary_name()[..];
    for pair in [["x", "x"], [temporary, "x"], ["x", temporary]] {
        let entries = pair.map(|name| FromSender::Entry(link(name, "/")));
        let said = [sent(&[root(directory("a"))]), sent(&entries)].concat();
        let met = told(&["cp", ":a", "a"], said);
        assert_eq!(met.output.code, Some(1), "{pair:?}: {:?}", met.output);
        assert!(met.output.stderr.contains("name is taken"), "{pair:?}: {:?}", met.output);
    }
    assert!(names_in(outside.path()).is_empty());
}

/// Fault 61: names that differ by case are two files.
#[test]
fn case_twins() {
    let fake = server(async |mut far: Far<FromReceiver>| {
        let entries = [file("x", 1), file("X", 1)].map(FromSender::Entry);
        far.say(&sent(&[root(directory("a"))])).await;
        far.say(&sent(&entries)).await;
        far.say(&sent(&[leave(), FromSender::Listed])).await;
        let mut wanted = 0;
        while wanted < 2 {
            match far.hear().await {
                Some(FromReceiver::Want(count)) => wanted += count,
                Some(_) => {}
                None => return,
            }
        }
        far.say(&sent(&[small(0, b"l"), small(1, b"U")])).await;
        far.hear_rest().await;
    });
    let met = meet(&fake, &["cp", ":a", "a"]);
    assert_eq!(met.output.code, Some(0), "{:?}", met.output);
    assert_eq!(text_of(met.here.path().join("a/x")), "l");
    assert_eq!(text_of(met.here.path().join("a/X")), "U");
}

/// A server whose directory `a` has these entries first, then a directory `d` with a file `f`.
fn through(first: Vec<FromSender>, into: impl FnOnce(&Path), words: &[&str]) -> Met {
    let listing = [
        vec![root(directory("a"))],
        first,
        vec![
            FromSender::Entry(directory("d")),
            FromSender::Entry(file("f", 4)),
            leave(),
            leave(),
            FromSender::Listed,
        ],
    ];
    let said = sent(&listing.concat());
    let fake = server(async move |mut far: Far<FromReceiver>| {
        far.say(&said).await;
        while let Some(message) = far.hear().await {
            match message {
                FromReceiver::Want(_) | FromReceiver::Resume(_) => {
                    far.say(&sent(&[small(0, b"evil")])).await;
                }
                _ => {}
            }
        }
    });
    let here = tempfile::tempdir().unwrap();
    into(here.path());
    meet_in(&fake, words, here)
}

/// F8, fault 62: a link, and then a file through it: the second use of the name is refused.
#[test]
fn link_then_through_it() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap();
    for words in
        [&["cp", ":a", "."][..], &["sync", ":a", "a", "--delete"], &["cp", "-a", ":a", "."]]
    {
        let met = through(vec![FromSender::Entry(link("d", target))], |_| {}, words);
        assert_eq!(met.output.code, Some(1), "{:?}", met.output);
        assert!(names_in(outside.path()).is_empty(), "written through the link");
    }
}

/// F8, fault 62: a link that is there already is not followed either: its name becomes the
/// directory, or it stays and that is told.
#[test]
fn existing_links() {
    let outside = tempfile::tempdir().unwrap();
    put(outside.path().join("f"), "safe");
    let mode = fs::metadata(outside.path()).unwrap().permissions();
    for words in [&["cp", ":a", "."][..], &["sync", ":a", "a", "--delete"]] {
        let met = through(
            vec![],
            |here| {
                fs::create_dir(here.join("a")).unwrap();
                std::os::unix::fs::symlink(outside.path(), here.join("a/d")).unwrap();
            },
            words,
        );
        assert_eq!(text_of(outside.path().join("f")), "safe", "{:?}", met.output);
        assert_eq!(names_in(outside.path()), ["f"]);
        assert_eq!(fs::metadata(outside.path()).unwrap().permissions(), mode);
        let d = met.here.path().join("a/d");
        let is_link = fs::symlink_metadata(&d).unwrap().is_symlink();
        assert_eq!(is_link, met.output.code == Some(1), "{:?}", met.output);
    }
    // Nor where a file shall be: the link itself is replaced.
    let safe = outside.path().join("f");
    let met = through(
        vec![],
        |here| {
            fs::create_dir_all(here.join("a/d")).unwrap();
            std::os::unix::fs::symlink(&safe, here.join("a/d/f")).unwrap();
        },
        &["cp", ":a", "."],
    );
    assert_eq!(met.output.code, Some(0), "{:?}", met.output);
    assert_eq!(text_of(&safe), "safe");
    let f = met.here.path().join("a/d/f");
    assert!(!fs::symlink_metadata(&f).unwrap().is_symlink());
    assert_eq!(text_of(f), "evil");
}

/// Fault 62: a link to a link to elsewhere, and a hard link to a group that nobody began.
#[test]
fn links_of_links() {
    let outside = tempfile::tempdir().unwrap();
    let target = outside.path().to_str().unwrap();
    let first = vec![
        FromSender::Entry(link("l1", target)),
        FromSender::Entry(link("l2", "l1")),
        FromSender::Entry(link("d", "l2")),
    ];
    let met = through(first, |_| {}, &["cp", "-a", ":a", "."]);
    assert_eq!(met.output.code, Some(1), "{:?}", met.output);
    let met = through(
        vec![FromSender::Entry(entry("h", Node::Link(7)))],
        |_| {},
        &["cp", "-a", ":a", "."],
    );
    assert_eq!(met.output.code, Some(1), "{:?}", met.output);
    assert!(!met.here.path().join("a/h").exists());
    assert!(names_in(outside.path()).is_empty());
}

/// F8: a server that was asked for one file into a name cannot make a directory of another's files
/// of it, and one that says nothing at all is no success.
#[test]
fn nothing_said() {
    let met = told(&["cp", ":a", "dst"], sent(&[FromSender::Listed]));
    assert_eq!(met.output.code, Some(1), "{:?}", met.output);
    assert!(names_in(met.here.path()).is_empty());
    let fake = server(async |_: Far<FromReceiver>| {});
    let met = meet(&fake, &["cp", ":a", "dst"]);
    assert_nothing(&met, "hang-up", &[]);
    assert!(litter(met.here.path()).is_empty());
}

/// Fault 66: more files than may be open, directories without end.
#[test]
fn floods() {
    let mut files = sent(&[root(directory("a"))]);
    for number in 0..6000 {
        files.extend(sent(&[FromSender::Entry(file(&format!("f{number}"), 1))]));
    }
    let met = told(&["cp", ":a", "a"], files);
    assert_eq!(met.output.code, Some(1), "{:?}", met.output);
    assert!(met.output.stderr.contains("more files than were asked for"), "{:?}", met.output);
    let mut deep = sent(&[root(directory("a"))]);
    let one = sent(&[FromSender::Entry(directory("d"))]);
    deep.extend(one.repeat(17_000));
    let met = told(&["cp", "-n", ":a", "a"], deep);
    assert_eq!(met.output.code, Some(1), "{:?}", met.output);
    assert!(met.output.stderr.contains("more directories"), "{:?}", met.output);
}
