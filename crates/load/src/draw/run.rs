//! The result of a run as lines for a terminal: it fits into 24 lines of 80 columns.

use std::collections::BTreeMap;

use super::ink::{Ink, Tone, parts, wrap};
use super::latency::{marks, plot};
use super::units;
use crate::error::ErrorKind;
use crate::plan::{Pace, Plan, Verify};
use crate::report::{Datagrams, Report};

/// How many lines the columns of the histogram take.
const ROWS: usize = 7;

/// How many errors are told with an example.
const EXAMPLES: usize = 2;

/// The result: what was run, the rate, what failed, latencies.
pub fn report(report: &Report, columns: usize, ink: Ink) -> Vec<String> {
    let mut lines = painted(&what(&report.plan, report), columns, Tone::Strong, ink);
    lines
        .extend(wrap(&pace(&report.plan), columns).iter().map(|line| ink.paint(Tone::Faint, line)));
    lines.push(String::new());
    lines.extend(rate(report, columns, ink));
    lines.extend(notes(report).iter().flat_map(|note| wrap(note, columns)));
    if let Some(fate) = fate_of_run(report) {
        lines.extend(parts(&fate, columns));
    }
    lines.extend(trouble(report, columns, ink));
    lines.push(String::new());
    lines.extend(percentiles(report, columns, ink));
    lines.extend(plot(&report.latency, columns, ROWS, ink));
    lines
}

/// Parts of a line, all in one tone.
pub(super) fn painted(of: &[String], columns: usize, tone: Tone, ink: Ink) -> Vec<String> {
    parts(of, columns).iter().map(|line| ink.paint(tone, line)).collect()
}

/// What was run, part by part.
pub(crate) fn what(plan: &Plan, report: &Report) -> Vec<String> {
    let things = if plan.endpoint.transport().is_stream() { "connection" } else { "socket" };
    let many = if plan.connections == 1 { "" } else { "s" };
    let how = match plan.churn {
        true => "a connection a request".into(),
        false => {
            plan.depth_that_holds().map_or("any depth".into(), |depth| format!("depth {depth}"))
        }
    };
    let (count, size) = (units::whole(plan.connections as u64), units::memory(plan.size as f64));
    vec![
        sockeye_net::shown::line(&plan.endpoint.to_string()),
        format!("{count} {things}{many} × {size}"),
        how,
        format!("{} s", units::digits(report.elapsed.as_secs_f64())),
    ]
}

/// Which loop it was, and what latency means there.
pub(crate) fn pace(plan: &Plan) -> String {
    match plan.pace {
        Pace::Closed => "closed loop: latency waits for the server".into(),
        Pace::Open { per_second } => format!(
            "open loop at {}/s: latency counts from the intended send time",
            units::whole(per_second)
        ),
    }
}

fn rate(report: &Report, columns: usize, ink: Ink) -> Vec<String> {
    let seconds = report.elapsed.as_secs_f64().max(1e-9);
    let bytes = |bytes: u64| units::rate(bytes as f64 / seconds);
    let moved = match report.bytes_in == report.bytes_out {
        true => format!("{} each way", bytes(report.bytes_in)),
        false => format!("{} out, {} in", bytes(report.bytes_out), bytes(report.bytes_in)),
    };
    let figure = units::whole(report.rate().round() as u64);
    let checked = checked(report.plan.verify);
    let mut told = vec![
        format!("{figure} requests/s"),
        format!("{} answered{checked}", units::whole(report.requests)),
        moved,
    ];
    told.extend(report.stopped.then(|| "stopped early".to_owned()));
    let mut lines = parts(&told, columns);
    if let Some(rest) = lines.first().and_then(|line| line.strip_prefix(&figure)) {
        lines[0] = format!("{}{rest}", ink.paint(Tone::Strong, &figure));
    }
    lines
}

pub(crate) fn checked(verify: Verify) -> &'static str {
    match verify {
        Verify::Upper | Verify::Echo => ", every byte checked",
        Verify::None => ", unchecked",
    }
}

/// What has to be known to read the figures aright.
pub(crate) fn notes(report: &Report) -> Vec<String> {
    let mut notes = Vec::new();
    if let Pace::Open { per_second } = report.plan.pace {
        let unsent = report.errors.get(&ErrorKind::Unsent).copied().unwrap_or(0);
        let (due, answered) = (report.begun + unsent, report.rate());
        let of = || {
            let answered = units::whole(answered.round() as u64);
            format!("{answered}/s of {}/s", units::whole(per_second))
        };
        if due == 0 {
            notes.push("Nothing was due in the measured time: raise --rate or --duration.".into());
        } else if unsent as f64 > due as f64 * 0.01 {
            notes.push(format!("Reached {}: it did not keep up.", of()));
        } else if (report.requests as f64) < report.begun as f64 * 0.99 {
            notes.push(format!("The rate was held; {} were answered.", of()));
        }
    }
    let late = report.own_delay.as_ref().filter(|late| !late.is_empty());
    if let Some(late) = late.map(|late| late.value_at_percentile(99.0)).filter(|p99| *p99 >= LATE) {
        let late = units::time(late);
        notes.push(format!("The load itself was late by {late} (p99): part of this is ours."));
    }
    let used = report.cpu.as_secs_f64() / report.elapsed.as_secs_f64().max(1e-9);
    if used >= report.plan.workers as f64 * 0.97 && report.plan.pace == Pace::Closed {
        notes
            .push("The load took all of its processor time: more --workers may drive more.".into());
    }
    notes
}

/// How late the load may be, in nanoseconds, before it is told: a millisecond.
const LATE: u64 = 1_000_000;

/// What became of the datagrams of a run. Unlike its requests and errors those of the warm-up count as
/// well, and that is said.
pub(crate) fn fate_of_run(report: &Report) -> Option<Vec<String>> {
    let mut told = fate(report.datagrams.as_ref()?);
    if !report.plan.warmup.is_zero() {
        told[0] += " (with the warm-up)";
    }
    Some(told)
}

/// What became of datagrams, part by part.
pub(crate) fn fate(datagrams: &Datagrams) -> Vec<String> {
    let Datagrams { sent, received, lost, duplicates, reordered, jitter, dropped_here } =
        *datagrams;
    let share = if sent > 0 { units::share(lost as f64 / sent as f64) } else { "–".into() };
    let ours = match dropped_here {
        0 => String::new(),
        dropped => format!(", {} of them for want of room here", units::whole(dropped)),
    };
    let (sent, received) = (units::short(sent as f64), units::short(received as f64));
    vec![
        format!("{sent} sent, {received} came"),
        format!("{} lost ({share}){ours}", units::whole(lost)),
        format!("{} late", units::whole(reordered)),
        format!("{} twice", units::whole(duplicates)),
        format!("jitter {}", units::time(u64::try_from(jitter.as_nanos()).unwrap_or(u64::MAX))),
    ]
}

/// A kind of thing that fails: how many of it are said, how one is, and how often it was by why.
pub(crate) type Failed<'a> = (&'static str, &'static str, &'a BTreeMap<ErrorKind, u64>);

/// What failed of a run: requests, connections, and apart from both the same of the warm-up.
fn trouble(report: &Report, columns: usize, ink: Ink) -> Vec<String> {
    let [requests, connections] = failed(report);
    let mut told = vec![("", requests), ("", connections)];
    if !report.warmup.is_empty() {
        let when = before(report);
        told.push((when, ("error", "errors", &report.warmup.errors)));
        told.push((when, (connections.0, connections.1, &report.warmup.connection_errors)));
    }
    told.retain(|(_, (_, _, errors))| !errors.is_empty());
    let mut lines = match told.is_empty() || told.iter().any(|(when, _)| when.is_empty()) {
        true => Vec::new(),
        false => vec!["no errors in the measured time".into()],
    };
    lines.extend(errors(&told, &report.examples, columns, ink));
    lines
}

/// The two kinds of things that fail in the measured time.
pub(crate) fn failed(report: &Report) -> [Failed<'_>; 2] {
    let (one, many) = match report.plan.endpoint.transport().is_stream() {
        true => ("connection failed", "connections failed"),
        false => ("error of no request", "errors of no request"),
    };
    [("error", "errors", &report.errors), (one, many, &report.connection_errors)]
}

/// What came before the measured time.
pub(crate) fn before(report: &Report) -> &'static str {
    if report.plan.warmup.is_zero() { "while connecting: " } else { "in the warm-up: " }
}

/// Errors by kind, the most frequent first, each line with when they were before it; and what the
/// first ones said.
pub(crate) fn errors(
    told: &[(&str, Failed<'_>)],
    examples: &BTreeMap<ErrorKind, String>,
    columns: usize,
    ink: Ink,
) -> Vec<String> {
    if told.is_empty() {
        return vec!["no errors".into()];
    }
    let mut lines = Vec::new();
    let mut kinds: Vec<ErrorKind> = Vec::new();
    for (when, (one, many, errors)) in told {
        let text = format!("{when}{}", sentence(one, many, errors));
        lines.extend(wrap(&text, columns).iter().map(|line| ink.paint(Tone::Hot, line)));
        let more = by_count(errors).into_iter().map(|(kind, _)| kind);
        kinds.extend(more.filter(|kind| !kinds.contains(kind)).collect::<Vec<_>>());
    }
    let said = kinds.iter().filter_map(|kind| examples.get(kind)).take(EXAMPLES);
    // Whole: what to do stands at the end.
    lines.extend(said.flat_map(|text| {
        let text = wrap(&sockeye_net::shown::line(text), columns.saturating_sub(2));
        text.into_iter().map(|line| ink.paint(Tone::Faint, &format!("  {line}")))
    }));
    lines
}

/// How many, and by why.
pub(crate) fn sentence(one: &str, many: &str, errors: &BTreeMap<ErrorKind, u64>) -> String {
    let kinds = by_count(errors);
    let told: Vec<String> =
        kinds.iter().map(|(kind, count)| format!("{kind} {}", units::whole(*count))).collect();
    let sum = kinds.iter().map(|(_, count)| count).sum();
    let noun = if sum == 1 { one } else { many };
    format!("{} {noun}: {}", units::whole(sum), told.join(", "))
}

pub(crate) fn by_count(errors: &BTreeMap<ErrorKind, u64>) -> Vec<(ErrorKind, u64)> {
    let mut kinds: Vec<_> = errors.iter().map(|(kind, count)| (*kind, *count)).collect();
    kinds.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    kinds
}

/// The percentiles side by side.
fn percentiles(report: &Report, columns: usize, ink: Ink) -> Vec<String> {
    let marks = marks(&report.latency);
    if marks.is_empty() {
        return Vec::new();
    }
    let cell = (columns / (marks.len() + 1)).clamp(8, 11);
    let [mut names, mut values] = ["", "latency"].map(|text| format!("{text:<9}"));
    for (name, value) in marks {
        names.push_str(&format!("{name:>cell$}"));
        let value = units::time(value);
        let value = super::ink::right(&value, cell);
        values.push_str(&ink.paint(Tone::Strong, &value));
    }
    vec![ink.paint(Tone::Faint, &names), values]
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use hdrhistogram::Histogram;

    use super::*;
    use crate::draw::ink::width;
    use crate::report::{Second, Whole};

    /// A result as it may be.
    pub(crate) fn usual() -> Report {
        let mut latency = Histogram::new(3).unwrap();
        for step in 0..100_000u64 {
            let near = 200_000 + (step * 7919) % 90_000;
            let slow = if step % 100 == 0 { 300_000 + step * 8 } else { 0 };
            let tail = if step % 9_000 == 0 { 3_000_000 + step * 50 } else { 0 };
            latency.record(near + slow + tail).unwrap();
        }
        let second = |number: u64| Second {
            requests: 9_900 + number * 37 % 300,
            errors: 0,
            p50_ns: 245_000 + number * 1_300 % 9_000,
            p99_ns: 400_000 + number * 91_000 % 190_000,
            max_ns: 8_000_000,
        };
        let plan = Plan {
            duration: Duration::from_secs(10),
            ..Plan::new("tcp://127.0.0.1:9000".parse().unwrap())
        };
        Report {
            plan,
            elapsed: Duration::from_secs(10),
            begun: 100_000,
            requests: 100_000,
            bytes_out: 6_400_000,
            bytes_in: 6_400_000,
            latency,
            errors: BTreeMap::new(),
            connection_errors: BTreeMap::new(),
            warmup: Default::default(),
            examples: BTreeMap::new(),
            series: (0..10).map(second).collect(),
            own_delay: None,
            datagrams: None,
            whole: Whole::default(),
            cpu: Duration::from_secs(5),
            stopped: false,
        }
    }

    /// B1: the usual result fits into 24 lines of 80 columns, and says what it is.
    #[test]
    fn fits() {
        let lines = report(&usual(), 80, Ink::Plain);
        let text = lines.join("\n");
        assert!(lines.len() <= 22, "{}: {text}", lines.len());
        assert!(lines.iter().all(|line| width(line) <= 80), "{text}");
        assert_eq!(lines[0], "tcp://127.0.0.1:9000 · 50 connections × 64 B · depth 1 · 10.0 s");
        assert_eq!(lines[1], "closed loop: latency waits for the server");
        assert_eq!(
            lines[3],
            "10,000 requests/s · 100,000 answered, every byte checked · 640 kB/s each way"
        );
        assert_eq!(lines[4], "no errors");
        assert!(lines[6].ends_with("max") && lines[7].starts_with("latency "), "{text}");
        assert!(text.contains("▲p50") && text.contains('█'), "{text}");
    }

    /// B1, B2: what failed is told by kind, with the reason; a rate that was not reached is said.
    #[test]
    fn trouble() {
        let mut told = usual();
        told.plan.pace = Pace::Open { per_second: 50_000 };
        told.errors.extend([(ErrorKind::Reset, 2), (ErrorKind::Timeout, 1_200)]);
        told.errors.insert(ErrorKind::Unsent, 400_000);
        told.examples.insert(ErrorKind::Reset, "the peer \x1b[2J reset it".into());
        let mut late = Histogram::new(3).unwrap();
        late.record(30_000_000).unwrap();
        told.own_delay = Some(late);
        let fate = Datagrams { sent: 1000, received: 990, lost: 10, ..Default::default() };
        told.datagrams = Some(fate);
        let lines = report(&told, 80, Ink::Plain);
        let text = lines.join("\n");
        assert!(lines.len() <= 24 && lines.iter().all(|line| width(line) <= 80), "{text}");
        for said in [
            "open loop at 50,000/s: latency counts from the intended send time",
            "Reached 10,000/s of 50,000/s",
            "late by 30.0 ms",
            "401,202 errors: unsent 400,000, timeout 1,200, reset 2",
            "1.00 k sent, 990 came (with the warm-up) · 10 lost (1.00 %) · 0 late · 0 twice",
        ] {
            assert!(text.contains(said), "{said:?} in {text}");
        }
        assert!(!text.contains('\x1b'), "{text:?}");
        told.plan.warmup = Duration::ZERO;
        let text = report(&told, 80, Ink::Plain).join("\n");
        assert!(text.contains("990 came · 10 lost"), "{text}");
        told.datagrams = Some(Datagrams { dropped_here: 7, ..fate });
        let text = report(&told, 80, Ink::Plain).join("\n");
        assert!(text.contains("10 lost (1.00 %), 7 of them for want of room here"), "{text}");
    }

    /// B1: requests, connections and the warm-up are told apart, and the reason of each kind once; a
    /// measured time without errors says no more than that.
    #[test]
    fn apart() {
        let mut told = usual();
        told.connection_errors.insert(ErrorKind::Refused, 3);
        told.warmup.errors.insert(ErrorKind::Reset, 1);
        told.warmup.connection_errors.insert(ErrorKind::Refused, 2);
        told.examples.insert(ErrorKind::Refused, "nothing listens there".into());
        let said = |told: &Report| report(told, 80, Ink::Plain)[4..].join("\n");
        let text = said(&told);
        let lines = "3 connections failed: refused 3\nin the warm-up: 1 error: reset 1\nin the \
                     warm-up: 2 connections failed: refused 2\n  nothing listens there\n\n";
        assert!(text.starts_with(lines), "{text}");
        told.connection_errors.clear();
        let text = said(&told);
        assert!(text.starts_with("no errors in the measured time\nin the warm-up: 1 e"), "{text}");
        told.plan.warmup = Duration::ZERO;
        assert!(said(&told).contains("while connecting: 2 connections failed"), "{told:?}");
        told.plan.endpoint = "udp://127.0.0.1:9".parse().unwrap();
        assert!(said(&told).contains("2 errors of no request: refused 2"), "{told:?}");
    }

    /// B1, B2: a rate that was held, where answers are missing, is told from one that was not.
    #[test]
    fn held() {
        let mut told = usual();
        told.plan.pace = Pace::Open { per_second: 10_000 };
        assert_eq!(notes(&told), [""; 0]);
        told.requests = 90_000;
        assert_eq!(notes(&told), ["The rate was held; 9,000/s of 10,000/s were answered."]);
        told.begun = 95_000;
        told.errors.insert(ErrorKind::Unsent, 5_000);
        assert_eq!(notes(&told), ["Reached 9,000/s of 10,000/s: it did not keep up."]);
        told.errors.clear();
        (told.begun, told.requests) = (0, 0);
        let said = ["Nothing was due in the measured time: raise --rate or --duration."];
        assert_eq!(notes(&told), said);
        told.plan.endpoint = "udp://127.0.0.1:9".parse().unwrap();
        assert!(what(&told.plan, &told).concat().contains("any depth"));
    }

    /// B1: nothing answered is no reason to panic.
    #[test]
    fn nothing() {
        let empty = Report {
            requests: 0,
            latency: Histogram::new(3).unwrap(),
            series: Vec::new(),
            elapsed: Duration::ZERO,
            ..usual()
        };
        let text = report(&empty, 80, Ink::Plain).join("\n");
        assert!(text.contains("0 requests/s") && text.contains("nothing was answered"), "{text}");
    }
}
