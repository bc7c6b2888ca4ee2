//! Peers that go away, stop reading, close twice or talk too much.

use std::io::{ErrorKind, Read, Write};
use std::time::{Duration, Instant};

use crate::harness::bytes::{Random, assert_same};
use crate::harness::process::{children_of, rss_kib};
use crate::harness::{Conn, MODELS, PARALLEL_MODELS, Server, run, serve};

const STREAMS: [&str; 2] = ["tcp", "unix"];

/// Fault 8: writing to a peer that is gone ends that connection, not the server (no SIGPIPE).
#[test]
fn row_08_write_to_closed_peer() {
    for model in MODELS {
        for transport in STREAMS {
            let server = serve("chargen").at(transport).model(model).start();
            for number in 1..=5 {
                let mut conn = server.dial();
                conn.take_exact(1000);
                drop(conn);
                let closed = server.wait_closed(number);
                assert_eq!(closed["why"], "reset", "{model} over {transport}: {closed}");
            }
            assert_eq!(server.dial().take_exact(1000).len(), 1000);
        }
    }
}

/// Fault 9, L2: a reset in the middle of bulk data is that connection's end only, told as reset.
#[test]
fn row_09_reset_in_mid_write() {
    for model in PARALLEL_MODELS {
        for transport in STREAMS {
            let server = serve("upper").at(transport).model(model).start();
            let mut bystander = server.dial();
            assert_eq!(bystander.ask(b"before", 6), b"BEFORE");
            for number in 2..=6 {
                let mut conn = server.dial();
                conn.socket().set_nonblocking(true).unwrap();
                fill(&mut conn, Duration::from_millis(50), 64 << 20);
                conn.reset();
                let closed = server.wait_closed(number);
                assert_eq!(closed["why"], "reset", "{model} over {transport}: {closed}");
                assert_eq!(bystander.ask(b"still", 5), b"STILL");
            }
        }
    }
}

/// Writes without reading until nothing more is taken for `patience`, and returns how much was.
fn fill(conn: &mut Conn, patience: Duration, limit: usize) -> usize {
    let chunk = Random::new(5).bytes(65_536);
    let (mut taken, mut last) = (0, Instant::now());
    while last.elapsed() < patience && taken < limit {
        match conn.write(&chunk) {
            Ok(n) => (taken, last) = (taken + n, Instant::now()),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(1));
            }
            Err(error) => panic!("the server ended it: {error}"),
        }
    }
    taken
}

/// Fault 10, L3: half-close with either side first: the other direction is completed.
#[test]
fn row_10_half_close_either_side_first() {
    for model in MODELS {
        for transport in STREAMS {
            let server = serve("upper").at(transport).model(model).start();
            let request = Random::new(10).bytes(500_000);
            let mut conn = server.dial();
            let mut writer = conn.try_clone();
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    writer.write_all(&request).unwrap();
                    writer.finish();
                });
                assert_same(&conn.take_all(), &request.to_ascii_uppercase(), 0);
            });
            let closed = server.wait_closed(1);
            assert_eq!((&closed["why"], &closed["closed_first"]), (&"end".into(), &"peer".into()));

            // The server's FIN first: we may still finish what we are saying.
            let server = serve("daytime").at(transport).model(model).start();
            let mut conn = server.dial();
            assert!(!conn.take_all().is_empty());
            conn.write_all(b"thank you").unwrap();
            conn.finish();
            let closed = server.wait_closed(1);
            assert_eq!((&closed["why"], &closed["closed_first"]), (&"end".into(), &"us".into()));
        }
    }
}

/// Fault 11, L3: a reply is not lost because its asker said more than was read: close(2) with
/// unread input would reset the connection and the reply with it.
#[test]
fn row_11_close_with_unread_input() {
    for model in MODELS {
        for transport in STREAMS {
            let server = serve("daytime").at(transport).model(model).start();
            for round in 0..20 {
                let mut conn = server.dial();
                conn.write_all(&Random::new(round).bytes(200_000)).unwrap();
                conn.finish();
                let reply = conn.take_all();
                assert!(reply.ends_with(b"\r\n"), "{model} over {transport}: {reply:?}");
            }
        }
    }
}

/// Fault 11: draining unread input is bounded: a peer that talks on and on is not listened to
/// forever.
#[test]
fn row_11_endless_input() {
    for model in PARALLEL_MODELS {
        let server = serve("daytime").at("tcp").model(model).start();
        let mut conn = server.dial();
        let chunk = [b'x'; 65_536];
        let mut sent = 0_u64;
        while conn.write_all(&chunk).is_ok() {
            sent += chunk.len() as u64;
            assert!(sent < 1 << 32, "it is never ended");
        }
        server.wait_closed(1);
    }
}

/// Resident memory of a server and its workers, in KiB.
fn memory(server: &Server) -> u64 {
    let workers = children_of(server.pid());
    rss_kib(server.pid()) + workers.into_iter().map(rss_kib).sum::<u64>()
}

/// Fault 16, L2: a client that sends and never reads is not read any more; memory stays flat and
/// the others are served.
#[test]
fn row_16_reader_that_never_reads() {
    for model in PARALLEL_MODELS {
        for transport in STREAMS {
            let server = serve("echo").at(transport).model(model).start();
            let mut good = server.dial();
            good.ask(b"x", 1);
            let before = memory(&server);
            let mut deaf: Vec<Conn> = (0..4).map(|_| server.dial()).collect();
            for conn in &mut deaf {
                conn.socket().set_nonblocking(true).unwrap();
                let taken = fill(conn, Duration::from_millis(200), 64 << 20);
                assert!(taken < 64 << 20, "{model} over {transport}: back-pressure");
            }
            assert_eq!(good.ask(b"unhurt", 6), b"unhurt");
            // A worker process of its own each, at most, with a few hundred KiB of buffers.
            let grown = memory(&server).saturating_sub(before);
            assert!(grown < 32 << 10, "{model} over {transport}: {grown} KiB more");
        }
    }
}

/// Fault 16: chargen to a client that never reads waits; others are served.
#[test]
fn row_16_chargen_unread() {
    for model in PARALLEL_MODELS {
        let server = serve("chargen").at("tcp").model(model).start();
        let deaf: Vec<Conn> = (0..8).map(|_| server.dial()).collect();
        server.wait_events("accepted", 8, |event| event["event"] == "accepted");
        assert_eq!(server.dial().take_exact(100_000).len(), 100_000);
        drop(deaf);
        server.wait_events("closed", 9, |event| event["event"] == "closed");
    }
}

/// L2: a peer that says nothing, ever, is nobody's burden.
#[test]
fn silence_hurts_nobody() {
    for model in PARALLEL_MODELS {
        let server = serve("upper").at("tcp").at("unix").model(model).start();
        let silent: Vec<Conn> = (0..20).map(|_| server.dial()).collect();
        for _ in 0..20 {
            server.assert_serves();
        }
        assert!(silent.iter().all(|conn| {
            conn.assert_quiet();
            true
        }));
    }
}

/// Q4, L2: garbage of all kinds ends nothing.
#[test]
fn garbage() {
    for model in MODELS {
        let server = serve("upper").at("tcp").model(model).start();
        let lines: [&[u8]; 4] = [
            b"GET / HTTP/1.1\r\n\r\n",
            b"\x16\x03\x01\x02\x00\x01\x00\x01",
            b"\0\0\0\0",
            b"\xff\xfe",
        ];
        for garbage in lines {
            let mut conn = server.dial();
            assert_eq!(conn.ask(garbage, garbage.len()), garbage.to_ascii_uppercase());
        }
        // Out-of-band data is not in the stream (tcp(7), MSG_OOB): the rest passes in order.
        let mut conn = server.dial();
        conn.write_all(b"ab").unwrap();
        conn.socket().send_out_of_band(b"!").unwrap();
        conn.write_all(b"cd").unwrap();
        conn.finish();
        let mut got = Vec::new();
        conn.read_to_end(&mut got).unwrap();
        assert_eq!(String::from_utf8_lossy(&got).replace('!', ""), "ABCD");
        server.assert_serves();
    }
}

/// Fault 24: a client whose own port is the target's connects to itself; that is told.
#[test]
fn row_24_self_connect() {
    // Bound for a moment to learn of a free port; nobody listens there.
    let free = std::net::TcpListener::bind("127.24.0.1:0").unwrap().local_addr().unwrap();
    let output = run(
        &["connect", &format!("tcp://{free}"), "--source", &free.to_string(), "--timeout", "3s"],
        b"anyone?\n",
    );
    let line = output.assert_one_line(1);
    assert!(line.contains("itself"), "{line}");
}
