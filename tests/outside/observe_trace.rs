//! `sockeye trace`: conversations drawn, with rights and without, watched live, in trouble, and read
//! by Wireshark's reader.

mod conversations;
mod hostile;
mod live;
mod trouble;
mod wireshark;

use serde_json::Value;

use crate::harness::process::Output;
use crate::harness::run;

/// A trace as its JSON tells it.
#[derive(Debug)]
struct Told {
    lines: Vec<Value>,
    output: Output,
}

/// Runs `sockeye trace` with these words and `--json`.
fn trace(words: &[&str]) -> Told {
    let mut all = vec!["trace", "--json"];
    all.extend(words);
    told(run(&all, b""))
}

fn told(output: Output) -> Told {
    let text = output.stdout_text();
    let parse = |line: &str| -> Value {
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
    };
    Told { lines: text.lines().map(parse).collect(), output }
}

impl Told {
    /// It ended so.
    #[track_caller]
    fn exits(self, code: i32) -> Told {
        assert_eq!(self.output.code, Some(code), "{:?} {:#?}", self.output.stderr, self.lines);
        self
    }

    /// Where the packets are from.
    fn how(&self) -> &str {
        let first =
            self.lines.first().unwrap_or_else(|| panic!("nothing was told: {:?}", self.output));
        first["how"].as_str().unwrap_or_else(|| panic!("no `how`: {first}"))
    }

    /// All that was told of this kind.
    fn of(&self, kind: &str) -> Vec<&Value> {
        self.lines.iter().filter(|line| line["event"] == kind).collect()
    }

    /// Packets in short: `> SYN 0/- 0`.
    fn packets(&self) -> Vec<String> {
        let short = |line: &&Value| {
            let arrow = if line["side"] == "client" { '>' } else { '<' };
            let ack = line["ack"].as_u64().map_or("-".into(), |ack| ack.to_string());
            format!("{arrow} {} {}/{ack} {}", flags(line), line["seq"], line["length"])
        };
        self.of("packet").iter().map(short).collect()
    }

    /// The last line of the last connection.
    fn verdict(&self) -> &Value {
        let verdicts = self.of("verdict");
        verdicts.last().unwrap_or_else(|| panic!("no verdict: {:#?}", self.lines))
    }
}

/// `SYN,ACK`.
fn flags(packet: &Value) -> String {
    let flags = packet["flags"].as_array().unwrap_or_else(|| panic!("no flags: {packet}"));
    flags.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")
}
