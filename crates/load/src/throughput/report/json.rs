//! A report of bulk data as JSON: the last line of `sockeye bench throughput --json`.

use serde_json::{Value, json};

use super::ThroughputReport;
use crate::report::json::{datagrams, examples, kinds, rounded, seconds};

impl ThroughputReport {
    /// The report as one object; its fields are told in docs/json.md.
    pub fn json(&self) -> Value {
        let plan = &self.plan;
        let total = |bytes: fn(&super::StreamFigures) -> u64| -> u64 {
            self.streams.iter().map(bytes).sum()
        };
        json!({
            "direction": plan.direction.name(),
            "bytes_up": total(|stream| stream.bytes_up),
            "bytes_down": total(|stream| stream.bytes_down),
            "bytes_per_second_up": rounded(self.up()),
            "bytes_per_second_down": rounded(self.down()),
            "seconds": seconds(self.elapsed),
            "streams": self.streams.iter().map(|stream| json!({
                "bytes_up": stream.bytes_up,
                "bytes_down": stream.bytes_down,
            })).collect::<Vec<_>>(),
            "series": self.series.iter().map(|second| json!({
                "bytes_up": second.bytes_up,
                "bytes_down": second.bytes_down,
            })).collect::<Vec<_>>(),
            "datagrams": self.datagrams.map(datagrams),
            "errors": self.errors.values().sum::<u64>(),
            "errors_by_kind": kinds(&self.errors),
            "error_examples": examples(&self.examples),
            "cpu_seconds": seconds(self.cpu),
            "stopped": self.stopped,
            "endpoint": plan.endpoint.to_string(),
            "size": plan.size,
            "rate_bits": plan.rate,
        })
    }
}
