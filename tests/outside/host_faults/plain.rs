//! The plain form under attack: other protocols that reach its port, and servers that lie.

use std::io::Write;

use super::hostile::{Fake, Line};
use crate::harness::process::{children_of, run_command};
use crate::harness::remote::Home;
use crate::harness::{Server, eventually, serve};

fn command_server() -> Server {
    serve("command").at("tcp").start()
}

/// Fault 48: a web page can make a browser post to a port of this machine; TLS and SSH clients come
/// by mistake. None of their lines is run.
#[test]
fn other_protocols_run_nothing() {
    let server = command_server();
    let flag = server.dir().join("run");
    let touch = format!("touch {}", flag.display());
    for said in [
        format!(
            "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99\r\n\r\n{touch}\n{touch}\n"
        ),
        format!("GET /;{touch} HTTP/1.1\r\n\r\n{touch}\r\n"),
        format!("OPTIONS * HTTP/1.0\r\nX: `{touch}`\r\n\r\n{touch}\n"),
        format!("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n{touch}\n"),
        format!("PATCH /;{touch} HTTP/1.1\r\nHost: a\r\n\r\n{touch}\n"),
        format!("made-up /;{touch};: HTTP/1.1\r\n\r\n{touch}\n"),
        format!("\r\n\nPOST / HTTP/1.1\r\n\r\n{touch}\n"),
        format!("SSH-2.0-OpenSSH_9.9\r\n{touch}\n"),
        format!("\u{16}\u{3}\u{1}\u{2}\u{0}\u{1}\n{touch}\n"),
    ] {
        let mut conn = server.dial();
        let _ = conn.write_all(said.as_bytes());
        conn.assert_ended();
        assert!(!flag.exists(), "{said:?}: a line of it was run");
    }
    let mut conn = server.dial();
    conn.write_all(format!("{touch}\n").as_bytes()).expect("it is sent");
    eventually("a command runs", || flag.exists());
}

/// Fault 46, L2: a line without an end, and lines without number to a command that runs, are
/// bounded.
#[test]
fn lines_without_end() {
    let server = command_server();
    let mut conn = server.dial();
    let piece = [b'a'; 64 * 1024];
    let mut sent = 0;
    while conn.write_all(&piece).is_ok() {
        sent += piece.len();
        assert!(sent < 64 * 1024 * 1024, "it listens without end");
    }
    let closed = server.wait_for("closed");
    assert_ne!(closed["why"], "end", "{closed}");
    let mut conn = server.dial();
    assert_eq!(conn.ask(b"echo hi\n", 2), b"11");
}

/// L2: a command of the plain form ends with its client, whatever it sent before.
#[test]
fn the_client_resets() {
    let server = command_server();
    let mut conn = server.dial();
    conn.write_all(b"sleep 1000 & setsid sleep 1000 & sleep 1000\n").expect("it is sent");
    let children = || children_of(server.pid()).into_iter().flat_map(children_of).count();
    eventually("it runs", || children() > 0);
    conn.reset();
    server.wait_for("closed");
    eventually("all of it is gone", || children() == 0);
}

/// Faults 46 and 47: replies that lie: never success, one sentence, 255.
#[test]
fn replies_that_lie() {
    let long = format!("{}[0,\"\"]", "0".repeat(100));
    for reply in [
        "",
        "1",
        "5",
        "6",
        "6[0,",
        "6[0,\"\"",
        "7[0,\"\"]",
        "6[0,\"\"]x",
        "06[0,\"\"]",
        "-6[0,\"\"]",
        "+6[0,\"\"]",
        " 6[0,\"\"]",
        "6 [0,\"\"]",
        "99999999[0,\"\"]",
        "999999999[0,\"\"]",
        "6{\"a\":1}",
        "6[0,0,]",
        "4[0]]",
        "8[0,null]",
        "6\"abcd\"",
        "9[0,\"\",0,]",
        "12[1e999,\"\"]",
        "nonsense",
        "18446744073709551622[0,\"\"]",
        &long,
    ] {
        let said = reply.to_owned();
        let fake = Fake::tcp(async move |mut line: Line| {
            line.hear_until(b"true").await;
            let _ = line.say(said.as_bytes()).await;
            line.fin();
            line.wait_for_end().await;
        });
        let home = Home::empty();
        let endpoint = fake.endpoint.replace("tls:", "tcp:");
        let output = run_command(home.command(&["exec", &endpoint, "--", "true"]), b"");
        assert_eq!(output.code, Some(255), "{reply:?}: {output:?}");
        assert_eq!(output.stderr.lines().count(), 1, "{reply:?}: {output:?}");
    }
}
