//! Every limit that an option sets (M6).

use std::net::{IpAddr, UdpSocket};
use std::time::Duration;

use crate::harness::conn::inet;
use crate::harness::process::{needs, tool};
use crate::harness::{Conn, MODELS, PARALLEL_MODELS, Server, eventually, run, serve};

fn order(server: &Server) -> Vec<String> {
    let told = server.events().into_iter().filter(|e| e["connection"].is_u64());
    told.map(|e| format!("{} {}", e["event"].as_str().unwrap(), e["connection"])).collect()
}

/// M6: --max-connections with --overflow queue: the third waits until one of the two ends.
#[test]
fn overflow_queue() {
    for model in PARALLEL_MODELS {
        let server =
            serve("upper").at("tcp").model(model).args(&["--max-connections", "2"]).start();
        let mut inside: Vec<Conn> = (0..2).map(|_| server.dial()).collect();
        for conn in &mut inside {
            assert_eq!(conn.ask(b"in", 2), b"IN");
        }
        let mut waiting = server.dial();
        std::io::Write::write_all(&mut waiting, b"waiting").unwrap();
        for conn in &mut inside {
            assert_eq!(conn.ask(b"still", 5), b"STILL");
        }
        waiting.assert_quiet();
        drop(inside.pop());
        assert_eq!(waiting.take_exact(7), b"WAITING");
        server.wait_event("accepted 3", |e| e["event"] == "accepted" && e["connection"] == 3);
        let told = order(&server);
        let at = |what: &str| told.iter().position(|t| t == what);
        let ended = told.iter().position(|t| t.starts_with("closed")).expect("one has ended");
        assert!(at("accepted 3") > Some(ended), "{model}: {told:?}");
        assert_eq!(server.count("refused"), 0);
    }
}

/// M6: --overflow refuse ends the surplus connection, reset with RST; both are told.
#[test]
fn overflow_refuse_and_reset() {
    for model in PARALLEL_MODELS {
        for overflow in ["refuse", "reset"] {
            let options = ["--max-connections", "2", "--overflow", overflow];
            let server = serve("upper").at("tcp").at("unix").model(model).args(&options).start();
            let mut first = server.dial();
            let mut second = Conn::dial(&server.endpoint("unix")).unwrap();
            assert_eq!((first.ask(b"a", 1), second.ask(b"b", 1)), (b"A".into(), b"B".into()));
            for scheme in ["tcp", "unix"] {
                let endpoint = server.endpoint(scheme);
                // A reset may come before connect has returned.
                let third = Conn::dial(&endpoint);
                let end = third.and_then(|mut conn| std::io::Read::read(&mut conn, &mut [0]));
                match (overflow, scheme) {
                    ("reset", "tcp") => {
                        let error = end.expect_err("reset").kind();
                        assert_eq!(error, std::io::ErrorKind::ConnectionReset, "{model}");
                    }
                    ("refuse", _) => assert_eq!(end.expect("a clean end"), 0, "{model}"),
                    _ => assert!(!matches!(end, Ok(1))),
                }
                let refused = server.wait_event("refused", |e| {
                    e["event"] == "refused" && e["endpoint"] == *endpoint
                });
                assert_eq!(refused["why"], "max-connections");
            }
            assert_eq!(first.ask(b"c", 1), b"C", "those inside are not hurt");
            drop(first);
            server.wait_for("closed");
            eventually("a place is free again", || {
                let mut conn = server.dial();
                std::io::Write::write_all(&mut conn, b"d").is_ok()
                    && std::io::Read::read(&mut conn, &mut [0]).is_ok_and(|n| n == 1)
            });
        }
    }
}

/// M6: --idle-timeout ends a silent connection and spares one that talks.
#[test]
fn idle_timeout() {
    for model in PARALLEL_MODELS {
        let launch = serve("upper").at("tcp").at("unix").model(model);
        let server = launch.args(&["--idle-timeout", "2s"]).start();
        let both = || ["tcp", "unix"].map(|s| Conn::dial(&server.endpoint(s)).unwrap());
        let mut busy = both();
        busy.iter_mut().for_each(|conn| assert_eq!(conn.ask(b"x", 1), b"X"));
        let mut silent = both();
        silent.iter_mut().for_each(|conn| assert_eq!(conn.ask(b"x", 1), b"X"));
        eventually("the silent ones are ended", || {
            busy.iter_mut().for_each(|conn| assert_eq!(conn.ask(b"x", 1), b"X", "not the busy"));
            server.count("closed") >= 2
        });
        for closed in server.events().iter().filter(|event| event["event"] == "closed") {
            assert!([3, 4].map(Into::into).contains(&closed["connection"]), "{model}: {closed}");
            assert_eq!(closed["why"], "idle-timeout", "{model}: {closed}");
            assert_eq!(closed["closed_first"], "us", "{model}: {closed}");
        }
        busy.iter_mut().for_each(|conn| assert_eq!(conn.ask(b"x", 1), b"X"));
        silent.iter_mut().for_each(Conn::assert_ended);
    }
}

/// M6: under the iterative model a silent client holds up the others for the idle timeout only.
#[test]
fn idle_timeout_iterative() {
    let server =
        serve("upper").at("tcp").model("iterative").args(&["--idle-timeout", "200ms"]).start();
    let mut silent = server.dial();
    server.wait_for("accepted");
    let mut next = server.dial();
    assert_eq!(next.ask(b"next", 4), b"NEXT");
    assert_eq!(server.wait_closed(1)["why"], "idle-timeout");
    silent.assert_ended();
}

/// Fault 14, M6: --max-lifetime is one deadline for all, not a new one with each byte.
#[test]
fn row_14_slowloris() {
    for model in MODELS {
        let options = ["--idle-timeout", "10s", "--max-lifetime", "600ms"];
        let server = serve("upper").at("tcp").model(model).args(&options).start();
        let mut conn = server.dial();
        let mut sent = 0;
        while std::io::Write::write_all(&mut conn, b"x").is_ok() {
            sent += 1;
            conn.set_timeout(Duration::from_millis(20));
            match std::io::Read::read(&mut conn, &mut [0; 64]) {
                Ok(0) => break,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => break,
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
            assert!(sent < 3000, "the deadline never comes");
        }
        assert!(sent > 1, "it is served until then");
        let closed = server.wait_closed(1);
        assert_eq!(closed["why"], "max-lifetime", "{model}: {closed}");
        assert!(closed["duration_ms"].as_f64().unwrap() >= 590.0, "{model}: {closed}");
        let mut next = server.dial();
        assert_eq!(next.ask(b"next", 4), b"NEXT");
    }
}

/// M6: --allow and --deny judge the peer's address; deny wins; files hold lists.
#[test]
fn allow_and_deny() {
    let ip = |text: &str| text.parse::<IpAddr>().unwrap();
    for model in MODELS {
        let launch = serve("upper").at("tcp").model(model);
        let list = launch.file("deny", "# not these\n127.7.0.0/16\n");
        let word = format!("@{}", list.display());
        let server = launch.args(&["--allow", "127.0.0.0/8", "--deny", &word]).start();
        let endpoint = server.endpoint("tcp");
        let mut denied = Conn::dial_from(ip("127.7.1.1"), &endpoint).unwrap();
        denied.assert_ended();
        let refused = server.wait_for("refused");
        assert_eq!(refused["why"], "denied", "{refused}");
        assert!(refused["peer"].as_str().unwrap().starts_with("127.7.1.1:"), "{refused}");
        let mut allowed = Conn::dial_from(ip("127.8.1.1"), &endpoint).unwrap();
        assert_eq!(allowed.ask(b"x", 1), b"X");
    }
}

/// M6: lists hold for datagrams too, and not for Unix peers, whom the file's mode judges.
#[test]
fn allow_list_for_datagrams() {
    for model in MODELS {
        let mut server = serve("upper")
            .at("udp")
            .at("unix")
            .at("unixgram")
            .model(model)
            .args(&["--allow", "192.0.2.0/24"])
            .start();
        let gram = crate::harness::Gram::dial(&server.endpoint("udp"), server.dir()).unwrap();
        gram.send(b"x");
        let refused = server.wait_for("refused");
        assert_eq!((&refused["why"], &refused["count"]), (&"denied".into(), &1.into()));
        let mut conn = Conn::dial(&server.endpoint("unix")).unwrap();
        assert_eq!(conn.ask(b"x", 1), b"X");
        let unix = crate::harness::Gram::dial(&server.endpoint("unixgram"), server.dir()).unwrap();
        assert_eq!(unix.ask(b"x"), b"X");
        drop(conn);
        server.stop();
        assert_eq!(gram.pending().len(), 0);
    }
}

/// M6: --once serves one connection and ends.
#[test]
fn once() {
    for model in MODELS {
        for transport in ["tcp", "unix"] {
            let mut server = serve("upper").at(transport).model(model).args(&["--once"]).start();
            let mut conn = server.dial();
            assert_eq!(conn.ask(b"once", 4), b"ONCE");
            let endpoint = server.first_endpoint();
            eventually("nobody else is let in", || Conn::dial(&endpoint).is_err());
            assert_eq!(conn.ask(b"still", 5), b"STILL");
            conn.finish();
            assert_eq!(conn.take_all(), b"");
            assert_eq!(server.wait().code(), Some(0), "{model}");
            assert_eq!(server.count("accepted"), 1);
        }
    }
}

/// M6: --backlog is what the kernel was told.
#[test]
fn backlog() {
    if !needs(&["ss"]) {
        return;
    }
    for model in MODELS {
        let server = serve("upper").at("tcp").model(model).args(&["--backlog", "7"]).start();
        let endpoint = server.endpoint("tcp");
        let (_, port) = endpoint.rsplit_once(':').unwrap();
        let shown = tool("ss", &["-ltnH", &format!("sport = :{port}")]);
        assert_eq!(shown.split_whitespace().nth(2), Some("7"), "{model}: {shown}");
    }
}

/// M6: --workers bounds the pool of processes; more connections than workers are all served.
#[test]
fn workers() {
    for model in ["process", "event"] {
        let server = serve("upper").at("tcp").model(model).args(&["--workers", "2"]).start();
        let mut conns: Vec<Conn> = (0..6).map(|_| server.dial()).collect();
        for conn in &mut conns {
            assert_eq!(conn.ask(b"x", 1), b"X", "{model}");
        }
    }
}

/// V2: --source-rate bounds the answers to one source and tells of the rest; others are answered.
#[test]
fn source_rate() {
    for model in MODELS {
        let mut server = serve("echo").at("udp").model(model).args(&["--source-rate", "5"]).start();
        let gram = server.gram();
        for _ in 0..100 {
            gram.send(b"x");
        }
        let refused = server.wait_for("refused");
        assert_eq!(refused["why"], "rate", "{refused}");
        let other = UdpSocket::bind("127.0.0.2:0").unwrap();
        other.set_read_timeout(Some(crate::harness::DEADLINE)).unwrap();
        other.send_to(b"y", inet(&server.endpoint("udp"))).unwrap();
        let mut answer = [0; 8];
        let n = other.recv(&mut answer).expect("another source has a rate of its own");
        assert_eq!(&answer[..n], b"y");
        server.stop();
        let answers = gram.pending().len();
        assert!((1..=50).contains(&answers), "{model}: {answers} answers at 5 a second");
    }
}

/// V2: upper has no rate unless asked, and --source-rate 0 is none.
#[test]
fn no_source_rate() {
    for words in [&["upper"][..], &["echo", "--source-rate", "0"]] {
        let server = serve(words[0]).at("udp").args(&words[1..]).start();
        let gram = server.gram();
        for _ in 0..2500 {
            gram.ask(b"a");
        }
        assert_eq!(server.count("refused"), 0);
    }
}

/// M5, M6: options that make no sense together are refused by name.
#[test]
fn senseless_cells() {
    let output = run(&["serve", "upper", "--model", "iterative", "--max-connections", "0"], b"");
    output.assert_one_line(2);
}
