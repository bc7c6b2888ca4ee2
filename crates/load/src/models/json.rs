//! A comparison as JSON: the last line of `sockeye bench models --json`.

use serde_json::{Map, Value, json};

use super::{Comparison, Figures, Idle, Sample};

impl Comparison {
    /// The comparison as one object; its fields are told in docs/json.md.
    pub fn json(&self) -> Value {
        let models = self.models.iter().map(|figures| (figures.model.clone(), figures.json()));
        json!({
            "service": self.service,
            "connections": self.connections,
            "size": self.size,
            "seconds": self.duration.as_secs_f64(),
            "rounds": self.rounds,
            "server_core": self.pinned.map(|(server, _)| server),
            "load_core": self.pinned.map(|(_, load)| load),
            "models": models.collect::<Map<_, _>>(),
            "advice": self.advice(),
            "stopped": self.stopped,
        })
    }
}

impl Figures {
    fn json(&self) -> Value {
        json!({ "long": self.long.json(), "short": self.short.json(), "idle": self.idle.json() })
    }
}

impl Sample {
    /// The figures of one run.
    pub fn json(&self) -> Value {
        let micros = |nanoseconds: Option<f64>| nanoseconds.map(|ns| rounded(ns / 1000.0));
        json!({
            "requests_per_second": rounded(self.rate),
            "latency_us": {
                "p50": micros(self.p50),
                "p99": micros(self.p99),
                "p999": micros(self.p999),
            },
            "cpu_us_per_request": micros(self.cpu),
            "voluntary_switches_per_request": self.voluntary.map(rounded),
            "involuntary_switches_per_request": self.involuntary.map(rounded),
            "errors": self.errors,
            "unanswered": self.unanswered,
        })
    }
}

impl Idle {
    fn json(&self) -> Value {
        json!({
            "connections": self.connections,
            "served": self.served,
            "memory_per_connection": self.memory.map(f64::round),
            "descriptors": self.descriptors,
            "threads": self.threads,
            "processes": self.processes,
        })
    }
}

/// To a thousandth: what is beyond is noise.
fn rounded(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}
