//! F8: `--root`, `--read-only`, and keys that are for files alone.

use std::fs;

use crate::harness::files::{Site, names_in, put, text_of};
use crate::harness::remote::{Host, text};

/// F8: beneath `--root` paths count from the root, whatever they begin with; nothing leads out.
#[test]
fn root() {
    let top = tempfile::tempdir().unwrap();
    let root = top.path().join("root");
    put(root.join("inside/f"), "inside");
    put(top.path().join("secret"), "secret");
    std::os::unix::fs::symlink("../secret", root.join("link")).unwrap();
    std::os::unix::fs::symlink("inside", root.join("within")).unwrap();
    let site = Site::with(&["--root", text(&root)]);
    put(site.here("mine"), "mine");
    for path in [":/inside/f", ":inside/f", ":~/inside/f", ":within/f"] {
        site.well(&["cp", path, "got"]);
        assert_eq!(text_of(site.here("got")), "inside", "{path}");
        fs::remove_file(site.here("got")).unwrap();
    }
    let absolute = format!(":{}", text(&top.path().join("secret")));
    for path in [":../secret", ":/../secret", ":inside/../../secret", ":..", &absolute] {
        let output = site.run(&["cp", path, "got"]);
        assert_eq!(output.code, Some(1), "{path}: {output:?}");
        assert!(!site.here("got").exists(), "{path}");
        let output = site.run(&["cp", "mine", path]);
        assert_eq!(output.code, Some(1), "{path}: {output:?}");
    }
    // A link is copied as a link, and a way through it leads nowhere.
    site.well(&["cp", ":link", "copied"]);
    assert!(fs::symlink_metadata(site.here("copied")).unwrap().is_symlink());
    site.well(&["cp", "mine", ":inside/new"]);
    assert_eq!(text_of(root.join("inside/new")), "mine");
    site.well(&["sync", ":", "all"]);
    assert_eq!(names_in(&site.here("all")), ["inside", "link", "within"]);
    assert_eq!(text_of(top.path().join("secret")), "secret");
    assert_eq!(names_in(top.path()), ["root", "secret"]);
    // And no command runs.
    let output = site.host.exec(&["-n", "--", "true"], b"");
    assert_eq!(output.code, Some(255), "{output:?}");
    assert!(output.stderr.contains("runs nothing"), "{output:?}");
}

/// F8: `--read-only` lets files go out, and none in.
#[test]
fn read_only() {
    let site = Site::with(&["--read-only"]);
    put(site.there("f"), "there");
    put(site.here("g"), "here");
    site.well(&["cp", ":f", "."]);
    for words in [&["cp", "g", ":h"][..], &["sync", "g", ":f"], &["cp", "-n", "g", ":h"]] {
        let output = site.run(words);
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains("read-only"), "{output:?}");
    }
    assert_eq!(text_of(site.there("f")), "there");
    assert!(!site.there("h").exists());
    assert_eq!(site.host.exec(&["-n", "--", "true"], b"").code, Some(255));
}

/// F8, T3: `command="sockeye files --root …"` in front of a key: files of that tree, and nothing
/// else; another forced command moves none.
#[test]
fn keys_for_files() {
    let site = Site::of(Host::start());
    put(site.there("tree/f"), "f");
    put(site.there("secret"), "secret");
    put(site.here("mine"), "mine");
    let authorize = |command: &str| {
        let key = site.host.home.public();
        site.host.home.authorize(&format!("command=\"{command}\" {key}"));
    };
    let tree = site.there("tree");
    authorize(&format!("sockeye files --root {}", text(&tree)));
    let output = site.secured(&["cp", "HOST:f", "got"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(text_of(site.here("got")), "f");
    let output = site.secured(&["cp", "mine", "HOST:/new"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(text_of(tree.join("new")), "mine");
    for words in [["cp", "HOST:../secret", "x"], ["cp", "mine", "HOST:../secret"]] {
        let output = site.secured(&words);
        assert_eq!(output.code, Some(1), "{output:?}");
    }
    assert_eq!(text_of(site.there("secret")), "secret");
    assert!(!site.here("x").exists());
    let output = site.host.exec(&["-n", "--", "true"], b"");
    assert_eq!(output.code, Some(255), "{output:?}");
    assert!(output.stderr.contains("runs nothing"), "{output:?}");

    authorize(&format!("sockeye files --root {} --read-only", text(&tree)));
    assert_eq!(site.secured(&["cp", "HOST:f", "again"]).code, Some(0));
    let output = site.secured(&["cp", "mine", "HOST:more"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("read-only"), "{output:?}");

    for other in ["echo forced", "sockeye files --rot /", "sockeye exec", "sh"] {
        authorize(other);
        let output = site.secured(&["cp", "HOST:f", "never"]);
        assert_eq!(output.code, Some(1), "{other}: {output:?}");
        assert!(!site.here("never").exists());
    }
}

/// F8: a key's tree lies within the server's own.
#[test]
fn root_within_root() {
    let top = tempfile::tempdir().unwrap();
    put(top.path().join("server/key/f"), "f");
    put(top.path().join("server/g"), "g");
    put(top.path().join("key/f"), "elsewhere");
    let site = Site::with(&["--root", text(&top.path().join("server"))]);
    let key = site.host.home.public();
    site.host.home.authorize(&format!("command=\"sockeye files --root /key\" {key}"));
    let output = site.secured(&["cp", "HOST:f", "got"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(text_of(site.here("got")), "f");
    for path in ["HOST:../g", "HOST:/../g", "HOST:g"] {
        assert_eq!(site.secured(&["cp", path, "never"]).code, Some(1), "{path}");
    }
}

/// L7, T5: nobody moves files who may not come in.
#[test]
fn strangers() {
    let site = Site::new();
    put(site.there("f"), "f");
    site.host.home.authorize("");
    let output = site.secured(&["cp", "HOST:f", "got"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("not authorised"), "{output:?}");
    assert!(!site.here("got").exists());
}
