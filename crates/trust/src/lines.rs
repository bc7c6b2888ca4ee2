//! A list file cut into lines: each is judged alone, so a broken one costs nothing but itself.

use sockeye_limits as limits;

/// A line that was skipped, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// The line's number, from 1.
    pub line: usize,
    /// Why, as one sentence, safe to show.
    pub text: String,
}

/// One line of a list file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Line<'a> {
    /// Its number, from 1.
    pub(crate) number: usize,
    /// Its bytes without the line's end and the blanks around it.
    pub(crate) bytes: &'a [u8],
}

/// The lines of a list that are neither empty nor comments.
pub(crate) fn lines(bytes: &[u8]) -> impl Iterator<Item = Line<'_>> {
    let numbered = bytes.split(|byte| *byte == b'\n').enumerate();
    let trimmed = numbered.map(|(index, line)| Line { number: index + 1, bytes: trim(line) });
    trimmed.filter(|line| !line.bytes.is_empty() && line.bytes[0] != b'#')
}

/// Why a line is not looked into at all.
pub(crate) fn unfit(line: &[u8]) -> Option<String> {
    if line.len() > limits::KEY_LINE {
        return Some(format!("skipped: longer than {} bytes", limits::KEY_LINE));
    }
    line.contains(&0).then(|| "skipped: it holds a NUL byte".into())
}

/// Without blanks and carriage returns at either end.
pub(crate) fn trim(mut line: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r');
    while let [first, rest @ ..] = line
        && blank(first)
    {
        line = rest;
    }
    while let [rest @ .., last] = line
        && blank(last)
    {
        line = rest;
    }
    line
}

/// The first word, and what follows the blanks behind it.
pub(crate) fn word(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|byte| matches!(byte, b' ' | b'\t')).unwrap_or(line.len());
    (&line[..end], trim(&line[end..]))
}
