//! F4: nothing that is there already is sent again.

use std::fs;
use std::path::{Path, PathBuf};

use crate::harness::eventually;
use crate::harness::files::{Site, litter, noise, put, tree};
use crate::harness::remote::Running;

const MIB: usize = 1024 * 1024;

fn large() -> Vec<u8> {
    noise(64, 64 * MIB)
}

/// F4: a run that finds all equal sends no data and says so.
#[test]
fn unchanged() {
    let site = Site::new();
    for number in 0..20 {
        put(site.here(format!("src/d{}/f{number}", number % 3)), noise(number, 10_000));
    }
    site.well(&["sync", "src", ":dst"]);
    let before = tree(&site.there("dst"));
    let told = site.told(&["sync", "src", ":dst"]);
    assert_eq!((told.count("bytes_sent"), told.count("stored")), (0, 0), "{told:?}");
    assert_eq!(told.count("skipped"), 20);
    let said = site.well(&["sync", "src", ":dst"]);
    assert!(said.contains("no file data sent") && said.contains("20 unchanged"), "{said}");
    assert_eq!(tree(&site.there("dst")), before);
    let told = site.told(&["sync", ":dst", "src"]);
    assert_eq!((told.count("bytes_sent"), told.count("skipped")), (0, 20));
}

/// F4: a large file with a small change sends little more than the change: one byte in the middle,
/// an insertion at the front, something cut out, something put behind.
#[test]
fn small_changes() {
    let site = Site::new();
    let old = large();
    put(site.here("f"), &old);
    site.well(&["cp", "f", ":f"]);
    let mut changed = old.clone();
    changed[old.len() / 2] ^= 1;
    let inserted = [b"something new\n", &old[..]].concat();
    let cut = [&old[..5 * MIB], &old[5 * MIB + 777..]].concat();
    let behind = [&old[..], b"tail"].concat();
    for (what, new) in [
        ("byte", changed),
        ("insertion", inserted),
        ("cut", cut),
        ("behind", behind),
        ("back", old),
    ] {
        put(site.here("f"), &new);
        let told = site.told(&["cp", "f", ":f"]);
        assert!(fs::read(site.there("f")).unwrap() == new, "{what}");
        let sent = told.count("bytes_sent");
        assert!(sent < MIB as u64, "{what}: {sent} bytes sent");
        assert!(told.count("bytes_reused") > 60 * MIB as u64, "{what}: {told:?}");
    }
    assert_eq!(litter(&site.there("")), Vec::<PathBuf>::new());
}

/// F4: the same where the file comes from the server.
#[test]
fn small_change_pulled() {
    let site = Site::new();
    let mut data = large();
    put(site.there("f"), &data);
    site.well(&["cp", ":f", "f"]);
    data[MIB * 3 + 5] ^= 1;
    put(site.there("f"), &data);
    let told = site.told(&["cp", ":f", "f"]);
    assert!(fs::read(site.here("f")).unwrap() == data);
    assert!(told.count("bytes_sent") < MIB as u64, "{told:?}");
}

/// What a partial file at the receiver has, in bytes; 0 where there is none.
fn partial(directory: PathBuf) -> u64 {
    let data = litter(&directory).into_iter().filter(|path| !path.to_string_lossy().ends_with('~'));
    data.filter_map(|path| fs::metadata(path).ok()).map(|meta| meta.len()).max().unwrap_or(0)
}

/// F3, F4: a transfer whose client was killed resumes: what was verified is not sent again, and
/// nothing is left behind.
#[test]
fn resumes_after_the_client() {
    for push in [true, false] {
        let site = Site::new();
        let data = large();
        let (from, to) = if push { (site.here("f"), ":g") } else { (site.there("f"), "g") };
        put(&from, &data);
        let from = if push { "f" } else { ":f" };
        let place = if push { site.there("") } else { site.here("") };
        let mut client = Running::start(site.command(&["cp", from, to, "--limit", "16M"]));
        eventually("a part is there", || partial(place.clone()) > 8 * MIB as u64);
        client.child.kill().unwrap();
        client.wait();
        assert!(!place.join("g").exists());
        let told = site.told(&["cp", from, to]);
        assert!(fs::read(place.join("g")).unwrap() == data);
        let (resumed, sent) = (told.count("bytes_resumed"), told.count("bytes_sent"));
        assert!(resumed >= 4 * MIB as u64, "push {push}: {told:?}");
        assert_eq!(resumed + sent, data.len() as u64, "push {push}: {told:?}");
        assert_eq!(litter(&place), Vec::<PathBuf>::new(), "push {push}");
        let said = site.well(&["cp", from, to]);
        assert!(said.contains("no file data sent"), "{said}");
    }
}

/// F4: the summary says what was resumed.
#[test]
fn says_that_it_resumed() {
    let site = Site::new();
    put(site.here("f"), large());
    let mut client = Running::start(site.command(&["cp", "f", ":g", "--limit", "16M"]));
    eventually("a part is there", || partial(site.there("")) > 8 * MIB as u64);
    client.child.kill().unwrap();
    client.wait();
    let said = site.well(&["cp", "f", ":g"]);
    assert!(said.contains("resumed"), "{said}");
}

/// F4: a source that changed since the break is not mixed with what had come of it.
#[test]
fn does_not_resume_another_file() {
    let site = Site::new();
    put(site.here("f"), large());
    let mut client = Running::start(site.command(&["cp", "f", ":g", "--limit", "16M"]));
    eventually("a part is there", || partial(site.there("")) > 8 * MIB as u64);
    client.child.kill().unwrap();
    client.wait();
    let other = noise(65, 20 * MIB);
    put(site.here("f"), &other);
    site.well(&["cp", "f", ":g"]);
    assert!(fs::read(site.there("g")).unwrap() == other);
    assert_eq!(litter(&site.there("")), Vec::<PathBuf>::new());
}

/// F2, F4: what is left of an interrupted file may be damaged itself: shorter than its journal says,
/// without a journal, or with one that says nothing. The file is right all the same.
#[test]
fn damaged_partial() {
    let site = Site::new();
    let data = large();
    put(site.here("f"), &data);
    let journal = |path: &PathBuf| path.to_string_lossy().ends_with('~');
    let damages: [fn(&Path, &Path); 4] = [
        |part, _| fs::File::options().write(true).open(part).unwrap().set_len(100).unwrap(),
        |_, journal| fs::remove_file(journal).unwrap(),
        |_, journal| fs::write(journal, "garbage").unwrap(),
        |part, _| fs::remove_file(part).unwrap(),
    ];
    for (number, damage) in damages.into_iter().enumerate() {
        let to = format!(":g{number}");
        let mut client = Running::start(site.command(&["cp", "f", &to, "--limit", "16M"]));
        eventually("a part is there", || partial(site.there("")) > 8 * MIB as u64);
        client.child.kill().unwrap();
        client.wait();
        let left = litter(&site.there(""));
        let part = left.iter().find(|path| !journal(path)).expect("a partial");
        damage(part, left.iter().find(|path| journal(path)).expect("a journal"));
        site.well(&["cp", "f", &to]);
        assert!(fs::read(site.there(format!("g{number}"))).unwrap() == data, "{number}");
        assert_eq!(litter(&site.there("")), Vec::<PathBuf>::new(), "{number}");
    }
}
