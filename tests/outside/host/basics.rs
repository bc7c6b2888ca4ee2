//! X2 and X4: what is run where, and the status that comes back.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use serde_json::Value;

use crate::harness::process::run_command;
use crate::harness::remote::{Home, Host};
use crate::harness::{MODELS, run};

/// X2, X3, X4: an argument list reaches the program as it is; outputs stay apart; the status comes
/// back. Over TLS and over a Unix socket.
#[test]
fn issue_line() {
    let host = Host::start();
    let words = ["--", "sh", "-c", "echo out; echo err >&2; exit 3"];
    for output in [host.exec(&words, b""), host.exec_unix(&words, b"")] {
        assert_eq!(output.code, Some(3), "{output:?}");
        assert_eq!((output.stdout_text().as_str(), output.stderr.as_str()), ("out\n", "err\n"));
    }
}

/// X2: no shell sees an argument list, whatever is in it; `-c` is a line for the shell.
#[test]
fn arguments() {
    let host = Host::start();
    let words = ["a b", "", "*", "$HOME", "`id`", "'", "\"", "\\", "-n", "--", "ü\n"];
    let output = host.exec(&[&["--", "printf", "%s|"], &words[..]].concat(), b"");
    assert_eq!(output.stdout_text(), words.map(|word| format!("{word}|")).concat());

    let mut raw = host.client(&["--", "printf", "%s|"]);
    raw.arg(OsStr::from_bytes(b"\xff\xfe"));
    assert_eq!(run_command(raw, b"").stdout, b"\xff\xfe|");

    let output = host.line("echo a b | tr a-z A-Z; echo \"$HOME\"");
    assert_eq!(output.stdout_text(), format!("A B\n{}\n", host.home.path().display()));
}

/// X2: HOST is a name with a port, an address with one, an endpoint, or the path of a socket.
#[test]
fn names() {
    let host = Host::start();
    let port = host.port();
    let targets = [
        format!("localhost:{port}"),
        format!("127.0.0.1:{port}"),
        format!("tls://localhost:{port}"),
        host.unix.clone(),
        host.unix["unix:".len()..].to_owned(),
    ];
    for target in targets {
        let words = ["exec", &target, "--trust", &host.fingerprint, "--", "echo", "here"];
        let output = host.home.run(&words, b"");
        assert_eq!((output.code, output.stdout_text().as_str()), (Some(0), "here\n"), "{output:?}");
    }
}

/// X4: exit statuses, deaths by signals, and what is ours: each with its number, and a sentence
/// where it is not the command's own.
#[test]
fn statuses() {
    let host = Host::start();
    let missing = format!("{}/missing", host.home.path().display());
    let plain = host.home.write("plain", "#!/bin/sh\n", 0o644);
    let lost = host.home.write("lost", "#!/no/such/interpreter\n", 0o755);
    let (plain, lost) = (plain.to_str().unwrap(), lost.to_str().unwrap());
    let shell = |line| vec!["--", "sh", "-c", line];
    let cases: Vec<(Vec<&str>, i32, &str)> = vec![
        (shell("exit 0"), 0, ""),
        (shell("exit 1"), 1, ""),
        (shell("exit 255"), 255, ""),
        (shell("kill -SEGV $$"), 139, ""),
        (shell("kill -KILL $$"), 137, ""),
        (shell("kill -TERM $$"), 143, ""),
        (vec!["-c", "kill -ABRT $$"], 134, ""),
        (vec!["--timeout", "100ms", "--", "sleep", "1000"], 124, "--timeout"),
        (vec!["--max-output", "1K", "--", "yes"], 255, "--max-output"),
        (vec!["--", &missing], 127, "no such program"),
        (vec!["--", "no-such-program-anywhere"], 127, "no-such-program-anywhere: "),
        (vec!["--", plain], 126, "cannot be executed"),
        (vec!["--", lost], 126, "interpreter"),
        (vec!["--", "/"], 126, "cannot be executed"),
        (vec!["--cwd", &missing, "--", "true"], 255, "directory"),
        (vec!["-c", "no-such-program-anywhere"], 127, "not found"),
    ];
    for (words, code, said) in cases {
        let output = host.exec(&words, b"");
        assert_eq!(output.code, Some(code), "{words:?}: {output:?}");
        assert!(output.stderr.contains(said), "{words:?} does not say {said:?}: {output:?}");
        assert_eq!(said.is_empty(), output.stderr.is_empty(), "{output:?}");
    }
}

/// X2, X4, Q1: a line of the shell that was written as one word is no program, and `-c` is named; a
/// name that is only wrong gets no such advice.
#[test]
fn line_as_a_word() {
    let host = Host::start();
    for (word, is_line) in [("ls | wc -l", true), ("ls>x", true), ("no-such-program", false)] {
        let output = host.exec(&["--", word], b"");
        let line = output.assert_one_line(127);
        assert!(line.contains("no such program"), "{line}");
        assert_eq!(line.contains("for a line of the shell write -c 'LINE'"), is_line, "{line}");
    }
    assert!(!host.exec(&["--", "no such", "program"], b"").stderr.contains("-c"));
}

/// X4: what was written up to `--max-output` has arrived, and not a byte more.
#[test]
fn max_output() {
    let host = Host::start();
    let output = host.exec(&["--max-output", "100000", "--", "yes"], b"");
    assert_eq!((output.code, output.stdout.len()), (Some(255), 100_000));
    // Exactly as much is no crime.
    let output = host.exec(&["--max-output", "6", "--", "echo", "12345"], b"");
    assert_eq!((output.code, output.stdout_text().as_str()), (Some(0), "12345\n"));
}

/// X4: a command that times out goes with all that it has started, and what it wrote has arrived.
#[test]
fn timeout() {
    let host = Host::start();
    let mark = crate::harness::remote::mark();
    let line =
        format!("echo first; setsid sleep {mark} & trap '' TERM; sleep {mark}; sleep {mark}");
    let output = host.exec(&["--timeout", "300ms", "-c", &line], b"");
    assert_eq!((output.code, output.stdout_text().as_str()), (Some(124), "first\n"), "{output:?}");
    assert!(crate::harness::remote::marked(&mark).is_empty(), "left behind");
}

/// X4: `--json` is one object with both texts, the status or the signal's name, and the duration.
#[test]
fn json() {
    let host = Host::start();
    let ask = |words: &[&str]| -> (Option<i32>, Value) {
        let output = host.exec(&[&["--json"], words].concat(), b"");
        let text = output.stdout_text();
        assert_eq!(text.matches('\n').count(), 1, "one line: {text:?}");
        (output.code, serde_json::from_str(&text).expect("a JSON object"))
    };
    let (code, object) = ask(&["--", "sh", "-c", "printf 'ou\\001t'; echo ürr >&2; exit 3"]);
    assert_eq!(code, Some(3));
    let expected = ["exit", "signal", "stdout", "stderr", "duration_ms"];
    assert!(expected.iter().all(|key| object.get(key).is_some()), "{object}");
    assert_eq!((&object["exit"], &object["signal"]), (&3.into(), &Value::Null));
    assert_eq!((&object["stdout"], &object["stderr"]), (&"ou\u{1}t".into(), &"ürr\n".into()));

    let (code, object) = ask(&["-c", "sleep 0.2; kill -SEGV $$"]);
    assert_eq!((code, &object["exit"]), (Some(139), &Value::Null));
    assert_eq!(object["signal"], "SEGV");
    assert!(object["duration_ms"].as_u64().unwrap() >= 200, "{object}");

    let (code, object) = ask(&["--timeout", "100ms", "--", "sleep", "1000"]);
    assert_eq!((code, &object["exit"]), (Some(124), &124.into()));
    let (code, object) = ask(&["--", "no-such-program-anywhere"]);
    assert_eq!((code, &object["exit"]), (Some(127), &127.into()));
    assert!(object["error"].as_str().unwrap().contains("no-such-program-anywhere"), "{object}");
}

/// X4: a failure of ours is an object, too, and 255.
#[test]
fn json_of_failure() {
    let home = Home::new();
    let output = home.run(&["exec", "tls://127.0.0.1:9", "--json", "--", "true"], b"");
    assert_eq!(output.code, Some(255), "{output:?}");
    let object: Value = serde_json::from_slice(&output.stdout).expect("a JSON object");
    assert_eq!(object["exit"], 255);
    assert!(output.stderr.starts_with("sockeye: "), "{output:?}");
}

/// X4: a wrong command line is a failure of ours: 255, so that it is never taken for a status.
#[test]
fn usage() {
    for words in [
        &["exec"][..],
        &["exec", "h:0", "--", "true"],
        &["exec", "127.0.0.1:9"],
        &["exec", "127.0.0.1:9", "--no-such-option", "--", "true"],
        &["exec", "udp://127.0.0.1:9", "--", "true"],
        &["exec", "tcp://192.0.2.1:9", "--", "true"],
        &["shell", "tcp://127.0.0.1:9"],
    ] {
        let output = run(words, b"");
        output.assert_one_line(255);
    }
}

/// X2, Q1: users are named to ssh, not here, and the message says what to write.
#[test]
fn user_names() {
    for words in [&["exec", "root@localhost", "--", "id"][..], &["shell", "root@localhost"]] {
        let output = run(words, b"");
        let line = output.assert_one_line(255);
        assert!(line.contains("there are no user names"), "{line}");
        assert!(line.contains("write localhost alone"), "{line}");
    }
}

/// Q1: options of ssh and netcat get the advice that is true for the command.
#[test]
fn options_of_others() {
    for (words, right) in [
        (&["exec", "-p", "22", "h", "--", "id"][..], "no option -p: write HOST:PORT"),
        (&["shell", "h", "-p", "22"], "no option -p: write HOST:PORT"),
        (&["exec", "-l", "me", "h", "id"], "no option -l: there are no user names"),
        (&["exec", "-N", "h", "id"], "leave it out"),
        (&["connect", "-p", "9", "h"], "--source ADDR:PORT"),
        (&["connect", "-l", "9"], "run `sockeye serve`"),
        (&["serve", "-l", "9"], "to listen is what it does"),
        (&["serve", "-w", "3"], "--idle-timeout"),
    ] {
        let output = run(words, b"");
        let status = if matches!(words[0], "exec" | "shell") { 255 } else { 2 };
        let line = output.assert_one_line(status);
        assert!(line.contains(right), "{words:?}: {line}");
    }
    let output = run(&["key", "-l"], b"");
    assert!(!output.assert_one_line(2).contains("sockeye serve"), "{output:?}");
}

/// V4, M5: the host protocol is the same under every model.
#[test]
fn models() {
    for model in MODELS {
        let host = Host::with(&["--model", model]);
        let words = ["--", "sh", "-c", "cat; echo err >&2; exit 3"];
        for output in [host.exec(&words, b"in"), host.exec_unix(&words, b"in")] {
            assert_eq!(output.code, Some(3), "{model}: {output:?}");
            let both = (output.stdout_text(), output.stderr);
            assert_eq!(both, ("in".into(), "err\n".into()), "{model}");
        }
    }
}

/// V4, L1: authenticated, command and closed events name who did what.
#[test]
fn events() {
    let host = Host::start();
    host.line("exit 4");
    let event = host.server.wait_for("authenticated");
    let own = host.home.well(&["key", "show", host.home.identity().to_str().unwrap()]);
    let identity = event["identity"].as_str().unwrap();
    assert!(own.contains(identity), "{own} has no {identity}");
    let event = host.server.wait_for("command");
    assert_eq!((&event["command"], &event["exit"]), (&"exit 4".into(), &4.into()), "{event}");
    let closed = host.server.wait_closed(event["connection"].as_u64().unwrap());
    assert_eq!((&closed["why"], &closed["closed_first"]), (&"end".into(), &"peer".into()));

    host.exec_unix(&["--", "true"], b"");
    let identity = format!("uid:{}", rustix::process::geteuid().as_raw());
    host.server.wait_event("same user", |event| event["identity"] == identity.as_str());
}
