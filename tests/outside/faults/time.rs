//! Clocks that jump and processes that were frozen (fault 44).

use std::collections::BTreeSet;
use std::io::Write;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::process::{children_of, signal, throughout};
use crate::harness::remote::{Host, Running};
use crate::harness::{Conn, PARALLEL_MODELS, serve};
use crate::tree;

/// The idle timeout of servers that are stopped.
const IDLE: &str = "5s";

/// How long processes are stopped: longer than [`IDLE`].
const STOP: Duration = Duration::from_secs(6);

/// Stops these processes, does `meanwhile` and lets them go on after [`STOP`].
fn stopped(pids: &[u32], meanwhile: impl FnOnce()) {
    pids.iter().for_each(|pid| signal(*pid, Signal::STOP));
    meanwhile();
    throughout(STOP, || {});
    pids.iter().for_each(|pid| signal(*pid, Signal::CONT));
}

/// The server and its workers.
fn all_of(server: u32) -> Vec<u32> {
    let mut all = children_of(server);
    all.push(server);
    all
}

/// Fault 44: a server that was stopped for longer than the idle timeout ends nobody for it: its
/// peers were not idle, it was.
#[test]
fn row_44_stopped_server() {
    std::thread::scope(|scope| {
        for model in PARALLEL_MODELS {
            scope.spawn(move || stopped_server(model));
        }
    });
}

fn stopped_server(model: &str) {
    let server = serve("upper").at("tcp").model(model).args(&["--idle-timeout", IDLE]).start();
    let mut conns: Vec<Conn> = (0..20).map(|_| server.dial()).collect();
    conns.iter_mut().for_each(|conn| assert_eq!(conn.ask(b"x", 1), b"X"));
    // Half of them speak meanwhile, the others right afterwards.
    stopped(&all_of(server.pid()), || {
        conns.iter_mut().step_by(2).for_each(|conn| conn.write_all(b"m").unwrap());
    });
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

/// Fault 44, X5: commands with a time limit live through a stop of their server and its workers that
/// is longer than the idle timeout, and through a stop of their clients: none has expired, and each
/// says its word.
#[test]
fn row_44_stopped_commands() {
    std::thread::scope(|scope| {
        for model in ["process", "event"] {
            let of_server = |host: &Host, _: &[Running]| all_of(host.server.pid());
            let of_clients =
                |_: &Host, clients: &[Running]| clients.iter().map(Running::pid).collect();
            scope.spawn(move || {
                stopped_commands(&["--model", model, "--idle-timeout", IDLE], of_server)
            });
            // While clients are stopped the server is awake: for it they are idle.
            scope.spawn(move || stopped_commands(&["--model", model], of_clients));
        }
    });
}

/// Has `frozen` processes stopped while commands wait for their input.
fn stopped_commands(words: &[&str], frozen: impl FnOnce(&Host, &[Running]) -> Vec<u32>) {
    let host = Host::with(words);
    let start = |number| {
        let endpoint = if number % 2 == 0 { &host.tls } else { &host.unix };
        let line = "echo ready; read word; echo $word; exit 7";
        let options = ["--timeout", "5m", "--trust", &host.fingerprint, "-c", line];
        Running::start(host.home.command(&[&["exec", endpoint], &options[..]].concat()))
    };
    let mut clients: Vec<Running> = (0..6).map(start).collect();
    clients.iter_mut().for_each(|client| client.expect_line("ready"));
    stopped(&frozen(&host, &clients), || {});
    for mut client in clients {
        let mut stdin = client.child.stdin.take().expect("a pipe");
        stdin.write_all(b"still here\n").unwrap();
        client.expect_line("still here");
        drop(stdin);
        assert_eq!(client.wait(), Some(7), "{words:?}");
    }
    let ended = host.server.wait_events("ended", 6, |event| event["event"] == "command");
    assert!(ended.iter().all(|event| event["exit"] == 7), "no mass expiry: {ended:?}");
}

/// The crates that keep deadlines.
const DEADLINES: [&str; 6] = ["serve", "host", "files", "trust", "talk", "load"];

/// Who may know of the wall clock there, and what for: none of it is a deadline of ours.
const WALL_CLOCK: [(&str, &str); 8] = [
    ("serve/src/services/clock.rs", "the answer of daytime and time"),
    ("serve/src/services/qotd.rs", "which day has which saying"),
    ("host/src/audit/mod.rs", "when it was, for people"),
    ("host/src/gate.rs", "expiry-time of a key"),
    ("trust/src/authorized/mod.rs", "expiry-time of a key"),
    ("trust/src/authorized/options.rs", "expiry-time of a key"),
    ("files/src/receive/remove.rs", "how old a file is that was left over"),
    ("files/src/send/walk/enter.rs", "the time that a stream's file gets"),
];

/// Fault 44: deadlines are monotonic: no code that keeps one reads the wall clock.
#[test]
fn row_44_monotonic_deadlines() {
    let mut found = BTreeSet::new();
    for name in DEADLINES {
        for (name, text) in tree::sources(&format!("crates/{name}/src")) {
            let name = name.trim_start_matches("crates/").to_owned();
            let tests = ["/tests/", "/tests.rs", "/pair.rs", "/testing.rs", "/fuzzing"];
            let clocks = ["SystemTime", "UNIX_EPOCH", "Timestamp::now", "Zoned::now", "Realtime"];
            if !tests.iter().any(|part| name.contains(part))
                && clocks.iter().any(|word| text.contains(word))
            {
                found.insert(name);
            }
        }
    }
    let known: BTreeSet<String> = WALL_CLOCK.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(found, known, "who reads the wall clock");
}
