//! Reports as JSON: the last line of `sockeye bench --json`.

use std::collections::BTreeMap;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde_json::{Map, Value, json};

use super::{Datagrams, Report};
use crate::error::ErrorKind;
use crate::plan::Pace;

impl Report {
    /// The report as one object; its fields are told in docs/json.md.
    pub fn json(&self) -> Value {
        let plan = &self.plan;
        let (pace, rate) = match plan.pace {
            Pace::Closed => ("closed", Value::Null),
            Pace::Open { per_second } => ("open", json!(per_second)),
        };
        json!({
            "begun": self.begun,
            "requests": self.requests,
            "requests_per_second": rounded(self.rate()),
            "latency_us": latency(&self.latency),
            "errors": self.failed(),
            "errors_by_kind": kinds(&self.errors),
            "connection_errors": self.connection_errors.values().sum::<u64>(),
            "connection_errors_by_kind": kinds(&self.connection_errors),
            "warmup": {
                "errors": self.warmup.errors.values().sum::<u64>(),
                "errors_by_kind": kinds(&self.warmup.errors),
                "connection_errors": self.warmup.connection_errors.values().sum::<u64>(),
                "connection_errors_by_kind": kinds(&self.warmup.connection_errors),
            },
            "error_examples": examples(&self.examples),
            "loop": pace,
            "rate_intended": rate,
            "own_delay_us": self.own_delay.as_ref().map(latency),
            "seconds": seconds(self.elapsed),
            "cpu_seconds": seconds(self.cpu),
            "bytes_sent": self.bytes_out,
            "bytes_received": self.bytes_in,
            "datagrams": self.datagrams.map(datagrams),
            "whole_run": {
                "requests": self.whole.requests,
                "connections": self.whole.connections,
                "bytes_sent": self.whole.bytes_out,
                "bytes_received": self.whole.bytes_in,
            },
            "series": self.series.iter().map(|second| json!({
                "requests": second.requests,
                "errors": second.errors,
                "p50_us": micros(second.p50_ns),
                "p99_us": micros(second.p99_ns),
                "max_us": micros(second.max_ns),
            })).collect::<Vec<_>>(),
            "stopped": self.stopped,
            "endpoint": plan.endpoint.to_string(),
            "connections": plan.connections,
            "size": plan.size,
            "depth": plan.depth_that_holds(),
            "churn": plan.churn,
            "verify": plan.verify.name(),
            "workers": plan.workers,
        })
    }
}

/// Percentiles in microseconds; all null where nothing was answered.
pub(crate) fn latency(of: &Histogram<u64>) -> Value {
    let at = |quantile: f64| match of.is_empty() {
        true => Value::Null,
        false => micros(of.value_at_quantile(quantile)),
    };
    let whole = |value: u64| if of.is_empty() { Value::Null } else { micros(value) };
    json!({
        "min": whole(of.min()),
        "mean": if of.is_empty() { Value::Null } else { rounded(of.mean() / 1000.0) },
        "p50": at(0.5),
        "p90": at(0.9),
        "p99": at(0.99),
        "p999": at(0.999),
        "p9999": at(0.9999),
        "max": whole(of.max()),
    })
}

/// What became of datagrams.
pub(crate) fn datagrams(of: Datagrams) -> Value {
    json!({
        "sent": of.sent,
        "received": of.received,
        "lost": of.lost,
        "duplicates": of.duplicates,
        "reordered": of.reordered,
        "dropped_here": of.dropped_here,
        "jitter_us": of.jitter.as_nanos() as f64 / 1000.0,
    })
}

/// Errors by the names of their kinds.
pub(crate) fn kinds(of: &BTreeMap<ErrorKind, u64>) -> Value {
    of.iter()
        .map(|(kind, count)| (kind.name().to_owned(), json!(count)))
        .collect::<Map<_, _>>()
        .into()
}

/// The first error of each kind, by the names of the kinds.
pub(crate) fn examples(of: &BTreeMap<ErrorKind, String>) -> Value {
    of.iter()
        .map(|(kind, text)| (kind.name().to_owned(), json!(text)))
        .collect::<Map<_, _>>()
        .into()
}

/// Seconds, to the microsecond.
pub(crate) fn seconds(span: Duration) -> Value {
    json!(span.as_micros() as f64 / 1e6)
}

fn micros(nanoseconds: u64) -> Value {
    json!(nanoseconds as f64 / 1000.0)
}

/// A figure to a tenth.
pub(crate) fn rounded(value: f64) -> Value {
    json!((value * 10.0).round() / 10.0)
}
