//! Lengths, payloads and names of a transfer that its kinds cannot have (clauses P-L1, P-F4, P-X4).

use crate::files::{Fault, FromReceiver, FromSender, Name, Role, Speech, Wrong};
use crate::fuzzing::cut;

/// The last error of a stream of these bytes.
fn wrong<M: Speech + std::fmt::Debug>(bytes: &[u8]) -> Wrong {
    match cut::<M>(bytes, 0, 5) {
        (heard, Err(wrong)) if heard.is_empty() => wrong,
        other => panic!("{other:?}"),
    }
}

fn flaw<M: Speech + std::fmt::Debug>(kind: u8, payload: &[u8]) -> &'static str {
    match wrong::<M>(&super::frame(kind, payload)).fault {
        Fault::Malformed { kind: of, what } if of == kind => what,
        other => panic!("0x{kind:02x} {payload:?}: {other:?}"),
    }
}

/// What a header alone comes to.
fn header<M: Speech + std::fmt::Debug>(kind: u8, length: u32) -> Result<(), Fault> {
    let [a, b, c, d] = length.to_be_bytes();
    match cut::<M>(&[kind, a, b, c, d], 0, 5).1.map_err(|wrong| wrong.fault) {
        Err(Fault::Truncated) => Ok(()),
        other => other,
    }
}

fn check_lengths<M: Speech + std::fmt::Debug>() -> usize {
    let mut kinds = 0;
    for kind in 0..=255 {
        let Some((least, most)) = M::bounds(kind) else {
            let unknown = Fault::UnknownKind(kind);
            assert_eq!(header::<M>(kind, 0), Err(unknown));
            continue;
        };
        kinds += 1;
        let (least, most) = (u32::try_from(least).unwrap(), u32::try_from(most).unwrap());
        for length in [least, most].into_iter().filter(|length| *length > 0) {
            assert_eq!(header::<M>(kind, length), Ok(()), "0x{kind:02x} of {length}");
        }
        let mut beyond = vec![most + 1, 1 << 31, u32::MAX];
        beyond.extend(least.checked_sub(1));
        for length in beyond {
            assert_eq!(header::<M>(kind, length), Err(Fault::Length { kind, length }));
        }
    }
    kinds
}

/// Fault 66, P-X3, P-L1: each kind's header alone is refused beyond its bounds, and so are kinds that
/// do not exist or are the other side's.
#[test]
fn lengths() {
    assert_eq!(check_lengths::<FromSender>(), 15);
    assert_eq!(check_lengths::<FromReceiver>(), 8);
}

/// Fault 66, P-X3: the guilty side is named.
#[test]
fn guilty() {
    let sender = wrong::<FromSender>(&super::frame(0x61, b""));
    let receiver = wrong::<FromReceiver>(&super::frame(0x41, b""));
    assert_eq!((sender.guilty, receiver.guilty), (Role::Sender, Role::Receiver));
    assert!(sender.to_string().starts_with("the sender sent a frame of the unknown kind 0x61. "));
    assert!(receiver.to_string().starts_with("the receiver sent a frame of the unknown kind 0x41"));
}

const TIME: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2];

/// An entry's payload: name, node, and all behind it.
fn entry(name: &[u8], node: &[u8], rest: &[&[u8]]) -> Vec<u8> {
    let length = u32::try_from(name.len()).unwrap().to_be_bytes();
    [&length[..], name, node, &rest.concat()].concat()
}

/// No owner, no attributes.
const PLAIN: &[u8] = &[0, 0, 0, 0, 0];

/// Fault 66, P-F4, P-X5: payloads of entries that they cannot have.
#[test]
fn entries() {
    let of = |node: &[u8], rest: &[&[u8]]| entry(b"n", node, rest);
    let mode: &[u8] = &[1, 0xa4];
    let good = [mode, TIME, PLAIN];
    let (heard, end) = cut::<FromSender>(&super::frame(0x42, &of(&[2], &good)), 0, 1);
    assert!(heard.len() == 1 && end.is_ok());

    let target = |bytes: &[u8]| [&[3][..], &entry(bytes, &[], &[])].concat();
    let attribute = |name: &[u8]| [&[0, 0, 0, 0, 1][..], &entry(name, &[0; 4], &[])].concat();
    let late: &[u8] = &[0, 0, 0, 0, 0, 0, 0, 1, 0x3b, 0x9a, 0xca, 0];
    let cases: Vec<(Vec<u8>, &str)> = vec![
        (of(&[0], &good), "an unknown kind of file"),
        (of(&[8], &good), "an unknown kind of file"),
        (of(&[6, 0, 0, 0, 9, 0, 0, 0, 0], &good), "a link that points nowhere"),
        (of(&[1, 4], &good), "unknown flags"),
        (of(&[1, 1, 0x80, 0, 0, 0, 0, 0, 0, 0], &good), "a length that no file can have"),
        (of(&target(b""), &good), "a link that points nowhere"),
        (of(&target(&[b'x'; 4096]), &good), "a link that points nowhere"),
        (of(&target(b"a\0b"), &good), "a link that points nowhere"),
        (of(&[2], &[&[0x10, 0], TIME, PLAIN]), "more than permission bits as its mode"),
        (of(&[2], &[mode, late, PLAIN]), "a time of more than a second's nanoseconds"),
        (of(&[2], &[mode, TIME, &[4, 0, 0, 0, 0]]), "unknown flags"),
        (of(&[2], &[mode, TIME, &[1, 0, 0, 0, 0]]), "a field that is cut short"),
        (of(&[2], &[mode, TIME, &[0, 0xff, 0xff, 0xff, 0xff]]), "a field that is cut short"),
        (of(&[2], &[mode, TIME, &attribute(b"")]), "an attribute without a proper name"),
        (of(&[2], &[mode, TIME, &attribute(b"a\0")]), "an attribute without a proper name"),
        (of(&[2], &[mode, TIME, &attribute(&[1; 256])]), "an attribute without a proper name"),
        (of(&[2], &[mode, TIME, PLAIN, &[0]]), "bytes behind its last field"),
    ];
    for (payload, what) in cases {
        assert_eq!(flaw::<FromSender>(0x42, &payload), what, "{payload:?}");
        // A source is an entry behind its index and identity.
        let root = [&[0; 20][..], &payload].concat();
        assert_eq!(flaw::<FromSender>(0x41, &root), what, "{payload:?}");
    }
}

/// Fault 66, P-F4, P-X6: what else of a sender's is refused.
#[test]
fn sender_fields() {
    let numbers = |numbers: &[u64]| -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_be_bytes()).collect()
    };
    let begin = |known: u8, size: u64| [&[0; 4][..], TIME, &[known], &numbers(&[size, 0])].concat();
    let text = |text: &[u8]| [&[0, 0, 0, 0, 0][..], &entry(text, &[], &[])].concat();
    let long = [&entry(&[b'p'; 4097], &[], &[])[..], &[0; 4]].concat();
    let wordy = [&[0; 4][..], &entry(&[b'w'; 2049], &[], &[])].concat();
    let cases: Vec<(u8, Vec<u8>, &str)> = vec![
        (0x43, vec![2], "a flag that is neither set nor clear"),
        (0x44, [&[0; 4][..], &entry(b"\xff", &[], &[])].concat(), "text that is not UTF-8"),
        (0x44, long, "a path that is too long"),
        (0x44, wordy, "a text that is too long"),
        (0x47, begin(0, 1), "a length that it does not know"),
        (0x47, begin(1, 1 << 63), "a length that no file can have"),
        (0x47, begin(2, 0), "a flag that is neither set nor clear"),
        (0x49, [&[0; 4][..], b"x"].concat(), "a length out of bounds"),
        (0x49, [&[0, 4, 0, 1][..], b"x"].concat(), "a length out of bounds"),
        (0x4a, numbers(&[0]), "no length"),
        (0x4b, numbers(&[1, 0]), "no length"),
        (0x4e, text(b"\xc3"), "text that is not UTF-8"),
        (0x4e, [&text(b"x")[..], b"y"].concat(), "bytes behind its last field"),
    ];
    for (kind, payload, what) in cases {
        assert_eq!(flaw::<FromSender>(kind, &payload), what, "0x{kind:02x} {payload:?}");
    }
}

/// Fault 66, P-F4, P-X7, P-X8: what of a receiver's is refused; counts are no larger than what follows.
#[test]
fn receiver_fields() {
    let cases: &[(u8, &[u8], &str)] = &[
        (0x61, &[0, 0, 0, 0], "an answer for no file"),
        (0x62, &[0, 0, 0, 0], "an answer for no file"),
        (0x63, &[2, 0, 0, 0, 0], "a flag that is neither set nor clear"),
        (0x63, &[0, 0xff, 0xff, 0xff, 0xff], "a field that is cut short"),
        (0x63, &[0, 0, 0, 0, 1, 7], "a field that is cut short"),
        (0x63, &[0, 0, 0, 0, 0, 7], "bytes behind its last field"),
        (0x64, &[0, 0, 0, 0, 0], "no chunks where more are to come"),
        (0x64, &[1, 0xff, 0xff, 0xff, 0xff], "a field that is cut short"),
        (0x64, &[&[1, 0, 0, 0, 1][..], &[0; 20]].concat(), "a chunk without length"),
        (0x65, &[0, 0, 0, 1, 0, 0, 0, 0], "a field that is cut short"),
        (0x66, &[0, 0, 0, 0, 0], "an unknown note"),
        (0x66, &[7, 0, 0, 0, 0], "an unknown note"),
        (0x66, &[1, 0, 0, 0, 0, 0], "bytes behind its last field"),
    ];
    for (kind, payload, what) in cases {
        assert_eq!(flaw::<FromReceiver>(*kind, payload), *what, "0x{kind:02x} {payload:?}");
    }
}

/// F8, fault 61, P-X4: a name that could lead elsewhere is refused and told, however it is named.
#[test]
fn names() {
    let long = [b'x'; 256];
    let cases: [(&[u8], &str); 9] = [
        (b"", "\"\""),
        (b".", "\".\""),
        (b"..", "\"..\""),
        (b"../x", "\"../x\""),
        (b"/x", "\"/x\""),
        (b"x/", "\"x/\""),
        (b"a\0b", "\"a\\x00b\""),
        (b"/\x1b[31m\xff", "\"/\\x1b[31m\\xff\""),
        (&long, "\"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx…\""),
    ];
    for (name, shown) in cases {
        assert_eq!(Name::new(name), None);
        // As long as the shortest frame, whatever the name.
        let payload = entry(name, &[2], &[&[1, 0xa4], TIME, PLAIN, &[0]]);
        let rooted = [&[0; 20][..], &payload].concat();
        for frame in [super::frame(0x42, &payload), super::frame(0x41, &rooted)] {
            let wrong = wrong::<FromSender>(&frame);
            assert!(matches!(wrong.fault, Fault::Name(_)), "{wrong:?}");
            let expected = format!("the sender named a file {shown}, which is no name within");
            assert!(wrong.to_string().starts_with(&expected), "{wrong}");
        }
    }
    for name in [&b"..."[..], b".x", b"-rf", b"\n", b"\xff\xfe", b"a:b", &long[..255]] {
        assert_eq!(Name::new(name).unwrap().as_bytes(), name);
    }
}

/// F8, fault 61, C5: the other errors that name a file show it escaped.
#[test]
fn shown_names() {
    let shown = [Wrong::not_asked(b"b\x1b"), Wrong::taken(b"c\n")].map(|wrong| wrong.to_string());
    assert!(shown[0].contains("\"b\\x1b\", which was not asked for"), "{}", shown[0]);
    assert!(shown[1].contains("\"c\\n\" where that name is taken"), "{}", shown[1]);
}
