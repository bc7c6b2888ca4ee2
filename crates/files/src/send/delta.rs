//! Sends what is new in a file, and for the rest where the receiver has it in its older one.

use std::collections::HashMap;
use std::fs::File;

use sockeye_wire::files::Chunk;

use super::content::{Job, Outcome, failed, is_still};
use super::flow::Flow;
use super::state::State;
use crate::chunk::{Chunks, chunk};
use crate::engine::Stopped;

/// Where the chunks of an older file are.
struct Index {
    /// By hash: number of the first chunk with it.
    numbers: HashMap<[u8; 16], u32>,
    /// Offset and length of each, by number.
    places: Vec<(u64, u32)>,
    hashes: Vec<[u8; 16]>,
    /// The number behind the one that was found last.
    next: usize,
}

/// Sends it, which was this `before`. It is cut as both sides would cut a file of the length that was
/// listed. With `checksum` the receiver may have the same.
pub(super) fn send(
    job: &Job<'_>,
    basis: &[Chunk],
    file: &File,
    before: State,
    mut flow: Flow<'_, '_>,
    checksum: bool,
) -> Result<Outcome, Stopped> {
    let mut index = Index::new(basis);
    let mut same = checksum && before == job.listed && index.length() == before.size;
    let mut chunks = Chunks::new(file, job.listed.size);
    loop {
        if flow.is_enough()? {
            return Ok(Outcome::Enough);
        }
        let bytes = match chunks.next() {
            Ok(Some(bytes)) => bytes,
            Ok(None) => break,
            Err(error) => return Ok(failed("cannot be read", &error)),
        };
        let length = bytes.len() as u64;
        if flow.at() + length > before.size {
            return Ok(Outcome::Changed);
        }
        let chunk = chunk(bytes);
        same = same && index.is_here(flow.at(), &chunk);
        if is_zero(bytes) {
            flow.hole(length)?;
        } else if let Some(offset) = index.find(&chunk) {
            flow.copy(offset, bytes)?;
        } else {
            flow.data(bytes)?;
        }
    }
    if flow.at() != before.size || !is_still(file, before) {
        return Ok(Outcome::Changed);
    }
    let sent = flow.close()?;
    Ok(if same { Outcome::Same } else { Outcome::Sent(sent) })
}

/// Zeros are holes at the other side, whatever they are here: an older file's copy would fill them.
fn is_zero(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0) && bytes.last() == Some(&0) && bytes.iter().all(|byte| *byte == 0)
}

impl Index {
    fn new(basis: &[Chunk]) -> Index {
        let mut numbers = HashMap::with_capacity(basis.len());
        let mut places = Vec::with_capacity(basis.len());
        let mut hashes = Vec::with_capacity(basis.len());
        let mut offset = 0_u64;
        // A file has no more chunks than four bytes count: the exchange bounds them.
        for (number, Chunk { length, hash }) in (0_u32..).zip(basis) {
            numbers.entry(*hash).or_insert(number);
            places.push((offset, *length));
            hashes.push(*hash);
            offset = offset.saturating_add(u64::from(*length));
        }
        Index { numbers, places, hashes, next: 0 }
    }

    /// How long the older file is.
    fn length(&self) -> u64 {
        self.places.last().map_or(0, |(offset, length)| offset.saturating_add((*length).into()))
    }

    /// True where the older file has this chunk at this place; then it is the next to be found.
    fn is_here(&mut self, at: u64, chunk: &Chunk) -> bool {
        let found = self.places.binary_search(&(at, chunk.length)).ok();
        let found = found.filter(|number| self.hashes.get(*number) == Some(&chunk.hash));
        self.next = found.unwrap_or(self.next);
        found.is_some()
    }

    /// Where the older file has this chunk: best behind the last one, which makes one copy of both.
    fn find(&mut self, chunk: &Chunk) -> Option<u64> {
        let number = if self.hashes.get(self.next) == Some(&chunk.hash) {
            self.next
        } else {
            *self.numbers.get(&chunk.hash)? as usize
        };
        let (offset, length) = *self.places.get(number)?;
        if length != chunk.length {
            return None;
        }
        self.next = number + 1;
        Some(offset)
    }
}
