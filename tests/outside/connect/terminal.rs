//! C1 and C5: the prompt on a real pseudo-terminal.

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::thread;

use rustix::process::Signal;
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};
use tempfile::TempDir;

use super::peer::{peer, read_all, reset};
use crate::harness::{BINARY, DEADLINE, clean, eventually, process, serve};

/// A `sockeye connect` on a terminal of its own; stderr is a pipe.
struct Terminal {
    child: Child,
    keys: File,
    screen: mpsc::Receiver<Vec<u8>>,
    /// What has come and was not yet looked for.
    ahead: String,
    device: File,
    /// The terminal's modes before the client had it.
    before: LocalModes,
    state: TempDir,
}

impl Terminal {
    fn start(words: &[&str]) -> Terminal {
        Terminal::start_with(words, None)
    }

    /// Standard input is the terminal, or what is given.
    fn start_with(words: &[&str], stdin: Option<Stdio>) -> Terminal {
        let keys = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&keys).unwrap();
        unlockpt(&keys).unwrap();
        let name = ptsname(&keys, Vec::new()).unwrap();
        let device = File::options().read(true).write(true).open(name.to_str().unwrap()).unwrap();
        let before = tcgetattr(&device).unwrap().local_modes;
        let state = tempfile::tempdir().unwrap();
        let mut command = clean(BINARY);
        command.arg("connect").args(words);
        command.env("TERM", "xterm").env("XDG_STATE_HOME", state.path());
        command.stdin(stdin.unwrap_or_else(|| device.try_clone().unwrap().into()));
        command.stdout(device.try_clone().unwrap()).stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        let keys = File::from(keys);
        let mut reads = keys.try_clone().unwrap();
        let (shows, screen) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(n) = reads.read(&mut buffer) {
                if shows.send(buffer[..n].to_vec()).is_err() {
                    return;
                }
            }
        });
        Terminal { child, keys, screen, ahead: String::new(), device, before, state }
    }

    /// Waits until `text` is on the screen; everything shown up to and with it.
    fn until(&mut self, text: &str) -> String {
        loop {
            if let Some(at) = self.ahead.find(text) {
                let rest = self.ahead.split_off(at + text.len());
                return std::mem::replace(&mut self.ahead, rest);
            }
            match self.screen.recv_timeout(DEADLINE) {
                Ok(bytes) => self.ahead.push_str(&String::from_utf8_lossy(&bytes)),
                Err(_) => panic!("{text:?} is not shown, but {:?}", self.ahead),
            }
        }
    }

    fn until_prompt(&mut self) -> String {
        self.until(">>: ")
    }

    fn modes(&self) -> LocalModes {
        tcgetattr(&self.device).unwrap().local_modes
    }

    fn types(&mut self, keys: &str) {
        self.keys.write_all(keys.as_bytes()).unwrap();
    }

    /// Waits for its end: the exit status and what it said on stderr.
    fn wait(&mut self) -> (Option<i32>, String) {
        let mut status = None;
        eventually("the client ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        let mut stderr = String::new();
        self.child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
        (status.unwrap().code(), stderr)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It has ended, or the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// C1: a prompt, the answer before the next, blank lines not sent, editing, history, `q`.
#[test]
fn conversation() {
    let (endpoint, serves) = peer(|stream| {
        let mut writes = stream.try_clone().unwrap();
        let mut lines = Vec::new();
        for line in BufReader::new(stream).lines() {
            let line = line.unwrap();
            writeln!(writes, "got {line}").unwrap();
            lines.push(line);
        }
        lines
    });
    let mut terminal = Terminal::start(&[&endpoint]);
    terminal.until_prompt();
    terminal.types("hello\r");
    assert!(terminal.until_prompt().contains("got hello\r\n"));
    terminal.types("\r");
    assert!(!terminal.until_prompt().contains("got"));
    // Left twice and an insertion: the line is edited before it is sent.
    terminal.types("wrld\x1b[D\x1b[D\x1b[Do\r");
    terminal.until("got world\r\n");
    terminal.until_prompt();
    terminal.types("\x1b[A\x1b[A\r");
    terminal.until("got hello\r\n");
    terminal.until_prompt();
    terminal.types("dropped\x03");
    terminal.until_prompt();
    terminal.types("q\r");
    assert_eq!(terminal.wait(), (Some(0), String::new()));
    assert_eq!(serves.join().unwrap(), ["hello", "world", "hello"]);

    assert_eq!(terminal.modes(), terminal.before);
    let history = terminal.state.path().join("sockeye/history");
    assert_eq!(std::fs::read_to_string(&history).unwrap(), "hello\nworld\nhello\n");
    assert_eq!(history.metadata().unwrap().permissions().mode() & 0o777, 0o600);
}

/// C1: what comes while the prompt stands is shown above it; Ctrl-D ends with our FIN.
#[test]
fn unasked() {
    let (go, gone) = mpsc::channel();
    let (endpoint, serves) = peer(move |mut stream| {
        gone.recv().unwrap();
        stream.write_all(b"news\n").unwrap();
        read_all(&mut stream)
    });
    let mut terminal = Terminal::start(&[&endpoint]);
    terminal.until_prompt();
    terminal.types("half");
    terminal.until("half");
    go.send(()).unwrap();
    terminal.until("news");
    // The prompt comes again with what was typed so far.
    terminal.until(">>: half");
    terminal.types("\x15\x04");
    assert_eq!(terminal.wait(), (Some(0), String::new()));
    assert_eq!(serves.join().unwrap(), b"");
}

/// C5, fault 56: escape sequences are shown, not obeyed, at the prompt and from a pipe; `--raw`
/// lets them through.
#[test]
fn control_characters() {
    const HOSTILE: &[u8] = b"\x1b]0;owned\x07 \x1b[2J\xc2\x9b1m\n";
    for raw in [false, true] {
        for at_prompt in [true, false] {
            let (endpoint, serves) = peer(|mut stream| {
                stream.write_all(HOSTILE).unwrap();
                stream.shutdown(std::net::Shutdown::Write).unwrap();
                read_all(&mut stream)
            });
            let mut words = vec![endpoint.as_str()];
            if raw {
                words.push("--raw");
            }
            let stdin = (!at_prompt).then(Stdio::null);
            let mut terminal = Terminal::start_with(&words, stdin);
            if raw {
                terminal.until("\x1b]0;owned\x07");
            } else {
                let shown = terminal.until("\\x1b[2J\\u{9b}1m");
                assert!(shown.contains("\\x1b]0;owned\\x07"), "{shown:?}");
                assert!(!shown.contains('\x07') && !shown.contains("\x1b]"), "{shown:?}");
            }
            assert_eq!(terminal.wait().0, Some(0));
            serves.join().unwrap();
        }
    }
}

/// C1: the peer's end is told and is no failure; a reset is one. The terminal is ours again.
#[test]
fn peer_ends() {
    for resets in [false, true] {
        let (endpoint, serves) = peer(move |mut stream| {
            stream.read_exact(&mut [0; 4]).unwrap();
            if resets {
                reset(stream);
            }
        });
        let mut terminal = Terminal::start(&[&endpoint]);
        terminal.until_prompt();
        terminal.types("bye\r");
        let (code, stderr) = terminal.wait();
        let (expected, words) = match resets {
            false => (Some(0), "sockeye: the peer ended the conversation\n"),
            true => (Some(1), "reset the connection"),
        };
        assert!(code == expected && stderr.contains(words), "{code:?} {stderr}");
        assert_eq!(terminal.modes(), terminal.before);
        serves.join().unwrap();
    }
}

/// C1: the peer ends while the prompt stands and rustyline holds the terminal: it is given back.
#[test]
fn peer_ends_at_prompt() {
    let (go, gone) = mpsc::channel();
    let (endpoint, serves) = peer(move |stream| {
        gone.recv().unwrap();
        drop(stream);
    });
    let mut terminal = Terminal::start(&[&endpoint]);
    terminal.until_prompt();
    // An echoed key says that the terminal is in raw mode.
    terminal.types("x");
    terminal.until("x");
    assert_ne!(terminal.modes(), terminal.before);
    go.send(()).unwrap();
    assert_eq!(terminal.wait(), (Some(0), "sockeye: the peer ended the conversation\n".into()));
    assert_eq!(terminal.modes(), terminal.before);
    serves.join().unwrap();
}

/// C1: the peer says something while the prompt stands, and ends: the prompt is not drawn again after
/// the end, and the cursor is left at the start of a line.
#[test]
fn no_prompt_after_the_end() {
    for _ in 0..8 {
        let (go, gone) = mpsc::channel();
        let (endpoint, serves) = peer(move |mut stream| {
            gone.recv().unwrap();
            stream.write_all(b"last words\n").unwrap();
        });
        let mut terminal = Terminal::start(&[&endpoint]);
        terminal.until_prompt();
        terminal.types("x");
        terminal.until("x");
        go.send(()).unwrap();
        assert_eq!(terminal.wait(), (Some(0), "sockeye: the peer ended the conversation\n".into()));
        serves.join().unwrap();
        // What a shell would show next.
        terminal.device.write_all(b"$ ").unwrap();
        let screen = terminal.until("$ ");
        assert!(screen.contains("last words") && screen.ends_with("\r\n$ "), "{screen:?}");
    }
}

/// C1: a signal that ends us at the prompt leaves the terminal as it was.
#[test]
fn signal_at_prompt() {
    let server = serve("upper").at("tcp").start();
    for (signal, name) in [(Signal::TERM, "SIGTERM"), (Signal::HUP, "SIGHUP")] {
        let mut terminal = Terminal::start(&[&server.endpoint("tcp")]);
        terminal.until_prompt();
        terminal.types("x");
        terminal.until("x");
        assert_ne!(terminal.modes(), terminal.before);
        process::signal(terminal.child.id(), signal);
        let (status, said) = terminal.wait();
        assert_eq!(status, Some(1));
        assert!(said.contains(name), "{said}");
        assert_eq!(terminal.modes(), terminal.before);
    }
}

/// C1: the peer has ended before the prompt stands: the terminal is ours all the same.
#[test]
fn peer_ends_before_prompt() {
    let (endpoint, serves) = peer(drop);
    let mut terminal = Terminal::start(&[&endpoint]);
    assert_eq!(terminal.wait(), (Some(0), "sockeye: the peer ended the conversation\n".into()));
    assert_eq!(terminal.modes(), terminal.before);
    serves.join().unwrap();
}

/// C1, C4: the prompt over datagrams, and with the hex view.
#[test]
fn datagrams() {
    let server = serve("upper").at("udp").start();
    for hex in [false, true] {
        let endpoint = server.endpoint("udp");
        let words = if hex { vec![endpoint.as_str(), "--hex"] } else { vec![endpoint.as_str()] };
        let mut terminal = Terminal::start(&words);
        terminal.until_prompt();
        terminal.types("one\r");
        let answer = terminal.until_prompt();
        assert!(answer.contains(if hex { "|ONE.|" } else { "ONE\r\n" }), "{answer:?}");
        terminal.types("\x04");
        assert_eq!(terminal.wait(), (Some(0), String::new()));
    }
}
