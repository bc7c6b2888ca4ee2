//! What fails is told where it belongs: requests, connections, the warm-up; and a loss slows nothing
//! down.

use std::io::{Read, Write};
use std::net::{TcpListener, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;

use super::*;

/// B1, B2: one datagram in five is lost at the server: the rate is held, loss is what the server says,
/// to the datagram, and lost ones alone are no failure.
#[test]
fn lossy() {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("udp://{}", socket.local_addr().unwrap());
    let came = Arc::new(AtomicU64::new(0));
    let counted = Arc::clone(&came);
    thread::spawn(move || {
        let mut buffer = [0; 2000];
        loop {
            let (length, from) = socket.recv_from(&mut buffer).unwrap();
            if counted.fetch_add(1, Ordering::SeqCst) % 5 != 4 {
                buffer[..length].make_ascii_uppercase();
                socket.send_to(&buffer[..length], from).unwrap();
            }
        }
    });
    let words = ["--rate", "500", "-c", "2", "-t", "1s", "--warmup", "0s", "--timeout", "2s"];
    let output = bench(&[&[endpoint.as_str()], &words[..]].concat());
    assert_eq!(output.code, Some(0), "{output:?}");
    let report = result(&output);
    let came = came.load(Ordering::SeqCst);
    assert!((475..=500).contains(&came), "{came} of 500 were sent");
    assert_eq!((number(&report, "/begun"), number(&report, "/datagrams/sent")), (came, came));
    assert_eq!(number(&report, "/datagrams/lost"), came / 5);
    assert_eq!(number(&report, "/errors_by_kind/timeout"), came / 5);
    assert_eq!(number(&report, "/requests"), came - came / 5);
    assert!(report["depth"].is_null(), "{report}");
}

/// B1: a server that spoils its first answers, and is gone after a while: the warm-up, requests and
/// connections are told apart, in words too, and the status is 1.
#[test]
fn told_apart() {
    let serve = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
        thread::spawn(move || {
            let mut request = [0; 64];
            // One answer that is wrong; then right ones until the connection and the server end.
            let (mut first, _) = listener.accept().unwrap();
            first.read_exact(&mut request).unwrap();
            first.write_all(&request).unwrap();
            let (mut second, _) = listener.accept().unwrap();
            drop(listener);
            for _ in 0..200 {
                second.read_exact(&mut request).unwrap();
                request.make_ascii_uppercase();
                second.write_all(&request).unwrap();
            }
            second.read_exact(&mut request).unwrap();
        });
        endpoint
    };
    // 20 requests in the warm-up, of which the first is spoilt.
    let words = ["-c", "1", "--rate", "100", "-t", "3s", "--warmup", "200ms", "--timeout", "10s"];
    let output = bench(&[&[serve().as_str()], &words[..]].concat());
    assert_eq!(output.code, Some(1), "{output:?}");
    let report = result(&output);
    assert_eq!(report["warmup"]["errors_by_kind"]["wrong-answer"], 1, "{report}");
    assert_eq!(number(&report, "/errors_by_kind/closed"), 1);
    assert!(number(&report, "/connection_errors_by_kind/refused") > 0);
    assert_eq!(number(&report, "/whole_run/requests"), 200);
    let unsent = report["errors_by_kind"]["unsent"].as_u64().unwrap_or(0);
    let (begun, answered) = (number(&report, "/begun"), number(&report, "/requests"));
    assert_eq!(begun + unsent, answered + number(&report, "/errors"));

    let output = run(&[&["bench", &serve()], &words[..]].concat(), b"");
    assert_eq!(output.code, Some(1), "{output:?}");
    let text = output.stdout_text();
    for said in ["closed 1", "failed: refused ", "in the warm-up: 1 error: wrong-answer 1"] {
        assert!(text.contains(said), "{said:?} in {text}");
    }
    assert!(!text.contains("no errors"), "{text}");
}
