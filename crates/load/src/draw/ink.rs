//! Text for a terminal: colours where they are wanted, and how many columns it takes.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// What a piece of text is, which says how it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    /// What the eye is to find first.
    Strong,
    /// What explains: axes, units.
    Faint,
    /// The usual: up to p90.
    Calm,
    /// Slower than most: p90 to p99.
    Warm,
    /// The tail from p99 on, and errors.
    Hot,
    /// One of several things that are compared.
    Series(usize),
}

/// Whether colours are wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ink {
    /// Text alone.
    Plain,
    /// ANSI escape sequences (ECMA-48, section 8.3.117, SGR).
    Colour,
}

impl Ink {
    /// The text in that tone.
    pub fn paint(self, tone: Tone, text: &str) -> String {
        if self == Ink::Plain || text.is_empty() {
            return text.to_owned();
        }
        let code = match tone {
            Tone::Strong => "1",
            Tone::Faint => "2",
            Tone::Calm => "36",
            Tone::Warm => "33",
            Tone::Hot => "31",
            Tone::Series(number) => ["35", "34", "33", "36"][number % 4],
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }
}

/// How many columns the text takes: escape sequences take none, and some letters two.
pub fn width(text: &str) -> usize {
    let mut escaped = false;
    let shown = |letter: &char| {
        let shown = !escaped && *letter != '\x1b';
        escaped = *letter == '\x1b' || (escaped && *letter != 'm');
        shown
    };
    text.chars().filter(shown).collect::<String>().width()
}

/// The text with spaces up to that width, on its right.
pub fn left(text: &str, columns: usize) -> String {
    format!("{text}{}", " ".repeat(columns.saturating_sub(width(text))))
}

/// The text with spaces up to that width, on its left.
pub fn right(text: &str, columns: usize) -> String {
    format!("{}{text}", " ".repeat(columns.saturating_sub(width(text))))
}

/// The first of the text, with `…` where it was longer. For text without colours.
pub fn fit(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let (first, _) = text.split_at(fitting(text, columns.saturating_sub(1)));
    format!("{first}…")
}

/// Up to which byte a text fits.
fn fitting(text: &str, columns: usize) -> usize {
    let mut wide = 0;
    let beyond = text.char_indices().find(|(_, letter)| {
        wide += letter.width().unwrap_or(0);
        wide > columns
    });
    beyond.map_or(text.len(), |(at, _)| at)
}

/// A paragraph in lines of at most so many columns; a word that is longer is cut up.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        add(&mut lines, " ", word, columns);
        while let Some(line) = lines.last_mut().filter(|line| width(line) > columns) {
            // A letter at least, however narrow it is.
            let first = line.chars().next().map_or(0, char::len_utf8);
            let rest = line.split_off(fitting(line, columns).max(first));
            if rest.is_empty() {
                break;
            }
            lines.push(rest);
        }
    }
    lines
}

/// Parts with ` · ` between them, in as few lines of so many columns as there have to be: a part stays
/// whole, and only one that is longer than a line is cut at its end. For text without colours.
pub fn parts(parts: &[String], columns: usize) -> Vec<String> {
    let mut lines = Vec::new();
    for part in parts {
        add(&mut lines, DOT, &fit(part, columns), columns);
    }
    lines
}

/// What stands between the parts of a line.
pub const DOT: &str = " · ";

/// Puts a text on the last line, or on a new one where that has no room for it.
fn add(lines: &mut Vec<String>, between: &str, text: &str, columns: usize) {
    match lines.last_mut() {
        Some(line) if width(line) + width(between) + width(text) <= columns => {
            line.push_str(between);
            line.push_str(text);
        }
        _ => lines.push(text.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B1: colours take no room, and none come where they are not wanted.
    #[test]
    fn widths() {
        let red = Ink::Colour.paint(Tone::Hot, "µs");
        assert_eq!((width(&red), red.as_str()), (2, "\x1b[31mµs\x1b[0m"));
        assert_eq!(Ink::Plain.paint(Tone::Hot, "µs"), "µs");
        assert_eq!(left(&red, 4), format!("{red}  "));
        assert_eq!(right("ab", 4), "  ab");
        assert_eq!(wrap("ab cd µµµµµ e", 5), ["ab cd", "µµµµµ", "e"]);
        assert_eq!(wrap("a bcdefgh i", 3), ["a", "bcd", "efg", "h i"]);
        assert_eq!(
            (width("語"), wrap("語語", 1), fit("語語語", 4)),
            (2, vec!["語".into(); 2], "語…".into())
        );
        let of = ["a".to_owned(), "b".into(), "cdefghi".into()];
        assert_eq!(parts(&of, 6), ["a · b", "cdefg…"]);
        assert_eq!((fit("abcdef", 4), fit("abcd", 4)), ("abc…".into(), "abcd".into()));
    }
}
