//! A service of a user's own (V5): the example in `examples/`, under every model and transport.

use crate::harness::process::example;
use crate::harness::{MODELS, serve};

/// V5, M5: the example answers the same under every model on every transport.
#[test]
fn everywhere() {
    let Some(program) = example("rot13") else { return };
    for model in MODELS {
        let launch = serve("rot13").program(&program).model(model);
        let server = launch.at("tcp").at("unix").start();
        for scheme in ["tcp", "unix"] {
            let mut conn = crate::harness::Conn::dial(&server.endpoint(scheme)).unwrap();
            assert_eq!(conn.ask(b"Hello, World!", 13), b"Uryyb, Jbeyq!", "{model} {scheme}");
            conn.finish();
            conn.assert_ended();
        }
        for scheme in ["udp", "unixgram"] {
            let server = serve("rot13").program(&program).model(model).at(scheme).start();
            assert_eq!(server.gram().ask(b"Uryyb"), b"Hello", "{model} {scheme}");
        }
    }
}

/// V5: what a user writes is at most 20 lines, comments, blank lines and lone braces left out.
#[test]
fn twenty_lines() {
    let text = include_str!("../../examples/rot13.rs");
    let is_code = |line: &&str| {
        let line = line.trim();
        !line.is_empty() && !line.starts_with("//") && line != "}"
    };
    let lines = text.lines().filter(is_code).count();
    assert!(lines <= 20, "{lines} lines");
}

/// V5: the README shows this very file.
#[test]
fn shown_in_the_readme() {
    let readme = include_str!("../../README.md");
    let text = include_str!("../../examples/rot13.rs");
    let code = text.split_once('\n').unwrap().1;
    assert!(readme.contains(code), "README.md does not show examples/rot13.rs as it is");
}
