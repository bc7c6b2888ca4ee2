//! `--tune`: the kernel's settings, and what the counters say about them.

use std::fmt::Write;

use anyhow::anyhow;
use serde_json::json;
use sockeye_net::shown;
use sockeye_observe::counters::Counters;
use sockeye_observe::sockets::{self, Protocol};
use sockeye_observe::tune::{Hint, PortRange, Release, Setting, hints, settings};

use super::json::counters as counters_object;
use super::paint::{Ink, Screen, width};
use crate::cli::docs::write_out;
use crate::cli::usage::Failure;

pub(super) fn run(as_json: bool) -> Result<(), Failure> {
    let settings = settings();
    let counters = Counters::read();
    let sockets = sockets::list(&[Protocol::Tcp]).map_err(|error| {
        Failure::Failed(anyhow!(
            "cannot read the kernel's socket tables: {error}. Check that sock_diag is allowed here."
        ))
    })?;
    let hints = hints(&counters, &sockets, PortRange::read());
    let text = if as_json {
        lines(&settings, &hints, &counters)
    } else {
        page(&settings, &hints, &Screen::of_stdout())
    };
    write_out(text.as_bytes())
}

fn lines(settings: &[Setting], hints: &[Hint], counters: &Counters) -> String {
    let setting = |setting: &Setting| {
        json!({
            "kind": "setting",
            "name": setting.name,
            "value": setting.value,
            "meaning": setting.meaning,
        })
    };
    let hint =
        |hint: &Hint| json!({ "kind": "hint", "evidence": hint.evidence, "remedy": hint.remedy });
    let last = json!({
        "kind": "summary",
        "kernel": Release::running().to_string(),
        "hints": hints.len(),
        "counters": counters_object(counters),
    });
    let all = settings.iter().map(setting).chain(hints.iter().map(hint));
    all.chain([last]).map(|object| shown::json(&object.to_string()) + "\n").collect()
}

fn page(settings: &[Setting], hints: &[Hint], screen: &Screen) -> String {
    let mut text = String::new();
    for setting in settings {
        let value = setting.value.as_deref().unwrap_or("–");
        let line = format!("{} = {}", setting.name, shown::line(value));
        let _ = writeln!(text, "{}", screen.ink(Ink::Heading, &line));
        paragraph(&mut text, &format!("{}.", setting.meaning), 4, screen);
    }
    text.push('\n');
    if hints.is_empty() {
        let line = "Nothing shows a need for change: no overflow, no drop, enough ports.";
        paragraph(&mut text, line, 0, screen);
    }
    for hint in hints {
        let line = format!("{}. {}.", hint.evidence, hint.remedy);
        let _ = write!(text, "{}", screen.ink(Ink::Changed, "! "));
        let mut body = String::new();
        paragraph(&mut body, &line, 2, screen);
        text.push_str(body.trim_start());
    }
    let kernel = Release::running();
    let source = format!(
        "Linux {kernel}; counted since this network began. Set one with `sysctl -w NAME=VALUE` as root."
    );
    paragraph(&mut text, &source, 0, screen);
    text
}

/// Words in lines of the screen's width, but no wider than people read with ease.
fn paragraph(text: &mut String, words: &str, indent: usize, screen: &Screen) {
    let room = screen.width.min(100).saturating_sub(indent);
    let mut column = 0;
    for word in words.split_whitespace() {
        if column > 0 && column + 1 + width(word) > room {
            text.push('\n');
            column = 0;
        }
        if column == 0 {
            text.push_str(&" ".repeat(indent));
        } else {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += width(word);
    }
    text.push('\n');
}
