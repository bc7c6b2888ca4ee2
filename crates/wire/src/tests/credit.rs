//! Standard input: its credit, its end, and the command that reads no more.

use sockeye_limits as limits;

use super::*;
use crate::Misuse;
use crate::pair::Heard;

const WINDOW: usize = limits::STDIN_WINDOW;
const FRAME: usize = limits::FRAME_DATA_MAX;

/// Sends as much input as there is room for; returns how much.
fn fill(pair: &mut Pair) -> usize {
    let mut sent = 0;
    while pair.client.stdin_room() > 0 {
        let length = pair.client.stdin_room();
        let header = pair.client.stdin_header(length).unwrap();
        pair.upward.put(&header);
        pair.upward.put(&vec![b'x'; length]);
        sent += length;
    }
    pair.settle().unwrap();
    sent
}

/// X3, X5, P-L4: a client stops at the window, goes on when it is taken, and its signals still come.
#[test]
fn window() {
    let mut pair = running(&with_stdin());
    assert_eq!(fill(&mut pair), WINDOW);
    assert_eq!(pair.client.stdin_header(1), Err(Misuse::NoRoom));
    say_up(&mut pair, |client, out| client.signal(crate::Signal::Int, NOW, out).unwrap());
    assert_eq!(pair.server_heard.last(), Some(&Heard::Signal(crate::Signal::Int)));

    let mut total = WINDOW;
    for _ in 0..10 {
        say_down(&mut pair, |server, out| server.stdin_taken(WINDOW, out).unwrap());
        total += fill(&mut pair);
    }
    assert_eq!(total, 11 * WINDOW);
    let heard = pair.server_heard.iter().map(|heard| match heard {
        Heard::Stdin(bytes) => bytes.len(),
        _ => 0,
    });
    assert_eq!(heard.sum::<usize>(), total);
}

/// X3, P-S6: taking is told in steps, whatever the pieces; nothing that did not come is taken.
#[test]
fn steps() {
    let mut pair = running(&with_stdin());
    fill(&mut pair);
    let mut out = Vec::new();
    for _ in 0..limits::STDIN_STEP - 1 {
        pair.server.stdin_taken(1, &mut out).unwrap();
    }
    assert!(out.is_empty());
    pair.server.stdin_taken(1, &mut out).unwrap();
    assert_eq!(out, [&header(Kind::StdinTaken, 4)[..], &[0, 2, 0, 0]].concat());
    let all = WINDOW - limits::STDIN_STEP;
    assert_eq!(pair.server.stdin_taken(all + 1, &mut out), Err(Misuse::Taken));
    pair.server.stdin_taken(all, &mut out).unwrap();
    pair.downward.put(&out);
    pair.settle().unwrap();
    assert_eq!(fill(&mut pair), WINDOW);
}

/// Fault 46, P-L4: a client that sends more than the window is refused by the header.
#[test]
fn overflow() {
    let mut pair = running(&with_stdin());
    fill(&mut pair);
    let heard = to_server(&mut pair.server, &header(Kind::Stdin, 1));
    assert_eq!(fault(heard), Fault::StdinWindow);
}

/// Fault 46, P-S6: a server cannot take what was not sent, nor tell that nothing was taken.
#[test]
fn false_credit() {
    for told in [0u32, 1_001, u32::MAX] {
        let mut pair = running(&with_stdin());
        pair.client.stdin_header(1_000).unwrap();
        let heard = to_client(&mut pair.client, &frame(0x84, &told.to_be_bytes()));
        assert_eq!(fault(heard), Fault::StdinTaken);
    }
}

/// X3, fault 40, P-S7: a command that reads no more stops the client; what was on its way is
/// ignored, and the end needs no saying.
#[test]
fn closed() {
    let mut pair = running(&with_stdin());
    let header = pair.client.stdin_header(FRAME).unwrap();
    pair.upward.put(&header);
    pair.upward.put(&[7; 1000]);
    pair.settle().unwrap();
    let heard = pair.server_heard.len();
    say_down(&mut pair, |server, out| {
        server.stdin_closed(out).unwrap();
        server.stdin_closed(out).unwrap();
        server.stdin_taken(1000, out).unwrap();
    });
    assert_eq!(pair.client_heard.last(), Some(&Heard::StdinClosed));
    assert!(!pair.client.stdin_is_open());
    assert_eq!(pair.client.stdin_room(), 0);
    assert_eq!(pair.client.stdin_header(1), Err(Misuse::NoStdin));
    pair.upward.put(&vec![7; FRAME - 1000]);
    say_up(&mut pair, |client, out| {
        client.stdin_end(out).unwrap();
        assert!(out.is_empty());
    });
    assert_eq!(pair.server_heard.len(), heard);
    say_down(&mut pair, |server, out| server.ended(ended(0, 0), out).unwrap());
    assert_eq!((pair.client.end(), pair.server.end()), (Ok(()), Ok(())));
}

/// X3, P-S7: the end of input and the command's own end of reading may cross.
#[test]
fn crossing() {
    let mut pair = running(&with_stdin());
    let (mut up, mut down) = (Vec::new(), Vec::new());
    pair.client.stdin_end(&mut up).unwrap();
    pair.client.stdin_end(&mut up).unwrap();
    assert_eq!(up, header(Kind::StdinEnd, 0));
    pair.server.stdin_closed(&mut down).unwrap();
    pair.upward.put(&up);
    pair.downward.put(&down);
    pair.settle().unwrap();
    assert_eq!(pair.client_heard.last(), Some(&Heard::StdinClosed));
    assert_ne!(pair.server_heard.last(), Some(&Heard::StdinEnd));
}

/// Fault 46, P-S5: input after its end, for a command that takes none, and a second close.
#[test]
fn out_of_place() {
    let mut pair = running(&with_stdin());
    say_up(&mut pair, |client, out| client.stdin_end(out).unwrap());
    assert_eq!(pair.client.stdin_header(1), Err(Misuse::NoStdin));
    for (kind, payload) in [(Kind::Stdin, &b"x"[..]), (Kind::StdinEnd, b"")] {
        let when = "after the end of input";
        let mut pair = running(&with_stdin());
        say_up(&mut pair, |client, out| client.stdin_end(out).unwrap());
        let heard = to_server(&mut pair.server, &frame(kind as u8, payload));
        assert_eq!(fault(heard), Fault::OutOfOrder { kind, when });

        let when = "for a command that takes no input";
        let mut pair = running(&Run::new(Program::Login));
        let heard = to_server(&mut pair.server, &frame(kind as u8, payload));
        assert_eq!(fault(heard), Fault::OutOfOrder { kind, when });
        assert_eq!(pair.client.stdin_header(1), Err(Misuse::NoStdin));
        assert_eq!(pair.client.stdin_end(&mut Vec::new()), Err(Misuse::NoStdin));
        assert_eq!(pair.server.stdin_closed(&mut Vec::new()), Err(Misuse::NoStdin));
    }
    let closed = frame(Kind::StdinClosed as u8, b"");
    let mut pair = running(&with_stdin());
    assert_eq!(to_client(&mut pair.client, &closed), Ok(1));
    assert!(to_client(&mut pair.client, &closed).is_err());
}
