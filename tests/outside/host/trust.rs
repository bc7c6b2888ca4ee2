//! T1 to T5 from outside: who trusts whom (faults 51, 52, 53, 54).

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use rustix::process::Signal;

use super::pty::{Pty, can_start};
use crate::harness::process::{Output, needs_root, run_command, tool};
use crate::harness::remote::{Home, Host, text};
use crate::harness::{BINARY, MODELS, copy_program, needs, serve};

/// `exec` without `--trust`, where nobody can be asked.
fn unasked(host: &Host, words: &[&str]) -> Output {
    let mut command = host.home.other("setsid");
    command
        .args(["--wait", BINARY, "exec", &host.tls])
        .args(words)
        .args(["-n", "--", "echo", "in"]);
    run_command(command, b"")
}

/// An entry of this home's list of known servers.
fn know(host: &Host, line: &str) {
    host.home.write(".config/sockeye/known_hosts", &format!("{line}\n"), 0o600);
}

fn host_key(host: &Host) -> String {
    let file = host.home.path().join(".config/sockeye/host_key");
    tool("ssh-keygen", &["-y", "-f", text(&file)]).trim().to_owned()
}

/// T4: a server that is met for the first time is refused where nobody can be asked, unless its
/// fingerprint is given; from then on it is known.
#[test]
fn first_contact() {
    if !can_start() {
        return;
    }
    let host = Host::start();
    let output = unasked(&host, &[]);
    let line = output.assert_one_line(255);
    assert!(line.contains("not known") && line.contains(&host.fingerprint), "{line}");
    assert!(!host.home.known_hosts().exists());

    let wrong = format!("SHA256:{}", "A".repeat(43));
    let output = unasked(&host, &["--trust", &wrong]);
    let line = output.assert_one_line(255);
    assert!(line.contains(&wrong) && line.contains(&host.fingerprint), "{line}");
    assert!(!host.home.known_hosts().exists());

    let output = unasked(&host, &["--trust", &host.fingerprint]);
    assert_eq!((output.code, output.stdout_text().as_str()), (Some(0), "in\n"), "{output:?}");
    assert_eq!(unasked(&host, &[]).stdout_text(), "in\n");
    // Who names a key means it, of a known server, too.
    let output = unasked(&host, &["--trust", &wrong]);
    let line = output.assert_one_line(255);
    assert!(line.contains(&wrong) && line.contains(&host.fingerprint), "{line}");
    assert_eq!(std::fs::read_to_string(host.home.known_hosts()).unwrap().lines().count(), 1);
}

/// T4: on a terminal somebody is asked, and sees the fingerprint.
#[test]
fn asked() {
    if !can_start() {
        return;
    }
    let host = Host::start();
    let command = host.home.command(&["exec", &host.tls, "--", "echo", "it", "ran"]);
    let mut refused = Pty::start(&command);
    refused.until(&host.fingerprint);
    refused.until("(yes/no)");
    refused.types("no\n");
    assert!(refused.ends(255).contains("was not accepted"));

    for answer in ["yes", &host.fingerprint] {
        let _ = std::fs::remove_file(host.home.known_hosts());
        let mut accepted = Pty::start(&command);
        accepted.until("(yes/no)");
        accepted.types(&format!("{answer}\n"));
        accepted.until("it ran");
        accepted.ends(0);
    }
    // It is known now.
    let mut known = Pty::start(&command);
    assert!(!known.until("it ran").contains("yes"));
    known.ends(0);
}

/// T4, fault 52: a changed key is a hard failure that shows both, whatever `--trust` says.
#[test]
fn changed_host_key() {
    if !needs(&["ssh-keygen"]) || !can_start() {
        return;
    }
    let host = Host::start();
    let other = Home::new();
    know(&host, &format!("[127.0.0.1]:{} {}", host.port(), other.public()));
    let old = tool("ssh-keygen", &["-l", "-f", text(&other.ssh("id_ed25519.pub"))]);
    let old = old.split_whitespace().find(|word| word.starts_with("SHA256:")).unwrap();
    for words in [&[][..], &["--trust", &host.fingerprint]] {
        let output = unasked(&host, words);
        let line = output.assert_one_line(255);
        assert!(line.contains("HAS CHANGED") && line.contains(old), "{line}");
        assert!(line.contains(&host.fingerprint), "{line}");
    }
    assert_eq!(host.server.count("authenticated"), 0);
}

/// T4, faults 52, 53: known by a key of another type, revoked, hashed, in brackets, broken lines.
#[test]
fn known_hosts() {
    if !needs(&["ssh-keygen"]) || !can_start() {
        return;
    }
    let host = Host::start();
    let (port, key) = (host.port(), host_key(&host));
    let here = format!("[127.0.0.1]:{port}");

    tool("ssh-keygen", &["-q", "-t", "rsa", "-N", "", "-f", text(&host.home.ssh("rsa"))]);
    let rsa = std::fs::read_to_string(host.home.ssh("rsa.pub")).unwrap();
    know(&host, &format!("{here} {rsa}"));
    let output = unasked(&host, &["--trust", &host.fingerprint]);
    let line = output.assert_one_line(255).to_owned();
    assert!(line.contains("another type of key"), "{line}");
    // The remedy that it names works.
    assert!(line.contains(&format!("`sockeye key trust 127.0.0.1:{port} 'ssh-ed25519")), "{line}");
    host.home.well(&["key", "trust", &format!("127.0.0.1:{port}"), &key]);
    assert_eq!(unasked(&host, &[]).stdout_text(), "in\n");

    know(&host, &format!("{here} {key}\n@revoked * {key}"));
    let output = unasked(&host, &["--trust", &host.fingerprint]);
    assert!(output.assert_one_line(255).contains("revoked"), "{output:?}");

    know(&host, &format!("{here} {key}"));
    tool("ssh-keygen", &["-q", "-H", "-f", text(&host.home.known_hosts())]);
    let hashed = std::fs::read_to_string(host.home.known_hosts()).unwrap();
    assert!(hashed.starts_with("|1|"), "{hashed}");
    assert_eq!(unasked(&host, &[]).stdout_text(), "in\n");

    know(&host, &format!("nonsense\n{here},*.example {key} # \"\n{here} ssh-ed25519 AAAA"));
    assert_eq!(unasked(&host, &[]).stdout_text(), "in\n");
    // Another port is another server.
    know(&host, &format!("127.0.0.1 {key}"));
    assert!(unasked(&host, &[]).assert_one_line(255).contains("not known"));
}

/// T1, T3, fault 51: a key that nobody authorised does not come in, and one that was taken out is
/// out at once.
#[test]
fn not_authorised() {
    for model in MODELS {
        let host = Host::with(&["--model", model]);
        assert_eq!(host.exec(&["--", "true"], b"").code, Some(0), "{model}");
        let own = host.home.public();
        for lines in ["", &Home::new().public(), &own.replace("ssh-ed25519 ", "ssh-rsa ")] {
            host.home.authorize(lines);
            let output = host.exec(&["-c", "touch ran"], b"");
            let line = output.assert_one_line(255);
            assert!(line.contains("not authorised"), "{model}: {line}");
        }
        assert!(!host.home.path().join("ran").exists());
        let event = host.server.wait_event("rejected", |event| {
            event["event"] == "rejected" && event["why"].as_str().unwrap().contains("SHA256:")
        });
        assert!(event["why"].as_str().unwrap().contains("may not come in"), "{event}");
        std::fs::remove_file(host.home.ssh("authorized_keys")).unwrap();
        assert_eq!(host.exec(&["--", "true"], b"").code, Some(255), "{model}");
        host.home.authorize(&own);
        assert_eq!(host.exec(&["--", "true"], b"").code, Some(0), "{model}");
    }
}

/// T3, fault 51: `from=`, `expiry-time=`, `no-pty`, `restrict` and `command=`, exactly.
#[test]
fn options() {
    let host = Host::start();
    let key = host.home.public();
    let code = |options: &str, words: &[&str]| {
        host.home.authorize(&format!("{options} {key}"));
        host.exec(words, b"").code.unwrap()
    };
    let run = &["-n", "--", "true"][..];
    let on_tty = &["-n", "-t", "--", "true"][..];
    assert_eq!(code("from=\"127.0.0.0/8\"", run), 0);
    assert_eq!(code("from=\"10.0.0.0/8,127.0.0.?\"", run), 0);
    assert_eq!(code("from=\"10.0.0.0/8\"", run), 255);
    assert_eq!(code("from=\"!127.0.0.1,*\"", run), 255);
    assert_eq!(code("expiry-time=\"20380101\"", run), 0);
    assert_eq!(code("expiry-time=\"20200101Z\"", run), 255);
    assert_eq!(code("no-pty", run), 0);
    assert_eq!(code("no-pty", on_tty), 255);
    assert_eq!(code("restrict", run), 0);
    assert_eq!(code("restrict", on_tty), 255);
    assert_eq!(code("restrict,pty", on_tty), 0);
    assert_eq!(code("", on_tty), 0);
    assert_eq!(code("command=\"exit 7\"", run), 7);
    // The first line of a key decides; one that is skipped is as if it were not there.
    host.home.authorize(&format!("from=\"10.0.0.0/8\" {key}\n{key}"));
    let first = host.exec(run, b"").code;
    host.home.authorize(&format!("what-is-this {key}\n{key}"));
    assert_eq!(host.exec(run, b"").code, Some(0));
    assert!(first.is_some());
}

/// T3, fault 51: a forced command is what runs, whatever is asked for; what was asked for is in its
/// environment, and nothing else can be changed.
#[test]
fn forced_command() {
    let host = Host::start();
    let key = host.home.public();
    host.home.authorize(&format!(
        "command=\"printf '%s' \\\"[$SSH_ORIGINAL_COMMAND]\\\"; exit 5\" {key}"
    ));
    for (words, asked) in [
        (&["-n", "--", "ls", "a b", "$x"][..], "[ls 'a b' '$x']"),
        (&["-n", "-c", "rm -rf *; true"], "[rm -rf *; true]"),
    ] {
        let output = host.exec(words, b"");
        assert_eq!((output.code, output.stdout_text().as_str()), (Some(5), asked));
    }
    assert_eq!(host.exec(&["-n", "--cwd", "/", "--", "true"], b"").code, Some(255));
    assert_eq!(host.exec(&["--detach", "--", "true"], b"").code, Some(255));
    // The key does not rule over the same user on a Unix socket.
    assert_eq!(host.exec_unix(&["--", "true"], b"").code, Some(0));
}

/// T3, fault 53: a line that is not understood is skipped as a whole and told, never half-applied;
/// the lines around it count.
#[test]
fn broken_lines() {
    let home = Home::new();
    let (key, other) = (home.public(), Home::new());
    home.authorize(&format!(
        "# a comment\n\nnot a key\ncommand=\"unclosed {other}\nno-such-option {key}\n\
         command=\"echo \\\"# no comment\\\"\" {key} # comment\nssh-ed25519 AAAA short",
        other = other.public()
    ));
    let host = Host::of(home, |launch| launch);
    assert_eq!(host.exec(&["-n", "--", "true"], b"").stdout_text(), "# no comment\n");
    let said = host.server.stderr();
    for (line, words) in [(3, ""), (4, ""), (5, "no-such-option"), (7, "")] {
        let told = said.lines().find(|told| told.contains(&format!("line {line}:")));
        assert!(told.is_some_and(|told| told.contains(words)), "line {line}: {said}");
    }
}

/// T2, fault 54: private keys that others can read, that are links to nowhere or no keys are
/// refused, each with its own words.
#[test]
fn key_files() {
    let host = Host::start();
    host.exec(&["--", "true"], b"");
    let identity = host.home.identity();
    for mode in [0o640, 0o604, 0o666] {
        std::fs::set_permissions(&identity, Permissions::from_mode(mode)).unwrap();
        let output = host.exec(&["--", "true"], b"");
        assert!(output.assert_one_line(255).contains("chmod"), "{output:?}");
    }
    for bad in ["", "-----BEGIN OPENSSH PRIVATE KEY-----\n", "text"] {
        let file = host.home.write("bad", bad, 0o600);
        let output = host.exec(&["-i", text(&file), "--", "true"], b"");
        output.assert_one_line(255);
    }
    for missing in ["/no/such/key", "/", "/dev/null"] {
        host.exec(&["-i", missing, "--", "true"], b"").assert_one_line(255);
    }
    std::fs::remove_file(&identity).unwrap();
    let output = host.exec(&["--", "true"], b"");
    assert!(output.assert_one_line(255).contains("key new"), "{output:?}");
}

/// T2, fault 54: the server refuses a host key that others can read.
#[test]
fn host_key_mode() {
    let home = Home::new();
    let key = home.path().join("host_key");
    home.well(&["key", "new", "--no-passphrase", "-f", text(&key)]);
    std::fs::set_permissions(&key, Permissions::from_mode(0o644)).unwrap();
    let output = home.run(&["serve", "host", "tls://127.0.0.1:0", "--host-key", text(&key)], b"");
    assert!(output.assert_one_line(1).contains("chmod"), "{output:?}");
}

/// T5: on a Unix socket the same user needs no key at all.
#[test]
fn same_user() {
    for model in MODELS {
        let host = Host::of(Home::empty(), |launch| launch.args(&["--model", model]));
        let output = host.exec_unix(&["--", "echo", "in"], b"");
        assert_eq!((output.code, output.stdout_text().as_str()), (Some(0), "in\n"), "{model}");
    }
}

/// T5: another user is refused, on `host` and on `command`, though the socket would let it connect.
#[test]
fn another_user() {
    if !needs_root() || !needs(&["setpriv"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    let program = dir.path().join("sockeye");
    copy_program(BINARY, &program);
    for (service, model) in MODELS.iter().flat_map(|model| [("host", model), ("command", model)]) {
        let socket = format!("unix:{}", dir.path().join(format!("{service}-{model}")).display());
        let home = Home::empty();
        let server = serve(service).on(&socket).args(&["--mode", "0666", "--model", model]);
        let server = server.env("HOME", text(home.path())).start();
        let mut command = Command::new("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups", text(&program)]);
        command.args(["exec", &socket, "-n", "--", "true"]).env("HOME", "/");
        let output = run_command(command, b"");
        assert_eq!(output.code, Some(255), "{service} {model}: {output:?}");
        let event = server.wait_for("rejected");
        assert!(event["why"].as_str().unwrap().contains("65534"), "{event}");
        if service == "host" {
            assert_eq!(home.run(&["exec", &socket, "-n", "--", "true"], b"").code, Some(0));
        }
    }
}

/// L5, T2: SIGHUP puts another host key in force, and keeps the old one where the new is none.
#[test]
fn new_host_key() {
    for model in MODELS {
        let home = Home::new();
        let (key, new) = (home.path().join("key"), home.path().join("new"));
        home.well(&["key", "new", "--no-passphrase", "-f", text(&new)]);
        let host =
            Host::of(home, |launch| launch.args(&["--host-key", text(&key), "--model", model]));
        let reach = |fingerprint: &str| {
            // Each time as somebody who knows nobody.
            let _ = std::fs::remove_file(host.home.known_hosts());
            let words = ["exec", &host.tls, "--trust", fingerprint, "-n", "--", "true"];
            host.home.run(&words, b"").code
        };
        assert_eq!(reach(&host.fingerprint), Some(0), "{model}");
        std::fs::write(&key, "rubbish").unwrap();
        host.server.signal(Signal::HUP);
        host.server.wait_for("reload-failed");
        assert_eq!(reach(&host.fingerprint), Some(0), "{model}");

        std::fs::rename(&new, &key).unwrap();
        host.server.signal(Signal::HUP);
        let reloaded = host.server.wait_for("reloaded");
        let shown = host.home.well(&["key", "show", text(&key)]);
        let fingerprint = shown.split_whitespace().find(|word| word.starts_with("SHA256:"));
        let fingerprint = fingerprint.expect("a fingerprint");
        assert_ne!(fingerprint, host.fingerprint);
        assert_eq!(reloaded["fingerprint"], fingerprint, "{model}");
        // Not once only: every worker has it.
        for _ in 0..6 {
            assert_eq!(reach(fingerprint), Some(0), "{model}");
        }
        assert_eq!(reach(&host.fingerprint), Some(255), "{model}");
    }
}

/// T1: nothing but TLS 1.3, with raw public keys: others are told so by an alert, not by silence.
#[test]
fn openssl() {
    if !needs(&["openssl"]) {
        return;
    }
    let host = Host::start();
    let port = format!("127.0.0.1:{}", host.port());
    for version in ["-tls1_2", "-tls1_3"] {
        let mut command = Command::new("openssl");
        command.args(["s_client", "-connect", &port, version]);
        let output = run_command(command, b"");
        assert_ne!(output.code, Some(0), "{version}: {output:?}");
        assert!(output.stderr.contains("alert"), "{version}: {output:?}");
    }
    assert_eq!(host.exec(&["--", "true"], b"").code, Some(0));
}
