//! What a trace shows: the drawing, NDJSON, comments on packets, and the page.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, IsTerminal, Write};

use serde_json::json;
use sockeye_limits as limits;
use sockeye_net::shown;
use sockeye_observe::capture::CaptureError;
use sockeye_observe::draw::{self, Drawer, Style, words};
use sockeye_observe::history::{CallResult, Event, History, Step};
use sockeye_observe::live::{Connections, News};
use sockeye_observe::talk::{How, Traced};

use super::settings::Show;
use crate::cli::usage::Failure;

/// Where it is drawn: standard output.
pub(super) struct Output {
    json: bool,
    style: Style,
    /// The connections that are drawn as they go on.
    drawers: BTreeMap<u64, Drawer>,
    /// Whose lines were written last.
    last: Option<u64>,
}

impl Output {
    pub(super) fn new(show: Show) -> Output {
        let style = Style { ascii: show.ascii, colour: is_coloured(), layers: show.layers };
        Output { json: show.json, style, drawers: BTreeMap::new(), last: None }
    }

    /// All of one conversation.
    pub(super) fn conversation(&mut self, traced: &Traced) -> Result<(), Failure> {
        let (how, sentences) = told(traced);
        if self.json {
            let endpoint = traced.endpoint.to_string();
            let head = json!({ "event": "trace", "endpoint": endpoint, "how": how });
            let mut text = format!("{}\n", shown::json(&head.to_string()));
            for step in traced.history.steps() {
                let line = draw::json::step(step);
                text += &match traced.how {
                    // Nothing proves a window.
                    How::Calls(_) => format!("{}\n", line.replacen(",\"window\":65535", "", 1)),
                    _ => format!("{line}\n"),
                };
            }
            if !matches!(traced.how, How::Unix) {
                text += &format!("{}\n", draw::json::verdict(&traced.history));
            }
            return write(&text);
        }
        let mut text = draw::wrapped("", &shown::line(&traced.endpoint.to_string()));
        for sentence in sentences {
            text += &draw::wrapped("", sentence);
        }
        text.push('\n');
        text += &match traced.how {
            How::Unix => calls(&traced.history),
            _ => draw::picture(&traced.history, self.style),
        };
        if let (How::Calls(_), Some(counted)) = (&traced.how, traced.counted) {
            let said = format!(
                "by the kernel before our close: {} out, {} in, {} sent again",
                words::count(counted.segments_out.into(), "packet"),
                counted.segments_in,
                counted.retransmitted
            );
            text += &draw::wrapped("counted  ", &said);
        }
        write(&text)
    }

    /// It watches now.
    pub(super) fn watching(&mut self, name: &str, port: u16) -> Result<(), Failure> {
        if self.json {
            let told = json!({ "event": "watching", "protocol": name, "port": port });
            return write(&format!("{told}\n"));
        }
        eprintln!("watching {name} port {port} on all interfaces; Ctrl-C ends");
        Ok(())
    }

    /// What a packet told of one of many connections.
    pub(super) fn news(&mut self, news: &News<'_>) -> Result<(), Failure> {
        let (number, history) = (news.connection.number, &news.connection.history);
        if self.json {
            let mut text = numbered(number, &draw::json::step(&news.step));
            if news.ended {
                text += &numbered(number, &draw::json::verdict(history));
            }
            return write(&text);
        }
        let mut text = self.name(number, history);
        if self.drawers.len() >= limits::TRACE_CONNECTIONS && !self.drawers.contains_key(&number) {
            self.drawers.pop_first();
        }
        let style = self.style;
        let drawer = self.drawers.entry(number).or_insert_with(|| Drawer::new(style));
        if news.first {
            text += &drawer.head(history);
        }
        text += &drawer.step(&news.step);
        if news.ended {
            text += &drawer.end(history);
            self.drawers.remove(&number);
        }
        write(&text)
    }

    /// The end of watching: the verdicts of those that are not over.
    pub(super) fn watched(&mut self, all: &Connections, missed: u64) -> Result<(), Failure> {
        let live = all.known().into_iter().filter(|connection| !connection.over);
        for connection in live {
            let (number, history) = (connection.number, &connection.history);
            if self.json {
                write(&numbered(number, &draw::json::verdict(history)))?;
                continue;
            }
            let mut text = self.name(number, history);
            text += &Drawer::new(self.style).end(history);
            write(&text)?;
        }
        if self.json && missed > 0 {
            write(&format!("{}\n", json!({ "event": "missed", "count": missed })))?;
        } else if missed > 0 {
            eprintln!(
                "sockeye: {missed} packets came quicker than they were taken; they are not drawn"
            );
        }
        Ok(())
    }

    /// A line that says whose lines follow, where those before were another's.
    fn name(&mut self, number: u64, history: &History) -> String {
        if self.last == Some(number) {
            return String::new();
        }
        self.last = Some(number);
        let (client, server) = (history.client_address(), history.server_address());
        let lines = draw::wrapped(&format!("#{number}  "), &format!("{client} > {server}"));
        format!("\n{lines}")
    }
}

/// Where a drawing comes from: for machines, and for people.
fn told(traced: &Traced) -> (&'static str, &'static [&'static str]) {
    match &traced.how {
        How::Packets => ("packets", &["real packets, captured"]),
        How::Private => {
            ("private", &["real packets, in a private network with a server of our own"])
        }
        How::Calls(why) => ("calls", deduced(why, traced.history.is_tcp())),
        How::Unix => (
            "unix",
            &[
                "a Unix socket has no packets: its bytes go from queue to queue; these are our calls",
            ],
        ),
        _ => ("unknown", &[]),
    }
}

/// That no packet was seen, why, and what the arrows are then.
fn deduced(why: &CaptureError, tcp: bool) -> &'static [&'static str] {
    match (why, tcp) {
        (CaptureError::Missing, _) => &[
            "this kernel shows no packets: arrows are deduced from our calls, not captured;",
            "times and bare ACKs are guesses (`modprobe af_packet` shows real packets)",
        ],
        (_, true) => &[
            "no right to see packets: the arrows are deduced, not captured, from our own",
            "calls and the kernel's TCP_INFO; their times and bare ACKs are guesses",
            "(sudo shows the real ones; so does a server of our own: leave the endpoint out)",
        ],
        (_, false) => &[
            "no right to see packets: arrows are deduced from our own calls, not captured",
            "(sudo shows the real ones; so does a server of our own: leave the endpoint out)",
        ],
    }
}

/// The calls of a conversation without packets, a line each.
fn calls(history: &History) -> String {
    let mut text = String::new();
    for step in history.steps() {
        if let Event::Call(call) = &step.event
            && call.result != CallResult::Begun
        {
            let said = words::call(call, false);
            text += &draw::wrapped(&format!("{:>9}  ", words::time(call.time)), &said);
        }
    }
    text
}

/// A line of JSON with the number of its connection in front.
fn numbered(number: u64, line: &str) -> String {
    let fields = line.strip_prefix('{').unwrap_or(line);
    format!("{{\"connection\":{number},{fields}\n")
}

/// What Wireshark shows above a packet.
pub(super) fn comment(step: &Step) -> String {
    let mut said = match &step.event {
        Event::Segment(segment) => vec![words::packet(step, segment)],
        _ => Vec::new(),
    };
    said.extend(words::explain(step));
    said.join("\n")
}

/// The page of a history.
pub(super) fn page(mut file: File, traced: &Traced) -> io::Result<()> {
    let said = told(traced).1.join(" ");
    let deduced = matches!(traced.how, How::Calls(_));
    let source = draw::Source { said: &said, deduced };
    file.write_all(draw::page(&traced.history, source).as_bytes())
}

/// Colours are for terminals, and not where somebody asked for none (no-color.org).
fn is_coloured() -> bool {
    let set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let plain = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    io::stdout().is_terminal() && !set("NO_COLOR") && !plain
}

/// Writes to standard output; a reader that has gone ends it quietly.
fn write(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(Failure::Status(0)),
        Err(error) => {
            Err(anyhow::anyhow!("cannot write to stdout: {error}. Check where it goes.").into())
        }
    }
}
