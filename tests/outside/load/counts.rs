//! What `bench` says it has done is what the server says was done to it.

use super::*;
use crate::harness::serve;

const SHORT: [&str; 4] = ["--duration", "300ms", "--warmup", "50ms"];

/// B1: streams, one and several requests in flight, one and two threads: bytes as the server's closed
/// events have them, no errors, and the fields that the documentation names.
#[test]
fn streams() {
    for (transport, words) in [
        ("tcp", &["--depth", "16", "--workers", "2"][..]),
        ("unix", &["--rate", "500", "--workers", "1"][..]),
    ] {
        let mut server = serve("upper").at(transport).start();
        let endpoint = server.first_endpoint();
        let words = [&[endpoint.as_str(), "--connections", "5"], &SHORT[..], words].concat();
        let output = bench(&words);
        assert_eq!(output.code, Some(0), "{output:?}");
        let report = result(&output);
        assert_eq!(number(&report, "/whole_run/connections"), 5);
        let (came, went) = served(&server, 5);
        assert_eq!(number(&report, "/whole_run/bytes_sent"), came);
        assert_eq!(number(&report, "/whole_run/bytes_received"), went);
        assert_eq!(number(&report, "/whole_run/requests") * 64, came);
        let requests = number(&report, "/requests");
        assert!(requests > 0 && requests <= number(&report, "/whole_run/requests"));
        assert_eq!(number(&report, "/errors"), 0);
        assert!(report["requests_per_second"].as_f64().unwrap() > 0.0);
        assert!(report["errors_by_kind"].as_object().unwrap().is_empty());
        let latency = &report["latency_us"];
        let points = ["p50", "p90", "p99", "p999", "p9999", "max"];
        let points = points.map(|name| latency[name].as_f64().unwrap());
        assert!(points[0] > 0.0 && points.is_sorted(), "{latency}");
        server.stop();
    }
}

/// B1: a connection for each request: as many as the server has seen, each with one request.
#[test]
fn churn() {
    let mut server = serve("upper").at("tcp").start();
    let endpoint = server.first_endpoint();
    let words =
        [&[endpoint.as_str(), "--churn", "--connections", "3", "--rate", "200"], &SHORT[..]];
    let output = bench(&words.concat());
    assert_eq!(output.code, Some(0), "{output:?}");
    let report = result(&output);
    let connections = number(&report, "/whole_run/connections");
    assert_eq!(number(&report, "/whole_run/requests"), connections);
    // And the one that looked whether the server is there.
    let (came, _) = served(&server, connections + 1);
    assert_eq!(came, connections * 64);
    server.stop();
}

/// B1: datagrams on both kinds of socket: nothing is lost where nothing is crowded.
#[test]
fn datagrams() {
    for transport in ["udp", "unixgram"] {
        let mut server = serve("echo").at(transport).args(&["--source-rate", "0"]).start();
        let endpoint = server.first_endpoint();
        // An answer that is late on a busy machine is not lost.
        let patient = ["--verify", "echo", "--connections", "2", "--timeout", "10s"];
        let output = bench(&[&[endpoint.as_str()], &patient[..], &SHORT[..]].concat());
        assert_eq!(output.code, Some(0), "{output:?}");
        let report = result(&output);
        let sent = number(&report, "/datagrams/sent");
        assert!(sent > 0 && number(&report, "/requests") > 0);
        assert_eq!(number(&report, "/datagrams/received"), sent);
        assert_eq!(number(&report, "/datagrams/lost"), 0);
        assert_eq!(number(&report, "/whole_run/bytes_sent"), sent * 64);
        server.stop();
    }
}

/// B1: a server that answers otherwise than was said: exit 1, the errors by kind, and what to do.
#[test]
fn otherwise() {
    let mut server = serve("echo").at("tcp").start();
    let endpoint = server.first_endpoint();
    let output = bench(&[&[endpoint.as_str(), "--connections", "2"], &SHORT[..]].concat());
    assert_eq!(output.code, Some(1), "{output:?}");
    let report = result(&output);
    assert_eq!(number(&report, "/requests"), 0);
    assert!(number(&report, "/errors_by_kind/wrong-answer") > 0);
    assert!(report["error_examples"]["wrong-answer"].as_str().unwrap().contains("--verify echo"));
    assert!(report["latency_us"]["p50"].is_null());
    server.stop();
}
