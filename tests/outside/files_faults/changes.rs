//! F2, fault 59: sources that change while they are read.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::eventually;
use crate::harness::files::{Site, litter, noise, put, text_of};
use crate::harness::remote::Running;

const MIB: usize = 1024 * 1024;

/// How much of an unfinished file is there.
fn arrived(directory: &Path) -> u64 {
    let parts = litter(directory).into_iter().filter(|path| !path.to_string_lossy().ends_with('~'));
    parts.filter_map(|path| fs::metadata(path).ok()).map(|meta| meta.len()).max().unwrap_or(0)
}

/// Starts a copy of a file of 24 MiB, changes the file when a part of it has come, and waits for the
/// end: the exit status and what it said.
fn changed_once(site: &Site, change: impl FnOnce(&Path)) -> (Option<i32>, String) {
    let source = site.here("victim");
    put(&source, noise(31, 24 * MIB));
    let mut client = Running::start(site.command(&["cp", "victim", ":copy", "--limit", "16M"]));
    eventually("a part has come", || arrived(&site.there("")) > 4 * MIB as u64);
    change(&source);
    let code = client.wait();
    (code, client.stderr())
}

/// F2, fault 59: a file that grows, shrinks or is written over while it is read is read once more,
/// and then as it is.
#[test]
fn changed_once_is_read_again() {
    let changes: [fn(&Path); 3] = [
        |path| File::options().append(true).open(path).unwrap().write_all(b"more").unwrap(),
        |path| File::options().write(true).open(path).unwrap().set_len(10 * MIB as u64).unwrap(),
        |path| {
            use std::os::unix::fs::FileExt;
            let file = File::options().write(true).open(path).unwrap();
            file.write_all_at(b"changed at the beginning", 0).unwrap();
            file.write_all_at(b"and at the end", 24 * MIB as u64 - 100).unwrap();
        },
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let site = Site::new();
        let (code, said) = changed_once(&site, change);
        assert_eq!(code, Some(0), "{number}: {said}");
        let same = fs::read(site.there("copy")).unwrap() == fs::read(site.here("victim")).unwrap();
        assert!(same, "{number}: not what the file is");
        assert!(litter(&site.there("")).is_empty());
    }
}

/// F2, fault 59: a file that is replaced or removed while it is read: the old one whole, the new one
/// whole, or a failure that names it.
#[test]
fn replaced_or_removed() {
    let changes: [fn(&Path); 2] = [
        |path| {
            let other = path.with_file_name("other");
            put(&other, noise(32, 5 * MIB));
            fs::rename(other, path).unwrap();
        },
        |path| fs::remove_file(path).unwrap(),
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let site = Site::new();
        let (code, said) = changed_once(&site, change);
        match code {
            Some(0) => {
                let copy = fs::read(site.there("copy")).unwrap();
                let whole = copy == noise(31, 24 * MIB) || copy == noise(32, 5 * MIB);
                assert!(whole, "{number}: a mixture");
            }
            _ => {
                assert!(said.contains("victim") && !site.there("copy").exists(), "{number}: {said}")
            }
        }
    }
}

/// F2: a file that never stops changing is named, exit status 1; the older copy stays, the other
/// files arrive.
#[test]
fn always_changing() {
    let site = Site::new();
    let victim = site.here("src/victim");
    put(&victim, noise(33, 8 * MIB));
    put(site.here("src/calm"), "calm");
    put(site.there("dst/victim"), "older");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = File::options().append(true).open(&victim).unwrap();
            while !stop.load(Ordering::Relaxed) {
                file.write_all(b"and on").unwrap();
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
        });
        let output = site.run(&["sync", "src", ":dst", "--limit", "40M"]);
        stop.store(true, Ordering::Relaxed);
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains("victim"), "{output:?}");
        assert!(output.stderr.contains("chang"), "{output:?}");
    });
    assert_eq!(text_of(site.there("dst/victim")), "older");
    assert_eq!(text_of(site.there("dst/calm")), "calm");
    // When it is calm, it arrives.
    site.well(&["sync", "src", ":dst"]);
    assert!(fs::read(site.there("dst/victim")).unwrap() == fs::read(&victim).unwrap());
    assert!(litter(&site.there("")).is_empty());
}

/// Fault 59: files that vanish between the listing and their turn are named; the others arrive.
#[test]
fn vanished_before_their_turn() {
    let site = Site::new();
    put(site.here("first"), noise(34, 24 * MIB));
    for number in 0..50 {
        put(site.here(format!("rest/f{number}")), format!("{number}"));
    }
    fs::create_dir(site.there("dst")).unwrap();
    let words = ["cp", "first", "rest", ":dst", "--limit", "16M"];
    let mut client = Running::start(site.command(&words));
    eventually("a part has come", || arrived(&site.there("")) > 4 * MIB as u64);
    for number in 20..30 {
        fs::remove_file(site.here(format!("rest/f{number}"))).unwrap();
    }
    let (code, said) = (client.wait(), client.stderr());
    for number in (0..20).chain(30..50) {
        assert_eq!(text_of(site.there(format!("dst/rest/f{number}"))), format!("{number}"));
    }
    // Small ones may have been read ahead of their turn.
    let gone =
        (20..30).filter(|number| !site.there(format!("dst/rest/f{number}")).exists()).count();
    assert_eq!(code, Some(i32::from(gone > 0)), "{gone} are missing: {said}");
    assert!(gone == 0 || said.contains("rest/f2"), "{said}");
}
