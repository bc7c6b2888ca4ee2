//! A history as one page of HTML: the sequence as a picture, each step explained where one looks.
//!
//! The page is whole in itself: it loads nothing, and its policy forbids it to.

mod svg;

use std::fmt::Write;

use sockeye_limits as limits;
use sockeye_net::shown;

use super::{layers, words};
use crate::history::{Datagram, Event, History, Segment, Step};
use crate::packet::Frame;

const CSS: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/script.js");

/// Where a drawing comes from: a page is read without the words that stood around it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source<'a> {
    /// In words.
    pub said: &'a str,
    /// Its arrows are concluded from calls: no packet was seen. They are drawn dashed.
    pub deduced: bool,
}

/// The page of a history, of which the first [`sockeye_limits::TRACE_PAGE_STEPS`] steps are drawn.
pub fn page(history: &History, source: Source<'_>) -> String {
    let (client, server) = (history.client_address(), history.server_address());
    let title = escape(&format!("{client} to {server}"));
    let steps = &history.steps()[..history.steps().len().min(limits::TRACE_PAGE_STEPS)];
    let picture = svg::picture(history, steps, source.deduced);
    let class = if source.deduced { "source deduced" } else { "source" };
    let verdict: String = std::iter::once(entry(class, "source", source.said))
        .chain(words::verdict(history).iter().map(|(subject, text)| entry(subject, subject, text)))
        .collect();
    let told: String = steps.iter().map(told).collect();
    let left = history.count() - steps.len() as u64;
    let more = match left {
        0 => String::new(),
        left => format!("<p class=\"more\">{} more not drawn</p>", words::count(left, "step")),
    };
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; \
         style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n\
         <title>{title}</title>\n<style>\n{CSS}</style>\n</head>\n<body>\n\
         <header>\n<h1>{title}</h1>\n<dl>\n{verdict}</dl>\n</header>\n\
         <main>\n<section aria-label=\"sequence\">\n{picture}{more}</section>\n\
         <aside aria-live=\"polite\">\n<p id=\"hint\">Point at a step, or move with the Tab key.</p>\n\
         {told}</aside>\n</main>\n<script>\n{SCRIPT}</script>\n</body>\n</html>\n"
    )
}

fn entry(class: &str, subject: &str, text: &str) -> String {
    format!("<div class=\"{class}\"><dt>{subject}</dt><dd>{}</dd></div>\n", escape(text))
}

/// What is told of a step when one looks at it.
fn told(step: &Step) -> String {
    let mut out = format!("<article id=\"told-{0}\" hidden>\n<h2>", step.number);
    let number = step.number;
    // Writing to a String cannot fail.
    let _ = writeln!(out, "<span>step {number}</span> {}</h2>", escape(&heading(step)));
    for sentence in words::explain(step) {
        let _ = writeln!(out, "<p>{}</p>", escape(&sentence));
    }
    if let Some(cause) = step.cause {
        let _ = writeln!(out, "<p>Caused by the call of step {cause}.</p>");
    }
    let at = words::time(step.event.time());
    let since = match step.since == step.event.time() {
        // Nothing came before it.
        true => String::new(),
        false => format!(", {} after the last packet", words::time(step.since)),
    };
    let _ = writeln!(out, "<p class=\"time\">{at} after the start{since}</p>");
    if let Some(frame) = frame(step) {
        for layer in layers::layers(frame) {
            out += &layer_table(&layer);
        }
    }
    out + "</article>\n"
}

/// A step in a few words.
fn heading(step: &Step) -> String {
    match &step.event {
        Event::Segment(segment) => words::packet(step, segment),
        Event::Datagram(datagram) => format!("datagram len {}", datagram.length),
        Event::Call(call) => format!("{}: {}", call.side, words::call(call, false)),
        Event::State { side, new, .. } => format!("the kernel: {side} {new}"),
        Event::TimeWait { side, .. } => format!("the kernel: {side} TIME-WAIT"),
        Event::Unreachable(error) => format!("ICMP from {}", error.from),
        Event::Missed { count, .. } => format!("{} not captured", words::count(*count, "packet")),
    }
}

fn frame(step: &Step) -> Option<&Frame> {
    match &step.event {
        Event::Segment(Segment { frame, .. }) | Event::Datagram(Datagram { frame, .. }) => {
            Some(frame)
        }
        _ => None,
    }
}

fn layer_table(layer: &layers::Layer) -> String {
    let mut out = format!("<details><summary>{}</summary><table>\n", escape(layer.name));
    for field in &layer.fields {
        let shown = field.bytes.iter().take(limits::TRACE_PAGE_BYTES);
        let mut hex: String = shown.map(|byte| format!("{byte:02x} ")).collect();
        if field.bytes.len() > limits::TRACE_PAGE_BYTES {
            hex.push('…');
        }
        let (hex, value) = (hex.trim_end(), escape(&field.value));
        let name = escape(field.name);
        let _ = writeln!(out, "<tr><td>{name}<td>{value}<td><code>{hex}</code>");
    }
    out + "</table></details>\n"
}

/// Text as it may stand in HTML, within quotes too; what could disguise it is shown escaped.
fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in shown::line(text).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            c => out.push(c),
        }
    }
    out
}
