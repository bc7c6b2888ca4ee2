//! C2: bytes both ways, clean ends and every other, each in its own words.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::process::Stdio;

use socket2::{Domain, Socket, Type};

use super::peer::{Client, connect, peer, read_all, reset};
use crate::harness::bytes::Random;
use crate::harness::serve;

/// C2: a large input comes back whole, in order and byte for byte, over TCP and Unix.
#[test]
fn large() {
    let input = Random::new(41).bytes(5_000_003);
    for transport in ["tcp", "unix"] {
        let server = serve("upper").at(transport).start();
        let output = connect(&[&server.endpoint(transport)], &input);
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{transport}");
        assert!(output.stdout == input.to_ascii_uppercase(), "{transport}");
    }
}

/// C2, L3: an answer that begins only after our FIN is read to its end.
#[test]
fn late_answer() {
    let (endpoint, serves) = peer(|mut stream| {
        let request = read_all(&mut stream);
        stream.write_all(b"late").unwrap();
        request
    });
    let output = connect(&[&endpoint], b"request without newline");
    assert_eq!((output.code, output.stdout.as_slice()), (Some(0), &b"late"[..]));
    assert_eq!(output.stderr, "");
    assert_eq!(serves.join().unwrap(), b"request without newline");
}

/// C2: the peer ends first while standard input is open and silent: a clean end.
#[test]
fn peer_ends_first() {
    let (endpoint, serves) = peer(|mut stream| {
        stream.write_all(b"bye").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        read_all(&mut stream)
    });
    let mut client = Client::start(&[&endpoint]);
    let mut said = Vec::new();
    client.stdout.take().unwrap().read_to_end(&mut said).unwrap();
    let (status, stderr) = client.wait();
    assert_eq!((status.code(), stderr.as_str(), said.as_slice()), (Some(0), "", &b"bye"[..]));
    assert_eq!(serves.join().unwrap(), b"");
}

/// C2: the peer ends its direction first and goes on reading: our input still reaches it whole.
#[test]
fn half_closed_peer() {
    let (endpoint, serves) = peer(|mut stream| {
        stream.shutdown(Shutdown::Write).unwrap();
        read_all(&mut stream).len()
    });
    let output = connect(&[&endpoint], &vec![b'x'; 3_000_000]);
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
    assert_eq!(serves.join().unwrap(), 3_000_000);
}

/// C2, O4: nobody listens.
#[test]
fn refused() {
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    socket.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    let endpoint = format!("tcp://{}", socket.local_addr().unwrap().as_socket().unwrap());
    let output = connect(&[&endpoint], b"");
    let line = output.assert_one_line(1);
    assert!(line.contains(&format!("cannot connect to {endpoint}: connection refused")), "{line}");
    let missing = connect(&["unix:/nonexistent/socket"], b"");
    assert!(missing.assert_one_line(1).contains("no socket file"), "{missing:?}");
}

/// C2, fault 9: a reset is told as one, and what came before it is there.
#[test]
fn was_reset() {
    let (endpoint, serves) = peer(|mut stream| {
        stream.write_all(b"half an ans").unwrap();
        // Not before it was taken: a reset destroys what is on its way.
        stream.read_exact(&mut [0]).unwrap();
        reset(stream);
    });
    let mut client = Client::start(&[&endpoint]);
    let mut said = [0; 11];
    client.stdout.as_mut().unwrap().read_exact(&mut said).unwrap();
    client.stdin.as_mut().unwrap().write_all(b"!").unwrap();
    let (status, stderr) = client.wait();
    assert_eq!((status.code(), &said), (Some(1), b"half an ans"));
    assert!(stderr.contains("the peer reset the connection") && stderr.lines().count() == 1);
    serves.join().unwrap();
}

/// C2: a peer that closes before it has read all of our input is a failure of its own.
#[test]
fn closed_early() {
    let (endpoint, serves) = peer(|stream| {
        stream.shutdown(Shutdown::Write).unwrap();
        stream.peek(&mut [0]).unwrap();
    });
    let output = connect(&[&endpoint], &vec![b'x'; 30_000_000]);
    let line = output.assert_one_line(1);
    assert!(line.contains("before it had read all of our input"), "{line}");
    serves.join().unwrap();
}

/// C2, C3 `--timeout`: silence, and a connection that never comes about.
#[test]
fn timed_out() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = Client::start(&[&address.to_string(), "--timeout", "200ms"]);
    let (status, stderr) = client.wait();
    assert_eq!(status.code(), Some(1));
    assert!(stderr.contains("timed out: nothing moved either way for 200ms"), "{stderr}");

    // A listener whose accept queue is full drops every further SYN.
    let full = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    full.bind(&"127.0.0.1:0".parse::<SocketAddr>().unwrap().into()).unwrap();
    full.listen(0).unwrap();
    let address = full.local_addr().unwrap().as_socket().unwrap();
    let _fills = TcpStream::connect(address).unwrap();
    let output = connect(&[&address.to_string(), "--timeout=200ms"], b"");
    let line = output.assert_one_line(1);
    assert!(line.contains("cannot connect to") && line.contains("timed out"), "{line}");
}

/// Q1, fault 45: a reader of our output that goes away ends us quietly and with success.
#[test]
fn stdout_closed() {
    let server = serve("chargen").at("tcp").start();
    let mut client = Client::start(&[&server.endpoint("tcp")]);
    let mut some = [0; 1000];
    client.stdout.take().unwrap().read_exact(&mut some).unwrap();
    let (status, stderr) = client.wait();
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

/// Q1, fault 45: a full standard output is told.
#[test]
fn stdout_full() {
    let server = serve("echo").at("tcp").start();
    let full = File::options().write(true).open("/dev/full").unwrap();
    let mut client = Client::start_with(&[&server.endpoint("tcp")], Stdio::from(full));
    client.stdin.take().unwrap().write_all(b"x").unwrap();
    let (status, stderr) = client.wait();
    assert_eq!(status.code(), Some(1));
    assert!(stderr.contains("cannot write the output: No space left"), "{stderr}");
    assert_eq!(stderr.lines().count(), 1);
}

/// C2: input that cannot be read is told, and is no end.
#[test]
fn stdin_unreadable() {
    let (endpoint, serves) = peer(|mut stream| read_all(&mut stream));
    let mut command = crate::harness::clean(crate::harness::BINARY);
    command.args(["connect", &endpoint]).stdin(File::open("/").unwrap());
    let output = command.output().unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr.contains("cannot read the input: Is a directory"), "{stderr}");
    serves.join().unwrap();
}
