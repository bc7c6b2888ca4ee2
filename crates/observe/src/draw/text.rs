//! Text in columns: cut, filled and wrapped by the width that a terminal gives it.

use sockeye_limits as limits;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// How many columns a text takes.
pub(super) fn width(text: &str) -> usize {
    text.width()
}

/// The text, cut to so many columns, with an ellipsis where something is missing.
pub(super) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let mut out = String::new();
    for c in text.chars() {
        if width(&out) + c.width().unwrap_or(0) + 1 > columns {
            break;
        }
        out.push(c);
    }
    out + "…"
}

/// The text with blanks behind it, so many columns wide.
pub(super) fn left(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    let blanks = columns.saturating_sub(width(&text));
    text + &" ".repeat(blanks)
}

/// The text with blanks before it, so many columns wide.
pub(super) fn right(text: &str, columns: usize) -> String {
    let text = cut(text, columns);
    " ".repeat(columns.saturating_sub(width(&text))) + &text
}

/// Lines of at most so many columns, broken between words; a longer word is cut up.
pub(super) fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in text.split(' ') {
        let mut word = word;
        if !line.is_empty() && width(&line) + 1 + width(word) > columns {
            lines.push(std::mem::take(&mut line));
        }
        while width(word) > columns {
            let at = fitting(word, columns);
            lines.push(word[..at].to_owned());
            word = &word[at..];
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    lines.push(line);
    lines
}

/// Whole lines of [`limits::TRACE_WIDTH`] columns at most: the first begins with `lead`, the others with
/// as many blanks.
pub fn wrapped(lead: &str, text: &str) -> String {
    let indent = width(lead);
    let mut out = String::new();
    for (number, line) in
        wrap(text, limits::TRACE_WIDTH.saturating_sub(indent).max(2)).iter().enumerate()
    {
        let before = if number == 0 { lead.to_owned() } else { " ".repeat(indent) };
        out += &format!("{}\n", format!("{before}{line}").trim_end());
    }
    out
}

/// Up to which byte a word fits; at least one character is taken.
fn fitting(word: &str, columns: usize) -> usize {
    let mut wide = 0;
    for (at, c) in word.char_indices() {
        wide += c.width().unwrap_or(0);
        if wide > columns && at > 0 {
            return at;
        }
    }
    word.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// O1: no line is wider than asked, and no letter is lost.
        #[test]
        fn wraps(text in "[ a-zé語]{0,200}", columns in 2usize..40) {
            let lines = wrap(&text, columns);
            for line in &lines {
                prop_assert!(width(line) <= columns, "{line:?}");
            }
            let letters = |text: &str| text.chars().filter(|c| *c != ' ').collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
            prop_assert_eq!(width(&left(&text, columns)), width(&right(&text, columns)));
            prop_assert!(width(&left(&text, columns)) <= columns);
            let lead = "#".repeat(columns);
            for line in wrapped(&lead, &text).lines() {
                prop_assert!(width(line) <= limits::TRACE_WIDTH, "{line:?}");
            }
        }
    }
}
