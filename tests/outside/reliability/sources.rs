//! What the tests say of themselves: the faults in a test's doc comment, and the models it runs
//! under, read from the sources.

use std::collections::{BTreeMap, BTreeSet};

use crate::harness::{MODELS, PARALLEL_MODELS};

/// One test that names a fault.
pub(crate) struct Test {
    /// Its place: `faults::peers::reset`, or the file for a test within a crate.
    pub(crate) name: String,
    /// The faults that its doc comment names.
    pub(crate) faults: BTreeSet<u32>,
    /// The models of the servers of ours that it starts; none where there is no such server.
    pub(crate) models: BTreeSet<&'static str>,
}

/// A function with the words above it.
struct Function {
    doc: String,
    is_test: bool,
    body: String,
}

/// The functions of a file by name, methods as `Type::name`.
type Functions = BTreeMap<String, Function>;

/// All tests of these files that name a fault, in the order of their names.
pub(crate) fn tests(files: &[(String, String)]) -> Vec<Test> {
    let parsed: Vec<(&str, Functions)> =
        files.iter().map(|(name, text)| (name.as_str(), functions(text))).collect();
    let mut found = Vec::new();
    for (file, all) in &parsed {
        let near: Vec<&Functions> =
            parsed.iter().filter(|(other, _)| room(other) == room(file)).map(|(_, f)| f).collect();
        for (name, function) in all.iter().filter(|(_, function)| function.is_test) {
            let faults = faults(&function.doc);
            if !faults.is_empty() {
                let models = if file.starts_with("tests/") {
                    models(&reached(name, all, &near))
                } else {
                    BTreeSet::new()
                };
                found.push(Test { name: place(file, name), faults, models });
            }
        }
    }
    found.sort_by(|a, b| a.name.cmp(&b.name));
    found
}

/// The files that share their helpers: `tests/outside/faults.rs` and `tests/outside/faults/*.rs`.
fn room(file: &str) -> &str {
    let inner = file.strip_prefix("tests/outside/").unwrap_or(file);
    inner.split(['/', '.']).next().unwrap_or(inner)
}

fn place(file: &str, name: &str) -> String {
    match file.strip_prefix("tests/outside/") {
        Some(inner) => format!("{}::{name}", inner.trim_end_matches(".rs").replace('/', "::")),
        None => format!("{}: {name}", file.trim_start_matches("crates/").replace("/src/", "/")),
    }
}

/// Cuts formatted source into functions: each ends where a brace closes at its own depth.
fn functions(text: &str) -> Functions {
    let lines: Vec<&str> = text.lines().collect();
    let (mut found, mut of, mut doc, mut is_test) = (Functions::new(), "", String::new(), false);
    let mut at = 0;
    while at < lines.len() {
        let line = lines[at].trim_start();
        if let Some(words) = line.strip_prefix("///") {
            doc.push_str(words);
        } else if line.starts_with("#[") {
            is_test |= line.contains("test]") || line.contains("test(");
        } else if let Some(name) = function_name(line) {
            let depth = &lines[at][..lines[at].len() - line.len()];
            let end = (at..lines.len())
                .find(|i| lines[*i].strip_prefix(depth).is_some_and(closes))
                .unwrap_or(lines.len() - 1);
            let code = lines[at + 1..=end].iter().filter(|l| !l.trim_start().starts_with("//"));
            let body = format!("{}\n{}", lines[at], code.copied().collect::<Vec<_>>().join("\n"));
            let key = if of.is_empty() { name.into() } else { format!("{of}::{name}") };
            found.insert(key, Function { doc: std::mem::take(&mut doc), is_test, body });
            is_test = false;
            at = end;
        } else {
            if line.starts_with("impl") && lines[at] == line {
                let subject = line.rsplit_once(" for ").map_or(line, |(_, subject)| subject);
                let subject = subject.trim_start_matches("impl").trim_start();
                let subject = subject.split_once("> ").map_or(subject, |(_, rest)| rest);
                of = subject.split([' ', '<', '{']).next().unwrap_or_default();
            } else if lines[at] == "}" {
                of = "";
            }
            doc.clear();
            is_test = false;
        }
        at += 1;
    }
    found
}

/// The end of a function: a closing brace alone, or a function on one line.
fn closes(line: &str) -> bool {
    line == "}" || (function_name(line).is_some() && line.ends_with('}'))
}

fn function_name(line: &str) -> Option<&str> {
    let line =
        line.strip_prefix("pub(crate) ").or(line.strip_prefix("pub(super) ")).unwrap_or(line);
    let line = line.strip_prefix("pub ").unwrap_or(line);
    let line = line.strip_prefix("async ").unwrap_or(line);
    line.strip_prefix("fn ")?.split(['(', '<']).next()
}

/// The numbers behind each "fault" and "faults" of a doc comment: `37, 38`, `51 to 54`, `8 and 9`.
pub(crate) fn faults(doc: &str) -> BTreeSet<u32> {
    let mut found = BTreeSet::new();
    let doc = doc.to_lowercase();
    for part in doc.split("fault").skip(1) {
        let mut rest = part.strip_prefix('s').unwrap_or(part).trim_start();
        let mut from = None;
        while let Some((number, behind)) = leading_number(rest) {
            found.extend(from.take().unwrap_or(number)..=number);
            let between = [", ", " and ", " to ", "–"].iter().find(|b| behind.starts_with(**b));
            let Some(between) = between else { break };
            if matches!(*between, " to " | "–") {
                from = Some(number);
            }
            rest = &behind[between.len()..];
        }
    }
    found
}

fn leading_number(text: &str) -> Option<(u32, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

/// A function's text with that of all helpers in its file and its room that it calls.
fn reached(name: &str, file: &Functions, room: &[&Functions]) -> String {
    let (mut text, mut seen, mut left) = (String::new(), BTreeSet::new(), vec![name.to_owned()]);
    while let Some(name) = left.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let found = file.get(&name).or_else(|| room.iter().find_map(|near| near.get(&name)));
        if let Some(function) = found {
            text.push_str(&function.body);
            left.extend(calls(&function.body));
        }
    }
    text
}

/// What a text calls: `name(` and `Type::name(`; of `module::name(` the name.
fn calls(body: &str) -> Vec<String> {
    let is_path = |c: char| c.is_alphanumeric() || c == '_' || c == ':' || c == '.';
    let mut found = Vec::new();
    for (at, _) in body.match_indices('(') {
        let start = body[..at].rfind(|c| !is_path(c)).map_or(0, |i| i + 1);
        let path = body.get(start..at).unwrap_or_default();
        if path.is_empty() || path.contains('.') {
            continue;
        }
        let mut parts = path.rsplit("::");
        let name = parts.next().unwrap_or_default();
        let of = parts.next().filter(|of| of.starts_with(char::is_uppercase));
        found.push(of.map_or(name.to_owned(), |of| format!("{of}::{name}")));
    }
    found
}

/// The models that a text names; where it names none and starts a server, that server's default.
fn models(text: &str) -> BTreeSet<&'static str> {
    let mut found = BTreeSet::new();
    let parallel = text.matches("PARALLEL_MODELS").count();
    if parallel > 0 {
        found.extend(PARALLEL_MODELS);
    }
    if text.matches("MODELS").count() > parallel {
        found.extend(MODELS);
    }
    for model in MODELS {
        let literal = format!("\"{model}\"");
        found.extend(text.match_indices(&literal).filter_map(|(at, _)| {
            let (before, after) = (&text[..at], &text[at + literal.len()..]);
            let compared = before.ends_with("== ") || before.ends_with("!= ");
            let member =
                (before.ends_with('[') && after.starts_with(']')) || after.starts_with(':');
            (!compared && !member).then_some(model)
        }));
    }
    if found.is_empty() {
        let has = |words: &[&str]| words.iter().any(|word| text.contains(word));
        // Remote commands and files have a process a connection unless they are told otherwise.
        let host =
            ["Host::", "Site::", "serve(\"host\")", "serve(\"command\")", "\"serve\", \"host\""];
        if has(&host) {
            found.insert("process");
        } else if has(&["serve(\"", "serve(service)", "\"serve\""]) {
            found.insert("event");
        }
    }
    found
}
