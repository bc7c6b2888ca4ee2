//! The table of faults in `docs/reliability.md`, made from what the tests say of themselves.

mod rows;
mod sources;

use std::fmt::Write;
use std::fs;

use crate::harness::MODELS;
use crate::tree::{sources as files, top};
use rows::ROWS;
use sources::{Test, faults, tests};

/// Around what is made; the rest of the page is written by hand.
const BEGIN: &str = "<!-- faults: begin -->\n";
const END: &str = "<!-- faults: end -->\n";

fn all_tests() -> Vec<Test> {
    let mut all = files("tests/outside");
    all.retain(|(name, _)| !name.starts_with("tests/outside/reliability"));
    all.extend(files("crates"));
    all.sort();
    tests(&all)
}

fn mark(count: usize) -> String {
    if count == 0 { "–".into() } else { count.to_string() }
}

/// The table and the list of tests below it.
fn markdown(tests: &[Test]) -> String {
    let mut text = format!(
        "| # | fault | what has to come of it | {} | no server |\n|---|---|---|{}---|\n",
        MODELS.join(" | "),
        "---|".repeat(MODELS.len())
    );
    let mut list = String::new();
    for (number, name, expected) in ROWS {
        let of: Vec<&Test> = tests.iter().filter(|test| test.faults.contains(&number)).collect();
        let under = |model| mark(of.iter().filter(|test| test.models.contains(model)).count());
        let models = MODELS.map(under).join(" | ");
        let without = mark(of.iter().filter(|test| test.models.is_empty()).count());
        // Writing to a String cannot fail.
        let _ = writeln!(text, "| {number} | {name} | {expected} | {models} | {without} |");
        let names: Vec<String> = of.iter().map(|test| format!("`{}`", test.name)).collect();
        let _ = writeln!(list, "{number}. {}", names.join(", "));
    }
    format!("{text}\nThe tests of each row:\n\n{list}")
}

/// The page shows the table that the tests make. To renew it, run this test with
/// `SOCKEYE_WRITE_DOCS=1`.
#[test]
fn documentation() {
    let path = top().join("docs/reliability.md");
    let page = fs::read_to_string(&path).unwrap();
    let (before, rest) = page.split_once(BEGIN).unwrap();
    let (shown, after) = rest.split_once(END).unwrap();
    let made = format!("\n{}\n", markdown(&all_tests()));
    if std::env::var_os("SOCKEYE_WRITE_DOCS").is_some() {
        fs::write(&path, format!("{before}{BEGIN}{made}{END}{after}")).unwrap();
        return;
    }
    for (line, (shown, made)) in shown.lines().zip(made.lines()).enumerate() {
        assert_eq!(shown, made, "line {line} of the table; SOCKEYE_WRITE_DOCS=1 renews it");
    }
    assert_eq!(shown, made, "SOCKEYE_WRITE_DOCS=1 renews it");
}

/// Every fault has a test, and every number that a test names is a row.
#[test]
fn every_row() {
    let tests = all_tests();
    for (at, (number, name, _)) in ROWS.iter().enumerate() {
        assert_eq!(*number as usize, at + 1, "rows stand in order");
        let of = tests.iter().filter(|test| test.faults.contains(number)).count();
        assert!(of > 0, "no test names fault {number}, {name}");
    }
    let last = ROWS.len() as u32;
    for test in &tests {
        let known = test.faults.iter().all(|number| (1..=last).contains(number));
        assert!(known, "{} names faults that are no rows: {:?}", test.name, test.faults);
    }
}

/// How a doc comment names its faults.
#[test]
fn numbers() {
    let read = |doc| faults(doc).into_iter().collect::<Vec<_>>();
    assert_eq!(read("Fault 46, P-L1: each"), [46]);
    assert_eq!(read("X5, faults 37, 38: a client; fault 2"), [2, 37, 38]);
    assert_eq!(
        read("(faults 51 to 54) and faults 8 and 9, fault 21–23."),
        [8, 9, 21, 22, 23, 51, 52, 53, 54]
    );
    assert!(read("a default of 5, nobody's fault").is_empty());
}

/// What a test of several helpers and loops runs under, read from a source as they look.
#[test]
fn models_of_a_test() {
    let source = r#"
fn helper(model: &str) {
    serve("upper").model(model);
}

struct Pair;

impl Pair {
    fn new() -> Pair {
        Site::new()
    }
}

/// Fault 1: two by name.
#[test]
fn named() {
    for model in ["thread", "event"] {
        assert!(model != "process" && told["iterative"].is_null());
        helper(model);
    }
}

/// Fault 1: through helpers, by default.
#[test]
fn by_default() {
    Pair::new();
}

/// Fault 1: all that serve at once.
#[test]
fn parallel() {
    PARALLEL_MODELS.map(helper);
}

/// Fault 1: nobody serves.
#[test]
fn alone() {
    connect();
}
"#;
    let found = tests(&[("tests/outside/room/file.rs".into(), source.into())]);
    let told: Vec<(&str, Vec<&str>)> = found
        .iter()
        .map(|test| (test.name.as_str(), test.models.iter().copied().collect()))
        .collect();
    let expected: [(&str, Vec<&str>); 4] = [
        ("room::file::alone", vec![]),
        ("room::file::by_default", vec!["process"]),
        ("room::file::named", vec!["event", "thread"]),
        ("room::file::parallel", vec!["event", "process", "thread"]),
    ];
    assert_eq!(told, expected);
}
