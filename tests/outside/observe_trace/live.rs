//! Other programs' connections, watched at a port.

use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use super::flags;
use crate::harness::namespace::in_namespace;
use crate::harness::process::{needs_root, run_command, signal};
use crate::harness::{BINARY, clean, run, serve};

/// A watching `sockeye trace`, from when it says that it watches.
pub(super) struct Watching {
    child: Child,
    lines: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

impl Watching {
    pub(super) fn start(words: &[&str]) -> Watching {
        let mut command = clean(BINARY);
        command.args(["trace", "--json"]).args(words);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::inherit());
        let mut child = command.spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
        assert_eq!(first["event"], "watching", "{first}");
        Watching { child, lines }
    }

    /// All that it still tells, and its exit status.
    pub(super) fn rest(mut self) -> (Vec<Value>, Option<i32>) {
        let lines = self.lines.map(|line| serde_json::from_str(&line.unwrap()).unwrap());
        (lines.collect(), self.child.wait().unwrap().code())
    }
}

/// O1: two connections of another program, each with its number, until so many are over.
#[test]
fn two_connections() {
    in_namespace("observe_trace::live::two_connections", &[], || {
        let _server = serve("upper").on("tcp://127.0.0.1:9000").start();
        let watching = Watching::start(&["--port", "9000", "--count", "2"]);
        for _ in 0..2 {
            let output = run(&["connect", "9000"], b"hello\n");
            assert_eq!(output.stdout_text(), "HELLO\n", "{output:?}");
        }
        let (lines, code) = watching.rest();
        assert_eq!(code, Some(0), "{lines:#?}");
        for number in 1..=2 {
            let of: Vec<&Value> =
                lines.iter().filter(|line| line["connection"] == number).collect();
            let packets = || of.iter().filter(|line| line["event"] == "packet");
            let seen = |wanted: &str| packets().filter(|line| flags(line) == wanted).count();
            assert_eq!((seen("SYN"), seen("SYN,ACK")), (1, 1), "{number}: {lines:#?}");
            assert_eq!(packets().filter(|line| flags(line).contains("FIN")).count(), 2, "{of:#?}");
        }
    });
}

/// O1: it watches until a signal and then tells what it knows, also of connections that still live.
#[test]
fn until_signal() {
    in_namespace("observe_trace::live::until_signal", &[], || {
        for end in [Signal::INT, Signal::TERM] {
            let server = serve("upper").on("tcp://127.0.0.1:9000").start();
            let mut watching = Watching::start(&["--port", "9000"]);
            let mut conn = server.dial();
            assert_eq!(conn.ask(b"x", 1), b"X");
            let seen = watching.lines.by_ref().take_while(|line| {
                let line: Value = serde_json::from_str(line.as_ref().unwrap()).unwrap();
                line["side"] != "server" || line["length"] != 1
            });
            assert!(seen.count() >= 4, "handshake and question");
            signal(watching.child.id(), end);
            let (lines, code) = watching.rest();
            assert_eq!(code, Some(0), "{lines:#?}");
            let verdicts = lines.iter().filter(|line| line["event"] == "verdict");
            assert_eq!(verdicts.count(), 1, "{lines:#?}");
        }
    });
}

/// O2: without the right to see packets it says so, in one line with a remedy.
#[test]
fn no_right() {
    if !needs_root() || !crate::harness::needs(&["setpriv"]) {
        return;
    }
    let mut command = clean("setpriv");
    command.args(["--bounding-set=-all", "--inh-caps=-all", "--", BINARY]);
    command.args(["trace", "--port", "9000", "--duration", "1s"]);
    let output = run_command(command, b"");
    let line = output.assert_one_line(1);
    assert!(line.contains("CAP_NET_RAW") && line.contains("sudo"), "{line}");
}

/// Q1: whoever reads it has stopped reading: a second signal ends it, as nothing else could.
#[test]
fn second_signal() {
    in_namespace("observe_trace::live::second_signal", &[], || {
        let server = serve("upper").on("tcp://127.0.0.1:9000").start();
        let mut watching = Watching::start(&["--port", "9000"]);
        // Far more than the pipe and our buffer hold.
        for _ in 0..200 {
            assert_eq!(server.dial().ask(b"x", 1), b"X");
        }
        let end = Instant::now() + Duration::from_secs(30);
        let code = loop {
            signal(watching.child.id(), Signal::INT);
            if let Some(status) = watching.child.try_wait().unwrap() {
                break status.code();
            }
            assert!(Instant::now() < end, "it does not end");
            std::thread::sleep(Duration::from_millis(10));
        };
        assert_eq!(code, Some(1));
    });
}
