//! F3 to F7, Q2: what stays is brought up to date in all that it has beside its content, and what is
//! said of a transfer is what it did.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, utimensat};

use crate::harness::files::{Site, Told, assert_same_trees, put, tree, whole_tree};
use crate::harness::process::{needs, needs_root, tool};
use crate::harness::remote::text;

fn touch(path: &Path, seconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: 7 };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn fifo(path: &Path, mode: u32) {
    rustix::fs::mknodat(CWD, path, FileType::Fifo, Mode::from_raw_mode(mode), 0).unwrap();
}

fn attribute(path: &Path, name: &str, value: &[u8]) {
    rustix::fs::setxattr(path, name, value, XattrFlags::empty()).unwrap();
}

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// A tree with one of each kind, each with all that it can have.
fn plant(root: &Path) {
    put(root.join("d/file"), "content");
    symlink("nowhere", root.join("d/link")).unwrap();
    fifo(&root.join("d/pipe"), 0o640);
    put(root.join("d/stays"), "stays");
    for name in ["d/file", "d"] {
        attribute(&root.join(name), "user.first", b"1");
        attribute(&root.join(name), "user.second", b"2");
    }
    age(root, 1_000_000_000);
}

/// Sets the time of all that is in a tree.
fn age(root: &Path, seconds: i64) {
    for name in ["d/file", "d/link", "d/pipe", "d/stays", "d", ""] {
        touch(&root.join(name), seconds);
    }
}

/// Changes all that is no content, and of that which each kind has.
fn meddle(root: &Path) {
    for name in ["d/file", "d"] {
        rustix::fs::removexattr(root.join(name), "user.first").unwrap();
        attribute(&root.join(name), "user.second", b"other");
    }
    chmod(&root.join("d/file"), 0o600);
    chmod(&root.join("d/pipe"), 0o600);
    chmod(&root.join("d"), 0o700);
    if is_root() {
        for (number, name) in ["d/file", "d/link", "d/pipe", "d"].iter().enumerate() {
            let number = u32::try_from(number).unwrap();
            lchown(root.join(name), Some(1000 + number), Some(2000 + number)).unwrap();
        }
        rustix::fs::lsetxattr(root.join("d/link"), "trusted.l", b"l", XattrFlags::empty()).unwrap();
    }
    // Not the file: with another time its content would be looked at.
    for name in ["d/link", "d/pipe", "d"] {
        touch(&root.join(name), 1_100_000_000);
    }
}

const CHANGED: [&str; 4] = ["src/d", "src/d/file", "src/d/link", "src/d/pipe"];

/// What nothing is left to do of.
#[track_caller]
fn nothing_to_do(told: &Told) {
    for name in ["stored", "updated", "made", "removed", "failed", "bytes_sent"] {
        assert_eq!(told.count(name), 0, "{name}: {told:?}");
    }
    assert_eq!(told.events.len(), 1, "{told:?}");
}

/// F5, F7: mode, owner, time and attributes of files, directories, links and pipes that are there are
/// brought up to date; a dry run names just these, nothing is left to do after that, and rsync says so
/// too. Both ways.
#[test]
fn all_that_is_there_is_brought_up_to_date() {
    for (source, from, to) in [("here", "src", ":dst"), ("there", ":src", "dst")] {
        let site = Site::new();
        let (src, dst) = match source {
            "here" => (site.here("src"), site.there("dst")),
            _ => (site.there("src"), site.here("dst")),
        };
        plant(&src);
        site.well(&["sync", "-a", from, to]);
        nothing_to_do(&site.told(&["sync", "-a", from, to]));
        meddle(&src);
        let before = whole_tree(&dst);
        let dry = site.told(&["sync", "-a", "-n", from, to]);
        assert_eq!(dry.paths("would-update"), CHANGED, "{dry:?}");
        assert_eq!((dry.count("would_update"), dry.events.len()), (4, 5), "{dry:?}");
        assert_same_trees(&whole_tree(&dst), &before);

        let told = site.told(&["sync", "-a", from, to]);
        assert_eq!(told.paths("updated"), CHANGED, "{told:?}");
        assert_eq!((told.count("updated"), told.count("stored")), (4, 0), "{told:?}");
        assert_same_trees(&whole_tree(&dst), &whole_tree(&src));
        nothing_to_do(&site.told(&["sync", "-a", from, to]));
        let told = site.told(&["sync", "-a", from, to, "-n"]);
        assert_eq!(told.events.len(), 1, "{told:?}");
        if needs(&["rsync"]) {
            let (src, dst) = (format!("{}/", text(&src)), format!("{}/", text(&dst)));
            let words = ["-aHXS", "--checksum", "--dry-run", "--itemize-changes", &src, &dst];
            assert_eq!(tool("rsync", &words), "", "rsync would change something");
        }
    }
}

/// F5, F7: without `--archive` the time of a link and the mode of a file are brought up to date, and
/// attributes of the destination are its own.
#[test]
fn without_archive_less_is_kept() {
    let site = Site::new();
    plant(&site.here("src"));
    fs::remove_file(site.here("src/d/pipe")).unwrap();
    site.well(&["sync", "src", ":dst"]);
    attribute(&site.there("dst/d/file"), "user.own", b"mine");
    touch(&site.here("src/d/link"), 1_200_000_000);
    chmod(&site.here("src/d/file"), 0o604);
    touch(&site.here("src/d"), 1_000_000_000);
    touch(&site.here("src"), 1_000_000_000);
    site.well(&["sync", "src", ":dst"]);
    assert_same_trees(&tree(&site.there("dst")), &tree(&site.here("src")));
    nothing_to_do(&site.told(&["sync", "src", ":dst"]));
    let mut value = [0; 8];
    let length = rustix::fs::getxattr(site.there("dst/d/file"), "user.own", &mut value[..]);
    assert_eq!(length, Ok(4));
}

/// F5: a list is whole as to the attributes that everybody sees: of the others, which a sender may not
/// have seen, those of the destination stay.
#[test]
fn attributes_of_the_destination_alone() {
    if !needs_root() {
        return;
    }
    let site = Site::new();
    put(site.here("src/f"), "f");
    site.well(&["sync", "-a", "src", ":dst"]);
    let f = site.there("dst/f");
    attribute(&f, "trusted.overlay", b"theirs");
    attribute(&f, "user.gone", b"old");
    let told = site.told(&["sync", "-a", "src", ":dst"]);
    assert_eq!(told.paths("updated"), ["src/f"], "{told:?}");
    let mut names = [0_u8; 256];
    let length = rustix::fs::listxattr(&f, &mut names[..]).unwrap();
    assert_eq!(&names[..length], b"trusted.overlay\0");
}

/// F5: with `--archive` several names of one link or one pipe stay so, as of a file, both ways and over
/// several connections; and are made so where they were apart.
#[test]
fn hard_links_of_links_and_pipes() {
    let site = Site::new();
    let src = site.here("src");
    put(src.join("file"), "f");
    symlink("nowhere", src.join("link")).unwrap();
    fifo(&src.join("pipe"), 0o600);
    fs::create_dir(src.join("below")).unwrap();
    for name in ["file", "link", "pipe"] {
        for other in [format!("below/{name}"), format!("{name}-too")] {
            let flags = AtFlags::empty();
            rustix::fs::linkat(CWD, src.join(name), CWD, src.join(other), flags).unwrap();
        }
        touch(&src.join(name), 1_000_000_000);
    }
    // There they are things of their own.
    symlink("nowhere", site.here("l")).unwrap();
    fs::create_dir(site.there("dst")).unwrap();
    symlink("nowhere", site.there("dst/link")).unwrap();
    symlink("nowhere", site.there("dst/link-too")).unwrap();
    fifo(&site.there("dst/pipe-too"), 0o644);
    let expected = whole_tree(&src);
    site.well(&["sync", "-a", "src", ":dst"]);
    assert_same_trees(&whole_tree(&site.there("dst")), &expected);
    nothing_to_do(&site.told(&["sync", "-a", "src", ":dst"]));
    let dry = site.told(&["sync", "-a", "-n", "src", ":dst"]);
    assert_eq!(dry.events.len(), 1, "{dry:?}");
    site.well(&["sync", "-a", ":dst", "back", "--streams", "3"]);
    assert_same_trees(&whole_tree(&site.here("back")), &expected);
    for name in ["file", "link", "pipe"] {
        assert_eq!(
            fs::symlink_metadata(site.here("back").join(name)).unwrap().nlink(),
            3,
            "{name}"
        );
    }
    // Who asks for less gets them one by one.
    site.well(&["cp", "src/link", "src/link-too", ":"]);
    assert_eq!(fs::symlink_metadata(site.there("link")).unwrap().nlink(), 1);
}

/// F5: what is one thing there and several at the source, with something else each, is parted: nothing is
/// left to do after that.
#[test]
fn names_that_are_apart_at_the_source() {
    let site = Site::new();
    let src = site.here("src");
    for (name, mode) in [("a", 0o600), ("b", 0o640)] {
        put(src.join(name), "same");
        chmod(&src.join(name), mode);
        symlink("nowhere", src.join(format!("{name}-link"))).unwrap();
        fifo(&src.join(format!("{name}-pipe")), mode);
        touch(&src.join(name), 1_000_000_000);
        touch(&src.join(format!("{name}-pipe")), 1_000_000_000);
    }
    touch(&src.join("a-link"), 1_100_000_000);
    let dst = site.there("dst");
    site.well(&["sync", "-a", "src", ":dst"]);
    for (kept, other) in [("a", "b"), ("a-link", "b-link"), ("b-pipe", "a-pipe")] {
        fs::remove_file(dst.join(other)).unwrap();
        let flags = AtFlags::empty();
        rustix::fs::linkat(CWD, dst.join(kept), CWD, dst.join(other), flags).unwrap();
    }
    for more in [&[][..], &["--checksum"]] {
        let words = [&["sync", "-a", "src", ":dst"][..], more].concat();
        let dry = site.told(&[&words[..], &["-n"]].concat());
        let told = site.told(&words);
        let count = u64::from(more.is_empty());
        assert_eq!((dry.count("would_store"), told.count("stored")), (3 * count, count), "{dry:?}");
        assert_same_trees(&whole_tree(&dst), &whole_tree(&src));
        if more.is_empty() {
            nothing_to_do(&site.told(&words));
        }
    }
}

/// F7: a dry run names what would be made, stored, changed and removed, and nothing that would stay; what
/// it said comes true.
#[test]
fn a_dry_run_is_exact() {
    let site = Site::new();
    let src = site.here("src");
    plant(&src);
    site.well(&["sync", "-a", "src", ":dst"]);
    meddle(&src);
    put(src.join("new/deep/file"), "new");
    fs::create_dir(src.join("empty")).unwrap();
    put(site.there("dst/old/file"), "old");
    touch(&src, 1_000_000_000);
    touch(&site.there("dst"), 1_000_000_000);
    let words = ["sync", "-a", "--delete", "src", ":dst"];
    let dry = site.told(&[&words[..], &["-n"]].concat());
    assert_eq!(dry.paths("would-make"), ["src/empty", "src/new", "src/new/deep"], "{dry:?}");
    assert_eq!(dry.paths("would-store"), ["src/new/deep/file"]);
    assert_eq!(dry.paths("would-update"), CHANGED);
    assert_eq!(dry.paths("would-remove"), ["src/old"]);
    let counts = ["would_make", "would_store", "would_update", "would_remove"];
    assert_eq!(counts.map(|name| dry.count(name)), [3, 1, 4, 2], "{dry:?}");
    assert_eq!(dry.events.len(), 10, "{dry:?}");
    let told = site.told(&words);
    assert_eq!(told.paths("updated"), dry.paths("would-update"));
    assert_eq!(told.paths("stored"), dry.paths("would-store"));
    assert_eq!(told.paths("removed"), dry.paths("would-remove"));
    assert_eq!((told.count("made"), told.count("removed")), (3, 2), "{told:?}");
}

/// F6, F7: what gives way to something else, and what the source does not have, is counted once,
/// however many connections meet it; and what one of them has made is not removed by another.
#[test]
fn removed_over_several_connections() {
    for round in 0..5 {
        let site = Site::new();
        for number in 0..40 {
            // A directory here where a file is there; each connection sees that.
            put(site.here(format!("src/d{number}/deep/file")), "new");
            put(site.there(format!("dst/d{number}")), "in the way");
        }
        put(site.there("dst/old/file"), "old");
        let words = ["sync", "--delete", "--streams", "8", "src", ":dst"];
        let told = site.told(&words);
        assert_eq!((told.count("removed"), told.count("stored")), (42, 40), "{round}: {told:?}");
        assert_eq!(told.paths("removed").len(), 41, "{round}: {told:?}");
        assert_same_trees(&tree(&site.there("dst")), &tree(&site.here("src")));
        nothing_to_do(&site.told(&words));
    }
}

/// Q2, F7: every path begins with the source's name, whatever happens to it and whoever says so; a name
/// that is not UTF-8 loses nothing.
#[test]
fn paths_have_one_base() {
    let odd = std::ffi::OsString::from_vec(b"a\xff\n\\x".to_vec());
    for (from, to) in [("some/src", ":dst"), (":some/src", "dst"), ("some/src", ":old-name/.")] {
        let site = Site::new();
        let (src, dst) = match from.strip_prefix(':') {
            Some(from) => (site.there(from), site.here(to)),
            None => (site.here(from), site.there(to[1..].trim_end_matches("/."))),
        };
        put(src.join(&odd), "odd");
        put(src.join("d/file"), "file");
        put(src.join("stays"), "stays");
        put(dst.join("gone"), "gone");
        put(dst.join("deep").join(&odd), "gone");
        // In the way of a file, and stays with what is left out.
        put(dst.join("d/file/kept"), "kept");
        let words = ["sync", "--delete", "--exclude", "kept", from, to];
        let dry = site.tells(&[&words[..], &["-n"]].concat());
        let told = site.tells(&words);
        assert_eq!(told.output.code, Some(1), "{told:?}");
        let shown = "src/a\u{fffd}\n\\x";
        // Who sends knows only that a file went out whole.
        let mut stored = told.paths("stored");
        stored.retain(|path| path != "src/d/file");
        assert_eq!(stored, [shown, "src/stays"], "{told:?}");
        assert_eq!(told.paths("removed"), ["src/deep", "src/gone"], "{told:?}");
        assert_eq!(told.paths("failed"), ["src/d/file"], "{told:?}");
        assert_eq!(dry.paths("would-remove"), told.paths("removed"), "{dry:?}");
        let of_odd = told.events.iter().find(|event| event["path"] == shown).unwrap();
        assert_eq!(of_odd["path_bytes"], "c3JjL2H/Clx4", "{of_odd}");
        let other = told.events.iter().find(|event| event["path"] == "src/stays").unwrap();
        assert_eq!(other.get("path_bytes"), None, "{other}");
    }
}

/// Q2: the same of what cannot be read at the source, of a source that is not there, of a single file and
/// of standard input.
#[test]
fn paths_of_what_fails() {
    let site = Site::new();
    put(site.here("some/src/f"), "f");
    std::os::unix::net::UnixListener::bind(site.here("some/src/socket")).unwrap();
    fs::create_dir(site.there("dst")).unwrap();
    let told = site.tells(&["cp", "some/src", "some/none", "no/dir", ":dst"]);
    assert_eq!(told.paths("failed"), ["dir", "none", "src/socket"], "{told:?}");
    let none = told.events.iter().find(|event| event["path"] == "none").unwrap();
    assert!(none["why"].as_str().unwrap().starts_with("some/none: cannot be read: "), "{none}");
    fs::create_dir(site.here("back")).unwrap();
    let told = site.tells(&["cp", ":dst/src", ":dst/none", "back"]);
    assert_eq!(told.paths("failed"), ["none"], "{told:?}");
    let told = site.told(&["cp", "some/src/f", ":other"]);
    assert_eq!(told.paths("stored"), ["f"]);
    let told = site.told(&["cp", ":other", "again"]);
    assert_eq!(told.paths("stored"), ["other"]);
}

/// F2, F7: `verified` is what was compared with its hash in this run, and nothing else: not what has the
/// same length and time, whatever is in it.
#[test]
fn verified_is_honest() {
    let site = Site::new();
    put(site.here("src/a"), "aaaa");
    put(site.here("src/b"), "bbbb");
    put(site.here("src/empty"), "");
    let said = |told: &Told| {
        let done = told.events.last().unwrap();
        let counts = ["stored", "skipped", "compared", "verified_files"];
        (done["verified"].as_bool().unwrap(), counts.map(|name| told.count(name)))
    };
    let told = site.told(&["sync", "src", ":dst"]);
    assert_eq!(said(&told), (true, [3, 0, 0, 3]));
    // It only looks the same.
    put(site.there("dst/a"), "AAAA");
    let time = fs::metadata(site.here("src/a")).unwrap().modified().unwrap();
    fs::File::options().write(true).open(site.there("dst/a")).unwrap().set_modified(time).unwrap();
    let told = site.told(&["sync", "src", ":dst"]);
    assert_eq!(said(&told), (false, [0, 3, 3, 0]));
    let line = site.well(&["sync", "src", ":dst"]);
    assert!(line.contains("0 files stored") && line.contains(", 3 unchanged, "), "{line}");
    let dry = site.told(&["sync", "--checksum", "-n", "src", ":dst"]);
    assert_eq!((dry.paths("would-store"), said(&dry).0), (vec!["src/a".to_owned()], false));
    let told = site.told(&["sync", "--checksum", "src", ":dst"]);
    assert_eq!(said(&told), (true, [1, 2, 0, 3]));
    let line = site.well(&["sync", "--checksum", "src", ":dst"]);
    assert!(line.contains(", 3 unchanged and verified, "), "{line}");
    put(site.here("src/c"), "cccc");
    let told = site.told(&["sync", "src", ":dst"]);
    assert_eq!(said(&told), (false, [1, 3, 3, 1]));
    // Over several connections the last of them compares what the others have stored.
    let told = site.told(&["cp", "src", ":fresh", "--streams", "3"]);
    assert_eq!(said(&told), (true, [4, 0, 0, 4]));
}
