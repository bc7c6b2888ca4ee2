//! How a server ends: drain, cut, at once; and how it reads its lists again.

use std::net::TcpStream;
use std::time::Instant;

use rustix::process::Signal;
use sockeye_limits as limits;

use crate::harness::conn::inet;
use crate::harness::process::{self, children_of, state_of};
use crate::harness::remote::Host;
use crate::harness::{Conn, MODELS, PARALLEL_MODELS, eventually, serve};

/// L5: SIGTERM and SIGINT let an open connection finish, take no new one, and exit 0.
#[test]
fn open_connection_finishes() {
    for model in MODELS {
        for signal in [Signal::TERM, Signal::INT] {
            let mut server = serve("upper").at("tcp").model(model).start();
            let mut conn = server.dial();
            assert_eq!(conn.ask(b"before", 6), b"BEFORE");
            server.signal(signal);
            server.wait_for("draining");
            assert_eq!(conn.ask(b"after", 5), b"AFTER", "{model}");
            let address = inet(&server.endpoint("tcp"));
            eventually("new connections are refused", || TcpStream::connect(address).is_err());
            conn.finish();
            assert_eq!(conn.take_all(), b"");
            assert_eq!(server.wait().code(), Some(0), "{model}");
            let drained = server.wait_for("drained");
            assert_eq!((&drained["served"], &drained["cut"]), (&1.into(), &0.into()), "{drained}");
            assert_eq!(server.wait_closed(1)["why"], "end");
            assert_eq!(server.events().last().unwrap()["event"], "drained", "the last word");
        }
    }
}

/// L5: with nothing open, the end comes at once.
#[test]
fn idle_server_ends_at_once() {
    for model in MODELS {
        let mut server = serve("upper")
            .at("tcp")
            .at("udp")
            .at("unix")
            .model(model)
            .args(&["--drain", "1h"])
            .start();
        server.assert_serves();
        let workers = children_of(server.pid());
        server.stop();
        let drained = server.wait_for("drained");
        assert_eq!((&drained["served"], &drained["cut"]), (&1.into(), &0.into()), "{drained}");
        eventually("its workers are gone", || {
            workers.iter().all(|worker| state_of(*worker).is_none())
        });
    }
}

/// L5: after --drain the rest is cut, and the count is told; the exit status is still 0.
#[test]
fn drain_cuts() {
    for model in MODELS {
        let mut server = serve("upper").at("tcp").model(model).args(&["--drain", "300ms"]).start();
        let mut conn = server.dial();
        conn.ask(b"x", 1);
        server.signal(Signal::TERM);
        assert_eq!(server.wait().code(), Some(0), "{model}");
        let drained = server.wait_for("drained");
        assert_eq!(
            (&drained["served"], &drained["cut"]),
            (&1.into(), &1.into()),
            "{model} {drained}"
        );
        assert_eq!(server.wait_closed(1)["why"], "drain", "{model}");
        conn.assert_ended();
    }
}

/// L5: a second signal exits at once, with status 1.
#[test]
fn second_signal() {
    for model in MODELS {
        let mut server = serve("upper").at("tcp").model(model).args(&["--drain", "1h"]).start();
        let mut conn = server.dial();
        conn.ask(b"x", 1);
        server.signal(Signal::TERM);
        server.wait_for("draining");
        assert!(server.is_alive());
        server.signal(Signal::INT);
        assert_eq!(server.wait().code(), Some(1), "{model}");
        conn.assert_ended();
    }
}

/// L5: a second signal waits for no worker process, not even for one that cannot leave.
#[test]
fn second_signal_and_stopped_workers() {
    let mut host = Host::start();
    let _conn = Conn::dial(&host.unix).unwrap();
    host.server.wait_for("authenticated");
    for worker in children_of(host.server.pid()) {
        process::signal(worker, Signal::STOP);
        // The kernel wakes what was stopped when its server has gone, not what is about to stop.
        eventually("it has stopped", || state_of(worker) == Some('T'));
    }
    host.server.signal(Signal::TERM);
    host.server.wait_for("draining");
    let began = Instant::now();
    host.server.signal(Signal::TERM);
    assert_eq!(host.server.wait().code(), Some(1));
    assert!(began.elapsed() < limits::SESSION_EXIT / 2, "it waited {:?}", began.elapsed());
}

/// Fault 33, L5: SIGTERM under load: what was begun is finished, byte for byte.
#[test]
fn row_33_term_under_load() {
    for model in PARALLEL_MODELS {
        let mut server = serve("upper").at("tcp").model(model).start();
        let conns: Vec<Conn> = (0..8).map(|_| server.dial()).collect();
        server.wait_events("accepted", 8, |event| event["event"] == "accepted");
        std::thread::scope(|scope| {
            for (seed, conn) in conns.into_iter().enumerate() {
                scope.spawn(move || conn.pump("upper", 4 << 20, seed as u64));
            }
            scope.spawn(|| server.signal(Signal::TERM));
        });
        assert_eq!(server.wait().code(), Some(0), "{model}");
        let drained = server.wait_for("drained");
        assert_eq!((&drained["served"], &drained["cut"]), (&8.into(), &0.into()), "{drained}");
    }
}

/// Fault 33, L5: SIGHUP reads the lists again; a list that does not parse leaves the old one.
#[test]
fn row_33_reload() {
    for model in MODELS {
        let launch = serve("upper").at("tcp").model(model);
        let list = launch.file("allow", "127.0.0.0/8 # everybody here\n");
        let word = format!("@{}", list.display());
        let server = launch.args(&["--allow", &word]).start();
        server.assert_serves();

        std::fs::write(&list, "192.0.2.0/24\n").unwrap();
        server.signal(Signal::HUP);
        server.wait_for("reloaded");
        server.dial().assert_ended();
        assert_eq!(server.wait_for("refused")["why"], "denied");

        std::fs::write(&list, "127.0.0.0/8\nnonsense\n").unwrap();
        server.signal(Signal::HUP);
        let failed = server.wait_for("reload-failed");
        let error = failed["error"].as_str().expect("says why");
        assert!(error.contains("line 2") && error.contains("nonsense"), "{error}");
        server.dial().assert_ended();

        std::fs::write(&list, "127.0.0.1\n").unwrap();
        server.signal(Signal::HUP);
        server.wait_events("reloaded", 2, |event| event["event"] == "reloaded");
        server.assert_serves();
    }
}

/// Fault 33: SIGHUP without lists to read ends nothing, nor do many of them under load.
#[test]
fn row_33_many_hups() {
    for model in MODELS {
        let server = serve("upper").at("tcp").model(model).start();
        let conn = server.dial();
        std::thread::scope(|scope| {
            let pump = scope.spawn(|| conn.pump("upper", 16 << 20, 7));
            while !pump.is_finished() {
                server.signal(Signal::HUP);
                std::thread::yield_now();
            }
        });
        server.assert_serves();
    }
}

/// L5: open connections that stay busy are served all through the drain.
#[test]
fn drain_serves_to_the_last() {
    for model in PARALLEL_MODELS {
        let mut server = serve("upper").at("tcp").model(model).args(&["--drain", "1m"]).start();
        let mut conn = server.dial();
        conn.ask(b"x", 1);
        server.signal(Signal::TERM);
        server.wait_for("draining");
        for _ in 0..500 {
            assert_eq!(conn.ask(b"x", 1), b"X");
        }
        assert!(server.is_alive(), "it waits for the connection");
        conn.finish();
        assert_eq!(conn.take_all(), b"");
        assert_eq!(server.wait().code(), Some(0));
        let drained = server.wait_for("drained");
        assert_eq!((&drained["served"], &drained["cut"]), (&1.into(), &0.into()), "{drained}");
    }
}
