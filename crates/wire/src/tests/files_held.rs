//! What both ends hold of listed files, and how much that may be (clause P-X17).

use sockeye_limits as limits;

use crate::files::{
    Entry, Exchange, Fault, FromReceiver, FromSender, Meta, Name, Node, Role, Time, Wrong,
};

fn listed(node: Node, attributes: &[usize]) -> FromSender {
    let xattrs = attributes.iter().map(|length| (b"user.a".to_vec(), vec![0; *length])).collect();
    let meta = Meta { xattrs, ..Meta::default() };
    FromSender::Entry(Entry { name: Name::new(b"n").unwrap(), node, meta })
}

fn file(group: Option<u32>) -> Node {
    Node::File { size: Some(1), group }
}

/// A directory is open.
fn begun() -> Exchange {
    let mut exchange = Exchange::new(1);
    let entry =
        Entry { name: Name::new(b"d").unwrap(), node: Node::Directory, meta: Meta::default() };
    exchange.sender_says(&FromSender::Root { index: 0, identity: [0; 16], entry }).unwrap();
    exchange
}

fn guilty(said: Result<(), Wrong>, what: &str) {
    match said {
        Err(Wrong { guilty: Role::Sender, fault: Fault::OutOfOrder(found) }) => {
            assert!(found.contains(what), "{found}");
        }
        other => panic!("{other:?}"),
    }
}

fn small(file: u32) -> FromSender {
    FromSender::Small { file, mtime: Time::default(), hash: [0; 32], data: vec![] }
}

/// P-X17: extended attributes of files that are not settled are bounded in sum; the entry that
/// reaches the bound may go beyond it, and whoever lists one more is at fault.
#[test]
fn attributes() {
    let mut exchange = begun();
    let entry = listed(file(None), &[1 << 20]);
    let fit = limits::ATTRIBUTES_AHEAD.div_ceil(1 << 20);
    for n in 0..fit {
        assert!(exchange.has_room(), "{n}");
        exchange.sender_says(&entry).unwrap();
    }
    assert!(!exchange.has_room());
    guilty(exchange.sender_says(&entry), "extended attributes");
    // Directories, links and pipes have theirs at once; a file without any holds nothing.
    exchange.sender_says(&listed(Node::Directory, &[1 << 20])).unwrap();
    exchange.sender_says(&listed(file(None), &[])).unwrap();
    // Room comes with each one that is settled: skipped, or sent.
    exchange.receiver_says(&FromReceiver::Skip(1)).unwrap();
    exchange.sender_says(&entry).unwrap();
    guilty(exchange.sender_says(&entry), "extended attributes");
    exchange.receiver_says(&FromReceiver::Want(1)).unwrap();
    guilty(exchange.sender_says(&entry), "extended attributes");
    exchange.sender_says(&small(1)).unwrap();
    exchange.sender_says(&entry).unwrap();
}

/// P-X17: short attributes count for the memory that keeps them.
#[test]
fn short_attributes() {
    let mut exchange = begun();
    let each = limits::ATTRIBUTE_COST + 6;
    let entry = listed(file(None), &vec![0; 10_000]);
    let fit = limits::ATTRIBUTES_AHEAD.div_ceil(10_000 * each);
    (0..fit).for_each(|_| exchange.sender_says(&entry).unwrap());
    guilty(exchange.sender_says(&entry), "extended attributes");
}

/// P-X17: names that wait for a file that is not settled are bounded in sum; others do not wait.
#[test]
fn links() {
    let mut exchange = begun();
    exchange.sender_says(&listed(file(Some(7)), &[])).unwrap();
    exchange.sender_says(&listed(file(Some(8)), &[])).unwrap();
    let link = |group| listed(Node::Link(group), &[]);
    for n in 0..limits::LINKS_AHEAD {
        assert!(exchange.has_room(), "{n}");
        exchange.sender_says(&link(7 + (n & 1) as u32)).unwrap();
    }
    assert!(!exchange.has_room());
    for group in [7, 8] {
        guilty(exchange.sender_says(&link(group)), "names of files");
    }
    exchange.receiver_says(&FromReceiver::Want(2)).unwrap();
    exchange.sender_says(&small(0)).unwrap();
    assert!(exchange.has_room());
    exchange.sender_says(&link(8)).unwrap();
    let names = 3 * limits::LINKS_AHEAD;
    (0..names).for_each(|_| exchange.sender_says(&link(7)).unwrap());
    guilty(exchange.sender_says(&listed(file(Some(8)), &[])), "second time");
}

/// P-X6, P-X17, fault 66: the text of a `.gitignore` comes at the beginning of its directory, once, and
/// nowhere else.
#[test]
fn ignores_have_their_place() {
    let ignore = FromSender::Ignore(b"x".to_vec());
    let leave = FromSender::Leave { complete: true };
    let mut exchange = Exchange::new(2);
    guilty(exchange.sender_says(&ignore), "beginning of a directory");
    let mut exchange = begun();
    let trouble = FromSender::Trouble { path: Vec::new(), text: String::new() };
    exchange.sender_says(&trouble).unwrap();
    exchange.sender_says(&ignore).unwrap();
    guilty(exchange.sender_says(&ignore), "beginning of a directory");
    exchange.sender_says(&listed(Node::Directory, &[])).unwrap();
    exchange.sender_says(&listed(file(None), &[])).unwrap();
    guilty(exchange.sender_says(&ignore), "beginning of a directory");
    exchange.sender_says(&leave).unwrap();
    guilty(exchange.sender_says(&ignore), "beginning of a directory");
}

/// P-X17, fault 66: what both ends hold of `.gitignore` files is bounded: of directories in one another,
/// and with that of directories whose files are not settled. There is room again when they are.
#[test]
fn ignores() {
    let ignore = FromSender::Ignore(vec![b'x'; limits::IGNORE_FILE]);
    let leave = FromSender::Leave { complete: true };
    let directory = || listed(Node::Directory, &[]);
    let mut exchange = begun();
    for _ in 0..limits::IGNORE_OPEN / limits::IGNORE_FILE {
        exchange.sender_says(&directory()).unwrap();
        exchange.sender_says(&ignore).unwrap();
    }
    exchange.sender_says(&directory()).unwrap();
    guilty(exchange.sender_says(&ignore), ".gitignore");
    // Nothing is held of directories that have no files, however many they are.
    (0..2).for_each(|_| exchange.sender_says(&leave).unwrap());
    for _ in 0..100 {
        exchange.sender_says(&directory()).unwrap();
        exchange.sender_says(&ignore).unwrap();
        exchange.sender_says(&leave).unwrap();
    }
    let more = (limits::IGNORE_AHEAD / limits::IGNORE_FILE) - 1;
    for n in 0..more {
        assert!(exchange.has_room(), "{n}");
        exchange.sender_says(&directory()).unwrap();
        exchange.sender_says(&ignore).unwrap();
        exchange.sender_says(&listed(file(None), &[])).unwrap();
        exchange.sender_says(&leave).unwrap();
    }
    assert!(!exchange.has_room());
    exchange.sender_says(&directory()).unwrap();
    guilty(exchange.sender_says(&ignore), ".gitignore");
    // They are settled in their order: skipped, or sent.
    exchange.receiver_says(&FromReceiver::Want(1)).unwrap();
    exchange.receiver_says(&FromReceiver::Skip(1)).unwrap();
    assert!(!exchange.has_room());
    exchange.sender_says(&small(0)).unwrap();
    assert!(exchange.has_room());
    exchange.sender_says(&ignore).unwrap();
}
