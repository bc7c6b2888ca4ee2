//! Every message of a transfer arrives as it was said, however the stream is cut (clauses P-X3 to
//! P-X8).

use proptest::array::uniform32;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use sockeye_limits as limits;

use crate::files::{
    Chunk, Entry, Frames, FromReceiver, FromSender, Meta, Name, Node, Note, Owner, Resume, Speech,
    Tally, Time, codec,
};
use crate::fuzzing;
use crate::fuzzing::{Frame, cut};

fn name() -> impl Strategy<Value = Name> {
    let names = prop_oneof![vec(any::<u8>(), 1..30), vec(any::<u8>(), 255)];
    names.prop_filter_map("no name", |bytes| Name::new(&bytes))
}

fn time() -> impl Strategy<Value = Time> {
    let parts = (any::<i64>(), 0u32..1_000_000_000);
    parts.prop_map(|(seconds, nanoseconds)| Time { seconds, nanoseconds })
}

fn length() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(i64::MAX as u64), 0..=i64::MAX as u64]
}

fn node() -> impl Strategy<Value = Node> {
    prop_oneof![
        (option::of(length()), any::<Option<u32>>())
            .prop_map(|(size, group)| Node::File { size, group }),
        Just(Node::Directory),
        (prop_oneof![vec(1u8..=255, 1..50), vec(1u8..=255, 4095)], any::<Option<u32>>())
            .prop_map(|(target, group)| Node::Symlink { target, group }),
        any::<u32>().prop_map(Node::Link),
        any::<Option<u32>>().prop_map(|group| Node::Fifo { group }),
    ]
}

prop_compose! {
    fn entry()(
        name in name(),
        node in node(),
        mode in 0u16..=0o7777,
        mtime in time(),
        owner: Option<[u32; 2]>,
        xattrs in vec((vec(1u8..=255, 1..=255), vec(any::<u8>(), 0..60)), 0..4),
        whole: bool,
    ) -> Entry {
        let owner = owner.map(|[uid, gid]| Owner { uid, gid });
        Entry { name, node, meta: Meta { mode, mtime, owner, xattrs, whole } }
    }
}

/// Bytes of any length that a frame may have, the longest included.
fn bytes(least: usize, most: usize) -> impl Strategy<Value = Vec<u8>> {
    let lengths = prop_oneof![
        6 => least..=200,
        2 => 15_000usize..=17_000,
        1 => most - 1..=most,
    ];
    (lengths, any::<u8>()).prop_map(|(length, seed)| {
        (0..length).map(|at| seed.wrapping_add((at / 7) as u8 ^ at as u8)).collect()
    })
}

fn sender() -> impl Strategy<Value = FromSender> {
    use FromSender::*;
    prop_oneof![
        (any::<u32>(), any::<[u8; 16]>(), entry()).prop_map(|(index, identity, entry)| Root {
            index,
            identity,
            entry
        }),
        entry().prop_map(Entry),
        any::<bool>().prop_map(|complete| Leave { complete }),
        (bytes(0, 4096), "\\PC{0,500}").prop_map(|(mut path, text)| {
            path.truncate(4096);
            Trouble { path, text }
        }),
        bytes(1, limits::IGNORE_FILE).prop_map(Ignore),
        Just(Listed),
        (any::<u32>(), time(), uniform32(any::<u8>()), bytes(0, limits::FILE_SMALL))
            .prop_map(|(file, mtime, hash, data)| Small { file, mtime, hash, data }),
        (any::<u32>(), time(), option::of(length()), any::<u64>())
            .prop_map(|(file, mtime, size, from)| Begin { file, mtime, size, from }),
        bytes(1, limits::FRAME_DATA_MAX).prop_map(Data),
        (1..=limits::FRAME_DATA_MAX as u32, bytes(1, limits::FRAME_DATA_MAX))
            .prop_map(|(length, bytes)| Packed { length, bytes }),
        (1..=u64::MAX).prop_map(Hole),
        (any::<u64>(), 1..=u64::MAX).prop_map(|(offset, length)| Copy { offset, length }),
        uniform32(any::<u8>()).prop_map(Mark),
        uniform32(any::<u8>()).prop_map(|hash| Close { hash }),
        (any::<u32>(), any::<bool>(), "\\PC{0,500}").prop_map(|(file, again, text)| Void {
            file,
            again,
            text
        }),
    ]
}

fn chunks(most: usize) -> impl Strategy<Value = Vec<Chunk>> {
    vec((1..=u32::MAX, any::<[u8; 16]>()), 0..most).prop_map(|chunks| {
        chunks.into_iter().map(|(length, hash)| Chunk { length, hash }).collect()
    })
}

fn receiver() -> impl Strategy<Value = FromReceiver> {
    use FromReceiver::*;
    prop_oneof![
        (1..=u32::MAX).prop_map(Skip),
        (1..=u32::MAX).prop_map(Want),
        (vec(uniform32(any::<u8>()), 0..600), any::<bool>())
            .prop_map(|(marks, basis)| Resume(self::Resume { marks, basis })),
        (chunks(900), any::<bool>())
            .prop_map(|(chunks, last)| Basis { last: last || chunks.is_empty(), chunks }),
        (vec(any::<u8>(), 0..=4096), "\\PC{0,500}").prop_map(|(path, text)| Trouble { path, text }),
        (0usize..6, vec(any::<u8>(), 0..=4096)).prop_map(|(note, path)| {
            use self::Note::{Removed, Updated, WouldMake, WouldRemove, WouldStore, WouldUpdate};
            let all = [Removed, WouldStore, WouldRemove, Updated, WouldUpdate, WouldMake];
            Note { note: all[note], path }
        }),
        proptest::option::of(any::<u32>()).prop_map(Enough),
        (any::<[u64; 5]>(), any::<[u64; 5]>()).prop_map(
            |(
                [stored, skipped, made, removed, failed],
                [data, reused, resumed, compared, updated],
            )| {
                let files = Tally { stored, skipped, made, removed, failed, ..Tally::default() };
                Finished(Tally { data, reused, resumed, compared, updated, ..files })
            }
        ),
    ]
}

fn arrive<M: Speech + Frame + PartialEq + std::fmt::Debug>(messages: &[M], seed: u64) {
    let mut stream = Vec::new();
    messages.iter().for_each(|message| message.put(&mut stream));
    let (heard, end) = cut::<M>(&stream, 0, seed);
    assert!(heard == messages, "other messages");
    assert_eq!(end, Ok(()));
    // Where it went on from a connection that had read some of it already.
    let (heard, end) = cut::<M>(&stream, stream.len() / 3, seed);
    assert!(heard == messages, "other messages behind a rest");
    assert_eq!(end, Ok(()));
}

proptest! {
    /// F2, P-X3 to P-X8: all that a sender may say, under every slicing.
    #[test]
    fn senders(messages in vec(sender(), 1..12), seed: u64) {
        arrive(&messages, seed);
    }

    /// F4, P-X3 to P-X8: all that a receiver may say, under every slicing.
    #[test]
    fn receivers(messages in vec(receiver(), 1..12), seed: u64) {
        arrive(&messages, seed);
    }

    /// Q4, fault 66: random bytes never panic, take no memory beyond the limits, and are the same
    /// under every slicing.
    #[test]
    fn random_bytes(bytes in vec(any::<u8>(), 0..400)) {
        fuzzing::transfer_sender_bytes(&bytes);
        fuzzing::transfer_receiver_bytes(&bytes);
    }

    /// Q4, fault 66: right kinds with any payload of a right length.
    #[test]
    fn random_frames(frames in vec((any::<u8>(), vec(0u8..6, 0..70)), 0..20)) {
        for (least, body) in [
            (0x41, fuzzing::transfer_sender_bytes as fn(&[u8])),
            (0x61, fuzzing::transfer_receiver_bytes),
        ] {
            let mut bytes = vec![0];
            for (kind, payload) in &frames {
                bytes.extend(super::frame(least + kind % 14, payload));
            }
            body(&bytes);
        }
    }

    /// Fault 66, P-X10 to P-X15: what one end may say, the other may hear, whatever crosses it.
    #[test]
    fn random_sayings(calls in vec(any::<u8>(), 0..600)) {
        fuzzing::transfer_operations(&calls);
    }
}

/// P-X6: the headers that are written before their content are those of the whole messages.
#[test]
fn headers_in_front() {
    let (mut whole, mut parts) = (Vec::new(), Vec::new());
    FromSender::Data(b"content".to_vec()).put(&mut whole);
    parts.extend(codec::data_header(7));
    parts.extend(b"content");
    assert_eq!(whole, parts);

    let mtime = Time { seconds: -1, nanoseconds: 5 };
    let data = b"whole content".to_vec();
    let (mut whole, mut parts) = (Vec::new(), Vec::new());
    FromSender::put_small(3, mtime, &[9; 32], data.len(), &mut parts);
    parts.extend(&data);
    FromSender::Small { file: 3, mtime, hash: [9; 32], data }.put(&mut whole);
    assert_eq!(whole, parts);
}

/// C5, P-X4: what is for people is cut where it is too long: a path loses its beginning, a text its
/// end, between two characters.
#[test]
fn long_words() {
    let path = [vec![b'a'; 5000], b"/end".to_vec()].concat();
    let text = "é".repeat(1500);
    let mut stream = Vec::new();
    FromSender::Trouble { path: path.clone(), text: text.clone() }.put(&mut stream);
    let (heard, _) = cut::<FromSender>(&stream, 0, 1);
    let [FromSender::Trouble { path: shown, text: words }] = &heard[..] else {
        panic!("{heard:?}")
    };
    assert!(path.ends_with(shown) && shown.len() == 4096);
    assert!(text.starts_with(words) && words.len() == limits::FAILURE_TEXT);
}

/// P-X5: the longest entry arrives, as a source too; with one byte more its header is refused.
#[test]
fn longest_entries() {
    let entry = |more: usize| {
        let fixed = 4 + 1 + 1 + 2 + 12 + 1 + 4 + 4 + 1 + 4;
        let value = vec![7; limits::ENTRY_BYTES - fixed + more];
        let meta = Meta { xattrs: vec![(b"a".to_vec(), value)], ..Meta::default() };
        Entry { name: Name::new(b"x").unwrap(), node: Node::Directory, meta }
    };
    let root = |more| FromSender::Root { index: 0, identity: [1; 16], entry: entry(more) };
    arrive(&[FromSender::Entry(entry(0)), root(0), FromSender::Listed], 3);
    for message in [FromSender::Entry(entry(1)), root(1)] {
        let mut stream = Vec::new();
        message.put(&mut stream);
        let (heard, end) = cut::<FromSender>(&stream[..5], 0, 1);
        assert!(heard.is_empty() && end.is_err(), "{end:?}");
    }
}

/// P-X7, P-X9: the proofs of the longest file fit one frame, and so do the most chunks.
#[test]
fn longest_answers() {
    let marks = vec![[1; 32]; limits::FILE_SEGMENTS as usize];
    let chunks = vec![Chunk { length: 1, hash: [2; 16] }; limits::BASIS_CHUNKS];
    let resume = FromReceiver::Resume(Resume { marks, basis: true });
    arrive(&[resume, FromReceiver::Basis { chunks, last: true }], 4);
}

/// The payload of one message of content, which comes in small pieces.
fn payload(frames: &mut Frames<FromSender>, data: &[u8]) -> Vec<u8> {
    let mut stream = Vec::new();
    FromSender::Data(data.to_vec()).put(&mut stream);
    for piece in stream.chunks(10_000) {
        assert_eq!(frames.message(), Ok(None));
        let space = frames.space();
        space[..piece.len()].copy_from_slice(piece);
        frames.filled(piece.len());
    }
    match frames.message() {
        Ok(Some(FromSender::Data(data))) => data,
        other => panic!("{other:?}"),
    }
}

/// P8, P11: the memory of a payload takes the next one, whole and with nothing of the last; it is kept
/// for long ones alone, and for no more of them than may wait.
#[test]
fn memory_is_used_again() {
    const MOST: usize = limits::FRAME_DATA_MAX;
    let mut frames = Frames::new(Vec::new());
    let first = payload(&mut frames, &[1; MOST]);
    let place = first.as_ptr();
    frames.reuse(first);
    let short = payload(&mut frames, &[2; 20_000]);
    assert_eq!(short, [2; 20_000]);
    assert_ne!(short.as_ptr(), place, "a short one holds the memory of a long one");
    let held = frames.capacity();
    frames.reuse(short);
    assert_eq!(frames.capacity(), held);
    for length in [MOST - 7, MOST / 2, MOST] {
        let data = vec![length as u8 | 4; length];
        let next = payload(&mut frames, &data);
        assert!(next == data, "{length} bytes are not those that came");
        assert_eq!((next.as_ptr(), next.capacity()), (place, MOST));
        frames.reuse(next);
    }
    let more = (0..2 * limits::PAYLOADS_SPARE).map(|_| vec![0; MOST]);
    more.for_each(|payload| frames.reuse(payload));
    assert!(frames.capacity() <= held + limits::SENDER_AHEAD);
}
