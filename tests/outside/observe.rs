//! What is seen of sockets, and whether it is true.

mod errors;
mod kernel;
mod ports;
mod tune;
mod watch;

use std::net::SocketAddr;

use serde_json::Value;
use socket2::{Domain, Socket, Type};

use crate::harness::run;

/// The objects of `sockeye ports --json` with these words; its summary is the last.
fn ports(words: &[&str]) -> Vec<Value> {
    let output = run(&[&["ports", "--json"], words].concat(), b"");
    let text = output.stdout_text();
    let objects: Vec<Value> = text.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert_eq!(objects.last().map(|last| &last["kind"]), Some(&"summary".into()), "{output:?}");
    objects
}

/// The only socket among them in that state.
fn one<'a>(objects: &'a [Value], state: &str) -> &'a Value {
    let mut found = objects.iter().filter(|object| object["state"] == state);
    let first = found.next().unwrap_or_else(|| panic!("none is {state}: {objects:?}"));
    assert!(found.next().is_none(), "only one is {state}: {objects:?}");
    first
}

/// A TCP listener as another program would make it: SO_REUSEADDR only if it is said.
fn plain_listener(at: &str, reuse: bool, backlog: i32) -> (Socket, SocketAddr) {
    let at: SocketAddr = at.parse().unwrap();
    let listener = Socket::new(Domain::for_address(at), Type::STREAM, None).unwrap();
    listener.set_reuse_address(reuse).unwrap();
    listener.bind(&at.into()).unwrap();
    listener.listen(backlog).unwrap();
    let at = listener.local_addr().unwrap().as_socket().unwrap();
    (listener, at)
}

/// A connection that its server has closed first, so that the server's side is in TIME-WAIT.
fn closed_by_server(listener: &Socket, at: SocketAddr) -> SocketAddr {
    let near = std::net::TcpStream::connect(at).unwrap();
    let client = near.local_addr().unwrap();
    let (far, _) = listener.accept().unwrap();
    drop(far);
    drop(near);
    wait_time_wait(at, client);
    client
}

/// Waits until that side is in TIME-WAIT, and gives how long it stays there.
fn wait_time_wait(local: SocketAddr, peer: SocketAddr) -> std::time::Duration {
    let mut left = None;
    crate::harness::eventually("TIME-WAIT", || {
        let found = sockeye::observe::sockets::find(local, peer).unwrap();
        left = found.and_then(|socket| socket.time_wait());
        left.is_some()
    });
    left.unwrap()
}
