//! The result of bulk data as lines for a terminal: rates for each direction and stream.

use super::bars::{Bar, bars};
use super::ink::{Ink, Tone, parts};
use super::run::{errors, fate, painted};
use super::units;
use crate::throughput::{Direction, StreamFigures, ThroughputPlan, ThroughputReport};

/// The most streams that are shown one by one.
const STREAMS: usize = 12;

/// The result: what was run, rates, what failed.
pub fn throughput(report: &ThroughputReport, columns: usize, ink: Ink) -> Vec<String> {
    let mut lines = painted(&what(&report.plan, report), columns, Tone::Strong, ink);
    lines.push(String::new());
    for (name, rate) in directions(report) {
        let bits = ink.paint(Tone::Strong, &units::bits(rate));
        lines.push(format!("{name:<5}{bits} ({})", units::rate(rate)));
    }
    if let Some(datagrams) = &report.datagrams {
        lines.extend(parts(&fate(datagrams), columns));
    }
    let told = [("", ("error", "errors", &report.errors))];
    let told = if report.errors.is_empty() { &[][..] } else { &told };
    lines.extend(errors(told, &report.examples, columns, ink));
    if report.stopped {
        lines.push("stopped early".into());
    }
    if report.streams.len() > 1 {
        lines.push(String::new());
        lines.extend(bars(&streams(report), columns, ink));
        if let Some(rest) = report.streams.len().checked_sub(STREAMS).filter(|rest| *rest > 0) {
            lines.push(format!("and {rest} more"));
        }
    }
    if report.series.len() > 1 {
        lines.push(String::new());
        lines.push(spark(report, columns, ink));
    }
    lines
}

/// What was run, part by part.
pub(crate) fn what(plan: &ThroughputPlan, report: &ThroughputReport) -> Vec<String> {
    let stream = plan.endpoint.transport().is_stream();
    let things = if stream { "stream" } else { "socket" };
    let many = if plan.streams == 1 { "" } else { "s" };
    let piece = if stream { "sends" } else { "datagrams" };
    let mut told = vec![
        sockeye_net::shown::line(&plan.endpoint.to_string()),
        format!("{} {things}{many}", plan.streams),
        format!("{piece} of {}", units::memory(plan.size as f64)),
    ];
    told.extend(plan.rate.map(|bits| format!("held at {}", units::bits(bits as f64 / 8.0))));
    told.push(format!("{} s", units::digits(report.elapsed.as_secs_f64())));
    told
}

/// Each direction that the data went, and its bytes a second.
pub(crate) fn directions(report: &ThroughputReport) -> Vec<(&'static str, f64)> {
    match report.plan.direction {
        Direction::Up => vec![("up", report.up())],
        Direction::Down => vec![("down", report.down())],
        Direction::Both => vec![("up", report.up()), ("down", report.down())],
    }
}

/// Bytes a second of a stream in the direction that counts: what came back, where it goes both ways.
pub(crate) fn of_stream(report: &ThroughputReport, stream: &StreamFigures) -> f64 {
    let bytes = match report.plan.direction {
        Direction::Up => stream.bytes_up,
        Direction::Down | Direction::Both => stream.bytes_down,
    };
    bytes as f64 / report.elapsed.as_secs_f64().max(1e-9)
}

fn streams(report: &ThroughputReport) -> Vec<Bar> {
    let bar = |(number, stream): (usize, &StreamFigures)| {
        let rate = of_stream(report, stream);
        Bar { name: format!("stream {}", number + 1), value: Some(rate), text: units::bits(rate) }
    };
    report.streams.iter().take(STREAMS).enumerate().map(bar).collect()
}

/// The rate over time in one line: a block for a second, or for several.
fn spark(report: &ThroughputReport, columns: usize, ink: Ink) -> String {
    const BLOCKS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let name = "over time ";
    let room = columns.saturating_sub(name.len()).max(8);
    let stride = report.series.len().div_ceil(room);
    let sums = report.series.chunks(stride).map(|seconds| {
        let sum: u64 = seconds.iter().map(|second| second.bytes_up.max(second.bytes_down)).sum();
        sum as f64 / seconds.len() as f64
    });
    let sums: Vec<f64> = sums.collect();
    let top = sums.iter().copied().fold(1.0, f64::max);
    let block = |sum: &f64| BLOCKS[((sum / top * 8.0).ceil() as usize).clamp(1, 8) - 1];
    let blocks: String = sums.iter().map(block).collect();
    format!("{}{}", ink.paint(Tone::Faint, name), ink.paint(Tone::Calm, &blocks))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;
    use std::time::Duration;

    use super::*;
    use crate::draw::ink::width;
    use crate::report::Datagrams;
    use crate::throughput::ThroughputSecond;

    /// A result as it may be.
    pub(crate) fn usual(endpoint: &str, direction: Direction, streams: usize) -> ThroughputReport {
        let endpoint = endpoint.parse().unwrap();
        let plan = ThroughputPlan { streams, ..ThroughputPlan::new(endpoint, direction) };
        let figures = |number: usize| StreamFigures {
            bytes_up: 2_000_000_000 - number as u64 * 500_000_000,
            bytes_down: 1_000_000_000,
        };
        let second = |number: u64| ThroughputSecond { bytes_up: number * 1_000, bytes_down: 0 };
        ThroughputReport {
            plan,
            elapsed: Duration::from_secs(2),
            streams: (0..streams).map(figures).collect(),
            series: (1..=8).map(second).collect(),
            datagrams: None,
            errors: BTreeMap::new(),
            examples: BTreeMap::new(),
            cpu: Duration::from_secs(1),
            stopped: false,
        }
    }

    /// B4: rates for each direction and stream, over time.
    #[test]
    fn rates() {
        let lines = throughput(&usual("9000", Direction::Both, 2), 60, Ink::Plain);
        let text = lines.join("\n");
        assert!(
            lines[0].starts_with("tcp://127.0.0.1:9000 · 2 streams · sends of 128 KiB"),
            "{text}"
        );
        assert_eq!(lines[2], "up   14.0 Gbit/s (1.75 GB/s)");
        assert_eq!(lines[3], "down 8.00 Gbit/s (1.00 GB/s)");
        assert!(lines[6].starts_with("stream 1 ██") && lines[6].ends_with("4.00 Gbit/s"), "{text}");
        assert_eq!(lines[9], "over time ▁▂▃▄▅▆▇█");
        assert!(lines.iter().all(|line| width(line) <= 60), "{text}");
    }

    /// B4: one stream is not shown twice; loss, order and jitter are told; many are cut short.
    #[test]
    fn forms() {
        let mut report = usual("udp://127.0.0.1:9", Direction::Up, 1);
        report.datagrams = Some(Datagrams {
            dropped_here: 0,
            sent: 2000,
            received: 1990,
            lost: 10,
            duplicates: 1,
            reordered: 3,
            jitter: Duration::from_micros(15),
        });
        let text = throughput(&report, 80, Ink::Plain).join("\n");
        assert!(!text.contains("stream 1") && text.contains("held at 10.0 Mbit/s"), "{text}");
        assert!(
            text.lines().next().unwrap().starts_with("udp://127.0.0.1:9 · 1 socket · "),
            "{text}"
        );
        assert!(text.lines().nth(1).unwrap().ends_with("2.00 s"), "{text}");
        assert!(text.contains("10 lost (0.500 %) · 3 late · 1 twice · jitter 15.0 µs"), "{text}");
        let mut many = usual("9000", Direction::Down, 1);
        many.streams = vec![StreamFigures::default(); 40];
        let text = throughput(&many, 80, Ink::Plain).join("\n");
        assert!(text.contains("and 28 more") && !text.contains("stream 13"), "{text}");
    }
}
