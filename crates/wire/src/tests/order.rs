//! Which frame may come when (clauses P-S1 to P-S9), on the wire and in calls.

use sockeye_limits as limits;

use super::*;
use crate::pair::Heard;
use crate::{Failure, FailureKind, Misuse, Phase, Side, Signal, WindowSize};

fn out_of_order<T: std::fmt::Debug>(result: Result<T, ProtocolError>) -> (Kind, &'static str) {
    match fault(result) {
        Fault::OutOfOrder { kind, when } => (kind, when),
        other => panic!("{other:?}"),
    }
}

const RUN: &[u8] = b"\x01\0\0\0\x06\0\x03\0\0\0\0";

/// P-S1: the phases of a connection, at both ends.
#[test]
fn phases() {
    let phases = |pair: &Pair| (pair.client.phase(), pair.server.phase());
    let mut pair = Pair::new(1);
    assert_eq!(phases(&pair), (Phase::Hello, Phase::Hello));
    assert_eq!(pair.client.deadline(), Some(pair.now + limits::HELLO_TIME));
    assert_eq!(pair.server.deadline(), Some(pair.now + limits::HELLO_TIME));
    pair = greeted();
    assert_eq!(phases(&pair), (Phase::Idle, Phase::Idle));
    assert_eq!((pair.client.deadline(), pair.server.deadline()), (None, None));
    for _ in 0..2 {
        say_up(&mut pair, |client, out| client.run(&with_stdin(), out).unwrap());
        assert_eq!(phases(&pair), (Phase::Starting, Phase::Starting));
        say_down(&mut pair, |server, out| server.started(1, out).unwrap());
        assert_eq!(phases(&pair), (Phase::Running, Phase::Running));
        say_down(&mut pair, |server, out| server.ended(ended(0, 0), out).unwrap());
        assert_eq!(phases(&pair), (Phase::Idle, Phase::Idle));
    }
}

/// X2, P-S1: a client says everything at once, before it hears a word.
#[test]
fn in_one_go() {
    let mut pair = Pair::new(3);
    let mut out = Vec::new();
    pair.client.hello("c", &mut out).unwrap();
    pair.client.run(&with_stdin(), &mut out).unwrap();
    out.extend(pair.client.stdin_header(5).unwrap());
    out.extend(b"hello");
    pair.client.stdin_end(&mut out).unwrap();
    assert_eq!(pair.client.phase(), Phase::Starting);
    pair.upward.put(&out);
    pair.settle().unwrap();
    assert!(matches!(
        &pair.server_heard[..],
        [Heard::Hello(_), Heard::Run(_), Heard::Stdin(_), Heard::StdinEnd]
    ));
}

/// Fault 46, P-S2: what a client may not send, told as its fault.
#[test]
fn client_frames() {
    for (kind, payload) in [
        (Kind::Stdin, &b"x"[..]),
        (Kind::StdinEnd, b""),
        (Kind::Signal, b"\x01"),
        (Kind::Resize, b"12345678"),
    ] {
        let heard = to_server(&mut greeted().server, &frame(kind as u8, payload));
        assert_eq!(heard.unwrap_err().guilty(), Side::Client);
        assert_eq!(out_of_order(heard), (kind, "before the first command"));
    }
    for mut pair in [asked(&with_stdin()), running(&with_stdin())] {
        let heard = to_server(&mut pair.server, RUN);
        assert_eq!(out_of_order(heard), (Kind::Run, "before the last command was over"));
    }
    let heard = to_server(&mut running(&with_stdin()).server, &frame(5, b"12345678"));
    assert_eq!(out_of_order(heard), (Kind::Resize, "for a command without terminal"));
    let heard = to_server(&mut greeted().server, &[RUN, RUN].concat());
    assert_eq!(out_of_order(heard).0, Kind::Run);
}

/// Fault 46, P-S3: what a server may not send, told as its fault.
#[test]
fn server_frames() {
    let payload = |kind: Kind| match kind {
        Kind::Ended => [&[1, 0, 0][..], &[0; 24]].concat(),
        Kind::Failed => vec![1],
        kind => vec![1; kind.bounds().0],
    };
    for kind in Kind::ALL.into_iter().filter(|kind| kind.sender() == Side::Server) {
        let bytes = frame(kind as u8, &payload(kind));
        let heard = to_client(&mut greeted().client, &bytes);
        assert_eq!(heard.unwrap_err().guilty(), Side::Server);
        assert_eq!(out_of_order(heard), (kind, "while no command was asked for"));

        let heard = to_client(&mut asked(&with_stdin()).client, &bytes);
        let early = !matches!(kind, Kind::Started | Kind::Failed);
        assert_eq!(heard.is_err(), early, "{kind} before the start");

        let mut pair = running(&with_stdin());
        pair.client.stdin_header(0x0101_0101 & limits::FRAME_DATA_MAX).unwrap_or_default();
        let heard = to_client(&mut pair.client, &bytes);
        let late = matches!(kind, Kind::Started | Kind::Failed | Kind::StdinTaken | Kind::Ready);
        assert_eq!(heard.is_err(), late, "{kind} after the start");
    }
    let detached = Run { detach: true, ..Run::new(Program::Login) };
    for kind in [Kind::Stdout, Kind::Stderr] {
        let heard = to_client(&mut running(&detached).client, &frame(kind as u8, b"x"));
        assert_eq!(out_of_order(heard), (kind, "for a detached command"));
    }
}

/// X5, P-S4: what was on its way to a command that has just ended is not seen, but it must be right.
#[test]
fn stale() {
    let mut pair = running(&with_stdin());
    let mut down = Vec::new();
    pair.server.ended(ended(0, 0), &mut down).unwrap();
    let heard = pair.server_heard.len();
    say_up(&mut pair, |client, out| {
        out.extend(client.stdin_header(3).unwrap());
        out.extend(b"abc");
        client.signal(Signal::Int, NOW, out).unwrap();
        client.stdin_end(out).unwrap();
    });
    assert_eq!(pair.server_heard.len(), heard);
    pair.downward.put(&down);
    pair.settle().unwrap();
    assert_eq!(pair.server.end(), Ok(()));

    // The next command's input is its own.
    say_up(&mut pair, |client, out| {
        client.run(&with_stdin(), out).unwrap();
        out.extend(client.stdin_header(1).unwrap());
        out.extend(b"z");
    });
    assert_eq!(pair.server_heard.last(), Some(&Heard::Stdin(b"z".to_vec())));

    // Wrong frames are no less wrong for coming late.
    say_down(&mut pair, |server, out| {
        let failure = Failure { kind: FailureKind::Busy, text: String::new() };
        server.failed(&failure, out).unwrap();
    });
    let heard = to_server(&mut pair.server, &frame(Kind::Signal as u8, &[99]));
    assert!(matches!(fault(heard), Fault::Malformed { .. }));
}

/// P-S4: a frame of input that is cut by the end of its command is passed over to its last byte.
#[test]
fn stale_in_the_middle() {
    let mut pair = running(&with_stdin());
    pair.upward.put(&pair.client.stdin_header(4).unwrap());
    pair.upward.put(b"ab");
    pair.settle().unwrap();
    say_down(&mut pair, |server, out| server.ended(ended(0, 0), out).unwrap());
    assert_eq!(fault(pair.server.end()), Fault::Truncated);

    let mut pair = running(&with_stdin());
    pair.upward.put(&pair.client.stdin_header(4).unwrap());
    pair.upward.put(b"ab");
    pair.settle().unwrap();
    say_down(&mut pair, |server, out| server.ended(ended(0, 0), out).unwrap());
    pair.upward.put(b"cd");
    pair.settle().unwrap();
    assert_eq!(pair.server_heard.last(), Some(&Heard::Stdin(b"ab".to_vec())));
    assert_eq!(pair.server.end(), Ok(()));
}

/// X5, P-S9: a detached command ends at once, without output.
#[test]
fn detached() {
    let mut pair = running(&Run { detach: true, ..Run::new(Program::Login) });
    assert_eq!(pair.server.stdout_header(1), Err(Misuse::Detached));
    assert_eq!(pair.server.stderr_header(1), Err(Misuse::Detached));
    say_down(&mut pair, |server, out| server.ended(ended(0, 0), out).unwrap());
    assert_eq!((pair.client.end(), pair.server.end()), (Ok(()), Ok(())));
}

/// Q4: a call that has no place says so and writes nothing.
#[test]
fn client_calls() {
    let mut out = Vec::new();
    let mut client = Client::new(NOW);
    assert_eq!(client.run(&with_stdin(), &mut out), Err(Misuse::NoHello));
    let mut pair = greeted();
    let client = &mut pair.client;
    assert_eq!(client.hello("c", &mut out), Err(Misuse::HelloTwice));
    assert_eq!(client.stdin_header(1), Err(Misuse::NoJob));
    assert_eq!(client.stdin_end(&mut out), Err(Misuse::NoJob));
    assert_eq!(client.signal(Signal::Int, NOW, &mut out), Err(Misuse::NoJob));
    assert_eq!(client.resize(WindowSize::default(), NOW, &mut out), Err(Misuse::NoJob));
    let mut pair = running(&with_stdin());
    let client = &mut pair.client;
    assert_eq!(client.run(&with_stdin(), &mut out), Err(Misuse::Busy));
    assert_eq!(client.resize(WindowSize::default(), NOW, &mut out), Err(Misuse::NoTerminal));
    for length in [0, limits::FRAME_DATA_MAX + 1, usize::MAX] {
        assert_eq!(client.stdin_header(length), Err(Misuse::Length));
    }
    assert!(out.is_empty());
}

/// Q4: the same at the server's end.
#[test]
fn server_calls() {
    let failure = Failure { kind: FailureKind::System, text: String::new() };
    let all = |server: &mut Server, misuse: Misuse, phase: Option<Phase>| {
        let mut out = Vec::new();
        if phase != Some(Phase::Starting) {
            assert_eq!(server.started(1, &mut out), Err(misuse));
            assert_eq!(server.failed(&failure, &mut out), Err(misuse));
        }
        if phase != Some(Phase::Running) {
            assert_eq!(server.stdout_header(1), Err(misuse));
            assert_eq!(server.stderr_header(1), Err(misuse));
            assert_eq!(server.stdin_closed(&mut out), Err(misuse));
            assert_eq!(server.ended(ended(0, 0), &mut out), Err(misuse));
        }
        assert!(out.is_empty());
    };
    let mut server = Server::new(NOW);
    all(&mut server, Misuse::NoHello, None);
    assert_eq!(server.stdin_taken(0, &mut Vec::new()), Err(Misuse::NoHello));
    let mut server = greeted().server;
    assert_eq!(server.hello("s", &mut Vec::new()), Err(Misuse::HelloTwice));
    all(&mut server, Misuse::NoJob, None);
    all(&mut asked(&with_stdin()).server, Misuse::NoJob, Some(Phase::Starting));
    let mut pair = running(&with_stdin());
    all(&mut pair.server, Misuse::NoJob, Some(Phase::Running));
    for length in [0, limits::FRAME_DATA_MAX + 1, usize::MAX] {
        assert_eq!(pair.server.stdout_header(length), Err(Misuse::Length));
    }
    let mut out = Vec::new();
    assert_eq!(pair.server.ended(ended(0, 1), &mut out), Err(Misuse::Counts));
    for signal in [0, 65] {
        let status = Status::Signaled { signal, core: false };
        let ended = Ended { status, ..ended(0, 0) };
        assert_eq!(pair.server.ended(ended, &mut out), Err(Misuse::SignalNumber));
    }
    assert!(out.is_empty());
    pair.server.ended(ended(0, 0), &mut out).unwrap();
    all(&mut pair.server, Misuse::NoJob, None);
}
