//! Faults 65 and 68: names that are hard to carry, trees that are deep, and copies onto themselves.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::{Mode, OFlags, mkdirat, open, openat};

use crate::harness::files::{Site, assert_same_trees, names_in, put, text_of, tree};
use crate::harness::process::tool;
use crate::harness::remote::text;

/// Fault 65: newlines, bytes that are no UTF-8, 255 bytes, leading hyphens, colons, blanks, what
/// looks like an option or another machine: there and back, as files, directories and links.
#[test]
fn round_trip() {
    let site = Site::new();
    let src = site.here("src");
    let longest = [b'n'; 255];
    let names: [&[u8]; 16] = [
        b"new\nline",
        b"\xff\xfe\x80",
        &longest,
        b"-rf",
        b"--delete",
        b"a:b",
        b"host:path",
        b" ",
        b"~",
        b"...",
        b"\x1b[31m",
        b"*?[]",
        b"'\"`$(id)",
        b"\\",
        b"caf\xc3\xa9",
        b"cafe\xcc\x81",
    ];
    for (number, name) in names.iter().enumerate() {
        put(src.join(OsStr::from_bytes(name)), format!("{number}"));
        put(src.join("d").join(OsStr::from_bytes(name)).join("x"), format!("{number}"));
        let link = src.join("l").join(format!("{number}"));
        fs::create_dir_all(src.join("l")).unwrap();
        std::os::unix::fs::symlink(OsStr::from_bytes(name), link).unwrap();
    }
    let expected = tree(&src);
    site.well(&["cp", "src", ":dst"]);
    assert_same_trees(&tree(&site.there("dst")), &expected);
    site.well(&["cp", ":dst", "back"]);
    assert_same_trees(&tree(&site.here("back")), &expected);
    // On the command line as well.
    for (number, name) in names.iter().enumerate() {
        let to = format!("one{number}");
        let word = OsStr::from_bytes(&[b"src/", *name].concat()).to_owned();
        site.well(&[OsStr::new("cp"), &word, OsStr::new(&format!(":{to}"))]);
        let word = OsStr::from_bytes(&[b":dst/", *name].concat()).to_owned();
        site.well(&[OsStr::new("cp"), &word, OsStr::new("./")]);
        assert_eq!(text_of(site.there(to)), format!("{number}"));
        assert_eq!(text_of(site.here(OsStr::from_bytes(name))), format!("{number}"));
    }
}

const DIRECTORY: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC);

/// A directory with so many others in one another; the innermost.
fn dig(root: &Path, depth: usize) -> OwnedFd {
    fs::create_dir(root).unwrap();
    let mut at = open(root, DIRECTORY, Mode::empty()).unwrap();
    for _ in 0..depth {
        mkdirat(&at, "deep", Mode::from_raw_mode(0o755)).unwrap();
        at = openat(&at, "deep", DIRECTORY, Mode::empty()).unwrap();
    }
    at
}

/// How deep it goes, and what the file at the bottom says.
fn fathom(root: &Path) -> (usize, String) {
    let mut at = open(root, DIRECTORY, Mode::empty()).unwrap();
    let mut depth = 0;
    while let Ok(next) = openat(&at, "deep", DIRECTORY, Mode::empty()) {
        (at, depth) = (next, depth + 1);
    }
    let mut found = String::new();
    if let Ok(file) = openat(&at, "bottom", OFlags::RDONLY, Mode::empty()) {
        File::from(file).read_to_string(&mut found).unwrap();
    }
    (depth, found)
}

/// Fault 65: 4,000 directories in one another, with a name that no path could hold; there and back,
/// unchanged again, and removed.
#[test]
fn deep() {
    const DEPTH: usize = 4000;
    let site = Site::new();
    let bottom = dig(&site.here("src"), DEPTH);
    let flags = OFlags::WRONLY | OFlags::CREATE;
    let file = openat(&bottom, "bottom", flags, Mode::from_raw_mode(0o644)).unwrap();
    rustix::io::write(file, b"reached").unwrap();
    drop(bottom);
    site.well(&["cp", "src", ":dst"]);
    assert_eq!(fathom(&site.there("dst")), (DEPTH, "reached".to_owned()));
    site.well(&["cp", ":dst", "back"]);
    assert_eq!(fathom(&site.here("back")), (DEPTH, "reached".to_owned()));
    let told = site.told(&["sync", "src", ":dst", "--delete"]);
    assert_eq!((told.count("stored"), told.count("removed")), (0, 0), "{told:?}");
    fs::create_dir(site.here("none")).unwrap();
    site.well(&["sync", "none", ":dst", "--delete"]);
    assert!(names_in(&site.there("dst")).is_empty());
    // The standard library would take a descriptor for each.
    tool("rm", &["-rf", text(&site.here("src")), text(&site.here("back"))]);
}

/// Fault 68: `--delete` does not remove what is to be sent from within the destination.
#[test]
fn the_source_is_within() {
    let site = Site::new();
    put(site.there("d/x/src/f"), "precious");
    put(site.there("d/old"), "old");
    let mut command = site.command(&["sync", "d/x/src", ":d", "--delete"]);
    command.current_dir(site.there(""));
    let output = crate::harness::process::run_command(command, b"");
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("what is to be sent is in it"), "{output:?}");
    assert_eq!(fs::read(site.there("d/x/src/f")).unwrap(), b"precious");
    assert_eq!(fs::read(site.there("d/f")).unwrap(), b"precious");
    assert!(!site.there("d/old").exists());
}

/// Fault 68: a copy onto itself and into itself is refused, and loses nothing.
#[test]
fn onto_itself() {
    let site = Site::new();
    // Both ends are on this machine: the client works in the server's home.
    put(site.there("f"), "precious");
    put(site.there("d/g"), "precious");
    put(site.there("d/sub/h"), "precious");
    std::os::unix::fs::symlink("d", site.there("alias")).unwrap();
    fs::hard_link(site.there("f"), site.there("twin")).unwrap();
    let home = site.there("");
    let before = tree(&home);
    for words in [
        &["cp", "f", ":f"][..],
        &["cp", "f", ":."],
        &["cp", ":f", "f"],
        &["cp", "f", ":twin"],
        &["sync", "d", ":d"],
        &["sync", "d", ":d", "--delete"],
        &["sync", "alias/", ":d", "--delete"],
        &["cp", "d", ":d/sub"],
        &["cp", "d", ":d/new"],
        &["cp", "d", ":d"],
        &["cp", ":d", "d/sub"],
        &["cp", ".", ":d/sub/all"],
    ] {
        let mut command = site.command(words);
        command.current_dir(&home);
        let output = crate::harness::process::run_command(command, b"");
        assert_eq!(output.code, Some(1), "{words:?}: {output:?}");
        let said = ["is the destination itself", "is inside the source"];
        assert!(said.iter().any(|said| output.stderr.contains(said)), "{words:?}: {output:?}");
        assert_eq!(output.stderr.lines().count(), 1, "{words:?}: {output:?}");
        assert_eq!(text_of(site.there("f")), "precious", "{words:?}");
        assert_same_trees(&tree(&home), &before);
    }
    // Beside itself is fine.
    let mut command = site.command(&["cp", "d", ":e"]);
    command.current_dir(&home);
    assert_eq!(crate::harness::process::run_command(command, b"").code, Some(0));
    assert_eq!(text_of(site.there("e/sub/h")), "precious");
}
