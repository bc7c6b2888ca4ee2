//! Messages of a transfer as frames (clauses P-X3 to P-X8): written, read, and what bounds each kind.

mod entry;

use sockeye_limits as limits;

use entry::{put_entry, read_entry};

use super::frames::{Flaw, Speech};
use super::message::{Chunk, FromReceiver, FromSender, Hash, Note, Resume, Tally, Time};
use crate::field::{Reader, Short, put_bytes, put_count};
use crate::frame::HEADER;

mod kind {
    pub(super) const ROOT: u8 = 0x41;
    pub(super) const ENTRY: u8 = 0x42;
    pub(super) const LEAVE: u8 = 0x43;
    pub(super) const TROUBLE: u8 = 0x44;
    pub(super) const LISTED: u8 = 0x45;
    pub(super) const SMALL: u8 = 0x46;
    pub(super) const BEGIN: u8 = 0x47;
    pub(super) const DATA: u8 = 0x48;
    pub(super) const PACKED: u8 = 0x49;
    pub(super) const HOLE: u8 = 0x4a;
    pub(super) const COPY: u8 = 0x4b;
    pub(super) const MARK: u8 = 0x4c;
    pub(super) const CLOSE: u8 = 0x4d;
    pub(super) const VOID: u8 = 0x4e;
    pub(super) const IGNORE: u8 = 0x4f;
    pub(super) const SKIP: u8 = 0x61;
    pub(super) const WANT: u8 = 0x62;
    pub(super) const RESUME: u8 = 0x63;
    pub(super) const BASIS: u8 = 0x64;
    pub(super) const FAULT: u8 = 0x65;
    pub(super) const NOTE: u8 = 0x66;
    pub(super) const FINISHED: u8 = 0x67;
    pub(super) const ENOUGH: u8 = 0x68;
}

/// The longest path in a message for people, in bytes; longer ones lose their beginning.
const SHOWN_PATH: usize = 4096;

const TROUBLE_MOST: usize = 8 + SHOWN_PATH + limits::FAILURE_TEXT;

/// The header of a Data frame of so many bytes, 1 to [`limits::FRAME_DATA_MAX`], which follow it.
pub fn data_header(length: usize) -> [u8; HEADER] {
    header(kind::DATA, length)
}

fn header(kind: u8, length: usize) -> [u8; HEADER] {
    let [a, b, c, d] = u32::try_from(length).unwrap_or(u32::MAX).to_be_bytes();
    [kind, a, b, c, d]
}

/// Appends a frame whose payload is written by `fill`.
fn put(kind: u8, out: &mut Vec<u8>, fill: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[kind, 0, 0, 0, 0]);
    fill(out);
    let length = out.len() - start - HEADER;
    out[start..start + HEADER].copy_from_slice(&header(kind, length));
}

fn put_u32(number: u32, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_be_bytes());
}

fn put_u64(number: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&number.to_be_bytes());
}

fn put_time(time: Time, out: &mut Vec<u8>) {
    out.extend_from_slice(&time.seconds.to_be_bytes());
    put_u32(time.nanoseconds, out);
}

/// A text, cut between two characters where it is too long.
fn put_text(text: &str, out: &mut Vec<u8>) {
    let mut length = text.len().min(limits::FAILURE_TEXT);
    while !text.is_char_boundary(length) {
        length -= 1;
    }
    put_bytes(&text.as_bytes()[..length], out);
}

/// A path for people: what matters most stands at its end.
fn put_path(path: &[u8], out: &mut Vec<u8>) {
    put_bytes(&path[path.len().saturating_sub(SHOWN_PATH)..], out);
}

impl FromSender {
    /// Appends it as a frame.
    ///
    /// An entry of more than [`limits::ENTRY_BYTES`] is refused by whoever gets it: leave out its
    /// extended attributes, and say so.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            FromSender::Root { index, identity, entry } => put(kind::ROOT, out, |out| {
                put_u32(*index, out);
                out.extend_from_slice(identity);
                put_entry(entry, out);
            }),
            FromSender::Entry(entry) => put(kind::ENTRY, out, |out| put_entry(entry, out)),
            FromSender::Ignore(text) => put(kind::IGNORE, out, |out| out.extend_from_slice(text)),
            FromSender::Leave { complete } => {
                put(kind::LEAVE, out, |out| out.push(u8::from(*complete)));
            }
            FromSender::Trouble { path, text } => put(kind::TROUBLE, out, |out| {
                put_path(path, out);
                put_text(text, out);
            }),
            FromSender::Listed => put(kind::LISTED, out, |_| {}),
            FromSender::Data(data) => put(kind::DATA, out, |out| out.extend_from_slice(data)),
            other => other.put_content(out),
        }
    }

    fn put_content(&self, out: &mut Vec<u8>) {
        match self {
            FromSender::Small { file, mtime, hash, data } => put(kind::SMALL, out, |out| {
                put_u32(*file, out);
                put_time(*mtime, out);
                out.extend_from_slice(hash);
                out.extend_from_slice(data);
            }),
            FromSender::Begin { file, mtime, size, from } => put(kind::BEGIN, out, |out| {
                put_u32(*file, out);
                put_time(*mtime, out);
                out.push(u8::from(size.is_some()));
                put_u64(size.unwrap_or(0), out);
                put_u64(*from, out);
            }),
            FromSender::Packed { length, bytes } => put(kind::PACKED, out, |out| {
                put_u32(*length, out);
                out.extend_from_slice(bytes);
            }),
            FromSender::Hole(length) => put(kind::HOLE, out, |out| put_u64(*length, out)),
            FromSender::Copy { offset, length } => put(kind::COPY, out, |out| {
                put_u64(*offset, out);
                put_u64(*length, out);
            }),
            FromSender::Mark(hash) => put(kind::MARK, out, |out| out.extend_from_slice(hash)),
            FromSender::Close { hash } => put(kind::CLOSE, out, |out| out.extend_from_slice(hash)),
            FromSender::Void { file, again, text } => put(kind::VOID, out, |out| {
                put_u32(*file, out);
                out.push(u8::from(*again));
                put_text(text, out);
            }),
            // The others are written by `put`.
            _ => {}
        }
    }

    /// The header and fixed fields of a [`FromSender::Small`] whose content of `length` bytes the
    /// caller puts right behind.
    pub fn put_small(file: u32, mtime: Time, hash: &Hash, length: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&header(kind::SMALL, SMALL_FIXED + length));
        put_u32(file, out);
        put_time(mtime, out);
        out.extend_from_slice(hash);
    }
}

const SMALL_FIXED: usize = 4 + 12 + 32;

impl FromReceiver {
    /// Appends it as a frame.
    pub fn put(&self, out: &mut Vec<u8>) {
        match self {
            FromReceiver::Skip(count) => put(kind::SKIP, out, |out| put_u32(*count, out)),
            FromReceiver::Want(count) => put(kind::WANT, out, |out| put_u32(*count, out)),
            FromReceiver::Resume(Resume { marks, basis }) => put(kind::RESUME, out, |out| {
                out.push(u8::from(*basis));
                put_count(marks.len(), out);
                marks.iter().for_each(|mark| out.extend_from_slice(mark));
            }),
            FromReceiver::Basis { chunks, last } => put(kind::BASIS, out, |out| {
                out.push(u8::from(*last));
                put_count(chunks.len(), out);
                for Chunk { length, hash } in chunks {
                    put_u32(*length, out);
                    out.extend_from_slice(hash);
                }
            }),
            FromReceiver::Trouble { path, text } => put(kind::FAULT, out, |out| {
                put_path(path, out);
                put_text(text, out);
            }),
            FromReceiver::Note { note, path } => put(kind::NOTE, out, |out| {
                out.push(match note {
                    Note::Removed => 1,
                    Note::WouldStore => 2,
                    Note::WouldRemove => 3,
                    Note::Updated => 4,
                    Note::WouldUpdate => 5,
                    Note::WouldMake => 6,
                });
                put_path(path, out);
            }),
            FromReceiver::Enough(of) => put(kind::ENOUGH, out, |out| {
                if let Some(file) = of {
                    put_u32(*file, out);
                }
            }),
            FromReceiver::Finished(tally) => put(kind::FINISHED, out, |out| {
                let Tally { stored, skipped, made, removed, failed, .. } = *tally;
                let Tally { data, reused, resumed, compared, updated, .. } = *tally;
                let files = [stored, skipped, made, removed, failed];
                for number in files.into_iter().chain([data, reused, resumed, compared, updated]) {
                    put_u64(number, out);
                }
            }),
        }
    }
}

/// The shortest entry: a directory's, with a name of one byte.
const ENTRY_LEAST: usize = 4 + 1 + 1 + META_LEAST;
const META_LEAST: usize = 2 + 12 + 1 + 4;

impl Speech for FromSender {
    const ROLE: super::Role = super::Role::Sender;

    // The sender waits meanwhile: this much keeps the disk busy.
    const AHEAD: usize = limits::SENDER_AHEAD;

    fn bounds(kind: u8) -> Option<(usize, usize)> {
        Some(match kind {
            kind::ROOT => (20 + ENTRY_LEAST, 20 + limits::ENTRY_BYTES),
            kind::ENTRY => (ENTRY_LEAST, limits::ENTRY_BYTES),
            kind::LEAVE => (1, 1),
            kind::TROUBLE => (8, TROUBLE_MOST),
            kind::LISTED => (0, 0),
            kind::SMALL => (SMALL_FIXED, SMALL_FIXED + limits::FILE_SMALL),
            kind::BEGIN => (33, 33),
            kind::DATA => (1, limits::FRAME_DATA_MAX),
            kind::PACKED => (5, 4 + limits::FRAME_DATA_MAX),
            kind::HOLE => (8, 8),
            kind::COPY => (16, 16),
            kind::MARK | kind::CLOSE => (32, 32),
            kind::VOID => (9, 9 + limits::FAILURE_TEXT),
            kind::IGNORE => (1, limits::IGNORE_FILE),
            _ => return None,
        })
    }

    fn data(kind: u8, payload: Vec<u8>) -> Result<FromSender, Vec<u8>> {
        if kind == kind::DATA { Ok(FromSender::Data(payload)) } else { Err(payload) }
    }

    fn read(kind: u8, payload: &[u8]) -> Result<FromSender, Flaw> {
        let mut fields = Reader::new(payload);
        let f = &mut fields;
        let message = match kind {
            kind::ROOT => {
                FromSender::Root { index: f.u32()?, identity: array(f)?, entry: read_entry(f)? }
            }
            kind::ENTRY => FromSender::Entry(read_entry(f)?),
            kind::LEAVE => FromSender::Leave { complete: flag(f)? },
            kind::TROUBLE => FromSender::Trouble { path: path(f)?, text: text(f)? },
            kind::LISTED => FromSender::Listed,
            kind::BEGIN => read_begin(f)?,
            kind::HOLE => FromSender::Hole(length(f)?),
            kind::COPY => FromSender::Copy { offset: f.u64()?, length: length(f)? },
            kind::MARK => FromSender::Mark(array(f)?),
            kind::CLOSE => FromSender::Close { hash: array(f)? },
            kind::VOID => FromSender::Void { file: f.u32()?, again: flag(f)?, text: text(f)? },
            kind::SMALL => {
                let (file, mtime, hash) = (f.u32()?, time(f)?, array(f)?);
                let data = fields.rest().to_vec();
                return Ok(FromSender::Small { file, mtime, hash, data });
            }
            kind::PACKED => {
                let length = f.u32()?;
                if length == 0 || length as usize > limits::FRAME_DATA_MAX {
                    return Err(Flaw::Has("a length out of bounds"));
                }
                return Ok(FromSender::Packed { length, bytes: fields.rest().to_vec() });
            }
            kind::DATA => return Ok(FromSender::Data(payload.to_vec())),
            kind::IGNORE => return Ok(FromSender::Ignore(payload.to_vec())),
            _ => return Err(Flaw::Has("an unknown kind")),
        };
        whole(fields, message)
    }
}

impl Speech for FromReceiver {
    const ROLE: super::Role = super::Role::Receiver;

    const AHEAD: usize = limits::RECEIVER_AHEAD;

    fn is_note(&self) -> bool {
        // How much failed stands in its last word too.
        matches!(self, FromReceiver::Note { .. } | FromReceiver::Trouble { .. })
    }

    fn bounds(kind: u8) -> Option<(usize, usize)> {
        Some(match kind {
            kind::SKIP | kind::WANT => (4, 4),
            kind::RESUME => (5, 5 + 32 * limits::FILE_SEGMENTS as usize),
            kind::BASIS => (5, 5 + 20 * limits::BASIS_CHUNKS),
            kind::FAULT => (8, TROUBLE_MOST),
            kind::NOTE => (5, 5 + SHOWN_PATH),
            kind::FINISHED => (80, 80),
            kind::ENOUGH => (0, 4),
            _ => return None,
        })
    }

    fn data(_: u8, payload: Vec<u8>) -> Result<FromReceiver, Vec<u8>> {
        Err(payload)
    }

    fn read(kind: u8, payload: &[u8]) -> Result<FromReceiver, Flaw> {
        let mut fields = Reader::new(payload);
        let f = &mut fields;
        let message = match kind {
            kind::SKIP => FromReceiver::Skip(count_of_files(f)?),
            kind::WANT => FromReceiver::Want(count_of_files(f)?),
            kind::RESUME => {
                let basis = flag(f)?;
                let count = f.count(32)?;
                let marks = (0..count).map(|_| array(f)).collect::<Result<_, _>>()?;
                FromReceiver::Resume(Resume { marks, basis })
            }
            kind::BASIS => {
                let last = flag(f)?;
                let count = f.count(20)?;
                if count == 0 && !last {
                    return Err(Flaw::Has("no chunks where more are to come"));
                }
                let chunks = (0..count).map(|_| chunk(f)).collect::<Result<_, _>>()?;
                FromReceiver::Basis { chunks, last }
            }
            kind::FAULT => FromReceiver::Trouble { path: path(f)?, text: text(f)? },
            kind::NOTE => FromReceiver::Note { note: note(f)?, path: path(f)? },
            kind::FINISHED => FromReceiver::Finished(tally(f)?),
            kind::ENOUGH if payload.is_empty() => FromReceiver::Enough(None),
            kind::ENOUGH => FromReceiver::Enough(Some(f.u32()?)),
            _ => return Err(Flaw::Has("an unknown kind")),
        };
        whole(fields, message)
    }
}

fn whole<M>(fields: Reader<'_>, message: M) -> Result<M, Flaw> {
    if fields.is_empty() { Ok(message) } else { Err(Flaw::Has("bytes behind its last field")) }
}

impl From<Short> for Flaw {
    fn from(_: Short) -> Flaw {
        Flaw::Has("a field that is cut short")
    }
}

fn array<const N: usize>(f: &mut Reader<'_>) -> Result<[u8; N], Flaw> {
    Ok(f.array()?)
}

fn flag(f: &mut Reader<'_>) -> Result<bool, Flaw> {
    match f.u8()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Flaw::Has("a flag that is neither set nor clear")),
    }
}

fn text(f: &mut Reader<'_>) -> Result<String, Flaw> {
    let bytes = f.bytes()?;
    if bytes.len() > limits::FAILURE_TEXT {
        return Err(Flaw::Has("a text that is too long"));
    }
    Ok(str::from_utf8(bytes).map_err(|_| Flaw::Has("text that is not UTF-8"))?.to_owned())
}

/// A path for people.
fn path(f: &mut Reader<'_>) -> Result<Vec<u8>, Flaw> {
    match f.bytes()? {
        path if path.len() > SHOWN_PATH => Err(Flaw::Has("a path that is too long")),
        path => Ok(path.to_vec()),
    }
}

/// A file's length: one that off_t holds.
fn file_length(f: &mut Reader<'_>) -> Result<u64, Flaw> {
    match f.u64()? {
        length if length > i64::MAX as u64 => Err(Flaw::Has("a length that no file can have")),
        length => Ok(length),
    }
}

fn time(f: &mut Reader<'_>) -> Result<Time, Flaw> {
    let seconds = f.u64()?.cast_signed();
    let nanoseconds = f.u32()?;
    if nanoseconds >= 1_000_000_000 {
        return Err(Flaw::Has("a time of more than a second's nanoseconds"));
    }
    Ok(Time { seconds, nanoseconds })
}

/// A length of a piece of content: not 0.
fn length(f: &mut Reader<'_>) -> Result<u64, Flaw> {
    match f.u64()? {
        0 => Err(Flaw::Has("no length")),
        length => Ok(length),
    }
}

fn count_of_files(f: &mut Reader<'_>) -> Result<u32, Flaw> {
    match f.u32()? {
        0 => Err(Flaw::Has("an answer for no file")),
        count => Ok(count),
    }
}

fn note(f: &mut Reader<'_>) -> Result<Note, Flaw> {
    match f.u8()? {
        1 => Ok(Note::Removed),
        2 => Ok(Note::WouldStore),
        3 => Ok(Note::WouldRemove),
        4 => Ok(Note::Updated),
        5 => Ok(Note::WouldUpdate),
        6 => Ok(Note::WouldMake),
        _ => Err(Flaw::Has("an unknown note")),
    }
}

fn chunk(f: &mut Reader<'_>) -> Result<Chunk, Flaw> {
    match f.u32()? {
        0 => Err(Flaw::Has("a chunk without length")),
        length => Ok(Chunk { length, hash: array(f)? }),
    }
}

fn tally(f: &mut Reader<'_>) -> Result<Tally, Flaw> {
    Ok(Tally {
        stored: f.u64()?,
        skipped: f.u64()?,
        made: f.u64()?,
        removed: f.u64()?,
        failed: f.u64()?,
        data: f.u64()?,
        reused: f.u64()?,
        resumed: f.u64()?,
        compared: f.u64()?,
        updated: f.u64()?,
    })
}

fn read_begin(f: &mut Reader<'_>) -> Result<FromSender, Flaw> {
    let (file, mtime, known) = (f.u32()?, time(f)?, flag(f)?);
    let (size, from) = (file_length(f)?, f.u64()?);
    if !known && size != 0 {
        return Err(Flaw::Has("a length that it does not know"));
    }
    Ok(FromSender::Begin { file, mtime, size: known.then_some(size), from })
}
