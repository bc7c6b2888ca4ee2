//! `bench throughput`: one way, both ways, and datagrams with their receiver.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use super::*;
use crate::harness::process::signal;
use crate::harness::{BINARY, clean, serve};

const SHORT: [&str; 4] = ["--duration", "300ms", "--warmup", "50ms"];

/// B4: up to discard, down from chargen, both ways through echo, in parallel: what is said to have gone
/// up is what the server has read, to the byte, and what is said to have come is no more than it wrote
/// and no less than what the buffers in between may hold.
#[test]
fn streams() {
    const BUFFERS: u64 = 32 * 1024 * 1024;
    for (service, direction) in [("discard", "up"), ("chargen", "down"), ("echo", "both")] {
        let mut server = serve(service).at("tcp").start();
        let endpoint = server.first_endpoint();
        let words =
            ["throughput", &endpoint, "--direction", direction, "--streams", "2", "--size", "16K"];
        let output = bench(&[&words[..], &["--duration", "300ms", "--warmup", "0"]].concat());
        assert_eq!(output.code, Some(0), "{output:?}");
        let report = result(&output);
        assert_eq!(report["direction"], direction);
        assert_eq!(report["streams"].as_array().unwrap().len(), 2);
        let (up, down) = (number(&report, "/bytes_up"), number(&report, "/bytes_down"));
        assert_eq!((up > 0, down > 0), (direction != "down", direction != "up"));
        let (read, wrote) = served(&server, 2);
        // Where we end with answers unread, what is on its way to the server goes with them.
        let lost = up.checked_sub(read).expect("no more was read than sent");
        assert!(if direction == "up" { lost == 0 } else { lost < BUFFERS }, "{up} {read}");
        assert!(down <= wrote && wrote - down < BUFFERS, "{down} of {wrote}");
        server.stop();
    }
}

/// B4: where nothing moves that is an error with its remedy, not a rate of 0.
#[test]
fn nothing_moves() {
    let mut server = serve("echo").at("tcp").start();
    let words = ["throughput", &server.first_endpoint(), "--direction", "down"];
    let output = bench(&[&words[..], &SHORT[..]].concat());
    assert_eq!(output.code, Some(1), "{output:?}");
    let report = result(&output);
    assert_eq!(number(&report, "/bytes_down"), 0);
    assert!(report.to_string().contains("Serve `chargen` there"), "{report}");
    server.stop();
}

/// B4: datagrams go up to a receiver of our own, which counts; where none is, that is said.
#[test]
fn datagrams() {
    let mut command = clean(BINARY);
    command.args(["bench", "throughput", "--serve", "udp://127.0.0.1:0", "--json"]);
    let mut receiver = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(receiver.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let listening: Value = serde_json::from_str(&line).unwrap();
    let endpoint = listening["endpoint"].as_str().unwrap();
    // About thirty datagrams: the receiver's socket holds them all, however late it reads.
    let output = bench(&[&["throughput", endpoint, "--rate", "1M"], &SHORT[..]].concat());
    signal(receiver.id(), rustix::process::Signal::INT);
    assert_eq!(receiver.wait().unwrap().code(), Some(0));
    assert_eq!(output.code, Some(0), "{output:?}");
    let report = result(&output);
    let sent = number(&report, "/datagrams/sent");
    assert!(sent > 0 && number(&report, "/datagrams/received") == sent, "{report}");
    assert!(number(&report, "/bytes_up") > 0);

    let mut server = serve("discard").at("udp").start();
    let output = run(&["bench", "throughput", &server.first_endpoint()], b"");
    let line = output.assert_one_line(1);
    assert!(line.contains("--serve"), "{line}");
    server.stop();
}
