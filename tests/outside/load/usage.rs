//! Command lines of `bench` that make no sense, servers that are not there, and the help.

use super::*;
use crate::harness::process::run_command;
use crate::harness::{BINARY, clean, serve};

/// B1, Q1: one sentence and exit 2; nothing is sent.
#[test]
fn refused() {
    let cases: [(&[&str], &str); 12] = [
        (&[], "no endpoint"),
        (&["9", "--rate", "0"], "--rate"),
        (&["9", "--connections", "0"], "--connections"),
        (&["9", "--depth", "100000"], "--depth is from 1"),
        (&["9", "--size", "1G"], "--size is from 1"),
        (&["9", "--churn", "--depth", "2"], "--churn and --depth"),
        (&["udp://127.0.0.1:9", "--churn"], "leave it out"),
        (&["tls://127.0.0.1:9"], "tcp:// or unix:"),
        (&["h:0"], "port 0"),
        (&["9", "throughput", "9"], "throughput"),
        (&["throughput", "udp://h:9", "--direction", "down"], "--serve"),
        (&["throughput", "9", "--serve"], "for datagrams"),
    ];
    for (words, said) in cases {
        let output = run(&[&["bench"], words].concat(), b"");
        let line = output.assert_one_line(2);
        assert!(line.contains(said), "{words:?} does not say {said:?}: {line}");
    }
}

/// B1, O4: nobody there: exit 1 and the reason, of a named endpoint that looks like a command, too.
#[test]
fn nobody() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let output = run(&["bench", &free.port().to_string()], b"");
    assert!(output.assert_one_line(1).contains("nothing listens"), "{output:?}");
    let output = run(&["bench", "./models"], b"");
    assert!(output.assert_one_line(1).contains("no socket file"), "{output:?}");
}

/// B1: more connections than there may be descriptors: so it is said before any is opened.
#[test]
fn descriptors() {
    let mut server = serve("upper").at("tcp").start();
    let mut command = clean("sh");
    command.args(["-c", "ulimit -n 40; exec \"$@\"", "sh", BINARY, "bench"]);
    command.args([&server.first_endpoint(), "--connections", "30", "--workers", "1"]);
    let output = run_command(command, b"");
    let line = output.assert_one_line(1);
    assert!(line.contains("30 connections") && line.contains("ulimit"), "{line}");
    assert_eq!(server.count("accepted"), 0);
    server.stop();
}

/// Q3: a size in the environment is for both commands, and no argument that excludes the other.
#[test]
fn environment() {
    let mut server = serve("discard").at("tcp").start();
    let mut command = clean(BINARY);
    command.args(["bench", "throughput", &server.first_endpoint(), "--json"]);
    command.args(["--duration", "100ms", "--warmup", "0"]).env("SOCKEYE_SIZE", "1000");
    let output = run_command(command, b"");
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(number(&result(&output), "/size"), 1000);
    server.stop();
}

/// Q5: help with examples, for each of them.
#[test]
fn help() {
    for words in [&["bench", "--help"][..], &["bench", "throughput", "--help"]] {
        let output = run(words, b"");
        assert_eq!(output.code, Some(0));
        assert!(output.stdout_text().contains("Examples:"), "{output:?}");
    }
}
