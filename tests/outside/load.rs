//! `sockeye bench ENDPOINT` and `bench throughput` against our own server: both count the same.

mod apart;
mod bulk;
mod counts;
mod usage;

use serde_json::Value;

use crate::harness::process::Output;
use crate::harness::{Server, run};

/// Runs `sockeye bench … --json`.
fn bench(words: &[&str]) -> Output {
    run(&[&["bench"], words, &["--json"]].concat(), b"")
}

/// The object at the end of what it wrote.
fn result(output: &Output) -> Value {
    let text = output.stdout_text();
    let last = text.lines().last().unwrap_or_else(|| panic!("nothing on stdout: {output:?}"));
    serde_json::from_str(last).unwrap_or_else(|error| panic!("{error}: {last}"))
}

/// A number of the result, by its place.
fn number(of: &Value, pointer: &str) -> u64 {
    of.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer} of {of}"))
}

/// The bytes of all connections that have ended, once as many have as were opened.
fn served(server: &Server, connections: u64) -> (u64, u64) {
    let mut bytes = (0, 0);
    for connection in 1..=connections {
        let closed = server.wait_closed(connection);
        bytes.0 += number(&closed, "/bytes_in");
        bytes.1 += number(&closed, "/bytes_out");
    }
    bytes
}
