//! Other protocols at either end (fault 48): closed, one line in the log, and the client says what it
//! met.

use std::io::Write;
use std::process::Command;
use std::time::Instant;

use super::hostile::{Fake, Line};
use crate::harness::process::{needs, run_command, tool};
use crate::harness::remote::{Home, Host, Running, text};
use crate::harness::{Conn, DEADLINE, Server, serve};

/// What strangers say, and what the server calls it.
fn strangers() -> Vec<(Vec<u8>, &'static str)> {
    let old_hello = [&[0x80, 0x2e, 1, 3, 1][..], &[0; 40]].concat();
    vec![
        (b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n".to_vec(), "HTTP"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), "HTTP"),
        (b"SSH-2.0-OpenSSH_9.9\r\n".to_vec(), "SSH"),
        (b"hello there\n".to_vec(), "plain text"),
        (b"sockeye?\x00\x01\x04evil".to_vec(), "binary"),
        (b"\x00\x01\x02\x03".to_vec(), "binary"),
        (b"\x16\x03\x01\xff\xff\x01".to_vec(), "binary"),
        (b"\x16\x03\x01\x00\x04\x02\x00\x00\x00".to_vec(), "binary"),
        (old_hello, "an older TLS"),
        (vec![0; 100_000], "binary"),
        (b"A".repeat(100_000), "plain text"),
    ]
}

fn tls_port(host: &Host) -> Conn {
    Conn::dial(&format!("tcp://127.0.0.1:{}", host.port())).expect("the server listens")
}

/// It is ended with TLS's alert unexpected_message (RFC 8446, section 6.2) and nothing else.
fn assert_dismissed(conn: &mut Conn) {
    assert_eq!(conn.take_all(), [21, 3, 3, 0, 2, 2, 10]);
}

/// Fault 48: strangers at the TLS port are closed at once, with an alert and without a worker, and each
/// is one event that names what it spoke.
#[test]
fn at_the_tls_port() {
    let host = Host::start();
    for (round, (said, name)) in strangers().into_iter().enumerate() {
        let mut conn = tls_port(&host);
        // It may be closed before all of it is written.
        let _ = conn.write_all(&said);
        assert_dismissed(&mut conn);
        let all = host.server.wait_events("rejected", round + 1, |e| e["event"] == "rejected");
        let why = all[round]["why"].as_str().expect("a sentence");
        assert!(why.contains(name), "{name}: {why}");
        let ours = host.server.events().into_iter().filter(|e| e["peer"] == all[round]["peer"]);
        assert_eq!(ours.count(), 1, "one event for one stranger");
    }
    assert_eq!(host.server.count("accepted"), 0, "strangers cost no place");
    assert_eq!(host.line("echo well").stdout, b"well\n");
}

/// Fault 48: for people it is exactly one line, without anything that the stranger chose.
#[test]
fn one_line_in_the_log() {
    let home = Home::new();
    let path = home.path().to_str().expect("a path of text").to_owned();
    let launch = serve("host").on("tls://127.0.0.1:0").env("HOME", &path).text();
    let server = launch.start();
    let listening = server.stderr();
    let (_, rest) = listening.split_once("tls://").expect("an endpoint");
    let address = rest.split_whitespace().next().expect("an address");
    let mut conn = Conn::dial(&format!("tcp://{address}")).expect("the server listens");
    conn.write_all(b"GET /\x1b]0;owned\x07 HTTP/1.1\r\n").expect("it is sent");
    assert_dismissed(&mut conn);
    let said = server.wait_stderr("a line", |text| text.contains("was turned away"));
    let said = said.strip_prefix(&listening).expect("what was said later");
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("HTTP") && !said.contains("owned"), "{said:?}");
}

/// Runs openssl s_client against the host.
fn s_client(host: &Host, words: &[&str]) -> String {
    let mut command = Command::new("timeout");
    let seconds = DEADLINE.as_secs().to_string();
    let to = format!("127.0.0.1:{}", host.port());
    command.args([&seconds, "openssl", "s_client", "-connect", &to]).args(words);
    let began = Instant::now();
    let output = run_command(command, b"");
    assert_ne!(output.code, Some(124), "s_client hangs");
    assert_ne!(output.code, Some(0), "s_client takes it for success: {output:?}");
    assert!(began.elapsed() < DEADLINE);
    output.stderr + &String::from_utf8_lossy(&output.stdout)
}

/// Fault 48, T1: openssl's client, which shows no raw key, meets a clean alert and not a hang, with
/// TLS 1.2 as well.
#[test]
fn openssl_meets_an_alert() {
    if !needs(&["openssl", "timeout"]) {
        return;
    }
    let host = Host::start();
    for words in [&[][..], &["-tls1_3"], &["-tls1_3", "-alpn", "h2"], &["-tls1_2"]] {
        let said = s_client(&host, words);
        assert!(said.contains("alert"), "{words:?}: {said}");
    }
    let rejected = host.server.wait_events("rejected", 4, |e| e["event"] == "rejected");
    for event in rejected {
        assert!(event["why"].as_str().is_some_and(|why| why.contains("TLS")), "{event}");
    }
    assert_eq!(host.line("echo well").stdout, b"well\n");
}

/// What `exec tls://` says of a server that greets with this, or that only listens.
fn client_meets(banner: &'static [u8]) -> String {
    let fake = Fake::tcp(async |mut line: Line| {
        let _ = line.say(banner).await;
        line.fin();
        line.wait_for_end().await;
    });
    let home = Home::new();
    let output = home.run(&["exec", &fake.endpoint, "-n", "--", "true"], b"");
    output.assert_one_line(255).to_owned()
}

/// Fault 48: the client names what it met at the other end, and nothing of it drives a terminal.
#[test]
fn the_client_names_what_it_met() {
    for (banner, name) in [
        (&b"HTTP/1.1 400 Bad Request\r\n\r\n"[..], "HTTP"),
        (b"SSH-2.0-OpenSSH_9.9\r\n", "SSH"),
        (b"220 mail.example ESMTP\r\n", "220 mail.example"),
        (b"\x1b]0;owned\x07 hello\r\n", "\\x1b]0;owned"),
        (b"", "closed the connection"),
        (b"\x15\x03\x01\x00\x02\x02\x46", "older TLS"),
    ] {
        let line = client_meets(banner);
        assert!(line.contains(name), "{name}: {line}");
        assert!(!line.contains('\x1b'), "{line:?}");
    }
}

/// What `exec tls://` says of one of our own servers that is not a host.
fn against(server: &Server, scheme: &str) -> String {
    let home = Home::new();
    let endpoint = server.endpoint(scheme).replace("tcp:", "tls:");
    home.run(&["exec", &endpoint, "-n", "--", "true"], b"").assert_one_line(255).to_owned()
}

/// Fault 48: plain services where TLS was expected, our own ones too.
#[test]
fn plain_servers_for_a_tls_client() {
    let line = against(&serve("echo").at("tcp").start(), "tcp");
    assert!(line.contains("an echo of what we sent"), "{line}");
    let line = against(&serve("upper").at("tcp").start(), "tcp");
    assert!(line.contains("does not speak TLS"), "{line}");
    let line = against(&serve("chargen").at("tcp").start(), "tcp");
    assert!(line.contains("plain text"), "{line}");
    for (service, name) in [("echo", "our own words echoed"), ("upper", "upper case")] {
        let server = serve(service).at("unix").start();
        let line = against(&server, "unix");
        assert!(line.contains(name), "{line}");
    }
}

/// Fault 48, T1: a TLS 1.3 server that proves itself by a certificate and not by a raw key.
#[test]
fn a_certificate_server() {
    if !needs(&["openssl"]) {
        return;
    }
    let home = Home::new();
    let (key, certificate) = (home.path().join("key.pem"), home.path().join("certificate.pem"));
    let files = ["-keyout", text(&key), "-out", text(&certificate)];
    let make = ["req", "-x509", "-newkey", "ed25519", "-nodes", "-subj", "/CN=localhost"];
    tool("openssl", &[&make[..], &files].concat());
    let mut command = Command::new("openssl");
    command.args(["s_server", "-accept", "127.0.0.1:0", "-tls1_3", "-alpn", "sockeye-host/1"]);
    command.args(["-cert", text(&certificate), "-key", text(&key)]);
    let mut server = Running::start(command);
    let address = loop {
        let line = server.next_line().expect("where it listens");
        if let Some(address) = line.strip_prefix("ACCEPT ") {
            break address.trim().to_owned();
        }
    };
    let endpoint = format!("tls://{address}");
    let output = home.run(&["exec", &endpoint, "-n", "--", "true"], b"");
    let line = output.assert_one_line(255);
    assert!(line.contains("speaks TLS with certificates, or without raw Ed25519 keys"), "{line}");
    assert!(line.contains("openssl s_client") && !line.contains("does not speak TLS"), "{line}");
}

/// Fault 48: TLS where a plain conversation was expected: both clients say what they met.
#[test]
fn tls_servers_for_others() {
    let host = Host::start();
    let endpoint = host.tls.replace("tls:", "tcp:");
    let output = host.home.run(&["exec", &endpoint, "--", "true"], b"");
    let line = output.assert_one_line(255);
    assert!(line.contains("the server speaks TLS"), "{line}");
    let output = host.home.run(&["connect", &endpoint], b"hello there\n");
    assert_eq!((output.code, &output.stdout[..2]), (Some(1), &[21, 3][..]), "{output:?}");
    assert!(output.stderr.contains("the peer speaks TLS"), "{output:?}");
    let why = host.server.wait_for("rejected")["why"].to_string();
    assert!(why.contains("plain text"), "{why}");
}
