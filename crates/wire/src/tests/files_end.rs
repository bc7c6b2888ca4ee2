//! Where a connection becomes a transfer's (clauses P-X1, P-S1 to P-S4).

use super::*;
use crate::pair::Heard;
use crate::{Failure, FailureKind, Misuse, Phase, Side, Signal, WindowSize};

fn refusal() -> Failure {
    Failure { kind: FailureKind::Refused, text: "no".to_owned() }
}

/// F1, P-X1: asked for, and begun: what came behind is the transfer's, at both ends, and not lost,
/// even where it looks like a frame of the host protocol.
#[test]
fn rest() {
    let ended = frame(Kind::Ended as u8, &[0; 27]);
    for behind in [&b""[..], b"\x41", b"\x41\0\0\0\x01 and more", &ended] {
        let mut pair = asked_transfer();
        assert_eq!((pair.client.phase(), pair.server.phase()), (Phase::Starting, Phase::Starting));
        say_down(&mut pair, |server, out| {
            server.ready(out).unwrap();
            out.extend(behind);
        });
        assert_eq!(pair.client_heard.last(), Some(&Heard::Ready));
        assert_eq!((pair.client.phase(), pair.server.phase()), (Phase::Running, Phase::Running));
        assert_eq!(pair.client.next(NOW), Ok(None));
        assert_eq!(pair.client.into_rest(), behind);

        // The client hears that, and speaks before the server looks.
        assert_eq!(to_server(&mut pair.server, behind), Ok(0));
        assert_eq!(pair.server.into_rest(), behind);
    }
}

/// F1, P-X1, P-S1: a transfer that is refused leaves the connection idle, for the next request.
#[test]
fn failed() {
    let mut pair = asked_transfer();
    for _ in 0..2 {
        say_down(&mut pair, |server, out| server.failed(&refusal(), out).unwrap());
        assert_eq!(pair.client_heard.pop(), Some(Heard::Failed(refusal())));
        assert_eq!((pair.client.phase(), pair.server.phase()), (Phase::Idle, Phase::Idle));
        say_up(&mut pair, |client, out| client.transfer(&a_transfer(), out).unwrap());
        assert!(matches!(pair.server_heard.pop(), Some(Heard::Transfer(_))));
    }
    say_down(&mut pair, |server, out| server.failed(&refusal(), out).unwrap());
    say_up(&mut pair, |client, out| client.run(&with_stdin(), out).unwrap());
    assert!(matches!(pair.server_heard.pop(), Some(Heard::Run(_))));
}

/// P-S1: a stream may end when the transfer was refused, not before.
#[test]
fn ends() {
    let mut pair = asked_transfer();
    assert_eq!(pair.client.end().unwrap_err().fault(), Fault::Truncated);
    assert_eq!(pair.server.end().unwrap_err().fault(), Fault::Truncated);
    let mut pair = asked_transfer();
    say_down(&mut pair, |server, out| server.failed(&refusal(), out).unwrap());
    assert_eq!((pair.client.end(), pair.server.end()), (Ok(()), Ok(())));
}

fn out_of_order<T: std::fmt::Debug>(result: Result<T, ProtocolError>) -> (Kind, &'static str) {
    match fault(result) {
        Fault::OutOfOrder { kind, when } => (kind, when),
        other => panic!("{other:?}"),
    }
}

/// Fault 46, P-S2, P-X1: between Transfer and its answer a client says nothing; behind a refused one
/// nothing of it is late.
#[test]
fn client_frames() {
    let run = frame(Kind::Run as u8, b"\0\x03\0\0\0\0");
    let mut transfer = Vec::new();
    greeted().client.transfer(&a_transfer(), &mut transfer).unwrap();
    for (kind, bytes) in [(Kind::Run, &run), (Kind::Transfer, &transfer)] {
        for mut server in [asked_transfer().server, running(&with_stdin()).server] {
            let heard = to_server(&mut server, bytes);
            assert_eq!(out_of_order(heard), (kind, "before the last command was over"));
        }
    }
    let frames = [
        (Kind::Stdin, frame(2, b"x")),
        (Kind::StdinEnd, frame(3, b"")),
        (Kind::Signal, frame(4, &[1])),
        (Kind::Resize, frame(5, &[0; 8])),
    ];
    for (kind, bytes) in frames {
        let mut refused = asked_transfer();
        say_down(&mut refused, |server, out| server.failed(&refusal(), out).unwrap());
        for mut server in [asked_transfer().server, refused.server] {
            let error = to_server(&mut server, &bytes).unwrap_err();
            assert_eq!(error.guilty(), Side::Client);
            let when = "for a transfer that has not begun";
            assert_eq!(out_of_order(Err::<(), _>(error)), (kind, when));
        }
    }
}

/// Fault 46, P-S3, P-X1: a server answers a transfer with Ready or Failed, and a command with neither
/// Ready nor anything before it.
#[test]
fn server_frames() {
    for kind in Kind::ALL.into_iter().filter(|kind| kind.sender() == Side::Server) {
        let payload = match kind {
            Kind::Ended => [&[1, 0, 0][..], &[0; 24]].concat(),
            kind => vec![1; kind.bounds().0],
        };
        let heard = to_client(&mut asked_transfer().client, &frame(kind as u8, &payload));
        match kind {
            Kind::Ready | Kind::Failed => assert_eq!(heard, Ok(1)),
            _ => {
                let when = "for a transfer that has not begun";
                assert_eq!(out_of_order(heard), (kind, when));
            }
        }
    }
    for mut pair in [asked(&with_stdin()), running(&with_stdin())] {
        let heard = to_client(&mut pair.client, &frame(Kind::Ready as u8, b""));
        assert_eq!(out_of_order(heard), (Kind::Ready, "for a command"));
    }
}

/// P-X1: calls that have no place write nothing.
#[test]
fn misuse() {
    let mut out = Vec::new();
    let mut stranger = Pair::new(1);
    assert_eq!(stranger.client.transfer(&a_transfer(), &mut out), Err(Misuse::NoHello));
    assert_eq!(stranger.server.ready(&mut out), Err(Misuse::NoHello));
    assert_eq!(running(&with_stdin()).client.transfer(&a_transfer(), &mut out), Err(Misuse::Busy));
    assert_eq!(asked(&with_stdin()).server.ready(&mut out), Err(Misuse::NoJob));
    assert_eq!(greeted().server.ready(&mut out), Err(Misuse::NoJob));

    let mut begun = asked_transfer();
    say_down(&mut begun, |server, out| server.ready(out).unwrap());
    for mut pair in [asked_transfer(), begun] {
        let (client, server) = (&mut pair.client, &mut pair.server);
        assert_eq!(client.run(&with_stdin(), &mut out), Err(Misuse::Busy));
        assert_eq!(client.transfer(&a_transfer(), &mut out), Err(Misuse::Busy));
        assert_eq!(client.signal(Signal::Int, NOW, &mut out), Err(Misuse::NoJob));
        let size = WindowSize { rows: 1, ..WindowSize::default() };
        assert_eq!(client.resize(size, NOW, &mut out), Err(Misuse::NoTerminal));
        assert_eq!(client.stdin_header(1), Err(Misuse::NoStdin));
        assert_eq!(client.stdin_end(&mut out), Err(Misuse::NoStdin));
        assert!(!client.stdin_is_open());
        assert_eq!(server.started(1, &mut out), Err(Misuse::NoJob));
        assert_eq!(server.stdout_header(1), Err(Misuse::NoJob));
        assert_eq!(server.stdin_closed(&mut out), Err(Misuse::NoJob));
        assert_eq!(server.ended(ended(0, 0), &mut out), Err(Misuse::NoJob));
        if server.phase() == Phase::Running {
            assert_eq!(server.ready(&mut out), Err(Misuse::NoJob));
            assert_eq!(server.failed(&refusal(), &mut out), Err(Misuse::NoJob));
        }
    }
    assert!(out.is_empty());
}
