//! C3: `--record` and `--replay`, from a conversation to the same conversation.

use std::io::Write;

use serde_json::Value;

use super::peer::{connect, peer, read_all};
use crate::harness::serve;

fn lines(path: &std::path::Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// C3: what was recorded is what passed, and replaying it sends the same again, not earlier.
#[test]
fn round_trip() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("talk.ndjson");
    let path = file.to_str().unwrap();
    let server = serve("upper").at("tcp").start();
    let endpoint = server.endpoint("tcp");
    let output = connect(&["--record", path, &endpoint], b"hi\xff");
    assert_eq!((output.code, output.stdout.as_slice()), (Some(0), &b"HI\xff"[..]), "{output:?}");
    let recorded = lines(&file);
    assert_eq!(recorded[0]["sockeye"], "recording");
    assert_eq!((&recorded[0]["version"], &recorded[0]["endpoint"]), (&1.into(), &endpoint.into()));
    let has = |dir: &str, key: &str, value: Value| {
        recorded[1..].iter().any(|row| row["dir"] == dir && row[key] == value)
    };
    assert!(has(">", "data", "6869ff".into()) && has("<", "data", "4849ff".into()), "{recorded:?}");
    assert!(has(">", "end", true.into()) && has("<", "end", true.into()), "{recorded:?}");
    let times: Vec<u64> = recorded[1..].iter().map(|row| row["t_us"].as_u64().unwrap()).collect();
    assert!(times.is_sorted(), "{times:?}");

    let (endpoint, serves) = peer(|mut stream| {
        let got = read_all(&mut stream);
        stream.write_all(b"again").unwrap();
        got
    });
    let output = connect(&["--replay", path, &endpoint], b"not this");
    assert_eq!((output.code, output.stdout_text()), (Some(0), "again".into()), "{output:?}");
    assert_eq!(serves.join().unwrap(), b"hi\xff");
}

/// C3: the timing is kept, and a replay can be recorded in turn.
#[test]
fn timing() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("slow.ndjson");
    let again = directory.path().join("again.ndjson");
    let text = [
        r#"{"sockeye":"recording","version":1,"endpoint":"tcp://127.0.0.1:1"}"#,
        r#"{"t_us":0,"dir":">","data":"61"}"#,
        r#"{"t_us":150000,"dir":">","data":"62"}"#,
        r#"{"t_us":300000,"dir":">","end":true}"#,
    ];
    std::fs::write(&file, text.join("\n")).unwrap();
    let server = serve("echo").at("tcp").start();
    let paths = [file.to_str().unwrap(), again.to_str().unwrap()];
    let words = ["--replay", paths[0], "--record", paths[1], &server.endpoint("tcp")];
    let output = connect(&words, b"");
    assert_eq!((output.code, output.stdout_text()), (Some(0), "ab".into()), "{output:?}");
    let sent = |row: &&Value| row["dir"] == ">";
    let rows = lines(&again);
    let sent: Vec<&Value> = rows.iter().filter(sent).collect();
    assert!(sent[1]["data"] == "62" && sent[1]["t_us"].as_u64().unwrap() >= 150_000, "{sent:?}");
    assert!(sent[2]["end"] == true && sent[2]["t_us"].as_u64().unwrap() >= 300_000, "{sent:?}");
}

/// C3, Q4: a broken recording is an error with its line, found before anything is sent.
#[test]
fn broken() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("broken.ndjson");
    let text = [
        r#"{"sockeye":"recording","version":1,"endpoint":"tcp://127.0.0.1:1"}"#,
        r#"{"t_us":0,"dir":">","data":"61"}"#,
        r#"{"t_us":1,"dir":">","data":"6"}"#,
    ];
    std::fs::write(&file, text.join("\n")).unwrap();
    let server = serve("echo").at("tcp").start();
    let output = connect(&["--replay", file.to_str().unwrap(), &server.endpoint("tcp")], b"");
    let line = output.assert_one_line(1);
    assert!(line.contains("line 3: ") && line.contains("hexadecimal"), "{line}");
    server.assert_serves();
    assert_eq!(server.wait_for("accepted")["connection"], 1);
    assert_eq!(server.count("accepted"), 1, "only our own look at it");

    let missing = connect(&["--replay", "/nonexistent/f", &server.endpoint("tcp")], b"");
    assert!(missing.assert_one_line(1).contains("cannot replay /nonexistent/f"), "{missing:?}");
    let nowhere = connect(&["--record", "/nonexistent/f", &server.endpoint("tcp")], b"");
    assert!(nowhere.assert_one_line(1).contains("cannot record to /nonexistent/f"), "{nowhere:?}");
}

/// C3, fault 45: a recording that cannot be written is told; a failed call leaves an older one.
#[test]
fn unwritable() {
    let server = serve("echo").at("tcp").start();
    let output = connect(&["--record", "/dev/full", &server.endpoint("tcp")], b"x");
    let line = output.assert_one_line(1);
    assert!(line.contains("cannot write the recording: No space left"), "{line}");

    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("kept");
    std::fs::write(&file, "older").unwrap();
    connect(&["--record", file.to_str().unwrap(), "unix:/nonexistent/s"], b"").assert_one_line(1);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "older");
}

/// C3, C4: datagrams keep their boundaries through a recording, empty ones too.
#[test]
fn datagrams() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("grams.ndjson");
    let path = file.to_str().unwrap();
    // One worker, so that the answers keep their order.
    let server = serve("echo").at("udp").args(&["--workers", "1"]).start();
    let endpoint = server.endpoint("udp");
    let output = connect(&["--lines", "--record", path, &endpoint], b"a\n\nbc\n");
    assert_eq!((output.code, output.stdout_text()), (Some(0), "a\n\nbc\n".into()), "{output:?}");
    let data = |dir: &str| -> Vec<String> {
        let rows = lines(&file).into_iter().filter(|row| row["dir"] == dir);
        rows.filter_map(|row| row["data"].as_str().map(str::to_owned)).collect()
    };
    assert_eq!(data(">"), ["61", "", "6263"]);
    assert_eq!(data("<"), ["61", "", "6263"]);
    let again = connect(&["--replay", path, "--hex", &endpoint], b"");
    assert_eq!(again.code, Some(0), "{again:?}");
    let text = again.stdout_text();
    assert_eq!(text.lines().filter(|line| line.contains("||  ")).count(), 2, "{text}");
}
