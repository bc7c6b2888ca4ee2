//! Adding servers to `known_hosts`, and taking them out.

use std::path::Path;

use rustix::fs::RenameFlags;
use sockeye_limits as limits;

use super::Mark;
use crate::authorized::append_line;
use crate::file::Temporary;
use crate::key::PublicKey;
use crate::lines::{Line, trim};
use crate::strict::{self, ListError};

/// Adds a line for the server `host` (a name, or an address without brackets) at `port`. The file
/// (0600) and its directory (0700) are made if need be.
///
/// # Errors
/// [`ListError`]; [`ListError::Line`] for a host that cannot stand in such a file.
pub fn append(path: &Path, host: &str, port: u16, key: &PublicKey) -> Result<(), ListError> {
    append_line(path, format!("{} {key}\n", plain_name(host, port)?).as_bytes())
}

/// Takes the server out of the file and keeps all else byte for byte: of a line with several names
/// only this one goes. Patterns and lines with a marker stay. Returns how many lines changed.
///
/// # Errors
/// [`ListError`].
pub fn remove(path: &Path, host: &str, port: u16) -> Result<usize, ListError> {
    let name = plain_name(host, port)?;
    let Some(bytes) = strict::read_list(path, limits::KNOWN_BYTES)? else { return Ok(0) };
    let (mut kept, mut changed) = (Vec::with_capacity(bytes.len()), 0);
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match without(line, index + 1, &name) {
            Some(rest) => {
                changed += 1;
                kept.extend_from_slice(&rest);
            }
            None => kept.extend_from_slice(line),
        }
    }
    if changed > 0 {
        replace(path, &kept).map_err(|error| ListError::io("write", path, error))?;
    }
    Ok(changed)
}

/// A link keeps pointing where it does, and the file keeps its mode.
fn replace(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let real = std::fs::canonicalize(path)?;
    let mode = std::fs::metadata(&real)?.permissions().mode() & 0o777;
    Temporary::write(&real, mode, bytes)?.publish(&real, RenameFlags::empty())
}

/// What is left of a line without this name; `None` if the name is not in it.
pub(crate) fn without(line: &[u8], number: usize, name: &str) -> Option<Vec<u8>> {
    let bytes = trim(line.strip_suffix(b"\n").unwrap_or(line));
    if bytes.is_empty() || bytes[0] == b'#' {
        return None;
    }
    let entry = super::line::parse(Line { number, bytes }).ok()??;
    if entry.mark == Mark::Revoked || !entry.is_for(name) {
        return None;
    }
    if entry.hosts.starts_with('|') {
        return Some(Vec::new());
    }
    let others: Vec<&str> =
        entry.hosts.split(',').filter(|host| !host.eq_ignore_ascii_case(name)).collect();
    if others.len() == entry.hosts.split(',').count() {
        return None;
    }
    if others.iter().all(|host| host.starts_with('!')) {
        return Some(Vec::new());
    }
    // The names are the first word: what stands before and behind them stays as it is.
    let at = line.len() - line.trim_ascii_start().len();
    let mut rest = line[..at].to_vec();
    rest.extend_from_slice(others.join(",").as_bytes());
    rest.extend_from_slice(&line[at + entry.hosts.len()..]);
    Some(rest)
}

/// The server's name, if it means itself alone in a file of patterns.
fn plain_name(host: &str, port: u16) -> Result<String, ListError> {
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if host.is_empty() || host.len() > limits::PATTERN_MAX / 2 || !host.chars().all(fits) {
        let host = sockeye_net::shown::line(host);
        return Err(ListError::Line(format!("{host:?} is no host name or address")));
    }
    Ok(super::name(host, port))
}
