//! X8: the audit file.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::namespace::in_namespace;
use crate::harness::process::tool;
use crate::harness::remote::{Home, Host, text};
use crate::harness::{Conn, MODELS, eventually, process, serve};

fn lines(file: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(file).unwrap_or_default();
    assert!(text.is_empty() || text.ends_with('\n'), "half a line: {text:?}");
    text.lines().map(|line| serde_json::from_str(line).expect("a line of JSON")).collect()
}

fn with_audit(home: Home, file: &Path) -> Host {
    Host::of(home, |launch| launch.args(&["--audit", text(file)]))
}

/// X8: who ran what, from where, and how it ended: a line before it runs, one at its end.
#[test]
fn begin_and_end() {
    for model in MODELS {
        let home = Home::new();
        let file = home.path().join("audit.jsonl");
        std::fs::write(&file, "{\"event\":\"older\"}\n").unwrap();
        let host =
            Host::of(home, |launch| launch.args(&["--audit", text(&file), "--model", model]));
        // The command itself finds that it is written down already.
        let words = ["--", "sh", "-c", "grep -c '\"begin\"' audit.jsonl; echo err >&2; exit 3"];
        let output = host.exec(&words, b"");
        assert_eq!((output.code, output.stdout_text().as_str()), (Some(3), "1\n"), "{model}");
        let identity = host.server.wait_for("authenticated")["identity"].clone();

        let found = lines(&file);
        assert_eq!(found[0]["event"], "older", "{model}: it only grows");
        let (begin, end) = (&found[1], &found[2]);
        assert_eq!((&begin["event"], &end["event"]), (&"begin".into(), &"end".into()));
        assert_eq!((&begin["key"], &begin["id"]), (&identity, &end["id"]));
        assert!(begin["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{begin}");
        let argv: Vec<&str> =
            begin["argv"].as_array().unwrap().iter().flat_map(Value::as_str).collect();
        assert_eq!(argv, words[1..]);
        assert_eq!(
            (&end["exit"], &end["stdout_bytes"], &end["stderr_bytes"]),
            (&3.into(), &2.into(), &4.into())
        );
        assert!(end["duration_ms"].is_u64() && begin["time"].is_string(), "{begin} {end}");
        assert_eq!(found.len(), 3);
    }
}

/// X8: every way to end has its line: a signal, a timeout, a limit, a program that is not there, a
/// client that vanished, a detached command.
#[test]
fn ends() {
    let home = Home::new();
    let file = home.path().join("audit.jsonl");
    let host = with_audit(home, &file);
    let last = |expected: usize| {
        eventually("its line", || lines(&file).len() == expected);
        lines(&file).pop().unwrap()
    };
    host.line("kill -9 $$");
    assert_eq!(last(2)["signal"], 9);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    host.exec(&["--timeout", "50ms", "--", "sleep", "1000"], b"");
    assert_eq!(last(4)["why"], "timed-out");
    host.exec(&["--max-output", "10", "--", "yes"], b"");
    assert_eq!(last(6)["why"], "output-limit");
    host.exec(&["--", "no-such-program"], b"");
    assert_eq!(last(8)["why"], "not-started");
    let mut client = host.spawn(&["-c", "echo ready; sleep 1000"]);
    client.expect_line("ready");
    process::signal(client.pid(), Signal::KILL);
    client.wait();
    let end = last(10);
    // What it had written, and the hang-up that ended it.
    let told = (&end["why"], &end["stdout_bytes"], &end["signal"]);
    assert_eq!(told, (&"vanished".into(), &6.into(), &1.into()), "{end}");
    let event = host.server.wait_event("command", |event| {
        event["event"] == "command" && event["command"].as_str().unwrap().contains("ready")
    });
    let told = (&event["why"], &event["output"], &event["signal"]);
    assert_eq!(told, (&"vanished".into(), &6.into(), &1.into()), "{event}");
    let output = host.exec(&["--detach", "--", "true"], b"");
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(last(12)["why"], "detached");
}

/// X8: what cannot be written down is not run; the client and the owner are told.
#[test]
fn unwritable() {
    for file in ["/dev/full", "/no/such/directory/audit", "directory", "link", "fifo"] {
        let home = Home::new();
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mkfifoat(rustix::fs::CWD, home.path().join("fifo"), mode).unwrap();
        std::fs::create_dir(home.path().join("directory")).unwrap();
        std::os::unix::fs::symlink("elsewhere", home.path().join("link")).unwrap();
        let path = home.path().join(file);
        let host = with_audit(home, &path);
        let output = host.exec(&["-c", "touch ran"], b"");
        assert!(output.assert_one_line(255).contains("write down"), "{file}: {output:?}");
        assert!(!host.home.path().join("ran").exists(), "{file}: it ran");
        assert!(!host.home.path().join("elsewhere").exists(), "{file}: a link was followed");
        let event = host.server.wait_for("error");
        assert!(event["error"].as_str().unwrap().contains("audit"), "{event}");
    }
}

/// X8, fault 58: an audit file that becomes unwritable stops commands, and they run again when it
/// is repaired.
#[test]
fn repaired() {
    let home = Home::new();
    let file = home.path().join("audit.jsonl");
    let host = with_audit(home, &file);
    assert_eq!(host.line("exit 3").code, Some(3));
    std::fs::remove_file(&file).unwrap();
    std::fs::create_dir(&file).unwrap();
    assert_eq!(host.line("exit 3").code, Some(255));
    std::fs::remove_dir(&file).unwrap();
    assert_eq!(host.line("exit 3").code, Some(3));
    assert_eq!(lines(&file).len(), 2);
}

/// X8, fault 58: a file system that fills up in the middle of a line leaves no half of one, and the
/// next is written whole when there is room.
#[test]
fn full() {
    in_namespace("host::audit::full", &["mount"], || {
        let home = Home::new();
        let place = home.path().join("small");
        std::fs::create_dir(&place).unwrap();
        tool("mount", &["-t", "tmpfs", "-o", "size=4k", "none", text(&place)]);
        let file = place.join("audit.jsonl");
        // All but a few bytes of its one page.
        let older = format!("{{\"event\":\"{}\"}}\n", "x".repeat(4050));
        std::fs::write(&file, &older).unwrap();
        let host = with_audit(home, &file);
        let output = host.line("touch ran");
        assert!(output.assert_one_line(255).contains("write down"), "{output:?}");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), older);
        tool("mount", &["-o", "remount,size=64k", text(&place)]);
        assert_eq!(host.line("exit 3").code, Some(3));
        assert_eq!(lines(&file).len(), 3);
        // Torn by a server that was killed.
        std::fs::write(&file, "{\"event\":\"beg").unwrap();
        assert_eq!(host.line("exit 3").code, Some(3));
        let text = std::fs::read_to_string(&file).unwrap();
        let whole = text.lines().skip(1).map(|line| serde_json::from_str::<Value>(line).unwrap());
        assert_eq!(whole.count(), 2, "{text}");
    });
}

/// X8: the plain form writes its commands down, too, under every model: with the user where the
/// kernel knows him, and with what became of those whose client went.
#[test]
fn plain_form() {
    for model in MODELS {
        let home = Home::empty();
        let file = home.path().join("audit.jsonl");
        let server = serve("command").at("tcp").at("unix").model(model);
        let server = server.args(&["--audit", text(&file)]).env("HOME", text(home.path())).start();
        let line = format!("grep -c begin {}; kill -9 $$", file.display());
        let output = home.run(&["exec", &server.endpoint("tcp"), "-c", &line], b"");
        assert_eq!((output.code, output.stdout_text().as_str()), (Some(137), "1\n"), "{output:?}");
        let (begin, end) = (&lines(&file)[0], &lines(&file)[1]);
        assert_eq!((&begin["argv"][0], &begin["shell"]), (&line.into(), &true.into()), "{begin}");
        assert!(begin["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{begin}");
        assert!(begin["key"].is_null(), "{begin}");
        let told = (&begin["id"], &end["signal"], &end["stdout_bytes"]);
        assert_eq!(told, (&end["id"], &9.into(), &2.into()), "{model} {end}");

        let mut conn = Conn::dial(&server.endpoint("unix")).unwrap();
        conn.write_all(b"echo ready; sleep 1000\n").unwrap();
        eventually("it begins", || lines(&file).len() == 3);
        let ours = format!("uid:{}", rustix::process::geteuid().as_raw());
        assert_eq!(lines(&file)[2]["key"], ours, "{model}");
        drop(conn);
        eventually("it ends", || lines(&file).len() == 4);
        assert_eq!(lines(&file)[3]["why"], "vanished", "{model}");

        std::fs::remove_file(&file).unwrap();
        std::fs::create_dir(&file).unwrap();
        let flag = home.path().join("ran");
        let line = format!("touch {}", flag.display());
        let output = home.run(&["exec", &server.endpoint("tcp"), "-c", &line], b"");
        assert!(output.stdout_text().contains("write down") && !flag.exists(), "{output:?}");
    }
}

/// X8: many at once never mix their lines, and control characters are escaped.
#[test]
fn many_at_once() {
    let home = Home::new();
    let file = home.path().join("audit.jsonl");
    let host = with_audit(home, &file);
    // Known from now on.
    host.line(":");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..10 {
                    let output = host.exec_unix(&["--", "echo", "\x1b[2J", "x\ny"], b"");
                    assert_eq!(output.code, Some(0), "{output:?}");
                }
            });
        }
    });
    let lines = lines(&file);
    assert_eq!(lines.len(), 82);
    for begin in lines.iter().filter(|line| line["event"] == "begin") {
        let ends = lines.iter().filter(|line| line["event"] == "end" && line["id"] == begin["id"]);
        assert_eq!(ends.count(), 1, "{begin}");
    }
    assert!(!std::fs::read_to_string(&file).unwrap().contains('\x1b'));
}
