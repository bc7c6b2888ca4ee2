//! Bars that lie: a few things compared, each with its figure.

use super::ink::{Ink, Tone, left, right, width};

/// One thing that is compared.
#[derive(Debug, Clone, PartialEq)]
pub struct Bar {
    /// What it is.
    pub name: String,
    /// How long the bar is; nothing where it is not known.
    pub value: Option<f64>,
    /// The figure as text.
    pub text: String,
}

/// The lines of a comparison: names, bars in proportion to the largest, figures.
pub fn bars(all: &[Bar], columns: usize, ink: Ink) -> Vec<String> {
    let widest = |text: fn(&Bar) -> &str| all.iter().map(|bar| width(text(bar))).max().unwrap_or(0);
    let (names, texts) = (widest(|bar| &bar.name), widest(|bar| &bar.text));
    let room = columns.saturating_sub(names + texts + 2).max(8);
    let values = all.iter().filter_map(|bar| bar.value).filter(|value| value.is_finite());
    let top = values.fold(0.0, f64::max);
    let draw = |(number, bar): (usize, &Bar)| {
        let drawn = match bar.value {
            Some(value) if value > 0.0 && top > 0.0 => strip(value / top, room),
            _ => String::new(),
        };
        let drawn = left(&ink.paint(Tone::Series(number), &drawn), room);
        format!("{} {drawn} {}", left(&bar.name, names), right(&bar.text, texts))
    };
    all.iter().enumerate().map(draw).collect()
}

/// A bar of that share of the room, to an eighth of a letter; at least a sliver.
fn strip(share: f64, room: usize) -> String {
    const ENDS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    let eighths = ((share.clamp(0.0, 1.0) * (room * 8) as f64).round() as usize).max(1);
    format!("{}{}", "█".repeat(eighths / 8), ENDS[eighths % 8])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(name: &str, value: Option<f64>, text: &str) -> Bar {
        Bar { name: name.into(), value, text: text.into() }
    }

    /// B3: bars are in proportion, what is not known has none, what is little has a sliver.
    #[test]
    fn proportions() {
        let all = [
            bar("event", Some(200.0), "200 k"),
            bar("thread", Some(100.0), "100 k"),
            bar("process", Some(0.1), "100"),
            bar("iterative", None, "–"),
        ];
        assert_eq!(
            bars(&all, 26, Ink::Plain),
            [
                "event     ██████████ 200 k",
                "thread    █████      100 k",
                "process   ▏            100",
                "iterative                –"
            ]
        );
        let painted = bars(&all, 26, Ink::Colour);
        assert!(painted.iter().all(|line| width(line) == 26), "{painted:?}");
    }

    /// B3: figures that are no numbers are survived.
    #[test]
    fn odd() {
        let all = [bar("a", Some(f64::NAN), "–"), bar("b", Some(f64::INFINITY), "–")];
        assert_eq!(bars(&all, 0, Ink::Plain).len(), 2);
        assert!(bars(&[], 80, Ink::Plain).is_empty());
    }
}
