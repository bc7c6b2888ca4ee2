//! B1, B2: what people see of a run.

use std::process::Command;

use rustix::process::Signal;

use crate::harness::process::{run_command, signal, tool, unprivileged};
use crate::harness::{BINARY, Server, clean, needs, run, serve};
use crate::host::pty::{Pty, can_start};

fn upper() -> Server {
    serve("upper").at("tcp").start()
}

/// A short run against that server, with more words.
fn words<'a>(endpoint: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["bench", endpoint, "-c", "4", "-t", "300ms", "--warmup", "100ms"], more].concat()
}

/// B1, B2, Q1: in a pipe the result is 24 lines of 80 columns at most, without colours; it says what
/// was run, how latency counts, the rate, the errors, the percentiles, and draws them.
#[test]
fn in_a_pipe() {
    let server = upper();
    let endpoint = server.first_endpoint();
    let output = run(&words(&endpoint, &[]), b"");
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{output:?}");
    let text = output.stdout_text();
    let lines: Vec<&str> = text.lines().collect();
    assert!(lines.len() <= 24, "{} lines: {text}", lines.len());
    assert!(lines.iter().all(|line| line.chars().count() <= 80), "{text}");
    assert!(!text.contains(['\x1b', '\r']), "{text:?}");
    assert!(
        lines[0].starts_with(&format!("{endpoint} · 4 connections × 64 B · depth 1")),
        "{text}"
    );
    assert_eq!(lines[1], "closed loop: latency waits for the server");
    for said in ["requests/s", "every byte checked", "no errors", "▲p50", "█"] {
        assert!(text.contains(said), "{said:?} in {text}");
    }
    let names = lines.iter().find(|line| line.contains("p99.99")).expect("the percentiles");
    let names: Vec<&str> = names.split_whitespace().collect();
    assert_eq!(names, ["p50", "p90", "p99", "p99.9", "p99.99", "max"]);
    let values = lines.iter().find(|line| line.starts_with("latency ")).expect("their values");
    assert!(["ns", "µs", "ms", "s"].iter().any(|unit| values.ends_with(unit)), "{text}");
}

/// B2: at a fixed rate the other words are said.
#[test]
fn open_loop() {
    let server = upper();
    let endpoint = server.first_endpoint();
    let output = run(&words(&endpoint, &["--rate", "200"]), b"");
    assert_eq!(output.code, Some(0), "{output:?}");
    let text = output.stdout_text();
    let said = "open loop at 200/s: latency counts from the intended send time";
    assert!(text.lines().any(|line| line == said), "{text}");
}

/// B1: a server that answers wrongly is told by kind, and the status is 1.
#[test]
fn errors() {
    let server = upper();
    let endpoint = server.first_endpoint();
    let output = run(&words(&endpoint, &["--verify", "echo"]), b"");
    assert_eq!(output.code, Some(1), "{output:?}");
    let text = output.stdout_text();
    let told = |line: &&str| line.contains(" error") && line.contains("wrong-answer");
    assert!(text.lines().find(told).is_some(), "{text}");
    assert!(text.contains("0 requests/s") && text.contains("nothing was answered"), "{text}");
}

/// B1: the page holds everything: it names no other place to load from, and has its charts, its
/// table, its command.
#[test]
fn page() {
    let server = upper();
    let endpoint = server.first_endpoint();
    let path = server.dir().join("load <b>.html");
    let path = path.to_str().expect("a path in UTF-8");
    let output = run(&words(&endpoint, &["--html", path]), b"");
    assert_eq!(output.code, Some(0), "{output:?}");
    let html = std::fs::read_to_string(path).expect("the page");
    for word in ["http://", "https://", "src=", "url(", "@import", "<link", "<b>.html"] {
        assert!(!html.contains(word), "{word}: {html}");
    }
    for said in [
        "<!doctype html>",
        "default-src 'none'",
        "prefers-color-scheme",
        "p99.99",
        "<svg",
        "load &lt;b&gt;.html",
        &endpoint,
        "closed loop",
    ] {
        assert!(html.contains(said), "{said}: {html}");
    }
    assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
    // A tool that knows XML takes each chart for well-formed.
    if !needs(&["python3"]) {
        return;
    }
    let script = "import re,sys,xml.dom.minidom as m\n\
        for svg in re.findall('<svg.*?</svg>', open(sys.argv[1]).read(), re.S): m.parseString(svg)";
    tool("python3", &["-c", script, path]);
}

/// B1: a page that cannot be written is refused before anything is measured.
#[test]
fn no_place_for_the_page() {
    for path in ["/nonexistent/page.html", "/"] {
        let output = run(&["bench", "1", "--html", path], b"");
        let line = output.assert_one_line(2);
        assert!(line.contains("--html"), "{line}");
    }
}

/// B1, Q1: so is one that may not be written, and the file that is there stays as it is.
#[test]
fn no_right_to_the_page() {
    use std::os::unix::fs::PermissionsExt;
    let Some(launcher) = unprivileged() else { return };
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("page.html");
    std::fs::write(&path, "old").unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o400)).unwrap();
    let words = [launcher, &[BINARY, "bench", "1", "--html", path.to_str().unwrap()]].concat();
    let mut command = clean(words[0]);
    command.args(&words[1..]);
    let output = run_command(command, b"");
    assert!(output.assert_one_line(2).contains("can be written"), "{output:?}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
}

fn on_terminal(endpoint: &str, more: &[&str]) -> Command {
    let mut command = clean(BINARY);
    command.args(words(endpoint, more)).env_remove("NO_COLOR");
    command
}

/// B1: on a terminal a line moves while it runs, and the result has colours, unless NO_COLOR is set.
#[test]
fn terminal() {
    if !can_start() {
        return;
    }
    let server = upper();
    let endpoint = server.first_endpoint();
    let mut client = Pty::start(&on_terminal(&endpoint, &[]));
    let shown = client.until(" of 0.3 s");
    let rest = client.ends(0);
    assert!(rest.contains("\x1b[36m") && rest.contains("requests/s"), "{shown}{rest}");
    let mut command = on_terminal(&endpoint, &[]);
    command.env("NO_COLOR", "1");
    let rest = Pty::start(&command).ends(0);
    assert!(!rest.contains("\x1b[36m") && rest.contains("requests/s"), "{rest:?}");
}

/// B1: Ctrl-C ends a run early, and what was measured is shown.
#[test]
fn interrupted() {
    if !can_start() {
        return;
    }
    let server = upper();
    let endpoint = server.first_endpoint();
    let mut command = clean(BINARY);
    command.args(["bench", &endpoint, "-c", "4", "-t", "10m", "--warmup", "0s"]);
    let mut client = Pty::start(&command);
    client.until(" of 600 s");
    client.types("\x03");
    let shown = client.ends(0);
    assert!(shown.contains("stopped early") && shown.contains("requests/s"), "{shown}");
}

/// B1, Q1: Ctrl-C while a server lets nobody in ends at once what would be waited for; that nothing was
/// measured is no success.
#[test]
fn interrupted_while_connecting() {
    if !can_start() {
        return;
    }
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::listen(&listener, 0).expect("a queue of one");
    let address = listener.local_addr().unwrap();
    let _held = std::net::TcpStream::connect(address).unwrap();
    for words in [&["bench"][..], &["bench", "throughput"]] {
        let mut command = clean(BINARY);
        command.args(words).arg(address.to_string());
        let mut client = Pty::start(&command);
        client.until("connecting");
        client.types("\x03");
        let code = if words.len() == 1 { 1 } else { 0 };
        let shown = client.ends(code);
        assert!(shown.contains("stopped early"), "{shown}");
    }
}

/// B1, Q2: `--html` and `--json` together are both there, and the page also where stdout takes nothing.
#[test]
fn page_and_json() {
    let server = upper();
    let endpoint = server.first_endpoint();
    for full in [false, true] {
        let path = server.dir().join(format!("page-{full}.html"));
        let mut command = clean(BINARY);
        command.args(words(&endpoint, &["--json", "--html", path.to_str().unwrap()]));
        if full {
            command.stdout(std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap());
            assert_eq!(command.status().unwrap().code(), Some(1));
        } else {
            let output = run_command(command, b"");
            assert_eq!(output.code, Some(0), "{output:?}");
            let text = output.stdout_text();
            let last: serde_json::Value =
                serde_json::from_str(text.lines().last().unwrap()).expect("an object");
            assert!(last["requests"].as_u64() > Some(0), "{last}");
        }
        assert!(std::fs::read_to_string(&path).unwrap().contains("<svg"), "{full}");
    }
}

/// Q2: with `--json` stdout has an object a line, once a second how it goes, the result at the end;
/// SIGTERM ends it early, too.
#[test]
fn json() {
    let server = upper();
    let endpoint = server.first_endpoint();
    let mut command = clean(BINARY);
    command.args(["bench", &endpoint, "-c", "4", "-t", "10m", "--warmup", "0s", "--json"]);
    let mut client = crate::harness::remote::Running::start(command);
    let first: serde_json::Value =
        serde_json::from_str(&client.next_line().expect("how it goes")).expect("an object");
    assert_eq!(first["event"], "progress", "{first}");
    assert!(first["requests"].as_u64() > Some(0) && first["requests_per_second"].is_number());
    signal(client.pid(), Signal::TERM);
    let mut last = first;
    while let Some(line) = client.next_line() {
        last = serde_json::from_str(&line).expect("an object");
    }
    assert_eq!(client.wait(), Some(0));
    assert_eq!((&last["stopped"], &last["errors"]), (&true.into(), &0.into()), "{last}");
    for name in ["p50", "p90", "p99", "p999", "p9999", "max"] {
        assert!(last["latency_us"][name].as_f64() > Some(0.0), "{name}: {last}");
    }
}
