//! Colours of the terminal, where they are wanted.

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

/// How many columns the text takes: escape sequences take none, any other character one.
pub fn width(text: &str) -> usize {
    let mut escaped = false;
    text.chars()
        .filter(|&letter| {
            let shown = !escaped && letter != '\x1b';
            escaped = letter == '\x1b' || (escaped && letter != 'm');
            shown
        })
        .count()
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
    text.chars().take(columns.saturating_sub(1)).chain(std::iter::once('…')).collect()
}

/// A paragraph in lines of at most so many columns; only a word that is longer goes beyond.
pub fn wrap(text: &str, columns: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for word in text.split(' ') {
        match lines.last_mut() {
            Some(line) if width(line) + 1 + width(word) <= columns => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
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
        assert_eq!((fit("abcdef", 4), fit("abcd", 4)), ("abc…".into(), "abcd".into()));
    }
}
