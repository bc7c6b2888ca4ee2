//! Whatever was measured fits into the terminal that it is drawn on.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::prelude::*;

use super::ink::{Ink, width};
use super::{bulk, compared, comparison, report, run, throughput};
use crate::error::ErrorKind;
use crate::models::Comparison;
use crate::plan::{Pace, Plan};
use crate::report::{Datagrams, Report};
use crate::throughput::{Direction, StreamFigures, ThroughputPlan, ThroughputReport};

/// What can be told of any run.
#[derive(Debug, Clone)]
struct Any {
    endpoint: String,
    counts: [u64; 6],
    /// Nanoseconds.
    times: Vec<u64>,
    elapsed: Duration,
    example: Option<String>,
    stopped: bool,
}

/// A count of any size: most are small.
fn count() -> impl Strategy<Value = u64> {
    (any::<u64>(), 18u32..60).prop_map(|(value, shift)| value >> shift)
}

fn anything() -> impl Strategy<Value = Any> {
    let name = prop_oneof![
        Just("tcp://127.0.0.1:9000".to_owned()),
        Just("udp://127.0.0.1:65535".to_owned()),
        Just("udp://[2001:db8:1111:2222:3333:4444:5555:6666%eth0]:65535".to_owned()),
        "/[a-z語 \u{1b}]{1,35}".prop_map(|path| format!("unix:{path}")),
    ];
    let example = proptest::option::of("[a-zé語 \u{1b}\u{202e}]{0,200}");
    let times = proptest::collection::vec(count().prop_map(|time| time >> 8), 0..20);
    let elapsed = (1u64..1_000_000_000).prop_map(Duration::from_millis);
    let counts = std::array::from_fn(|_| count());
    (name, counts, times, elapsed, example, any::<bool>()).prop_map(
        |(endpoint, counts, times, elapsed, example, stopped)| Any {
            endpoint,
            counts,
            times,
            elapsed,
            example,
            stopped,
        },
    )
}

impl Any {
    fn datagrams(&self) -> Option<Datagrams> {
        let [sent, received, lost, duplicates, reordered, jitter] = self.counts;
        let jitter = Duration::from_nanos(jitter >> 8);
        let dropped_here = lost >> 3;
        let all = Datagrams { sent, received, lost, duplicates, reordered, jitter, dropped_here };
        self.endpoint.starts_with("udp").then_some(all)
    }

    fn failed(&self) -> (BTreeMap<ErrorKind, u64>, BTreeMap<ErrorKind, String>) {
        let kinds = [ErrorKind::Reset, ErrorKind::Timeout];
        let errors = self.example.iter().flat_map(|_| kinds.into_iter().zip(self.counts));
        let examples = self.example.iter().map(|text| (ErrorKind::Reset, text.clone()));
        (errors.collect(), examples.collect())
    }

    fn run(&self) -> Report {
        let mut usual = run::tests::usual();
        let plan = Plan::new(self.endpoint.parse().unwrap());
        let pace = match self.stopped {
            true => Pace::Open { per_second: self.counts[3] },
            false => Pace::Closed,
        };
        let (connections, size) = (self.counts[0] as usize, self.counts[1] as usize);
        usual.plan = Plan { connections, size, depth: connections, pace, ..plan };
        usual.latency.clear();
        self.times.iter().for_each(|time| usual.latency.record(*time).unwrap());
        (usual.errors, usual.examples) = self.failed();
        Report {
            elapsed: self.elapsed,
            requests: self.counts[2],
            bytes_out: self.counts[4],
            bytes_in: self.counts[5],
            datagrams: self.datagrams(),
            stopped: self.stopped,
            ..usual
        }
    }

    fn bulk(&self) -> ThroughputReport {
        let usual = bulk::tests::usual("9000", Direction::Both, 1);
        let plan = ThroughputPlan::new(self.endpoint.parse().unwrap(), Direction::Both);
        let rate = self.stopped.then_some(self.counts[2]);
        let streams = self.counts[0] as usize % 100;
        let of = |number: u64| StreamFigures {
            bytes_up: self.counts[4] / (number + 1),
            bytes_down: self.counts[5],
        };
        let (errors, examples) = self.failed();
        ThroughputReport {
            plan: ThroughputPlan { streams, size: self.counts[1] as usize, rate, ..plan },
            elapsed: self.elapsed,
            streams: (0..streams as u64).map(of).collect(),
            datagrams: self.datagrams(),
            errors,
            examples,
            stopped: self.stopped,
            ..usual
        }
    }

    fn models(&self) -> Comparison {
        let mut all = compared::tests::usual();
        (all.connections, all.size) = (self.counts[0] as usize, self.counts[1] as usize);
        (all.duration, all.stopped) = (self.elapsed, self.stopped);
        all
    }
}

fn fits(lines: &[String], columns: usize) -> Result<(), TestCaseError> {
    for line in lines {
        prop_assert!(width(line) <= columns, "{} of {columns} columns: {line}", width(line));
        prop_assert!(!line.contains('\u{202e}'), "{line:?}");
    }
    Ok(())
}

proptest! {
    /// B1, B3, B4: no line is wider than the terminal, in colours or not, whatever was measured, and the
    /// heading keeps how long it took.
    #[test]
    fn fit(any in anything(), columns in 60usize..=120) {
        for columns in [columns, 80] {
            for ink in [Ink::Plain, Ink::Colour] {
                for lines in [report(&any.run(), columns, ink), throughput(&any.bulk(), columns, ink)] {
                    fits(&lines, columns)?;
                    let took = format!("{} s", super::units::digits(any.elapsed.as_secs_f64()));
                    prop_assert!(lines[..3].iter().any(|line| line.contains(&took)), "{lines:#?}");
                }
            }
        }
        fits(&comparison(&any.models(), 80, Ink::Plain), 80)?;
    }
}
