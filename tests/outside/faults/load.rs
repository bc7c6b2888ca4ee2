//! Many at once: idle connections, floods, datagrams faster than they are taken.

use std::io::{Read, Write};
use std::time::Duration;

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};

use crate::harness::process::{rss_kib, skip};
use crate::harness::{Conn, Gram, PARALLEL_MODELS, Server, eventually, serve};

/// True where this process may hold as many descriptors; the soft limit is raised for it.
fn descriptors(wanted: u64) -> bool {
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|hard| hard < wanted) {
        return skip(&format!("a hard limit of {wanted} descriptors"));
    }
    if limit.current.is_some_and(|soft| soft < wanted) {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        setrlimit(Resource::Nofile, raised).expect("the soft limit may be raised to the hard one");
    }
    true
}

fn idle(model: &str, count: usize, options: &[&str]) -> Option<(Server, Vec<Conn>)> {
    if !descriptors(count as u64 + 4000) {
        return None;
    }
    let server = serve("upper").at("tcp").model(model).args(options).start();
    let conns = (0..count).map(|_| server.dial()).collect();
    server.wait_events("accepted", count, |event| event["event"] == "accepted");
    Some((server, conns))
}

/// Fault 15: idle connections, and somebody who is served beside them.
fn served_beside(model: &str, count: usize) {
    let most = (count + 10).to_string();
    let Some((server, mut conns)) = idle(model, count, &["--max-connections", &most]) else {
        return;
    };
    for _ in 0..20 {
        server.assert_serves();
    }
    let last = count - 1;
    for number in [0, count / 2, last] {
        assert_eq!(conns[number].ask(b"awake", 5), b"AWAKE");
    }
    drop(conns);
    server.wait_events("closed", count + 20, |event| event["event"] == "closed");
    server.assert_serves();
}

/// Fault 15, L2: 10,000 idle connections under the event model; memory stays small.
#[test]
fn row_15_idle_event() {
    let options = ["--max-connections", "10010"];
    let Some((server, mut conns)) = idle("event", 10_000, &options) else { return };
    let per_connection = rss_kib(server.pid()) * 1024 / 10_000;
    assert!(per_connection < 8192, "{per_connection} bytes of memory a connection");
    for _ in 0..20 {
        server.assert_serves();
    }
    assert_eq!(conns[9_999].ask(b"awake", 5), b"AWAKE");
    drop(conns);
    server.wait_events("closed", 10_020, |event| event["event"] == "closed");
}

/// Fault 15: 2,000 idle connections under the thread model.
#[test]
fn row_15_idle_thread() {
    served_beside("thread", 2000);
}

/// Fault 15: 150 idle connections under the process model.
#[test]
fn row_15_idle_process() {
    served_beside("process", 150);
}

/// Fault 15, M6: all idle connections are evicted by the idle timeout, and told.
#[test]
fn row_15_evicted() {
    for (model, count) in [("event", 3000), ("thread", 500), ("process", 60), ("iterative", 5)] {
        let mut options = vec!["--idle-timeout", "500ms"];
        if model != "iterative" {
            options.extend(["--max-connections", "3010"]);
        }
        let Some((server, mut conns)) = idle(model, count, &options) else { return };
        let closed = server.wait_events("closed", count, |event| event["event"] == "closed");
        assert!(closed.iter().all(|event| event["why"] == "idle-timeout"), "{model}");
        conns.iter_mut().for_each(Conn::assert_ended);
        server.assert_serves();
    }
}

/// Fault 17, M6: a flood of connections is turned away at the cap; those inside are served all
/// the while, and afterwards there is room again.
#[test]
fn row_17_connection_flood() {
    for model in PARALLEL_MODELS {
        let options = ["--max-connections", "20", "--overflow", "refuse"];
        let server = serve("upper").at("tcp").model(model).args(&options).start();
        let mut inside: Vec<Conn> = (0..20).map(|_| server.dial()).collect();
        inside.iter_mut().for_each(|conn| assert_eq!(conn.ask(b"x", 1), b"X"));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| (0..250).for_each(|_| server.dial().assert_ended()));
            }
            for _ in 0..50 {
                inside.iter_mut().for_each(|conn| assert_eq!(conn.ask(b"y", 1), b"Y"));
            }
        });
        server.wait_events("refused", 1000, |event| event["event"] == "refused");
        assert_eq!(server.count("accepted"), 20);
        drop(inside);
        server.wait_events("closed", 20, |event| event["event"] == "closed");
        server.assert_serves();
    }
}

/// Fault 17: a flood that waits in the queue is served to the last, in turn.
#[test]
fn row_17_flood_in_the_queue() {
    for model in PARALLEL_MODELS {
        let server =
            serve("upper").at("tcp").model(model).args(&["--max-connections", "4"]).start();
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    for _ in 0..50 {
                        server.assert_serves();
                    }
                });
            }
        });
        server.wait_events("closed", 400, |event| event["event"] == "closed");
        assert_eq!(server.count("refused"), 0);
    }
}

/// Fault 28: datagrams that the kernel had to drop are counted and told; service goes on.
#[test]
fn row_28_receive_overflow() {
    for model in crate::harness::MODELS {
        let server = serve("upper").at("udp").model(model).args(&["--set", "rcvbuf=4K"]).start();
        let gram = server.gram();
        assert_eq!(gram.ask(b"x"), b"X");
        // A stopped server is the slowest reader there is. Its workers share its socket.
        let mut all = crate::harness::process::children_of(server.pid());
        all.push(server.pid());
        all.iter().for_each(|pid| crate::harness::process::signal(*pid, Signal::STOP));
        let is_stopped = |pid: &u32| crate::harness::process::state_of(*pid) == Some('T');
        eventually("the server stops", || all.iter().all(is_stopped));
        for _ in 0..500 {
            gram.send(&[b'x'; 500]);
        }
        all.iter().for_each(|pid| crate::harness::process::signal(*pid, Signal::CONT));
        // The count is of all since the socket was made, and may be told on its way.
        let dropped = server.wait_event("most were dropped", |event| {
            event["event"] == "dropped" && event["count"].as_u64().is_some_and(|n| n >= 100)
        });
        assert_eq!(dropped["endpoint"], *server.endpoint("udp"), "{model}: {dropped}");
        assert!(dropped["count"].as_u64().is_some_and(|n| n <= 500), "{model}: {dropped}");
        eventually("it answers again", || {
            let again = Gram::dial(&server.endpoint("udp"), server.dir()).unwrap();
            again.set_timeout(Duration::from_millis(500));
            again.send(b"again");
            again.try_receive().is_ok_and(|answer| answer == b"AGAIN")
        });
    }
}

/// Fault 17, 28: datagrams in great number do not keep streams from being served.
#[test]
fn row_28_datagrams_beside_streams() {
    for model in PARALLEL_MODELS {
        let server = serve("upper").at("tcp").at("udp").model(model).start();
        let gram = Gram::dial(&server.endpoint("udp"), server.dir()).unwrap();
        let mut conn = server.dial();
        std::thread::scope(|scope| {
            let flood = scope.spawn(|| (0..20_000).for_each(|_| gram.send(b"flood")));
            while !flood.is_finished() {
                conn.write_all(b"x").unwrap();
                let mut answer = [0];
                conn.read_exact(&mut answer).unwrap();
                assert_eq!(answer, *b"X");
            }
        });
    }
}
