//! Errors that explain: each of the causes is provoked, and told from the others.

use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixListener;

use socket2::{Domain, Socket, Type};

use super::{closed_by_server, one, plain_listener, ports, wait_time_wait};
use crate::harness::namespace::in_namespace;
use crate::harness::process::{run_command, tool};
use crate::harness::{BINARY, clean, run, serve};

/// The one line of a failure.
fn line(words: &[&str]) -> String {
    run(words, b"x\n").assert_one_line(1).to_owned()
}

/// The number before ` s` after that word.
fn seconds(line: &str, after: &str) -> u64 {
    let (_, rest) = line.split_once(after).unwrap_or_else(|| panic!("no {after:?}: {line}"));
    rest.split(' ').next().unwrap().parse().unwrap_or_else(|_| panic!("no number: {line}"))
}

/// O4, L4, faults 21–23: port 9000 held by another program, by TIME-WAIT of a socket without
/// SO_REUSEADDR, and a stale Unix path: three explanations, each true.
#[test]
fn row_22_three_causes() {
    in_namespace("observe::errors::row_22_three_causes", &[], || {
        let (listener, at) = plain_listener("127.0.0.1:9000", false, 8);
        let held = line(&["serve", "upper", "9000"]);
        let us = std::process::id();
        let name = std::fs::read_to_string("/proc/self/comm").unwrap();
        assert!(held.contains(&format!("{} (pid {us}) listens there", name.trim())), "{held}");

        let client = closed_by_server(&listener, at);
        drop(listener);
        let waits = line(&["serve", "upper", "9000"]);
        let left = wait_time_wait(at, client).as_secs();
        let said = seconds(&waits, "Wait ");
        assert!((left..=60).contains(&said), "{left} s are left: {waits}");
        assert!(waits.contains("in TIME-WAIT for"), "{waits}");
        assert!(waits.contains("both the old and the new socket need that option"), "{waits}");

        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("stale");
        drop(UnixListener::bind(&path).unwrap());
        let endpoint = format!("unix:{}", path.display());
        let stale = line(&["connect", &endpoint]);
        assert!(stale.contains("it is stale") && stale.contains("will replace"), "{stale}");
        // And it does.
        serve("upper").on(&endpoint).start().assert_serves();
        assert!(held != waits && waits != stale);
    });
}

/// O4, fault 22: a connection that is open is in the way of a program without the option on the old
/// socket, and named with its owner.
#[test]
fn row_22_open_connection() {
    in_namespace("observe::errors::row_22_open_connection", &[], || {
        let (listener, at) = plain_listener("127.0.0.1:9000", false, 8);
        let _near = TcpStream::connect(at).unwrap();
        let _far = listener.accept().unwrap();
        drop(listener);
        let open = line(&["serve", "upper", "9000"]);
        assert!(open.contains("a connection of") && open.contains("ESTABLISHED"), "{open}");
        assert!(open.contains(&format!("pid {}", std::process::id())), "{open}");
    });
}

/// O4, fault 22: a socket that is bound and does not listen is in the way too, and named with its owner,
/// as is one that holds an abstract Unix name.
#[test]
fn row_22_bound_only() {
    in_namespace("observe::errors::row_22_bound_only", &[], || {
        let us = format!("(pid {}) has it (bound, not listening)", std::process::id());
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.bind(&SocketAddr::from(([0, 0, 0, 0], 9000)).into()).unwrap();
        let bound = line(&["serve", "upper", "9000"]);
        assert!(bound.contains(&format!("{us} on 0.0.0.0:9000, which covers")), "{bound}");
        assert!(bound.contains(&format!("kill {}", std::process::id())), "{bound}");
        assert_eq!(one(&ports(&["9000"]), "BOUND")["local"], "0.0.0.0:9000");
        drop(socket);
        serve("upper").on("tcp://127.0.0.1:9000").start().assert_serves();

        let socket = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        socket.bind(&socket2::SockAddr::unix("\0sockeye-bound").unwrap()).unwrap();
        let bound = line(&["serve", "upper", "unix:@sockeye-bound"]);
        assert!(bound.contains(&us), "{bound}");
    });
}

/// O4, fault 20: no port left, with the range and how many are in TIME-WAIT; a source port that is
/// taken is another cause.
#[test]
fn row_20_no_ports() {
    in_namespace("observe::errors::row_20_no_ports", &["sysctl"], || {
        tool("sysctl", &["-qw", "net.ipv4.ip_local_port_range=40000 40009"]);
        tool("sysctl", &["-qw", "net.ipv4.tcp_tw_reuse=0"]);
        let (listener, at) = plain_listener("127.0.0.1:9000", true, 8);
        for _ in 0..2 {
            let near = TcpStream::connect(at).unwrap();
            let client = near.local_addr().unwrap();
            let (far, _) = listener.accept().unwrap();
            drop(near);
            drop(far);
            wait_time_wait(client, at);
        }
        let taken = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        taken.set_reuse_address(true).unwrap();
        taken.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
        taken.connect(&at.into()).unwrap();
        let source = taken.local_addr().unwrap().as_socket().unwrap().to_string();
        let pair = line(&["connect", "9000", "--source", &source, "--set", "reuseaddr=on"]);
        assert!(pair.contains("have a connection to that address already"), "{pair}");

        let _others: Vec<TcpStream> = (0..7).map(|_| TcpStream::connect(at).unwrap()).collect();
        let none = line(&["connect", "9000"]);
        assert!(none.contains("is 40000 to 40009, and 10 of them are taken"), "{none}");
        assert!(none.contains("2 by connections in TIME-WAIT"), "{none}");
        let none = line(&["serve", "upper", "tcp://127.0.0.1:0"]);
        assert!(none.contains("no port is left: all of") && none.contains("40009"), "{none}");
    });
}

/// O4, fault 20: ports that are bound and do nothing are taken too: the cause is the range, and no
/// `--source` that nobody gave.
#[test]
fn row_20_ports_bound_only() {
    in_namespace("observe::errors::row_20_ports_bound_only", &["sysctl"], || {
        tool("sysctl", &["-qw", "net.ipv4.ip_local_port_range=40000 40009"]);
        let (_listener, _) = plain_listener("127.0.0.1:9000", true, 8);
        let bound = |port: u16| {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.bind(&SocketAddr::from(([0, 0, 0, 0], port)).into()).unwrap();
            socket
        };
        let _all: Vec<Socket> = (40000..=40009).map(bound).collect();
        let none = line(&["connect", "9000"]);
        assert!(none.contains("is 40000 to 40009, and 10 of them are taken"), "{none}");
    });
}

/// O4: which ports are for root is the running kernel's to say.
#[test]
fn privileged_ports() {
    in_namespace("observe::errors::privileged_ports", &["sysctl", "setpriv"], || {
        tool("sysctl", &["-qw", "net.ipv4.ip_unprivileged_port_start=8080"]);
        let mut command = clean("setpriv");
        command.args([
            "--bounding-set=-all",
            "--inh-caps=-all",
            "--",
            BINARY,
            "serve",
            "upper",
            "5000",
        ]);
        let output = run_command(command, b"");
        let line = output.assert_one_line(1);
        assert!(line.contains("ports below 8080 are for root"), "{line}");
        assert!(line.contains("Choose a port of 8080 or above"), "{line}");
    });
}

/// O4, fault 23: a Unix path of 108 bytes is one too long, and said with both numbers.
#[test]
fn row_23_name_lengths() {
    for (length, fits) in [(107, true), (108, false)] {
        let path = format!("/tmp/{}", "x".repeat(length - 5));
        let output = run(&["connect", &format!("unix:{path}")], b"x\n");
        let line = output.assert_one_line(if fits { 1 } else { 2 });
        assert_eq!(line.contains("108") && line.contains("107"), !fits, "{line}");
    }
}
