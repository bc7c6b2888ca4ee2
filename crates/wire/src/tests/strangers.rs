//! Those who do not speak the host protocol, or another version of it (clauses P-E2, P-E3, P-L3).

use sockeye_limits as limits;

use super::*;
use crate::{Side, VERSION};

/// What comes from a stranger and what it is taken for.
const STRANGERS: [(&[u8], Option<&str>); 7] = [
    (b"GET / HTTP/1.1\r\n\r\n", Some("HTTP")),
    (b"HTTP/1.1 400 Bad Request\r\n", Some("HTTP")),
    (b"SSH-2.0-OpenSSH_10.0\r\n", Some("SSH")),
    (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", Some("TLS")),
    (b"\x15\x03\x03\x00\x02\x02\x46\x00", Some("TLS")),
    (b"SOCKEYE?\0\x01", Some("our own words in upper case")),
    (b"\x1b]0;pwned\x07\x1b[2J\n", None),
];

/// Fault 48, P-E2: strangers are told apart, at both ends, and cannot drive a terminal.
#[test]
fn strangers() {
    for (bytes, name) in STRANGERS {
        let at_server = to_server(&mut Server::new(NOW), bytes).unwrap_err();
        let at_client = to_client(&mut Client::new(NOW), bytes).unwrap_err();
        assert_eq!((at_server.guilty(), at_client.guilty()), (Side::Client, Side::Server));
        for error in [at_server, at_client] {
            let Fault::NotSockeye { first } = error.fault() else { panic!("{error:?}") };
            assert_eq!(first.as_bytes(), &bytes[..8]);
            assert_eq!(first.resembles(), name);
            let text = error.to_string();
            assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte)), "{text}");
        }
    }
}

/// Fault 48, P-E2: an echo is no server.
#[test]
fn echo() {
    let (mut client, mut out) = (Client::new(NOW), Vec::new());
    client.hello("c", &mut out).unwrap();
    client.run(&with_stdin(), &mut out).unwrap();
    let Fault::NotSockeye { first } = fault(to_client(&mut client, &out)) else { panic!("no") };
    assert_eq!(first.resembles(), Some("our own words echoed"));
}

/// Fault 48, P-E2: a stranger of a few bytes is known when it goes, or when it says no more.
#[test]
fn short_strangers() {
    let mut client = Client::new(NOW);
    assert_eq!(to_client(&mut client, b"\x15\x03\x01\x00\x02\x02\x46"), Ok(0));
    assert!(matches!(fault(client.end()), Fault::NotSockeye { .. }));

    let mut server = Server::new(NOW);
    assert_eq!(to_server(&mut server, b"EHLO"), Ok(0));
    assert_eq!(server.expire(NOW), Ok(()));
    let late = NOW + limits::HELLO_TIME;
    assert!(matches!(fault(server.expire(late)), Fault::NotSockeye { .. }));
    assert!(server.next(late).is_err());
}

/// T6, P-L3: a Hello that does not come, or comes by drops, has its time.
#[test]
fn overdue() {
    let late = NOW + limits::HELLO_TIME;
    let mut server = Server::new(NOW);
    assert_eq!(server.deadline(), Some(late));
    assert_eq!(to_server(&mut server, b"sock"), Ok(0));
    assert_eq!(server.next(late).unwrap_err().fault(), Fault::HelloTimeout);
    assert_eq!(fault(server.expire(NOW)), Fault::HelloTimeout);
    let mut client = Client::new(NOW);
    let error = client.expire(late, &mut Vec::new()).unwrap_err();
    assert_eq!((error.guilty(), error.fault()), (Side::Server, Fault::HelloTimeout));
}

/// P-E3: another version is its own error, as soon as it is read, and says who is to update.
#[test]
fn versions() {
    for (theirs, remedy) in [(0, "Update the other side"), (VERSION + 1, "Update this side")] {
        let bytes = [&b"sockeye?"[..], &theirs.to_be_bytes()].concat();
        let error = to_server(&mut Server::new(NOW), &bytes).unwrap_err();
        assert_eq!(error.fault(), Fault::VersionMismatch { theirs, ours: VERSION });
        assert!(error.to_string().ends_with(&format!("{remedy}.")), "{error}");
    }
    // The server's own Hello goes out even then.
    let mut server = Server::new(NOW);
    assert!(to_server(&mut server, b"sockeye?\0\x09").is_err());
    assert_eq!(server.hello("s", &mut Vec::new()), Ok(()));
}

/// Fault 46, P-F2: names of programs that are none.
#[test]
fn bad_names() {
    for name in [&b"\0"[..], b"\x41", b"\x02a\n", b"\x02a\xff", b"\x01\x7f"] {
        let bytes = [b"sockeye?\0\x01", name].concat();
        assert_eq!(fault(to_server(&mut Server::new(NOW), &bytes)), Fault::Hello);
    }
}

/// C5, fault 56: every error's text is one line of two sentences that names the guilty side.
#[test]
fn texts() {
    let faults = [
        Fault::Hello,
        Fault::HelloTimeout,
        Fault::UnknownKind(0xff),
        Fault::Length { kind: Kind::Stdout, length: u32::MAX },
        Fault::Malformed { kind: Kind::Run, what: "a NUL byte" },
        Fault::OutOfOrder { kind: Kind::Run, when: "before the last command was over" },
        Fault::StdinWindow,
        Fault::StdinTaken,
        Fault::Flood,
        Fault::Counts { said: 1, came: 2 },
        Fault::Truncated,
    ];
    for fault in faults {
        let text = ProtocolError::new(Side::Client, fault).to_string();
        assert!(text.starts_with("the client ") && text.ends_with('.'), "{text}");
        assert!(!text.contains('\n') && text.matches(". ").count() == 1, "{text}");
    }
    assert!(size_of::<ProtocolError>() <= 64);
}
