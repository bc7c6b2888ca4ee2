//! Before anybody is known (fault 49, T6): time, bytes, places and penalties are bounded, and others
//! log in meanwhile.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use sockeye_limits as limits;
use sockeye_trust::{KeyPair, Signer};

use super::hostile::Guest;
use crate::harness::process::{children_of, fds_of, rss_kib, server_socket, signal, state_of};
use crate::harness::remote::Host;
use crate::harness::{Conn, eventually};

/// Worker processes that wait where nobody is served.
const POOL: usize = 4;

pub(super) fn knock(host: &Host) -> Conn {
    Conn::dial(&format!("tcp://127.0.0.1:{}", host.port())).expect("the server listens")
}

/// The same from another address of this machine.
fn knock_from(host: &Host, last: u8) -> Conn {
    let source = IpAddr::V4(Ipv4Addr::new(127, 0, 0, last));
    Conn::dial_from(source, &format!("tcp://127.0.0.1:{}", host.port())).expect("it listens")
}

/// A true ClientHello: what our own client says first, caught by a listener.
pub(super) fn client_hello() -> Vec<u8> {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let to = listener.local_addr().expect("an address");
    let heard = std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().expect("the client comes");
        let mut header = [0; 5];
        stream.read_exact(&mut header).expect("a record");
        let mut record = vec![0; usize::from(header[3]) << 8 | usize::from(header[4])];
        stream.read_exact(&mut record).expect("all of it");
        [&header[..], &record].concat()
    });
    let runtime = super::hostile::runtime();
    runtime.block_on(async {
        let tcp = tokio::net::TcpStream::connect(to).await.expect("it listens");
        let key = Arc::new(KeyPair::generate("x").expect("a key"));
        let any = sockeye_trust::tls::Expect::judge(|_| true);
        let failed = sockeye_trust::tls::connect(tcp, key, b"sockeye-host/1", any).await;
        assert!(failed.is_err());
    });
    heard.join().expect("it is heard")
}

/// Begins a handshake over this connection and waits for the server's part.
pub(super) fn begin_handshake(conn: &mut Conn) {
    conn.write_all(&client_hello()).expect("it is sent");
    let mut first = [0; 5];
    conn.read_exact(&mut first).expect("its ServerHello");
}

/// Waits until no connection is left and the pool is as it was: how many descriptors that takes.
fn settled(host: &Host) -> usize {
    let (server, pid) = (&host.server, host.server.pid());
    eventually("no connection is open", || server.count("closed") == server.count("accepted"));
    let mut found = 0;
    eventually("the pool is at rest", || {
        found = fds_of(pid).len();
        let workers = children_of(pid);
        let waits = |worker: &u32| state_of(*worker) == Some('S');
        workers.len() == POOL && workers.iter().all(waits) && fds_of(pid).len() == found
    });
    found
}

/// Logs in, again where a newcomer's bad luck at a crowded door turned it away.
fn logs_in(host: &Host) {
    let output = (0..20).map(|_| host.line("echo well")).find(|output| output.code == Some(0));
    assert_eq!(output.expect("one of twenty comes in").stdout, b"well\n");
}

/// Fault 49: half a ClientHello and then nothing is ended in time, told as slow, and costs neither
/// a place nor a worker.
#[test]
fn half_a_hello() {
    let host = Host::start();
    let hello = client_hello();
    logs_in(&host);
    settled(&host);
    let accepted = host.server.count("accepted");
    let began = Instant::now();
    let mut slow: Vec<Conn> = (0..3).map(|_| knock(&host)).collect();
    for (conn, len) in slow.iter_mut().zip([0, 1, hello.len() / 2]) {
        conn.write_all(&hello[..len]).expect("it is sent");
    }
    logs_in(&host);
    for conn in &mut slow {
        conn.assert_ended();
    }
    assert!(began.elapsed() >= Duration::from_secs(4), "that was too early");
    let slow = |e: &Value| e["why"].as_str().is_some_and(|why| why.contains("in time"));
    host.server.wait_events("slow", 3, slow);
    assert_eq!(host.server.count("accepted"), accepted + 1, "they cost places");
}

/// Fault 49, T6: a thousand peers with half a ClientHello: the door drops some, those who are quick
/// come in, and everything is given back afterwards.
#[test]
fn a_thousand_half_hellos() {
    let host = Host::start();
    logs_in(&host);
    let hello = client_hello();
    let pid = host.server.pid();
    let (before, memory) = (settled(&host), rss_kib(pid));
    let mut crowd = Vec::new();
    for n in 0..1000 {
        let mut conn = knock(&host);
        // It may have been dropped already.
        let _ = conn.write_all(&hello[..hello.len() / 2]);
        crowd.push(conn);
        if n % 250 == 249 {
            logs_in(&host);
        }
    }
    let crowded = |e: &Value| e["event"] == "refused" && e["why"] == "crowded";
    host.server.wait_event("crowded", crowded);
    assert!(fds_of(pid).len() < before + 400, "{} descriptors", fds_of(pid).len());
    assert!(rss_kib(pid) < memory + 16 * 1024, "{memory} KiB, then {}", rss_kib(pid));
    logs_in(&host);
    drop(crowd);
    eventually("its descriptors are back", || settled(&host) <= before);
}

/// Fault 49, T6: where it is crowded, the event names the one who had to go, not the newcomer.
#[test]
fn who_had_to_go() {
    let host = Host::start();
    let hello = client_hello();
    let mut crowd: Vec<Conn> = (0..200).map(|_| knock(&host)).collect();
    for conn in &mut crowd {
        // It may have had to go already.
        let _ = conn.write_all(&hello[..hello.len() / 2]);
    }
    let peers = |why: &str| -> BTreeSet<String> {
        let events = host.server.events().into_iter();
        let fits = events.filter(|e| e["why"].as_str().is_some_and(|text| text.contains(why)));
        fits.map(|e| e["peer"].as_str().expect("a peer").to_owned()).collect()
    };
    eventually("all are told of", || peers("crowded").len() + peers("in time").len() >= 200);
    let all: BTreeSet<String> = crowd.iter().map(|conn| conn.local().to_string()).collect();
    let (gone, late) = (peers("crowded"), peers("in time"));
    assert!(gone.is_disjoint(&late), "sent away and then late: {:?}", &gone & &late);
    assert_eq!(&gone | &late, all, "each is told of once");
}

/// Fault 49, T6: the whole ClientHello and then nothing: the handshake has its own time, and others
/// log in meanwhile.
#[test]
fn a_hello_and_nothing() {
    let host = Host::start();
    let hello = client_hello();
    let began = Instant::now();
    let mut silent: Vec<Conn> = (0..20).map(|_| knock(&host)).collect();
    for conn in &mut silent {
        conn.write_all(&hello).expect("it is sent");
    }
    host.server.wait_events("accepted", 20, |e| e["event"] == "accepted");
    logs_in(&host);
    for conn in &mut silent {
        // The server's own handshake comes, then its end.
        let mut all = Vec::new();
        let _ = conn.read_to_end(&mut all);
        assert!(!all.is_empty(), "no ServerHello");
    }
    assert!(began.elapsed() < Duration::from_secs(12), "they stayed {:?}", began.elapsed());
    let late = |e: &Value| e["why"].as_str().is_some_and(|why| why.contains("in time"));
    host.server.wait_events("late", 20, late);
}

/// T6: more handshakes at once than there is room for: the workers are bounded, others come in when
/// the time of the first is over at the latest, and the processes go again.
#[test]
fn many_hellos_and_nothing() {
    let host = Host::start();
    let hello = client_hello();
    let pid = host.server.pid();
    settled(&host);
    let mut silent: Vec<Conn> = (0..150).map(|_| knock(&host)).collect();
    for conn in &mut silent {
        let _ = conn.write_all(&hello);
    }
    host.server.wait_events("accepted", 64, |e| e["event"] == "accepted");
    let workers = children_of(pid).len();
    assert!(workers <= 64 + 8, "{workers} workers for those who are not known");
    drop(silent);
    logs_in(&host);
    settled(&host);
}

/// T6: before authentication nobody is listened to without bound: what never becomes a handshake is
/// ended after a few KiB.
#[test]
fn bytes_before_authentication() {
    let host = Host::start();
    let hello = client_hello();
    // A true beginning, then handshake records without end.
    let filler = [&[22, 3, 3, 0x40, 0][..], &[0; 0x4000]].concat();
    let mut conn = knock(&host);
    conn.write_all(&hello).expect("it is sent");
    let mut sent = 0;
    while conn.write_all(&filler).is_ok() {
        sent += filler.len();
        assert!(sent < 32 * 1024 * 1024, "it listens without end");
    }
    host.server.wait_for("rejected");
    logs_in(&host);
}

/// It is ended, after an alert at most.
fn assert_sent_away(conn: &mut Conn) {
    let mut said = Vec::new();
    // One that is barred, or one too many to be waited for, is reset.
    let _ = conn.read_to_end(&mut said);
    assert!(said.is_empty() || said == sockeye_trust::hello::FAREWELL, "{said:?}");
}

/// T6: a source that misbehaves is barred for a while, others are not; loopback counts where asked.
#[test]
fn penalties() {
    let host = Host::with(&["--penalize-loopback"]);
    for _ in 0..8 {
        let mut conn = knock_from(&host, 9);
        let _ = conn.write_all(b"GET / HTTP/1.1\r\n\r\n");
        assert_sent_away(&mut conn);
    }
    let barred = |e: &Value| e["event"] == "refused" && e["why"] == "penalty";
    let event = host.server.wait_event("penalty", barred);
    assert!(event["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.9")), "{event}");
    assert!(host.server.count("rejected") <= 5, "a few are free, more are not looked at");
    logs_in(&host);
    // The same from its true place, by a key that nobody knows.
    for _ in 0..8 {
        let key = Arc::new(KeyPair::generate("stranger").expect("a key"));
        if let Ok(mut guest) = Guest::enter_as(&host, key as Arc<dyn Signer>, b"sockeye-host/1") {
            let _ = guest.hear_all();
        }
    }
    let from = |e: &Value| {
        barred(e) && e["peer"].as_str().is_some_and(|peer| peer.starts_with("127.0.0.1:"))
    };
    host.server.wait_event("penalty for a key", from);
    let output = host.line("echo well");
    assert_eq!(output.code, Some(255), "it is barred as well: {output:?}");
    assert!(output.stderr.contains("closed the connection"), "{output:?}");
    // The Unix socket is another door.
    assert_eq!(host.exec_unix(&["-n", "--", "echo", "hi"], b"").stdout, b"hi\n");
}

/// T6: whoever has several keys may come in with the last of them, and may come for the first time,
/// as often as he likes: a success forgives what led to it.
#[test]
fn keys_before_the_right_one() {
    let host = Host::with(&["--penalize-loopback"]);
    for _ in 0..8 {
        for _ in 1..limits::IDENTITIES_MAX {
            let key = Arc::new(KeyPair::generate("another of mine").expect("a key"));
            let guest = Guest::enter_as(&host, key as Arc<dyn Signer>, b"sockeye-host/1");
            let _ = guest.expect("it is not barred").hear_all();
        }
        // A client that knows no server yet breaks its first handshake off.
        let _ = std::fs::remove_file(host.home.known_hosts());
        let output = host.line("echo well");
        assert_eq!((output.code, output.stdout_text().as_str()), (Some(0), "well\n"), "{output:?}");
    }
    assert_eq!(host.server.count("refused"), 0);
}

/// T6: handshakes that are broken off cost a worker each, so a source that does nothing else is
/// barred.
#[test]
fn handshakes_broken_off() {
    let host = Host::with(&["--penalize-loopback"]);
    let hello = client_hello();
    let barred = |e: &Value| e["event"] == "refused" && e["why"] == "penalty";
    eventually("it is barred", || {
        let mut conn = knock_from(&host, 9);
        // It may be barred already; else it goes as soon as the server's part comes.
        let _ = conn.write_all(&hello);
        let _ = conn.read(&mut [0]);
        conn.reset();
        host.server.events().iter().any(barred)
    });
    logs_in(&host);
}

/// T6: loopback is spared unless asked.
#[test]
fn loopback_is_spared() {
    let host = Host::start();
    for _ in 0..40 {
        let mut conn = knock(&host);
        let _ = conn.write_all(b"SSH-2.0-scanner\r\n");
        assert_sent_away(&mut conn);
    }
    assert_eq!(host.line("echo well").stdout, b"well\n");
    assert_eq!(host.server.count("refused"), 0);
}

/// T6: a worker process that is killed in the middle of a handshake hurts nobody else and is
/// replaced.
#[test]
fn worker_killed_in_the_handshake() {
    let host = Host::start();
    let pid = host.server.pid();
    eventually("workers wait", || children_of(pid).len() >= 4);
    let mut conn = knock(&host);
    begin_handshake(&mut conn);
    let server = std::net::SocketAddr::from(([127, 0, 0, 1], host.port()));
    let socket = server_socket(server, conn.local()).expect("the server's side of it");
    let holder = children_of(pid).into_iter().find(|worker| fds_of(*worker).contains(&socket));
    signal(holder.expect("a worker with the connection"), Signal::KILL);
    let mut rest = Vec::new();
    let _ = conn.read_to_end(&mut rest);
    let closed = host.server.wait_for("closed");
    assert_eq!((&closed["why"], &closed["signal"]), (&"worker-died".into(), &9.into()), "{closed}");
    logs_in(&host);
    eventually("it is replaced", || children_of(pid).len() >= 4);
}

/// T6: two thousand strangers one after another leave no memory, no descriptor, no process behind.
#[test]
fn two_thousand_strangers() {
    let host = Host::start();
    let pid = host.server.pid();
    let stranger = |host: &Host| {
        let mut conn = knock(host);
        let _ = conn.write_all(b"\x00\x01\x02");
        assert_sent_away(&mut conn);
    };
    (0..200).for_each(|_| stranger(&host));
    let (descriptors, memory) = (settled(&host), rss_kib(pid));
    (0..2000).for_each(|_| stranger(&host));
    assert!(rss_kib(pid) < memory + 4096, "{memory} KiB, then {}", rss_kib(pid));
    eventually("descriptors are back", || settled(&host) <= descriptors);
    assert_eq!(host.server.count("accepted"), 0);
    logs_in(&host);
}

/// T6: peers that go away at the door, by FIN or RST, before or after a part of their hello.
#[test]
fn comings_and_goings() {
    let host = Host::start();
    let hello = client_hello();
    logs_in(&host);
    let before = settled(&host);
    for round in 0..60 {
        let mut conn = knock(&host);
        let len = [0, 1, 5, 6, hello.len() - 1, hello.len()][round % 6];
        conn.write_all(&hello[..len]).expect("it is sent");
        if round % 2 == 0 {
            conn.reset();
        } else {
            conn.finish();
            conn.set_timeout(crate::harness::DEADLINE);
            let mut all = Vec::new();
            let _ = conn.read_to_end(&mut all);
        }
    }
    logs_in(&host);
    eventually("descriptors are back", || settled(&host) <= before);
}
