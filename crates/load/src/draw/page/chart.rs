//! The charts of a page: a distribution, its percentiles, something over time, a comparison.

use hdrhistogram::Histogram;

use super::Chart;
use super::frame::{Frame, half_width};
use crate::draw::ink::Tone;
use crate::draw::latency::{Bins, marks, tones};
use crate::draw::scale::{LogScale, round_top};
use crate::draw::units;

/// Steps of the axis of a distribution.
const STEPS: usize = 110;

/// The distribution of latencies in nanoseconds on a logarithmic axis, with its percentiles; none
/// where nothing was measured.
pub fn distribution(histogram: &Histogram<u64>) -> Option<Chart> {
    let bins = Bins::of(histogram, STEPS)?;
    let all = histogram.len() as f64;
    let top = round_top(bins.top() as f64 / all, 4);
    let mut frame = Frame::new(&ladder(top, 4, units::share), 74.0, 180.0, FLAG);
    frame.columns(&ticks(&bins.scale));
    for (at, (&count, tone)) in bins.counts.iter().zip(tones(histogram, &bins)).enumerate() {
        if count == 0 {
            continue;
        }
        let (low, high) = bins.ends(at);
        let share = count as f64 / all;
        let [low, high] = [low, high].map(|ns| units::time(ns as u64));
        let said = format!("{low} to {high}: {} ({})", units::share(share), units::whole(count));
        let (x, next) =
            (frame.x(at as f64 / STEPS as f64), frame.x((at + 1) as f64 / STEPS as f64));
        // What occurred at all is seen.
        let height = (share / top * frame.height).max(1.5);
        let column = ((x, frame.top), (next - x, frame.height));
        frame.says(&said, column.0, column.1, |frame| {
            let y = frame.top + frame.height - height;
            frame.rect(class(tone), (x + 0.4, y), (next - x - 0.8, height));
        });
    }
    flags(&mut frame, &bins, histogram);
    Some(Chart {
        title: "Latency".into(),
        note: "Share of the requests; the axis is logarithmic. Up to p90, to p99, and the tail."
            .into(),
        legend: Vec::new(),
        svg: frame.finish(),
    })
}

/// The room to the right of a distribution, for the name of its last mark.
const FLAG: f64 = 42.0;

/// Percentile marks above a distribution, each with its name to its right. From the right to the left
/// each takes the lowest line in which its name crosses no other mark.
fn flags(frame: &mut Frame, bins: &Bins, histogram: &Histogram<u64>) {
    let mut taken: Vec<(f64, usize)> = Vec::new();
    let bottom = frame.top + frame.height;
    for (name, value) in marks(histogram).into_iter().rev() {
        let x = frame.x(bins.scale.place(value as f64));
        let end = x + half_width(name) * 2.0 + 8.0;
        let crossed = taken.iter().filter(|(other, _)| *other < end).map(|(_, row)| row + 1);
        let row = crossed.max().unwrap_or(0);
        taken.push((x, row));
        let y = frame.top - 8.0 - row as f64 * 12.0;
        frame.line("mark", (x, y - 5.0), (x, bottom));
        frame.text("name", "start", (x + 4.0, y), name);
        let said = format!("{name} {}", units::time(value));
        let size = (end - x, 12.0);
        frame.says(&said, (x, y - 9.0), size, |_| {});
    }
    let rows = taken.iter().map(|(_, row)| row + 1).max().unwrap_or(0);
    frame.crop = frame.top - rows as f64 * 12.0 - 14.0;
}

/// Latency by percentile: the further to the right, the rarer. None where nothing was measured.
pub fn percentiles(histogram: &Histogram<u64>) -> Option<Chart> {
    if histogram.is_empty() {
        return None;
    }
    let scale = LogScale::over(histogram.min(), histogram.max());
    // As many nines as there are requests to tell them.
    let nines = (histogram.len() as f64).log10().clamp(1.0, 6.0);
    let rows = scale.ticks(6).into_iter().map(|tick| (scale.place(tick), label(tick)));
    let mut frame = Frame::new(&rows.collect::<Vec<_>>(), 12.0, 242.0, 0.0);
    let names = ["0 %", "90 %", "99 %", "99.9 %", "99.99 %", "99.999 %", "99.9999 %"];
    let places = names.iter().enumerate().map(|(number, name)| (number as f64 / nines, *name));
    let columns =
        places.filter(|(place, _)| *place <= 1.0).map(|(place, name)| (place, name.into()));
    frame.columns(&columns.collect::<Vec<_>>());
    let mut points = Vec::new();
    let mut said = Vec::new();
    for step in 0..=STEPS {
        let place = step as f64 / STEPS as f64;
        let quantile = 1.0 - 10f64.powf(-place * nines);
        let value = histogram.value_at_quantile(quantile).min(histogram.max());
        points.push((frame.x(place), frame.y(scale.place(value as f64))));
        said.push(format!("{} % within {}", nine_places(quantile), units::time(value)));
    }
    frame.path("s s1", &points, false);
    let width = frame.width / STEPS as f64;
    for (point, said) in points.iter().zip(&said) {
        let at = (point.0 - width / 2.0, frame.top);
        let size = (width, frame.height);
        frame.says(said, at, size, |_| {});
    }
    Some(Chart {
        title: "Latency by percentile".into(),
        note: "How long the slowest one in ten, hundred, thousand … took.".into(),
        legend: Vec::new(),
        svg: frame.finish(),
    })
}

/// A percentage with as many decimals as tell it from 100.
fn nine_places(quantile: f64) -> String {
    let places = (-(1.0 - quantile).max(1e-9).log10()).floor().clamp(0.0, 7.0) as usize;
    format!("{:.places$}", quantile * 100.0)
}

/// Something over time: its name and its values, one a second.
#[derive(Debug, Clone)]
pub struct Line {
    /// What it is.
    pub name: String,
    /// Its place in the palette.
    pub series: usize,
    /// A value for each second; nothing where there is none.
    pub values: Vec<Option<f64>>,
}

/// Lines over the seconds of a run, from zero; `unit` writes a value. None without any value.
pub fn over_time(
    title: &str,
    note: &str,
    lines: &[Line],
    unit: fn(f64) -> String,
) -> Option<Chart> {
    let seconds = lines.iter().map(|line| line.values.len()).max().unwrap_or(0);
    let most = lines.iter().flat_map(|line| line.values.iter().flatten()).copied();
    let most = most.filter(|value| value.is_finite()).fold(0.0, f64::max);
    if seconds == 0 {
        return None;
    }
    let top = round_top(most, 4);
    let mut frame = Frame::new(&ladder(top, 4, unit), 10.0, 160.0, 0.0);
    let place = |second: usize| (second as f64 + 0.5) / seconds as f64;
    let stride = seconds.div_ceil(10);
    let columns = (0..seconds).filter(|second| (second + 1) % stride == 0);
    let columns: Vec<_> = columns.map(|s| (place(s), format!("{} s", s + 1))).collect();
    frame.columns(&columns);
    for line in lines {
        draw_line(&mut frame, line, top, &place, lines.len() == 1);
    }
    let width = frame.width / seconds as f64;
    for second in 0..seconds {
        let value = |line: &Line| line.values.get(second).copied().flatten();
        let named = |line: &Line| Some(format!("{} {}", line.name, unit(value(line)?)));
        let said: Vec<String> = lines.iter().filter_map(named).collect();
        let said = format!("second {}: {}", second + 1, said.join(", "));
        let at = (frame.x(place(second)) - width / 2.0, frame.top);
        frame.says(&said, at, (width, frame.height), |_| {});
    }
    let legend = lines.iter().map(|line| (line.name.clone(), line.series)).collect();
    let legend = if lines.len() > 1 { legend } else { Vec::new() };
    Some(Chart { title: title.into(), note: note.into(), legend, svg: frame.finish() })
}

/// One line, in pieces where values are missing, with a dot for a piece of one.
fn draw_line(
    frame: &mut Frame,
    line: &Line,
    top: f64,
    place: &impl Fn(usize) -> f64,
    filled: bool,
) {
    let values: Vec<_> = line.values.iter().map(|v| v.filter(|v| v.is_finite())).collect();
    let mut start = 0;
    for piece in values.split(Option::is_none) {
        let at = |(number, value): (usize, &Option<f64>)| {
            (frame.x(place(start + number)), frame.y(value.unwrap_or(0.0) / top))
        };
        let points: Vec<(f64, f64)> = piece.iter().enumerate().map(at).collect();
        start += piece.len() + 1;
        let (Some(first), Some(last)) = (points.first(), points.last()) else { continue };
        if let [only] = points.as_slice() {
            frame.circle(&format!("f{}", line.series), *only, 3.0);
            continue;
        }
        if filled {
            let bottom = frame.top + frame.height;
            let mut area = points.clone();
            area.extend([(last.0, bottom), (first.0, bottom)]);
            frame.path(&format!("area f{}", line.series), &area, true);
        }
        frame.path(&format!("s s{}", line.series), &points, false);
    }
}

/// One bar of a comparison.
#[derive(Debug, Clone)]
pub struct Beam {
    /// What it is.
    pub name: String,
    /// Its place in the palette.
    pub series: usize,
    /// Its length; nothing where it is not known.
    pub value: Option<f64>,
    /// Its figure as text.
    pub text: String,
}

/// Bars that lie, all from zero, each with its name and figure.
pub fn comparison(title: &str, note: &str, beams: &[Beam]) -> Chart {
    const STEP: f64 = 30.0;
    let names = beams.iter().map(|beam| half_width(&beam.name)).fold(0.0, f64::max) * 2.0;
    let texts = beams.iter().map(|beam| half_width(&beam.text)).fold(0.0, f64::max) * 2.0;
    let mut frame = Frame::bare(names + 12.0, 4.0, STEP * beams.len() as f64, 4.0);
    frame.width -= texts + 8.0;
    let values = beams.iter().filter_map(|beam| beam.value).filter(|value| value.is_finite());
    let top = values.fold(0.0, f64::max);
    for (row, beam) in beams.iter().enumerate() {
        let y = frame.top + row as f64 * STEP;
        let said = format!("{}: {}", beam.name, beam.text);
        let whole = ((0.0, y), (520.0, STEP));
        frame.says(&said, whole.0, whole.1, |frame| {
            let length = match beam.value {
                Some(value) if value > 0.0 && top > 0.0 => (value / top * frame.width).max(2.0),
                _ => 0.0,
            };
            frame.text("name", "end", (frame.left - 8.0, y + 19.0), &beam.name);
            let class = format!("f{}", beam.series);
            frame.rect(&class, (frame.left, y + 5.0), (length, STEP - 10.0));
            frame.text("", "start", (frame.left + length + 6.0, y + 19.0), &beam.text);
        });
    }
    Chart { title: title.into(), note: note.into(), legend: Vec::new(), svg: frame.finish() }
}

/// Values from zero to the top, with their places.
fn ladder(top: f64, steps: usize, unit: fn(f64) -> String) -> Vec<(f64, String)> {
    let place = |step: usize| step as f64 / steps as f64;
    (0..=steps).map(|step| (place(step), units::trimmed(&unit(top * place(step))))).collect()
}

fn ticks(scale: &LogScale) -> Vec<(f64, String)> {
    scale.ticks(9).into_iter().map(|tick| (scale.place(tick), label(tick))).collect()
}

/// A round time without its noughts.
fn label(nanoseconds: f64) -> String {
    units::round_time(nanoseconds.round() as u64)
}

fn class(tone: Tone) -> &'static str {
    match tone {
        Tone::Warm => "warm",
        Tone::Hot => "hot",
        _ => "calm",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn histogram() -> Histogram<u64> {
        let mut histogram = Histogram::new(3).unwrap();
        for step in 0..1000u64 {
            histogram.record(200_000 + step * step / 2).unwrap();
        }
        histogram
    }

    /// The numbers behind `name="` in a piece of SVG.
    fn numbers(svg: &str, name: &str) -> Vec<f64> {
        let name = format!(" {name}=\"");
        let parts = svg.split(name.as_str()).skip(1);
        parts.map(|part| part.split_once('"').unwrap().0.parse().unwrap()).collect()
    }

    /// B1: the columns of a distribution hold all requests and say so; none leaves the frame.
    #[test]
    fn columns() {
        let chart = distribution(&histogram()).unwrap();
        let said = chart.svg.split("<title>").skip(1);
        let counts = said.filter_map(|part| {
            let text = part.split_once("</title>").unwrap().0;
            // Marks have no count.
            Some(text.rsplit_once('(')?.1.trim_end_matches(')').parse::<u64>().unwrap())
        });
        assert_eq!(counts.sum::<u64>(), 1000);
        for (x, width) in numbers(&chart.svg, "x").iter().zip(numbers(&chart.svg, "width")) {
            assert!(*x >= 0.0 && x + width <= 521.0, "{x} {width}");
        }
        for class in ["calm", "warm", "hot"] {
            assert!(chart.svg.contains(&format!("class=\"{class}\"")), "{class}");
        }
        assert!(distribution(&Histogram::new(3).unwrap()).is_none());
    }

    /// B1: percentiles rise with their place.
    #[test]
    fn rising() {
        let chart = percentiles(&histogram()).unwrap();
        let path = chart.svg.split(" d=\"").nth(1).unwrap().split_once('"').unwrap().0;
        let heights = path
            .split(['M', 'L'])
            .skip(1)
            .map(|point| point.split_once(' ').unwrap().1.parse::<f64>().unwrap());
        let heights: Vec<f64> = heights.collect();
        assert!(heights.windows(2).all(|pair| pair[1] <= pair[0] + 1e-9), "{heights:?}");
        assert!(heights[0] - heights[heights.len() - 1] > 100.0, "{heights:?}");
        assert!(chart.svg.contains("<title>90.2 % within 607 µs</title>"));
    }

    /// B1: a second without a value is a gap, not a nought; one alone is a dot.
    #[test]
    fn gaps() {
        let values = vec![Some(1.0), Some(2.0), None, Some(3.0)];
        let line = Line { name: "p99".into(), series: 2, values };
        let chart = over_time("t", "", &[line], units::short).unwrap();
        assert_eq!(chart.svg.matches("<circle").count(), 1);
        assert_eq!(chart.svg.matches("class=\"s s2\"").count(), 1);
        assert!(chart.svg.contains("<title>second 2: p99 2</title>"), "{}", chart.svg);
        assert!(over_time("t", "", &[], units::short).is_none());
    }

    /// B3: bars are in proportion; what is not known has no length, but its name.
    #[test]
    fn beams() {
        let beam = |name: &str, value, text: &str| Beam {
            name: name.into(),
            series: 0,
            value,
            text: text.into(),
        };
        let all = [
            beam("event", Some(200.0), "200"),
            beam("<b>", Some(50.0), "50"),
            beam("none", None, "–"),
        ];
        let chart = comparison("rate", "", &all);
        let bars = chart.svg.split("class=\"f0\"").skip(1);
        let lengths: Vec<f64> = bars.map(|part| numbers(&format!(" {part}"), "width")[0]).collect();
        assert!((lengths[0] / lengths[1] - 4.0).abs() < 0.01, "{lengths:?}");
        assert_eq!(lengths[2], 0.0);
        assert!(chart.svg.contains("&lt;b&gt;") && !chart.svg.contains("<b>"));
    }

    /// B1: figures that are no numbers make no chart that cannot be read.
    #[test]
    fn odd() {
        let line = Line { name: "x".into(), series: 0, values: vec![Some(f64::NAN), Some(0.0)] };
        let chart = over_time("t", "", &[line], units::short).unwrap();
        let beam =
            Beam { name: "x".into(), series: 0, value: Some(f64::INFINITY), text: "".into() };
        let beams = comparison("t", "", &[beam]);
        for svg in [chart.svg, beams.svg] {
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }
}
