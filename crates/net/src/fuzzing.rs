//! For tests: the bodies of the fuzz targets, which panic where something is wrong.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use sockeye_limits as limits;

use crate::endpoint::{Endpoint, Host, UnixName};
use crate::shown;

#[cfg(test)]
mod tests;

/// Any word is an endpoint or is refused in one line; an endpoint is shown as a word that means the
/// same again.
pub fn endpoint(data: &[u8]) {
    let found = Endpoint::parse_os(OsStr::from_bytes(data));
    if let Ok(text) = std::str::from_utf8(data) {
        assert_eq!(text.parse::<Endpoint>(), found, "text and bytes differ");
    }
    let endpoint = match found {
        Ok(endpoint) => endpoint,
        Err(error) => return one_line(&error.to_string()),
    };
    let word = endpoint.to_string();
    one_line(&word);
    assert!(word.starts_with(endpoint.transport().scheme()), "{word}");
    let as_it_is = match endpoint.unix_name() {
        Some(UnixName::Path(path)) => {
            let bytes = path.as_os_str().as_bytes();
            assert!((1..=limits::UNIX_PATH_MAX).contains(&bytes.len()));
            assert!(!bytes.contains(&0));
            shown::bytes(bytes).as_bytes() == bytes
        }
        Some(UnixName::Abstract(name)) => {
            assert!((1..=limits::UNIX_NAME_MAX).contains(&name.len()));
            shown::bytes(name).as_bytes() == name
        }
        None => true,
    };
    if let Some(Host::Name(name)) = endpoint.host_port().map(|at| &at.host) {
        assert!((1..=limits::HOST_NAME_MAX).contains(&name.len()));
    }
    if as_it_is {
        assert_eq!(word.parse(), Ok(endpoint), "{word}");
    }
}

/// Nothing that is shown can drive a terminal, and a stream is shown the same however it is cut.
pub fn shown(data: &[u8]) {
    let (cut, data) = data.split_first().unwrap_or((&0, &[]));
    one_line(&shown::bytes(data));
    if let Ok(text) = std::str::from_utf8(data) {
        assert_eq!(shown::line(text), shown::bytes(data));
        assert_eq!(shown::line(&shown::line(text)), shown::line(text), "escaped twice");
        assert!(!shown::json(text).chars().any(shown::is_hazard));
    }
    let whole = stream(data, data.len().max(1));
    assert!(!whole.chars().any(shown::is_hazard));
    for piece in [1, 2, 1 + usize::from(*cut)] {
        assert_eq!(stream(data, piece), whole, "cut into pieces of {piece}");
    }
}

fn stream(data: &[u8], piece: usize) -> String {
    let mut escaper = shown::StreamEscaper::default();
    let mut out: String = data.chunks(piece).map(|piece| escaper.push(piece)).collect();
    out.push_str(&escaper.finish());
    out
}

/// Panics unless the text is one line that can be shown as it is.
fn one_line(text: &str) {
    let bad = |c: char| shown::is_hazard(c) || matches!(c, '\n' | '\t');
    assert!(!text.chars().any(bad), "{text:?} is not one line to show");
}
