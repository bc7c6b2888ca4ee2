//! The source tree itself: what every file of it has to keep to.

mod dependencies;
mod spdx;

use std::fs;
use std::path::{Path, PathBuf};

/// A line count above which a file has to be cut: 500 is seldom reached, and the longest that there
/// are have little more.
const LONGEST: usize = 560;

pub(crate) fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

/// Every source file below `dir`, by its path within the tree.
pub(crate) fn sources(dir: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut left = vec![top().join(dir)];
    while let Some(dir) = left.pop() {
        for entry in fs::read_dir(dir).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                left.extend((entry.file_name() != "target").then_some(path));
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let name = path.strip_prefix(top()).unwrap().display().to_string();
                found.push((name, fs::read_to_string(&path).unwrap()));
            }
        }
    }
    assert!(!found.is_empty(), "no sources in {dir}");
    found
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with("//")
}

/// `unsafe` stands in one room, and each block of it says why it is sound.
#[test]
fn unsafe_code() {
    let mut blocks = 0;
    for (name, text) in sources("crates") {
        let lines: Vec<&str> = text.lines().collect();
        for (at, line) in lines.iter().enumerate() {
            let code = line.split("//").next().unwrap_or_default();
            let opens = ["unsafe {", "unsafe impl", "unsafe fn", "unsafe extern"];
            if is_comment(line) || !opens.iter().any(|open| code.contains(open)) {
                continue;
            }
            assert!(name.starts_with("crates/net/src/sys/"), "{name}:{}: {line}", at + 1);
            let before = &lines[at.saturating_sub(8)..at];
            let said = before.iter().any(|line| line.contains("SAFETY:"));
            assert!(said, "{name}:{}: no word on why it is sound: {line}", at + 1);
            blocks += 1;
        }
    }
    assert!(blocks > 0, "the room itself was looked at");
    for entry in fs::read_dir(top().join("crates")).unwrap().flatten() {
        let name = entry.file_name().display().to_string();
        let text = fs::read_to_string(entry.path().join("src/lib.rs")).unwrap();
        let forbids = text.contains("#![forbid(unsafe_code)]");
        assert!(forbids || name == "net", "crates/{name} does not forbid unsafe code");
    }
}

/// Every module starts with a sentence on what it is for, and none is a book.
#[test]
fn modules() {
    for dir in ["crates", "tests/outside", "examples"] {
        for (name, text) in sources(dir) {
            assert!(text.starts_with("//!"), "{name} does not say what it is for");
            let lines = text.lines().count();
            assert!(lines <= LONGEST, "{name} has {lines} lines");
        }
    }
}

/// Every relative link of a page leads to a file of the tree.
#[test]
fn links() {
    let mut pages: Vec<PathBuf> =
        ["README.md", "README.zh-CN.md", "ARCHITECTURE.md", "PROTOCOL.md", "CHANGELOG.md"]
            .map(|page| top().join(page))
            .into();
    let docs = fs::read_dir(top().join("docs")).unwrap().flatten().map(|entry| entry.path());
    pages.extend(docs.filter(|path| path.extension().is_some_and(|extension| extension == "md")));
    let mut links = 0;
    for page in pages {
        let text = fs::read_to_string(&page).unwrap();
        for part in text.split("](").skip(1) {
            let target = part.split([')', '#']).next().unwrap_or_default();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            let path = page.parent().unwrap().join(target);
            assert!(path.exists(), "{}: no {target}", page.display());
            links += 1;
        }
    }
    assert!(links > 0, "pages have links");
}
