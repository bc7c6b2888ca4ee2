//! F1: `sync` makes one tree equal to another, with `--delete` and patterns.

use std::fs;

use crate::harness::files::{Site, assert_same_trees, names_in, put, text_of, tree};

fn source(site: &Site) {
    for (name, text) in [
        ("keep", "k"),
        ("a.log", "log"),
        ("b.txt", "text"),
        ("d/c.log", "log"),
        ("d/important.log", "log"),
        ("d/e/f", "deep"),
        (".hidden", "h"),
    ] {
        put(site.here("src").join(name), text);
    }
}

/// F1: the destination becomes the source, with and without slashes; what it has beside stays
/// without `--delete`, and goes with it.
#[test]
fn becomes_equal() {
    let site = Site::new();
    source(&site);
    put(site.there("dst/old"), "old");
    put(site.there("dst/gone/deep/er"), "old");
    for destination in [":dst", ":dst/"] {
        for from in ["src", "src/"] {
            site.well(&["sync", from, destination]);
            assert_eq!(text_of(site.there("dst/old")), "old");
            assert!(!site.there("dst/src").exists());
        }
    }
    let told = site.told(&["sync", "src", ":dst", "--delete"]);
    assert_same_trees(&tree(&site.there("dst")), &tree(&site.here("src")));
    assert!(told.count("removed") >= 2, "{told:?}");
    assert_eq!(told.count("stored"), 0, "{told:?}");

    // And the other way.
    put(site.here("back/old"), "old");
    site.well(&["sync", ":dst", "back", "--delete"]);
    assert_same_trees(&tree(&site.here("back")), &tree(&site.here("src")));
    // A destination that is not there yet.
    site.well(&["sync", ":dst", "fresh"]);
    assert_same_trees(&tree(&site.here("fresh")), &tree(&site.here("src")));
}

/// F1: a destination that is to be a directory is made where it is not there; those above it are not.
#[test]
fn makes_the_destination() {
    let site = Site::new();
    source(&site);
    site.well(&["sync", "src", ":new/"]);
    assert_same_trees(&tree(&site.there("new")), &tree(&site.here("src")));
    site.well(&["sync", ":new", "back//"]);
    assert_same_trees(&tree(&site.here("back")), &tree(&site.here("src")));
    for (from, to) in [("src", ":no/new/"), (":new", "no/new/")] {
        let output = site.run(&["sync", from, to]);
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains("Make its directory first"), "{output:?}");
    }
    // A dry run makes nothing.
    site.well(&["sync", "src", ":other/", "-n"]);
    assert!(!site.there("other").exists());
}

/// F1: patterns are about what is in the source that is made equal, not about its own name; of what
/// cp is asked for they leave out as well, as with rsync.
#[test]
fn patterns_and_sources() {
    let site = Site::new();
    for name in ["a.c", "a.o", "o/x", "d.o/y", "keep.o"] {
        put(site.here(name), name);
    }
    let words = ["cp", "a.c", "a.o", "keep.o", "o", "d.o", ":dst/", "--exclude", "*.o"];
    fs::create_dir(site.there("dst")).unwrap();
    site.well(&[&words[..], &["--include", "keep.o"]].concat());
    assert_eq!(names_in(&site.there("dst")), ["a.c", "keep.o", "o"]);
    // The same the other way, and with several connections.
    for name in ["a.o", "d.o/y"] {
        put(site.there("dst").join(name), name);
    }
    fs::create_dir(site.here("back")).unwrap();
    let words = ["cp", ":dst/a.c", ":dst/a.o", ":dst/d.o", "back", "--exclude", "*.o"];
    for streams in ["1", "3"] {
        site.well(&[&words[..], &["--streams", streams]].concat());
        assert_eq!(names_in(&site.here("back")), ["a.c"]);
        site.well(&["cp", "d.o", ":alone", "--exclude", "d.o/", "--streams", streams]);
        assert!(!site.there("alone").exists());
    }
    site.well(&["sync", "d.o", ":made", "--exclude", "*.o"]);
    assert_eq!(text_of(site.there("made/y")), "d.o/y");
}

/// F1: a single file is made equal, too.
#[test]
fn one_file() {
    let site = Site::new();
    put(site.here("f"), "new");
    put(site.there("g"), "old text");
    site.well(&["sync", "f", ":g"]);
    assert_eq!(text_of(site.there("g")), "new");
    // A change that keeps the length is seen by the time.
    put(site.here("f"), "neu");
    site.well(&["sync", "f", ":g"]);
    assert_eq!(text_of(site.there("g")), "neu");
}

/// F1: patterns are as in gitignore(5), and of those that fit a file the last one decides.
#[test]
fn patterns() {
    let site = Site::new();
    source(&site);
    site.well(&["sync", "src", ":one", "--exclude", "*.log", "--include", "important.log"]);
    assert_eq!(names_in(&site.there("one")), [".hidden", "b.txt", "d", "keep"]);
    assert_eq!(names_in(&site.there("one/d")), ["e", "important.log"]);

    site.well(&["sync", "src", ":two", "--include", "important.log", "--exclude", "*.log"]);
    assert_eq!(names_in(&site.there("two/d")), ["e"]);

    site.well(&["sync", "src", ":three", "--exclude", "/d", "--exclude", ".*"]);
    assert_eq!(names_in(&site.there("three")), ["a.log", "b.txt", "keep"]);

    site.well(&["sync", "src", ":four", "--exclude", "d/e/"]);
    assert_eq!(names_in(&site.there("four/d")), ["c.log", "important.log"]);

    // Pulling, it is the server that leaves them out.
    site.well(&["sync", ":four", "back", "--exclude", "*.log"]);
    assert_eq!(names_in(&site.here("back")), [".hidden", "b.txt", "d", "keep"]);
}

/// F1: what a pattern leaves out at the source is not removed at the destination.
#[test]
fn excluded_is_not_deleted() {
    let site = Site::new();
    source(&site);
    put(site.there("dst/own.log"), "own");
    put(site.there("dst/d/own.log"), "own");
    put(site.there("dst/own.txt"), "own");
    put(site.there("dst/cache/x"), "own");
    site.well(&["sync", "src", ":dst", "--delete", "--exclude", "*.log", "--exclude", "cache/"]);
    assert_eq!(names_in(&site.there("dst")), [".hidden", "b.txt", "cache", "d", "keep", "own.log"]);
    assert_eq!(text_of(site.there("dst/d/own.log")), "own");
    assert_eq!(text_of(site.there("dst/cache/x")), "own");
}

/// F1: `.gitignore` files count where that is asked for, each for its own directory.
#[test]
fn gitignore() {
    let site = Site::new();
    source(&site);
    put(site.here("src/.gitignore"), "*.log\n!important.log\n/keep\n");
    put(site.here("src/d/.gitignore"), "e/\n");
    site.well(&["sync", "src", ":all"]);
    assert_same_trees(&tree(&site.there("all")), &tree(&site.here("src")));
    site.well(&["sync", "src", ":some", "--gitignore"]);
    assert_eq!(names_in(&site.there("some")), [".gitignore", ".hidden", "b.txt", "d"]);
    assert_eq!(names_in(&site.there("some/d")), [".gitignore", "important.log"]);
    // From the server as well.
    site.well(&["sync", ":all", "back", "--gitignore"]);
    assert_eq!(names_in(&site.here("back/d")), [".gitignore", "important.log"]);
}

/// F1: a directory that could not be read whole is no reason to remove what it may hold.
#[test]
fn unreadable_is_not_gone() {
    let site = Site::new();
    source(&site);
    site.well(&["sync", "src", ":dst"]);
    // A file where a directory was: a change of kind needs `--delete`.
    fs::remove_dir_all(site.here("src/d")).unwrap();
    put(site.here("src/d"), "now a file");
    let output = site.run(&["sync", "src", ":dst"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains('d') && site.there("dst/d/e/f").exists(), "{output:?}");
    site.well(&["sync", "src", ":dst", "--delete"]);
    assert_same_trees(&tree(&site.there("dst")), &tree(&site.here("src")));
    // And back again.
    fs::remove_file(site.here("src/d")).unwrap();
    put(site.here("src/d/x"), "x");
    site.well(&["sync", "src", ":dst", "--delete"]);
    assert_same_trees(&tree(&site.there("dst")), &tree(&site.here("src")));
}

/// F1: `--checksum` finds a change that length and time hide.
#[test]
fn checksum() {
    let site = Site::new();
    put(site.here("f"), "one");
    site.well(&["sync", "f", ":g"]);
    let before = fs::metadata(site.there("g")).unwrap().modified().unwrap();
    fs::write(site.there("g"), "two").unwrap();
    fs::File::options().write(true).open(site.there("g")).unwrap().set_modified(before).unwrap();
    site.well(&["sync", "f", ":g"]);
    assert_eq!(text_of(site.there("g")), "two");
    let told = site.told(&["sync", "f", ":g", "--checksum"]);
    assert_eq!(text_of(site.there("g")), "one");
    assert_eq!(told.count("failed"), 0);
}
