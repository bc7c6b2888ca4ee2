//! Where secrets must not be (fault 55), and what a process that speaks to strangers must not have.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::door::begin_handshake;
use super::hostile::commands;
use crate::harness::process::{children_of, fds_of, needs, run_command, state_of, tool};
use crate::harness::remote::{Home, Host, text};
use crate::harness::{BINARY, Conn, eventually};

const PASSPHRASE: &str = "Zwetschgendatschi-55-plum";

/// True where some readable memory of the process holds these bytes: proc_pid_mem(5).
fn memory_holds(pid: u32, needle: &[u8]) -> bool {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("the process lives");
    let memory = File::open(format!("/proc/{pid}/mem")).expect("its memory may be read");
    let regions = maps.lines().filter_map(|line| {
        let mut fields = line.split_whitespace();
        let (from, to) = fields.next()?.split_once('-')?;
        let readable = fields.next()?.starts_with('r');
        let number = |text| u64::from_str_radix(text, 16).ok();
        // What the kernel itself keeps there cannot be read.
        let ours = !line.ends_with("[vvar]") && !line.ends_with("[vsyscall]");
        (readable && ours).then_some((number(from)?, number(to)?))
    });
    let mut buffer = Vec::new();
    for (from, to) in regions {
        buffer.resize(usize::try_from(to - from).expect("a size"), 0);
        let n = memory.read_at(&mut buffer, from).unwrap_or(0);
        if buffer[..n].windows(needle.len()).any(|window| window == needle) {
            return true;
        }
    }
    false
}

/// The 32 secret bytes of an unencrypted key file: they stand before the last copy of the public
/// ones (PROTOCOL.key of OpenSSH).
fn seed_of(path: &Path) -> Vec<u8> {
    let file = fs::read_to_string(path).expect("the key");
    let body: String = file.lines().filter(|line| !line.starts_with("-----")).collect();
    let bytes = from_base64(&body);
    let mark = b"\x00\x00\x00\x20";
    let at = bytes.windows(4).position(|window| window == mark).expect("the public key");
    let public = &bytes[at + 4..at + 36];
    let last = bytes.windows(32).rposition(|window| window == public).expect("its last copy");
    bytes[last - 32..last].to_vec()
}

fn from_base64(text: &str) -> Vec<u8> {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bytes, mut bits, mut have) = (Vec::new(), 0_u32, 0);
    for digit in text.bytes().filter(|digit| *digit != b'=') {
        let value = DIGITS.iter().position(|one| *one == digit).expect("a digit of base64");
        bits = bits << 6 | value as u32;
        have += 6;
        if have >= 8 {
            have -= 8;
            bytes.push((bits >> have) as u8);
        }
    }
    bytes
}

/// A long line out of the middle of a private key file, which no other file has.
fn middle_of(path: &Path) -> String {
    let file = fs::read_to_string(path).expect("the key");
    file.lines().nth(3).expect("a line of base64").to_owned()
}

/// Every process, but for this one: its command line and its environment.
fn assert_nowhere(needle: &str) {
    let own = std::process::id().to_string();
    for entry in fs::read_dir("/proc").expect("/proc").flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if name == own || !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        for file in ["cmdline", "environ"] {
            // It may have ended.
            let bytes = fs::read(entry.path().join(file)).unwrap_or_default();
            let found = bytes.windows(needle.len()).any(|window| window == needle.as_bytes());
            assert!(!found, "a secret in /proc/{name}/{file}");
        }
    }
}

/// Fault 55, privilege split: a worker that waits for a stranger, or has one before it, holds no
/// child, no file and no secret of the host key; the server itself does, so the search is a true one.
#[test]
fn workers_before_authentication() {
    let host = Host::start();
    let key = host.home.path().join(".config/sockeye/host_key");
    let seed = seed_of(&key);
    let server = host.server.pid();
    assert!(memory_holds(server, &seed), "the search finds nothing at all");
    let mut conn = Conn::dial(&host.tls.replace("tls:", "tcp:")).expect("it listens");
    begin_handshake(&mut conn);
    host.server.wait_for("accepted");
    eventually("workers wait", || children_of(server).len() >= 4);
    for worker in children_of(server) {
        eventually("it waits", || state_of(worker) == Some('S'));
        assert!(!memory_holds(worker, &seed), "a worker has the host key");
        assert_eq!(children_of(worker), Vec::<u32>::new(), "a worker has a child");
        // One that has just been started still reads what it is to do.
        let harmless = ["socket:", "pipe:", "anon_inode:", "/dev/null"];
        let is_harmless = |fd: &String| harmless.iter().any(|kind| fd.starts_with(kind));
        eventually("it holds no file", || fds_of(worker).iter().all(is_harmless));
    }
}

/// Fault 55, privilege split: not even the worker that serves somebody has the key; and a command
/// gains no privileges and finds neither key nor server among its descriptors.
#[test]
fn workers_after_authentication() {
    let host = Host::start();
    let seed = seed_of(&host.home.path().join(".config/sockeye/host_key"));
    let mut running = host.spawn(&["-n", "--", "sleep", "1000"]);
    let server = host.server.pid();
    let busy = || children_of(server).into_iter().find(|worker| !children_of(*worker).is_empty());
    eventually("a command runs", || busy().is_some());
    let worker = busy().expect("a worker with a command");
    assert!(!memory_holds(worker, &seed), "the worker has the host key");
    let command = children_of(worker)[0];
    let status = fs::read_to_string(format!("/proc/{command}/status")).expect("it lives");
    assert!(status.contains("NoNewPrivs:\t1"), "{status}");
    assert_eq!(fds_of(command).len(), 3);
    running.child.kill().expect("the client is ours");
    host.server.wait_for("closed");
}

/// L2, X5: a server that is killed outright leaves no worker and no command, not even one that
/// left its session.
#[test]
fn a_killed_server_leaves_nothing() {
    let mut host = Host::start();
    let file = host.home.path().join("pids");
    let line =
        format!("setsid sleep 1000 & sleep 1000 & echo $! $$ > {}; sleep 1000", file.display());
    let _running = host.spawn(&["-n", "-c", &line]);
    eventually("the command runs", || file.exists() && commands(&host) >= 3);
    let all = host.tree();
    host.server.kill();
    eventually("all of them are gone", || {
        all.iter().all(|pid| matches!(state_of(*pid), None | Some('Z')))
    });
}

/// What types a passphrase to a client at a terminal: it reads it from a file, so that the secret is
/// in nobody's command line.
const TYPIST: &str = r#"set timeout 20
set file [open [lindex $argv 0]]
set word [read $file]
close $file
spawn -noecho {*}[lrange $argv 1 end]
expect {
  -re {[Pp]assphrase[^\r\n]*: ?$} { send -- "$word\r"; exp_continue }
  timeout { exit 99 }
  eof {}
}
lassign [wait] pid spawned failed status
exit $status
"#;

/// Runs a client at a terminal, where somebody types this whenever a passphrase is asked for.
fn typed(home: &Home, words: &[&str], passphrase: &str) -> crate::harness::process::Output {
    let script = home.write("typist", TYPIST, 0o600);
    let file = home.write("passphrase", passphrase, 0o600);
    let mut command = home.other("expect");
    command.args(["-f", text(&script), text(&file), BINARY]).args(words);
    run_command(command, b"")
}

/// Fault 55, T2: a passphrase and a private key are in no command line, environment, log, audit file
/// or output while a command runs.
#[test]
fn passphrases_and_keys() {
    if !needs(&["ssh-keygen", "expect"]) {
        return;
    }
    let home = Home::empty();
    let file = home.identity();
    let path = text(&file);
    tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", "", "-C", "me", "-f", path]);
    let clear = middle_of(&file);
    tool("ssh-keygen", &["-q", "-p", "-N", PASSPHRASE, "-P", "", "-f", path]);
    home.authorize(&home.public());
    let audit = home.path().join("audit");
    let host = Host::of(home, |launch| launch.args(&["--audit", text(&audit), "-v"]));
    let go = host.home.path().join("go");
    let line = format!("echo running; while [ ! -e {} ]; do sleep 0.01; done", go.display());
    let words =
        ["exec", &host.tls, "--trust", &host.fingerprint, "-n", "-c", &line].map(str::to_owned);
    let output = std::thread::scope(|scope| {
        let home = &host.home;
        let client = scope.spawn(move || {
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            typed(home, &words, PASSPHRASE)
        });
        host.server.wait_for("authenticated");
        assert_nowhere(PASSPHRASE);
        assert_nowhere(&clear);
        fs::write(&go, "").expect("a file");
        client.join().expect("the client")
    });
    assert_eq!(output.code, Some(0), "{output:?}");
    let said = format!(
        "{}{}{:?}{:?}{}",
        output.stderr,
        output.stdout_text(),
        host.server.events(),
        host.server.stderr(),
        fs::read_to_string(&audit).expect("the audit file")
    );
    for secret in [PASSPHRASE, &clear] {
        assert!(!said.contains(secret), "a secret was told: {said}");
    }
}

/// Fault 55 (bad input): a wrong passphrase is its own sentence, and is not repeated in it.
#[test]
fn a_wrong_passphrase() {
    if !needs(&["ssh-keygen", "expect"]) {
        return;
    }
    let host = Host::start();
    let file = host.home.path().join("encrypted");
    tool("ssh-keygen", &["-q", "-t", "ed25519", "-N", PASSPHRASE, "-a", "4", "-f", text(&file)]);
    let words = ["exec", &host.tls, "-i", text(&file), "--trust", &host.fingerprint, "--", "true"];
    let output = typed(&host.home, &words, "not-the-right-one");
    assert_eq!(output.code, Some(255), "{output:?}");
    let said = output.stdout_text();
    assert!(said.contains("wrong passphrase for"), "{said}");
    assert!(!said.contains("not-the-right-one"), "{said}");
    // Without a terminal nobody is asked, and nothing hangs.
    let output = host.exec(&["-i", text(&file), "-n", "--", "true"], b"");
    let line = output.assert_one_line(255);
    assert!(line.contains("needs its passphrase"), "{line}");
    assert_eq!(host.server.count("authenticated"), 0);
}

/// Fault 55: the client's memory, which a core file would hold, has neither passphrase nor key file
/// once the handshake is over.
#[test]
fn the_clients_memory() {
    let host = Host::start();
    let clear = middle_of(&host.home.identity());
    let mut running = host.spawn(&["-n", "--", "sleep", "1000"]);
    host.server.wait_for("authenticated");
    let server = host.server.pid();
    eventually("it runs", || commands(&host) > 0);
    let holds = memory_holds(running.child.id(), clear.as_bytes());
    running.child.kill().expect("the client is ours");
    assert!(!holds, "the key file is left in the client's memory");
    let key = middle_of(&host.home.path().join(".config/sockeye/host_key"));
    assert!(!memory_holds(server, key.as_bytes()), "the key file is left in the server's memory");
}
