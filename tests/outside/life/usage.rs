//! Bad input: exit 2, one line on stderr, which says what was wrong and what is right (Q1, Q4).

use crate::harness::{run, serve};

/// Runs `sockeye serve` with these words, which are wrong.
fn wrong(words: &[&str]) -> String {
    let all: Vec<&str> = ["serve"].iter().chain(words).copied().collect();
    run(&all, b"").assert_one_line(2).to_owned()
}

/// Q1: every endpoint that is none, with a word of what is right.
#[test]
fn endpoints() {
    let long = format!("unix:/{}", "x".repeat(200));
    let host = format!("tcp://{}:1", "a".repeat(300));
    let table = [
        ("tcp://127.0.0.1", "9000"),
        ("tcp://127.0.0.1:", "port"),
        ("tcp://127.0.0.1:65536", "65535"),
        ("tcp://127.0.0.1:-1", "65535"),
        ("tcp://127.0.0.1:http", "65535"),
        ("99999", "65535"),
        ("tcp://::1:9000", "[::1]"),
        ("tcp://[::1]", "[::1]:9000"),
        ("tcp://[::1", "[::1]"),
        ("tcp://[::g]:1", "[::1]"),
        ("http://127.0.0.1:80", "tcp://"),
        ("://", "tcp://"),
        ("unix:", "unix:PATH"),
        ("unix:@", "unix:@NAME"),
        (long.as_str(), "107"),
        (host.as_str(), "253"),
        ("*:9000", "0.0.0.0"),
        ("a b:9000", "host name"),
        ("", "tcp://"),
    ];
    for (endpoint, right) in table {
        // The service before it: a lone word could be meant as one.
        let line = wrong(&["upper", endpoint]);
        assert!(line.contains(right), "{endpoint:?}: {line}");
    }
}

/// Q1, L7: an option that a service cannot keep is refused by its name, before anything listens: who
/// limits what can be done must not be let down in silence.
#[test]
fn options_of_others() {
    for (words, right) in [
        (
            &["command", "--accept-env", "X"][..],
            "command has no --accept-env: it is an option of host",
        ),
        (&["command", "--privileges"], "command has no --privileges"),
        (&["command", "--root", "/srv"], "command has no --root"),
        (&["command", "--read-only"], "command has no --read-only"),
        (&["command", "unix:./s", "--authorized-keys", "f"], "host and tls://"),
        (&["upper", "--host-key", "f"], "upper has no --host-key"),
        (&["echo", "tls://127.0.0.1:0", "--audit", "f"], "host and command"),
    ] {
        let line = wrong(words);
        assert!(line.contains(right), "{words:?}: {line}");
    }
    // The environment is for all servers of a user.
    serve("command").at("unix").env("SOCKEYE_ACCEPT_ENV", "X").start();
}

/// Q1: every option's wrong values.
#[test]
fn option_values() {
    let table: [(&[&str], &str); 28] = [
        (&["--model", "fast"], "event"),
        (&["--model", ""], "event"),
        (&["--workers", "0"], "1"),
        (&["--workers=-1"], "--workers"),
        (&["--workers", "two"], "--workers"),
        (&["--backlog", "x"], "--backlog"),
        (&["--max-connections", "0"], "--max-connections"),
        (&["--max-connections", "1e9"], "--max-connections"),
        (&["--overflow", "drop"], "queue"),
        (&["--idle-timeout=-1s"], "--idle-timeout"),
        (&["--idle-timeout", "soon"], "--idle-timeout"),
        (&["--idle-timeout", "99999999999999999999s"], "--idle-timeout"),
        (&["--max-lifetime", "1x"], "--max-lifetime"),
        (&["--drain", ""], "--drain"),
        (&["--allow", "localhost"], "192.0.2.0/24"),
        (&["--allow", "10.0.0.0/33"], "192.0.2.0/24"),
        (&["--allow", "@/none/list"], "/none/list"),
        (&["--deny", ""], "192.0.2.0/24"),
        (&["--source-rate=-5"], "--source-rate"),
        (&["--mode", "888"], "octal"),
        (&["--mode", "77777"], "--mode"),
        (&["--set", "nodelay"], "NAME=VALUE"),
        (&["--set", "nodelay=maybe"], "on or off"),
        (&["--set", "speed=1"], "rcvbuf"),
        (&["--set", "rcvbuf=much"], "rcvbuf"),
        (&["-4", "-6"], "-6"),
        (&["--frobnicate"], "--frobnicate"),
        (&["--model"], "--model"),
    ];
    for (words, right) in table {
        let line = wrong(words);
        assert!(line.contains(right), "{words:?}: {line}");
    }
}

/// Q1: a word that is neither a service nor an endpoint says what both are.
#[test]
fn neither_service_nor_endpoint() {
    let line = wrong(&["uper"]);
    assert!(line.contains("upper") && line.contains("chargen"), "{line}");
    assert_eq!(run(&["sevre"], b"").assert_one_line(2).matches("serve").count(), 1);
}

/// Q1: no command at all is a usage error, not silence.
#[test]
fn no_command() {
    let output = run(&[], b"");
    assert_eq!(output.code, Some(2), "{output:?}");
    assert!(output.stdout.is_empty() && !output.stderr.is_empty());
}

/// Q1, O4: what the system refuses is exit 1 and one line: operation, endpoint, cause, remedy.
#[test]
fn refused_by_the_system() {
    for endpoint in
        ["tcp://192.0.2.1:0", "udp://192.0.2.1:0", "unix:/none/s", "tcp://name.invalid:0"]
    {
        let output = run(&["serve", "upper", endpoint], b"");
        let line = output.assert_one_line(1);
        assert!(line.starts_with("sockeye: cannot "), "{line}");
        // A name is resolved as HOST:PORT, before it is anybody's endpoint.
        let shown = endpoint.trim_start_matches("tcp://").trim_end_matches(":0");
        assert!(line.contains(shown), "{line}");
        assert!(line.ends_with('.'), "the remedy is the last sentence: {line}");
    }
}

/// Q4: input that no terminal should see is shown escaped.
#[test]
fn hostile_words() {
    for word in ["\x1b[2J", "tcp://\x1b]0;x\x07:1", "unix:\u{202e}/x\n", "upper\r"] {
        let output = run(&["serve", "upper", word], b"");
        assert!(output.code == Some(2) || output.code == Some(1), "{word:?}: {output:?}");
        let line = output.stderr.trim_end_matches('\n');
        assert!(!line.chars().any(|c| c.is_control() || c == '\u{202e}'), "{line:?}");
    }
}

/// L7, M5: cells that make no sense are refused by name, and so is what would let other machines
/// run commands without a key.
#[test]
fn refused_by_name() {
    let cases = [
        (["host", "tcp://127.0.0.1:0"], "host on tcp"),
        (["host", "udp://127.0.0.1:0"], "host on udp"),
        (["command", "tls://127.0.0.1:0"], "command on tls"),
        (["command", "unixgram:/tmp/x"], "command on unixgram"),
        (["command", "0.0.0.0:0"], "loopback"),
        (["command", "tcp://[::]:0"], "loopback"),
    ];
    for (words, what) in cases {
        let line = wrong(&words);
        assert!(line.contains(what), "{words:?}: {line}");
    }
}
