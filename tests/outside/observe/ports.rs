//! `sockeye ports`: the same sockets that ss(8) sees, with owners, queues and counters.

use std::collections::BTreeSet;
use std::net::{TcpListener, TcpStream, UdpSocket};

use serde_json::Value;

use super::{closed_by_server, one, plain_listener, ports};
use crate::harness::namespace::in_namespace;
use crate::harness::process::{run_command, tool};
use crate::harness::{Conn, clean, eventually, run, serve};

/// What both programs say of a socket: protocol, state, both ends, queues.
type Line = (String, String, String, String, String);

/// ss(8)'s rows as ours: its names of states, `*` for any.
fn by_ss(words: &[&str], protocol: &str) -> BTreeSet<Line> {
    let text = tool("ss", words);
    text.lines()
        .map(|line| {
            let fields: Vec<&str> = line.split_whitespace().collect();
            let state = match fields[0] {
                "ESTAB" => "ESTABLISHED",
                "UNCONN" => "BOUND",
                "SYN-RECV" => "SYN-RECEIVED",
                other => other,
            };
            // A socket of both families is `*:9001`, its missing peer `*:*`.
            let both = |text: &str| text.replace("*:", "[::]:").replace('*', "0");
            let end = |text: &str| match text.strip_prefix("*:") {
                Some(_) => both(text),
                None => text.replace('*', "0"),
            };
            let queues = format!("{} {}", fields[1], fields[2]);
            (protocol.into(), state.into(), end(fields[3]), end(fields[4]), queues)
        })
        .collect()
}

fn by_us(objects: &[Value], protocol: &str) -> BTreeSet<Line> {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let ours = objects.iter().filter(|object| object["kind"] == protocol);
    ours.map(|object| {
        let peer = match object["peer"].as_str() {
            Some(peer) => peer.to_owned(),
            None if object["local"].as_str().unwrap().starts_with('[') => "[::]:0".into(),
            None => "0.0.0.0:0".into(),
        };
        let queues = if object["state"] == "LISTEN" {
            format!("{} {}", object["accept_queue"], object["backlog"])
        } else {
            format!("{} {}", object["receive_queue"], object["send_queue"])
        };
        (text(&object["kind"]), text(&object["state"]), text(&object["local"]), peer, queues)
    })
    .collect()
}

/// O3: in a network of its own `ports --json` has the sockets of `ss -tan` and `ss -uan`, in every
/// state that can be made: both ends, state and queues; and the owners of `ss -p`.
#[test]
fn same_as_ss() {
    in_namespace("observe::ports::same_as_ss", &["ss"], || {
        let (listener, at) = plain_listener("127.0.0.1:9000", true, 5);
        let wide = TcpListener::bind("[::]:9001").unwrap();
        let waiting = TcpStream::connect(at).unwrap();
        let near = TcpStream::connect("[::1]:9001").unwrap();
        let (far, _) = wide.accept().unwrap();
        std::io::Write::write_all(&mut &near, b"12345").unwrap();
        far.shutdown(std::net::Shutdown::Write).unwrap();
        let (closing, other) = plain_listener("127.0.0.1:9002", true, 5);
        closed_by_server(&closing, other);
        let datagram = UdpSocket::bind("127.0.0.1:9000").unwrap();
        let connected = UdpSocket::bind("[::1]:0").unwrap();
        connected.connect("[::1]:9").unwrap();
        // The ACK of a FIN may be delayed.
        eventually("the FIN is acknowledged", || {
            by_ss(&["-Htan"], "tcp").iter().all(|line| line.1 != "FIN-WAIT-1")
        });

        let objects = ports(&[]);
        let tcp = by_ss(&["-Htan"], "tcp");
        assert_eq!(by_us(&objects, "tcp"), tcp);
        assert_eq!(tcp.len(), 8, "{tcp:?}");
        let states: BTreeSet<&str> = tcp.iter().map(|line| line.1.as_str()).collect();
        let expected = ["CLOSE-WAIT", "ESTABLISHED", "FIN-WAIT-2", "LISTEN", "TIME-WAIT"];
        assert_eq!(states.into_iter().collect::<Vec<_>>(), expected);
        assert_eq!(by_us(&objects, "udp"), by_ss(&["-Huan"], "udp"));
        assert_eq!(by_us(&objects, "udp").len(), 2);

        let us = std::process::id();
        for object in objects.iter().filter(|object| !object["inode"].is_null()) {
            assert_eq!(object["owners"][0]["pid"], us, "{object}");
        }
        let summary = objects.last().unwrap();
        assert_eq!(summary["time_wait"]["ports"][0], serde_json::json!({"port": 9002, "count": 1}));
        assert_eq!(summary["states"]["LISTEN"], 3);
        drop((listener, waiting, far, datagram, connected));
    });
}

/// O3: filters by protocol, state, what listens, port and process; what is not there is told, exit 1.
#[test]
fn filters() {
    let server = serve("upper").at("tcp").at("udp").at("unix").start();
    let pid = format!("pid:{}", server.pid());
    let kinds = |words: &[&str]| -> Vec<(String, String)> {
        let objects = ports(&[&[pid.as_str()], words].concat());
        let sockets = objects[..objects.len() - 1].iter();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        sockets.map(|o| (text(&o["kind"]), text(&o["state"]))).collect()
    };
    let pair = |kind: &str, state: &str| (kind.to_owned(), state.to_owned());
    assert_eq!(kinds(&["--listening"]), [pair("tcp", "LISTEN"), pair("udp", "BOUND")]);
    assert_eq!(kinds(&["--tcp"]), [pair("tcp", "LISTEN")]);
    assert_eq!(kinds(&["--udp"]), [pair("udp", "BOUND")]);
    assert_eq!(kinds(&["--state", "listen"]), [pair("tcp", "LISTEN")]);
    let unix = ports(&[&pid, "--unix", "--state", "listen"]);
    let path = server.endpoint("unix");
    assert!(unix.iter().any(|o| o["kind"] == "unix" && o["path"] == path["unix:".len()..]));

    // The address family of the system's choice: nobody has this port but who asks for it.
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = holder.local_addr().unwrap().port().to_string();
    let listening = ports(&[&port, "--listening", "--tcp"]);
    assert_eq!(one(&listening, "LISTEN")["owners"][0]["pid"], std::process::id());
    let line = run(&["ports", "4000000"], b"");
    let line = line.assert_one_line(1);
    assert!(line.contains("no socket has port 4000000, and no process 4000000"), "{line}");
    for wrong in [&["ports", "x"][..], &["ports", "--state", "open"], &["ports", "--tune", "9000"]]
    {
        run(wrong, b"").assert_one_line(2);
    }
}

/// O3, fault 19: the accept queue fills under the iterative model with backlog 1 and four clients: one
/// is served, two wait, one is dropped, and the table says so.
#[test]
fn row_19_accept_queue() {
    in_namespace("observe::ports::row_19_accept_queue", &[], || {
        let server = serve("upper")
            .on("tcp://127.0.0.1:9000")
            .model("iterative")
            .args(&["--backlog", "1"])
            .start();
        let mut first = server.dial();
        assert_eq!(first.ask(b"served", 6), b"SERVED");
        let queue = |count: u64| {
            eventually("the queue fills", || {
                one(&ports(&["9000"]), "LISTEN")["accept_queue"] == count
            });
        };
        queue(0);
        let second = server.dial();
        queue(1);
        let third = server.dial();
        queue(2);
        let fourth = start_connecting("127.0.0.1:9000");
        eventually("the fourth is dropped", || {
            one(&ports(&["9000"]), "LISTEN")["dropped"].as_u64() >= Some(1)
        });
        let objects = ports(&["9000"]);
        let listener = one(&objects, "LISTEN");
        assert_eq!((&listener["backlog"], &listener["full"]), (&1.into(), &true.into()));
        assert_eq!(listener["owners"][0]["pid"], server.pid());
        let asks = one(&objects, "SYN-SENT");
        assert!(asks["timer"]["kind"] == "retransmit");
        // Nothing has come or gone yet, so nothing was measured.
        for field in ["rtt_us", "rtt_variation_us", "last_sent_ms", "last_received_ms"] {
            assert_eq!(asks["tcp"].get(field), Some(&Value::Null), "{field}: {asks}");
        }
        let counters = &objects.last().unwrap()["counters"];
        assert!(counters["listen_overflows"].as_u64() >= Some(1), "{counters}");

        let table = run(&["ports", "9000"], b"").stdout_text();
        assert!(table.contains("accept queue full: 2 wait, backlog 1"), "{table}");
        assert!(table.contains("not accepted yet"), "{table}");
        assert!(table.contains(&format!("sockeye ({})", server.pid())), "{table}");
        assert!(table.lines().all(|line| line.chars().count() <= 80), "{table}");
        drop((first, second, third, fourth));
    });
}

fn start_connecting(at: &str) -> socket2::Socket {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    let at: std::net::SocketAddr = at.parse().unwrap();
    // In progress is all that is wanted.
    let _ = socket.connect(&at.into());
    socket
}

/// O3, fault 28: datagrams that a slow reader has no room for are counted, for the socket and in all.
#[test]
fn row_28_datagrams_dropped() {
    in_namespace("observe::ports::row_28_datagrams_dropped", &[], || {
        let server =
            serve("upper").on("udp://127.0.0.1:9000").args(&["--set", "rcvbuf=2K"]).start();
        server.signal(rustix::process::Signal::STOP);
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        for _ in 0..64 {
            socket.send_to(&[b'x'; 1000], "127.0.0.1:9000").unwrap();
        }
        let objects = ports(&["9000", "--udp"]);
        let receiver = one(&objects, "BOUND");
        let dropped = receiver["dropped"].as_u64().unwrap();
        assert!((50..64).contains(&dropped), "{receiver}");
        assert!(receiver["receive_queue"].as_u64() > Some(0), "{receiver}");
        assert_eq!(objects.last().unwrap()["counters"]["udp_overflows"], dropped);
        let table = run(&["ports", "9000"], b"").stdout_text();
        assert!(table.contains(&format!("{dropped} datagrams dropped")), "{table}");
        server.signal(rustix::process::Signal::CONT);
    });
}

/// O3: many in TIME-WAIT at a named port are counted, not listed, but where they are asked for and in
/// --json; that nothing is in a state is said, and TIME-WAIT not summed up then.
#[test]
fn many_in_time_wait() {
    in_namespace("observe::ports::many_in_time_wait", &[], || {
        let (listener, at) = plain_listener("127.0.0.1:9000", true, 5);
        for _ in 0..12 {
            closed_by_server(&listener, at);
        }
        let table = |words: &[&str]| run(&[&["ports"], words].concat(), b"").stdout_text();
        let rows = |text: &str| text.lines().filter(|line| line.starts_with("  tcp")).count();
        let few = table(&["9000"]);
        assert!(rows(&few) == 1 + 8 && few.contains("TIME-WAIT  12\n"), "{few}");
        assert!(few.contains("… and 4 more; --state time-wait shows all"), "{few}");
        let all = table(&["9000", "--state", "time-wait"]);
        assert!(rows(&all) == 12 && !all.contains("more"), "{all}");
        let json = ports(&["9000"]);
        assert_eq!(json.iter().filter(|object| object["state"] == "TIME-WAIT").count(), 12);
        let none = table(&["--state", "close-wait"]);
        assert!(none.starts_with("no socket is in CLOSE-WAIT\n"), "{none}");
        assert!(!none.contains("TIME-WAIT"), "{none}");
        let refused = run(&["ports", "9000", "--state", "close-wait"], b"");
        let line = refused.assert_one_line(1);
        assert!(line.contains("no socket of that kind has port 9000"), "{line}");
    });
}

/// O3: who else's socket it is cannot be seen without root, and is said.
#[test]
fn without_root() {
    in_namespace("observe::ports::without_root", &["setpriv", "install"], || {
        let _listener = TcpListener::bind("127.0.0.1:9000").unwrap();
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .unwrap();
        let copy = dir.path().join("sockeye");
        let copy = copy.to_str().unwrap();
        tool("install", &["-m", "755", crate::harness::BINARY, copy]);
        let user = ["--reuid", "65534", "--regid", "65534", "--clear-groups", copy, "ports"];
        let as_nobody = |words: &[&str]| {
            let mut command = clean("setpriv");
            command.args(user).args(words);
            let output = run_command(command, b"");
            assert_eq!(output.code, Some(0), "{output:?}");
            output.stdout_text()
        };
        let table = as_nobody(&["9000"]);
        assert!(table.contains("uid 0"), "{table}");
        assert!(table.contains("not visible without root"), "{table}");
        let json = as_nobody(&["9000", "--json"]);
        let summary: Value = serde_json::from_str(json.lines().last().unwrap()).unwrap();
        assert_eq!(summary["owners_hidden"], true);
    });
}

/// O3, C5: the name of another program cannot drive the terminal.
#[test]
fn names_are_escaped() {
    let dir = tempfile::tempdir().unwrap();
    let evil = dir.path().join("a\x1b[31mb");
    // By another process: a file that this one had open for writing might be busy.
    tool("install", &["-m", "755", crate::harness::BINARY, evil.to_str().unwrap()]);
    let server = serve("upper").program(&evil).args(&["serve", "upper"]).at("tcp").start();
    let pid = format!("pid:{}", server.pid());
    for words in [&["ports", pid.as_str()][..], &["ports", "--json", &pid]] {
        let text = run(words, b"").stdout_text();
        assert!(text.contains("x1b") && !text.contains('\x1b'), "{text:?}");
    }
    let mut conn = Conn::dial(&server.endpoint("tcp")).unwrap();
    assert_eq!(conn.ask(b"x", 1), b"X");
}
