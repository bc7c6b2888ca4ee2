//! F7: what is shown of a transfer.

use std::io::Read;
use std::time::{Duration, Instant};

use crate::harness::eventually;
use crate::harness::files::{Site, names_in, noise, put, text_of};
use crate::harness::process::run_command;
use crate::harness::remote::Running;
use crate::host::pty::{Pty, can_start};

/// F7, Q1: in a pipe there is nothing but the summary, one line on stderr; `--quiet` leaves that out.
#[test]
fn quiet_in_a_pipe() {
    let site = Site::new();
    put(site.here("f"), noise(1, 5_000_000));
    let output = site.run(&["cp", "f", ":a"]);
    assert_eq!((output.code, output.stdout.len()), (Some(0), 0), "{output:?}");
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    assert!(!output.stderr.contains(['\r', '\x1b']), "{output:?}");
    assert!(output.stderr.contains("1 file stored and verified"), "{output:?}");
    let output = site.run(&["cp", "f", ":b", "--quiet"]);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
}

/// Q1, fault 45: whoever reads standard output may have seen enough, as in `| head`: a quiet end.
#[test]
fn closed_output() {
    let site = Site::new();
    put(site.there("f"), noise(1, 20_000_000));
    let mut client = Running::start(site.command(&["cp", ":f", "-"]));
    let mut first = [0];
    client.child.stdout.as_mut().expect("a pipe").read_exact(&mut first).unwrap();
    client.stop_reading();
    assert_eq!(client.wait(), Some(0));
    assert_eq!(client.stderr(), "");
    // What was not written for another reason is told.
    let mut command = site.command(&["cp", ":f", "-"]);
    command.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("cannot be written"), "{output:?}");
}

/// F7, Q2: with `--json` stdout has one object a line, the last one is `done`, and stderr nothing.
#[test]
fn json() {
    let site = Site::new();
    put(site.here("src/a"), "aaaa");
    put(site.here("src/d/b"), "bb");
    let told = site.told(&["sync", "src", ":dst"]);
    assert_eq!(told.output.stderr, "");
    let stored = told.paths("stored");
    assert_eq!(stored.len(), 2, "{told:?}");
    assert!(stored[0].ends_with("a") && stored[1].ends_with("d/b"), "{stored:?}");
    let keys = [
        ("stored", 2),
        ("skipped", 0),
        ("removed", 0),
        ("failed", 0),
        ("bytes_sent", 6),
        ("bytes_reused", 0),
        ("bytes_resumed", 0),
    ];
    for (key, value) in keys {
        assert_eq!(told.count(key), value, "{key}: {told:?}");
    }
    let done = told.events.last().unwrap();
    assert_eq!(done["verified"], true);
    assert!(done["duration_ms"].is_u64());
    // A failure has its path and its reason, and the end says so.
    let told = site.tells(&["cp", "src/a", "missing", ":dst/"]);
    assert_eq!(told.output.code, Some(1));
    let failed = told.events.iter().find(|event| event["event"] == "failed").expect("a failure");
    assert!(failed["path"].as_str().unwrap().contains("missing"), "{failed}");
    assert!(!failed["why"].as_str().unwrap().is_empty());
    assert_eq!(told.count("failed"), 1);
    assert_eq!(told.events.last().unwrap()["verified"], false);
}

/// F7: `--verbose` names each file on stdout.
#[test]
fn verbose() {
    let site = Site::new();
    put(site.here("src/a"), "a");
    put(site.there("dst/old"), "o");
    let output = site.run(&["sync", "src", ":dst", "-v", "--delete"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let text = output.stdout_text();
    assert!(text.lines().any(|line| line.starts_with("stored ") && line.ends_with('a')), "{text}");
    assert!(
        text.lines().any(|line| line.starts_with("removed ") && line.ends_with("old")),
        "{text}"
    );
}

/// F7: `--dry-run` writes nothing at all and says what would be done.
#[test]
fn dry_run() {
    let site = Site::new();
    put(site.here("src/same"), "same");
    site.well(&["sync", "src", ":dst"]);
    put(site.here("src/new"), "new");
    put(site.here("src/d/deep"), "deep");
    put(site.there("dst/old"), "old");
    put(site.there("dst/gone/file"), "old");
    let before = crate::harness::files::tree(&site.there("dst"));
    let output = site.run(&["sync", "src", ":dst", "-n", "--delete"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let text = output.stdout_text();
    for line in ["would-store new", "would-store d/deep", "would-remove old", "would-remove gone"] {
        let (event, name) = line.split_once(' ').unwrap();
        let found = |line: &str| line.starts_with(event) && line.ends_with(name);
        assert!(text.lines().any(found), "no {line:?} in {text}");
    }
    assert!(!text.contains("same"), "{text}");
    assert_eq!(crate::harness::files::tree(&site.there("dst")), before);
    let told = site.told(&["sync", "src", ":dst", "-n", "--delete"]);
    assert_eq!(told.paths("would-store").len(), 2, "{told:?}");
    assert_eq!(told.count("bytes_sent"), 0);
    assert_eq!((told.count("would_store"), told.count("would_remove")), (2, 3), "{told:?}");
    assert_eq!(told.events.last().unwrap()["verified"], false);
    // A destination that is not there stays so; pulling as well.
    site.well(&["cp", "-n", "src", ":fresh"]);
    site.well(&["cp", "-n", ":dst", "fresh"]);
    assert!(!site.there("fresh").exists() && !site.here("fresh").exists());
    // What was said comes true.
    site.well(&["sync", "src", ":dst", "--delete"]);
    assert_eq!(names_in(&site.there("dst")), ["d", "new", "same"]);
}

/// F7: `--limit` holds the rate, both ways: so many bytes take at least so long.
#[test]
fn limit() {
    let site = Site::new();
    put(site.here("f"), noise(2, 3_000_000));
    for words in [["cp", "f", ":g", "--limit", "2M"], ["cp", ":g", "h", "--limit", "2M"]] {
        let since = Instant::now();
        site.well(&words);
        // What fits into buffers at the end may be ahead of its time.
        assert!(since.elapsed() >= Duration::from_millis(900), "{:?}", since.elapsed());
    }
}

/// F7: on a terminal one line shows how far all of it is, and it is gone at the end.
#[test]
fn progress_line() {
    if !can_start() {
        return;
    }
    let site = Site::new();
    put(site.here("f"), noise(3, 4_000_000));
    let mut command = site.host.home.command(&["cp"]);
    let (from, to) = (site.here("f"), site.there("g"));
    command.arg(&from).arg(format!(":{}", to.display())).args(["--via", &site.host.unix]);
    command.args(["--limit", "2M"]);
    let mut client = Pty::start(&command);
    let shown = client.until("left");
    assert!(shown.contains(" of ") && shown.contains("/s"), "{shown}");
    let rest = client.ends(0);
    assert!(rest.contains("1 file stored and verified"), "{rest}");
}

/// Fault 56, F7: a name cannot drive the terminal, nor make lines of its own.
#[test]
fn names_are_escaped() {
    let site = Site::new();
    put(site.here("src/a\x1b[31m\nevil\u{202e}"), "x");
    for words in [&["cp", "-v", "src", ":dst"][..], &["cp", "-v", ":dst", "back"]] {
        let output = site.run(words);
        assert_eq!(output.code, Some(0), "{output:?}");
        let text = output.stdout_text();
        assert!(!text.contains(['\x1b', '\u{202e}']), "{text:?}");
        assert_eq!(text.lines().filter(|line| line.starts_with("stored")).count(), 1, "{text:?}");
        assert!(!text.lines().any(|line| line.starts_with("evil")), "{text:?}");
    }
    let told = site.told(&["cp", "src", ":again"]);
    assert!(!told.output.stdout_text().contains(['\x1b', '\u{202e}']));
}

/// Q1: a reader of the output that goes away ends nothing: the files arrive.
#[test]
fn closed_stdout() {
    let site = Site::new();
    for number in 0..200 {
        put(site.here(format!("src/f{number}")), "x");
    }
    let mut client = Running::start(site.command(&["cp", "-v", "src", ":dst"]));
    client.stop_reading();
    client.wait();
    eventually("all files are there", || {
        site.there("dst").exists() && names_in(&site.there("dst")).len() == 200
    });
    assert_eq!(text_of(site.there("dst/f7")), "x");
}

/// L1: the server tells of a transfer as of a command: who, what, how it ended.
#[test]
fn server_tells() {
    let site = Site::new();
    put(site.here("f"), "12345");
    site.well(&["cp", "f", ":g"]);
    let event = site.host.server.wait_for("command");
    assert!(event["command"].to_string().contains("files receive"), "{event}");
    assert_eq!(event["exit"], 0, "{event}");
    let output = run_command(site.command(&["cp", ":missing", "x"]), b"");
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("missing"), "{output:?}");
}
