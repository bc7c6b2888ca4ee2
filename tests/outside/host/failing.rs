//! X4: what fails on our side is 255 and one line, whatever it is and wherever it is found, and an
//! object where one was asked for.

use std::fs::File;
use std::process::Stdio;

use serde_json::Value;

use crate::harness::process::{Output, run_command};
use crate::harness::remote::{Home, Host};
use crate::harness::serve;

/// It failed with `code`, in one line, and with an object that says the same.
fn assert_object(output: &Output, code: i32) {
    assert_eq!(output.code, Some(code), "{output:?}");
    assert_eq!(output.stderr.lines().count(), 1, "{output:?}");
    let object: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!(object["exit"], code, "{object}");
    let said = object["error"].as_str().expect("a text");
    assert_eq!(output.stderr, format!("sockeye: {said}\n"));
}

/// X4: wrong words, a wrong configuration, a wrong value in the environment, a server that is not
/// there: none of them looks like the status of a command, with and without `--json`.
#[test]
fn ours() {
    let home = Home::new();
    let broken = home.write("broken.toml", "[exec]\nno-such-key = 1\n", 0o644);
    let (broken, missing) = (broken.to_str().unwrap(), "/no/such/file");
    let closed = "127.0.0.1:9";
    let tls = format!("tls://{closed}");
    let plain = format!("tcp://{closed}");
    let cases: &[&[&str]] = &[
        &["exec", &tls, "--no-such-option", "--", "true"],
        &["--config", missing, "exec", &tls, "--no-such-option", "--", "true"],
        &["--config", missing, "exec", &tls, "--", "true"],
        &["exec", &tls, "--config", broken, "--", "true"],
        &["--config", broken, "exec", &plain, "--", "true"],
        &["exec", &tls, "--timeout", "nonsense", "--", "true"],
        &["exec", &tls, "--", "true"],
        &["exec", &plain, "--", "true"],
        &["exec", &plain, "--timeout", "5s", "-c", "true"],
        &["exec", &plain, "--max-output", "1K", "--", "true"],
        &["exec", "unix:/no/such/socket", "--", "true"],
        &["exec", "h:0", "--", "true"],
        &["exec", "udp://127.0.0.1:9", "--", "true"],
    ];
    for words in cases {
        home.run(words, b"").assert_one_line(255);
        // Among our own words, before those of the command.
        let at = words.iter().position(|word| *word == "exec").unwrap() + 1;
        let words = [&words[..at], &["--json"], &words[at..]].concat();
        assert_object(&home.run(&words, b""), 255);
    }
    for words in [
        &["--config", broken, "shell", &tls][..],
        &["shell", &tls, "--json"],
        &["exec", &tls, "--detach", "--timeout", "1s", "--", "true"],
        &["exec", &tls, "--detach", "--max-output", "1K", "--", "true"],
    ] {
        let output = home.run(words, b"");
        assert_eq!((output.code, output.stderr.lines().count()), (Some(255), 1), "{output:?}");
    }
    let mut command = home.command(&["exec", &tls, "--", "true"]);
    command.env("SOCKEYE_CONNECT_TIMEOUT", "soon");
    run_command(command, b"").assert_one_line(255);
}

/// X4: other commands keep their own status for the same mistakes.
#[test]
fn not_ours() {
    let home = Home::new();
    home.run(&["--config", "/no/such/file", "connect", "127.0.0.1:9"], b"").assert_one_line(2);
    home.run(&["connect", "exec:9", "--no-such-option"], b"").assert_one_line(2);
}

/// X4: the plain form gives an object, too, where its time was over, and where the reply is none.
#[test]
fn plain_objects() {
    let server = serve("command").at("tcp").start();
    let home = Home::empty();
    let endpoint = server.endpoint("tcp");
    let words = ["exec", &endpoint, "--json", "--timeout", "100ms", "--", "sleep", "1000"];
    assert_object(&home.run(&words, b""), 124);
    let line = ["exec", &endpoint, "--json", "-c", "echo a\necho b"];
    assert_object(&home.run(&line, b""), 255);
}

/// X4: what came before the connection broke is in the object.
#[test]
fn broken_connection() {
    let mut host = Host::start();
    let flag = host.home.path().join("flag");
    let line = format!("echo first; touch {}; sleep 1000", flag.display());
    let client = host.client(&["--json", "-n", "-c", &line]);
    let runs = std::thread::spawn(move || run_command(client, b""));
    crate::harness::eventually("it runs", || flag.exists());
    host.server.kill();
    let output = runs.join().unwrap();
    assert_object(&output, 255);
    let object: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(object["stdout"], "first\n", "{object}");
}

/// X4, fault 45: an output that is full is a failure of ours.
#[test]
fn full() {
    let host = Host::start();
    let server = serve("command").at("tcp").start();
    let plain = server.endpoint("tcp");
    let full = || Stdio::from(File::options().write(true).open("/dev/full").unwrap());
    for words in [&["--json", "--", "true"][..], &["--", "echo", "x"], &["--detach", "--", "true"]]
    {
        let mut command = host.client(words);
        command.stdin(Stdio::null()).stdout(full()).stderr(Stdio::null());
        assert_eq!(command.status().unwrap().code(), Some(255), "{words:?}");
    }
    for words in [&["--json", "--", "true"][..], &["--", "echo", "x"]] {
        let mut command = host.home.command(&[&["exec", &plain], words].concat());
        command.stdin(Stdio::null()).stdout(full()).stderr(Stdio::null());
        assert_eq!(command.status().unwrap().code(), Some(255), "{words:?}");
    }
    let mut command = host.home.command(&["exec", "--help"]);
    command.stdout(full()).stderr(Stdio::null());
    assert_eq!(command.status().unwrap().code(), Some(255));
}
