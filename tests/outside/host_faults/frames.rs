//! Frames that break the protocol, from either side (fault 46): refused at once, the guilty side
//! named, and nothing left behind.

use std::time::Duration;

use serde_json::Value;

use super::hostile::{
    Fake, Guest, Line, client_hello, commands, counted, ended, frame, header, kind, run_line,
    server_hello,
};
use crate::harness::eventually;
use crate::harness::process::{Output, cpu_ticks, rss_kib, run_command, throughout};
use crate::harness::remote::{Home, Host};

/// A server that is attacked by one guest after another.
struct Arena {
    host: Host,
    met: u64,
}

impl Arena {
    fn open() -> Arena {
        Arena { host: Host::start(), met: 0 }
    }

    /// A guest over the Unix socket that has said hello, and its number.
    fn guest(&mut self) -> (Guest, u64) {
        let mut guest = Guest::plug(&self.host);
        self.met += 1;
        guest.say(&client_hello());
        (guest, self.met)
    }

    /// Why this guest was shown the door, from the server's events.
    fn why(&self, number: u64) -> String {
        let closed = self.host.server.wait_closed(number);
        assert_eq!(closed["why"], "protocol", "{closed}");
        let fits = |e: &Value| e["event"] == "rejected" && e["connection"] == number;
        let rejected = self.host.server.wait_event("rejected", fits);
        rejected["why"].as_str().expect("a sentence").to_owned()
    }

    /// The server ends a guest that says this, and tells why.
    fn refuses(&mut self, bytes: &[u8], what: &str) {
        let (mut guest, number) = self.guest();
        guest.say(bytes);
        let (heard, _) = guest.hear_all();
        let claims_an_end = heard.windows(5).any(|w| *w == header(kind::ENDED, 27)[..]);
        assert!(!claims_an_end, "{what}: told as the end of a command");
        let why = self.why(number);
        assert!(why.starts_with("the client ") && why.contains(what), "{what}: {why}");
    }

    /// No command is left, and the server serves on.
    fn is_sound(&self) {
        eventually("no command is left", || commands(&self.host) == 0);
        assert_eq!(self.host.exec_unix(&["-n", "--", "echo", "hi"], b"").stdout, b"hi\n");
    }
}

/// A command that never ends by itself and reads no input; with flag 1 it could be sent some.
fn sleeping(flags: u8) -> Vec<u8> {
    run_line(flags, "exec sleep 1000")
}

/// Fault 46: a length that its kind cannot have is refused from the header alone, with nothing
/// behind it; so are kinds that do not exist or are the server's.
#[test]
fn client_headers() {
    let mut arena = Arena::open();
    for length in [0, 5, 1_048_577, u32::MAX] {
        arena.refuses(&header(kind::RUN, length), "out of bounds");
    }
    for (kind, lengths) in [
        (kind::STDIN, &[0, 262_145, u32::MAX][..]),
        (kind::STDIN_END, &[1, u32::MAX]),
        (kind::SIGNAL, &[0, 2, u32::MAX]),
        (kind::RESIZE, &[0, 7, 9, u32::MAX]),
    ] {
        for length in lengths {
            let attack = [sleeping(1), header(kind, *length)].concat();
            arena.refuses(&attack, "out of bounds");
        }
    }
    for kind in [0x00, 0x07, 0x7f, 0x80, kind::STARTED, kind::ENDED, 0xff] {
        arena.refuses(&header(kind, 4), "unknown kind");
        arena.refuses(&[sleeping(1), header(kind, 4)].concat(), "unknown kind");
    }
    arena.is_sound();
}

/// Fault 46: what has no place there is refused, before and during a command.
#[test]
fn client_order() {
    let mut arena = Arena::open();
    let size = [0; 8];
    for first in [
        frame(kind::STDIN, b"x"),
        frame(kind::STDIN_END, b""),
        frame(kind::SIGNAL, &[2]),
        frame(kind::RESIZE, &size),
    ] {
        arena.refuses(&first, "before the first command");
    }
    arena.refuses(&[sleeping(0), sleeping(0)].concat(), "before the last command was over");
    let end = frame(kind::STDIN_END, b"");
    for (flags, late) in [
        (0, frame(kind::STDIN, b"x")),
        (0, end.clone()),
        (1, [end.clone(), end.clone()].concat()),
        (1, [end, frame(kind::STDIN, b"x")].concat()),
        (1, frame(kind::RESIZE, &size)),
    ] {
        arena.refuses(&[sleeping(flags), late].concat(), "sent");
    }
    arena.is_sound();
}

/// A Run whose payload is these pieces.
fn run(pieces: &[&[u8]]) -> Vec<u8> {
    frame(kind::RUN, &pieces.concat())
}

/// Fault 46: a Run whose fields lie is refused whole: counts beyond what is there or allowed, bytes
/// behind the last field, flags and forms that do not exist, NUL bytes.
#[test]
fn client_runs() {
    let mut arena = Arena::open();
    let (none, word) = (&[0; 4][..], counted(b"true"));
    let huge = &u32::MAX.to_be_bytes()[..];
    let many = &65_537_u32.to_be_bytes()[..];
    let one = &1_u32.to_be_bytes()[..];
    let words = counted(b"").repeat(65_537);
    let variables: Vec<u8> = [counted(b"A"), counted(b"")].concat().repeat(1025);
    let terminal = counted(&[b'x'; 129]);
    for attack in [
        run(&[&[0, 1], none, none]),
        run(&[&[0, 1], huge, none]),
        run(&[&[0, 1], many, &words, none]),
        run(&[&[0, 1], one, huge, none]),
        run(&[&[0, 1], one, &counted(b"a\0b"), none]),
        run(&[&[0, 1], one, &word, none, b"x"]),
        run(&[&[0, 1], one, &word, huge]),
        run(&[&[0, 1], one, &word, &1025_u32.to_be_bytes(), &variables]),
        run(&[&[0, 1], one, &word, one, &counted(b""), &counted(b"v")]),
        run(&[&[0, 1], one, &word, one, &counted(b"A=B"), &counted(b"v")]),
        run(&[&[0, 1], one, &word, one, &counted(b"A"), &counted(b"\0")]),
        run(&[&[0, 0], none, none]),
        run(&[&[0, 4], none, none]),
        run(&[&[64, 2], &word, none]),
        run(&[&[128, 2], &word, none]),
        run(&[&[3, 2], &word, none]),
        run(&[&[4, 2], &word, none, none]),
        run(&[&[4, 2], &word, none, &counted(b"/\0")]),
        run(&[&[8, 2], &word, none, &terminal, &[0; 8]]),
        run(&[&[8, 2], &word, none, &counted(b"a\0"), &[0; 8]]),
        run(&[&[16, 2], &word, none, &[0; 7]]),
    ] {
        arena.refuses(&attack, "of kind Run with ");
    }
    let flood = frame(kind::SIGNAL, &[13]);
    arena.refuses(&[sleeping(0), flood].concat(), "unknown signal");
    arena.is_sound();
}

/// Fault 46: floods in the control phase: signals, input beyond the window, hellos without end.
#[test]
fn client_floods() {
    let mut arena = Arena::open();
    let signals = frame(kind::SIGNAL, &[12]).repeat(5000);
    arena.refuses(&[sleeping(0), signals].concat(), "4096");
    let piece = frame(kind::STDIN, &vec![b'x'; 256 * 1024]);
    // The command's pipe takes a part, the window another.
    arena.refuses(&[sleeping(1), piece.repeat(16)].concat(), "sent");
    let hellos = client_hello().repeat(1000);
    arena.refuses(&hellos, "unknown kind");
    arena.is_sound();
}

/// Fault 46: a header that claims the most that is allowed makes nobody hold that much, and costs no
/// processor time while nothing follows.
#[test]
fn claims_cost_nothing() {
    let host = Host::start();
    let worker_of = |guest: &mut Guest| {
        guest.say(&[client_hello(), run_line(0, "echo $PPID.")].concat());
        // To the end of the command: the next Run may come then, and not before.
        let heard = guest.hear_until(&header(kind::ENDED, 27));
        let end = heard.windows(2).position(|two| two == b".\n").expect("it came");
        let digits = heard[..end].rsplit(|byte| !byte.is_ascii_digit()).next();
        let digits = String::from_utf8_lossy(digits.expect("a number"));
        digits.parse::<u32>().expect("a process number")
    };
    let mut guest = Guest::plug(&host);
    let worker = worker_of(&mut guest);
    let before = rss_kib(worker);
    guest.say(&header(kind::RUN, 1_048_576));
    let ticks = cpu_ticks(worker);
    throughout(Duration::from_millis(300), || {});
    assert!(rss_kib(worker) < before + 512, "{} KiB before, {} after", before, rss_kib(worker));
    assert!(cpu_ticks(worker) <= ticks + 2, "it spins");
    guest.fin();
    let (_, end) = guest.hear_all();
    assert!(end.is_ok(), "{end:?}");
    let closed = host.server.wait_for("closed");
    assert_eq!(closed["why"], "protocol", "{closed}");
}

/// Runs the client against a server that answers its Run with these bytes and then only listens.
fn met_by(words: &[&str], answer: Vec<u8>) -> Output {
    let fake = Fake::unix(async move |mut line: Line| {
        if line.hear_run().await.is_ok() {
            // The client may hang up in the middle.
            let _ = line.say(&answer).await;
            line.wait_for_end().await;
        }
    });
    let home = Home::empty();
    let mut command = home.command(&["exec", &fake.endpoint, "-n"]);
    command.args(words);
    run_command(command, b"")
}

/// The client ends with 255 and names the server's fault.
fn blames(answer: &[Vec<u8>], what: &str) {
    let answer = [&[server_hello()], answer].concat().concat();
    let output = met_by(&["--", "true"], answer);
    let line = output.assert_one_line(255);
    assert!(line.contains("the server ") && line.contains(what), "{what}: {line}");
}

fn started() -> Vec<u8> {
    frame(kind::STARTED, &[0, 0, 0, 9])
}

/// Fault 46: a server's lengths and kinds: the client waits for nothing, holds nothing, and says who
/// is guilty.
#[test]
fn server_headers() {
    for (kind, lengths) in [
        (kind::STDOUT, &[0, 262_145, u32::MAX][..]),
        (kind::STDERR, &[0, 262_145, u32::MAX]),
        (kind::STDIN_TAKEN, &[0, 3, 5, u32::MAX]),
        (kind::STDIN_CLOSED, &[1]),
        (kind::ENDED, &[0, 26, 28, u32::MAX]),
    ] {
        for length in lengths {
            blames(&[started(), header(kind, *length)], "out of bounds");
        }
    }
    for (kind, length) in [(kind::STARTED, 3), (kind::STARTED, u32::MAX), (kind::FAILED, 0)] {
        blames(&[header(kind, length)], "out of bounds");
    }
    blames(&[header(kind::FAILED, 2050)], "out of bounds");
    for kind in [0x00, kind::RUN, kind::STDIN, 0x80, 0x89, 0xff] {
        blames(&[header(kind, 4)], "unknown kind");
    }
}

/// Fault 46: a server that says things out of order, or that lies in them.
#[test]
fn server_order() {
    let stdout = frame(kind::STDOUT, b"x");
    for early in [&stdout, &frame(kind::STDERR, b"x"), &ended(0, 0, 0)] {
        blames(std::slice::from_ref(early), "before the command was started");
    }
    let failed = frame(kind::FAILED, b"\x01no");
    for twice in [started(), failed] {
        blames(&[started(), twice], "after the command was started");
    }
    for (out, err) in [(1, 0), (0, 1), (u64::MAX, u64::MAX)] {
        blames(&[started(), ended(0, out, err)], "counted");
    }
    for status in [[0, 0, 0], [1, 0, 1], [2, 0, 0], [2, 65, 0], [2, 9, 2], [3, 1, 0], [5, 0, 0]] {
        let end = frame(kind::ENDED, &[&status[..], &[0; 24]].concat());
        blames(&[started(), end], "unknown status");
    }
    blames(&[frame(kind::FAILED, b"\x00no")], "unknown reason");
    blames(&[frame(kind::FAILED, b"\x07no")], "unknown reason");
    blames(&[frame(kind::FAILED, b"\x01\xff\xfe")], "not UTF-8");
    blames(&[started(), frame(kind::STDIN_TAKEN, &[0, 0, 0, 1])], "sent");
    blames(&[started(), frame(kind::STDIN_CLOSED, b"")], "sent");
}

/// Fault 46, X4: what a server sends before an error was byte-exact and is shown; the exit status
/// says that it is not all.
#[test]
fn output_before_a_fault() {
    let answer = [server_hello(), started(), frame(kind::STDOUT, b"part"), header(0xff, 0)];
    let output = met_by(&["--", "true"], answer.concat());
    assert_eq!((output.code, &output.stdout[..]), (Some(255), &b"part"[..]), "{output:?}");
    // With --json it is one object, which says so too.
    let output = met_by(&["--json", "--", "true"], answer.concat());
    let answer: Value = serde_json::from_slice(&output.stdout).expect("one JSON object");
    assert_eq!((output.code, &answer["exit"]), (Some(255), &Value::from(255)), "{output:?}");
}

/// Fault 46: a server that ignores the limit of output that it was given floods nobody's memory.
#[test]
fn server_ignores_the_output_limit() {
    for words in [&["--json"][..], &["--max-output", "100000"], &["--json", "--max-output", "9"]] {
        let fake = Fake::unix(async |mut line: Line| {
            if line.hear_run().await.is_err() {
                return;
            }
            let piece = frame(kind::STDOUT, &vec![b'x'; 256 * 1024]);
            let mut said = line.say(&[server_hello(), started()].concat()).await;
            while said.is_ok() {
                said = line.say(&piece).await;
            }
        });
        let home = Home::empty();
        let mut command = home.command(&["exec", &fake.endpoint, "-n"]);
        command.args(words).args(["--", "yes"]);
        let output = run_command(command, b"");
        assert_eq!(output.code, Some(255), "{words:?}");
        assert!(output.stdout.len() <= 17 * 1024 * 1024, "{} bytes", output.stdout.len());
        assert!(output.stderr.contains("the server ") && output.stderr.contains("limit"));
    }
}
