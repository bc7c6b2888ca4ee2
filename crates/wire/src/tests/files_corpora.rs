//! Seeds of the fuzz targets of transfers.

use super::*;
use crate::files::{
    Chunk, Entry, FromReceiver, FromSender, Meta, Name, Node, Note, Owner, Resume, Tally, Time,
};
use crate::fuzzing::Frame;

type Seeds = Vec<(&'static str, Vec<u8>)>;

/// Frames behind a byte that decides how the other side behaves.
fn seed(choice: u8, messages: &[impl Frame]) -> Vec<u8> {
    let mut bytes = vec![choice];
    messages.iter().for_each(|message| message.put(&mut bytes));
    bytes
}

fn entry(name: &[u8], node: Node) -> Entry {
    Entry { name: Name::new(name).unwrap(), node, meta: Meta::default() }
}

fn root(node: Node) -> FromSender {
    FromSender::Root { index: 0, identity: [7; 16], entry: entry(b"r", node) }
}

fn file(size: Option<u64>) -> Node {
    Node::File { size, group: None }
}

fn full_entry() -> FromSender {
    let meta = Meta {
        mode: 0o4755,
        mtime: Time { seconds: -1, nanoseconds: 999_999_999 },
        owner: Some(Owner { uid: 1000, gid: u32::MAX }),
        xattrs: vec![(b"user.a".to_vec(), b"1".to_vec()), (b"user.b".to_vec(), vec![])],
        whole: true,
    };
    let node = Node::File { size: Some(3), group: Some(9) };
    FromSender::Entry(Entry { name: Name::new(b"\xff\n").unwrap(), node, meta })
}

pub(super) fn sender_seeds() -> Seeds {
    use FromSender::{
        Close, Copy, Data, Entry, Hole, Ignore, Leave, Listed, Mark, Packed, Trouble, Void,
    };
    let (mtime, hash) = (Time::default(), [1; 32]);
    let begin = |size: u64, from| FromSender::Begin { file: 0, mtime, size: Some(size), from };
    let small = FromSender::Small { file: 0, mtime, hash, data: b"content".to_vec() };
    let void = |again| Void { file: 0, again, text: "it changed".to_owned() };
    let mib = 1 << 20;
    let tree = [
        root(Node::Directory),
        full_entry(),
        Entry(entry(b"l", Node::Symlink { target: b"../x".to_vec(), group: None })),
        Entry(entry(b"h", Node::Link(9))),
        Entry(entry(b"p", Node::Fifo { group: None })),
        Entry(entry(b"k", Node::Symlink { target: b"x".to_vec(), group: Some(10) })),
        Entry(entry(b"q", Node::Fifo { group: Some(11) })),
        Entry(entry(b"d", Node::Directory)),
        Trouble { path: b"r/d".to_vec(), text: "no".to_owned() },
        Leave { complete: false },
        Leave { complete: true },
        Listed,
    ];
    let name = |name: &[u8]| {
        let mut bytes = seed(
            8,
            &[
                root(Node::Directory),
                Entry(entry(&vec![b'n'; name.len()], Node::Fifo { group: None })),
            ],
        );
        let at = bytes.len() - name.len() - 20;
        bytes[at..at + name.len()].copy_from_slice(name);
        bytes
    };
    let one = root(file(Some(2 * mib + 1)));
    let whole = [one.clone(), begin(2 * mib + 1, 0), Hole(mib), Mark(hash), Data(vec![5; 300])];
    let cut = seed(8, &whole);
    vec![
        ("seed-tree", seed(0, &tree)),
        ("seed-tree-wanted", seed(8, &[&tree[..], std::slice::from_ref(&small)].concat())),
        ("seed-name-above", name(b"../x")),
        ("seed-name-root", name(b"/x")),
        ("seed-name-dots", name(b"..")),
        ("seed-small", seed(8, &[root(file(Some(7))), small.clone(), Listed])),
        ("seed-large", seed(8, &whole)),
        ("seed-long-frame", seed(8, &[one.clone(), begin(mib, 0), Data(vec![3; 20_000])])),
        ("seed-ignore", seed(8, &[root(Node::Directory), Ignore(b"/build/\n".to_vec()), Listed])),
        ("seed-cut", cut[..cut.len() - 100].to_vec()),
        (
            "seed-resumed",
            seed(4, &[one.clone(), begin(2 * mib + 1, 2 * mib), Hole(1), Close { hash }]),
        ),
        ("seed-resumed-beyond", seed(4, &[one.clone(), begin(8 * mib, 4 * mib)])),
        (
            "seed-packed",
            seed(8, &[one.clone(), begin(9, 0), Packed { length: 9, bytes: vec![40] }]),
        ),
        ("seed-copy", seed(4, &[one.clone(), begin(9, 0), Copy { offset: 0, length: 9 }])),
        ("seed-again", seed(8, &[one.clone(), void(true), begin(1, 0), void(true)])),
        ("seed-void", seed(8, &[one, void(false), Listed])),
        ("seed-stream", seed(8, &[root(file(None)), Listed, small])),
        ("seed-not-wanted", seed(0, &[root(file(Some(1))), begin(1, 0)])),
        ("seed-length-max", [&[0, 0x48][..], &[0xff; 4]].concat()),
        (
            "seed-huge-file",
            seed(8, &[root(file(Some(i64::MAX as u64))), begin(i64::MAX as u64, 0)]),
        ),
    ]
}

pub(super) fn receiver_seeds() -> Seeds {
    use FromReceiver::{Basis, Enough, Finished, Skip, Trouble, Want};
    let resume =
        |marks: usize, basis| FromReceiver::Resume(Resume { marks: vec![[3; 32]; marks], basis });
    let basis =
        |count, last| Basis { chunks: vec![Chunk { length: 9, hash: [1; 16] }; count], last };
    let trouble = Trouble { path: b"a".to_vec(), text: "é".to_owned() };
    let note = |note| FromReceiver::Note { note, path: b"a\x1b".to_vec() };
    let end = Finished(Tally { stored: 1, resumed: u64::MAX, ..Tally::default() });
    let (held, cut) = (0x20, seed(3, &[Skip(1), resume(1, true)]));
    vec![
        ("seed-skip", seed(3, &[Skip(3), end.clone()])),
        ("seed-want", seed(3, &[Want(1), Want(2), end.clone()])),
        ("seed-want-too-many", seed(3, &[Want(4)])),
        ("seed-want-none", seed(3, &[Want(0)])),
        ("seed-resume", seed(3, &[Skip(2), resume(2, false), end.clone()])),
        ("seed-resume-all", seed(3, &[Skip(2), resume(3, false)])),
        ("seed-resume-stream", seed(5, &[Skip(4), resume(0, true)])),
        (
            "seed-basis",
            seed(3, &[Skip(2), resume(0, true), basis(3, false), basis(0, true), end.clone()]),
        ),
        ("seed-basis-open", seed(3, &[resume(0, true), Want(1)])),
        ("seed-basis-long", seed(3 | held, &[Skip(2), resume(1, true), basis(900, true)])),
        ("seed-basis-empty", [&seed(3, &[resume(0, true)])[..], &frame(0x64, &[0; 5])].concat()),
        ("seed-held", seed(4 | held, &[Want(1), Skip(1), Want(2), end.clone()])),
        ("seed-words", seed(1, &[trouble, note(Note::Removed), note(Note::WouldStore)])),
        ("seed-would-remove", seed(0, &[note(Note::WouldRemove), end.clone(), end.clone()])),
        (
            "seed-updates",
            seed(1, &[note(Note::Updated), note(Note::WouldUpdate), note(Note::WouldMake)]),
        ),
        ("seed-enough", seed(3 | held, &[Want(1), Enough(Some(0)), Enough(None), Skip(2)])),
        ("seed-enough-too-early", seed(3, &[Enough(Some(0))])),
        ("seed-enough-and-more", seed(3, &[Enough(None), Skip(1), Want(1)])),
        ("seed-enough-cut", [&[3][..], &frame(0x68, &[0, 0])].concat()),
        ("seed-finished-too-early", seed(0x11, &[Want(1), end])),
        ("seed-count-max", [&[3][..], &frame(0x63, &[0, 0xff, 0xff, 0xff, 0xff])].concat()),
        ("seed-length-max", [&[3, 0x63][..], &[0xff; 4]].concat()),
        ("seed-cut", cut[..cut.len() - 9].to_vec()),
    ]
}

/// A saying of [`fuzzing::transfer_operations`](crate::fuzzing::transfer_operations): its number, and
/// its value from 0 to 7.
fn say(number: u8, value: u8) -> u8 {
    number | value << 5
}

pub(super) fn saying_seeds() -> Seeds {
    let all: Vec<u8> = (0..=255).collect();
    let (settle, listed, end) = (say(30, 0), say(5, 0), say(23, 0));
    let (want, skip, close, mark) = (say(18, 1), say(17, 1), say(13, 0), say(12, 0));
    let tree =
        [say(1, 0), say(2, 1), say(2, 3), say(3, 0), say(2, 4), say(4, 0), say(4, 0), listed];
    let mib = say(10, 3);
    let large = [say(0, 4), want, settle, say(8, 0), mib, mark, mib, mark, mib, close];
    let seed = |calls: &[&[u8]]| calls.concat();
    vec![
        ("seed-nothing", vec![]),
        ("seed-every-saying", all.clone()),
        ("seed-every-saying-backward", all.into_iter().rev().collect()),
        ("seed-tree", seed(&[&tree, &[settle, say(17, 3), end, settle]])),
        (
            "seed-tree-wanted",
            seed(&[&tree, &[settle, say(18, 3), settle], &[say(7, 0); 3], &[settle, end]]),
        ),
        ("seed-large", seed(&[&large, &[listed, settle, end]])),
        (
            "seed-resumed",
            vec![say(0, 4), settle, say(19, 4), settle, say(8, 2), mib, close, settle],
        ),
        (
            "seed-basis",
            vec![
                say(0, 4),
                settle,
                say(19, 1),
                say(20, 6),
                say(20, 3),
                settle,
                say(8, 0),
                say(11, 0),
                settle,
            ],
        ),
        (
            "seed-basis-behind",
            vec![
                say(0, 1),
                say(2, 4),
                say(0, 4),
                settle,
                want,
                say(19, 1),
                say(27, 7),
                say(7, 0),
                say(7, 0),
                say(24, 7),
                say(20, 1),
                settle,
                say(7, 0),
            ],
        ),
        (
            "seed-again",
            seed(&[&large[..5], &[say(14, 0), say(8, 0), say(15, 0), settle, listed, settle, end]]),
        ),
        (
            "seed-stream",
            vec![say(0, 7), settle, want, settle, say(8, 7), mib, mark, close, listed, settle, end],
        ),
        (
            "seed-crossing-trouble",
            vec![say(0, 1), listed, say(24, 7), skip, end, say(6, 0), settle],
        ),
        (
            "seed-ignore",
            seed(&[
                &[say(1, 0), say(6, 1), say(6, 1), say(2, 1), say(3, 0), say(6, 1), say(3, 0)],
                &[say(6, 1), say(4, 0), say(4, 0), say(2, 1), settle, skip, say(4, 0), listed],
                &[settle, skip, settle, end, settle],
            ]),
        ),
        ("seed-trickle", seed(&[&tree, &[say(24, 0), skip, say(27, 0)].repeat(9)])),
        (
            "seed-huge",
            vec![say(0, 6), settle, say(19, 6), settle, say(8, 3), say(10, 6), mark, settle],
        ),
    ]
}
