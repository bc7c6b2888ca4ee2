//! Who may say what when in a transfer (clauses P-X10 to P-X15): each rule, and what breaks it.

use sockeye_limits as limits;

use crate::files::{
    Chunk, Entry, Exchange, Fault, FromReceiver, FromSender, Meta, Name, Node, Note, Resume, Role,
    Tally, Time, Wrong, segment,
};

const MIB: u64 = 1 << 20;

fn entry(node: Node) -> Entry {
    Entry { name: Name::new(b"n").unwrap(), node, meta: Meta::default() }
}

fn root(index: u32, node: Node) -> FromSender {
    FromSender::Root { index, identity: [0; 16], entry: entry(node) }
}

fn file(size: impl Into<Option<u64>>) -> Node {
    Node::File { size: size.into(), group: None }
}

fn small(file: u32) -> FromSender {
    FromSender::Small { file, mtime: Time::default(), hash: [0; 32], data: vec![] }
}

fn begin(file: u32, size: impl Into<Option<u64>>, from: u64) -> FromSender {
    FromSender::Begin { file, mtime: Time::default(), size: size.into(), from }
}

fn void(file: u32, again: bool) -> FromSender {
    FromSender::Void { file, again, text: String::new() }
}

fn trouble() -> FromSender {
    FromSender::Trouble { path: vec![], text: String::new() }
}

fn resume(marks: usize, basis: bool) -> FromReceiver {
    FromReceiver::Resume(Resume { marks: vec![[0; 32]; marks], basis })
}

fn basis(lengths: &[u32], last: bool) -> FromReceiver {
    let chunks = lengths.iter().map(|length| Chunk { length: *length, hash: [0; 16] });
    FromReceiver::Basis { chunks: chunks.collect(), last }
}

const MARK: FromSender = FromSender::Mark([0; 32]);
const CLOSE: FromSender = FromSender::Close { hash: [0; 32] };
const LEAVE: FromSender = FromSender::Leave { complete: true };

fn finished() -> FromReceiver {
    FromReceiver::Finished(Tally::default())
}

/// A word of either side.
enum Word {
    Up(FromSender),
    Down(FromReceiver),
}

impl From<FromSender> for Word {
    fn from(message: FromSender) -> Word {
        Word::Up(message)
    }
}

impl From<FromReceiver> for Word {
    fn from(message: FromReceiver) -> Word {
        Word::Down(message)
    }
}

fn say(exchange: &mut Exchange, word: &Word) -> Result<(), Wrong> {
    match word {
        Word::Up(message) => exchange.sender_says(message),
        Word::Down(message) => exchange.receiver_says(message),
    }
}

/// A transfer of three sources in which all this was said.
fn after(words: impl IntoIterator<Item = Word>) -> Exchange {
    let mut exchange = Exchange::new(3);
    for (place, word) in words.into_iter().enumerate() {
        let said = say(&mut exchange, &word);
        assert_eq!(said, Ok(()), "word {place}");
    }
    exchange
}

macro_rules! after {
    ($($word:expr),* $(,)?) => { after([$(Word::from($word)),*]) };
}

/// It may not be said then; whoever says it is guilty, and nothing changes.
#[track_caller]
fn refused(exchange: &Exchange, word: impl Into<Word>, what: &str) {
    let (word, mut now) = (word.into(), exchange.clone());
    let guilty = if matches!(word, Word::Up(_)) { Role::Sender } else { Role::Receiver };
    let wrong = say(&mut now, &word).unwrap_err();
    let Fault::OutOfOrder(because) = wrong.fault else { panic!("{wrong}") };
    assert_eq!((wrong.guilty, because), (guilty, what));
    assert_eq!(wrong.to_string().find(&format!("the {guilty} sent {what}. ")), Some(0));
    assert!(now == *exchange, "changed by what was refused");
}

mod contents;
mod enough;

/// F1, P-X10: a listing: sources in their order, entries in directories that are open, an end.
#[test]
fn listing() {
    let new = after![];
    refused(&new, FromSender::Entry(entry(file(1))), "a file that is in no directory");
    refused(&new, LEAVE, "an end of no directory");
    refused(&new, root(3, file(1)), "a source that was not asked for");
    let two = after![root(1, Node::Fifo { group: None })];
    refused(&two, root(1, Node::Fifo { group: None }), "a source that was not asked for");
    refused(&two, root(0, Node::Fifo { group: None }), "a source that was not asked for");
    let within = after![root(0, Node::Directory)];
    refused(&within, root(1, Node::Fifo { group: None }), "a source in the middle of another");
    refused(&within, FromSender::Listed, "an end of the listing in its middle");
    let left =
        after![root(0, Node::Directory), FromSender::Entry(entry(Node::Directory)), LEAVE, LEAVE];
    refused(&left, LEAVE, "an end of no directory");
    refused(
        &left,
        FromSender::Entry(entry(Node::Fifo { group: None })),
        "a file that is in no directory",
    );
    let listed = after![trouble(), root(2, Node::Link(0)), trouble(), FromSender::Listed];
    refused(&listed, FromSender::Listed, "an end of the listing in its middle");
    refused(&listed, root(2, Node::Fifo { group: None }), "a source in the middle of another");
    assert!(listed.is_settled());
}

/// F8, fault 61, P-X10: a server that lists more than was asked for is refused at its first source
/// too many.
#[test]
fn more_sources() {
    let mut one = Exchange::new(1);
    assert_eq!(one.sender_says(&root(0, file(1))), Ok(()));
    refused(&one, root(1, file(1)), "a source that was not asked for");
}

/// Fault 65, P-X17: directories in one another are as many as the limit, and no more.
#[test]
fn depth() {
    let mut exchange = after![root(0, Node::Directory)];
    let deeper = FromSender::Entry(entry(Node::Directory));
    for _ in 1..limits::TREE_DEPTH {
        assert_eq!(exchange.sender_says(&deeper), Ok(()));
    }
    refused(&exchange, deeper, "more directories in one another than are allowed");
}

/// Fault 66, P-X11: no more files are listed and not settled than the limit; each that is settled
/// makes room for one.
#[test]
fn files_ahead() {
    let mut exchange = after![root(0, Node::Directory)];
    let more = FromSender::Entry(entry(file(1)));
    for _ in 0..limits::FILES_AHEAD {
        assert!(exchange.has_room());
        assert_eq!(exchange.sender_says(&more), Ok(()));
    }
    let too_many = "more files than were asked for";
    refused(&exchange, more.clone(), too_many);
    assert_eq!(exchange.receiver_says(&FromReceiver::Want(2)), Ok(()));
    refused(&exchange, more.clone(), too_many);
    assert_eq!(exchange.receiver_says(&FromReceiver::Skip(1)), Ok(()));
    assert_eq!(exchange.sender_says(&more), Ok(()));
    refused(&exchange, more.clone(), too_many);
    for settle in [small(0), void(1, false)] {
        assert_eq!(exchange.sender_says(&settle), Ok(()));
        assert_eq!(exchange.sender_says(&more), Ok(()));
        refused(&exchange, more.clone(), too_many);
    }
    assert_eq!(exchange.pending(), limits::FILES_AHEAD);
}

/// Fault 66, P-X11: only files that were listed are answered, each once, in their order.
#[test]
fn answers() {
    let none = "an answer to a file that was not listed";
    for answer in [FromReceiver::Skip(1), FromReceiver::Want(1), resume(0, false)] {
        refused(&after![root(0, Node::Directory)], answer, none);
    }
    let two = after![root(0, file(1)), root(1, file(1))];
    for count in [3, u32::MAX] {
        refused(&two, FromReceiver::Skip(count), none);
        refused(&two, FromReceiver::Want(count), none);
    }
    let one = after![root(0, file(1)), root(1, file(1)), FromReceiver::Skip(1)];
    refused(&one, FromReceiver::Want(2), none);
    assert_eq!((one.pending(), one.next_wanted()), (1, None));
    let skipped =
        after![root(0, file(1)), root(1, file(1)), FromReceiver::Skip(1), FromReceiver::Want(1)];
    assert_eq!(skipped.next_wanted(), Some(1));
}

/// F4, fault 66, P-X11: marks are of a part of the file, not of all, and of files with a length.
#[test]
fn marks() {
    let more = "proofs of more than the file has";
    let of = |size| after![root(0, file(size))];
    for size in [0, 1, MIB] {
        refused(&of(size), resume(1, false), more);
    }
    refused(&of(MIB + 1), resume(2, false), more);
    assert_eq!(of(MIB + 1).receiver_says(&resume(1, false)), Ok(()));
    let huge = i64::MAX as u64;
    let all = usize::try_from(huge / segment(huge)).unwrap();
    assert_eq!(of(huge).receiver_says(&resume(all, false)), Ok(()));
    refused(&of(huge), resume(all + 1, false), more);
    let stream = after![root(0, file(None))];
    refused(&stream, resume(0, true), "a part of a file whose length nobody knows");
    refused(&stream, resume(1, false), "a part of a file whose length nobody knows");
}

/// F4, fault 66, P-X12: chunks come only behind their answer, nothing between them; no file is sent
/// before the last of its chunks, and there are no more than the limit.
#[test]
fn chunks() {
    let nobody = "chunks that nobody waits for";
    refused(&after![root(0, file(MIB))], basis(&[1], true), nobody);
    refused(&after![root(0, file(MIB)), FromReceiver::Want(1)], basis(&[1], true), nobody);
    let told = after![root(0, file(MIB)), resume(0, true), basis(&[1], true)];
    refused(&told, basis(&[1], true), nobody);
    assert_eq!(told.next_wanted(), Some(0));

    let open = after![root(0, file(MIB)), root(1, file(1)), resume(0, true), basis(&[1], false)];
    for answer in [FromReceiver::Want(1), FromReceiver::Skip(1), resume(0, true), finished()] {
        refused(&open, answer, "something between the chunks of a file");
    }
    assert_eq!(open.next_wanted(), None);
    for early in [small(0), begin(0, MIB, 0), void(0, false)] {
        refused(&open, early, "a file that is not wanted now");
    }
    // Words that are no answers may stand between them.
    let note = FromReceiver::Note { note: Note::Removed, path: vec![] };
    let mut noted = open.clone();
    assert_eq!(noted.receiver_says(&note), Ok(()));

    let mut most = after![root(0, file(MIB)), resume(0, true)];
    let many = basis(&vec![u32::MAX; limits::BASIS_CHUNKS], false);
    for _ in 0..limits::BASIS_ALL / limits::BASIS_CHUNKS {
        assert_eq!(most.receiver_says(&many), Ok(()));
    }
    refused(&most, basis(&[1], true), "more chunks of a file than are allowed");
}

/// F4, P-X12: a file before the one whose chunks come is sent meanwhile.
#[test]
fn before_chunks() {
    let mut exchange =
        after![root(0, file(1)), root(1, file(MIB)), FromReceiver::Want(1), resume(0, true)];
    assert_eq!(exchange.next_wanted(), Some(0));
    assert_eq!(exchange.sender_says(&small(0)), Ok(()));
    assert_eq!(exchange.next_wanted(), None);
    assert_eq!(exchange.receiver_says(&basis(&[], true)), Ok(()));
    assert_eq!(exchange.next_wanted(), Some(1));
}

/// F2, P-X15: the last word comes when all is listed and settled, once, and nothing behind it.
#[test]
fn last_word() {
    let missing = "that it has finished where files are missing";
    refused(&after![], finished(), missing);
    refused(&after![root(0, file(1)), FromReceiver::Skip(1)], finished(), missing);
    refused(&after![root(0, file(1)), FromSender::Listed], finished(), missing);
    let wanted = after![root(0, file(1)), FromSender::Listed, FromReceiver::Want(1)];
    refused(&wanted, finished(), missing);
    let begun = after![root(0, file(1)), FromSender::Listed, FromReceiver::Want(1), begin(0, 0, 0)];
    refused(&begun, finished(), missing);

    let over = after![root(0, file(1)), FromSender::Listed, FromReceiver::Skip(1), finished()];
    assert!(over.is_finished());
    let more = "something after it had finished";
    refused(&over, finished(), more);
    refused(&over, FromReceiver::Trouble { path: vec![], text: String::new() }, more);
    for word in [trouble(), FromSender::Listed, small(0), CLOSE] {
        refused(&over, word, "something after the receiver has finished");
    }
}

/// P-X10, P-X15: trouble with the listing belongs into it, for later it would cross the last word.
#[test]
fn late_trouble() {
    let listed = after![root(0, file(1)), FromSender::Listed];
    refused(&listed, trouble(), "trouble with a listing that has ended");
}

/// F6, P-X10 to P-X15: a whole transfer as each end hears it: the sender lists ahead of the answers,
/// and is told of more chunks while it sends; the receiver answers before it hears of contents.
#[test]
fn both_ends() {
    let up = [
        root(0, Node::Directory),
        FromSender::Entry(entry(file(1))),
        FromSender::Entry(entry(file(4 * MIB))),
        FromSender::Entry(entry(file(MIB))),
        FromSender::Entry(entry(Node::Directory)),
        LEAVE,
        LEAVE,
        root(2, file(None)),
        FromSender::Listed,
        small(0),
        begin(1, 4 * MIB, 3 * MIB),
        FromSender::Hole(MIB),
        CLOSE,
        begin(3, None, 0),
        FromSender::Data(vec![1]),
        CLOSE,
    ];
    let down = [
        FromReceiver::Want(1),
        resume(3, true),
        basis(&[1, 2], false),
        basis(&[], true),
        FromReceiver::Skip(1),
        FromReceiver::Want(1),
        finished(),
    ];
    // How much of the other side's words each end has heard before each of its own.
    let at_sender = [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 4, 5, 5, 6, 6, 6];
    let at_receiver = [2, 5, 5, 5, 5, 9, 16];
    let (mut sender, mut receiver) = (Exchange::new(3), Exchange::new(3));
    let mut heard = 0;
    for (word, until) in up.iter().zip(at_sender) {
        for word in &down[heard..until] {
            assert_eq!(sender.receiver_says(word), Ok(()));
        }
        heard = until;
        assert_eq!(sender.sender_says(word), Ok(()), "{word:?}");
    }
    assert_eq!(sender.receiver_says(&down[6]), Ok(()));
    heard = 0;
    for (word, until) in down.iter().zip(at_receiver) {
        for word in &up[heard..until] {
            assert_eq!(receiver.sender_says(word), Ok(()), "{word:?}");
        }
        heard = until;
        assert_eq!(receiver.receiver_says(word), Ok(()), "{word:?}");
    }
    assert_eq!(sender, receiver);
    assert!(sender.is_finished());
}

/// Fault 66, P-X17: what a receiver tells of files whose content has not come is bounded over all of
/// them, and content makes room again.
#[test]
fn told_at_a_time() {
    let most = limits::FILE_SEGMENTS as usize - 1;
    let size = limits::FILE_SEGMENTS * limits::FILE_SEGMENT;
    let listing = (0..4).map(|index| Word::from(root(index, file(size))));
    let mut exchange = Exchange::new(4);
    for word in listing {
        say(&mut exchange, &word).unwrap();
    }
    let held = limits::MARKS_HELD as usize;
    for marks in [most, most, held - 2 * most] {
        say(&mut exchange, &resume(marks, false).into()).unwrap();
    }
    refused(&exchange, resume(1, false), "more proofs at a time than are allowed");
    say(&mut exchange, &void(0, true).into()).unwrap();
    say(&mut exchange, &resume(most, false).into()).unwrap();
    refused(&exchange, resume(1, false), "an answer to a file that was not listed");
}
