//! Contents of files: when they may come, how long they are, what proves them.

use super::*;

/// F2, fault 66, P-X13: contents come in the order in which they are wanted, one at a time.
#[test]
fn contents() {
    let unwanted = "a file that is not wanted now";
    let listed = after![root(0, file(1)), root(1, file(1))];
    for early in [small(0), begin(0, 1, 0), void(0, false)] {
        refused(&listed, early, unwanted);
    }
    let wanted = after![root(0, file(1)), root(1, file(1)), FromReceiver::Want(2)];
    for wrong in [small(1), small(2), begin(1, 1, 0), void(1, true)] {
        refused(&wanted, wrong, unwanted);
    }
    let begun = after![root(0, file(1)), root(1, file(1)), FromReceiver::Want(2), begin(0, 1, 0)];
    for wrong in [small(0), small(1), begin(0, 1, 0), begin(1, 1, 0)] {
        refused(&begun, wrong, "a file in the middle of another");
    }
    refused(&begun, void(1, false), unwanted);
    refused(&wanted, FromSender::Data(vec![0]), "content of no file");
    refused(&wanted, FromSender::Hole(1), "content of no file");
    refused(&wanted, MARK, "a proof of no file");
    refused(&wanted, CLOSE, "an end of no file");
}

/// F2, fault 66, P-X13: pieces make exactly the length that was said.
#[test]
fn lengths() {
    let two = after![root(0, file(5)), FromReceiver::Want(1), begin(0, 2, 0)];
    refused(&two, FromSender::Data(vec![0; 3]), "more of a file than it said");
    refused(&two, FromSender::Packed { length: 3, bytes: vec![0] }, "more of a file than it said");
    refused(&two, FromSender::Hole(3), "more of a file than it said");
    let longest = FromSender::Hole(limits::HOLE_BYTES + 1);
    refused(&two, longest, "a hole that is longer than is allowed");
    refused(&two, CLOSE, "less of a file than it said");
    let mut all = two.clone();
    assert_eq!(all.sender_says(&FromSender::Data(vec![0; 2])), Ok(()));
    refused(&all, FromSender::Hole(1), "more of a file than it said");
    assert_eq!(all.sender_says(&CLOSE), Ok(()));
    assert_eq!(all.pending(), 0);

    let stream = after![root(0, file(None)), FromReceiver::Want(1), begin(0, None, 0)];
    refused(&stream, FromSender::Hole(MIB + 1), "a piece that reaches beyond its segment");
    let mut some = stream.clone();
    assert_eq!(some.sender_says(&FromSender::Hole(1)), Ok(()));
    refused(&some, FromSender::Hole(u64::MAX), "a hole that is longer than is allowed");
    assert_eq!(some.sender_says(&CLOSE), Ok(()));
}

/// F2, F4, fault 66, P-X9: a mark is behind each segment but the last, and nowhere else.
#[test]
fn segments() {
    let middle = "a proof in the middle of a segment, or at the end of a file";
    let hole = FromSender::Hole;
    let new = after![root(0, file(1)), FromReceiver::Want(1), begin(0, 2 * MIB + 1, 0)];
    refused(&new, MARK, middle);
    refused(&new, hole(MIB + 1), "a piece that reaches beyond its segment");
    let mut full = new.clone();
    assert_eq!(full.sender_says(&hole(MIB)), Ok(()));
    refused(&full, hole(1), "more of a file before the proof of what came");
    assert_eq!(full.sender_says(&MARK), Ok(()));
    refused(&full, MARK, middle);
    for word in [hole(MIB - 1), hole(1), MARK, hole(1)] {
        assert_eq!(full.sender_says(&word), Ok(()));
    }
    refused(&full, MARK, middle);
    assert_eq!(full.sender_says(&CLOSE), Ok(()));

    // A last segment that is as long as the others has no mark either.
    for size in [MIB, 2 * MIB] {
        let mut exchange = after![root(0, file(1)), FromReceiver::Want(1), begin(0, size, 0)];
        for _ in 1..size / MIB {
            assert_eq!(exchange.sender_says(&hole(MIB)), Ok(()));
            assert_eq!(exchange.sender_says(&MARK), Ok(()));
        }
        assert_eq!(exchange.sender_says(&hole(MIB)), Ok(()));
        refused(&exchange, MARK, middle);
        assert_eq!(exchange.sender_says(&CLOSE), Ok(()));
    }
    // A stream may find its end behind one.
    let stream =
        || after![root(0, file(None)), FromReceiver::Want(1), begin(0, None, 0), hole(MIB)];
    assert_eq!(stream().sender_says(&CLOSE), Ok(()));
    let mut marked = stream();
    assert_eq!(marked.sender_says(&MARK), Ok(()));
    assert_eq!(marked.sender_says(&CLOSE), Ok(()));
}

/// F4, P-X9: 1 MiB, and more where there would be more than 16,384 of them.
#[test]
fn segment_lengths() {
    let gib = 1 << 30;
    let cases = [
        (0, MIB),
        (1, MIB),
        (16 * gib, MIB),
        (16 * gib + 1, 2 * MIB),
        (32 * gib, 2 * MIB),
        (32 * gib + 1, 4 * MIB),
        (i64::MAX as u64, 1 << 49),
        (u64::MAX, 1 << 50),
    ];
    for (size, expected) in cases {
        assert_eq!(segment(size), expected, "{size}");
        assert!(size.div_ceil(expected) <= limits::FILE_SEGMENTS);
    }
}

/// F4, fault 66, P-X13: a content begins at its beginning, or at a proof that the receiver has of a
/// file of this length.
#[test]
fn beginnings() {
    let lacks = "a beginning that the receiver does not have";
    let size = 5 * MIB;
    let resumed = after![root(0, file(size)), resume(3, false)];
    for from in [0, MIB, 3 * MIB] {
        let mut exchange = resumed.clone();
        assert_eq!(exchange.sender_says(&begin(0, size, from)), Ok(()), "from {from}");
    }
    for from in [1, MIB + 1, 4 * MIB, 5 * MIB, u64::MAX] {
        refused(&resumed, begin(0, size, from), lacks);
    }
    refused(&after![root(0, file(size)), FromReceiver::Want(1)], begin(0, size, MIB), lacks);
    refused(&resumed, begin(0, None, MIB), lacks);
    // It is another file by now, and has its segments elsewhere.
    refused(&resumed, begin(0, size + 1, MIB), lacks);
    refused(&resumed, begin(0, 17 << 30, 2 * MIB), lacks);
    assert_eq!(resumed.clone().sender_says(&begin(0, 17 << 30, 0)), Ok(()));
}

/// F4, P-X13: the proofs of what was resumed go on where they ended.
#[test]
fn resumed() {
    let mut exchange = after![root(0, file(3 * MIB)), resume(2, false), begin(0, 3 * MIB, 2 * MIB)];
    refused(&exchange, CLOSE, "less of a file than it said");
    assert_eq!(exchange.sender_says(&FromSender::Hole(MIB)), Ok(()));
    assert_eq!(exchange.sender_says(&CLOSE), Ok(()));
}

/// F4, fault 66, P-X12: copies are of what the receiver told, whole within its old file.
#[test]
fn copies() {
    let lacks = "a copy of what the receiver does not have";
    let copy = |offset, length| FromSender::Copy { offset, length };
    let words = after![root(0, file(MIB)), resume(0, true), basis(&[3], false), basis(&[4], true)];
    refused(&words, copy(0, 1), "content of no file");
    let mut begun = words.clone();
    assert_eq!(begun.sender_says(&begin(0, MIB, 0)), Ok(()));
    for (offset, length) in [(0, 8), (6, 2), (7, 1), (u64::MAX, 1), (1, u64::MAX)] {
        refused(&begun, copy(offset, length), lacks);
    }
    for (offset, length) in [(0, 7), (6, 1), (0, 7)] {
        assert_eq!(begun.sender_says(&copy(offset, length)), Ok(()));
    }
    let whole = after![root(0, file(MIB)), FromReceiver::Want(1), begin(0, MIB, 0)];
    refused(&whole, copy(0, 1), lacks);
}

/// F2, fault 59, P-X14: a content that changed begins again, once, from its beginning; its older
/// version is still of use.
#[test]
fn again() {
    let copy = FromSender::Copy { offset: 0, length: 9 };
    let mut exchange = after![
        root(0, file(3 * MIB)),
        FromSender::Listed,
        resume(2, true),
        basis(&[9], true),
        begin(0, 3 * MIB, 2 * MIB),
        FromSender::Data(vec![0]),
        void(0, true),
    ];
    refused(&exchange, FromSender::Data(vec![0]), "content of no file");
    refused(&exchange, void(0, true), "a file for the third time");
    refused(&exchange, begin(0, 3 * MIB, MIB), "a beginning that the receiver does not have");
    assert_eq!(exchange.sender_says(&begin(0, 7, 0)), Ok(()));
    refused(&exchange, void(0, true), "a file for the third time");
    let mut given_up = exchange.clone();
    assert_eq!(given_up.sender_says(&void(0, false)), Ok(()));
    assert!(given_up.is_settled());
    assert_eq!(exchange.sender_says(&void(0, false)), Ok(()));

    let mut other = after![
        root(0, file(MIB)),
        resume(0, true),
        basis(&[9], true),
        void(0, true),
        begin(0, 9, 0)
    ];
    assert_eq!(other.sender_says(&copy), Ok(()));
    assert_eq!(other.sender_says(&CLOSE), Ok(()));
}
