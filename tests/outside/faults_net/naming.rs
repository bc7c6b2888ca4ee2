//! Names and families: dead resolvers, broken IPv6, IPv6 only.

use std::time::Instant;

use crate::harness::namespace::{cover, firewall, in_namespace, nft};
use crate::harness::process::tool;
use crate::harness::{run, serve};

/// Fault 25, E3: a resolver that does not answer is given up in bounded time and named.
#[test]
fn row_25_dead_resolver() {
    in_namespace("faults_net::naming::row_25_dead_resolver", &["nft", "mount"], || {
        let dir = tempfile::tempdir().unwrap();
        cover("/etc/resolv.conf", "nameserver 127.0.0.53\n", dir.path());
        cover("/etc/nsswitch.conf", "hosts: files dns\n", dir.path());
        firewall();
        // Silence instead of a refusal: the resolver waits.
        nft("add rule inet t out udp dport 53 drop");
        let start = Instant::now();
        let output = run(&["connect", "tcp://host.example:9000", "--timeout", "2s"], b"x\n");
        let line = output.assert_one_line(1);
        assert!(line.contains("host.example"), "{line}");
        assert!(line.contains("name"), "says that it is the name: {line}");
        // Not a benchmark: without a bound the resolver's own defaults take 10 s and more.
        assert!(start.elapsed().as_secs() < 8, "{:?} for a timeout of 2 s", start.elapsed());
    });
}

/// Fault 25, E3: IPv6 that swallows everything: the client falls back to IPv4.
#[test]
fn row_25_broken_ipv6() {
    in_namespace("faults_net::naming::row_25_broken_ipv6", &["nft", "mount"], || {
        let dir = tempfile::tempdir().unwrap();
        cover("/etc/hosts", "2001:db8::1 both.example\n127.0.0.1 both.example\n", dir.path());
        cover("/etc/nsswitch.conf", "hosts: files\n", dir.path());
        tool("ip", &["-6", "route", "add", "default", "dev", "lo"]);
        firewall();
        nft("add rule inet t out ip6 daddr 2001:db8::/32 drop");
        let server = serve("upper").on("tcp://127.0.0.1:9000").start();
        let output = run(&["connect", "tcp://both.example:9000", "--timeout", "5s"], b"hello\n");
        assert_eq!(output.stdout_text(), "HELLO\n", "{}", output.stderr);
        // Refused instead of swallowed: the same.
        nft("flush chain inet t out");
        nft("add rule inet t out ip6 daddr 2001:db8::/32 reject with icmpv6 no-route");
        let output = run(&["connect", "tcp://both.example:9000", "--timeout", "5s"], b"hello\n");
        assert_eq!(output.stdout_text(), "HELLO\n", "{}", output.stderr);
        drop(server);
    });
}

/// Fault 25, E3: where there is IPv6 only, it works, by name and by address.
#[test]
fn row_25_ipv6_only() {
    in_namespace("faults_net::naming::row_25_ipv6_only", &["mount"], || {
        let dir = tempfile::tempdir().unwrap();
        cover("/etc/hosts", "::1 six.example\n", dir.path());
        cover("/etc/nsswitch.conf", "hosts: files\n", dir.path());
        tool("ip", &["address", "del", "127.0.0.1/8", "dev", "lo"]);
        let server = serve("upper").on("tcp://six.example:9000").on("udp://[::1]:9000").start();
        assert_eq!(server.endpoint("tcp"), "tcp://[::1]:9000");
        for endpoint in ["tcp://six.example:9000", "tcp://[::1]:9000", "udp://six.example:9000"] {
            let output = run(&["connect", endpoint, "--timeout", "5s"], b"hello\n");
            assert_eq!(output.stdout_text(), "HELLO\n", "{endpoint}: {}", output.stderr);
        }
        let output = run(&["connect", "tcp://six.example:9000", "-4"], b"hello\n");
        output.assert_one_line(1);
    });
}

/// E3, E2: a server name of several addresses listens on all of them, one port; -4 and -6 choose.
#[test]
fn names_of_several_addresses() {
    in_namespace("faults_net::naming::names_of_several_addresses", &["mount"], || {
        let dir = tempfile::tempdir().unwrap();
        let hosts = "127.0.0.1 all.example\n127.0.0.2 all.example\n::1 all.example\n";
        cover("/etc/hosts", hosts, dir.path());
        cover("/etc/nsswitch.conf", "hosts: files\n", dir.path());
        for (options, count) in [(&[][..], 3), (&["-4"], 2), (&["-6"], 1)] {
            let launch = serve("upper").on("tcp://all.example:0").args(options).expecting(count);
            let server = launch.start();
            let ends = server.wait_events("listening", count, |e| e["event"] == "listening");
            let ports: Vec<&str> = ends
                .iter()
                .map(|e| e["endpoint"].as_str().unwrap().rsplit_once(':').unwrap().1)
                .collect();
            assert!(ports.iter().all(|port| *port == ports[0]), "{ports:?}");
            for end in &ends {
                let output = run(&["connect", end["endpoint"].as_str().unwrap()], b"hello\n");
                assert_eq!(output.stdout_text(), "HELLO\n", "{}", output.stderr);
            }
            assert_eq!(server.count("listening"), count);
        }
    });
}

/// E1: `[::]` takes IPv4 as well; a client is shown and judged by its IPv4 address.
#[test]
fn both_families_on_one_socket() {
    in_namespace("faults_net::naming::both_families_on_one_socket", &[], || {
        let options = ["--allow", "127.0.0.0/8"];
        let server = serve("upper").on("tcp://[::]:9000").args(&options).start();
        let output = run(&["connect", "tcp://127.0.0.1:9000"], b"hello\n");
        assert_eq!(output.stdout_text(), "HELLO\n", "{}", output.stderr);
        server.wait_for("accepted");
        run(&["connect", "tcp://[::1]:9000"], b"hello\n");
        assert_eq!(server.wait_for("refused")["why"], "denied");
    });
}
