//! Keys and lists that are not as they should be (faults 51 to 54): refused or forced, exactly.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;

use rustix::process::Signal;
use serde_json::Value;
use sockeye_trust::{KeyPair, Signer};

use super::hostile::{Guest, client_hello, frame, header, kind, run_line};
use crate::harness::process::{Output, needs, needs_root, tool};
use crate::harness::remote::{Home, Host, text};
use crate::harness::{MODELS, serve};

/// What the server says of the last one that it turned away.
fn last_rejection(host: &Host, count: usize) -> String {
    let all = host.server.wait_events("rejected", count, |e| e["event"] == "rejected");
    all[count - 1]["why"].as_str().expect("a sentence").to_owned()
}

/// What becomes of `exec -- echo asked` under this `authorized_keys`, in which KEY is our key.
fn under(host: &Host, list: &str) -> Output {
    host.home.authorize(&list.replace("KEY", &host.home.public()));
    host.exec(&["-n", "--", "echo", "asked"], b"")
}

/// Faults 51 and 53: lists of several lines, line by line: what is let in is exactly what is forced
/// or free, and a line that is not understood whole counts for nothing, not even for its key.
#[test]
fn lists_line_by_line() {
    let host = Host::start();
    let long = format!("from=\"{}\" KEY", "1.2.3.4,".repeat(3000));
    let forced = "command=\"echo forced\" KEY";
    let expired = "expiry-time=\"20200101\" KEY";
    let elsewhere = "from=\"192.0.2.1\" KEY";
    let cases: Vec<(String, Option<&str>)> = vec![
        (format!("{forced}\nKEY"), Some("forced")),
        (format!("KEY\n{forced}"), Some("asked")),
        (format!("{expired}\n{forced}"), Some("forced")),
        (format!("{elsewhere}\n{forced}"), Some("forced")),
        (format!("{elsewhere}\n{expired}"), None),
        ("from=\"127.0.0.0/8,!127.0.0.1\" KEY".into(), None),
        ("from=\"!127.0.0.1,*\" KEY".into(), None),
        ("from=\"*,!10.0.0.0/8\" KEY".into(), Some("asked")),
        ("command=\"echo forced\",frobnicate KEY".into(), None),
        ("frobnicate,command=\"echo forced\" KEY".into(), None),
        ("frobnicate=\"a b\" KEY".into(), None),
        ("cert-authority KEY".into(), None),
        ("command=\"echo forced KEY".into(), None),
        ("command=\"echo \\\"#quoted\\\" forced\" KEY".into(), Some("#quoted forced")),
        ("# KEY".into(), None),
        ("  \t# command KEY".into(), None),
        ("command=\"echo '#' forced\" KEY".into(), Some("# forced")),
        (format!("{long}\n"), None),
        (format!("{long}\nKEY"), Some("asked")),
        ("\u{0}KEY".into(), None),
        ("ssh-ed25519 AAAA\nssh-ed25519\nnonsense\n\n= =\n\"\nKEY".into(), Some("asked")),
        ("expiry-time=\"never\" KEY".into(), None),
        ("expiry-time=\"20991231235959Z\" KEY".into(), Some("asked")),
        ("from=\"127.0.0.1\",from=\"192.0.2.1\" KEY".into(), None),
        ("restrict,command=\"echo forced\" KEY".into(), Some("forced")),
        ("KEY\r\n".into(), Some("asked")),
    ];
    for (list, expected) in cases {
        let shown: String = list.chars().take(80).collect();
        let output = under(&host, &list);
        match expected {
            Some(said) => {
                assert_eq!(output.stdout_text(), format!("{said}\n"), "{shown}: {output:?}");
            }
            None => {
                assert_ne!(output.code, Some(0), "{shown}: {output:?}");
                assert!(!output.stdout_text().contains("asked"), "{shown}: {output:?}");
            }
        }
    }
}

/// Fault 51: keys that nobody listed: told as not authorised, and the server says why in full.
#[test]
fn unknown_keys() {
    let host = Host::start();
    for count in 1..4 {
        let key = Arc::new(KeyPair::generate("stranger").expect("a key"));
        let fingerprint = key.public().fingerprint().to_string();
        let mut guest = Guest::enter_as(&host, key as Arc<dyn Signer>, b"sockeye-host/1")
            .expect("in TLS 1.3 the client is done first");
        let (heard, _) = guest.hear_all();
        assert!(heard.is_empty(), "a stranger hears {heard:?}");
        let why = last_rejection(&host, count);
        assert!(why.contains(&fingerprint) && why.contains("in no line"), "{why}");
    }
    assert_eq!(host.server.count("authenticated"), 0);
}

/// Fault 51: a key that is taken out of the list is out for the next connection.
#[test]
fn a_removed_key() {
    let host = Host::start();
    assert_eq!(host.line("echo well").code, Some(0));
    host.home.authorize("# nobody");
    let output = host.line("echo well");
    let line = output.assert_one_line(255);
    assert!(line.contains("not authorised"), "{line}");
}

/// What a guest hears of a command up to its Ended.
fn output_of(guest: &mut Guest, line: &str) -> String {
    guest.say(&run_line(0, line));
    String::from_utf8_lossy(&guest.hear_until(&header(kind::ENDED, 27))).into_owned()
}

/// Fault 51, T1, P-L9: a connection that is open runs no command more when its key is taken out, has
/// expired, or may not come from there; what the list adds to the key holds from then on. Under
/// every model.
#[test]
fn a_key_removed_in_the_middle() {
    for model in MODELS {
        let host = Host::with(&["--model", model]);
        let key = host.home.public();
        let mut barred = 0;
        for options in ["# ", "expiry-time=\"20200101\" ", "from=\"192.0.2.1\" "] {
            host.home.authorize(&key);
            let mut guest = Guest::enter(&host);
            guest.say(&client_hello());
            assert!(output_of(&mut guest, "echo one").contains("one\n"), "{model}");
            host.home.authorize(&format!("command=\"echo forced\" {key}"));
            assert!(output_of(&mut guest, "echo two").contains("forced\n"), "{model}");
            host.home.authorize(&format!("{options}{key}"));
            guest.say(&run_line(0, "touch ran"));
            let (heard, ended) = guest.hear_all();
            let text = String::from_utf8_lossy(&heard).into_owned();
            assert!(text.contains("may not come in here any more"), "{model} {options}: {text}");
            assert!(ended.is_ok(), "{model} {options}: {ended:?}");
            assert!(!host.home.path().join("ran").exists(), "{model} {options}: it ran");
            barred += 1;
            let why = last_rejection(&host, barred);
            assert!(why.contains("may not come in"), "{model} {options}: {why}");
        }
    }
}

/// T3, X6: beside the command of a key a client sets nothing that would make another command of it,
/// whatever `--accept-env` has patterns for.
#[test]
fn beside_a_forced_command() {
    let host = Host::with(&["--accept-env", "*,NAMED,LC_*"]);
    let shell = host.home.write("shell", "#!/bin/sh\necho other shell\n", 0o755);
    let shell = format!("SHELL={}", text(&shell));
    host.home.authorize(&format!("command=\"echo $NAMED$OTHER\" {}", host.home.public()));
    let said = |variable: &str| host.exec(&["--env", variable, "-n", "--", "true"], b"");
    for variable in [&*shell, "LD_PRELOAD=x.so", "BASH_ENV=x", "IFS=o", "OTHER=1", "PATH=/"] {
        let line = said(variable).assert_one_line(255).to_owned();
        assert!(line.contains("a command of its own"), "{variable}: {line}");
    }
    assert_eq!(said("NAMED=well").stdout_text(), "well\n");
    assert_eq!(said("LC_TIME=C").stdout_text(), "\n");
    // Who may run what he wants may set what the owner accepts.
    host.home.authorize(&host.home.public());
    let output = host.exec(&["--env", &shell, "-n", "-c", "true"], b"");
    assert_eq!(output.stdout_text(), "other shell\n");
}

/// T3, P-F9: a client sends the command of its key no signal but those that its own end would cause.
#[test]
fn signals_to_a_forced_command() {
    let host = Host::start();
    let line = "for s in USR1 USR2 QUIT ALRM WINCH; do trap \\\"echo $s\\\" $s; done; \
                trap 'echo over; exit 0' TERM; echo ready; while :; do sleep 0.02; done";
    host.home.authorize(&format!("command=\"{line}\" {}", host.home.public()));
    let mut guest = Guest::enter(&host);
    guest.say(&[client_hello(), run_line(0, "true")].concat());
    guest.hear_until(b"ready\n");
    for code in [6, 7, 3, 11, 12, 8, 10, 5, 4] {
        guest.say(&frame(kind::SIGNAL, &[code]));
    }
    let heard = guest.hear_until(&header(kind::ENDED, 27));
    let text = String::from_utf8_lossy(&heard).into_owned();
    assert!(text.contains("over\n"), "{text:?}");
    for name in ["USR1", "USR2", "QUIT", "ALRM", "WINCH"] {
        assert!(!text.contains(name), "{name} came: {text:?}");
    }
}

/// Fault 53, T3: a list that others can write is not believed, nor one in a directory that they can
/// write; a FIFO, a device or a directory in its place hangs nobody.
#[test]
fn lists_that_are_no_lists() {
    let host = Host::start();
    let list = host.home.ssh("authorized_keys");
    let mode = |path: &Path, mode: u32| {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("its mode");
    };
    // From here on the client knows the server and comes once for each command.
    assert_eq!(host.line("echo well").code, Some(0));
    let mut count = host.server.wait_events("rejected", 1, |e| e["event"] == "rejected").len();
    let mut refused = |what: &str| {
        let output = host.line("echo asked");
        assert_eq!(output.code, Some(255), "{what}: {output:?}");
        count += 1;
        let why = last_rejection(&host, count);
        assert!(why.contains("nobody can come in"), "{what}: {why}");
    };
    mode(&list, 0o666);
    refused("writable by all");
    mode(&list, 0o620);
    refused("writable by the group");
    mode(&list, 0o600);
    mode(&host.home.ssh(""), 0o777);
    refused("in a directory that all can write");
    mode(&host.home.ssh(""), 0o700);
    assert_eq!(host.line("echo well").code, Some(0));
    fs::remove_file(&list).expect("gone");
    fs::create_dir(&list).expect("a directory");
    refused("a directory");
    fs::remove_dir(&list).expect("gone");
    if needs(&["mkfifo"]) {
        tool("mkfifo", &[text(&list)]);
        refused("a FIFO");
        fs::remove_file(&list).expect("gone");
    }
    symlink("/dev/zero", &list).expect("a link");
    refused("a device");
    fs::remove_file(&list).expect("gone");
    fs::write(&list, vec![b'#'; 5 * 1024 * 1024]).expect("a file");
    refused("too long");
}

/// Fault 53: what is skipped in the list is said at the start, line by line, once each.
#[test]
fn warnings_at_the_start() {
    let home = Home::new();
    let key = home.public();
    home.authorize(&format!("frobnicate {key}\n{key}\ncommand=\"x {key}\nnonsense"));
    let path = text(home.path()).to_owned();
    let server = serve("host").on("tls://127.0.0.1:0").env("HOME", &path).start();
    let said = server.wait_stderr("warnings", |said| said.lines().count() >= 3);
    for line in ["line 1: skipped: ", "line 3: skipped: ", "line 4: skipped: "] {
        assert_eq!(said.matches(line).count(), 1, "{said}");
    }
    assert!(!said.contains("skipped: skipped"), "{said}");
    assert!(!said.contains("line 2"), "{said}");
    home.authorize(&format!("frobnicate {key}\nlater {key}"));
    server.signal(Signal::HUP);
    server.wait_stderr("a new warning", |said| said.contains("line 2: skipped: "));
}

/// T3, fault 53: of a key whose line was skipped the log says that, not that it is in no line: whoever
/// adds it then would add it without the restriction that was meant.
#[test]
fn the_key_of_a_skipped_line() {
    let host = Host::start();
    let key = host.home.public();
    host.home.authorize(&format!("# first\nenvironment=\"A=b\" {key}\n"));
    let line = host.line("true").assert_one_line(255).to_owned();
    assert!(line.contains("not authorised"), "{line}");
    // The first is the first contact.
    let why = last_rejection(&host, 2);
    assert!(
        why.contains("line 2 has this key and was skipped: ") && why.contains("environment"),
        "{why}"
    );
    assert!(!why.contains("key authorize"), "{why}");
}

/// Fault 54: private keys that are not ours alone are refused before anything is sent: open to
/// others, a link, a directory, a FIFO, a device, something else, too long.
#[test]
fn client_key_files() {
    let host = Host::start();
    let key = fs::read_to_string(host.home.identity()).expect("the key");
    let refused = |name: &str, word: &str| {
        let path = host.home.path().join(name);
        let output = host.exec(&["-i", text(&path), "-n", "--", "true"], b"");
        let line = output.assert_one_line(255);
        assert!(line.contains(word), "{name}: {line}");
    };
    for mode in [0o644, 0o640, 0o604, 0o660, 0o602] {
        host.home.write("open", &key, mode);
        refused("open", "is open to others");
    }
    symlink(host.home.identity(), host.home.path().join("link")).expect("a link");
    refused("link", "symbolic link");
    fs::create_dir(host.home.path().join("directory")).expect("a directory");
    refused("directory", "is a directory");
    symlink("/dev/zero", host.home.path().join("device")).expect("a link");
    refused("device", "symbolic link");
    refused("missing", "no key file");
    host.home.write("nonsense", "nonsense\n", 0o600);
    refused("nonsense", "not a private key");
    host.home.write("damaged", &key.replacen("AAAA", "AAAB", 3), 0o600);
    refused("damaged", "damaged");
    host.home.write("long", &"x".repeat(100_000), 0o600);
    refused("long", "longer than");
    if needs(&["mkfifo"]) {
        tool("mkfifo", &["-m", "600", text(&host.home.path().join("fifo"))]);
        refused("fifo", "not a regular file");
    }
    if needs_root() {
        let path = host.home.write("foreign", &key, 0o600);
        std::os::unix::fs::chown(&path, Some(12_345), None).expect("chown");
        refused("foreign", "belongs to user 12345");
    }
    assert_eq!(host.server.count("accepted"), 0, "something was sent");
}

/// Fault 54, T2: the server does not start with a host key that others can read, and its own is made
/// for itself alone.
#[test]
fn host_key_files() {
    let host = Host::start();
    let key = host.home.path().join(".config/sockeye/host_key");
    let mode = fs::metadata(&key).expect("it was made").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let text = fs::read_to_string(&key).expect("the key");
    let path = host.home.write("open_host_key", &text, 0o644);
    let words = ["serve", "host", "tls://127.0.0.1:0", "--host-key"];
    let output = host.home.run(&[&words[..], &[self::text(&path)]].concat(), b"");
    assert!(output.assert_one_line(1).contains("is open to others"), "{output:?}");
    let link = host.home.path().join("link");
    symlink(&key, &link).expect("a link");
    let output = host.home.run(&[&words[..], &[self::text(&link)]].concat(), b"");
    assert!(output.assert_one_line(1).contains("symbolic link"), "{output:?}");
}

/// Fault 52: a host that is known by another key, by another type of key, or as revoked: a hard
/// failure that no `--trust` overrides, and nothing is learnt from it.
#[test]
fn changed_host_keys() {
    let host = Host::start();
    let other = KeyPair::generate("other").expect("a key").public();
    let name = format!("[127.0.0.1]:{}", host.port());
    let key = super::hostile::key_of(&host.home.path().join(".config/sockeye/host_key")).public();
    let rsa = "ssh-rsa AAAAB3NzaC1yc2EAAAADAQABAAAAgQC7";
    for (list, word) in [
        (format!("{name} {other}\n"), "HAS CHANGED"),
        (format!("# one\n\nbroken\n{name} {other}\n"), "HAS CHANGED"),
        (format!("{name} {rsa}\n"), "another type of key (ssh-rsa)"),
        (format!("@revoked * {key}\n{name} {key}\n"), "revoked"),
        (format!("{name} {key}\n@revoked {name} {key}\n"), "revoked"),
    ] {
        host.home.write(".config/sockeye/known_hosts", &list, 0o600);
        let output = host.line("echo asked");
        let line = output.assert_one_line(255);
        assert!(line.contains(word), "{list}: {line}");
        if word == "HAS CHANGED" {
            for one in [other.fingerprint().to_string(), host.fingerprint.clone()] {
                assert!(line.contains(&one), "both keys are shown: {line}");
            }
        }
        let after = fs::read_to_string(host.home.known_hosts()).expect("the list");
        assert_eq!(after, list, "the list was changed");
    }
    assert_eq!(host.server.count("authenticated"), 0, "our key was shown to it");
}

/// Fault 53: broken lines in `known_hosts` spoil nothing but themselves.
#[test]
fn broken_known_hosts() {
    let host = Host::start();
    let key = super::hostile::key_of(&host.home.path().join(".config/sockeye/host_key")).public();
    let name = format!("[127.0.0.1]:{}", host.port());
    let long = "x".repeat(40_000);
    let list = format!(
        "broken\n@frob {name} {key}\n|1|AAAA|BBBB {key}\n|1|x {key}\n{name}\n{long}\n\u{0}\n\
         {name} ssh-ed25519 AAAA\n*\n# {name}\n{name} {key}\n"
    );
    host.home.write(".config/sockeye/known_hosts", &list, 0o600);
    let words = ["exec", &host.tls, "-n", "--", "echo", "well"];
    let output = host.home.run(&words, b"");
    assert_eq!((output.code, &output.stdout[..]), (Some(0), &b"well\n"[..]), "{output:?}");
    let known = |e: &Value| e["event"] == "authenticated";
    host.server.wait_event("authenticated", known);
}
