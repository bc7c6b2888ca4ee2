//! F1: where files come from and go to.

use std::fs;

use crate::harness::MODELS;
use crate::harness::files::{Site, assert_same_trees, names_in, noise, put, text_of, tree};
use crate::harness::process::run_command;
use crate::harness::remote::text;

/// A small tree: files, an empty one, an empty directory, a link.
fn small_tree(site: &Site, server: bool, name: &str) {
    let root = if server { site.there(name) } else { site.here(name) };
    put(root.join("a"), "first");
    put(root.join("empty"), "");
    put(root.join("below/deep/b"), noise(1, 300_000));
    fs::create_dir(root.join("nothing")).unwrap();
    std::os::unix::fs::symlink("below/deep/b", root.join("link")).unwrap();
}

/// F1: a file to a host and back, over TLS and over a Unix socket.
#[test]
fn file_there_and_back() {
    let site = Site::new();
    let data = noise(7, 3_000_000);
    put(site.here("a"), &data);
    let output = site.secured(&["cp", "a", "HOST:b"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(fs::read(site.there("b")).unwrap() == data);
    let output = site.secured(&["cp", "HOST:b", "c"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert!(fs::read(site.here("c")).unwrap() == data);
    site.well(&["cp", "a", ":d"]);
    site.well(&["cp", ":d", "e"]);
    assert!(fs::read(site.here("e")).unwrap() == data);
    assert_eq!(tree(&site.here("a")), tree(&site.here("e")));
}

/// F1, M5: a tree, both ways, under every model.
#[test]
fn models() {
    for model in MODELS {
        let site = Site::with(&["--model", model]);
        small_tree(&site, false, "src");
        let output = site.secured(&["cp", "src", "HOST:dst"]);
        assert_eq!(output.code, Some(0), "{model}: {output:?}");
        assert_same_trees(&tree(&site.there("dst")), &tree(&site.here("src")));
        site.well(&["cp", ":dst", "back"]);
        assert_same_trees(&tree(&site.here("back")), &tree(&site.here("src")));
    }
}

/// F1: a source goes into a directory that is there, else it gets the destination's name; a
/// directory without a name of its own (`dir/.`) becomes the destination.
#[test]
fn placement_of_a_push() {
    let site = Site::new();
    put(site.here("f"), "file");
    small_tree(&site, false, "src");
    fs::create_dir(site.there("dir")).unwrap();

    site.well(&["cp", "f", ":dir"]);
    site.well(&["cp", "f", ":dir/"]);
    site.well(&["cp", "f", ":dir/g"]);
    site.well(&["cp", "src", ":dir"]);
    site.well(&["cp", "src/", ":dir/"]);
    assert_eq!(names_in(&site.there("dir")), ["f", "g", "src"]);
    assert!(!site.there("dir/src/src").exists());
    assert_same_trees(&tree(&site.there("dir/src")), &tree(&site.here("src")));

    site.well(&["cp", "src", ":new"]);
    assert_same_trees(&tree(&site.there("new")), &tree(&site.here("src")));
    site.well(&["cp", "src/.", ":flat"]);
    assert_same_trees(&tree(&site.there("flat")), &tree(&site.here("src")));
    // The home directory.
    site.well(&["cp", "f", ":"]);
    assert_eq!(text_of(site.there("f")), "file");
}

/// F1: the same rules where files come from a host.
#[test]
fn placement_of_a_pull() {
    let site = Site::new();
    put(site.there("f"), "file");
    small_tree(&site, true, "src");
    fs::create_dir(site.here("dir")).unwrap();

    site.well(&["cp", ":f", "dir"]);
    site.well(&["cp", ":f", "dir/g"]);
    site.well(&["cp", ":src", "dir"]);
    site.well(&["cp", ":src/", "dir/"]);
    assert_eq!(names_in(&site.here("dir")), ["f", "g", "src"]);
    assert_same_trees(&tree(&site.here("dir/src")), &tree(&site.there("src")));

    site.well(&["cp", ":src", "new"]);
    assert_same_trees(&tree(&site.here("new")), &tree(&site.there("src")));
    site.well(&["cp", ":src/.", "flat"]);
    assert_same_trees(&tree(&site.here("flat")), &tree(&site.there("src")));
    site.well(&["cp", ":f", "."]);
    assert_eq!(text_of(site.here("f")), "file");
}

/// F1: a destination that ends in a slash is a directory, and has to be there.
#[test]
fn slash_behind_nothing() {
    let site = Site::new();
    put(site.here("f"), "file");
    let output = site.run(&["cp", "f", ":missing/"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("missing/"), "{output:?}");
    let output = site.run(&["cp", "f", ":missing/g"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(!site.there("missing").exists());
}

/// F1: several sources go into the destination, each under its name; one that is not there is told
/// and the others arrive.
#[test]
fn several_sources() {
    let site = Site::new();
    for name in ["one", "two", "d/three"] {
        put(site.here(name), name);
    }
    fs::create_dir(site.there("dst")).unwrap();
    site.well(&["cp", "one", "two", "d/three", ":dst"]);
    assert_eq!(names_in(&site.there("dst")), ["one", "three", "two"]);

    fs::create_dir(site.here("back")).unwrap();
    site.well(&["cp", ":dst/one", ":dst/three", "back"]);
    assert_eq!(names_in(&site.here("back")), ["one", "three"]);

    let output = site.run(&["cp", "one", "missing", "two", ":dst"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("missing"), "{output:?}");
    fs::remove_dir_all(site.here("back")).unwrap();
    fs::create_dir(site.here("back")).unwrap();
    let output = site.run(&["cp", ":dst/one", ":dst/missing", ":dst/two", "back"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("missing"), "{output:?}");
    assert_eq!(names_in(&site.here("back")), ["one", "two"]);
}

/// F1: standard input becomes a file, and a file standard output: nothing else is written there.
#[test]
fn standard_streams() {
    let site = Site::new();
    for length in [0, 1, 100_000, 5_000_001] {
        let data = noise(3, length);
        let output = run_command(site.command(&["cp", "-", ":stream"]), &data);
        assert_eq!(output.code, Some(0), "{length}: {output:?}");
        assert!(fs::read(site.there("stream")).unwrap() == data, "{length}");
        let output = site.run(&["cp", ":stream", "-"]);
        assert_eq!(output.code, Some(0), "{length}: {}", output.stderr);
        assert!(output.stdout == data, "{length}");
    }
    // A directory is no stream, and what is not there is none.
    for name in [":", ":missing"] {
        let output = site.run(&["cp", name, "-"]);
        assert_eq!((output.code, output.stdout.len()), (Some(1), 0), "{output:?}");
    }
}

/// F1: paths of a host are relative to the home directory, or absolute; `~/` is written out too.
#[test]
fn paths_of_a_host() {
    let site = Site::new();
    put(site.here("f"), "file");
    fs::create_dir(site.there("sub")).unwrap();
    let elsewhere = tempfile::tempdir().unwrap();
    let absolute = text(elsewhere.path());
    let tls = &site.host.tls;
    let port = site.host.port();
    let cases = [
        ("sub/a".to_owned(), site.there("sub/a")),
        ("~/sub/b".to_owned(), site.there("sub/b")),
        (format!("{absolute}/c"), elsewhere.path().join("c")),
    ];
    for (path, at) in &cases {
        site.well(&["cp", "f", &format!(":{path}")]);
        assert_eq!(text_of(at), "file", "{path}");
    }
    let urls = [
        (format!("{tls}{absolute}/d"), elsewhere.path().join("d")),
        (format!("{tls}/~/sub/e"), site.there("sub/e")),
        (format!("tls://localhost:{port}/~/sub/f"), site.there("sub/f")),
    ];
    for (url, at) in &urls {
        let words = ["cp", "f", url, "--trust", &site.host.fingerprint];
        let output = run_command(site.bare(&words), b"");
        assert_eq!(output.code, Some(0), "{url}: {output:?}");
        assert_eq!(text_of(at), "file", "{url}");
    }
}

/// F1: a file whose name has a colon, or begins with a hyphen, has a way to be named.
#[test]
fn names_that_look_like_others() {
    let site = Site::new();
    for name in ["a:b", "-n", "-"] {
        put(site.here(name), name);
    }
    site.well(&["cp", "./a:b", "./-n", "./-", ":"]);
    for name in ["a:b", "-n", "-"] {
        assert_eq!(text_of(site.there(name)), name);
    }
    fs::remove_file(site.here("-n")).unwrap();
    site.well(&["cp", ":-n", ":a:b", "."]);
    assert_eq!(text_of(site.here("-n")), "-n");
}

/// F1: a link that is named as a source is copied as a link; what it points to is nobody's concern.
#[test]
fn links_are_copied_as_links() {
    let site = Site::new();
    std::os::unix::fs::symlink("/no/such/place", site.here("l")).unwrap();
    site.well(&["cp", "l", ":m"]);
    assert_eq!(fs::read_link(site.there("m")).unwrap().to_str(), Some("/no/such/place"));
    site.well(&["cp", ":m", "n"]);
    assert_eq!(fs::read_link(site.here("n")).unwrap().to_str(), Some("/no/such/place"));
}
