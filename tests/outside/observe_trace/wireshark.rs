//! What Wireshark's reader makes of our files is what our history says.

use super::{flags, trace};
use crate::harness::namespace::in_namespace;
use crate::harness::process::tool;
use crate::harness::serve;

/// O2: flags, relative numbers and lengths of each packet equal tshark's, and each has a comment.
#[test]
fn equals_tshark() {
    in_namespace("observe_trace::wireshark::equals_tshark", &["tshark"], || {
        let dir = tempfile::tempdir().unwrap();
        for (n, close) in ["half", "first", "reset"].into_iter().enumerate() {
            let _server = serve("upper").on("tcp://127.0.0.1:9000").start();
            let file = dir.path().join(format!("{n}.pcapng"));
            let file = file.to_str().unwrap();
            let words = ["9000", "--send", "hello", "--close", close, "--pcap", file];
            let told = trace(&words).exits(0);
            let fields = ["tcp.srcport", "tcp.flags", "tcp.seq", "tcp.ack", "tcp.len"];
            let mut all = vec!["-r", file, "-T", "fields"];
            all.extend(fields.iter().flat_map(|field| ["-e", field]));
            let theirs = tool("tshark", &all);
            let theirs: Vec<Vec<String>> =
                theirs.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect();
            let ours = told.of("packet");
            assert_eq!(theirs.len(), ours.len(), "{theirs:#?} {ours:#?}");
            for (theirs, ours) in theirs.iter().zip(&ours) {
                let from = if theirs[0] == "9000" { "server" } else { "client" };
                assert_eq!(ours["side"], from, "{theirs:?} {ours}");
                let wanted = u64::from_str_radix(theirs[1].trim_start_matches("0x"), 16).unwrap();
                assert_eq!(bits(&flags(ours)), wanted, "{theirs:?} {ours}");
                assert_eq!(ours["seq"].to_string(), theirs[2], "{ours}");
                let ack = ours["ack"].as_u64().unwrap_or(0).to_string();
                assert_eq!(ack, theirs[3], "{ours}");
                assert_eq!(ours["length"].to_string(), theirs[4], "{ours}");
            }
            let comments = tool("tshark", &["-r", file, "-T", "fields", "-e", "frame.comment"]);
            assert!(comments.lines().next().unwrap().contains("SYN"), "{comments}");
            let problems = tool("tshark", &["-r", file, "-Y", "_ws.malformed"]);
            assert!(problems.is_empty(), "{problems}");
        }
    });
}

/// The control bits of RFC 9293, section 3.1, by their names.
fn bits(flags: &str) -> u64 {
    let bit = |name: &str| match name {
        "FIN" => 1,
        "SYN" => 2,
        "RST" => 4,
        "PSH" => 8,
        "ACK" => 16,
        "URG" => 32,
        other => panic!("a flag that is not expected: {other}"),
    };
    flags.split(',').map(bit).sum()
}
