//! Clocks that jump and processes that were frozen (fault 44).

use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::process::{children_of, signal, throughout};
use crate::harness::{Conn, PARALLEL_MODELS, serve};

/// Fault 44: a server that was stopped for longer than the idle timeout ends nobody for it: its
/// peers were not idle, it was.
#[test]
fn row_44_stopped_server() {
    for model in PARALLEL_MODELS {
        let server =
            serve("upper").at("tcp").model(model).args(&["--idle-timeout", "700ms"]).start();
        let mut conns: Vec<Conn> = (0..20).map(|_| server.dial()).collect();
        conns.iter_mut().for_each(|conn| assert_eq!(conn.ask(b"x", 1), b"X"));
        let mut frozen = children_of(server.pid());
        frozen.push(server.pid());
        frozen.iter().for_each(|pid| signal(*pid, Signal::STOP));
        // Half of them speak meanwhile, the others right afterwards.
        conns.iter_mut().step_by(2).for_each(|conn| conn.write_all(b"m").unwrap());
        throughout(Duration::from_millis(1500), || {});
        frozen.iter().for_each(|pid| signal(*pid, Signal::CONT));
        for (number, conn) in conns.iter_mut().enumerate() {
            if number % 2 == 1 {
                conn.write_all(b"m").unwrap();
            }
            assert_eq!(conn.take_exact(1), b"M", "{model}: connection {number}");
        }
        assert_eq!(server.count("closed"), 0, "{model}: no mass expiry");
        // And the timeout still works afterwards.
        let closed = server.wait_events("closed", 20, |event| event["event"] == "closed");
        assert!(closed.iter().all(|event| event["why"] == "idle-timeout"));
    }
}

fn sources(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).expect("a directory of sources").flatten() {
        let path = entry.path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            found.push(path);
        }
    }
}

/// Fault 44: deadlines are monotonic: no code that serves reads the wall clock but the services
/// whose answer it is.
#[test]
fn row_44_monotonic_deadlines() {
    let serve = Path::new(env!("CARGO_MANIFEST_DIR")).join("../serve/src");
    let mut files = Vec::new();
    sources(&serve, &mut files);
    assert!(files.len() > 10, "the sources are where they were");
    for file in files {
        let own = file.strip_prefix(&serve).expect("below the crate").to_owned();
        if own.starts_with("services") {
            continue;
        }
        let text = std::fs::read_to_string(&file).expect("a source file");
        for word in ["SystemTime", "Timestamp::now", "Zoned::now"] {
            assert!(!text.contains(word), "{} reads the wall clock: {word}", own.display());
        }
    }
}
