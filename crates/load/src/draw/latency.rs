//! The distribution of latencies: columns over a logarithmic axis, percentiles marked beneath.

use hdrhistogram::Histogram;

use super::ink::{Ink, Tone, width};
use super::scale::LogScale;
use super::units;

/// The percentiles that are shown, and their names.
pub const PERCENTILES: [(&str, f64); 5] =
    [("p50", 50.0), ("p90", 90.0), ("p99", 99.0), ("p99.9", 99.9), ("p99.99", 99.99)];

/// The percentiles of a histogram of nanoseconds and its maximum, with their names; nothing of an
/// empty one.
pub fn marks(histogram: &Histogram<u64>) -> Vec<(&'static str, u64)> {
    if histogram.is_empty() {
        return Vec::new();
    }
    let most = histogram.max();
    // A percentile is told as the end of its bucket, which may lie behind the largest value.
    let at = |(name, percent)| (name, histogram.value_at_percentile(percent).min(most));
    PERCENTILES.into_iter().map(at).chain([("max", most)]).collect()
}

/// How many values lie in each of equal steps of a logarithmic axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Bins {
    /// The axis.
    pub scale: LogScale,
    /// The number of values in each step.
    pub counts: Vec<u64>,
}

impl Bins {
    /// Counts the values of a histogram into so many steps; none of an empty one.
    pub fn of(histogram: &Histogram<u64>, steps: usize) -> Option<Bins> {
        if histogram.is_empty() || steps == 0 {
            return None;
        }
        let scale = LogScale::over(histogram.min(), histogram.max());
        let mut counts = vec![0; steps];
        for value in histogram.iter_recorded() {
            let middle = histogram.median_equivalent(value.value_iterated_to());
            counts[step(&scale, middle, steps)] += value.count_at_value();
        }
        Some(Bins { scale, counts })
    }

    /// The largest count.
    pub fn top(&self) -> u64 {
        self.counts.iter().copied().max().unwrap_or(0)
    }

    /// The step that a value lies in.
    pub fn step(&self, value: u64) -> usize {
        step(&self.scale, value, self.counts.len())
    }

    /// The values at both ends of a step.
    pub fn ends(&self, step: usize) -> (f64, f64) {
        let at = |step: usize| self.scale.value(step as f64 / self.counts.len() as f64);
        (at(step), at(step + 1))
    }
}

fn step(scale: &LogScale, value: u64, steps: usize) -> usize {
    ((scale.place(value as f64) * steps as f64) as usize).min(steps.saturating_sub(1))
}

/// How each step looks: the body, the slow ones, the tail.
pub fn tones(histogram: &Histogram<u64>, bins: &Bins) -> Vec<Tone> {
    let [slow, tail] = [90.0, 99.0].map(|percent| histogram.value_at_percentile(percent));
    let (slow, tail) = (bins.step(slow), bins.step(tail));
    let tone = |at| match at {
        _ if at <= slow => Tone::Calm,
        _ if at <= tail => Tone::Warm,
        _ => Tone::Hot,
    };
    (0..bins.counts.len()).map(tone).collect()
}

/// Draws a histogram of nanoseconds: `rows` lines of columns, the axis, its values, the marks. What
/// occurred at all is seen: it takes at least an eighth of a line.
pub fn plot(histogram: &Histogram<u64>, columns: usize, rows: usize, ink: Ink) -> Vec<String> {
    let steps = columns.saturating_sub(MARGIN.len() * 2).max(16);
    let Some(bins) = Bins::of(histogram, steps) else {
        return vec![format!("{MARGIN}nothing was answered: there is no latency to draw")];
    };
    let top = bins.top().max(1);
    let tones = tones(histogram, &bins);
    let eighths: Vec<usize> = bins.counts.iter().map(|&count| height(count, top, rows)).collect();
    let mut lines: Vec<String> = (0..rows)
        .rev()
        .map(|row| {
            let cells =
                eighths.iter().zip(&tones).map(|(&height, &tone)| match block(height, row) {
                    " " => " ".to_owned(),
                    drawn => ink.paint(tone, drawn),
                });
            format!("{MARGIN}{}", cells.collect::<String>()).trim_end().to_owned()
        })
        .collect();
    lines.extend(axis(&bins, ink));
    lines.extend(flags(&bins, &marks(histogram), ink));
    lines
}

/// The empty columns at each side.
const MARGIN: &str = "  ";

/// How high a column is, in eighths of a line.
fn height(count: u64, top: u64, rows: usize) -> usize {
    if count == 0 {
        return 0;
    }
    let full = (rows * 8) as f64;
    ((count as f64 / top as f64 * full).round() as usize).max(1)
}

/// What of a column of that height is in that line.
fn block(height: usize, row: usize) -> &'static str {
    const BLOCKS: [&str; 9] = [" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];
    BLOCKS[height.saturating_sub(row * 8).min(8)]
}

/// The axis and the values at its ticks.
fn axis(bins: &Bins, ink: Ink) -> [String; 2] {
    let steps = bins.counts.len();
    let mut line = vec!["─"; steps];
    let mut labels = Row::new(steps);
    for tick in bins.scale.ticks(steps / 11) {
        let at = step(&bins.scale, tick as u64, steps);
        line[at] = "┴";
        labels.centre(at, &units::round_time(tick.round() as u64));
    }
    [
        ink.paint(Tone::Faint, &format!("{MARGIN}{}", line.concat())),
        ink.paint(Tone::Faint, &format!("{MARGIN}{}", labels.text())),
    ]
}

/// The marks beneath the axis: each points to its value; two lines where one is too narrow.
fn flags(bins: &Bins, marks: &[(&'static str, u64)], ink: Ink) -> Vec<String> {
    let steps = bins.counts.len();
    let mut rows = [Row::new(steps), Row::new(steps)];
    // What matters most is placed first; what finds no room stands in the table none the less.
    let first = |name: &str| ["max", "p50", "p99", "p99.9", "p90"].iter().position(|n| *n == name);
    let mut marks: Vec<_> = marks.to_vec();
    marks.sort_by_key(|(name, _)| first(name).unwrap_or(usize::MAX));
    for (name, value) in &marks {
        let at = bins.step(*value);
        let text = format!("▲{name}");
        if !rows.iter_mut().any(|row| row.put(at, &text)) {
            // No room to its right: to its left.
            let text = format!("{name}▲");
            let start = (at + 1).saturating_sub(width(&text));
            let _ = rows.iter_mut().any(|row| row.put(start, &text));
        }
    }
    let lines = rows.iter().map(Row::text).filter(|text| !text.is_empty());
    lines.map(|text| ink.paint(Tone::Strong, &format!("{MARGIN}{text}"))).collect()
}

/// A line of text that is filled here and there.
struct Row(Vec<char>);

impl Row {
    fn new(columns: usize) -> Row {
        Row(vec![' '; columns])
    }

    /// Writes the text there if there is room for it and a space on each side.
    fn put(&mut self, at: usize, text: &str) -> bool {
        let end = at + width(text);
        let around = at.saturating_sub(1)..(end + 1).min(self.0.len());
        if end > self.0.len() || self.0[around].iter().any(|&letter| letter != ' ') {
            return false;
        }
        self.0.splice(at..end, text.chars());
        true
    }

    /// The same with the middle of the text there, moved inwards at the ends.
    fn centre(&mut self, at: usize, text: &str) -> bool {
        let last = self.0.len().saturating_sub(width(text));
        self.put(at.saturating_sub(width(text) / 2).min(last), text)
    }

    fn text(&self) -> String {
        self.0.iter().collect::<String>().trim_end().to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram(values: &[(u64, u64)]) -> Histogram<u64> {
        let mut histogram = Histogram::new(3).unwrap();
        for &(value, count) in values {
            histogram.record_n(value, count).unwrap();
        }
        histogram
    }

    fn usual() -> Histogram<u64> {
        histogram(&[
            (200_000, 100),
            (220_000, 300),
            (240_000, 400),
            (260_000, 150),
            (400_000, 40),
            (2_000_000, 8),
            (9_000_000, 2),
        ])
    }

    /// B1: what is drawn, letter by letter.
    #[test]
    fn picture() {
        let lines = plot(&usual(), 64, 3, Ink::Plain);
        let expected = [
            "    ▂█",
            "    ██▁",
            "  ▆ ███      ▂                        ▁                      ▁",
            "  ┴─────────────┴──────────┴──────────┴─────────────┴─────────",
            "  200 µs     500 µs      1 ms       2 ms          5 ms",
            "     ▲p50    ▲p99                                         max▲",
            "      ▲p90                                              p99.9▲",
        ];
        assert_eq!(lines, expected, "{}", lines.join("\n"));
    }

    /// B1: every value is in one bin, and what is rare is seen.
    #[test]
    fn bins() {
        let histogram = usual();
        let bins = Bins::of(&histogram, 50).unwrap();
        assert_eq!(bins.counts.iter().sum::<u64>(), histogram.len());
        assert_eq!(bins.counts[bins.step(9_000_000)], 2);
        let (low, high) = bins.ends(bins.step(240_000));
        assert!(low <= 240_000.0 && 240_000.0 <= high, "{low} {high}");
        assert_eq!((height(1, 1_000_000, 5), height(0, 9, 5), height(9, 9, 5)), (1, 0, 40));
        assert!(Bins::of(&Histogram::new(3).unwrap(), 50).is_none());
    }

    /// B1: percentiles are those of the histogram; none is beyond the largest value.
    #[test]
    fn percentiles() {
        let marks = marks(&usual());
        let names: Vec<&str> = marks.iter().map(|(name, _)| *name).collect();
        assert_eq!(names, ["p50", "p90", "p99", "p99.9", "p99.99", "max"]);
        let near = |value: u64, of: u64| value.abs_diff(of) * 1000 <= of;
        assert!(near(marks[0].1, 240_000) && near(marks[2].1, 400_000), "{marks:?}");
        assert!(near(marks[3].1, 9_000_000), "{marks:?}");
        assert!(marks.windows(2).all(|pair| pair[0].1 <= pair[1].1), "{marks:?}");
        assert!(super::marks(&Histogram::new(3).unwrap()).is_empty());
    }

    /// B1: no histogram and no width makes it panic or wider than it was told.
    #[test]
    fn any_size() {
        let one = histogram(&[(1, 1)]);
        let wide = histogram(&[(1, 3), (u64::MAX / 4, 1)]);
        for histogram in [&one, &wide, &usual(), &Histogram::new(3).unwrap()] {
            for columns in [0, 20, 21, 40, 80, 200] {
                let lines = plot(histogram, columns, 6, Ink::Plain);
                if histogram.is_empty() {
                    continue;
                }
                let widest = lines.iter().map(|line| width(line)).max().unwrap();
                assert!(widest <= columns.max(18), "{columns}: {lines:#?}");
            }
        }
    }

    /// B1: colours tell the body from the tail, and the text is the same without them.
    #[test]
    fn colours() {
        let plain = plot(&usual(), 64, 3, Ink::Plain).join("\n");
        let painted = plot(&usual(), 64, 3, Ink::Colour).join("\n");
        assert!(!plain.contains('\x1b'));
        for tone in ["\x1b[36m", "\x1b[33m", "\x1b[31m"] {
            assert!(painted.contains(tone), "{painted:?}");
        }
        let stripped = painted.split('\x1b').map(|part| part.split_once('m').map_or(part, |p| p.1));
        let words = |text: &str| text.split_whitespace().collect::<String>();
        assert_eq!(words(&stripped.collect::<String>()), words(&plain));
    }
}
