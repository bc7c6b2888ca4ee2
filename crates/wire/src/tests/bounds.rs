//! Lengths and payloads that a kind cannot have are refused (clauses P-L1 and P-F3).

use sockeye_limits as limits;

use super::*;
use crate::{Side, Signal, Terminal, WindowSize};

/// A command that any frame of a client may follow.
fn any_frame() -> Run {
    let terminal = Terminal { name: b"dumb".to_vec(), size: WindowSize::default() };
    Run { terminal: Some(terminal), ..with_stdin() }
}

/// An end that a frame of this kind may come to, and what it says to these bytes.
fn hear(kind: Kind, bytes: &[u8]) -> Result<usize, ProtocolError> {
    match kind {
        Kind::Run | Kind::Transfer => to_server(&mut greeted().server, bytes),
        Kind::Ready => to_client(&mut asked_transfer().client, bytes),
        Kind::Started | Kind::Failed => to_client(&mut asked(&any_frame()).client, bytes),
        _ if kind.sender() == Side::Client => to_server(&mut running(&any_frame()).server, bytes),
        _ => {
            let mut pair = running(&any_frame());
            let header = pair.client.stdin_header(limits::FRAME_DATA_MAX);
            assert!(header.is_ok(), "so that some of it can be taken");
            to_client(&mut pair.client, bytes)
        }
    }
}

/// Fault 46, P-L1: each kind's header alone is refused beyond its bounds, the guilty side named.
#[test]
fn lengths() {
    for kind in Kind::ALL {
        let (least, most) = kind.bounds();
        let (least, most) = (u32::try_from(least).unwrap(), u32::try_from(most).unwrap());
        for length in [least, most] {
            let heard = hear(kind, &header(kind, length));
            assert!(heard.is_ok(), "{kind} of {length}: {heard:?}");
        }
        let mut beyond = vec![most + 1, 1 << 31, u32::MAX];
        beyond.extend(least.checked_sub(1));
        for length in beyond {
            let error = hear(kind, &header(kind, length)).unwrap_err();
            assert_eq!(error.fault(), Fault::Length { kind, length });
            assert_eq!(error.guilty(), kind.sender());
            assert!(error.to_string().starts_with(&format!("the {} sent a", kind.sender())));
        }
    }
}

/// Fault 46, P-L1: a header that claims the longest Run makes nobody hold that much memory.
#[test]
fn claims_are_cheap() {
    let mut server = greeted().server;
    let claim = header(Kind::Run, u32::try_from(limits::RUN_BYTES).unwrap());
    assert_eq!(to_server(&mut server, &claim), Ok(0));
    server.space();
    assert_eq!(server.capacity(), 2 * limits::WIRE_SPACE);
}

/// Fault 46, P-F3: kinds that do not exist, and those of the other side.
#[test]
fn unknown_kinds() {
    for byte in 0..=255 {
        let kind = Kind::ALL.into_iter().find(|kind| *kind as u8 == byte);
        let bytes = frame(byte, b"");
        if kind.is_none_or(|kind| kind.sender() == Side::Server) {
            assert_eq!(
                fault(to_server(&mut running(&any_frame()).server, &bytes)),
                Fault::UnknownKind(byte)
            );
        }
        if kind.is_none_or(|kind| kind.sender() == Side::Client) {
            assert_eq!(
                fault(to_client(&mut running(&any_frame()).client, &bytes)),
                Fault::UnknownKind(byte)
            );
        }
    }
}

/// Fault 46, P-F4: payloads that their kind cannot have.
#[test]
fn payloads() {
    let end = |status: [u8; 3]| [&status[..], &[0; 24]].concat();
    let cases: [(Kind, Vec<u8>, &str); 11] = [
        (Kind::Signal, vec![0], "an unknown signal"),
        (Kind::Signal, vec![13], "an unknown signal"),
        (Kind::Failed, vec![0], "an unknown reason"),
        (Kind::Failed, vec![7], "an unknown reason"),
        (Kind::Failed, vec![1, 0xff], "text that is not UTF-8"),
        (Kind::Ended, end([0, 0, 0]), "an unknown status"),
        (Kind::Ended, end([1, 0, 1]), "an unknown status"),
        (Kind::Ended, end([2, 0, 0]), "an unknown status"),
        (Kind::Ended, end([2, 65, 0]), "an unknown status"),
        (Kind::Ended, end([2, 9, 2]), "an unknown status"),
        (Kind::Ended, end([3, 1, 0]), "an unknown status"),
    ];
    for (kind, payload, what) in cases {
        let heard = hear(kind, &frame(kind as u8, &payload));
        assert_eq!(fault(heard), Fault::Malformed { kind, what });
    }
}

/// Fault 46, P-F5: Run frames that no client of ours writes.
#[test]
fn runs() {
    let login = b"\0\x03\0\0\0\0";
    assert_eq!(hear(Kind::Run, &frame(1, login)), Ok(1));
    let cases: [(&[u8], &str); 13] = [
        (b"\0\x03\0\0\0\0\0", "bytes behind its last field"),
        (b"\x40\x03\0\0\0\0", "unknown flags"),
        (b"\0\x00\0\0\0\0", "an unknown form of program"),
        (b"\0\x01\0\0\0\0\0\0\0\0", "no program"),
        (b"\0\x01\xff\xff\xff\xff", "a field that is cut short"),
        (b"\0\x01\0\0\0\x01\0\0\0\x02x", "a field that is cut short"),
        (b"\0\x01\0\0\0\x01\0\0\0\x01\0\0\0\0\0", "a NUL byte"),
        (b"\0\x02\xff\xff\xff\xffx", "a field that is cut short"),
        (b"\0\x03\xff\xff\xff\xff", "a field that is cut short"),
        (b"\0\x03\0\0\0\x01\0\0\0\0\0\0\0\0", NAME),
        (b"\x04\x03\0\0\0\0\0\0\0\0", "an empty directory name"),
        (b"\x10\x03\0\0\0\0\0\0\0\0", "a field that is cut short"),
        (b"\x03\x03\0\0\0\0", "input or a terminal for a detached command"),
    ];
    for (payload, what) in cases {
        let heard = hear(Kind::Run, &frame(1, payload));
        assert_eq!(fault(heard), Fault::Malformed { kind: Kind::Run, what }, "{payload:?}");
    }
}

const NAME: &str = "a variable whose name is empty or holds an equals sign";

/// Fault 46, P-L2: counts within a Run are bounded where its bytes would allow more.
#[test]
fn counts() {
    let arguments = limits::RUN_ARGUMENTS + 1;
    let mut run = b"\0\x01".to_vec();
    run.extend(u32::try_from(arguments).unwrap().to_be_bytes());
    run.extend(vec![0; 4 * arguments + 4]);
    assert_eq!(
        fault(hear(Kind::Run, &frame(1, &run))),
        Fault::Malformed { kind: Kind::Run, what: "too many arguments" }
    );
    let mut run = b"\0\x03".to_vec();
    run.extend(u32::try_from(limits::RUN_ENVIRONMENT + 1).unwrap().to_be_bytes());
    run.extend(vec![0; 8 * (limits::RUN_ENVIRONMENT + 1)]);
    assert_eq!(
        fault(hear(Kind::Run, &frame(1, &run))),
        Fault::Malformed { kind: Kind::Run, what: "too many variables" }
    );
}

/// Fault 46, P-L5: a flood of signals is refused; the same number with pauses is not.
#[test]
fn flood() {
    let signals = frame(Kind::Signal as u8, &[1]).repeat(limits::CONTROL_RATE as usize);
    let mut server = running(&any_frame()).server;
    assert_eq!(to_server(&mut server, &signals), Ok(limits::CONTROL_RATE as usize));
    let one_more = frame(Kind::Resize as u8, &[0; 8]);
    assert_eq!(fault(to_server(&mut server, &one_more)), Fault::Flood);

    let mut pair = running(&any_frame());
    for _ in 0..3 {
        pair.upward.put(&signals);
        pair.settle().unwrap();
        pair.now += Duration::from_secs(1);
    }
}

/// X5, fault 43, P-L5: our client keeps its pace; the last size and each signal still arrive.
#[test]
fn pace() {
    let mut pair = running(&any_frame());
    let mut out = Vec::new();
    for rows in 1..=10_000 {
        let size = WindowSize { rows, ..WindowSize::default() };
        pair.client.resize(size, NOW, &mut out).unwrap();
        pair.client.signal(Signal::Int, NOW, &mut out).unwrap();
    }
    pair.upward.put(&out);
    pair.settle().unwrap();
    assert!(out.len() <= limits::CONTROL_PACE as usize * (HEADER + 8));

    pair.now = pair.client.deadline().unwrap();
    out.clear();
    pair.client.expire(pair.now, &mut out).unwrap();
    assert_eq!(pair.client.deadline(), None);
    pair.upward.put(&out);
    pair.settle().unwrap();
    let rest = &pair.server_heard[pair.server_heard.len() - 2..];
    let last = WindowSize { rows: 10_000, ..WindowSize::default() };
    assert_eq!(rest, [crate::pair::Heard::Resize(last), crate::pair::Heard::Signal(Signal::Int)]);
}

/// Fault 46, P-L7: output beyond the limit that the server was given is refused from the header; as
/// much as the limit is taken, of both outputs together.
#[test]
fn output_limit() {
    let run = Run { max_output: Some(10), ..with_stdin() };
    let piece = |kind, length: usize| {
        let mut bytes = header(kind, u32::try_from(length).unwrap()).to_vec();
        bytes.resize(bytes.len() + length, b'x');
        bytes
    };
    for (kind, second) in [(Kind::Stdout, Kind::Stderr), (Kind::Stderr, Kind::Stdout)] {
        let mut pair = running(&run);
        assert!(to_client(&mut pair.client, &piece(kind, 6)).is_ok());
        assert!(to_client(&mut pair.client, &piece(second, 4)).is_ok());
        let error = to_client(&mut pair.client, &header(kind, 1)).unwrap_err();
        assert!(matches!(error.fault(), Fault::OutOfOrder { .. }), "{error}");
        assert_eq!(error.guilty(), Side::Server);
    }
}
