//! Packets that never arrive, and ports that are used up.

use std::fs;

use crate::harness::conn::inet;
use crate::harness::files::{Site, noise};
use crate::harness::namespace::{SYNS, firewall, in_namespace, nft, no_firewall};
use crate::harness::process::{skip, tool};
use crate::harness::remote::text;
use crate::harness::{Conn, MODELS, eventually, run, serve};

/// Fault 12, L3: both sides say their end at once; both connections end cleanly.
#[test]
fn row_12_both_close_at_once() {
    in_namespace("faults_net::packets::row_12_both_close_at_once", &["nft", "ss"], || {
        for model in MODELS {
            firewall();
            let server = serve("time").at("tcp").model(model).start();
            // Held back until both have sent theirs: the kernel sends them again later.
            nft("add rule inet t out tcp flags & fin == fin drop");
            let mut conn = server.dial();
            // The answer travels with the FIN or just before it; ours must not wait for it.
            conn.finish();
            let port = conn.local().port();
            eventually("both wait for the other's answer to their FIN", || {
                let all =
                    tool("ss", &["-tanH", &format!("( sport = :{port} or dport = :{port} )")]);
                all.lines().filter(|line| line.starts_with("FIN-WAIT-1")).count() == 2
            });
            no_firewall();
            assert_eq!(conn.take_all().len(), 4, "{model}");
            let closed = server.wait_closed(1);
            assert_eq!(closed["why"], "end", "{model}: {closed}");
            assert_eq!(server.dial().take_all().len(), 4);
        }
    });
}

/// Fault 13, E5, L2: a peer that vanishes without a word is found out by keepalive.
#[test]
fn row_13_silent_dead_peer() {
    in_namespace("faults_net::packets::row_13_silent_dead_peer", &["nft"], || {
        for model in MODELS {
            firewall();
            let options = ["--set", "keepalive=1s", "--set", "keepintvl=1s", "--set", "keepcnt=2"];
            let server = serve("upper").at("tcp").model(model).args(&options).start();
            let mut conn = server.dial();
            assert_eq!(conn.ask(b"x", 1), b"X");
            let port = conn.local().port();
            nft(&format!("add rule inet t out tcp dport {port} drop"));
            nft(&format!("add rule inet t out tcp sport {port} drop"));
            let closed = server.wait_closed(1);
            assert_eq!(closed["why"], "silence", "{model}: {closed}");
            server.assert_serves();
            no_firewall();
        }
    });
}

/// Fault 13, E5: with data on its way, the user timeout ends it.
#[test]
fn row_13_user_timeout() {
    in_namespace("faults_net::packets::row_13_user_timeout", &["nft"], || {
        for model in MODELS {
            firewall();
            let options = ["--set", "user-timeout=1s"];
            let server = serve("chargen").at("tcp").model(model).args(&options).start();
            let mut conn = server.dial();
            conn.take_exact(1000);
            let port = conn.local().port();
            nft(&format!("add rule inet t out tcp dport {port} drop"));
            nft(&format!("add rule inet t out tcp sport {port} drop"));
            let closed = server.wait_closed(1);
            assert_eq!(closed["why"], "silence", "{model}: {closed}");
            no_firewall();
            assert_eq!(server.dial().take_exact(100).len(), 100);
        }
    });
}

/// A counter of /proc/net/netstat, a table of two lines for each group: names, then values.
fn counter(name: &str) -> u64 {
    let text = std::fs::read_to_string("/proc/self/net/netstat").expect("counters");
    let lines: Vec<&str> = text.lines().collect();
    let mut columns =
        lines.chunks(2).flat_map(|pair| pair[0].split_whitespace().zip(pair[1].split_whitespace()));
    let (_, value) = columns.find(|(column, _)| *column == name).expect("a counter of that name");
    value.parse().expect("a number")
}

/// Fault 18, O3, O5: under a SYN flood the kernel answers with cookies, which is counted and shown, and
/// a real client gets in.
#[test]
fn row_18_syn_flood() {
    in_namespace("faults_net::packets::row_18_syn_flood", &["nft", "python3"], || {
        // A whole block on the loopback interface is local; what is sent to its other addresses
        // is dropped, so that nobody resets the half-open connections.
        tool("ip", &["address", "add", "10.77.0.0/16", "dev", "lo"]);
        firewall();
        nft("add rule inet t out ip daddr 10.77.3.0-10.77.255.255 drop");
        for model in ["thread", "process", "event"] {
            let server = serve("upper")
                .on("tcp://10.77.0.1:0")
                .model(model)
                .args(&["--backlog", "16"])
                .start();
            let port = inet(&server.endpoint("tcp")).port().to_string();
            let before = counter("SyncookiesSent");
            tool("python3", &["-c", SYNS, &port, "500"]);
            assert!(counter("SyncookiesSent") > before, "the queue of half-open ones is full");
            let output = run(&["connect", &server.endpoint("tcp")], b"hello\n");
            assert_eq!(output.stdout_text(), "HELLO\n", "{model}: {}", output.stderr);
            server.assert_serves();
        }
        let ports = run(&["ports", "--json"], b"").stdout_text();
        let summary: serde_json::Value =
            serde_json::from_str(ports.lines().last().unwrap()).unwrap();
        assert_eq!(summary["counters"]["syn_cookies_sent"], counter("SyncookiesSent"));
        let tune = run(&["ports", "--tune"], b"").stdout_text();
        assert!(tune.contains("SYNs were answered with cookies"), "{tune}");
    });
}

/// Fault 20, O4: no local port left towards an address: cause and remedy are told.
#[test]
fn row_20_no_ports_left() {
    in_namespace("faults_net::packets::row_20_no_ports_left", &["sysctl"], || {
        let server = serve("upper").on("tcp://127.0.0.1:9000").start();
        tool("sysctl", &["-qw", "net.ipv4.ip_local_port_range=40000 40009"]);
        let conns: Vec<Conn> = (0..10).map(|_| server.dial()).collect();
        let output = run(&["connect", &server.endpoint("tcp")], b"hello\n");
        let line = output.assert_one_line(1);
        assert!(line.contains("port") && line.contains("ip_local_port_range"), "{line}");
        drop(conns);
        server.wait_events("closed", 10, |event| event["event"] == "closed");
    });
}

/// Fault 9, L2: a connection that the kernel destroys (`ss -K`) ends alone.
#[test]
fn row_09_destroyed_socket() {
    in_namespace("faults_net::packets::row_09_destroyed_socket", &["ss"], || {
        for model in MODELS {
            let server = serve("upper").at("tcp").model(model).start();
            let mut conn = server.dial();
            assert_eq!(conn.ask(b"x", 1), b"X");
            let port = conn.local().port();
            let killed = tool("ss", &["-KtnH", &format!("dport = :{port}")]);
            if killed.trim().is_empty() {
                skip("a kernel with INET_DIAG_DESTROY");
                return;
            }
            let closed = server.wait_closed(1);
            assert!(closed["why"] != "end", "{model}: {closed}");
            server.assert_serves();
        }
    });
}

/// Fault 13, C2: a server that vanishes: the client's --timeout ends it, in its own words.
#[test]
fn row_13_client_gives_up() {
    in_namespace("faults_net::packets::row_13_client_gives_up", &["nft"], || {
        firewall();
        nft("add rule inet t out tcp dport 9 drop");
        let output = run(&["connect", "tcp://127.0.0.1:9", "--timeout", "1s"], b"hello\n");
        let line = output.assert_one_line(1);
        assert!(line.contains("timed out") || line.contains("timeout"), "{line}");
    });
}

/// Fault 30, L2: a network that loses three packets of ten, whatever is in them, slows a transfer
/// down, and that is all.
#[test]
fn row_30_loss() {
    in_namespace("faults_net::packets::row_30_loss", &["nft"], || {
        // As on a real network; else all of it were a few packets.
        tool("ip", &["link", "set", "lo", "mtu", "1500"]);
        for model in MODELS {
            firewall();
            let server = serve("upper").at("tcp").model(model).start();
            let mut conn = server.dial();
            // Counted and not by lot: with bad luck the pause before the next attempt, which doubles,
            // were longer than anybody waits.
            nft("add rule inet t out numgen inc mod 10 < 3 drop");
            assert_eq!(conn.ask(b"x", 1), b"X");
            conn.pump("upper", 100_000, 30);
            let dropped = tool("nft", &["list", "ruleset"]);
            assert!(dropped.contains("numgen"), "{dropped}");
            no_firewall();
        }
    });
}

/// Fault 30, X3, F2: a line of 64 kbit/s carries a handshake, a file and a command's output, byte for
/// byte.
#[test]
fn row_30_slow_line() {
    in_namespace("faults_net::packets::row_30_slow_line", &["tc"], || {
        let site = Site::new();
        let content = noise(30, 30_000);
        fs::write(site.here("sent"), &content).unwrap();
        tool("ip", &["link", "set", "lo", "mtu", "1500"]);
        let line = ["rate", "64kbit", "burst", "3000", "limit", "64kb"];
        tool("tc", &[&["qdisc", "add", "dev", "lo", "root", "tbf"], &line[..]].concat());
        let output = site.secured(&["cp", "sent", "HOST:came"]);
        assert_eq!(output.code, Some(0), "{output:?}");
        assert!(fs::read(site.there("came")).unwrap() == content);
        let output = site.host.exec(&["-n", "--", "cat", text(&site.there("came"))], b"");
        assert_eq!((output.code, &output.stderr[..]), (Some(0), ""));
        assert!(output.stdout == content, "{} bytes", output.stdout.len());
        // It was this line and no other way that they took.
        let shown = tool("tc", &["-s", "qdisc", "show", "dev", "lo"]);
        let sent = shown.split_once("Sent ").expect("a count").1.split(' ').next().unwrap();
        assert!(sent.parse::<usize>().unwrap() > 2 * content.len(), "{shown}");
    });
}
