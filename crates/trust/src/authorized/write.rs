//! Adding a line to `authorized_keys`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

use crate::file::make_directory;
use crate::key::PublicKey;
use crate::strict::ListError;

/// Whether a line was added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Added {
    /// Yes.
    New,
    /// No: this line has the key already, with these options (as they stand in the file).
    Already {
        /// The line's number, from 1.
        line: usize,
        /// Its options; empty if there are none.
        options: String,
    },
}

/// Adds a line for `key`, with `options` as they stand before a key (empty for none), unless a
/// line has the key already. The file (0600) and its directory (0700) are made if need be.
///
/// # Errors
/// [`ListError::Line`] if the line would not count afterwards; as [`super::read`].
pub fn authorize(
    path: &Path,
    key: &PublicKey,
    comment: &str,
    options: &str,
) -> Result<Added, ListError> {
    let separator = if options.is_empty() { "" } else { " " };
    let line = format!("{options}{separator}{key} {comment}").trim_end().to_owned() + "\n";
    check(&line, key, options)?;
    let list = super::read(path)?;
    if let Some(entry) = list.entries.iter().find(|entry| entry.key == *key) {
        return Ok(Added::Already { line: entry.line, options: entry.options.clone() });
    }
    append(path, line.as_bytes())?;
    Ok(Added::New)
}

/// The line has to read back as what was meant, and as one line.
fn check(line: &str, key: &PublicKey, options: &str) -> Result<(), ListError> {
    let back = super::parse(line.as_bytes());
    if let Some(warning) = back.warnings.first() {
        let text = warning.text.trim_start_matches("skipped: ");
        return Err(ListError::Line(text.to_owned()));
    }
    match &back.entries[..] {
        [entry] if entry.key == *key && entry.options == options && entry.line == 1 => Ok(()),
        _ => Err(ListError::Line("it would not be one line with one key".into())),
    }
}

/// Appends one line with one write(2), after a newline if the file does not end with one.
pub(crate) fn append(path: &Path, line: &[u8]) -> Result<(), ListError> {
    let io = |operation| move |error| ListError::io(operation, path, error);
    make_directory(path).map_err(io("make the directory of"))?;
    let mut options = OpenOptions::new();
    let flags = rustix::fs::OFlags::NONBLOCK.bits() as i32;
    let file = options.read(true).append(true).create(true).mode(0o600).custom_flags(flags);
    let mut file: File = file.open(path).map_err(io("open"))?;
    let metadata = file.metadata().map_err(io("look at"))?;
    if !metadata.is_file() {
        return Err(ListError::NotAFile { path: crate::strict::show(path) });
    }
    let mut last = [b'\n'];
    if metadata.len() > 0 {
        file.read_exact_at(&mut last, metadata.len() - 1).map_err(io("read"))?;
    }
    let mut bytes = Vec::with_capacity(line.len() + 1);
    if last != *b"\n" {
        bytes.push(b'\n');
    }
    bytes.extend_from_slice(line);
    file.write_all(&bytes).and_then(|()| file.sync_all()).map_err(io("write"))
}
