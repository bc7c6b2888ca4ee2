//! Out of descriptors, and none left behind.

use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::harness::process::{children_of, cpu_ticks, fds_of, rss_kib, threads_of, throughout};
use crate::harness::{Conn, MODELS, Server, eventually, needs, run, serve};

fn limit_descriptors(server: &Server, soft: u64, hard: Option<u64>) -> Rlimit {
    let pid = i32::try_from(server.pid()).ok().and_then(Pid::from_raw);
    let new = Rlimit { current: Some(soft), maximum: hard };
    prlimit(pid, Resource::Nofile, new).expect("the limit of a process of ours")
}

/// Fault 6, L6: with no descriptor left accepting pauses, says so once, spins not, serves those
/// inside, and goes on by itself as soon as there are descriptors again.
#[test]
fn row_06_out_of_descriptors() {
    for model in ["thread", "process", "event"] {
        let server = serve("upper").at("tcp").model(model).start();
        let mut inside = server.dial();
        assert_eq!(inside.ask(b"in", 2), b"IN");
        // Lower than what it holds already: the next descriptor is one too many.
        let was = limit_descriptors(&server, 3, Some(20_000));
        let mut outside = server.dial();
        let told = server.wait_for("error");
        let text = told["error"].as_str().expect("says why");
        assert!(text.contains("descriptors") || text.contains("open files"), "{text}");
        let before = cpu_ticks(server.pid());
        throughout(Duration::from_millis(800), || {
            assert_eq!(inside.ask(b"x", 1), b"X", "those inside are served");
        });
        // 160 requests in that time cost something; a loop that spins would take all 80 ticks.
        let spent = cpu_ticks(server.pid()) - before;
        assert!(spent < 50, "{model}: {spent} ticks of 80");
        assert_eq!(server.count("error"), 1, "{model}: said once");
        limit_descriptors(&server, was.current.expect("a limit"), was.maximum);
        assert_eq!(outside.ask(b"out", 3), b"OUT", "{model}: it recovers");
        server.wait_for("recovered");
        server.assert_serves();
    }
}

/// Fault 6, L6: the same under the iterative model, where one connection is all there is.
#[test]
fn row_06_out_of_descriptors_iterative() {
    let server = serve("upper").at("tcp").model("iterative").start();
    server.assert_serves();
    server.wait_closed(1);
    let was = limit_descriptors(&server, 3, Some(20_000));
    let mut waiting = server.dial();
    server.wait_for("error");
    limit_descriptors(&server, was.current.expect("a limit"), was.maximum);
    assert_eq!(waiting.ask(b"x", 1), b"X");
    assert_eq!(server.count("error"), 1);
}

/// Fault 6: a server with few descriptors from its start takes no more connections than it can
/// hold; the others wait and are served later.
#[test]
fn row_06_few_descriptors_from_the_start() {
    if !needs(&["prlimit"]) {
        return;
    }
    for model in ["thread", "event"] {
        let launcher = ["prlimit", "--nofile=100:100"];
        let server = serve("upper").at("tcp").model(model).via(&launcher).start();
        let mut conns: Vec<Conn> = (0..150).map(|_| server.dial()).collect();
        conns.reverse();
        // The oldest first: each that leaves makes room for one that waits.
        while let Some(mut conn) = conns.pop() {
            assert_eq!(conn.ask(b"x", 1), b"X", "{model}, {} left", conns.len());
        }
    }
}

/// Fault 32: a thousand connections, open and gone, leave descriptors, threads, processes and
/// memory where they were. Some end by FIN, some by RST, some without having said a word.
#[test]
fn row_32_nothing_is_left_behind() {
    for model in MODELS {
        for transport in ["tcp", "unix"] {
            let server = serve("upper").at(transport).model(model).start();
            cycle(&server, 100);
            let before = (fds_of(server.pid()).len(), threads_of(server.pid()));
            let memory = rss_kib(server.pid());
            cycle(&server, 1000);
            eventually("descriptors and threads are back", || {
                fds_of(server.pid()).len() <= before.0 && threads_of(server.pid()) <= before.1 + 1
            });
            let grown = rss_kib(server.pid()).saturating_sub(memory);
            assert!(grown < 4096, "{model} over {transport}: {grown} KiB more after 1000");
            assert!(children_of(server.pid()).len() < 50);
        }
    }
}

fn cycle(server: &Server, count: usize) {
    let before = server.count("closed");
    for number in 0..count {
        let mut conn = server.dial();
        match number % 3 {
            0 => {
                assert_eq!(conn.ask(b"x", 1), b"X");
            }
            1 => {
                conn.ask(b"xyz", 1);
                conn.reset();
            }
            _ => conn.finish(),
        }
    }
    let all = before + count;
    server.wait_events("closed", all, |event| event["event"] == "closed");
}

/// Fault 19, O4: a full accept queue is explained to the client that waits in vain.
#[test]
fn row_19_accept_queue_overflow() {
    let server = serve("upper").at("tcp").args(&["--backlog", "1"]).start();
    let endpoint = server.endpoint("tcp");
    server.signal(rustix::process::Signal::STOP);
    // The queue holds backlog + 1; the rest get no answer to their SYN.
    let filling: Vec<socket2::Socket> = (0..4).map(|_| start_connecting(&endpoint)).collect();
    let output = run(&["connect", &endpoint, "--timeout", "1500ms"], b"x\n");
    let line = output.assert_one_line(1);
    assert!(line.contains("accept queue"), "{line}");
    server.signal(rustix::process::Signal::CONT);
    drop(filling);
    server.assert_serves();
}

fn start_connecting(endpoint: &str) -> socket2::Socket {
    let address = crate::harness::conn::inet(endpoint);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_nonblocking(true).unwrap();
    // In progress is all that is wanted.
    let _ = socket.connect(&address.into());
    socket
}

/// Fault 41 in small, L6: where no thread or process can be made, that connection waits or ends,
/// and the server lives on and serves again as soon as it can.
#[test]
fn row_41_no_more_threads() {
    if !needs(&["strace"]) {
        return;
    }
    for model in ["thread", "process"] {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let rule = "inject=clone,clone3,fork,vfork:error=EAGAIN:when=12..16";
        let launcher = ["strace", "-D", "-f", "-q", "-o", log.to_str().unwrap(), "-e", rule];
        let server = serve("upper").at("tcp").model(model).via(&launcher).start();
        let mut answered = 0;
        let mut open = Vec::new();
        for _ in 0..24 {
            let mut conn = server.dial();
            let sent = std::io::Write::write_all(&mut conn, b"x");
            let got = std::io::Read::read(&mut conn, &mut [0]);
            answered += usize::from(sent.is_ok() && got.is_ok_and(|n| n == 1));
            open.push(conn);
        }
        assert!(answered >= 16, "{model}: {answered} of 24");
        assert!(std::fs::read_to_string(&log).unwrap().contains("INJECTED"), "{model}");
        server.assert_serves();
    }
}
