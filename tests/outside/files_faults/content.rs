//! Wrong contents (F2, fault 66): nothing that is not proved gets its name, and the file is named.

use std::fs;

use sockeye_wire::files::{FromReceiver, FromSender, Node, Placement};

use super::peers::{
    Far, Near, TIME, entry, file, hash, mark, meet_in, push, root, sent, server, small,
};
use crate::harness::files::{litter, noise, put, text_of};
use crate::harness::process::Output;
use crate::harness::remote::Host;

const MIB: usize = 1024 * 1024;
const LENGTH: usize = 2 * MIB + 5000;

fn begin(size: u64) -> FromSender {
    FromSender::Begin { file: 0, mtime: TIME, size: Some(size), from: 0 }
}

fn pieces(data: &[u8]) -> Vec<FromSender> {
    data.chunks(128 * 1024).map(|piece| FromSender::Data(piece.to_vec())).collect()
}

/// A file of 2 MiB and a bit whose segments, marks and hash are as given.
fn large(data: &[u8], marks: [[u8; 32]; 2], hash: [u8; 32]) -> Vec<FromSender> {
    [
        vec![begin(LENGTH as u64)],
        pieces(&data[..MIB]),
        vec![FromSender::Mark(marks[0])],
        pieces(&data[MIB..2 * MIB]),
        vec![FromSender::Mark(marks[1])],
        pieces(&data[2 * MIB..]),
        vec![FromSender::Close { hash }],
    ]
    .concat()
}

/// A Zstandard frame (RFC 8878) of blocks that repeat one byte: `blocks` times 128 KiB.
fn bomb(blocks: usize) -> Vec<u8> {
    let mut out = vec![0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58];
    for number in 1..=blocks {
        let header = u32::from(number == blocks) | 1 << 1 | (128 * 1024) << 3;
        out.extend_from_slice(&header.to_le_bytes()[..3]);
        out.push(b'x');
    }
    out
}

/// What is wrong, how long the file was said to be, and what is said when it is wanted.
fn cases() -> Vec<(&'static str, u64, Vec<FromSender>)> {
    let data = noise(21, LENGTH);
    let marks = [mark(&data[..MIB], 0), mark(&data[MIB..2 * MIB], MIB as u64)];
    let right = hash(&data);
    let mut flipped = data.clone();
    flipped[MIB + 17] ^= 1;
    let mut tail = data.clone();
    tail[LENGTH - 1] ^= 1;
    let size = LENGTH as u64;
    let wrong_small =
        FromSender::Small { file: 0, mtime: TIME, hash: hash(b"right"), data: b"wrong".into() };
    let packed = |length, bytes| vec![begin(5), FromSender::Packed { length, bytes }, close()];
    vec![
        ("hash of a small file", 5, vec![wrong_small]),
        ("hash of a large file", size, large(&data, marks, hash(b"another"))),
        ("a flipped bit", size, large(&flipped, marks, right)),
        ("a flipped bit at the end", size, large(&tail, marks, right)),
        ("marks", size, large(&data, [marks[1], marks[0]], right)),
        ("marks and hash of other data", size, large(&data, [[1; 32], [2; 32]], [3; 32])),
        ("less than promised", 5, vec![begin(5), FromSender::Data(b"four".into()), close()]),
        ("more than promised", 5, vec![begin(5), FromSender::Data(b"sixsix".into()), close()]),
        ("a hole beyond the end", 5, vec![begin(5), FromSender::Hole(1 << 60), close()]),
        (
            "a copy of nothing",
            5,
            vec![begin(5), FromSender::Copy { offset: 0, length: 5 }, close()],
        ),
        ("a copy of too much", 5, vec![begin(5), FromSender::Copy { offset: u64::MAX, length: 5 }]),
        ("no Zstandard", 5, packed(5, b"garbage".to_vec())),
        ("a bomb", 5, packed(5, bomb(8000))),
        (
            "a bomb that says less",
            size,
            vec![begin(size), FromSender::Packed { length: 131_072, bytes: bomb(2) }, close()],
        ),
        (
            "one that says more",
            size,
            vec![begin(size), FromSender::Packed { length: 262_144, bytes: bomb(1) }, close()],
        ),
        (
            "a mark in the middle",
            size,
            vec![begin(size), FromSender::Data(vec![1; 10]), FromSender::Mark([0; 32])],
        ),
        ("a segment without a mark", size, [vec![begin(size)], pieces(&data)].concat()),
        ("another file", 5, vec![small(1, b"hello")]),
        (
            "a beginning in the middle",
            size,
            vec![FromSender::Begin { file: 0, mtime: TIME, size: Some(size), from: MIB as u64 }],
        ),
        (
            "a giant that ends",
            5,
            vec![begin(i64::MAX as u64), FromSender::Data(b"five!".into()), close()],
        ),
        ("given up", 5, vec![FromSender::Void { file: 0, again: false, text: "vanished".into() }]),
        ("changed for ever", 5, vec![again(), again(), again()]),
        (
            "given up in the middle",
            5,
            vec![
                begin(5),
                FromSender::Data(b"12".into()),
                FromSender::Void { file: 0, again: false, text: "vanished".into() },
            ],
        ),
    ]
}

fn again() -> FromSender {
    FromSender::Void { file: 0, again: true, text: "it changed".into() }
}

fn close() -> FromSender {
    FromSender::Close { hash: hash(b"12345") }
}

/// A client gets `payload` from a server that says this; it had an older one.
fn served(size: u64, said: Vec<FromSender>) -> (Output, tempfile::TempDir) {
    let (listing, said) = (listing(size), sent(&said));
    let fake = server(async move |mut far: Far<FromReceiver>| {
        far.say(&listing).await;
        let mut basis = false;
        while let Some(message) = far.hear().await {
            match message {
                FromReceiver::Want(_) => far.say(&said).await,
                FromReceiver::Resume(resume) if !resume.basis => far.say(&said).await,
                FromReceiver::Resume(_) => basis = true,
                FromReceiver::Basis { last, .. } if basis && last => far.say(&said).await,
                _ => {}
            }
        }
    });
    let here = tempfile::tempdir().unwrap();
    put(here.path().join("payload"), "old");
    let met = meet_in(&fake, &["cp", ":payload", "."], here);
    (met.output, met.here)
}

fn listing(size: u64) -> Vec<u8> {
    sent(&[root(file("payload", size)), FromSender::Listed])
}

/// F2: the same server can be right: what follows fails for what is wrong in it.
#[test]
fn right_contents() {
    let data = noise(21, LENGTH);
    let marks = [mark(&data[..MIB], 0), mark(&data[MIB..2 * MIB], MIB as u64)];
    for (size, said, expected) in [
        (5, vec![small(0, b"hello")], b"hello".to_vec()),
        (LENGTH as u64, large(&data, marks, hash(&data)), data.clone()),
        (5, vec![begin(5), FromSender::Data(b"12345".into()), close()], b"12345".to_vec()),
        (5, [vec![again()], vec![small(0, b"12345")]].concat(), b"12345".to_vec()),
        (
            131_072,
            vec![
                begin(131_072),
                FromSender::Packed { length: 131_072, bytes: bomb(1) },
                FromSender::Close { hash: hash(&[b'x'; 131_072]) },
            ],
            vec![b'x'; 131_072],
        ),
    ] {
        let (output, here) = served(size, said);
        assert_eq!(output.code, Some(0), "{output:?}");
        assert!(fs::read(here.path().join("payload")).unwrap() == expected);
    }
}

/// F2, fault 66: whatever is wrong with a content: exit status 1, the old file stays.
#[test]
fn wrong_contents_from_a_server() {
    for (what, size, said) in cases() {
        let (output, here) = served(size, said);
        assert_eq!(output.code, Some(1), "{what}: {output:?}");
        assert_eq!(text_of(here.path().join("payload")), "old", "{what}");
        assert!(!output.stderr.contains("panicked"), "{what}: {output:?}");
        let proof = ["hash", "flipped", "marks", "given up"].iter().any(|word| what.contains(word));
        assert!(!proof || output.stderr.contains("payload"), "{what} names no file: {output:?}");
    }
}

/// F2, fault 66: the same said by a client to a server, which goes on to serve others.
#[test]
fn wrong_contents_from_a_client() {
    let host = Host::start();
    put(host.home.path().join("payload"), "old");
    for (what, size, said) in cases() {
        let mut near = Near::<FromReceiver>::ask(&host, &push(".", Placement::Into)).unwrap();
        near.say(&listing(size));
        let said = sent(&said);
        while let Some(message) = near.hear() {
            match message {
                FromReceiver::Want(_) => near.say(&said),
                FromReceiver::Resume(resume) if !resume.basis => near.say(&said),
                FromReceiver::Basis { last: true, .. } => near.say(&said),
                FromReceiver::Finished(tally) => {
                    assert!(tally.failed > 0, "{what}");
                    break;
                }
                _ => {}
            }
        }
        assert_eq!(text_of(host.home.path().join("payload")), "old", "{what}");
    }
    assert_eq!(host.line("echo alive").stdout_text(), "alive\n");
}

/// Fault 66: a file of 8 EiB is not made room for, and no wait is endless when its sender has gone.
#[test]
fn giants() {
    for size in [i64::MAX as u64, 1 << 50] {
        let fake = server(async move |mut far: Far<FromReceiver>| {
            far.say(&listing(size)).await;
            far.hear().await;
            far.say(&sent(&[begin(size), FromSender::Data(b"12345".into())])).await;
        });
        let here = tempfile::tempdir().unwrap();
        let met = meet_in(&fake, &["cp", ":payload", "."], here);
        assert_eq!(met.output.code, Some(1), "{:?}", met.output);
        assert!(!met.here.path().join("payload").exists());
        let blocks = |path| std::os::unix::fs::MetadataExt::blocks(&fs::metadata(path).unwrap());
        let used: u64 = litter(met.here.path()).into_iter().map(blocks).sum();
        assert!(used * 512 < MIB as u64, "{used} blocks");
    }
}

/// F2: a file whose length nobody knows is proved like any other.
#[test]
fn stream_with_a_wrong_hash() {
    let listing =
        sent(&[root(entry("payload", Node::File { size: None, group: None })), FromSender::Listed]);
    let fake = server(async move |mut far: Far<FromReceiver>| {
        far.say(&listing).await;
        far.hear().await;
        let begin = FromSender::Begin { file: 0, mtime: TIME, size: None, from: 0 };
        far.say(&sent(&[begin, FromSender::Data(b"wrong".into()), close()])).await;
        far.hear_rest().await;
    });
    let here = tempfile::tempdir().unwrap();
    let met = meet_in(&fake, &["cp", ":payload", "."], here);
    assert_eq!(met.output.code, Some(1), "{:?}", met.output);
    assert!(!met.here.path().join("payload").exists());
    // On standard output the bytes are out already; the exit status tells.
    let met = meet_in(&fake, &["cp", ":payload", "-"], met.here);
    assert_eq!(met.output.code, Some(1), "{:?}", met.output);
}
