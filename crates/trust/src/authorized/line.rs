//! One line of `authorized_keys`.

use sockeye_net::shown;

use super::Entry;
use super::options::Options;
use crate::key::{ED25519_NAME, KeyParseError, PublicKey, is_key_type};
use crate::lines::{Line, unfit, word};

/// What a line is.
pub(super) enum Parsed {
    /// A key of ours with options that we know.
    Entry(Box<Entry>),
    /// A key of another type.
    NotOurs,
    /// Skipped, and why; with its key where its options alone are the reason.
    Broken(String, Option<PublicKey>),
}

pub(super) fn parse(line: Line<'_>) -> Parsed {
    if let Some(text) = unfit(line.bytes) {
        return Parsed::Broken(text, None);
    }
    let (options, key) = match cut_options(line.bytes) {
        Ok(parts) => parts,
        Err(text) => return Parsed::Broken(text.into(), None),
    };
    let (name, rest) = word(key);
    // Names of key types are ASCII: what is not is no name.
    let name = str::from_utf8(name).unwrap_or_default();
    if name != ED25519_NAME {
        return if is_key_type(name) {
            Parsed::NotOurs
        } else {
            Parsed::Broken("skipped: there is no key in it".into(), None)
        };
    }
    let (base64, comment) = word(rest);
    let base64 = str::from_utf8(base64).unwrap_or_default();
    let key: Result<PublicKey, KeyParseError> = format!("{ED25519_NAME} {base64}").parse();
    let key = match key {
        Ok(key) => key,
        Err(error) => return Parsed::Broken(format!("skipped: {error}"), None),
    };
    match entry(line.number, key, comment, options) {
        Ok(entry) => Parsed::Entry(Box::new(entry)),
        Err(text) => Parsed::Broken(format!("skipped: {text}"), Some(key)),
    }
}

fn entry(number: usize, key: PublicKey, comment: &[u8], options: &[u8]) -> Result<Entry, String> {
    let text = str::from_utf8(options).map_err(|_| "its options are not UTF-8".to_owned())?;
    let options = Options::parse(text)?;
    Ok(Entry {
        key,
        comment: String::from_utf8_lossy(comment).into_owned(),
        line: number,
        options: text.to_owned(),
        forced: options.command,
        pty: options.pty,
        restricted: options.restricted,
        expires: options.expires,
        from: options.from,
    })
}

/// The options, which may be empty, and what follows them. A line begins with a key type or with
/// options; those hold blanks only in quotes.
fn cut_options(line: &[u8]) -> Result<(&[u8], &[u8]), &'static str> {
    let (first, _) = word(line);
    if str::from_utf8(first).is_ok_and(is_key_type) {
        return Ok((&[], line));
    }
    let (mut quoted, mut at) = (false, 0);
    while at < line.len() {
        match line[at] {
            b'\\' if line.get(at + 1) == Some(&b'"') => at += 1,
            b'"' => quoted = !quoted,
            b' ' | b'\t' if !quoted => return Ok((&line[..at], crate::lines::trim(&line[at..]))),
            _ => {}
        }
        at += 1;
    }
    Err(if quoted { "skipped: a quote is not closed" } else { "skipped: there is no key in it" })
}

/// A word of the file for a warning, short and escaped.
pub(super) fn quote(word: &str) -> String {
    shown::line(&word.chars().take(40).collect::<String>())
}
