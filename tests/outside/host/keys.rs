//! T2 with OpenSSH's own tools: keys, fingerprints, the agent, passphrases.

use std::process::{Child, Command, Stdio};

use super::pty::{Pty, can_start};
use crate::harness::process::{run_command, tool};
use crate::harness::remote::{Home, Host, text};
use crate::harness::{eventually, needs};

/// A key pair by ssh-keygen(1) in that home, authorised.
fn ssh_key(home: &Home, passphrase: &str) {
    let file = home.identity();
    let words = ["-q", "-t", "ed25519", "-N", passphrase, "-C", "a comment ü", "-f", text(&file)];
    tool("ssh-keygen", &words);
    home.authorize(&home.public());
}

fn fingerprint(file: &str) -> String {
    let line = tool("ssh-keygen", &["-l", "-f", file]);
    line.split_whitespace().nth(1).expect("a fingerprint").to_owned()
}

/// A running ssh-agent(1); ended when dropped.
struct Agent {
    child: Child,
    socket: String,
}

impl Agent {
    fn start(home: &Home) -> Agent {
        let socket = text(&home.path().join("agent")).to_owned();
        let mut command = home.other("ssh-agent");
        command.args(["-D", "-a", &socket]).stdout(Stdio::null()).stderr(Stdio::null());
        let agent = Agent { child: command.spawn().unwrap(), socket };
        eventually("the agent listens", || std::fs::exists(&agent.socket).unwrap());
        agent
    }

    /// Adds a key, its passphrase given by a program as ssh-add(1) has it.
    fn add(&self, home: &Home, passphrase: &str) {
        let asks = home.write("askpass", &format!("#!/bin/sh\necho '{passphrase}'\n"), 0o755);
        let mut command = home.other("ssh-add");
        command.env("SSH_AUTH_SOCK", &self.socket).env("SSH_ASKPASS", asks);
        command.env("SSH_ASKPASS_REQUIRE", "force").arg("-q").arg(home.identity());
        let output = run_command(command, b"");
        assert_eq!(output.code, Some(0), "{output:?}");
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// T2: a key by ssh-keygen(1) is an identity as it is, and its fingerprint is the same here and
/// there.
#[test]
fn ssh_keygen() {
    if !needs(&["ssh-keygen"]) {
        return;
    }
    let home = Home::empty();
    ssh_key(&home, "");
    let file = home.identity();
    let expected = fingerprint(text(&file));
    let shown = home.well(&["key", "show", text(&file)]);
    assert!(shown.contains(&expected) && shown.contains("a comment ü"), "{shown}");
    let host = Host::of(home, |launch| launch);
    assert_eq!(host.exec(&["--", "true"], b"").code, Some(0));
    let event = host.server.wait_for("authenticated");
    assert_eq!((&event["identity"], &event["comment"]), (&expected.into(), &"a comment ü".into()));
    let key = host.home.path().join(".config/sockeye/host_key");
    assert_eq!(fingerprint(text(&key)), host.fingerprint);
}

/// T2: a key by `sockeye key new` is one for OpenSSH's tools; lists that we write are theirs.
#[test]
fn ours_for_them() {
    if !needs(&["ssh-keygen"]) {
        return;
    }
    let home = Home::empty();
    home.well(&["key", "new", "--no-passphrase", "-C", "mine"]);
    let file = home.path().join(".config/sockeye/id_ed25519");
    let public = std::fs::read_to_string(file.with_extension("pub")).unwrap();
    let derived = tool("ssh-keygen", &["-y", "-f", text(&file)]);
    assert!(public.starts_with(derived.trim()), "{public} {derived}");
    let again = home.run(&["key", "new", "--no-passphrase"], b"");
    assert_eq!(again.code, Some(1), "never over an existing one: {again:?}");

    home.well(&["key", "authorize", "--from", "10.0.0.0/8", "--command", "echo \"x\""]);
    let list = home.ssh("authorized_keys");
    assert_eq!(fingerprint(text(&list)), fingerprint(text(&file)));

    home.well(&["key", "trust", "box:2222", public.trim()]);
    let known = home.known_hosts();
    tool("ssh-keygen", &["-F", "[box]:2222", "-f", text(&known)]);
    let listed = home.well(&["key", "list"]);
    assert!(listed.contains("box") && listed.contains(&fingerprint(text(&file))), "{listed}");
    home.well(&["key", "trust", "--remove", "box:2222"]);
    assert!(!std::fs::read_to_string(&known).unwrap().contains("ssh-ed25519"));
}

/// T2: an encrypted key through the agent, with the public half named, and without.
#[test]
fn agent() {
    if !needs(&["ssh-keygen", "ssh-agent", "ssh-add"]) || !can_start() {
        return;
    }
    let home = Home::empty();
    ssh_key(&home, "open sesame");
    let agent = Agent::start(&home);
    agent.add(&home, "open sesame");
    let host = Host::of(home, |launch| launch);
    let public = host.home.ssh("id_ed25519.pub");
    let reach = |words: &[&str]| {
        let mut command = host.client(words);
        command.env("SSH_AUTH_SOCK", &agent.socket);
        run_command(command, b"")
    };
    let named = reach(&["-i", text(&public), "--", "echo", "in"]);
    assert_eq!((named.code, named.stdout_text().as_str()), (Some(0), "in\n"), "{named:?}");
    // The private half may be elsewhere altogether.
    std::fs::remove_file(host.home.identity()).unwrap();
    let named = reach(&["-i", text(&public), "--", "echo", "in"]);
    assert_eq!(named.code, Some(0), "{named:?}");
    std::fs::remove_file(&public).unwrap();
    let any = reach(&["--", "echo", "in"]);
    assert_eq!((any.code, any.stdout_text().as_str()), (Some(0), "in\n"), "{any:?}");
    assert_eq!(host.exec(&["--", "true"], b"").code, Some(255), "without the agent");
}

/// T2: an encrypted key that the agent holds is not asked for a passphrase.
#[test]
fn agent_first() {
    if !needs(&["ssh-keygen", "ssh-agent", "ssh-add"]) || !can_start() {
        return;
    }
    let home = Home::empty();
    ssh_key(&home, "open sesame");
    let agent = Agent::start(&home);
    agent.add(&home, "open sesame");
    let host = Host::of(home, |launch| launch);
    let mut command = host.client(&["--", "echo", "in"]);
    command.env("SSH_AUTH_SOCK", &agent.socket);
    let mut client = Pty::start(&command);
    let shown = client.until("in");
    assert!(!shown.to_lowercase().contains("passphrase"), "{shown}");
    client.ends(0);
}

/// T2: an encrypted key asks for its passphrase on the terminal, unseen; a wrong one is a failure of
/// its own; without a terminal it says what to do.
#[test]
fn passphrase() {
    if !needs(&["ssh-keygen"]) || !can_start() {
        return;
    }
    let home = Home::empty();
    ssh_key(&home, "open sesame");
    let host = Host::of(home, |launch| launch);
    let command = host.client(&["--", "echo", "in"]);

    let mut client = Pty::start(&command);
    client.until("Passphrase for ");
    client.wait_raw();
    client.types("open sesame\n");
    let shown = client.until("in\r\n");
    assert!(!shown.contains("sesame"), "{shown}");
    client.ends(0);

    let mut client = Pty::start(&command);
    for _ in 0..sockeye_limits::PASSPHRASE_TRIES {
        client.until("Passphrase for ");
        client.wait_raw();
        client.types("wrong\n");
    }
    assert!(client.ends(255).contains("wrong passphrase"));

    let mut command = host.home.other("setsid");
    command.args(["--wait", crate::harness::BINARY, "exec", &host.tls]);
    command.args(["--trust", &host.fingerprint, "--", "true"]);
    let output = run_command(command, b"");
    assert!(output.assert_one_line(255).contains("passphrase"), "{output:?}");
}

/// T2: `key new` on a terminal asks twice and encrypts; OpenSSH opens it with the same passphrase.
#[test]
fn encrypted_by_us() {
    if !needs(&["ssh-keygen"]) || !can_start() {
        return;
    }
    let home = Home::empty();
    let file = home.identity();
    let mut client = Pty::start(&home.command(&["key", "new", "-f", text(&file)]));
    client.until("(empty for none): ");
    client.wait_raw();
    client.types("one two\n");
    client.until("again: ");
    client.wait_raw();
    client.types("one two\n");
    client.ends(0);
    tool("ssh-keygen", &["-y", "-P", "one two", "-f", text(&file)]);
    let mut command = Command::new("ssh-keygen");
    command.args(["-y", "-P", "wrong", "-f", text(&file)]);
    assert_ne!(run_command(command, b"").code, Some(0));
}
