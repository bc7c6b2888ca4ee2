//! Conversations of our own, drawn: as root, as an ordinary user, in a private network.

use std::os::unix::fs::PermissionsExt;
use std::process::{Command, Stdio};

use super::{Told, told, trace};
use crate::harness::namespace::in_namespace;
use crate::harness::process::{needs, needs_root, run_command};
use crate::harness::{BINARY, clean, run, serve};

/// What a whole conversation of "hello" and "HELLO" is: two pictures, by whether the server's FIN rode
/// on its acknowledgement.
#[track_caller]
fn is_whole(told: &Told) {
    let packets = told.packets();
    let begins = ["> SYN 0/- 0", "< SYN,ACK 0/1 0", "> ACK 1/1 0", "> PSH,ACK 1/1 5"];
    assert_eq!(packets[..4], begins, "{packets:#?}");
    let answers = packets.iter().any(|packet| packet == "< PSH,ACK 1/6 5");
    assert!(answers, "{packets:#?}");
    let ends: Vec<&String> = packets.iter().skip_while(|p| !p.contains("FIN")).collect();
    assert_eq!(ends[0], "> FIN,ACK 6/6 0", "{packets:#?}");
    assert!(ends.iter().any(|packet| *packet == "< FIN,ACK 6/7 0"), "{packets:#?}");
    assert_eq!(ends[ends.len() - 1], "> ACK 7/7 0", "{packets:#?}");
}

/// The one side that waits in TIME-WAIT, as the kernel says, with at most 60 s left.
#[track_caller]
fn holds_time_wait(told: &Told, side: &str) {
    let waits = told.of("time-wait");
    assert_eq!(waits.len(), 1, "{:#?}", told.lines);
    assert_eq!(waits[0]["side"], side, "{}", waits[0]);
    let left = waits[0]["remaining_us"].as_f64().unwrap_or_else(|| panic!("{}", waits[0]));
    assert!((50e6..=60e6).contains(&left), "{left} µs");
}

/// The program where an ordinary user may run it, and how.
fn as_nobody(words: &[&str]) -> Told {
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = dir.path().join("sockeye");
    std::fs::copy(BINARY, &program).unwrap();
    let mut command = Command::new("setpriv");
    command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", "--"]);
    command.arg(program).args(["trace", "--json"]).args(words).env("HOME", "/nonexistent");
    told(run_command(command, b""))
}

/// O1, O2: as root a conversation is drawn from its real packets: handshake with x, y, x+1, y+1, data,
/// close, and who waits in TIME-WAIT; calls stand beside.
#[test]
fn as_root() {
    in_namespace("observe_trace::conversations::as_root", &[], || {
        for model in ["thread", "event"] {
            let server = serve("upper").on("tcp://127.0.0.1:9000").model(model).start();
            let told = trace(&["9000", "--send", "hello"]).exits(0);
            assert_eq!(told.how(), "packets");
            is_whole(&told);
            holds_time_wait(&told, "client");
            let calls: Vec<&str> =
                told.of("call").iter().filter_map(|call| call["call"].as_str()).collect();
            for name in ["socket", "connect", "send", "recv", "shutdown", "close"] {
                assert!(calls.contains(&name), "{name}: {calls:?}");
            }
            server.wait_closed(1);
        }
    });
}

/// O1: the other ways to close: who closes first waits, and after a reset nobody does.
#[test]
fn closes() {
    in_namespace("observe_trace::conversations::closes", &[], || {
        let _server = serve("daytime").on("tcp://127.0.0.1:9013").start();
        let last = trace(&["9013", "--close", "last"]).exits(0);
        holds_time_wait(&last, "server");
        let upper = serve("upper").on("tcp://127.0.0.1:9000").start();
        let first = trace(&["9000", "--send", "hello", "--close", "first"]).exits(0);
        holds_time_wait(&first, "client");
        let reset = trace(&["9000", "--send", "hello", "--close", "reset"]).exits(0);
        assert!(reset.of("time-wait").is_empty());
        assert!(reset.packets().iter().any(|packet| packet.starts_with("> RST")));
        upper.wait_events("closed", 2, |event| event["event"] == "closed");
    });
}

/// O1, E3: the same over IPv6.
#[test]
fn version_6() {
    in_namespace("observe_trace::conversations::version_6", &[], || {
        let _server = serve("upper").on("tcp://[::1]:9000").start();
        let told = trace(&["[::1]:9000", "--send", "hello"]).exits(0);
        is_whole(&told);
        holds_time_wait(&told, "client");
    });
}

/// O1, O2: an ordinary user sees no packets: what the calls and the kernel's counts prove is drawn, it
/// says so, and the kernel's word on TIME-WAIT is there as well.
#[test]
fn ordinary_user() {
    in_namespace("observe_trace::conversations::ordinary_user", &["setpriv"], || {
        let _server = serve("upper").on("tcp://127.0.0.1:9000").start();
        let told = as_nobody(&["9000", "--send", "hello"]).exits(0);
        assert_eq!(told.how(), "calls");
        is_whole(&told);
        holds_time_wait(&told, "client");
    });
}

/// O1, O2: whoever closes first, an ordinary user's arrows are what really happens: our FIN and its
/// acknowledgement where the server closes first, whether it was read before our shutdown or after, and a
/// reset where we close over what nobody has read.
#[test]
fn closes_of_an_ordinary_user() {
    in_namespace("observe_trace::conversations::closes_of_an_ordinary_user", &["setpriv"], || {
        let _server = serve("daytime").on("tcp://127.0.0.1:9013").start();
        let last = as_nobody(&["9013", "--close", "last"]).exits(0);
        let packets = last.packets();
        // A day and a month have names of several lengths.
        let end = packets.last().and_then(|last| last.strip_prefix("< ACK ")?.strip_suffix("/2 0"));
        let end = end.unwrap_or_else(|| panic!("the last ACK: {packets:#?}"));
        assert!(packets.contains(&format!("> FIN,ACK 1/{end} 0")), "{packets:#?}");
        holds_time_wait(&last, "server");
        let closing = last.verdict()["closing"].as_str();
        assert!(matches!(closing, Some("three-packets" | "four-packets")), "{closing:?}");
        for _ in 0..5 {
            let half = as_nobody(&["9013"]).exits(0);
            let waits = half.verdict()["time_wait"].as_array().unwrap();
            assert_eq!(waits.len(), 1, "{:#?}", half.lines);
            assert_eq!(half.verdict()["closed_first"], waits[0]["side"], "{:#?}", half.lines);
            let first = as_nobody(&["9013", "--close", "first"]).exits(0);
            assert!(first.of("time-wait").is_empty(), "{:#?}", first.lines);
            let packets = first.packets();
            assert!(packets[packets.len() - 1].starts_with("> RST"), "{packets:#?}");
        }
    });
}

/// O2: a page of an ordinary user says that its arrows were deduced, one of root that they were
/// captured; a reader of standard output who has gone takes no file away (Q1).
#[test]
fn pages() {
    in_namespace("observe_trace::conversations::pages", &["setpriv"], || {
        let _server = serve("upper").on("tcp://127.0.0.1:9000").start();
        let dir = tempfile::tempdir().unwrap();
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o777)).unwrap();
        let page = dir.path().join("deduced.html");
        as_nobody(&["9000", "--send", "hello", "--html", page.to_str().unwrap()]).exits(0);
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(text.contains("deduced, not captured") && text.contains("class=\"deduced\""));

        let (page, packets) = (dir.path().join("real.html"), dir.path().join("real.pcapng"));
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let mut command = clean(BINARY);
        command.args(["trace", "9000", "--send", "hello", "--html"]).arg(&page);
        command.arg("--pcap").arg(&packets).stdin(Stdio::null()).stdout(writer);
        assert_eq!(command.status().unwrap().code(), Some(0));
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(text.contains("real packets, captured") && text.ends_with("</html>\n"));
        assert!(!text.contains("class=\"deduced\""));
        let packets = std::fs::read(&packets).unwrap();
        assert!(packets.windows(16).any(|bytes| bytes == b"handshake 3 of 3"));
    });
}

/// O2, C4: datagrams of an ordinary user's calls, and what ICMP said of a closed port.
#[test]
fn datagrams_of_calls() {
    in_namespace("observe_trace::conversations::datagrams_of_calls", &["setpriv"], || {
        let _server = serve("upper").on("udp://127.0.0.1:9000").start();
        let told = as_nobody(&["udp://127.0.0.1:9000", "--send", "hello"]).exits(0);
        let lengths: Vec<_> = told.of("datagram").iter().map(|line| &line["length"]).collect();
        assert_eq!((told.how(), lengths), ("calls", vec![&5.into(), &5.into()]));
        let told = as_nobody(&["udp://127.0.0.1:9001", "--send", "hello"]).exits(1);
        assert_eq!(told.of("unreachable").len(), 1, "{:#?}", told.lines);
    });
}

/// O2: an ordinary user has real packets in a private network with a server of our own.
#[test]
fn private_network() {
    if !needs_root() || !needs(&["setpriv"]) {
        return;
    }
    let told = as_nobody(&["--send", "hello"]).exits(0);
    assert_eq!(told.how(), "private");
    is_whole(&told);
    holds_time_wait(&told, "client");
    let calls = told.of("call");
    for name in ["listen", "accept"] {
        assert!(
            calls.iter().any(|call| call["call"] == name && call["side"] == "server"),
            "{name}"
        );
    }
    let daytime = as_nobody(&["--service", "daytime"]).exits(0);
    holds_time_wait(&daytime, "server");
}

/// O2: with a server of our own a short `--timeout` is the client's alone: the server is there until the
/// client has come, also where it takes longer than that until packets are seen; nothing is refused.
#[test]
fn private_network_in_a_hurry() {
    if !needs_root() {
        return;
    }
    for _ in 0..10 {
        let told = trace(&["--timeout", "1ms"]);
        assert_ne!(told.verdict()["opening"], "refused", "{:#?}", told.lines);
        assert!(!told.output.stderr.contains("refused"), "{}", told.output.stderr);
    }
}

/// O2: where user namespaces are forbidden, what forbids them is named.
#[test]
fn no_private_network() {
    in_namespace(
        "observe_trace::conversations::no_private_network",
        &["unshare", "setpriv"],
        || {
            // The limit of a user namespace inside which nobody may make another.
            let dir = tempfile::tempdir().unwrap();
            std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
            let program = dir.path().join("sockeye");
            std::fs::copy(BINARY, &program).unwrap();
            let script = "echo 0 > /proc/sys/user/max_user_namespaces; exec setpriv \
                      --bounding-set=-all --inh-caps=-all -- \"$0\" trace";
            let mut command = Command::new("unshare");
            command.args(["--user", "--map-root-user", "sh", "-c", script]).arg(program);
            let output = run_command(command, b"");
            let line = output.assert_one_line(1);
            assert!(line.contains("max_user_namespaces is 0") && line.contains("sysctl"), "{line}");
        },
    );
}

/// O1: datagrams are arrows without states; a closed port is an ICMP error, and exit 1.
#[test]
fn datagrams() {
    in_namespace("observe_trace::conversations::datagrams", &[], || {
        let _server = serve("upper").on("udp://127.0.0.1:9000").start();
        let told = trace(&["udp://127.0.0.1:9000", "--send", "hello"]).exits(0);
        let lengths: Vec<_> =
            told.of("datagram").iter().map(|d| (d["side"].clone(), d["length"].clone())).collect();
        assert_eq!(lengths, [("client".into(), 5.into()), ("server".into(), 5.into())]);
        let refused = trace(&["udp://127.0.0.1:9", "--send", "hello"]).exits(1);
        assert_eq!(refused.of("unreachable").len(), 1, "{:#?}", refused.lines);
        assert!(refused.output.stderr.contains("refused"), "{}", refused.output.stderr);
    });
}

/// O1: a Unix socket has calls and no packets, and that is said.
#[test]
fn unix() {
    let server = serve("upper").at("unix").start();
    let told = trace(&[&server.endpoint("unix"), "--send", "hello"]).exits(0);
    assert_eq!(told.how(), "unix");
    let sent = told.of("call").into_iter().find(|call| call["call"] == "send").unwrap();
    assert_eq!(sent["returned"], 5, "{sent}");
    let line = run(&["trace", &server.endpoint("unix"), "--pcap", "/dev/null"], b"");
    assert!(line.assert_one_line(2).contains("no packets"));
}

/// Fault 56, C5: what a server sends cannot drive the terminal from within a drawing.
#[test]
fn hostile_text() {
    in_namespace("observe_trace::conversations::hostile_text", &[], || {
        let _server = serve("echo").on("tcp://127.0.0.1:9000").start();
        let text = "\u{1b}]0;owned\u{7}\u{9b}2J\u{202e}x\r\n";
        for words in [&["--layers"][..], &[], &["--json"]] {
            let mut all = vec!["trace", "9000", "--send", text];
            all.extend(words);
            let output = run(&all, b"");
            assert_eq!(output.code, Some(0), "{output:?}");
            let shown = output.stdout_text();
            for hazard in ['\u{7}', '\u{9b}', '\u{202e}', '\r'] {
                assert!(!shown.contains(hazard), "{hazard:?} in {shown:?}");
            }
            assert!(!shown.contains("\u{1b}]"), "{shown:?}");
        }
    });
}

/// O1, Q1: the drawing fits 80 columns, names the handshake and the holder of TIME-WAIT, and is of
/// ASCII alone where that is asked for.
#[test]
fn drawing() {
    in_namespace("observe_trace::conversations::drawing", &[], || {
        let _server = serve("upper").on("tcp://127.0.0.1:9000").start();
        for words in [&[][..], &["--ascii"]] {
            let mut all = vec!["trace", "9000", "--send", "hello"];
            all.extend(words);
            let output = run(&all, b"");
            let text = output.stdout_text();
            assert_eq!(output.code, Some(0), "{output:?}");
            for line in text.lines() {
                assert!(line.chars().count() <= 80, "{} columns: {line}", line.chars().count());
            }
            for word in ["real packets", "ESTABLISHED", "TIME-WAIT", "SYN", "connect"] {
                assert!(text.contains(word), "{word}: {text}");
            }
            assert_eq!(text.is_ascii(), !words.is_empty(), "{text}");
        }
    });
}
