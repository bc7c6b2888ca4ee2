//! Connections that are cut anywhere (fault 47): never success, at either end.

use std::time::Duration;

use super::forward::{Cut, Forwarder, Meddle, Way};
use super::hostile::{
    Fake, Guest, Line, client_hello, commands, ended, frame, header, kind, run_line, server_hello,
};
use crate::harness::bytes::Random;
use crate::harness::process::run_command;
use crate::harness::remote::{Home, Host};
use crate::harness::{eventually, process};

/// All that a server says to `exec -- echo hello`.
fn conversation() -> Vec<u8> {
    let started = frame(kind::STARTED, &[0, 0, 0, 9]);
    [server_hello(), started, frame(kind::STDOUT, b"hello"), ended(0, 5, 0)].concat()
}

/// The client meets a server that says this much and then goes, with FIN or with a reset.
fn met_by(home: &Home, said: &[u8], cut: Cut) -> process::Output {
    let said = said.to_vec();
    let fake = Fake::unix(async move |mut line: Line| {
        // A Unix socket that is closed with unread bytes is the reset of its kind.
        if cut == Cut::Reset || line.hear_run().await.is_ok() {
            let _ = line.say(&said).await;
        }
        if cut == Cut::Reset {
            line.reset();
        }
    });
    home.run(&["exec", &fake.endpoint, "-n", "--", "true"], b"")
}

/// Fault 47: a server that goes after each byte of a conversation, with FIN.
#[test]
fn server_ends_anywhere() {
    server_goes_anywhere(Cut::Fin);
}

/// Fault 47: the same with a reset.
#[test]
fn server_resets_anywhere() {
    server_goes_anywhere(Cut::Reset);
}

fn server_goes_anywhere(cut: Cut) {
    let home = Home::empty();
    let all = conversation();
    for length in 0..all.len() {
        let output = met_by(&home, &all[..length], cut);
        assert_eq!(output.code, Some(255), "{length} bytes: {output:?}");
        assert!(b"hello".starts_with(&output.stdout[..]), "{length} bytes: {output:?}");
        assert_eq!(output.stderr.lines().count(), 1, "{length} bytes: {output:?}");
        assert!(output.stderr.starts_with("sockeye: "), "{length} bytes: {output:?}");
        if cut == Cut::Fin && length > 8 {
            assert!(output.stderr.contains("truncated"), "{length} bytes: {output:?}");
        }
    }
    let whole = met_by(&home, &all, cut);
    assert_eq!((whole.code, &whole.stdout[..]), (Some(0), &b"hello"[..]), "{whole:?}");
}

/// Fault 47: over TLS a FIN without close_notify is a cut, wherever the frames stand, and a
/// close_notify in the middle of a command is one, too.
#[test]
fn tls_ends_are_told_apart() {
    let all = conversation();
    let cases: [(usize, bool, i32); 5] = [
        (0, false, 255),
        (0, true, 255),
        (all.len() - 32, true, 255),
        (all.len() - 32, false, 255),
        (all.len(), false, 0),
    ];
    for (length, notify, expected) in cases {
        let said = all[..length].to_vec();
        let fake = Fake::tls(b"sockeye-host/1", async move |mut line: Line| {
            if line.hear_run().await.is_ok() {
                let _ = line.say(&said).await;
            }
            if notify {
                line.finish().await;
            }
            line.fin();
            line.wait_for_end().await;
        });
        let home = Home::new();
        let words = ["exec", &fake.endpoint, "--trust", &fake.fingerprint, "-n", "--", "true"];
        let output = home.run(&words, b"");
        assert_eq!(output.code, Some(expected), "{length} {notify}: {output:?}");
        assert_eq!(output.stderr.contains("truncated"), expected != 0, "{}", output.stderr);
    }
}

/// Points in a conversation of so many bytes: all through the handshake, then further apart.
fn points(total: usize) -> impl Iterator<Item = usize> {
    let handshake = (0..2400).step_by(120);
    let rest = (2400..total * 9 / 10).step_by(total / 12);
    handshake.chain(rest)
}

/// Fault 47: what TLS carries is cut after any number of bytes, in either direction, with FIN and
/// with RST.
#[test]
fn tls_is_cut_anywhere() {
    let host = Host::start();
    let data = Random::new(47).bytes(200_000);
    for way in [Way::ToClient, Way::ToServer] {
        for cut in [Cut::Fin, Cut::Reset] {
            for at in points(data.len()) {
                let forwarder = Forwarder::before(&host, Meddle::Cut(way, at, cut));
                let words = ["exec", &forwarder.endpoint(), "--", "cat"];
                let output = run_command(host.home.command(&words), &data);
                let what = format!("{way:?}, {cut:?} after {at} bytes");
                assert_eq!(output.code, Some(255), "{what}: {}", output.stderr);
                assert!(data.starts_with(&output.stdout), "{what}");
                assert_eq!(output.stderr.lines().count(), 1, "{what}: {}", output.stderr);
            }
        }
    }
    eventually("no command is left", || commands(&host) == 0);
}

/// Fault 47: a client that goes after each byte of its words: no command goes on without it, none
/// is told to the owner as ended by itself.
#[test]
fn client_goes_anywhere() {
    let host = Host::start();
    let all = [
        client_hello(),
        run_line(1, "cat; exec sleep 1000"),
        frame(kind::STDIN, b"input"),
        frame(kind::STDIN_END, b""),
    ]
    .concat();
    let mut number = 0;
    for length in (0..=all.len()).step_by(3).chain([all.len()]) {
        for cut in [Cut::Fin, Cut::Reset] {
            let mut guest = Guest::plug(&host);
            number += 1;
            guest.say(&all[..length]);
            match cut {
                Cut::Fin => guest.fin(),
                Cut::Reset => guest.reset(),
            }
            let closed = host.server.wait_closed(number);
            let is_idle = length == client_hello().len();
            assert!(is_idle || closed["why"] != "end", "{length} bytes, {cut:?}: {closed}");
        }
    }
    let ended = host.server.wait_events("command", 1, |event| event["event"] == "command");
    for event in ended {
        assert_eq!(
            event["why"], "vanished",
            "a command that was cut off is told as ended: {event}"
        );
    }
    eventually("no command is left", || commands(&host) == 0);
}

/// Fault 47: input that was cut off is not taken for all of the input: a command that goes on to
/// act on it is ended before, even where it ignores being asked.
#[test]
fn cut_input_is_not_whole_input() {
    let host = Host::start();
    for (number, cut) in [(1, Cut::Fin), (2, Cut::Reset)] {
        let done = host.home.path().join(format!("done{number}"));
        let line = format!(
            "trap '' HUP TERM; echo ready; cat > /dev/null && echo done > {}",
            done.display()
        );
        let mut guest = Guest::enter(&host);
        let part = frame(kind::STDIN, b"the first half");
        guest.say(&[client_hello(), run_line(1, &line), part].concat());
        guest.hear_until(b"ready\n");
        match cut {
            Cut::Fin => guest.fin(),
            Cut::Reset => guest.reset(),
        }
        host.server.wait_closed(number);
        assert!(!done.exists(), "{cut:?}: half of the input was taken for all of it");
    }
}

/// Fault 47, L2: a server that stalls in the middle of a frame holds nobody for ever where a time
/// limit was given by the user; the signal ends the client.
#[test]
fn stalled_in_a_frame() {
    let fake = Fake::unix(async |mut line: Line| {
        if line.hear_run().await.is_ok() {
            let started = frame(kind::STARTED, &[0, 0, 0, 9]);
            let _ = line.say(&[server_hello(), started, header(kind::STDOUT, 9)].concat()).await;
            line.wait_for_end().await;
        }
    });
    let home = Home::empty();
    let mut command = home.command(&["exec", &fake.endpoint, "-n", "--", "true"]);
    let mut child = command.spawn().expect("the client starts");
    let pid = child.id();
    eventually("it waits", || process::state_of(pid) == Some('S') && process::sockets_of(pid) > 0);
    // Three signals are for the client itself; each is sent when the last was taken.
    let end = std::time::Instant::now() + crate::harness::DEADLINE;
    let status = loop {
        if let Some(status) = child.try_wait().expect("wait") {
            break status;
        }
        assert!(std::time::Instant::now() < end, "it does not end");
        process::signal(pid, rustix::process::Signal::INT);
        process::throughout(Duration::from_millis(50), || {});
    };
    assert_ne!(status.code(), Some(0));
}
