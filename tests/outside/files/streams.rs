//! F6: `--streams` uses several connections for one transfer, with one result.

use crate::harness::files::{Site, assert_same_trees, noise, put, tree};
use crate::harness::process::run_command;

fn source(site: &Site) {
    for number in 0..300_usize {
        put(
            site.here(format!("src/d{}/f{number}", number % 10)),
            noise(number as u64, number * 1000),
        );
    }
    put(site.here("src/large"), noise(4, 9_000_000));
    std::fs::create_dir(site.here("src/nothing")).unwrap();
}

/// F6: the tree is the same as with one connection, both ways, and each file is counted once.
#[test]
fn several_connections() {
    let site = Site::new();
    source(&site);
    let expected = tree(&site.here("src"));
    let told = site.told(&["cp", "src", ":dst", "--streams", "4"]);
    assert_eq!((told.count("stored"), told.count("skipped")), (301, 0), "{told:?}");
    assert_same_trees(&tree(&site.there("dst")), &expected);
    let told = site.told(&["cp", ":dst", "back", "--streams", "3"]);
    assert_eq!(told.count("stored"), 301);
    assert_same_trees(&tree(&site.here("back")), &expected);
    assert!(site.host.server.count("accepted") >= 7);
}

/// F6, F1: with `--delete` as well, and a second time nothing is sent.
#[test]
fn sync_with_streams() {
    let site = Site::new();
    source(&site);
    put(site.there("dst/old/er"), "old");
    site.well(&["sync", "src", ":dst", "--delete", "--streams", "4"]);
    assert_same_trees(&tree(&site.there("dst")), &tree(&site.here("src")));
    let told = site.told(&["sync", "src", ":dst", "--delete", "--streams", "4"]);
    assert_eq!((told.count("bytes_sent"), told.count("stored")), (0, 0), "{told:?}");
    assert_eq!(told.count("skipped"), 301);
}

/// F1, F6: standard input can be read once, so it goes over one connection.
#[test]
fn a_stream_with_streams() {
    let site = Site::new();
    let words = ["cp", "-", ":x", "--streams", "3"];
    let output = run_command(site.command(&words), b"all of it");
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(std::fs::read(site.there("x")).unwrap(), b"all of it");
}

/// F6: what fails on one of several connections is told once, and the exit status says so.
#[test]
fn failures_with_streams() {
    let site = Site::new();
    source(&site);
    // A directory in the way of a file.
    put(site.there("dst/d3/f3/x"), "x");
    let output = site.run(&["sync", "src", ":dst", "--streams", "4"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    let lines = output.stderr.lines().filter(|line| line.contains("d3/f3"));
    let told = lines.filter(|line| !line.starts_with("sockeye: failed:")).count();
    assert_eq!(told, 1, "{output:?}");
    assert!(site.there("dst/large").exists());
}
