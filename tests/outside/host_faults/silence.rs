//! Ends that say nothing, read nothing, or stop in between: nobody waits for them for ever.

use std::io::Write;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::hostile::{Fake, Guest, Line, client_hello, commands, frame, kind, run_line};
use crate::harness::process::{children_of, rss_kib, state_of, throughout};
use crate::harness::remote::{Home, Host, text};
use crate::harness::{Conn, eventually};

/// Fault 49, P-L3: a server that takes the connection and says nothing: the client gives up in the
/// time of a handshake, and of a Hello, in words of their own.
#[test]
fn silent_servers() {
    let tcp = Fake::tcp(async |mut line: Line| line.wait_for_end().await);
    let unix = Fake::unix(async |mut line: Line| line.wait_for_end().await);
    let tls = Fake::tls(b"sockeye-host/1", async |mut line: Line| line.wait_for_end().await);
    let home = Home::new();
    let wait = |words: &[&str], what: &str| {
        let began = Instant::now();
        let output = home.run(&[&["exec"], words, &["-n", "--", "true"]].concat(), b"");
        let line = output.assert_one_line(255);
        assert!(line.contains(what), "{line}");
        assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
    };
    std::thread::scope(|scope| {
        scope.spawn(|| wait(&[&tcp.endpoint], "took too long"));
        scope.spawn(|| wait(&[&unix.endpoint], "did not say Hello"));
        scope.spawn(|| wait(&[&tls.endpoint, "--trust", &tls.fingerprint], "did not say Hello"));
    });
}

/// P-L3: the same where the Hello alone is waited for: with one of several keys.
#[test]
fn silent_servers_and_several_keys() {
    let silent = Fake::tls(b"sockeye-host/1", async |mut line: Line| line.wait_for_end().await);
    let home = Home::new();
    let other = home.path().join(".config/sockeye/id_ed25519");
    std::fs::create_dir_all(other.parent().expect("a directory")).expect("a directory for it");
    home.well(&["key", "new", "--no-passphrase", "-f", text(&other)]);
    let words = ["exec", &silent.endpoint, "--trust", &silent.fingerprint, "-n", "--", "true"];
    let began = Instant::now();
    let output = home.run(&words, b"");
    let line = output.assert_one_line(255);
    assert!(line.contains("did not say Hello"), "{line}");
    assert!(began.elapsed() < Duration::from_secs(25), "{:?}", began.elapsed());
}

/// P-L3: who came in and says nothing, or half a Hello, is sent away.
#[test]
fn silent_guests() {
    let host = Host::start();
    let mut nothing = Guest::enter(&host);
    let mut half = Guest::plug(&host);
    half.say(&client_hello()[..9]);
    for guest in [&mut nothing, &mut half] {
        let (heard, _) = guest.hear_all();
        assert!(heard.starts_with(b"sockeye!"), "{heard:?}");
    }
    let late = |e: &serde_json::Value| {
        e["why"].as_str().is_some_and(|why| why.contains("did not say Hello within 10 s"))
    };
    host.server.wait_events("late", 2, late);
}

/// Faults 38 and 39: a client that reads nothing of a flood holds the server's memory flat; when it
/// goes, whatever way, the flood ends.
#[test]
fn a_flood_that_nobody_reads() {
    let host = Host::start();
    let server = host.server.pid();
    for reset in [false, true] {
        let mut guest = Guest::enter(&host);
        guest.say(&[client_hello(), run_line(0, "exec yes")].concat());
        eventually("it runs", || commands(&host) > 0);
        let mut workers = children_of(server).into_iter();
        let worker = workers.find(|worker| !children_of(*worker).is_empty());
        let worker = worker.expect("a worker with a command");
        throughout(Duration::from_millis(300), || {
            assert!(rss_kib(worker) < 48 * 1024, "{} KiB", rss_kib(worker));
        });
        if reset {
            guest.reset();
            eventually("the flood is over", || commands(&host) == 0);
        } else {
            guest.fin();
            eventually("the flood is over", || commands(&host) == 0);
        }
    }
}

/// Fault 46, L2: a guest that breaks the protocol and reads nothing can keep neither what it started
/// nor its worker, however long it stays.
#[test]
fn a_fault_that_nobody_hears() {
    let host = Host::start();
    let mut guest = Guest::enter(&host);
    guest.say(&[client_hello(), run_line(0, "exec yes")].concat());
    eventually("it runs", || commands(&host) > 0);
    guest.say(&frame(0x7f, b""));
    eventually("its command is gone", || commands(&host) == 0);
    host.server.wait_for("closed");
    drop(guest);
}

/// Fault 46, P-F1: a guest that breaks the protocol in the middle of a flood gets whole frames up to
/// the end: the one that was on its way is not cut off.
#[test]
fn a_fault_in_a_flood() {
    let host = Host::start();
    let mut guest = Guest::plug(&host);
    guest.say(&[client_hello(), run_line(0, "exec yes")].concat());
    let waits = |pid: &u32| state_of(*pid) == Some('S');
    let flood = || host.tree().into_iter().filter(|pid| children_of(*pid).is_empty());
    eventually("the flood stands still", || commands(&host) > 0 && flood().all(|pid| waits(&pid)));
    guest.say(&frame(0x7f, b""));
    let (heard, _) = guest.hear_all();
    let mut rest = &heard[11 + usize::from(heard[10])..];
    let mut frames = 0;
    while let Some((header, behind)) = rest.split_first_chunk::<5>() {
        let length = u32::from_be_bytes([header[1], header[2], header[3], header[4]]) as usize;
        rest = behind.get(length..).expect("the last frame is whole");
        frames += 1;
    }
    assert!(rest.is_empty() && frames > 1, "{frames} frames, {} bytes behind", rest.len());
}

/// L5, T6: a server that is told to stop does not wait for those at its door, nor for handshakes
/// beyond their time.
#[test]
fn a_drain_with_strangers() {
    let mut host = Host::with(&["--drain", "20s"]);
    let endpoint = host.tls.replace("tls:", "tcp:");
    let mut crowd: Vec<Conn> = Vec::new();
    for said in [&b""[..], b"\x16", b"\x16\x03\x01\x02\x00\x01"].repeat(5) {
        let mut conn = Conn::dial(&endpoint).expect("it listens");
        conn.write_all(said).expect("it is sent");
        crowd.push(conn);
    }
    let mut halfway = Conn::dial(&endpoint).expect("it listens");
    super::door::begin_handshake(&mut halfway);
    let began = Instant::now();
    host.server.signal(Signal::TERM);
    assert_eq!(host.server.wait().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(12), "{:?}", began.elapsed());
    for conn in &mut crowd {
        conn.assert_ended();
    }
}

/// L5: keys that change while handshakes are under way: each is by the old key or by the new, and the
/// server lives.
#[test]
fn reloads_during_handshakes() {
    let host = Host::start();
    let pid = host.server.pid();
    std::thread::scope(|scope| {
        let guests = scope.spawn(|| {
            for _ in 0..30 {
                let mut guest = Guest::enter(&host);
                guest.say(&[client_hello(), run_line(0, "true")].concat());
                guest.hear_until(&[kind::ENDED, 0, 0, 0, 27]);
                guest.finish();
            }
        });
        while !guests.is_finished() {
            crate::harness::process::signal(pid, Signal::HUP);
            throughout(Duration::from_millis(20), || {});
        }
    });
    assert_eq!(host.line("echo well").stdout, b"well\n");
}
