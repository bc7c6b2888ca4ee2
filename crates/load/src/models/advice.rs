//! Which model suits what, in words that follow from the figures and from nothing else.

use super::{Comparison, Figures, Sample};
use crate::draw::units;

/// How much better a figure has to be to count as better: less is noise of a shared machine.
const CLEAR: f64 = 1.05;

/// A comparison of a few figures by one of them.
struct Ranking<'a> {
    /// From the best to the worst.
    order: Vec<(&'a str, f64)>,
    /// Whether more is better.
    more: bool,
}

impl<'a> Ranking<'a> {
    fn of(
        models: impl Iterator<Item = &'a Figures>,
        more: bool,
        figure: impl Fn(&Figures) -> Option<f64>,
    ) -> Ranking<'a> {
        let known = models.filter_map(|model| Some((model.model.as_str(), figure(model)?)));
        let mut order: Vec<_> = known.filter(|(_, value)| value.is_finite()).collect();
        order.sort_by(|a, b| if more { b.1.total_cmp(&a.1) } else { a.1.total_cmp(&b.1) });
        Ranking { order, more }
    }

    /// How many times as good the first is.
    fn ahead(&self, first: f64, other: f64) -> f64 {
        let (above, below) = if self.more { (first, other) } else { (other, first) };
        if below > 0.0 { above / below } else { f64::INFINITY }
    }

    /// The best, and those that are no worse but for noise.
    fn best(&self) -> Vec<&'a str> {
        let Some(first) = self.order.first() else { return Vec::new() };
        let equal = |value: f64| self.ahead(first.1, value) < CLEAR || value == first.1;
        self.order.iter().filter(|(_, value)| equal(*value)).map(|(name, _)| *name).collect()
    }

    /// The last one, and how many times as good the first is, where that is clear.
    fn worst(&self) -> Option<(&'a str, f64)> {
        let (first, last) = (self.order.first()?, self.order.last()?);
        let ahead = self.ahead(first.1, last.1);
        (ahead.is_finite() && ahead >= CLEAR).then_some((last.0, ahead))
    }

    fn value(&self, name: &str) -> Option<f64> {
        self.order.iter().find(|(other, _)| *other == name).map(|(_, value)| *value)
    }
}

impl Comparison {
    /// One paragraph that says which model suits what here, from the figures alone.
    pub fn advice(&self) -> String {
        let said = [
            self.starved(),
            self.loaded("Many connections that stay", true, |model| &model.long),
            self.loaded("A connection for each request", false, |model| &model.short),
            self.tail(),
            self.work(),
            self.idle(),
            self.choice(),
        ];
        let said: Vec<String> = said.into_iter().flatten().collect();
        match said.is_empty() {
            true => "Nothing was answered, so nothing follows.".into(),
            false => said.join(" "),
        }
    }

    /// Models that leave connections waiting while they serve others.
    fn starved(&self) -> Option<String> {
        let starving: Vec<&Figures> = self.models.iter().filter(|model| waits(model)).collect();
        let names: Vec<&str> = starving.iter().map(|model| model.model.as_str()).collect();
        let idle = starving.first()?.idle;
        let (verb, whose) = if names.len() == 1 { ("leaves", "its") } else { ("leave", "their") };
        Some(format!(
            "{} {verb} connections waiting while others stay ({} of {} silent ones were answered), so \
             {whose} figures there are those of the few that it serves.",
            capital(&list(&names)),
            idle.served,
            idle.connections
        ))
    }

    /// Who is fastest under one load.
    fn loaded(&self, what: &str, stay: bool, of: fn(&Figures) -> &Sample) -> Option<String> {
        let fit = self.models.iter().filter(|model| !(stay && waits(model)));
        let ranking = Ranking::of(fit, true, |model| positive(of(model).rate));
        let best = ranking.best();
        let rate = ranking.value(best.first()?)?;
        let mut text = format!("{what}: {} ", list(&best));
        text.push_str(match (best.len(), ranking.order.len()) {
            (1, 1) => "is the only one that serves them all",
            (1, _) => "is fastest",
            (some, all) if some == all => "are equally fast",
            _ => "are fastest, and equal but for noise",
        });
        text.push_str(&format!(" ({} requests a second)", units::short(rate)));
        if let Some((last, ahead)) = ranking.worst() {
            text.push_str(&format!(", {} × the rate of {last}", units::digits(ahead)));
        }
        text.push('.');
        Some(text)
    }

    /// Whose slowest answers are quickest, where that is another than the fastest.
    fn tail(&self) -> Option<String> {
        let fit = || self.models.iter().filter(|model| !waits(model));
        let tail = Ranking::of(fit(), false, |model| model.long.p99.and_then(positive));
        let rate = Ranking::of(fit(), true, |model| positive(model.long.rate));
        let (best, fastest) = (tail.best(), rate.best());
        if best.iter().any(|name| fastest.contains(name)) {
            return None;
        }
        let name = best.first()?;
        let time = units::time(tail.value(name)? as u64);
        Some(format!("The slowest one in a hundred is quickest under {name} (p99 {time})."))
    }

    /// Who takes least of the processor for a request.
    fn work(&self) -> Option<String> {
        let fit = self.models.iter().filter(|model| !waits(model));
        let ranking = Ranking::of(fit, false, |model| model.long.cpu.and_then(positive));
        let (last, ahead) = ranking.worst()?;
        let best = ranking.best();
        let time = units::time(ranking.value(best.first()?)? as u64);
        let verb = if best.len() == 1 { "takes" } else { "take" };
        Some(format!(
            "{} {verb} least processor time for a request ({time}); {last} takes {} × as much.",
            capital(&list(&best)),
            units::digits(ahead)
        ))
    }

    /// Who holds silent connections for least, and what ten thousand would take.
    fn idle(&self) -> Option<String> {
        const MANY: f64 = 10_000.0;
        let fit = self.models.iter().filter(|model| model.idle.served == model.idle.connections);
        let ranking = Ranking::of(fit, false, |model| model.idle.memory);
        let (first, last) = (ranking.order.first()?, ranking.order.last()?);
        let total = |bytes: f64| units::memory(bytes.max(0.0) * MANY);
        if first.0 == last.0 || ranking.ahead(first.1, last.1) < CLEAR {
            return None;
        }
        Some(format!(
            "10,000 silent connections would take about {} under {}, {} under {}.",
            total(first.1),
            first.0,
            total(last.1),
            last.0
        ))
    }

    /// What to take, by counting who leads.
    fn choice(&self) -> Option<String> {
        let all = || self.models.iter().filter(|model| !waits(model));
        let served = || all().filter(|model| model.idle.served == model.idle.connections);
        let leads = [
            Ranking::of(all(), true, |model| positive(model.long.rate)).best(),
            Ranking::of(all(), true, |model| positive(model.short.rate)).best(),
            Ranking::of(all(), false, |model| model.long.cpu.and_then(positive)).best(),
            Ranking::of(served(), false, |model| model.idle.memory).best(),
        ];
        let count = |name: &str| leads.iter().filter(|best| best.contains(&name)).count();
        let names = || all().map(|model| model.model.as_str());
        let most = names().map(count).max().filter(|most| *most > 0)?;
        let winners: Vec<&str> = names().filter(|name| count(name) == most).collect();
        let mut text = match winners.as_slice() {
            [only] => format!("So take {only} where nothing speaks against it"),
            several => format!("So there is little between {}", list(several)),
        };
        // Isolation is what the process model is for; here is what it costs.
        if let Some(price) = self.price(winners.first()?) {
            text.push_str(&format!(
                "; process, where one crash must not touch another connection, {price}"
            ));
        }
        text.push('.');
        Some(text)
    }

    /// What the process model costs against another one.
    fn price(&self, against: &str) -> Option<String> {
        let find = |name: &str| self.models.iter().find(|model| model.model == name);
        let (process, other) = (find("process")?, find(against)?);
        if process.model == other.model || waits(process) {
            return None;
        }
        let ratio = positive(process.long.rate)? / positive(other.long.rate)?;
        let memory = process.idle.memory.map(|bytes| units::memory(bytes.max(0.0)));
        let memory =
            memory.map_or(String::new(), |memory| format!(" and takes {memory} a connection"));
        Some(format!("gives {} × the rate of {against}{memory}", units::digits(ratio)))
    }
}

/// Whether most connections wait while others stay: seen with silent ones.
fn waits(model: &Figures) -> bool {
    model.idle.served * 2 < model.idle.connections
}

fn positive(value: f64) -> Option<f64> {
    (value > 0.0).then_some(value)
}

/// `a`, `a and b`, `a, b and c`.
fn list(names: &[&str]) -> String {
    match names {
        [] => String::new(),
        [only] => (*only).to_owned(),
        [most @ .., last] => format!("{} and {last}", most.join(", ")),
    }
}

fn capital(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or(String::new(), |first| first.to_uppercase().chain(letters).collect())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::Idle;
    use super::*;

    fn sample(rate: f64, cpu: f64) -> Sample {
        Sample {
            rate,
            p50: Some(200_000.0),
            p99: Some(50.0e9 / rate.max(1.0)),
            cpu: Some(cpu),
            ..Sample::default()
        }
    }

    fn model(name: &str, long: f64, short: f64, cpu: f64, memory: f64) -> Figures {
        let idle = Idle { connections: 200, served: 200, memory: Some(memory), ..Idle::default() };
        Figures { model: name.into(), long: sample(long, cpu), short: sample(short, cpu), idle }
    }

    fn comparison(models: Vec<Figures>) -> Comparison {
        Comparison {
            service: "upper".into(),
            connections: 50,
            size: 64,
            duration: Duration::from_secs(1),
            rounds: 3,
            pinned: Some((0, 1)),
            models,
            stopped: false,
        }
    }

    /// B3: with other figures another model is told, in every sentence.
    #[test]
    fn turns_round() {
        let one = comparison(vec![
            model("thread", 100_000.0, 10_000.0, 9_000.0, 20_000.0),
            model("process", 90_000.0, 5_000.0, 9_900.0, 300_000.0),
            model("event", 200_000.0, 20_000.0, 4_500.0, 700.0),
        ]);
        assert_eq!(
            one.advice(),
            "Many connections that stay: event is fastest (200 k requests a second), 2.22 × the rate \
             of process. A connection for each request: event is fastest (20.0 k requests a second), \
             4.00 × the rate of process. Event takes least processor time for a request (4.50 µs); \
             process takes 2.20 × as much. 10,000 silent connections would take about 6.68 MiB under \
             event, 2.79 GiB under process. So take event where nothing speaks against it; process, \
             where one crash must not touch another connection, gives 0.450 × the rate of event and \
             takes 293 KiB a connection."
        );
        let other = comparison(vec![
            model("thread", 100_000.0, 10_000.0, 9_000.0, 20_000.0),
            model("process", 300_000.0, 50_000.0, 1_000.0, 300.0),
            model("event", 200_000.0, 20_000.0, 4_500.0, 700.0),
        ]);
        let text = other.advice();
        for said in [
            "Many connections that stay: process is fastest (300 k requests a second), 3.00 × the \
             rate of thread.",
            "A connection for each request: process is fastest",
            "Process takes least processor time for a request (1.00 µs); thread takes 9.00 ×",
            "about 2.86 MiB under process, 191 MiB under thread.",
            "So take process where nothing speaks against it.",
        ] {
            assert!(text.contains(said), "{said:?} in {text:?}");
        }
    }

    /// B3: what lies within noise is told as equal.
    #[test]
    fn equals() {
        let text = comparison(vec![
            model("thread", 100_000.0, 10_000.0, 9_000.0, 1000.0),
            model("event", 103_000.0, 10_100.0, 9_100.0, 1010.0),
        ])
        .advice();
        assert!(text.contains("stay: event and thread are equally fast"), "{text}");
        assert!(text.ends_with("So there is little between thread and event."), "{text}");
        assert!(!text.contains("least processor time") && !text.contains("silent"), "{text}");
    }

    /// B3: a model that leaves connections waiting is told so, and is not the best for its figures.
    #[test]
    fn starving() {
        let mut iterative = model("iterative", 900_000.0, 8_000.0, 100.0, 1.0);
        iterative.idle.served = 1;
        let models = vec![iterative, model("event", 100_000.0, 10_000.0, 9_000.0, 1000.0)];
        let text = comparison(models).advice();
        assert!(
            text.starts_with("Iterative leaves connections waiting while others stay (1 of 200"),
            "{text}"
        );
        assert!(text.contains("event is the only one that serves them all"), "{text}");
        assert!(text.contains("So take event"), "{text}");
    }

    /// B3: who answers the slowest requests soonest is told where it is another than the fastest.
    #[test]
    fn tails() {
        let mut event = model("event", 200_000.0, 20_000.0, 4_500.0, 700.0);
        event.long.p99 = Some(3_000_000.0);
        let mut thread = model("thread", 100_000.0, 10_000.0, 9_000.0, 20_000.0);
        thread.long.p99 = Some(900_000.0);
        let text = comparison(vec![event, thread]).advice();
        assert!(text.contains("quickest under thread (p99 900 µs)"), "{text}");
    }

    /// B3: without figures nothing is claimed.
    #[test]
    fn nothing() {
        let empty = Figures {
            model: "event".into(),
            long: Sample::default(),
            short: Sample::default(),
            idle: Idle::default(),
        };
        assert_eq!(comparison(vec![]).advice(), "Nothing was answered, so nothing follows.");
        let text = comparison(vec![empty]).advice();
        assert!(!text.contains("NaN") && !text.contains("inf"), "{text}");
        assert!(!text.contains("fastest") && !text.contains("take event"), "{text}");
    }
}
