//! What somebody may do to a trace: stop it, fill its disk, keep it waiting, and call things by names
//! that are too long.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::live::Watching;
use super::{told, trace};
use crate::harness::namespace::in_namespace;
use crate::harness::process::{Output, needs, signal, tool};
use crate::harness::{BINARY, clean, run, serve};

/// O1, Q1: a signal ends a conversation and not the program: what was seen until then is drawn, the
/// files are whole, and one line says that it was stopped.
#[test]
fn stopped() {
    in_namespace("observe_trace::hostile::stopped", &[], || {
        for end in [Signal::INT, Signal::TERM] {
            let server = serve("upper").on("tcp://127.0.0.1:9000").start();
            let dir = tempfile::tempdir().unwrap();
            let page = dir.path().join("page.html");
            let mut command = clean(BINARY);
            command.args(["trace", "--json", "9000", "--send", "hello", "--close", "last"]);
            command.args(["--timeout", "1h", "--html"]).arg(&page);
            command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
            let child = command.spawn().unwrap();
            server.wait_events("accepted", 1, |event| event["event"] == "accepted");
            signal(child.id(), end);
            let output = child.wait_with_output().unwrap();
            let stderr = String::from_utf8(output.stderr).unwrap();
            let (code, stdout) = (output.status.code(), output.stdout);
            let told = told(Output { code, stdout, stderr }).exits(1);
            assert_eq!(told.packets()[..2], ["> SYN 0/- 0", "< SYN,ACK 0/1 0"]);
            assert_eq!(told.verdict()["opening"], "handshake");
            assert!(told.output.stderr.contains("was stopped before its end"), "{:?}", told.output);
            assert!(std::fs::read_to_string(&page).unwrap().ends_with("</html>\n"));
        }
    });
}

/// A file system of one page.
fn small_disk(at: &Path) {
    tool("mount", &["-t", "tmpfs", "-o", "size=4k", "none", at.to_str().unwrap()]);
}

/// O2, fault 58: packets that find no room on the disk are a failure, and what was seen is shown all the
/// same: of a conversation and of what is watched.
#[test]
fn full_disk() {
    in_namespace("observe_trace::hostile::full_disk", &["mount"], || {
        let server = serve("upper").on("tcp://127.0.0.1:9000").start();
        let dir = tempfile::tempdir().unwrap();
        small_disk(dir.path());
        let file = dir.path().join("packets.pcapng");
        let long = "x".repeat(20_000);
        let told = trace(&["9000", "--send", &long, "--pcap", file.to_str().unwrap()]).exits(1);
        assert!(told.output.stderr.contains("cannot write the packets: No space left"), "{told:?}");
        assert_eq!(told.verdict()["opening"], "handshake");

        let watching = Watching::start(&["--port", "9000", "--pcap", file.to_str().unwrap()]);
        let mut open = server.dial();
        assert_eq!(open.ask(b"x", 1), b"X");
        let long = vec![b'x'; 20_000];
        // Whoever asks does not care that nobody watches any more.
        assert_eq!(server.dial().ask(&long, long.len()).len(), long.len());
        let (lines, code) = watching.rest();
        assert_eq!(code, Some(1), "{lines:#?}");
        let verdict =
            lines.iter().rfind(|line| line["event"] == "verdict" && line["connection"] == 1);
        assert_eq!(verdict.expect("the open one's verdict")["closing"], "open");
        drop(open);
        tool("umount", &["-l", dir.path().to_str().unwrap()]);
    });
}

/// Q1, Q4: packets and a page that would go into one file are refused before that is touched.
#[test]
fn one_file_for_two() {
    let dir = tempfile::tempdir().unwrap();
    let (file, link) = (dir.path().join("old"), dir.path().join("link"));
    std::fs::write(&file, "old").unwrap();
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let new = dir.path().join("new");
    for [pcap, html] in [[&file, &file], [&file, &link], [&new, &new]] {
        let names = [pcap.to_str().unwrap(), html.to_str().unwrap()];
        let output = run(&["trace", "9", "--pcap", names[0], "--html", names[1]], b"");
        assert!(output.assert_one_line(2).contains("name the same file"), "{output:?}");
    }
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "old");
    assert!(!new.exists());
}

/// Says a byte now and then for as long as somebody listens.
fn trickle(mut peer: TcpStream) {
    peer.set_read_timeout(Some(Duration::from_millis(20))).unwrap();
    let mut byte = [0];
    while peer.write_all(b"x").is_ok() {
        match peer.read(&mut byte) {
            Ok(0) => return,
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// O1, fault 14: a server that answers a byte at a time holds a trace no longer than `--timeout`.
#[test]
fn row_14_trickle() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap().to_string();
    std::thread::scope(|scope| {
        scope.spawn(|| trickle(listener.accept().unwrap().0));
        let start = Instant::now();
        let words = ["trace", "--json", &at, "--send", "x", "--close", "first", "--timeout", "1s"];
        let told = told(run(&words, b"")).exits(0);
        assert!(start.elapsed() < Duration::from_secs(8), "{:?}", start.elapsed());
        assert!(told.verdict()["sides"][1]["bytes"].as_u64() > Some(1), "{}", told.verdict());
    });
}

/// O1: a long path of a Unix socket and the names of two long addresses stay within 80 columns.
#[test]
fn long_names() {
    let dir = tempfile::tempdir().unwrap();
    let length = 100 - dir.path().as_os_str().len();
    let path = dir.path().join("x".repeat(length));
    let endpoint = format!("unix:{}", path.display());
    let _server = serve("upper").on(&endpoint).start();
    let output = run(&["trace", &endpoint, "--send", "hello"], b"");
    assert_eq!(output.code, Some(0), "{output:?}");
    let text = output.stdout_text();
    assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    assert_eq!(text.replace(['\n', ' '], "").matches(&"x".repeat(length)).count(), 2, "{text}");
}

/// O1: of the connections of a port, too, no line is wider than 80 columns.
#[test]
fn long_addresses() {
    in_namespace("observe_trace::hostile::long_addresses", &[], || {
        let address = "2001:db8:1111:2222:3333:4444:5555:6666";
        tool("ip", &["address", "add", &format!("{address}/128"), "dev", "lo", "nodad"]);
        let server = serve("upper").on(&format!("tcp://[{address}]:50000")).start();
        let mut command = clean(BINARY);
        command.args(["trace", "--port", "50000", "--count", "1"]);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It says on standard error that it watches.
        child.stderr.as_mut().unwrap().read_exact(&mut [0; 8]).unwrap();
        server.assert_serves();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(text.contains(&format!("#1  [{address}]:")), "{text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    });
}

/// O3, fault 56: a process whose name drives terminals, or takes two columns a letter, is shown escaped
/// and within the width.
#[test]
fn names_of_processes() {
    if !needs(&["python3"]) {
        return;
    }
    for name in ["\u{1b}[2J\u{7}", "語語語語語"] {
        let script = "import socket, sys\ns = socket.socket()\ns.bind(('127.0.0.1', 0))\ns.listen()\n\
                      open('/proc/self/comm', 'w').write(sys.argv[1])\n\
                      print(s.getsockname()[1], flush=True)\nsys.stdin.read()";
        let mut command = clean("python3");
        command.args(["-c", script, name]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let mut port = String::new();
        let mut stdout = std::io::BufReader::new(child.stdout.take().unwrap());
        std::io::BufRead::read_line(&mut stdout, &mut port).unwrap();
        for words in [&["ports", port.trim()][..], &["ports", "--json", port.trim()]] {
            let text = run(words, b"").stdout_text();
            assert!(!text.contains(['\u{1b}', '\u{7}']), "{text:?}");
            assert!(text.contains(if name.starts_with('語') { name } else { "[2J" }), "{text:?}");
        }
        let held = run(&["serve", "upper", port.trim()], b"");
        assert!(held.assert_one_line(1).contains(&format!("(pid {})", child.id())), "{held:?}");
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}
