//! A receiver that has enough (clause P-X20).

use super::*;

/// Fault 58, P-X20: enough of one content, which may have ended meanwhile; enough of all.
#[test]
fn enough() {
    let (one, all) = (|file| FromReceiver::Enough(Some(file)), FromReceiver::Enough(None));
    let two = after![root(0, file(3)), root(1, file(3)), FromReceiver::Want(1)];
    refused(&two, one(1), "enough of a file whose turn has not come");
    let begun = after![root(0, file(3)), FromReceiver::Want(1), begin(0, 3, 0), one(0), one(0)];
    assert!(!begun.has_enough() && !begun.is_settled());
    let over = after![root(0, file(3)), FromReceiver::Want(1), small(0), one(0)];
    refused(&over, one(1), "enough of a file whose turn has not come");
    let open = after![root(0, file(3)), resume(0, true)];
    refused(&open, all.clone(), "something between the chunks of a file");

    let enough = after![
        root(0, file(3)),
        root(1, file(3)),
        root(2, file(3)),
        FromReceiver::Want(2),
        begin(0, 3, 0),
        all.clone(),
    ];
    assert!(enough.has_enough());
    let more = "that it wants more where it had enough";
    for word in [FromReceiver::Want(1), resume(0, false), all, one(0)] {
        refused(&enough, word, more);
    }
    let mut end = enough;
    let words: [Word; 4] = [
        FromReceiver::Skip(1).into(),
        void(0, false).into(),
        void(1, false).into(),
        FromSender::Listed.into(),
    ];
    for word in &words {
        assert_eq!(say(&mut end, word), Ok(()));
    }
    assert!(end.is_settled());
}
