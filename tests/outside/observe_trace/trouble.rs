//! Rows of the table of faults, as they look in a trace.

use std::time::Instant;

use super::{Told, flags, trace};
use crate::harness::namespace::{SYNS, cover, in_namespace, nft};
use crate::harness::process::tool;
use crate::harness::{eventually, serve};

/// A chain that drops what comes in: behind the place where packets are captured, so that what was
/// lost is seen as well.
fn firewall() {
    nft("add table inet t");
    nft("add chain inet t in { type filter hook input priority 0; policy accept; }");
}

/// O1: a refused connection is a history too: SYN, RST, exit 1 with cause and remedy.
#[test]
fn refused() {
    in_namespace("observe_trace::trouble::refused", &[], || {
        let told = trace(&["9000"]).exits(1);
        assert_eq!(told.packets(), ["> SYN 0/- 0", "< RST,ACK 1/1 0"]);
        assert!(told.output.stderr.contains("nothing listens"), "{}", told.output.stderr);
    });
}

/// The SYN alone, more than once.
#[track_caller]
fn only_syns(told: &Told) {
    let packets = told.packets();
    assert!(packets.len() >= 2, "{packets:?}");
    assert!(packets.iter().all(|packet| packet == "> SYN 0/- 0"), "{packets:?}");
}

/// O1: a SYN that nothing answers is drawn as often as it was sent.
#[test]
fn unanswered() {
    in_namespace("observe_trace::trouble::unanswered", &["nft"], || {
        firewall();
        nft("add rule inet t in tcp dport 9000 drop");
        let told = trace(&["9000", "--timeout", "2s"]).exits(1);
        only_syns(&told);
        assert!(told.output.stderr.contains("timed out"), "{}", told.output.stderr);
    });
}

/// Fault 18: under a SYN flood a real client's handshake comes through, and the trace shows it alone.
#[test]
fn row_18_syn_flood() {
    in_namespace("observe_trace::trouble::row_18_syn_flood", &["nft", "python3"], || {
        tool("ip", &["address", "add", "10.77.0.0/16", "dev", "lo"]);
        firewall();
        nft("add rule inet t in ip daddr 10.77.3.0-10.77.255.255 drop");
        let options = ["--backlog", "16"];
        let _server = serve("upper").on("tcp://10.77.0.1:9000").args(&options).start();
        tool("python3", &["-c", SYNS, "9000", "500"]);
        let told = trace(&["10.77.0.1:9000", "--send", "hello"]).exits(0);
        let packets = told.packets();
        assert_eq!(packets[..3], ["> SYN 0/- 0", "< SYN,ACK 0/1 0", "> ACK 1/1 0"], "{packets:#?}");
        assert_eq!(packets.iter().filter(|packet| packet.contains("SYN")).count(), 2);
    });
}

/// Fault 19, O4: an accept queue that is full: the SYN is sent again and again, and the cause named.
#[test]
fn row_19_accept_queue() {
    in_namespace("observe_trace::trouble::row_19_accept_queue", &["ss"], || {
        let options = ["--backlog", "1"];
        let server =
            serve("upper").on("tcp://127.0.0.1:9000").model("iterative").args(&options).start();
        let mut conns: Vec<_> = vec![server.dial()];
        assert_eq!(conns[0].ask(b"x", 1), b"X");
        // One is served, two wait where one may; the next finds no place.
        conns.extend((0..2).map(|_| server.dial()));
        eventually("the queue is full", || {
            let all = tool("ss", &["-tlnH", "sport = :9000"]);
            all.split_whitespace().nth(1).is_some_and(|waiting| waiting == "2")
        });
        let told = trace(&["9000", "--timeout", "2s"]).exits(1);
        only_syns(&told);
        assert!(told.output.stderr.contains("accept queue"), "{}", told.output.stderr);
    });
}

/// Fault 20, O4: no port left: nothing is sent, and the cause is named.
#[test]
fn row_20_no_ports_left() {
    in_namespace("observe_trace::trouble::row_20_no_ports_left", &["sysctl"], || {
        let server = serve("upper").on("tcp://127.0.0.1:9000").start();
        tool("sysctl", &["-qw", "net.ipv4.ip_local_port_range=40000 40009"]);
        let _conns: Vec<_> = (0..10).map(|_| server.dial()).collect();
        let told = trace(&["9000"]).exits(1);
        assert!(told.packets().is_empty(), "{:?}", told.packets());
        assert!(told.output.stderr.contains("ip_local_port_range"), "{}", told.output.stderr);
        let connect = told.of("call").into_iter().rfind(|call| call["call"] == "connect").unwrap();
        assert!(connect["error"].as_str().unwrap().starts_with("EADDRNOTAVAIL"), "{connect}");
    });
}

/// Fault 25: a resolver that does not answer is given up in bounded time; of several addresses each
/// attempt is drawn until one connects.
#[test]
fn row_25_names() {
    in_namespace("observe_trace::trouble::row_25_names", &["nft", "mount"], || {
        let dir = tempfile::tempdir().unwrap();
        cover("/etc/resolv.conf", "nameserver 127.0.0.53\n", dir.path());
        cover("/etc/nsswitch.conf", "hosts: files dns\n", dir.path());
        cover("/etc/hosts", "::1 both.example\n127.0.0.1 both.example\n", dir.path());
        firewall();
        nft("add rule inet t in udp dport 53 drop");
        let start = Instant::now();
        let told = trace(&["tcp://host.example:9000", "--timeout", "2s"]).exits(1);
        assert!(told.output.stderr.contains("host.example"), "{}", told.output.stderr);
        assert!(start.elapsed().as_secs() < 8, "{:?} for a timeout of 2 s", start.elapsed());
        let _server = serve("upper").on("tcp://127.0.0.1:9000").start();
        let told = trace(&["both.example:9000", "--send", "hello"]).exits(0);
        assert_eq!(told.of("verdict").len(), 2, "{:#?}", told.lines);
        assert_eq!(told.packets()[..2], ["> SYN 0/- 0", "< RST,ACK 1/1 0"]);
    });
}

/// Fault 30: three of ten packets are lost, and the conversation comes through; the history has each
/// retransmission.
#[test]
fn row_30_loss() {
    in_namespace("observe_trace::trouble::row_30_loss", &["nft"], || {
        firewall();
        nft(
            "add rule inet t in tcp dport 9000 numgen inc mod 10 vmap { 0 : drop, 3 : drop, 6 : drop }",
        );
        let _server = serve("upper").on("tcp://127.0.0.1:9000").start();
        let words =
            ["9000", "--send", "one", "--send", "two", "--send", "three", "--timeout", "30s"];
        let told = trace(&words).exits(0);
        let verdict = told.verdict();
        let again = verdict["retransmissions"].as_u64().unwrap();
        assert!(again >= 2, "{verdict} {:#?}", told.packets());
        let marked =
            told.of("packet").into_iter().filter(|s| s.to_string().contains("retransmission"));
        assert!(marked.count() >= 2, "{:#?}", told.lines);
    });
}

/// Fault 30, O1: the first SYN,ACK is lost behind the capture: both ends say theirs again, the client is
/// never in SYN-RECEIVED, and how long the answer took is not told.
#[test]
fn row_30_lost_syn_ack() {
    in_namespace("observe_trace::trouble::row_30_lost_syn_ack", &["nft"], || {
        firewall();
        nft("add rule inet t in tcp sport 9000 tcp flags & (syn | ack) == syn | ack \
             limit rate 1/day burst 1 packets drop");
        let _server = serve("upper").on("tcp://127.0.0.1:9000").start();
        let told = trace(&["9000", "--send", "hello"]).exits(0);
        let syns: Vec<_> =
            told.of("packet").into_iter().filter(|p| flags(p).contains("SYN")).collect();
        let sent: Vec<String> = syns.iter().map(|packet| flags(packet)).collect();
        assert_eq!(sent[..2], ["SYN", "SYN,ACK"], "{syns:#?}");
        assert!(sent[2..].contains(&"SYN".into()) && sent[2..].contains(&"SYN,ACK".into()));
        for again in &syns[2..] {
            assert!(again["notes"].to_string().contains("retransmission"), "{again}");
        }
        for packet in told.of("packet") {
            assert_ne!(packet["client"], "SYN-RECEIVED", "{packet}");
        }
        let verdict = told.verdict();
        assert_eq!(verdict["retransmissions"].as_u64(), Some(syns.len() as u64 - 2), "{verdict}");
        assert_eq!(
            (&verdict["opening"], verdict["sides"][1]["copies"].as_u64()),
            (&"handshake".into(), Some(0))
        );
        assert!(verdict["explained"].to_string().contains("had to be repeated"), "{verdict}");
    });
}

/// Fault 31: the way is too narrow for long packets and nothing says so: it times out, and the cause is
/// named.
#[test]
fn row_31_black_hole() {
    in_namespace("observe_trace::trouble::row_31_black_hole", &["nft"], || {
        tool("ip", &["link", "set", "lo", "mtu", "1500"]);
        firewall();
        nft("add rule inet t in meta length > 700 drop");
        let _server = serve("discard").on("tcp://127.0.0.1:9000").start();
        let long = "x".repeat(5000);
        let told = trace(&["9000", "--send", &long, "--timeout", "4s"]).exits(1);
        assert!(told.output.stderr.contains("black hole"), "{}", told.output.stderr);
        let verdict = told.verdict();
        assert!(verdict.to_string().contains("black hole"), "{verdict}");
    });
}
