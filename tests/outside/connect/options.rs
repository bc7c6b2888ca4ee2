//! C3 and E4: what each option does, judged at the other end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener};
use std::process::Stdio;

use socket2::{Domain, Socket, Type};

use super::peer::{Client, connect, peer, read_all};
use crate::harness::{BINARY, clean, serve};

/// C3 `--hex`: offset, bytes, text, direction and time, of both directions.
#[test]
fn hex() {
    let server = serve("upper").at("tcp").start();
    let output = connect(&["--hex", &server.endpoint("tcp")], b"hello, world: more\n");
    assert_eq!(output.code, Some(0), "{output:?}");
    let text = output.stdout_text();
    let lines: Vec<&str> = text.lines().collect();
    let row =
        "00000000  68 65 6c 6c 6f 2c 20 77  6f 72 6c 64 3a 20 6d 6f  |hello, world: mo|  >  0.";
    assert!(lines[0].starts_with(row), "{text}");
    assert!(lines[1].starts_with("00000010  72 65 0a ") && lines[1].contains("|re.|"), "{text}");
    assert!(
        lines[2].starts_with("00000000  48 45 4c 4c 4f") && lines[2].contains("  <  "),
        "{text}"
    );
}

/// C3 `--crlf`.
#[test]
fn crlf() {
    let (endpoint, serves) = peer(|mut stream| read_all(&mut stream));
    let output = connect(&[&endpoint, "--crlf"], b"a\nb\r\n\nc");
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(serves.join().unwrap(), b"a\r\nb\r\n\r\nc");
}

/// C3 `--retry`: each attempt is told with -v, and the one that succeeds carries the conversation.
#[test]
fn retry() {
    // Bound and not yet listening: refused until we say otherwise.
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port().to_string();
    let mut command = clean(BINARY);
    command.args(["connect", &port, "--retry", "8", "-v"]);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = command.spawn().unwrap();
    let mut stderr = BufReader::new(client.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.contains("refused") && line.contains("Attempt 1 of 8 follows in 100ms"), "{line}");
    socket.listen(1).unwrap();
    let mut stream = TcpListener::from(socket).accept().unwrap().0;
    stream.write_all(b"at last").unwrap();
    drop(stream);
    let output = client.wait_with_output().unwrap();
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(0), &b"at last"[..]));
    let mut rest = String::new();
    stderr.read_to_string(&mut rest).unwrap();
    assert!(rest.contains(&format!("connected to 127.0.0.1:{port}")), "{rest}");
}

/// C3 `--retry`: when all attempts fail the last failure is the result, in one line.
#[test]
fn retry_in_vain() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    let port = socket.local_addr().unwrap().as_socket().unwrap().port().to_string();
    let output = connect(&[&port, "--retry=2"], b"");
    assert!(output.assert_one_line(1).contains("refused"), "{output:?}");
}

/// C3 `--per-message`: each line is a connection of its own, with its own end.
#[test]
fn per_message() {
    let server = serve("upper").at("tcp").start();
    let output = connect(&["--per-message", &server.endpoint("tcp")], b"one\n\nthree");
    assert_eq!((output.code, output.stdout_text()), (Some(0), "ONE\n\nTHREE".into()));
    let closed = server.wait_events("closed", 3, |event| event["event"] == "closed");
    let sizes: Vec<i64> = closed.iter().map(|e| e["bytes_in"].as_i64().unwrap()).collect();
    assert_eq!(sizes, [4, 1, 5]);
    assert!(closed.iter().all(|event| event["closed_first"] == "peer"), "{closed:?}");
}

/// C3 `--send-only`: nothing is shown, everything arrives, and nothing is reset.
#[test]
fn send_only() {
    let server = serve("echo").at("tcp").start();
    let output = connect(&["--send-only", &server.endpoint("tcp")], &vec![b'x'; 2_000_000]);
    assert_eq!((output.code, output.stdout.len(), output.stderr.as_str()), (Some(0), 0, ""));
    let closed = server.wait_for("closed");
    assert_eq!((&closed["bytes_in"], &closed["why"]), (&2_000_000.into(), &"end".into()));
}

/// C3 `--recv-only`: standard input is left alone, and no FIN comes before the peer's.
#[test]
fn recv_only() {
    let (endpoint, serves) = peer(|mut stream| {
        stream.write_all(b"news").unwrap();
        stream.shutdown(std::net::Shutdown::Write).unwrap();
        read_all(&mut stream)
    });
    let output = connect(&["--recv-only", &endpoint], b"not for you");
    assert_eq!((output.code, output.stdout_text()), (Some(0), "news".into()));
    assert_eq!(serves.join().unwrap(), b"");
}

/// E4: our own side is bound first, with and without a port.
#[test]
fn source() {
    let server = serve("echo").at("tcp").start();
    let endpoint = server.endpoint("tcp");
    assert_eq!(connect(&["--source", "127.0.0.9", &endpoint], b"x").stdout, b"x");
    let peer = server.wait_for("accepted")["peer"].as_str().unwrap().to_owned();
    assert!(peer.starts_with("127.0.0.9:"), "{peer}");

    let free = TcpListener::bind("127.0.0.8:0").unwrap().local_addr().unwrap().to_string();
    assert_eq!(connect(&["--source", &free, &endpoint], b"x").stdout, b"x");
    server
        .wait_event("the chosen port", |e| e["event"] == "accepted" && e["peer"] == free.as_str());

    let foreign = connect(&["--source", "192.0.2.1", &endpoint], b"x");
    let line = foreign.assert_one_line(1);
    assert!(line.contains("cannot bind tcp://192.0.2.1:0"), "{line}");
}

/// E5: `-v` shows the address and each option as it became.
#[test]
fn verbose_options() {
    let server = serve("echo").at("tcp").start();
    let endpoint = server.endpoint("tcp");
    let words = ["-v", "--set", "nodelay=off", "--set", "rcvbuf=100000", &endpoint];
    let output = connect(&words, b"x");
    assert_eq!((output.code, output.stdout_text()), (Some(0), "x".into()));
    assert!(output.stderr.contains(&endpoint["tcp://".len()..]), "{output:?}");
    assert!(output.stderr.contains("nodelay=off\n"), "{output:?}");
    assert!(output.stderr.contains("rcvbuf=200000 (asked for 100000)\n"), "{output:?}");
}

/// E3: the family can be pinned.
#[test]
fn family() {
    let server = serve("echo").at("tcp").start();
    let port = server.endpoint("tcp").rsplit_once(':').unwrap().1.to_owned();
    let name = format!("localhost:{port}");
    assert_eq!(connect(&["-4", &name], b"x").stdout, b"x");
    let literal = connect(&["-6", &format!("127.0.0.1:{port}")], b"x");
    literal.assert_one_line(1);
}

/// C3 `--timeout`: as long as anything moves it does not strike.
#[test]
fn timeout_is_for_silence() {
    let server = serve("chargen").at("tcp").start();
    let mut client = Client::start(&[&server.endpoint("tcp"), "--timeout", "1s"]);
    let mut stdout = client.stdout.take().unwrap();
    let started = std::time::Instant::now();
    let mut piece = [0; 65_536];
    while started.elapsed() < std::time::Duration::from_millis(1500) {
        stdout.read_exact(&mut piece).unwrap();
    }
    drop(stdout);
    assert_eq!(client.wait().0.code(), Some(0));
}
