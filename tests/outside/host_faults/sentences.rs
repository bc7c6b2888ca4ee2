//! Bad input: each failure has its own sentence and its own status, and so have other versions.

use std::sync::Arc;

use super::hostile::{Fake, Guest, Line, frame, key_of, kind, server_hello_of};
use crate::harness::process::needs_root;
use crate::harness::remote::{Home, Host, text};

/// P-E3: a server of another version over a Unix socket: both versions are named, and which side to
/// update.
#[test]
fn a_server_of_another_version() {
    for (version, remedy) in
        [(0, "Update the other side"), (2, "Update this side"), (0xffff, "this")]
    {
        let fake = Fake::unix(async move |mut line: Line| {
            let _ = line.say(&server_hello_of(version)).await;
            line.wait_for_end().await;
        });
        let output = Home::empty().run(&["exec", &fake.endpoint, "-n", "--", "true"], b"");
        let line = output.assert_one_line(255);
        assert!(line.contains(&format!("speaks version {version} ")), "{line}");
        assert!(line.contains("we speak version 1") && line.contains(remedy), "{line}");
    }
}

/// P-E3: a client of another version hears the server's own Hello all the same, and the server tells
/// why it went.
#[test]
fn a_client_of_another_version() {
    let host = Host::start();
    let mut guest = Guest::plug(&host);
    guest.say(b"sockeye?\x00\x09\x04evil and more");
    let (heard, _) = guest.hear_all();
    assert!(heard.starts_with(b"sockeye!\x00\x01"), "{heard:?}");
    let why = host.server.wait_for("rejected")["why"].to_string();
    assert!(why.contains("speaks version 9"), "{why}");
}

/// P-T2: other versions over TLS differ in ALPN: either side says so in its own sentence.
#[test]
fn another_version_over_tls() {
    let host = Host::start();
    let key = Arc::new(key_of(&host.home.identity()));
    for alpn in [&b"sockeye-host/2"[..], b"sockeye-stream/1", b"h2"] {
        let failed = Guest::enter_as(&host, key.clone(), alpn);
        let error = failed.err().expect("there is no such protocol").to_string();
        assert!(error.contains("another version"), "{error}");
    }
    host.server.wait_events("rejected", 3, |e| e["event"] == "rejected");
    let fake = Fake::tls(b"sockeye-host/2", async |mut line: Line| {
        line.wait_for_end().await;
    });
    let words = ["exec", &fake.endpoint, "--trust", &fake.fingerprint, "-n", "--", "true"];
    let output = host.home.run(&words, b"");
    let line = output.assert_one_line(255);
    assert!(line.contains("another version of this one"), "{line}");
}

/// P-T4: over a Unix socket the client, too, talks to its own user only: a socket that somebody else
/// put there learns nothing of what is run.
#[test]
fn a_unix_server_of_another_user() {
    if !needs_root() {
        return;
    }
    let fake = Fake::unix(async |mut line: Line| {
        let said = line.hear_run().await;
        assert!(said.is_err(), "it was told what to run");
    });
    let home = Home::empty();
    // Everybody may go there; only the kernel tells them apart.
    for path in [fake.dir().to_path_buf(), fake.dir().join("s"), home.path().to_path_buf()] {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o777)).expect("its mode");
    }
    let mut command = home.other("setpriv");
    command.args(["--reuid=12345", "--clear-groups", crate::harness::BINARY]);
    command.args(["exec", &fake.endpoint, "-n", "--", "true"]);
    let output = crate::harness::process::run_command(command, b"");
    let line = output.assert_one_line(255);
    assert!(line.contains("user 0"), "{line}");
}

/// Bad input: eight ways to fail, eight sentences, each with a cause, a remedy and status 255.
#[test]
fn a_sentence_for_each_failure() {
    let host = Host::start();
    let mut lines = Vec::new();
    let mut failed = |output: crate::harness::process::Output, word: &str| {
        let line = output.assert_one_line(255).to_owned();
        assert!(line.contains(word), "{word}: {line}");
        lines.push(line);
    };
    let exec = |words: &[&str]| host.home.run(&[&["exec", &host.tls], words].concat(), b"");
    let rest = ["-n", "--", "true"];
    failed(exec(&rest), "is not known: its key is SHA256:");
    let pin = "SHA256:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    failed(exec(&[&["--trust", pin][..], &rest].concat()), "not SHA256:AAAA");
    assert_eq!(host.line("true").code, Some(0));
    host.home.authorize("# nobody");
    failed(exec(&rest), "not authorised");
    host.home.authorize(&host.home.public());
    let key = std::fs::read_to_string(host.home.identity()).expect("the key");
    let open = host.home.write("open", &key, 0o644);
    failed(exec(&[&["-i", text(&open)][..], &rest].concat()), "is open to others");
    let known = std::fs::read_to_string(host.home.known_hosts()).expect("the list");
    let other = sockeye_trust::KeyPair::generate("x").expect("a key");
    let changed = sockeye_trust::Signer::public(&other);
    let name = known.split_whitespace().next().expect("a name");
    host.home.write(".config/sockeye/known_hosts", &format!("{name} {changed}\n"), 0o600);
    failed(exec(&rest), "HAS CHANGED");
    host.home.write(".config/sockeye/known_hosts", &known, 0o600);
    failed(exec(&["-n", "--cwd", "/no/such/directory", "--", "true"]), "directory");
    failed(exec(&["-n", "--env", "LD_PRELOAD=x", "--", "true"]), "--accept-env");
    let nobody = host.home.run(&["exec", "tls://127.0.0.1:1", "-n", "--", "true"], b"");
    failed(nobody, "refused");
    lines.sort();
    lines.dedup();
    assert_eq!(lines.len(), 8, "two failures have one sentence: {lines:#?}");
}

/// Bad input, X4: not found is 127 and not executable 126, in words of their own.
#[test]
fn not_found_and_not_executable() {
    let host = Host::start();
    let plain = host.home.write("plain", "no program", 0o644);
    let broken = host.home.write("broken", "#!/no/such/interpreter\n", 0o755);
    for (program, code) in [
        ("nonexistent-program", 127),
        ("/no/such/program", 127),
        (text(&plain), 126),
        ("/", 126),
        (text(&broken), 126),
    ] {
        let output = host.exec(&["-n", "--", program], b"");
        output.assert_one_line(code);
        assert!(output.stderr.contains(program), "{output:?}");
    }
}

/// L2: the largest commands that are allowed: arguments, variables and bytes without number, a
/// terminal with an odd name.
#[test]
fn the_largest_commands() {
    let host = Host::with(&["--accept-env", "*"]);
    let many: Vec<&str> = ["-n", "--", "sh", "-c", "echo $#", "sh"].into_iter().collect();
    let words = [many, vec!["x"; 65_000]].concat();
    let output = host.exec(&words, b"");
    assert_eq!(output.stdout_text(), "65000\n", "{}", output.stderr);
    let long = "y".repeat(120_000);
    let output = host.exec(&["-n", "--", "sh", "-c", "echo ${#1}", "sh", &long], b"");
    assert_eq!(output.stdout_text(), "120000\n", "{}", output.stderr);
    let variables: Vec<String> = (0..1024).map(|n| format!("V{n}=x")).collect();
    let mut words = vec!["-n"];
    for variable in &variables {
        words.extend(["--env", variable]);
    }
    words.extend(["--", "sh", "-c", "env | grep -c ^V[0-9]*=x"]);
    assert_eq!(host.exec(&words, b"").stdout_text(), "1024\n");
    words.splice(1..1, ["--env", "ONE=more"]);
    let output = host.exec(&words, b"");
    assert!(output.assert_one_line(255).contains("more than 1024 variables"), "{output:?}");
    let mut command = host.client(&["-n", "-t", "--", "true"]);
    command.env("TERM", "x".repeat(129));
    let output = crate::harness::process::run_command(command, b"");
    assert!(output.assert_one_line(255).contains("TERM"), "{output:?}");
}

/// P-F14: what fails on the server is told in the words of its reason, and the connection goes on.
#[test]
fn a_failure_ends_no_connection() {
    let host = Host::start();
    let mut guest = Guest::plug(&host);
    let run = |word: &[u8]| {
        let words = [&[0, 1, 0, 0, 0, 1][..], &super::hostile::counted(word), &[0; 4]].concat();
        frame(kind::RUN, &words)
    };
    guest.say(&[super::hostile::client_hello(), run(b"/no/such/program")].concat());
    guest.hear_until(&[kind::FAILED]);
    guest.say(&run(b"pwd"));
    // To the end of the command: a connection may end then, and not before.
    let heard = guest.hear_until(&super::hostile::header(kind::ENDED, 27));
    let path = text(host.home.path()).as_bytes();
    assert!(heard.windows(path.len()).any(|window| window == path), "{heard:?}");
    guest.finish();
    let (_, end) = guest.hear_all();
    assert!(end.is_ok());
    let closed = host.server.wait_for("closed");
    assert_eq!(closed["why"], "end", "{closed}");
}
