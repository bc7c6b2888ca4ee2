//! A table in columns: words to the left, figures to the right.

use super::ink::{Ink, Tone, fit, left, right, width};

/// The lines of a table. The first cell of each row is a name, all others are figures; a column is
/// as wide as its widest cell. Where `columns` are too few, names are shortened.
pub fn table(head: &[&str], rows: &[Vec<String>], columns: usize, ink: Ink) -> Vec<String> {
    let cell = |row: &[String], at: usize| row.get(at).map_or(0, |text| width(text));
    let mut widths: Vec<usize> = head.iter().map(|text| width(text)).collect();
    for (at, size) in widths.iter_mut().enumerate() {
        *size = rows.iter().map(|row| cell(row, at)).fold(*size, usize::max);
    }
    let figures: usize = widths.iter().skip(1).sum();
    let fixed = figures + head.len().saturating_sub(1) * GAP;
    if let Some(first) = widths.first_mut() {
        *first = (*first).min(columns.saturating_sub(fixed).max(4));
    }
    let head: Vec<String> = head.iter().map(ToString::to_string).collect();
    let first = ink.paint(Tone::Faint, &line(&head, &widths));
    std::iter::once(first).chain(rows.iter().map(|row| line(row, &widths))).collect()
}

/// Spaces between two columns.
const GAP: usize = 2;

fn line(row: &[String], widths: &[usize]) -> String {
    let cells = widths.iter().enumerate().map(|(at, &size)| {
        let text = row.get(at).map_or("", String::as_str);
        match at {
            0 => left(&fit(text, size), size),
            _ => right(text, size),
        }
    });
    let cells: Vec<String> = cells.collect();
    cells.join(&" ".repeat(GAP)).trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(rows: &[&[&str]]) -> Vec<Vec<String>> {
        rows.iter().map(|row| row.iter().map(ToString::to_string).collect()).collect()
    }

    /// B3: columns line up by what is seen, not by bytes.
    #[test]
    fn aligned() {
        let rows = rows(&[&["event", "261 µs", "1"], &["iterative", "–", "12345"]]);
        let lines = table(&["model", "p50", "n"], &rows, 80, Ink::Plain);
        assert_eq!(
            lines,
            ["model         p50      n", "event      261 µs      1", "iterative       –  12345"]
        );
    }

    /// B3: what does not fit costs letters of the name, never of a figure.
    #[test]
    fn narrow() {
        let rows = rows(&[&["a long name", "123456"]]);
        assert_eq!(table(&["n", "v"], &rows, 13, Ink::Plain)[1], "a lo…  123456");
        assert_eq!(table(&["n", "v"], &rows, 1, Ink::Plain)[1], "a l…  123456");
    }
}
