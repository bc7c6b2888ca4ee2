//! `ports --watch`: in a pipe snapshots, on a terminal the same place over and over.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{BINARY, clean};

/// O3, Q2: with --json each look is one line; what has come since is in the next; a reader that goes
/// ends it quietly.
#[test]
fn snapshots() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let mut command = clean(BINARY);
    command.args(["ports", "--watch", "--json", &at.port().to_string()]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut sockets = || {
        let line = lines.next().unwrap().unwrap();
        let object: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(object["kind"], "snapshot");
        assert!(object["summary"]["counters"].is_object());
        object["sockets"].as_array().unwrap().len()
    };
    assert_eq!(sockets(), 1);
    let near = TcpStream::connect(at).unwrap();
    while sockets() != 3 {}
    drop((near, lines));
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

/// O3: without --json a look is a table, and what is new is marked.
#[test]
fn marks() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let at = listener.local_addr().unwrap();
    let mut command = clean(BINARY);
    command.args(["ports", "--watch", &at.port().to_string()]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut until = |wanted: &str| {
        let found = lines.by_ref().find(|line| line.as_ref().unwrap().starts_with(wanted));
        found.unwrap().unwrap()
    };
    assert!(until("  tcp").contains(&at.to_string()));
    let near = TcpStream::connect(at).unwrap();
    let client = near.local_addr().unwrap().to_string();
    assert!(until("+ tcp").contains(&client));
    // The connection in the accept queue changes the listener.
    let _other = TcpStream::connect(at).unwrap();
    assert!(until("~ tcp").contains(&at.to_string()));
    let (far, _) = listener.accept().unwrap();
    // Ours is reset, as there is data unread: nothing stays in TIME-WAIT.
    std::io::Write::write_all(&mut &far, b"x").unwrap();
    socket2::SockRef::from(&near).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(near);
    drop(far);
    assert!(until("- tcp").contains(&client));
    drop(lines);
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
