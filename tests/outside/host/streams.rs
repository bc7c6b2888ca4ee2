//! X3: standard streams, byte-exact, with back-pressure (faults 8, 39, 40).

use std::io::{Read, Write};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::harness::bytes::{Random, assert_same};
use crate::harness::process::{needs_root, rss_kib, signal};
use crate::harness::remote::{Home, Host, Running, mark, marked, text};
use crate::harness::{DEADLINE, copy_program, eventually, needs};

const BULK: usize = 100_000_000;

/// More than this is not flat, in KiB; P11 allows as much.
const FLAT: u64 = 64 * 1024;

/// X3: 100 MB through a command and back are the same 100 MB, over TLS and over a Unix socket.
#[test]
fn bulk() {
    let host = Host::start();
    let sent = Random::new(7).bytes(BULK);
    for output in [host.exec(&["--", "cat"], &sent), host.exec_unix(&["--", "cat"], &sent)] {
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""));
        assert_same(&output.stdout, &sent, 0);
    }
}

/// X3: one way at a time, from a file and into one, which are no pipes.
#[test]
fn files() {
    let host = Host::start();
    let sent = Random::new(8).bytes(BULK / 4);
    let (here, there) = (host.home.path().join("here"), host.home.path().join("there"));
    std::fs::write(&here, &sent).unwrap();
    let mut command = host.client(&["-c", "cat > there"]);
    command.stdin(std::fs::File::open(&here).unwrap());
    assert!(command.status().unwrap().success());
    assert_same(&std::fs::read(&there).unwrap(), &sent, 0);

    let back = host.home.path().join("back");
    let mut command = host.client(&["--", "cat", text(&there)]);
    command.stdin(Stdio::null()).stdout(std::fs::File::create(&back).unwrap());
    assert!(command.status().unwrap().success());
    assert_same(&std::fs::read(&back).unwrap(), &sent, 0);
}

/// X3: both outputs at once, each whole and in order.
#[test]
fn both_outputs() {
    let host = Host::start();
    let line = "seq 1 500000 & seq 500001 1000000 >&2; wait";
    let output = host.line(line);
    let lines = |from: u32, to: u32| (from..=to).map(|n| format!("{n}\n")).collect::<String>();
    assert_same(&output.stdout, lines(1, 500_000).as_bytes(), 0);
    assert_same(output.stderr.as_bytes(), lines(500_001, 1_000_000).as_bytes(), 0);
}

/// X3: output comes as it is written, not at the end; input goes as it is typed.
#[test]
fn as_it_comes() {
    let host = Host::start();
    let mut client = host.spawn(&["-c", "while read x; do echo got $x; done"]);
    let mut stdin = client.child.stdin.take().unwrap();
    for word in ["one", "two"] {
        writeln!(stdin, "{word}").unwrap();
        client.expect_line(&format!("got {word}"));
    }
    drop(stdin);
    assert_eq!(client.wait(), Some(0));
}

/// X3: the end of input arrives; `-n` sends none although ours is open; a command that does not
/// read its input ends all the same.
#[test]
fn input_and_its_end() {
    let host = Host::start();
    assert_eq!(host.exec(&["--", "wc", "-c"], b"12345").stdout_text().trim(), "5");
    assert_eq!(host.exec(&["--", "wc", "-c"], b"").stdout_text().trim(), "0");

    let mut client = host.spawn(&["-n", "--", "wc", "-c"]);
    assert_eq!(client.next_line().unwrap().trim(), "0");
    assert_eq!(client.wait(), Some(0));

    let plenty = vec![b'x'; 20_000_000];
    assert_eq!(host.exec(&["--", "true"], &plenty).code, Some(0));
    assert_eq!(host.exec(&["--", "head", "-c", "3"], &plenty).stdout, b"xxx");
    let output = host.exec(&["-c", "exec <&-; sleep 0.2; echo done"], &plenty);
    assert_eq!((output.code, output.stdout_text().as_str()), (Some(0), "done\n"));
}

/// Bytes that a process has written, and those it has read: proc_pid_io(5).
fn moved(pid: u32) -> (u64, u64) {
    let text = std::fs::read_to_string(format!("/proc/{pid}/io")).unwrap();
    let field = |name: &str| {
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap()
    };
    (field("wchar:"), field("rchar:"))
}

/// Waits until a number no longer changes for half a second.
fn settled(mut number: impl FnMut() -> u64) -> u64 {
    let end = Instant::now() + DEADLINE;
    let (mut last, mut since) = (number(), Instant::now());
    while since.elapsed() < Duration::from_millis(500) {
        assert!(Instant::now() < end, "it goes on and on");
        std::thread::sleep(Duration::from_millis(5));
        let now = number();
        if now != last {
            (last, since) = (now, Instant::now());
        }
    }
    last
}

fn assert_flat(host: &Host, client: u32) {
    let worker = |pid: &u32| std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok();
    let server = crate::harness::process::children_of(host.server.pid());
    let all = [client, host.server.pid()].into_iter().chain(server).filter(worker);
    for pid in all {
        let rss = rss_kib(pid);
        assert!(rss < FLAT, "process {pid} has {rss} KiB");
    }
}

/// X3, fault 39: a reader that does not read stops the command; nothing grows on either end; and
/// it goes on where it stopped, byte-exact.
#[test]
fn slow_reader() {
    let host = Host::start();
    let line = "echo $$; exec seq 1 100000000";
    let mut client = host.client(&["-n", "-c", line]);
    client.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = Running::adopt(client.spawn().unwrap());
    let mut stdout = std::io::BufReader::new(client.child.stdout.take().unwrap());
    let mut first = String::new();
    std::io::BufRead::read_line(&mut stdout, &mut first).unwrap();
    let command: u32 = first.trim().parse().unwrap();

    let written = settled(|| moved(command).0);
    assert!(written < FLAT * 1024, "{written} bytes are on their way to nobody");
    assert_flat(&host, client.pid());

    // It goes on, and nothing was lost.
    let expected: String = (1..=5_000_000).map(|n| format!("{n}\n")).collect();
    let mut got = vec![0; expected.len()];
    stdout.read_exact(&mut got).unwrap();
    assert_same(&got, expected.as_bytes(), 0);
    assert_flat(&host, client.pid());
    settled(|| moved(command).0);
    signal(client.pid(), rustix::process::Signal::KILL);
    eventually("the command ends", || crate::harness::process::state_of(command).is_none());
}

/// X3, fault 39: a command that does not read its input stops our reading; nothing grows.
#[test]
fn slow_command() {
    let host = Host::start();
    let mark = mark();
    let line = format!("echo ready; sleep {mark}; :");
    let mut client = host.spawn(&["-c", &line]);
    client.expect_line("ready");
    let mut stdin = client.child.stdin.take().unwrap();
    let taken = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let count = taken.clone();
    let writes = std::thread::spawn(move || {
        let piece = [b'x'; 65_536];
        while let Ok(n) = stdin.write(&piece) {
            count.fetch_add(n as u64, std::sync::atomic::Ordering::Relaxed);
        }
    });
    let sent = settled(|| taken.load(std::sync::atomic::Ordering::Relaxed));
    assert!(sent < 16 * 1024 * 1024, "{sent} bytes were taken for nobody");
    assert_flat(&host, client.pid());
    for pid in marked(&mark) {
        signal(pid, rustix::process::Signal::TERM);
    }
    assert!(client.wait().is_some());
    writes.join().unwrap();
}

/// X3, fault 39: a gigabyte in flight leaves both ends flat while it flows.
#[test]
fn flowing() {
    let host = Host::start();
    let mut client = host.client(&["-n", "--", "head", "-c", "1000000000", "/dev/zero"]);
    client.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut client = Running::adopt(client.spawn().unwrap());
    let mut stdout = client.child.stdout.take().unwrap();
    let (mut total, mut buffer, mut next) = (0_u64, vec![0; 1 << 20], 0);
    loop {
        let n = stdout.read(&mut buffer).unwrap();
        if n == 0 {
            break;
        }
        assert!(buffer[..n].iter().all(|byte| *byte == 0));
        total += n as u64;
        if total > next {
            assert_flat(&host, client.pid());
            next += 100_000_000;
        }
    }
    assert_eq!((total, client.wait()), (1_000_000_000, Some(0)));
}

/// X3, faults 8, 39, 45: the reader of our output goes, as `head` does: the command ends, quietly.
#[test]
fn reader_gone() {
    let host = Host::start();
    let mark = mark();
    let mut client = host.spawn(&["-n", "-c", &format!("yes {mark}")]);
    client.expect_line(&mark);
    client.stop_reading();
    assert_eq!(client.wait(), Some(141));
    assert_eq!(client.stderr(), "");
    eventually("the command ends", || marked(&mark).is_empty());
}

/// Fault 40: a command that ends at once, that closes an output early, whose stderr comes after
/// stdout's end, whose child still writes when it has ended: nothing is lost, the status is right.
#[test]
fn early_and_late() {
    let host = Host::start();
    let cases = [
        ("exit 9", "", "", 9),
        ("printf x; exit 9", "x", "", 9),
        ("exec 1>&-; sleep 0.2; printf late >&2; exit 7", "", "late", 7),
        ("exec 2>&-; sleep 0.2; printf late; exit 7", "late", "", 7),
        ("exec 1>&- 2>&-; sleep 0.2; exit 6", "", "", 6),
        ("(sleep 0.3; printf late; printf err >&2) & exit 5", "late", "err", 5),
        ("printf a; exec 0<&- 1>&- 2>&-; sleep 0.1; kill -9 $$", "a", "", 137),
    ];
    for (line, stdout, stderr, code) in cases {
        for output in [host.exec(&["-c", line], b""), host.exec_unix(&["-c", line], b"")] {
            let got = (output.stdout_text(), output.stderr, output.code);
            assert_eq!(got, (stdout.into(), stderr.into(), Some(code)), "{line}");
        }
    }
}

/// Fault 8: a command finds the usual SIGPIPE and no signal blocked or ignored, whatever its server
/// does with them.
#[test]
fn usual_signals() {
    let host = Host::start();
    let output = host.line("yes | head -1; grep -E '^Sig(Blk|Ign)' /proc/self/status");
    let zero = "0000000000000000";
    assert_eq!(output.stdout_text(), format!("y\nSigBlk:\t{zero}\nSigIgn:\t{zero}\n"));
    assert_eq!(output.stderr, "");
}

/// X3, X5: pipes that another user has made, as under sudo, cannot be opened anew: they hold up
/// nothing all the same. An input that is silent leaves the output alone, and an output that nobody
/// reads leaves the signals alone.
#[test]
fn pipes_of_another_user() {
    const NOBODY: u32 = 65_534;
    if !needs_root() || !needs(&["setpriv"]) {
        return;
    }
    let theirs = Home::new();
    let host = Host::start();
    host.home.authorize(&theirs.public());
    // The program may lie where that user may not go.
    let program = theirs.path().join("sockeye");
    copy_program(crate::harness::BINARY, &program);
    for entry in ["", ".ssh", ".ssh/id_ed25519", ".ssh/id_ed25519.pub", "sockeye"] {
        std::os::unix::fs::chown(theirs.path().join(entry), Some(NOBODY), Some(NOBODY)).unwrap();
    }
    let client = |line: &str| {
        let mut command = theirs.other("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.args([text(&program), "exec", &host.tls, "--trust", &host.fingerprint]);
        command.args(["-c", line]);
        Running::start(command)
    };
    let mut echoes = client("echo ready; while read x; do echo got $x; done; echo over");
    echoes.expect_line("ready");
    let mut stdin = echoes.child.stdin.take().unwrap();
    for word in ["one", "two"] {
        writeln!(stdin, "{word}").unwrap();
        echoes.expect_line(&format!("got {word}"));
    }
    drop(stdin);
    echoes.expect_line("over");
    assert_eq!(echoes.wait(), Some(0));

    let mark = mark();
    let mut floods = client(&format!("exec yes {mark}"));
    let is_yes = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "yes\n")
    };
    let mut flood = None;
    eventually("it runs", || {
        flood = marked(&mark).into_iter().find(is_yes);
        flood.is_some()
    });
    settled(|| moved(flood.expect("it runs")).0);
    signal(floods.pid(), rustix::process::Signal::INT);
    eventually("the command has ended", || marked(&mark).is_empty());
    let mut rest = Vec::new();
    floods.child.stdout.take().unwrap().read_to_end(&mut rest).unwrap();
    assert_eq!(floods.wait(), Some(130));
}

/// X3: nothing is read ahead of its reader: our standard input is left to whoever comes next where
/// the command has none.
#[test]
fn input_is_left() {
    let host = Host::start();
    let script = format!(
        "{} exec {} --trust {} -n -- echo first; cat",
        crate::harness::BINARY,
        host.tls,
        host.fingerprint
    );
    let mut shell = host.home.other("sh");
    shell.args(["-c", &script]);
    let output = crate::harness::process::run_command(shell, b"rest");
    assert_eq!(output.stdout_text(), "first\nrest");
}
