//! docs/errors.md, made of the same words that the program says.

use std::fmt::Write;
use std::time::Duration;

use super::Explained;
use super::in_use::{InTheWay, Place};
use super::reach::{self, Ports};
use super::table::{CASES, Case, During, On};
use crate::sys::holder::{BOUND_ONLY, Owner};

const HEAD: &str = "\
# What errors say

Made from `crates/net/src/explain/`; a test compares them. Each error is one sentence of cause, with the
evidence that the system gives, and one of remedy. Numbers and names below are examples.

";

/// The page.
pub fn markdown() -> String {
    let mut text = String::from(HEAD);
    text.push_str(
        "## The address is in use (EADDRINUSE)\n\n| who is in the way | cause | remedy |\n",
    );
    text.push_str("|---|---|---|\n");
    for (when, explained) in in_use() {
        line(&mut text, when, &explained);
    }
    text.push_str("\n## A connection cannot be made\n\n| when | cause | remedy |\n|---|---|---|\n");
    for (when, explained) in reaching() {
        line(&mut text, when, &explained);
    }
    text.push_str(
        "\n## All others\n\n| error | during | on | cause | remedy |\n|---|---|---|---|---|\n",
    );
    for case in CASES {
        let (during, on) = words(case);
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "| {} | {during} | {on} | {} | {} |",
            case.name(),
            case.cause,
            case.remedy
        );
    }
    text.push_str(
        "\nA Unix path of more than 107 bytes and a host name of more than 253 are refused when the \
         endpoint is read, with their lengths.\n",
    );
    text
}

fn line(text: &mut String, when: &str, (cause, remedy): &Explained) {
    let _ = writeln!(text, "| {when} | {cause} | {remedy} |");
}

fn words(case: &Case) -> (&'static str, &'static str) {
    let during = match case.during {
        During::Anything => "anything",
        During::Connect => "connect",
        During::Talk => "receive, send",
        During::Bind => "bind",
        During::Accept => "accept",
    };
    let on = match case.on {
        On::Any => "any",
        On::Inet => "TCP, UDP",
        On::Unix => "Unix",
    };
    (during, on)
}

fn in_use() -> Vec<(&'static str, Explained)> {
    let owner = || Owner { pid: 4711, program: "nginx".into() };
    let systemd = Owner { pid: 1, program: "systemd".into() };
    let (same, verb) = (Place::Same, "listens there");
    let wild = Place::Covers("0.0.0.0:9000".into());
    let specific = Place::Covered("127.0.0.1:9000".into());
    let time_wait = Some(Duration::from_secs(42));
    let all = [
        ("a live server", InTheWay::Live { owner: owner(), verb, place: same.clone() }),
        ("a socket unit", InTheWay::Live { owner: systemd, verb, place: same.clone() }),
        ("one on the wildcard", InTheWay::Live { owner: owner(), verb, place: wild }),
        ("one on a specific address", InTheWay::Live { owner: owner(), verb, place: specific }),
        (
            "one that does not listen",
            InTheWay::Live { owner: owner(), verb: BOUND_ONLY, place: same.clone() },
        ),
        ("another user's", InTheWay::Hidden { uid: Some(33), verb, place: same.clone() }),
        ("this same program", InTheWay::Ourselves { verb, place: same }),
        ("an open connection", InTheWay::Connection { owner: Some(owner()), state: "ESTABLISHED" }),
        ("closed connections", InTheWay::Closed { count: 3, time_wait, state: "TIME-WAIT" }),
        ("nothing that is seen", InTheWay::Unseen),
    ];
    all.into_iter().map(|(when, way)| (when, way.explained("choose another port"))).collect()
}

fn reaching() -> Vec<(&'static str, Explained)> {
    let ports = Ports { low: 32_768, high: 60_999, taken: 28_232, time_wait: 28_100 };
    vec![
        ("silence", reach::silence(None)),
        ("silence of a server here that does not accept", reach::silence(Some(2))),
        ("a Unix server that does not accept", reach::queue_full_unix()),
        ("no port left (EADDRNOTAVAIL)", reach::ports_gone(Some(ports))),
        ("`--source` with a port that is taken (EADDRNOTAVAIL)", reach::pair_taken()),
        ("no address of that family (EADDRNOTAVAIL)", reach::no_address()),
        ("a Unix path that nobody listens on (ECONNREFUSED)", reach::stale()),
        ("a path that is no socket (ECONNREFUSED)", reach::no_socket()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// O4: the documentation is what the code says. To renew it, run this test with
    /// `SOCKEYE_WRITE_DOCS=1`.
    #[test]
    fn documentation() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");
        if std::env::var_os("SOCKEYE_WRITE_DOCS").is_some() {
            std::fs::write(path, markdown()).unwrap();
        }
        assert_eq!(std::fs::read_to_string(path).unwrap_or_default(), markdown());
    }

    /// O4: cause and remedy are one sentence each, without a full stop of their own.
    #[test]
    fn sentences() {
        let cases = CASES.iter().map(Case::explained);
        let others = in_use().into_iter().chain(reaching()).map(|(_, explained)| explained);
        for (cause, remedy) in cases.chain(others) {
            for text in [&cause, &remedy] {
                assert!(!text.contains(". ") && !text.ends_with('.'), "{text}");
            }
            assert!(remedy.starts_with(char::is_uppercase), "{remedy}");
            assert!(cause.starts_with(char::is_lowercase), "{cause}");
        }
    }
}
