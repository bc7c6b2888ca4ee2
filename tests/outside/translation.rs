//! README.zh-CN.md says what README.md says: the same headings, code, tables, lists and links.

use std::fs;

use crate::tree::top;

/// What two pages in two languages have in common.
#[derive(Default)]
struct Structure {
    /// The level of each heading, in order.
    headings: Vec<usize>,
    /// Fenced code, fences included, byte for byte.
    code: Vec<String>,
    /// The number of cells of each row of a table, in order.
    rows: Vec<usize>,
    items: usize,
    /// Where links lead but to the other language, in no order: sentences are built otherwise.
    links: Vec<String>,
}

fn structure(text: &str) -> Structure {
    let mut found = Structure::default();
    let mut block: Option<String> = None;
    for line in text.lines() {
        let fence = line.trim_start().starts_with("```");
        if let Some(mut code) = block.take() {
            code.push_str(&format!("\n{line}"));
            if fence {
                found.code.push(code);
            } else {
                block = Some(code);
            }
        } else if fence {
            block = Some(line.into());
        } else if line.starts_with('#') {
            found.headings.push(line.chars().take_while(|c| *c == '#').count());
        } else if line.starts_with('|') {
            found.rows.push(line.matches('|').count() - 1);
        } else if line.starts_with("- ") {
            found.items += 1;
        }
        if block.is_none() {
            let links = line.split("](").skip(1).filter_map(|part| part.split(')').next());
            found.links.extend(links.filter(|to| !to.starts_with("README")).map(String::from));
        }
    }
    assert!(block.is_none(), "a code block without an end");
    found.links.sort();
    found
}

/// Both pages are built the same, and each leads to the other.
#[test]
fn same_structure() {
    let page = |name: &str| fs::read_to_string(top().join(name)).unwrap();
    let (english, chinese) = (page("README.md"), page("README.zh-CN.md"));
    assert!(english.contains("](README.zh-CN.md)") && chinese.contains("](README.md)"));
    let (english, chinese) = (structure(&english), structure(&chinese));
    assert!(english.code.len() > 10 && english.rows.len() > 20, "the page was read");
    assert_eq!(english.headings, chinese.headings);
    for (english, chinese) in english.code.iter().zip(&chinese.code) {
        assert_eq!(english, chinese, "a code block that differs");
    }
    assert_eq!(english.code.len(), chinese.code.len());
    assert_eq!(english.rows, chinese.rows);
    assert_eq!(english.items, chinese.items);
    assert_eq!(english.links, chinese.links);
}
