//! Q1, Q3, Q5: what is refused before anything happens, and who has the last word.

use super::peer::connect;
use crate::harness::process::run_command;
use crate::harness::{BINARY, clean, serve};

/// Q1: options that contradict each other are a usage error in one line.
#[test]
fn contradictions() {
    let cases: [&[&str]; 9] = [
        &["9", "--send-only", "--recv-only"],
        &["9", "--hex", "--raw"],
        &["9", "--replay", "f", "--per-message"],
        &["9", "--lines"],
        &["udp://127.0.0.1:9", "--lines", "--whole"],
        &["udp://127.0.0.1:9", "--per-message"],
        &["unix:./s", "--source", "127.0.0.1"],
        &["9", "-4", "-6"],
        &["9", "--record", "f", "--replay", "f"],
    ];
    for words in cases {
        let output = connect(words, b"");
        let line = output.assert_one_line(2);
        let named = words.iter().filter(|word| word.starts_with('-')).any(|w| line.contains(w));
        assert!(named, "{words:?}: {line}");
    }
}

/// Q1, E1: values that are none.
#[test]
fn values() {
    for words in [["9", "--timeout=soon"], ["9", "--set=nodelay"], ["9", "--source=x"], ["x", "-v"]]
    {
        connect(&words, b"").assert_one_line(2);
    }
    connect(&[], b"").assert_one_line(2);
}

/// Q3: arguments beat the environment, which beats the file, which beats the default.
#[test]
fn precedence() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("config.toml");
    std::fs::write(&file, "[connect]\nhex = true\ncrlf = true\n").unwrap();
    let server = serve("upper").at("tcp").start();
    let endpoint = server.endpoint("tcp");
    let talk = |env: Option<&str>, words: &[&str]| {
        let mut command = clean(BINARY);
        command.args(["connect", &endpoint, "--config", file.to_str().unwrap()]).args(words);
        command.envs(env.map(|value| ("SOCKEYE_HEX", value)));
        let output = run_command(command, b"x\n");
        assert_eq!(output.code, Some(0), "{output:?}");
        output.stdout_text()
    };
    assert!(talk(None, &[]).contains("|X..|"));
    assert_eq!(talk(Some("off"), &[]), "X\r\n");
    assert!(talk(Some("off"), &["--hex"]).contains("|X..|"));
    assert_eq!(talk(Some("on"), &["--hex=off"]), "X\r\n");

    std::fs::write(&file, "[connect]\nhexx = true\n").unwrap();
    let output = connect(&[&endpoint, "--config", file.to_str().unwrap()], b"");
    assert!(output.assert_one_line(2).contains("hexx"), "{output:?}");
}

/// Q5: the help shows examples and what datagrams do.
#[test]
fn help() {
    let output = connect(&["--help"], b"");
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    let text = output.stdout_text();
    assert!(text.contains("Examples:") && text.contains("its newline included, is one datagram"));
}
