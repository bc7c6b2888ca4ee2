//! Fault 58: what a destination that takes no more is spared, and what is said of it.

use super::storage::Mount;
use crate::harness::files::{Site, assert_same_trees, litter, noise, put, text_of, tree};
use crate::harness::process::{Output, needs, needs_root};

const MIB: usize = 1024 * 1024;

/// The lines of `--json` with this event.
fn events(output: &Output, event: &str) -> Vec<serde_json::Value> {
    let lines = output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let values = lines.map(|line| serde_json::from_slice(line).unwrap());
    values.filter(|value: &serde_json::Value| value["event"] == event).collect()
}

fn bytes_sent(output: &Output) -> usize {
    let done = events(output, "done");
    assert_eq!(done.len(), 1, "{output:?}");
    usize::try_from(done[0]["bytes_sent"].as_u64().unwrap()).unwrap()
}

/// Fault 58, P-X20: of many files for a full disk a few fail, each by its name; then the sender hears
/// that it is enough, and the rest is neither sent nor told one by one. With room they all arrive.
#[test]
fn many_files() {
    if !needs_root() || !needs(&["mount", "umount"]) {
        return;
    }
    let site = Site::new();
    for root in [site.here(""), site.there("")] {
        for number in 0..1200 {
            let path = root.join(format!("src/d{}/f{number}", number % 7));
            put(path, noise(number, 32 * 1024));
        }
    }
    for (words, at, source) in [
        (["sync", "src", ":disk/dst", "--json", "--streams=1"], site.there("disk"), "here"),
        (["sync", ":src", "disk/dst", "--json", "--streams=1"], site.here("disk"), "there"),
        (["sync", "src", ":disks/dst", "--json", "--streams=3"], site.there("disks"), "here"),
    ] {
        let source = if source == "here" { site.here("src") } else { site.there("src") };
        let mount = Mount::small(at, "1m");
        let output = site.run(&words);
        assert_eq!(output.code, Some(1), "{output:?}");
        let failed = events(&output, "failed");
        assert!((5..40).contains(&failed.len()), "{} failed: {output:?}", failed.len());
        let said = |event: &&serde_json::Value, text| event["why"].as_str().unwrap().contains(text);
        let rest = failed.iter().filter(|event| said(event, "the rest was not tried"));
        assert_eq!(rest.count(), 1, "{failed:?}");
        assert!(failed.iter().all(|event| said(&event, "Make room at the destination")));
        assert!(bytes_sent(&output) < 20 * MIB, "{output:?}");
        assert!(litter(&mount.at).is_empty(), "{:?}", litter(&mount.at));
        mount.enlarge("100m");
        site.well(&words);
        assert_same_trees(&tree(&mount.at.join("dst")), &tree(&source));
    }
}

/// Fault 58, P-X20: a long file for which there is no room ends at once, and its neighbour arrives.
#[test]
fn a_long_file() {
    if !needs_root() || !needs(&["mount", "umount"]) {
        return;
    }
    let site = Site::new();
    for root in [site.here(""), site.there("")] {
        put(root.join("src/long"), noise(1, 96 * MIB));
        put(root.join("src/short"), "short");
    }
    for (words, at) in [
        (["sync", "src", ":disk/dst", "--json"], site.there("disk")),
        (["sync", ":src", "disk/dst", "--json"], site.here("disk")),
    ] {
        let mount = Mount::small(at, "3m");
        put(mount.at.join("dst/long"), "old");
        let output = site.run(&words);
        assert_eq!(output.code, Some(1), "{output:?}");
        let failed = events(&output, "failed");
        assert_eq!(failed.len(), 1, "{output:?}");
        assert!(failed[0]["path"].as_str().unwrap().ends_with("long"), "{output:?}");
        assert!(bytes_sent(&output) < 48 * MIB, "{output:?}");
        assert_eq!(text_of(mount.at.join("dst/long")), "old");
        assert_eq!(text_of(mount.at.join("dst/short")), "short");
        assert!(litter(&mount.at).is_empty(), "{:?}", litter(&mount.at));
    }
}

/// Fault 58, P-X20: a read-only file system is told of a few times, not once a file.
#[test]
fn read_only_for_many() {
    if !needs_root() || !needs(&["mount", "umount"]) {
        return;
    }
    let site = Site::new();
    for number in 0..300 {
        put(site.here(format!("src/f{number}")), "new");
    }
    let mount = Mount::small(site.there("disk"), "2m");
    put(mount.at.join("dst/f7"), "older");
    mount.read_only();
    let output = site.run(&["sync", "src", ":disk/dst"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    let lines = output.stderr.lines().filter(|line| line.contains("ead-only")).count();
    assert!((5..40).contains(&lines), "{output:?}");
    assert!(output.stderr.contains("the rest was not tried"), "{output:?}");
    assert!(output.stderr.contains("can be written"), "{output:?}");
    assert_eq!(text_of(mount.at.join("dst/f7")), "older");
}
