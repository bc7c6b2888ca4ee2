//! The pages of the three kinds of results.

use super::chart::{Beam, Line, comparison as beams, distribution, over_time, percentiles};
use super::{Card, Chart, Page, Part};
use crate::draw::ink::DOT;
use crate::draw::latency::marks;
use crate::draw::{bulk, compared, run, units};
use crate::models::{Comparison, Figures};
use crate::report::Report;
use crate::throughput::ThroughputReport;

/// What is said of a page besides its result.
#[derive(Debug, Clone, Default)]
pub struct Made {
    /// The command that made it.
    pub command: String,
    /// When, and with which version.
    pub when: String,
}

impl Made {
    fn page(self, title: &str, subtitle: &[String], parts: Vec<Part>) -> Page {
        let (made, subtitle) = (self.when, subtitle.join(DOT));
        Page { title: title.into(), subtitle, command: self.command, made, parts }
    }
}

/// The page of a run.
pub fn report(report: &Report, made: Made) -> Page {
    let mut subtitle = run::what(&report.plan, report);
    subtitle.push(run::pace(&report.plan));
    let marks = marks(&report.latency);
    let mark = |name: &str| marks.iter().find(|(mark, _)| *mark == name).map(|(_, value)| *value);
    let time = |name: &str| mark(name).map_or("–".into(), units::time);
    let answered =
        format!("{} answered{}", units::whole(report.requests), run::checked(report.plan.verify));
    let kinds = |errors| {
        let kinds = run::by_count(errors);
        let kinds: Vec<String> = kinds.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
        kinds.join(", ")
    };
    let mut cards = vec![
        card("requests a second", units::whole(report.rate().round() as u64), answered),
        card("p50", time("p50"), "half are faster".into()),
        card("p99", time("p99"), "1 in 100 is slower".into()),
        card("p99.9", time("p99.9"), "1 in 1,000 is slower".into()),
        card("slowest", time("max"), String::new()),
        card("errors", units::whole(report.failed()), kinds(&report.errors)),
    ];
    let [_, (_, apart, errors)] = run::failed(report);
    if !errors.is_empty() {
        cards.push(card(apart, units::whole(errors.values().sum()), kinds(errors)));
    }
    let mut parts = vec![Part::Cards(cards)];
    parts.extend(run::notes(report).into_iter().map(Part::Text));
    parts.extend(run::fate_of_run(report).map(|fate| Part::Text(fate.join(DOT))));
    let charts = [distribution(&report.latency), percentiles(&report.latency)];
    let charts: Vec<Chart> = charts.into_iter().flatten().chain(series(report)).collect();
    parts.push(Part::Charts(charts));
    let rows = marks.iter().map(|(name, value)| {
        let above = match *name {
            "max" => 0,
            _ => report.latency.len() - report.latency.count_between(0, *value),
        };
        vec![(*name).to_owned(), units::time(*value), units::whole(above)]
    });
    parts.push(Part::Table(
        "Latency".into(),
        words(&["percentile", "within", "slower requests"]),
        rows.collect(),
    ));
    if !report.examples.is_empty() {
        let head = words(&["what", "kind", "how many", "the first one"]);
        parts.push(Part::Table("Errors".into(), head, errors_of(report)));
    }
    made.page("Load", &subtitle, parts)
}

/// Each kind of error of each kind of thing, with the first of its kind.
fn errors_of(report: &Report) -> Vec<Vec<String>> {
    let [requests, (_, apart, errors)] = run::failed(report);
    let before = run::before(report);
    let all = [
        ("requests".to_owned(), requests.2),
        (apart.to_owned(), errors),
        (format!("{before}requests"), &report.warmup.errors),
        (format!("{before}{apart}"), &report.warmup.connection_errors),
    ];
    let rows = all.iter().flat_map(|(what, errors)| {
        run::by_count(errors).into_iter().map(move |(kind, count)| {
            let said = report.examples.get(&kind).map_or("", String::as_str);
            vec![what.clone(), kind.to_string(), units::whole(count), said.to_owned()]
        })
    });
    rows.collect()
}

/// The rate and latencies second by second. A last second that is hardly one is left out.
fn series(report: &Report) -> Vec<Chart> {
    let last = report.elapsed.as_secs_f64() - report.series.len().saturating_sub(1) as f64;
    let whole = match report.series.len() {
        0 | 1 => report.series.len(),
        seconds if last < 0.5 => seconds - 1,
        seconds => seconds,
    };
    let seconds = &report.series[..whole];
    let length = |at: usize| match at + 1 == report.series.len() {
        true => last.clamp(0.001, 1.0),
        false => 1.0,
    };
    let rates = seconds.iter().enumerate();
    let rates = rates.map(|(at, second)| Some(second.requests as f64 / length(at))).collect();
    let of = |figure: fn(&crate::Second) -> u64| -> Vec<Option<f64>> {
        let some = |second| Some(figure(second)).filter(|ns| *ns > 0).map(|ns| ns as f64);
        seconds.iter().map(some).collect()
    };
    let line = |name: &str, series, values| Line { name: name.into(), series, values };
    let rate = over_time("Requests a second", "", &[line("rate", 3, rates)], units::short);
    let latencies =
        [line("p50", 3, of(|second| second.p50_ns)), line("p99", 2, of(|second| second.p99_ns))];
    let latency = over_time("Latency over time", "", &latencies, |ns| units::round_time(ns as u64));
    rate.into_iter().chain(latency).collect()
}

/// The page of bulk data.
pub fn throughput(report: &ThroughputReport, made: Made) -> Page {
    let directions = bulk::directions(report);
    let rates = directions.iter();
    let rates = rates.map(|(name, rate)| card(name, units::bits(*rate), units::rate(*rate)));
    let mut cards: Vec<Card> = rates.collect();
    if let Some(datagrams) = &report.datagrams {
        let share = datagrams.lost as f64 / datagrams.sent.max(1) as f64;
        let jitter = u64::try_from(datagrams.jitter.as_nanos()).unwrap_or(u64::MAX);
        let of = format!("{} of {}", units::whole(datagrams.lost), units::whole(datagrams.sent));
        cards.push(card("lost", units::share(share), of));
        cards.push(card("out of order", units::whole(datagrams.reordered), String::new()));
        cards.push(card("jitter", units::time(jitter), "RFC 3550".into()));
    }
    let errors: u64 = report.errors.values().sum();
    cards.push(card("errors", units::whole(errors), String::new()));
    let bits = |bytes: u64| Some(bytes as f64 * 8.0);
    let up = report.series.iter().map(|second| bits(second.bytes_up)).collect();
    let down = report.series.iter().map(|second| bits(second.bytes_down)).collect();
    let all = [("up", 1, up), ("down", 3, down)];
    let shown = all.into_iter().filter(|(name, ..)| directions.iter().any(|(way, _)| way == name));
    let lines: Vec<Line> =
        shown.map(|(name, series, values)| Line { name: name.into(), series, values }).collect();
    let mut charts: Vec<Chart> =
        over_time("Rate over time", "", &lines, |bits| units::bits(bits / 8.0))
            .into_iter()
            .collect();
    if report.streams.len() > 1 {
        let beam = |(number, stream)| {
            let rate = bulk::of_stream(report, stream);
            Beam {
                name: format!("stream {}", number + 1),
                series: 1,
                value: Some(rate),
                text: units::bits(rate),
            }
        };
        let streams: Vec<Beam> = report.streams.iter().enumerate().map(beam).collect();
        charts.push(beams("Streams", "", &streams));
    }
    let subtitle = bulk::what(&report.plan, report);
    made.page("Throughput", &subtitle, vec![Part::Cards(cards), Part::Charts(charts)])
}

/// The page of a comparison.
pub fn comparison(all: &Comparison, made: Made) -> Page {
    let mut parts = vec![Part::Text(all.advice())];
    let time = |ns: f64| units::time(ns as u64);
    let mut charts = Vec::new();
    for (title, of) in compared::loads() {
        charts.push(chart(
            all,
            &format!("Rate · {title}"),
            "Requests a second: more is better.",
            units::short,
            |model| Some(of(model).rate),
        ));
        charts.push(chart(
            all,
            &format!("p99 · {title}"),
            "One request in 100 is slower: less is better.",
            time,
            |model| of(model).p99,
        ));
    }
    charts.push(chart(
        all,
        "Processor time for a request",
        "Of the server, on connections that stay.",
        time,
        |model| model.long.cpu,
    ));
    charts.push(chart(
        all,
        "Switches for a request",
        "How often a thread of the server stopped, on \
        connections that stay.",
        units::digits,
        |model| model.long.switches(),
    ));
    charts.push(chart(
        all,
        "Memory of a silent connection",
        "Of the server; memory that processes \
        share counts once.",
        units::memory,
        |model| model.idle.memory.map(|bytes| bytes.max(0.0).round()),
    ));
    charts.push(chart(
        all,
        "Processor time for a short connection",
        "Connect, one request, close.",
        time,
        |model| model.short.cpu,
    ));
    parts.push(Part::Charts(charts));
    for (title, of) in compared::loads() {
        let rows = all.models.iter().map(|model| compared::load_row(model, of(model)));
        parts.push(Part::Table(capital(title), words(&compared::LOAD), rows.collect()));
    }
    let rows = all.models.iter().map(compared::idle_row);
    parts.push(Part::Table(compared::silent(all), words(&compared::IDLE), rows.collect()));
    made.page(&compared::what(all).join(DOT), &compared::how(all), parts)
}

fn chart(
    all: &Comparison,
    title: &str,
    note: &str,
    unit: fn(f64) -> String,
    figure: impl Fn(&Figures) -> Option<f64>,
) -> Chart {
    let beam = |(number, model): (usize, &Figures)| {
        let value = figure(model).filter(|value| value.is_finite());
        let text = value.map_or("–".into(), unit);
        Beam { name: model.model.clone(), series: number % 4, value, text }
    };
    let drawn: Vec<Beam> = all.models.iter().enumerate().map(beam).collect();
    beams(title, note, &drawn)
}

fn card(name: &str, value: String, note: String) -> Card {
    Card { name: name.into(), value, note }
}

fn words(all: &[&str]) -> Vec<String> {
    all.iter().map(ToString::to_string).collect()
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::draw::{bulk, compared, run};
    use crate::error::ErrorKind;
    use crate::throughput::Direction;

    fn made() -> Made {
        Made { command: "sockeye bench '<b>'".into(), when: "2026-01-01".into() }
    }

    /// B1, B3, B4: each page loads nothing, and has its figures, charts and command.
    #[test]
    fn pages() {
        let mut failed = run::tests::usual();
        failed.errors.insert(ErrorKind::Reset, 3);
        failed.examples.insert(ErrorKind::Reset, "<script>evil()</script>".into());
        let bulk = bulk::tests::usual("9000", Direction::Both, 3);
        let all = [
            (report(&failed, made()).html(), 4, "10,000"),
            (throughput(&bulk, made()).html(), 2, "18.0 Gbit/s"),
            (comparison(&compared::tests::usual(), made()).html(), 8, "take event"),
        ];
        for (html, charts, figure) in all {
            assert_eq!(html.matches("<svg").count(), charts);
            assert_eq!(html.matches("<svg").count(), html.matches("</svg>").count());
            assert!(html.contains(figure), "{figure}");
            assert!(html.contains("sockeye bench &#39;&lt;b&gt;&#39;"), "the command");
            for word in ["http://", "https://", "src=", "url(", "evil()</script>", "NaN"] {
                assert!(!html.contains(word), "{word}");
            }
        }
    }

    /// B1: a last second that is hardly one does not look like a fall of the rate.
    #[test]
    fn last_second() {
        let mut short = run::tests::usual();
        short.elapsed = std::time::Duration::from_millis(9_100);
        assert!(!series(&short)[0].svg.contains("second 10:"));
        short.elapsed = std::time::Duration::from_millis(9_600);
        short.series[9].requests = 6_000;
        assert!(
            series(&short)[0].svg.contains("second 10: rate 10.0 k"),
            "{}",
            series(&short)[0].svg
        );
    }
}
