//! What a server says: ready lines, events, options as they became.

use std::io::Write;

use crate::harness::process::{needs, tool};
use crate::harness::{Conn, Gram, MODELS, clean, eventually, serve};

/// L1: one listening event an endpoint, with the real port, the service and the model.
#[test]
fn listening_events() {
    for model in MODELS {
        let server =
            serve("echo").at("tcp").at("udp").at("unix").at("unixgram").model(model).start();
        for scheme in ["tcp", "udp", "unix", "unixgram"] {
            let endpoint = server.endpoint(scheme);
            assert!(!endpoint.ends_with(":0"), "the real port: {endpoint}");
            let event = server.wait_event("listening", |e| e["endpoint"] == *endpoint);
            assert_eq!((&event["service"], &event["model"]), (&"echo".into(), &model.into()));
        }
        assert_eq!(server.events().len(), 4, "nothing else was said");
        assert_eq!(server.stderr(), "", "with --json stderr is silent");
    }
}

/// L1: accepted and closed events carry number, peer, why, who closed first, bytes and duration.
#[test]
fn connection_events() {
    for model in MODELS {
        let server = serve("upper").at("tcp").model(model).start();
        for number in 1..=2_u64 {
            let mut conn = server.dial();
            let peer = conn.local().to_string();
            assert_eq!(conn.ask(b"hello", 5), b"HELLO");
            let accepted = server
                .wait_event("accepted", |e| e["event"] == "accepted" && e["connection"] == number);
            assert_eq!(accepted["peer"], *peer, "{accepted}");
            assert_eq!(accepted["endpoint"], *server.first_endpoint(), "{accepted}");
            drop(conn);
            let closed = server.wait_closed(number);
            assert_eq!(closed["peer"], *peer, "{closed}");
            assert_eq!(closed["why"], "end", "{closed}");
            assert_eq!(closed["closed_first"], "peer", "{closed}");
            assert_eq!((&closed["bytes_in"], &closed["bytes_out"]), (&5.into(), &5.into()));
            let duration = closed["duration_ms"].as_f64().expect("a number");
            assert!(duration > 0.0 && duration < 60_000.0, "{closed}");
        }
    }
}

/// L1: a Unix peer is named by the process and user that the kernel saw.
#[test]
fn unix_peer() {
    for model in MODELS {
        let server = serve("upper").at("unix").model(model).start();
        let mut conn = server.dial();
        conn.ask(b"x", 1);
        let accepted = server.wait_for("accepted");
        let uid = rustix::process::geteuid().as_raw();
        let expected = format!("unix pid {} uid {uid}", std::process::id());
        assert_eq!(accepted["peer"], *expected, "{model}: {accepted}");
    }
}

/// L1: in text mode the ready lines go to stderr, stdout stays empty; connections with -v only.
#[test]
fn text_lines() {
    let mut server = serve("upper").on("tcp://127.0.0.1:0").text().start();
    let ready = server.stderr();
    let port = ready.strip_prefix("listening on tcp://127.0.0.1:").expect(&ready);
    let port = port.strip_suffix(" · upper · event\n").expect(&ready);
    let endpoint = format!("tcp://127.0.0.1:{port}");
    let mut conn = Conn::dial(&endpoint).unwrap();
    assert_eq!(conn.ask(b"x", 1), b"X");
    drop(conn);
    server.stop();
    let text = server.stderr();
    assert!(!text.contains("#1"), "connections are told with -v only: {text}");
    assert_eq!(server.events().len(), 0, "stdout stays empty");
}

/// L1: with -v accepted and closed connections are lines on stderr, with who and why.
#[test]
fn text_lines_verbose() {
    let server = serve("upper").on("tcp://127.0.0.1:0").args(&["-v"]).text().start();
    let ready = server.wait_stderr("ready line", |text| text.contains("· upper ·"));
    let (_, rest) = ready.split_once("tcp://127.0.0.1:").expect(&ready);
    let port = rest.split(' ').next().expect(&ready);
    let mut conn = Conn::dial(&format!("tcp://127.0.0.1:{port}")).unwrap();
    let peer = conn.local().to_string();
    assert_eq!(conn.ask(b"x", 1), b"X");
    server.wait_stderr("accepted line", |t| {
        t.lines().any(|line| line.starts_with("#1 ") && line.contains(&peer))
    });
    drop(conn);
    server.wait_stderr("closed line", |t| {
        t.lines().any(|line| line.contains("closed") && line.contains(&peer))
    });
}

/// L1: ready means listening: whoever connects after the event is never refused.
#[test]
fn ready_means_listening() {
    for model in MODELS {
        for _ in 0..10 {
            let server = serve("upper").at("tcp").at("udp").model(model).start();
            server.assert_serves();
            let gram = Gram::dial(&server.endpoint("udp"), server.dir()).unwrap();
            assert_eq!(gram.ask(b"x"), b"X");
        }
    }
}

/// L7: without endpoints, TCP and UDP on the loopback address and nowhere else.
#[test]
fn defaults_are_loopback() {
    // The default port may be taken on this machine; then the refusal names the loopback address.
    let mut server = serve("upper").start_unready();
    eventually("it listens or is refused", || server.count("listening") == 2 || !server.is_alive());
    let text = if server.is_alive() {
        format!("{} {}", server.endpoint("tcp"), server.endpoint("udp"))
    } else {
        server.wait_stderr("refusal", |text| text.ends_with('\n'))
    };
    assert!(text.contains("://127.0.0.1:9000"), "{text}");
    assert!(!text.contains("0.0.0.0") && !text.contains("[::]"), "{text}");
}

/// E2: a bare port is TCP on the loopback address, a word with a slash is a Unix path.
#[test]
fn short_forms() {
    let server = serve("upper").on("0").start();
    assert!(server.endpoint("tcp").starts_with("tcp://127.0.0.1:"));
    server.assert_serves();
    let launch = serve("upper");
    let path = launch.file("unused", "").with_file_name("s");
    let server = launch.on(path.to_str().unwrap()).start();
    assert_eq!(server.endpoint("unix"), format!("unix:{}", path.display()));
    server.assert_serves();
}

/// E1: names in the abstract namespace, for streams and datagrams.
#[test]
fn abstract_names() {
    let name = format!("sockeye-test-{}", std::process::id());
    let server =
        serve("upper").on(&format!("unix:@{name}")).on(&format!("unixgram:@{name}-d")).start();
    let output = crate::harness::run(&["connect", &server.endpoint("unix")], b"hello\n");
    assert_eq!((output.code, output.stdout), (Some(0), b"HELLO\n".to_vec()), "{}", output.stderr);
}

/// E3: a name listens on all its addresses with one port, -4 and -6 choose.
#[test]
fn names_listen_everywhere() {
    let server = serve("upper").on("tcp://localhost:0").args(&["-4"]).start();
    assert!(server.first_endpoint().starts_with("tcp://127.0.0.1:"));
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    if !hosts.lines().any(|line| line.starts_with("::1") && line.contains("localhost")) {
        // Private namespaces have both: faults_net::naming::names_of_several_addresses.
        return;
    }
    let server = serve("upper").on("tcp://localhost:0").expecting(2).start();
    let ports: Vec<String> = server
        .events()
        .iter()
        .map(|event| event["endpoint"].as_str().unwrap().rsplit_once(':').unwrap().1.to_owned())
        .collect();
    assert_eq!(ports[0], ports[1]);
}

/// E5: with -v every option is shown as the kernel gave it back, clamped or doubled.
#[test]
fn options_read_back() {
    let options = ["rcvbuf=64K", "sndbuf=100000", "nodelay=off", "keepalive=30s", "linger=3s"];
    let mut launch = serve("upper").at("tcp").args(&["-v"]);
    for option in options {
        launch = launch.args(&["--set", option]);
    }
    let server = launch.text().start();
    // Linux doubles buffers, socket(7).
    let shown = ["rcvbuf=131072", "sndbuf=200000", "nodelay=off", "keepalive=30s", "linger=3s"];
    for option in shown {
        server.wait_stderr(option, |text| text.contains(option));
    }
}

/// E5: what is set on the listener holds for accepted connections.
#[test]
fn options_are_inherited() {
    if !needs(&["ss"]) {
        return;
    }
    for model in MODELS {
        let server = serve("echo").at("tcp").model(model).args(&["--set", "rcvbuf=64K"]).start();
        let mut conn = server.dial();
        conn.ask(b"x", 1);
        let port = format!("dport = :{}", conn.local().port());
        let shown = tool("ss", &["-tnmOH", &port]);
        assert!(shown.contains("rb131072"), "{model}: {shown}");
    }
}

/// Q1: data on stdout, status 0; nothing on stderr.
#[test]
fn version_and_help() {
    for words in [&["--version"][..], &["--help"], &["serve", "--help"], &["connect", "--help"]] {
        let output = crate::harness::run(words, b"");
        assert_eq!(output.code, Some(0), "{words:?}: {output:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{words:?}: {output:?}");
    }
}

/// Q1, fault 45: a closed stdout ends quietly; a full one is told.
#[test]
fn row_45_stdout_closed_or_full() {
    let mut command = clean("sh");
    command.args(["-c", "\"$0\" man | head -c 1 >&2", crate::harness::BINARY]);
    let output = crate::harness::process::run_command(command, b"");
    assert_eq!(output.stderr.len(), 1, "nothing but head's byte: {output:?}");

    let mut command = clean("sh");
    command.args(["-c", "\"$0\" man > /dev/full", crate::harness::BINARY]);
    let output = crate::harness::process::run_command(command, b"");
    assert_eq!(output.assert_one_line(1).to_lowercase().matches("no space").count(), 1);
}

/// Fault 45: a server goes on when nobody reads its events any more, or ends quietly; it never
/// panics, and a full device is told.
#[test]
fn row_45_events_unread() {
    let mut command = serve("upper").at("tcp").args(&["--max-lifetime", "1s"]).command();
    command.stdin(std::process::Stdio::null()).stderr(std::process::Stdio::piped());
    command.stdout(std::process::Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut line = String::new();
    {
        use std::io::BufRead;
        let mut reader = std::io::BufReader::new(child.stdout.take().unwrap());
        reader.read_line(&mut line).unwrap();
        // The reader is gone from here on, as `| head -1` would be.
    }
    let event: serde_json::Value = serde_json::from_str(&line).unwrap();
    if let Ok(mut conn) = Conn::dial(event["endpoint"].as_str().unwrap()) {
        // Provokes an event that cannot be written; the server may choose to end over it.
        let _ = conn.write_all(b"x");
    }
    // It may have ended by itself, which is right as well.
    let _ = rustix::process::kill_process(
        rustix::process::Pid::from_child(&child),
        rustix::process::Signal::TERM,
    );
    let output = child.wait_with_output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0), "no signal, no panic: {:?}", output.status);
}
