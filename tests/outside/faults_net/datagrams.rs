//! Datagram services set upon each other, and other abuse (fault 29, V2).

use std::net::UdpSocket;
use std::time::Duration;

use crate::harness::namespace::{in_namespace, nft};
use crate::harness::process::{throughout, tool};
use crate::harness::{MODELS, serve};

/// One UDP datagram with a source that is not ours. Arguments: source port, target port, size.
const SPOOF: &str = r"
import socket, struct, sys
source, target, size = map(int, sys.argv[1:4])
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_UDP)
raw.sendto(struct.pack('!HHHH', source, target, 8 + size, 0) + b'x' * size, ('127.0.0.1', 0))
";

/// How many packets have left for a port, counted by the firewall.
fn packets(port: u16) -> u64 {
    let rules = tool("nft", &["list", "chain", "inet", "t", "out"]);
    let line = rules.lines().find(|line| line.contains(&format!("udp dport {port} ")));
    let words = line.expect("a rule that counts").split_whitespace();
    let count = words.skip_while(|word| *word != "packets").nth(1);
    count.expect("a count").parse().expect("a number")
}

fn count_packets(ports: &[u16]) {
    crate::harness::namespace::firewall();
    for port in ports {
        nft(&format!("add rule inet t out udp dport {port} counter"));
    }
}

/// Fault 29, V2: echo and chargen on their own ports are not set upon each other by one datagram
/// with a false source.
#[test]
fn row_29_echo_and_chargen() {
    in_namespace("faults_net::datagrams::row_29_echo_and_chargen", &["nft", "python3"], || {
        for model in MODELS {
            count_packets(&[7, 19]);
            let echo = serve("echo").on("udp://127.0.0.1:7").model(model).start();
            let chargen = serve("chargen").on("udp://127.0.0.1:19").model(model).start();
            tool("python3", &["-c", SPOOF, "7", "19", "400"]);
            tool("python3", &["-c", SPOOF, "19", "7", "400"]);
            for server in [&echo, &chargen] {
                assert_eq!(server.wait_for("refused")["why"], "well-known-port", "{model}");
            }
            throughout(Duration::from_millis(300), || {});
            assert_eq!((packets(7), packets(19)), (1, 1), "{model}: nothing but the false ones");
            tool("nft", &["flush", "ruleset"]);
        }
    });
}

/// Fault 29, V2: on ports of their own choice a loop, once begun, is held down by the rate.
#[test]
fn row_29_loop_is_rate_limited() {
    in_namespace("faults_net::datagrams::row_29_loop_is_rate_limited", &["nft", "python3"], || {
        for model in MODELS {
            count_packets(&[7007, 1919]);
            let rate = ["--source-rate", "10"];
            let echo = serve("echo").on("udp://127.0.0.1:7007").model(model).args(&rate).start();
            let chargen =
                serve("chargen").on("udp://127.0.0.1:1919").model(model).args(&rate).start();
            tool("python3", &["-c", SPOOF, "7007", "1919", "400"]);
            throughout(Duration::from_millis(1000), || {});
            let all = packets(7007) + packets(1919);
            // Ten at once, then ten a second, on each side: a loop without a limit makes 10,000s.
            assert!(all <= 100, "{model}: {all} packets of one false datagram");
            drop((echo, chargen));
            tool("nft", &["flush", "ruleset"]);
        }
    });
}

/// V2: a datagram from a well-known port is dropped and told; upper answers it, as it is no
/// well-known service.
#[test]
fn well_known_source_port() {
    in_namespace("faults_net::datagrams::well_known_source_port", &[], || {
        for model in MODELS {
            for service in ["echo", "discard", "daytime", "qotd", "chargen", "time"] {
                let mut server = serve(service).at("udp").model(model).start();
                let client = UdpSocket::bind("127.0.0.1:53").unwrap();
                client.connect(crate::harness::conn::inet(&server.endpoint("udp"))).unwrap();
                client.send(&[b'x'; 600]).unwrap();
                let refused = server.wait_for("refused");
                assert_eq!(refused["why"], "well-known-port", "{service} under {model}");
                server.stop();
                client.set_nonblocking(true).unwrap();
                assert!(client.recv(&mut [0; 2000]).is_err(), "{service} under {model}");
            }
        }
    });
}

/// V2, fault 29: no answer is longer than its question, so that a false source gains nothing.
#[test]
fn row_29_no_amplifier() {
    in_namespace("faults_net::datagrams::row_29_no_amplifier", &[], || {
        for service in ["upper", "echo", "discard", "daytime", "qotd", "chargen", "time"] {
            let mut server = serve(service).at("udp").args(&["--source-rate", "0"]).start();
            let gram = server.gram();
            let mut asked = 0;
            for size in 0..300 {
                gram.send(&vec![b'x'; size]);
                asked += size;
                let fits = gram.pending().iter().all(|answer| answer.len() <= size);
                assert!(fits, "{service}: an answer longer than {size} bytes");
            }
            server.stop();
            let answered: usize = gram.pending().iter().map(Vec::len).sum();
            assert!(answered <= asked, "{service}");
        }
    });
}
