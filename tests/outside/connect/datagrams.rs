//! C4: datagram boundaries, empty and too long datagrams, and ports where nobody is.

use std::net::UdpSocket;

use super::peer::connect;
use crate::harness::{Launch, serve};

/// Several workers may answer the datagrams of one client in another order.
fn in_order(service: &str) -> Launch {
    serve(service).args(&["--workers", "1"])
}

/// C4, fault 26: each line is a datagram and is answered as one, over UDP and Unix.
#[test]
fn lines() {
    for transport in ["udp", "unixgram"] {
        let server = in_order("upper").at(transport).start();
        let endpoint = server.endpoint(transport);
        let output = connect(&["--hex", &endpoint], b"one\n\nlast");
        assert_eq!(output.code, Some(0), "{transport}: {output:?}");
        let text = output.stdout_text();
        for shown in ["|one.|", "|.|", "|last|", "|ONE.|", "|LAST|"] {
            assert!(text.contains(shown), "{transport}: {shown} in {text}");
        }
        assert!(text.lines().all(|line| line.starts_with("00000000 ")), "{transport}: {text}");
        let plain = connect(&[&endpoint], b"one\ntwo\n");
        assert_eq!(
            (plain.code, plain.stdout_text()),
            (Some(0), "ONE\nTWO\n".into()),
            "{transport}"
        );
    }
}

/// C4, fault 26: a blank line is an empty datagram with `--lines`, and its answer is kept.
#[test]
fn empty() {
    for transport in ["udp", "unixgram"] {
        let server = in_order("echo").at(transport).start();
        let output = connect(&["--lines", &server.endpoint(transport)], b"a\n\nb\n");
        assert_eq!(output.code, Some(0), "{transport}: {output:?}");
        assert_eq!(output.stdout_text(), "a\n\nb\n", "{transport}");
    }
}

/// C4, fault 26: 65,507 bytes are one datagram, 65,508 are told as too long.
#[test]
fn longest() {
    let server = serve("upper").at("udp").start();
    let endpoint = server.endpoint("udp");
    let output = connect(&["--whole", &endpoint], &[b'a'; 65_507]);
    assert_eq!((output.code, output.stdout.len()), (Some(0), 65_507), "{}", output.stderr);
    let output = connect(&["--whole", &endpoint], &[b'a'; 65_508]);
    let line = output.assert_one_line(1);
    assert!(line.contains("too long") && line.contains("65507"), "{line}");
    let output = connect(&[&endpoint], &vec![b'a'; 3_000_000]);
    assert!(output.assert_one_line(1).contains("longer than"), "{output:?}");
}

/// C4, fault 27: a closed port is an error, not silence.
#[test]
fn closed_port() {
    let free = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    for words in [vec![], vec!["--send-only"], vec!["--whole"]] {
        let endpoint = format!("udp://{free}");
        let words: Vec<&str> = words.into_iter().chain([endpoint.as_str()]).collect();
        let output = connect(&words, b"x\n");
        let line = output.assert_one_line(1);
        assert!(line.contains("nothing receives on that port"), "{words:?}: {line}");
    }
    let missing = connect(&["unixgram:/nonexistent/s"], b"x\n");
    assert!(missing.assert_one_line(1).contains("no socket file"), "{missing:?}");
}

/// C3 `--timeout`, C4: no answer within a time that was given is a failure; without one it ends.
#[test]
fn silence() {
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("udp://{}", silent.local_addr().unwrap());
    let output = connect(&["--timeout", "100ms", &endpoint], b"x\n");
    let line = output.assert_one_line(1);
    assert!(line.contains("timed out: no datagram came for 100ms"), "{line}");
    let output = connect(&[&endpoint], b"x\n");
    assert_eq!((output.code, output.stdout_text()), (Some(0), String::new()), "{output:?}");
}
