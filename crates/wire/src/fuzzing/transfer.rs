//! Any bytes for either end of a transfer: no panic, no memory beyond the limits, the same for every
//! slicing.

use std::fmt::Debug;

use sockeye_limits as limits;

use crate::files::{
    Exchange, Frames, FromReceiver, FromSender, Node, Resume, Speech, Tally, Wrong,
};
use crate::frame::HEADER;
use crate::pair::Dice;

/// What frames may hold for what came: the longest payload beside the buffer of short ones.
const MEMORY: usize = limits::ENTRY_BYTES + 64 + 2 * limits::WIRE_SPACE;

/// A message that can be written.
pub(crate) trait Frame {
    /// Appends it as a frame.
    fn put(&self, out: &mut Vec<u8>);
}

impl Frame for FromSender {
    fn put(&self, out: &mut Vec<u8>) {
        FromSender::put(self, out);
    }
}

impl Frame for FromReceiver {
    fn put(&self, out: &mut Vec<u8>) {
        FromReceiver::put(self, out);
    }
}

/// What a stream comes to in slices that a seed decides, where its first `rest` bytes had come
/// already.
pub(crate) fn cut<M: Speech>(stream: &[u8], rest: usize, seed: u64) -> (Vec<M>, Result<(), Wrong>) {
    let (first, mut stream) = stream.split_at(rest);
    let mut frames = Frames::new(first.to_vec());
    let (mut heard, mut dice) = (Vec::new(), Dice::new(seed));
    loop {
        loop {
            let whole = frames.has_whole();
            match frames.message() {
                Ok(Some(message)) => {
                    assert!(whole, "a message out of nothing");
                    heard.push(message);
                }
                Ok(None) => break,
                Err(wrong) => {
                    assert!(whole && frames.has_whole(), "an error out of nothing");
                    assert_eq!(frames.message().err(), Some(wrong), "an error is forgotten");
                    assert_eq!(frames.end(), Err(wrong), "an error is forgotten");
                    return (heard, Err(wrong));
                }
            }
        }
        assert!(!frames.has_whole(), "a message that was not taken");
        assert!(frames.capacity() <= MEMORY + rest, "{} bytes held", frames.capacity());
        assert_eq!(frames.has_begun(), frames.end().is_err());
        if stream.is_empty() {
            return (heard, frames.end());
        }
        let space = frames.space();
        let count = dice.slice().min(space.len()).min(stream.len());
        assert!(count > 0, "no space");
        let (now, later) = stream.split_at(count);
        space[..count].copy_from_slice(now);
        frames.filled(count);
        stream = later;
    }
}

/// The same in two slicings; what was heard can be said again, to the byte.
fn hear<M: Speech + Frame + PartialEq + Debug>(data: &[u8]) -> Vec<M> {
    let (first, end) = cut::<M>(data, 0, 1);
    let rest = data.len() / 2;
    assert_eq!((&first, end), {
        let (second, end) = cut::<M>(data, rest, data.len() as u64);
        assert_eq!(first, second, "two slicings differ");
        (&first, end)
    });
    let mut again = Vec::new();
    first.iter().for_each(|message| message.put(&mut again));
    assert!(data.starts_with(&again), "it is not said as it was heard");
    if end.is_ok() {
        assert_eq!(again.len(), data.len(), "bytes that were nothing");
    }
    assert!(first.len() <= data.len() / HEADER);
    first
}

/// Any bytes come from a sender to a receiver that answers. The first byte decides how.
pub fn transfer_sender_bytes(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    let mut exchange = Exchange::new(u32::from(choice & 3) + 1);
    let mut files = Vec::new();
    let mut told = 0;
    for message in hear::<FromSender>(rest) {
        let before = exchange.clone();
        if exchange.sender_says(&message).is_err() {
            assert_eq!(exchange, before, "changed by what was refused");
            return;
        }
        bounded(&exchange);
        if let FromSender::Root { entry, .. } | FromSender::Entry(entry) = &message
            && let Node::File { size, .. } = entry.node
        {
            files.push(size);
        }
        if files.len() > usize::from(choice >> 6) || matches!(message, FromSender::Listed) {
            for size in files.drain(..) {
                let answered = exchange.receiver_says(&answer(choice, size, &mut told));
                assert_eq!(answered, Ok(()));
            }
        }
        let settled = exchange.is_settled();
        let finished = exchange.clone().receiver_says(&FromReceiver::Finished(Tally::default()));
        assert_eq!(finished.is_ok(), settled, "finished too early, or never");
    }
}

/// `told` are the proofs of all answers so far: an honest receiver tells no more than it may hold.
fn answer(choice: u8, size: Option<u64>, told: &mut u64) -> FromReceiver {
    // As much as there can be of a file.
    let most = size.map_or(0, |size| size.saturating_sub(1) / crate::files::segment(size));
    match choice >> 2 & 3 {
        0 => FromReceiver::Skip(1),
        1 if size.is_some() && *told + most <= limits::MARKS_HELD => {
            *told += most;
            let marks = vec![[0; 32]; usize::try_from(most).unwrap_or(usize::MAX)];
            FromReceiver::Resume(Resume { marks, basis: false })
        }
        _ => FromReceiver::Want(1),
    }
}

/// Any bytes come from a receiver to a sender that has listed a few files. The first byte decides
/// which, and whether it sends what is wanted at once.
pub fn transfer_receiver_bytes(data: &[u8]) {
    let Some((&choice, rest)) = data.split_first() else { return };
    let mut exchange = Exchange::new(limits::TRANSFER_SOURCES as u32);
    let said = |message: FromSender, exchange: &mut Exchange| {
        assert_eq!(exchange.sender_says(&message), Ok(()));
    };
    for index in 0..u32::from(choice & 15) {
        let size = [Some(0), Some(1), Some(3 << 20), Some(i64::MAX as u64), None];
        said(super::sayings::root(index, size[index as usize % 5]), &mut exchange);
    }
    if choice & 16 == 0 {
        said(FromSender::Listed, &mut exchange);
    }
    for message in hear::<FromReceiver>(rest) {
        let before = exchange.clone();
        if exchange.receiver_says(&message).is_err() {
            assert_eq!(exchange, before, "changed by what was refused");
            return;
        }
        bounded(&exchange);
        while choice & 32 == 0
            && let Some(file) = exchange.next_wanted()
        {
            said(super::sayings::small(file), &mut exchange);
        }
    }
}

fn bounded(exchange: &Exchange) {
    assert!(exchange.pending() <= limits::FILES_AHEAD, "{} files", exchange.pending());
    assert!(!exchange.is_finished() || exchange.is_settled());
}
