//! X6 and X7: terminals, shells and the prompt (fault 43).

use std::process::Command;
use std::time::Duration;

use rustix::process::Signal;

use super::pty::{Pty, can_start};
use crate::harness::process;
use crate::harness::remote::{Home, Host, mark, marked};
use crate::harness::tmux::Tmux;
use crate::harness::{BINARY, eventually, needs, serve};

/// A server whose user has a plain shell with a prompt that says where it is.
fn host() -> Host {
    let home = Home::new();
    home.write(".profile", "PS1='remote> '\n", 0o644);
    Host::of(home, |launch| launch.env("SHELL", "/bin/sh"))
}

fn shell(host: &Host) -> Command {
    host.home.command(&["shell", &host.tls, "--trust", &host.fingerprint])
}

/// X6: `--tty` gives a real terminal, of our window's size, also where we have none; both outputs
/// are one there.
#[test]
fn tty() {
    if !can_start() {
        return;
    }
    let host = host();
    let words =
        ["-t", "-c", "tty; stty size; echo $TERM; echo err >&2; test -t 0 -a -t 1; exit $?"];
    let output = host.exec(&words, b"");
    assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{output:?}");
    assert!(output.stdout_text().starts_with("/dev/pts/"), "{output:?}");
    assert!(output.stdout_text().contains("err\r\n"), "{output:?}");

    let mut client = Pty::start(&host.client(&words));
    client.until("/dev/pts/");
    client.until("24 80\r\n");
    client.until("xterm\r\n");
    client.ends(0);
    // Without it there is none.
    assert_eq!(host.line("tty").stdout_text(), "not a tty\n");
}

/// X6, fault 43: the window's size and its changes; of a storm of them the last one counts.
#[test]
fn resize() {
    if !can_start() {
        return;
    }
    let host = host();
    let line = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.02; done";
    let mut client = Pty::start(&host.client(&["-t", "-c", line]));
    client.until("ready");
    client.wait_raw();
    client.resize(30, 100);
    client.until("30 100\r\n");
    for columns in 1..=500 {
        client.resize(20 + columns % 7, columns);
    }
    client.resize(41, 123);
    client.until("41 123\r\n");
    client.types("\x03");
    client.ends(130);
}

/// X6: a login shell in the home directory; Ctrl-C stops `sleep`, Ctrl-Z and `fg` work; its status
/// is ours.
#[test]
fn job_control() {
    if !can_start() {
        return;
    }
    let host = host();
    let mark = mark();
    let mut client = Pty::start(&shell(&host));
    client.until("remote> ");
    client.wait_raw();
    client.types("echo $0; pwd\r");
    let shown = client.until("remote> ");
    assert!(shown.contains("-sh\r\n"), "{shown}");
    assert!(shown.contains(&host.home.path().display().to_string()), "{shown}");

    client.types(&format!("sleep {mark}\r"));
    eventually("sleep runs", || marked(&mark).len() == 1);
    client.types("\x03");
    client.until("remote> ");
    eventually("sleep has ended", || marked(&mark).is_empty());
    client.types("echo status $?\r");
    client.until("status 130");
    client.until("remote> ");

    client.types(&format!("sleep {mark}\r"));
    eventually("sleep runs", || marked(&mark).len() == 1);
    let sleep = marked(&mark)[0];
    client.types("\x1a");
    client.until("Stopped");
    client.until("remote> ");
    assert_eq!(process::state_of(sleep), Some('T'));
    client.types("fg\r");
    eventually("it goes on", || process::state_of(sleep) == Some('S'));
    client.types("\x03");
    client.until("remote> ");
    client.types("exit 3\r");
    client.ends(3);
}

/// X6, X5, fault 43: a terminal that goes, and a client that is killed, end what ran on it.
#[test]
fn hang_up() {
    if !can_start() {
        return;
    }
    let host = host();
    for kills in [false, true] {
        let mark = mark();
        let mut client = Pty::start(&shell(&host));
        client.until("remote> ");
        client.wait_raw();
        client.types(&format!("sleep {mark} & sleep {mark}\r"));
        eventually("both run", || marked(&mark).len() == 2);
        if kills {
            process::signal(client.child.pid(), Signal::KILL);
            client.wait();
        } else {
            let mut child = client.hang_up();
            assert!(child.wait().is_some());
        }
        eventually("both are gone", || marked(&mark).is_empty());
    }
}

/// X6: the terminal is restored whatever happens: the command dies, the server dies, the client is
/// told to end.
#[test]
fn restored() {
    if !can_start() {
        return;
    }
    let mut host = host();
    let mut client = Pty::start(&host.client(&["-t", "-c", "echo ready; read x; kill -9 $$"]));
    client.until("ready");
    client.wait_raw();
    client.types("\r");
    client.ends(137);

    let mut client =
        Pty::start(&host.client(&["-t", "-c", "trap '' TERM; echo ready; sleep 1000"]));
    client.until("ready");
    client.wait_raw();
    eventually("the client ends", || {
        if client.child.child.try_wait().unwrap().is_some() {
            return true;
        }
        process::signal(client.child.pid(), Signal::TERM);
        std::thread::sleep(Duration::from_millis(20));
        false
    });
    client.ends(143);

    let mut client = Pty::start(&host.client(&["-t", "-c", "echo ready; sleep 1000"]));
    client.until("ready");
    client.wait_raw();
    host.server.kill();
    assert!(client.ends(255).contains("sockeye: "));
}

/// X6: the end of our input is the end of that of the shell there, also where the shell has an editor
/// of its own, and where a command has the terminal in between.
#[test]
fn end_of_input() {
    let shells =
        ["/bin/sh", "/bin/bash"].into_iter().filter(|at| std::path::Path::new(at).exists());
    for program in shells {
        let host = Host::of(Home::new(), |launch| launch.env("SHELL", program));
        for (typed, code) in [("", 0), ("exit 3\n", 3), ("sleep 0.3\n", 0)] {
            let output = process::run_command(shell(&host), typed.as_bytes());
            assert_eq!(output.code, Some(code), "{program}, {typed:?}: {output:?}");
        }
    }
    let output = host().exec(&["-t", "--", "cat"], b"");
    assert_eq!(output.code, Some(0), "{output:?}");
}

/// X7: without a command there is a prompt: each line runs in a shell on one connection, its status
/// is shown; Ctrl-C is for the command; `q` ends.
#[test]
fn prompt() {
    if !can_start() {
        return;
    }
    let host = host();
    // Known from here on, so that the connections can be counted.
    host.line(":");
    let before = host.server.count("accepted");
    let mut client = Pty::start(&host.client(&[]));
    let shown = client.until(">>: ");
    assert!(shown.contains("a shell of its own; q or Ctrl-D leaves; for a terminal"), "{shown}");
    client.types("echo $((6*7))\r");
    assert!(client.until(">>: ").contains("42\r\n"));
    client.types("echo err >&2; exit 3\r");
    let shown = client.until("[3] >>: ");
    assert!(shown.contains("err\r\n"), "{shown}");
    client.types("\r");
    client.until("[3] >>: ");
    client.types("kill -9 $$\r");
    client.until("[137] >>: ");
    client.types("wc -c\r");
    assert!(client.until(">>: ").contains("0\r\n"), "the lines that are typed are for the prompt");
    let mark = mark();
    client.types(&format!("sleep {mark}\r"));
    eventually("sleep runs", || !marked(&mark).is_empty());
    client.types("\x03");
    client.until("[130] >>: ");
    client.types("q\r");
    client.ends(0);
    assert_eq!(host.server.count("accepted"), before + 1);
}

/// X6, X7: a line of the prompt has the directory, the variables and the time that were asked for.
#[test]
fn prompt_options() {
    if !can_start() {
        return;
    }
    let host = host();
    let words = ["--cwd", "/usr", "--env", "LC_ME=it", "--timeout", "300ms"];
    let mut client = Pty::start(&host.client(&words));
    client.until(">>: ");
    client.types("pwd; echo =$LC_ME=\r");
    client.until("/usr\r\n=it=\r\n");
    client.until(">>: ");
    client.types("sleep 1000\r");
    client.until("--timeout was over");
    client.until("[124] >>: ");
    client.types("echo $((6*7))\r");
    client.until("42\r\n");
    client.until(">>: ");
    client.types("q\r");
    client.ends(0);
}

/// X5, X7: between two commands SIGTERM and SIGHUP end the client, and other signals are for nobody:
/// not for the next command either. While a command runs, they are for that.
#[test]
fn prompt_signals() {
    if !can_start() {
        return;
    }
    let host = host();
    let plain = serve("command").at("tcp").start();
    let plain = host.home.command(&["exec", &plain.endpoint("tcp")]);
    for command in [host.client(&[]), plain] {
        for (signal, code) in [(Signal::TERM, 143), (Signal::HUP, 129)] {
            let mut client = Pty::start(&command);
            client.until(">>: ");
            client.wait_raw();
            process::signal(client.child.pid(), signal);
            client.ends(code);

            let mut client = Pty::start(&command);
            client.until(">>: ");
            client.wait_raw();
            client.types("echo $((6*7))\r");
            client.until("42\r\n");
            client.until(">>: ");
            client.wait_raw();
            for lost in [Signal::INT, Signal::QUIT] {
                process::signal(client.child.pid(), lost);
            }
            client.types("sleep 0.3; echo $((7*7))\r");
            client.until("49\r\n");
            client.until(">>: ");
            client.wait_raw();
            process::signal(client.child.pid(), signal);
            client.ends(code);
        }
    }

    let mut client = Pty::start(&host.client(&[]));
    for round in 1..5 {
        client.until(">>: ");
        let mark = mark();
        client.types(&format!("sleep {mark}; echo round {round}\r"));
        eventually("sleep runs", || marked(&mark).len() == 2);
        process::signal(client.child.pid(), Signal::TERM);
        client.until("[143] ");
    }
    client.until(">>: ");
    client.types("q\r");
    client.ends(0);
}

/// X5, X7: Ctrl-C at the plain form's prompt ends the command, not the prompt; so does `--timeout`.
#[test]
fn plain_prompt() {
    if !can_start() {
        return;
    }
    let server = serve("command").at("tcp").start();
    let home = Home::empty();
    let endpoint = server.endpoint("tcp");
    let mut client = Pty::start(&home.command(&["exec", &endpoint, "--timeout", "2s"]));
    client.until(">>: ");
    for (key, status) in [("\x03", "[130] >>: "), ("", "[124] >>: ")] {
        let mark = mark();
        client.types(&format!("sleep {mark}; :\r"));
        eventually("sleep runs", || marked(&mark).len() == 2);
        client.types(key);
        client.until(status);
        eventually("its command is gone", || marked(&mark).is_empty());
    }
    client.types("echo $((6*7))\r");
    client.until("42\r\n");
    client.until(">>: ");
    client.types("q\r");
    client.ends(0);
}

/// X7: who may not come in learns it before the first line.
#[test]
fn prompt_refused() {
    if !can_start() {
        return;
    }
    let host = host();
    host.home.authorize("");
    let mut client = Pty::start(&host.client(&[]));
    let shown = client.ends(255);
    assert!(shown.contains("not authorised") && !shown.contains(">>:"), "{shown}");
}

/// X6: `vi` in `shell` opens, fills the window and its new size, writes its file, and leaves the
/// terminal sane.
#[test]
fn vi() {
    if !needs(&["tmux", "vi", "stty"]) {
        return;
    }
    let host = host();
    let home = host.home.path().display();
    let tmux = Tmux::start(&format!("env HOME={home} PS1='local> ' sh -i"));
    let ends_with = |word: &'static str| move |screen: &str| screen.trim_end().ends_with(word);
    tmux.until("local prompt", ends_with("local>"));
    let line = format!("{BINARY} shell {} --trust {}", host.tls, host.fingerprint);
    tmux.types(&[&line, "Enter"]);
    tmux.until("remote prompt", ends_with("remote>"));
    tmux.types(&["vi -u NONE file", "Enter"]);
    let rows = |screen: &str| screen.lines().filter(|line| line.trim() == "~").count();
    tmux.until("vi of 24 lines", |screen| rows(screen) == 22 && screen.contains("\"file\""));
    tmux.does(&["resize-window", "-x", "100", "-y", "40"]);
    tmux.until("vi of 40 lines", |screen| rows(screen) == 38);
    tmux.types(&["i", "some text", "Escape"]);
    tmux.until("the text", |screen| screen.starts_with("some text"));
    tmux.types(&[":wq", "Enter"]);
    tmux.until("remote prompt", ends_with("remote>"));
    tmux.types(&["exit 7", "Enter"]);
    tmux.until("local prompt", ends_with("local>"));
    tmux.types(&["clear; echo status $?; stty -a", "Enter"]);
    tmux.until("sane modes", |screen| {
        let words: Vec<&str> = screen.split([' ', '\n']).collect();
        ["icanon", "isig", "echo", "opost", "icrnl"].iter().all(|mode| words.contains(mode))
            && screen.contains("rows 40; columns 100")
    });
    assert_eq!(std::fs::read_to_string(host.home.path().join("file")).unwrap(), "some text\n");
}
