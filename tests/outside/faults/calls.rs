//! System calls that fail in passing: interrupted, spurious, aborted, out of memory.

use std::io::{ErrorKind, Read, Write};
use std::time::Duration;

use crate::harness::process::cpu_ticks;
use crate::harness::{Conn, DEADLINE, MODELS, Server, eventually, needs, serve};

/// A server whose system calls strace(1) lets fail. strace watches from a process of its own (-D),
/// so that the server is our child and its number is known.
fn injected(transport: &str, model: &str, rules: &[&str], log: &std::path::Path) -> Option<Server> {
    if !needs(&["strace"]) {
        return None;
    }
    let log = log.to_str().expect("a path of text");
    let mut launcher = vec!["strace", "-D", "-f", "-q", "-o", log];
    launcher.extend_from_slice(rules);
    Some(serve("upper").at(transport).model(model).via(&launcher).start())
}

/// Reads, writes and waits that a server may use, whatever the model.
const READS: &str = "recvfrom,recvmsg,readv";
const WRITES: &str = "sendto,sendmsg,writev";
const WAITS: &str = "poll,ppoll,epoll_wait,epoll_pwait,epoll_pwait2,accept,accept4";

/// Fault 3, L2: system calls that are interrupted again and again are repeated.
#[test]
fn row_03_interrupted_calls() {
    for model in MODELS {
        let dir = tempfile::tempdir().unwrap();
        let rule = format!("inject={READS},{WRITES},{WAITS}:error=EINTR:when=3+3");
        let log = dir.path().join("log");
        let Some(server) = injected("tcp", model, &["-e", &rule], &log) else { return };
        for _ in 0..3 {
            let mut conn = server.dial();
            for round in 0..30_u8 {
                assert_eq!(conn.ask(&[round; 100], 100), [round; 100].to_ascii_uppercase());
            }
            conn.finish();
            assert_eq!(conn.take_all(), b"", "{model}");
        }
        let closed = server.wait_closed(3);
        assert_eq!(closed["why"], "end", "{model}: {closed}");
        let text = std::fs::read_to_string(&log).unwrap();
        assert!(
            text.contains("EINTR (Interrupted system call) (INJECTED)"),
            "nothing was provoked"
        );
    }
}

/// Fault 3: close(2) is never repeated: after EINTR the descriptor may already be another's.
#[test]
fn row_03_close_is_not_repeated() {
    for model in MODELS {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        // A file for each process: the calls of several are not mixed.
        let rules = ["-ff", "-e", "trace=close", "-e", "inject=close:error=EINTR:when=1+3"];
        let Some(mut server) = injected("tcp", model, &rules, &log) else { return };
        for _ in 0..40 {
            let mut conn = server.dial();
            assert_eq!(conn.ask(b"x", 1), b"X");
        }
        server.kill();
        let mut provoked = 0;
        for file in std::fs::read_dir(dir.path()).unwrap().flatten() {
            let text = std::fs::read_to_string(file.path()).unwrap();
            // A line is `close(FD) = -1 EINTR …`; the next one must not close the same.
            let calls: Vec<&str> = text.lines().filter(|line| line.starts_with("close(")).collect();
            for pair in calls.windows(2).filter(|pair| pair[0].contains("EINTR")) {
                let name = |call: &str| call.split(" = ").next().unwrap().trim_end().to_owned();
                assert_ne!(name(pair[0]), name(pair[1]), "{model}: close repeated");
            }
            provoked += calls.iter().filter(|call| call.contains("EINTR")).count();
        }
        assert!(provoked > 0, "{model}: nothing was provoked");
    }
}

/// Sends `total` bytes one after the other and takes the answers. Where nothing comes for a while
/// the next byte goes all the same: a readiness that was taken back comes again with new data.
fn persist(conn: &mut Conn, total: usize) {
    let end = std::time::Instant::now() + DEADLINE;
    let (mut sent, mut got) = (0, 0);
    conn.set_timeout(Duration::from_millis(30));
    while got < total {
        assert!(std::time::Instant::now() < end, "{got} of {sent} answered");
        if sent < total {
            conn.write_all(&[b'a' + (sent % 26) as u8]).unwrap();
            sent += 1;
        }
        let mut answers = [0; 64];
        match conn.read(&mut answers) {
            Ok(0) => panic!("the server ended the connection"),
            Ok(n) => {
                for byte in &answers[..n] {
                    assert_eq!(*byte, b'A' + (got % 26) as u8, "at {got}");
                    got += 1;
                }
            }
            Err(error) => {
                assert!(matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut))
            }
        }
    }
}

/// Fault 4: reads and writes that say EAGAIN without reason are taken up again; nothing spins.
#[test]
fn row_04_spurious_eagain() {
    for model in MODELS {
        let dir = tempfile::tempdir().unwrap();
        let rule = format!("inject={READS},{WRITES}:error=EAGAIN:when=5+4");
        let log = dir.path().join("log");
        let Some(server) = injected("tcp", model, &["-e", &rule], &log) else { return };
        let mut conn = server.dial();
        persist(&mut conn, 100);
        let before = cpu_ticks(server.pid());
        crate::harness::process::throughout(Duration::from_millis(500), || {});
        let spent = cpu_ticks(server.pid()) - before;
        assert!(spent < 25, "{model}: {spent} ticks of 50 with nothing to do");
        assert!(std::fs::read_to_string(&log).unwrap().contains("INJECTED"));
        persist(&mut conn, 26);
    }
}

/// Fault 5: accept(2) passes on that a connection went wrong; the next one is served.
#[test]
fn row_05_accept_fails() {
    for model in MODELS {
        for error in ["ECONNABORTED", "EPROTO", "EPERM", "ENETDOWN", "EINTR", "EAGAIN"] {
            let dir = tempfile::tempdir().unwrap();
            let log = dir.path().join("log");
            let rule = format!("inject=accept,accept4:error={error}:when=1..3");
            let Some(server) = injected("tcp", model, &["-e", &rule], &log) else { return };
            server.assert_serves();
            server.assert_serves();
            assert_eq!(server.count("error"), 0, "{model}, {error}: not the server's failure");
            assert!(std::fs::read_to_string(&log).unwrap().contains("INJECTED"));
        }
    }
}

/// Fault 7, L6: out of files, buffers or memory: told once, then tried again until it works.
#[test]
fn row_07_out_of_memory() {
    for model in MODELS {
        for error in ["ENFILE", "ENOBUFS", "ENOMEM", "EMFILE"] {
            let dir = tempfile::tempdir().unwrap();
            let log = dir.path().join("log");
            let rule = format!("inject=accept,accept4:error={error}:when=1..4");
            let Some(server) = injected("tcp", model, &["-e", &rule], &log) else { return };
            server.assert_serves();
            server.wait_for("recovered");
            assert_eq!(server.count("error"), 1, "{model}, {error}: said once");
            assert_eq!(server.count("recovered"), 1, "{model}, {error}");
            let told = server.wait_for("error");
            assert_eq!(told["endpoint"], *server.first_endpoint(), "{told}");
            assert!(!told["error"].as_str().unwrap().is_empty());
        }
    }
}

/// Fault 1, 3: a write that takes a part only is continued where it stopped. The kernel's own
/// short writes come with a tiny buffer; a slow reader sees every byte in order.
#[test]
fn row_01_short_writes() {
    for model in MODELS {
        for transport in ["tcp", "unix"] {
            // The kernel raises this to its minimum of 4,608 bytes, socket(7).
            let server =
                serve("upper").at(transport).model(model).args(&["--set", "sndbuf=1"]).start();
            let conn = server.dial();
            conn.pump("upper", 200_003, 11);
            let closed = server.wait_closed(1);
            assert_eq!(closed["why"], "end", "{model}: {closed}");
        }
    }
}

/// Fault 2, V1: bytes that come one by one are answered one by one, none waits for another.
#[test]
fn row_02_one_byte_a_read() {
    for model in MODELS {
        for transport in ["tcp", "unix"] {
            let server = serve("upper").at(transport).model(model).start();
            let mut conn = server.dial();
            for byte in b"one byte at a time, please".iter().cycle().take(1000) {
                assert_eq!(conn.ask(&[*byte], 1), [byte.to_ascii_uppercase()]);
            }
            // And without waiting for the answers in between.
            let sent: Vec<u8> = (0..=255).cycle().take(2560).collect();
            let (mut writer, bytes) = (conn.try_clone(), sent.clone());
            let writing = std::thread::spawn(move || {
                bytes.chunks(1).for_each(|byte| writer.write_all(byte).unwrap());
                writer.finish();
            });
            assert_eq!(conn.take_all(), sent.to_ascii_uppercase());
            writing.join().unwrap();
        }
    }
}

/// Fault 4, 5: a server that meets errors all the time still ends when it is told to.
#[test]
fn row_07_ends_while_out_of_memory() {
    let dir = tempfile::tempdir().unwrap();
    let rule = "inject=accept,accept4:error=ENOMEM";
    let log = dir.path().join("log");
    let Some(mut server) = injected("tcp", "event", &["-e", rule], &log) else { return };
    let _waiting = server.dial();
    server.wait_for("error");
    let before = cpu_ticks(server.pid());
    crate::harness::process::throughout(Duration::from_millis(700), || {});
    let spent = cpu_ticks(server.pid()) - before;
    assert!(spent < 30, "{spent} ticks of 70: it spins");
    assert_eq!(server.count("error"), 1, "said once");
    server.stop();
    eventually("the end", || !server.is_alive());
}
