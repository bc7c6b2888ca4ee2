//! Sends a file in pieces as it is, from where the receiver has it, with its holes.

use std::fs::File;

use rustix::fs::{SeekFrom, Stat, seek};
use rustix::io::Errno;
use sockeye_limits as limits;
use sockeye_wire::files::{Hash, segment};

use super::content::{Job, Outcome, failed, is_still};
use super::flow::Flow;
use super::state::State;
use crate::engine::Stopped;
use crate::hash::Prover;

/// Sends it; `stat` is what it was `before`.
pub(super) fn send(
    file: &File,
    stat: &Stat,
    before: State,
    mut flow: Flow<'_, '_>,
) -> Result<Outcome, Stopped> {
    // Where all blocks are there it has no holes, and nobody has to look for them.
    #[allow(clippy::unnecessary_cast)]
    let has_holes = (stat.st_blocks.max(0) as u64).saturating_mul(512) < before.size;
    let mut data_end = if has_holes { flow.at() } else { before.size };
    while flow.at() < before.size {
        if flow.is_enough()? {
            return Ok(Outcome::Enough);
        }
        if flow.at() == data_end {
            let (hole, data) = extent(file, flow.at(), before.size);
            flow.hole(hole)?;
            data_end = flow.at() + data;
            continue;
        }
        match flow.read(file, data_end - flow.at())? {
            Ok(0) => return Ok(Outcome::Changed),
            Ok(_) => {}
            Err(error) => return Ok(failed("cannot be read", &error)),
        }
        // What changes is not sent to its end.
        if flow.at().is_multiple_of(limits::FILE_SEGMENT) && !is_still(file, before) {
            return Ok(Outcome::Changed);
        }
    }
    if !is_still(file, before) {
        return Ok(Outcome::Changed);
    }
    flow.close().map(Outcome::Sent)
}

/// How much of a hole begins here, and how much data follows it (lseek(2)). The file is left where
/// the data begins.
fn extent(file: &File, at: u64, size: u64) -> (u64, u64) {
    let data = match seek(file, SeekFrom::Data(at)) {
        Ok(data) => data.clamp(at, size),
        Err(Errno::NXIO) => size,
        // This file system knows nothing of holes.
        Err(_) => at,
    };
    let end = match seek(file, SeekFrom::Hole(data)) {
        Ok(end) if end > data => end.min(size),
        _ => size,
    };
    match seek(file, SeekFrom::Start(data)) {
        Ok(_) => (data - at, end - data),
        // Nothing is where it was: reading finds out.
        Err(_) => (0, size - at),
    }
}

/// What the receiver has of the file as it is now. The marks are taken for it where the file is what
/// was listed; where that must not be trusted, they are compared with the file.
pub(super) fn known<'m>(job: &Job<'m>, file: &File, before: State, checksum: bool) -> &'m [Hash] {
    if before != job.listed {
        return &[];
    }
    let segment = segment(before.size);
    // The end is always sent: it proves the whole.
    let most = before.size.saturating_sub(1) / segment;
    let marks = &job.marks[..job.marks.len().min(most as usize)];
    if checksum {
        return &marks[..agreeing(file, segment, marks)];
    }
    // Another file may have this length and time. Its beginning, or where it was cut off, shows it.
    let last = marks.len().saturating_sub(1);
    let same =
        [0, last].iter().all(|at| marks.get(*at).is_none_or(|mark| has(file, segment, *at, mark)));
    if same { marks } else { &[] }
}

/// True where this segment of the file has this mark.
fn has(file: &File, segment: u64, at: usize, mark: &Hash) -> bool {
    use std::os::unix::fs::FileExt;
    let from = segment * at as u64;
    let mut prover = Prover::resume(segment, &vec![*mark; at]);
    let mut buffer = vec![0; limits::FRAME_DATA_MAX];
    while prover.at() < from + segment {
        let most = prover.room().min(buffer.len() as u64) as usize;
        let read = match file.read_at(&mut buffer[..most], prover.at()) {
            Ok(0) | Err(_) => return false,
            Ok(read) => read,
        };
        if let Some(found) = prover.update(&buffer[..read]) {
            return found == *mark;
        }
    }
    false
}

/// How many segments of the file have these marks, up to the first that has not.
fn agreeing(file: &File, segment: u64, marks: &[Hash]) -> usize {
    use std::os::unix::fs::FileExt;
    let mut prover = Prover::new(segment);
    let mut buffer = vec![0; limits::FRAME_DATA_MAX];
    let mut count = 0;
    while count < marks.len() {
        let most = prover.room().min(buffer.len() as u64) as usize;
        let read = match file.read_at(&mut buffer[..most], prover.at()) {
            // Whatever is wrong shows again when it is sent.
            Ok(0) | Err(_) => return count,
            Ok(read) => read,
        };
        match prover.update(&buffer[..read]) {
            Some(mark) if mark == marks[count] => count += 1,
            Some(_) => return count,
            None => {}
        }
    }
    count
}
