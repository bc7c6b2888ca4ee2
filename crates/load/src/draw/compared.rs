//! A comparison of models as lines for a terminal: tables, bars, and what follows.

use super::bars::{Bar, bars};
use super::ink::{Ink, Tone, wrap};
use super::run::painted;
use super::table::table;
use super::units;
use crate::models::{Comparison, Figures, Idle, Sample};

/// The heads of the table of a load.
pub(crate) const LOAD: [&str; 8] =
    ["", "req/s", "p50", "p99", "p99.9", "CPU/req", "switches/req", "failed"];

/// The heads of the table of silent connections.
pub(crate) const IDLE: [&str; 6] =
    ["", "served", "memory each", "descriptors", "threads", "processes"];

/// The whole comparison.
pub fn comparison(all: &Comparison, columns: usize, ink: Ink) -> Vec<String> {
    let mut lines = painted(&what(all), columns, Tone::Strong, ink);
    lines.extend(painted(&how(all), columns, Tone::Faint, ink));
    for (title, of) in loads() {
        lines.push(String::new());
        lines.push(ink.paint(Tone::Strong, title));
        let rows: Vec<_> = all.models.iter().map(|model| load_row(model, of(model))).collect();
        lines.extend(table(&LOAD, &rows, columns, ink));
        lines.push(String::new());
        let bar = |model: &Figures| Bar {
            name: model.model.clone(),
            value: Some(of(model).rate),
            text: format!("{} req/s", units::short(of(model).rate)),
        };
        let drawn: Vec<Bar> = all.models.iter().map(bar).collect();
        lines.extend(bars(&drawn, columns.min(100), ink));
    }
    lines.push(String::new());
    lines.push(ink.paint(Tone::Strong, &silent(all)));
    let rows: Vec<_> = all.models.iter().map(idle_row).collect();
    lines.extend(table(&IDLE, &rows, columns, ink));
    lines.push(String::new());
    lines.extend(wrap(&all.advice(), columns.min(100)));
    lines
}

/// What was measured, part by part.
pub(crate) fn what(all: &Comparison) -> Vec<String> {
    let (count, size) = (units::whole(all.connections as u64), units::memory(all.size as f64));
    vec![format!("{} under each model", all.service), format!("{count} connections × {size}")]
}

/// How it was measured, part by part.
pub(crate) fn how(all: &Comparison) -> Vec<String> {
    let cores = match all.pinned {
        Some((server, load)) => format!("server on core {server}, load on core {load}"),
        None => "server and load share the processors".into(),
    };
    let span = units::round_time(u64::try_from(all.duration.as_nanos()).unwrap_or(u64::MAX));
    let rounds = match all.rounds {
        1 => format!("one run of {span}"),
        rounds => format!("{rounds} × {span} in turn, medians"),
    };
    let stopped = all.stopped.then(|| "stopped early".to_owned());
    [cores, rounds, "closed loop".into()].into_iter().chain(stopped).collect()
}

/// Takes the figures of one load.
pub(crate) type Pick = fn(&Figures) -> &Sample;

/// Both ways to load a server, and where the figures are.
pub(crate) fn loads() -> [(&'static str, Pick); 2] {
    [
        ("connections that stay", |model| &model.long),
        ("a connection for each request", |model| &model.short),
    ]
}

/// The title of the third part.
pub(crate) fn silent(all: &Comparison) -> String {
    let most = all.models.iter().map(|model| model.idle.connections).max().unwrap_or(0);
    format!("{most} silent connections")
}

pub(crate) fn load_row(model: &Figures, sample: &Sample) -> Vec<String> {
    let time = |value: Option<f64>| value.map_or("–".into(), |ns| units::time(ns as u64));
    let number = |value: Option<f64>| value.map_or("–".into(), units::digits);
    vec![
        model.model.clone(),
        units::short(sample.rate),
        time(sample.p50),
        time(sample.p99),
        time(sample.p999),
        time(sample.cpu),
        number(sample.switches()),
        units::short(sample.errors.round()),
    ]
}

pub(crate) fn idle_row(model: &Figures) -> Vec<String> {
    let Idle { connections, served, memory, descriptors, threads, processes } = model.idle;
    let memory = memory.map_or("–".into(), |bytes| units::memory(bytes.max(0.0).round()));
    let counts = [descriptors, threads, processes].map(units::whole);
    let served = format!("{served} of {connections}");
    [model.model.clone(), served, memory].into_iter().chain(counts).collect()
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::draw::ink::width;

    /// A comparison as it may be.
    pub(crate) fn usual() -> Comparison {
        let sample = |rate: f64, unanswered| Sample {
            rate,
            p50: Some(40.0e9 / rate),
            p99: Some(90.0e9 / rate),
            p999: Some(300.0e9 / rate),
            cpu: Some(0.9e9 / rate),
            voluntary: Some(0.4),
            involuntary: Some(0.01),
            errors: unanswered,
            unanswered,
        };
        let model = |name: &str, long: f64, short: f64, memory, served| Figures {
            model: name.into(),
            long: sample(long, if served == 200 { 0.0 } else { 49.0 }),
            short: sample(short, 0.0),
            idle: Idle {
                connections: 200,
                served,
                memory,
                descriptors: 210,
                threads: 203,
                processes: 1,
            },
        };
        Comparison {
            service: "upper".into(),
            connections: 50,
            size: 64,
            duration: Duration::from_millis(700),
            rounds: 3,
            pinned: Some((0, 1)),
            models: vec![
                model("iterative", 61_000.0, 17_000.0, None, 0),
                model("thread", 121_000.0, 12_000.0, Some(9_400.0), 200),
                model("process", 118_000.0, 9_000.0, Some(190_000.0), 200),
                model("event", 186_000.0, 16_500.0, Some(720.0), 200),
            ],
            stopped: false,
        }
    }

    /// B3: one table a load, bars, silent connections, and the advice; within the width.
    #[test]
    fn all_of_it() {
        let lines = comparison(&usual(), 80, Ink::Plain);
        let text = lines.join("\n");
        assert!(lines.iter().all(|line| width(line) <= 80), "{text}");
        assert_eq!(lines[0], "upper under each model · 50 connections × 64 B");
        assert_eq!(
            lines[1],
            "server on core 0, load on core 1 · 3 × 700 ms in turn, medians · closed loop"
        );
        let event = lines.iter().find(|line| line.starts_with("event")).unwrap();
        let cells: Vec<&str> = event.split("  ").map(str::trim).filter(|c| !c.is_empty()).collect();
        assert_eq!(
            cells,
            ["event", "186 k", "215 µs", "484 µs", "1.61 ms", "4.84 µs", "0.410", "0"],
            "{text}"
        );
        assert!(text.contains("0 of 200            –"), "{text}");
        assert!(text.contains("take event"), "{text}");
        assert!(text.matches('█').count() > 100, "{text}");
        let early = comparison(&Comparison { stopped: true, ..usual() }, 80, Ink::Plain);
        assert_eq!(early[2], "stopped early", "{}", early[1]);
    }
}
