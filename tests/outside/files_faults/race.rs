//! Fault 63: a parent that flips between a directory and a link while files are written to it.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use crate::harness::files::{Site, names_in, put, text_of};

/// Exchanges two names until it is told to stop.
fn flip(one: &Path, other: &Path, stop: &AtomicBool) {
    while !stop.load(Ordering::Relaxed) {
        // The names may be gone for a moment.
        let _ = renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE);
    }
}

/// Runs `each` twenty times while `parent` flips between what it is and a link to a directory with
/// a file `safe`, which has to stay as it is.
fn while_flipping(parent: &Path, aside: &Path, each: impl Fn()) {
    let outside = tempfile::tempdir().unwrap();
    put(outside.path().join("safe"), "safe");
    put(outside.path().join("f0"), "safe");
    symlink(outside.path(), aside).unwrap();
    let before = fs::metadata(outside.path()).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| flip(parent, aside, &stop));
        let done =
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| (0..20).for_each(|_| each())));
        stop.store(true, Ordering::Relaxed);
        done.unwrap();
    });
    assert_eq!(names_in(outside.path()), ["f0", "safe"]);
    assert_eq!(text_of(outside.path().join("f0")), "safe");
    assert_eq!(text_of(outside.path().join("safe")), "safe");
    let after = fs::metadata(outside.path()).unwrap();
    assert_eq!((after.mode(), after.mtime()), (before.mode(), before.mtime()));
}

fn source(root: &Path) {
    for number in 0..30 {
        put(root.join(format!("d/f{number}")), format!("{number}"));
        put(root.join(format!("d/e/g{number}")), format!("{number}"));
    }
    symlink("x", root.join("d/link")).unwrap();
}

/// F8, fault 63: a push beneath a server's root, with renames, new directories, modes, times and
/// removals on the way.
#[test]
fn push() {
    let site = Site::new();
    source(&site.here("src"));
    fs::create_dir_all(site.there("dst/d")).unwrap();
    let (parent, aside) = (site.there("dst/d"), site.there("aside"));
    while_flipping(&parent, &aside, || {
        site.run(&["sync", "src", ":dst", "--delete", "--checksum"]);
        let changed = site.here("src/d/f1");
        put(&changed, text_of(&changed) + "x");
    });
}

/// F8, fault 63: the same where a client receives.
#[test]
fn pull() {
    let site = Site::new();
    source(&site.there("src"));
    fs::create_dir_all(site.here("dst/d")).unwrap();
    let (parent, aside) = (site.here("dst/d"), site.here("aside"));
    while_flipping(&parent, &aside, || {
        site.run(&["sync", ":src", "dst", "--delete", "--checksum"]);
        let changed = site.there("src/d/f1");
        put(&changed, text_of(&changed) + "x");
    });
}

/// F8, fault 63: a sender whose directory becomes a link in the middle sends nothing from beyond.
#[test]
fn source_flips() {
    let site = Site::new();
    source(&site.here("src"));
    let outside = tempfile::tempdir().unwrap();
    put(outside.path().join("f0"), "secret");
    let (parent, aside) = (site.here("src/d"), site.here("aside"));
    symlink(outside.path(), &aside).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| flip(&parent, &aside, &stop));
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            for round in 0..20 {
                site.run(&["cp", "src", &format!(":dst{round}")]);
                let copied = site.there(format!("dst{round}/d/f0"));
                if let Ok(text) = fs::read_to_string(&copied) {
                    let through =
                        fs::symlink_metadata(copied.parent().unwrap()).unwrap().is_symlink();
                    assert!(through || text == "0", "{text}");
                }
            }
        }));
        stop.store(true, Ordering::Relaxed);
        done.unwrap();
    });
}
