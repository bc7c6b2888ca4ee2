//! A transfer as JSON, one object a line: what docs/json.md says of it.

use std::time::Duration;

use base64ct::{Base64, Encoding};
use serde_json::{Value, json};
use sockeye_wire::files::{Note, Tally};

/// What happened to a file, and how long that is where it is known.
pub(super) fn file(event: &str, path: &[u8], bytes: Option<u64>) -> Value {
    let mut value = json!({ "event": event });
    put_path(&mut value, path);
    if let Some(bytes) = bytes {
        value["bytes"] = bytes.into();
    }
    value
}

/// Something could not be moved.
pub(super) fn failed(path: &[u8], why: &str, theirs: bool) -> Value {
    let mut value = json!({ "event": "failed", "why": why, "theirs": theirs });
    put_path(&mut value, path);
    value
}

/// How far it is.
pub(super) fn progress(bytes: u64, of: u64) -> Value {
    json!({ "event": "progress", "bytes": bytes, "of": of })
}

/// What a receiver did, or would do.
pub(super) fn event_of(note: Note) -> &'static str {
    match note {
        Note::Removed => "removed",
        Note::Updated => "updated",
        Note::WouldStore => "would-store",
        Note::WouldMake => "would-make",
        Note::WouldUpdate => "would-update",
        Note::WouldRemove => "would-remove",
    }
}

/// A name need not be UTF-8, and JSON is: where something is lost, the bytes stand beside it.
fn put_path(value: &mut Value, path: &[u8]) {
    value["path"] = String::from_utf8_lossy(path).into();
    if str::from_utf8(path).is_err() {
        value["path_bytes"] = Base64::encode_string(path).into();
    }
}

/// What came of it.
pub(super) fn done(tally: &Tally, span: Duration) -> Value {
    let Tally { stored, skipped, compared, updated, made, removed, failed, .. } = *tally;
    json!({
        "event": "done",
        "stored": stored,
        "skipped": skipped,
        "compared": compared,
        "updated": updated,
        "made": made,
        "removed": removed,
        "failed": failed,
        "bytes_sent": tally.data,
        "bytes_reused": tally.reused,
        "bytes_resumed": tally.resumed,
        "verified_files": verified(tally),
        "verified": failed == 0 && compared == 0 && verified(tally) > 0,
        "duration_ms": u64::try_from(span.as_millis()).unwrap_or(u64::MAX),
    })
}

/// What would come of it: the receiver counts what it would remove or change as what it does.
pub(super) fn would(tally: &Tally, span: Duration, store: u64, make: u64) -> Value {
    let nothing = Tally { removed: 0, updated: 0, ..*tally };
    let mut done = done(&nothing, span);
    done["verified"] = false.into();
    for (member, count) in [
        ("would_store", store),
        ("would_make", make),
        ("would_update", tally.updated),
        ("would_remove", tally.removed),
    ] {
        done[member] = count.into();
    }
    done
}

/// Files whose content was compared with a hash, whether it came or was there.
pub(super) fn verified(tally: &Tally) -> u64 {
    tally.stored.saturating_add(tally.skipped.saturating_sub(tally.compared))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// The rows of the tables in the page's part about transfers, as cells.
    fn rows() -> Vec<Vec<&'static str>> {
        let page = include_str!("../../../../../../docs/json.md");
        let part = page.split("\n## ").find(|part| part.starts_with("`sockeye cp --json`"));
        let rows = part.expect("a part about cp").lines().filter(|line| line.starts_with("| `"));
        rows.map(|row| row.trim_matches('|').split('|').collect()).collect()
    }

    /// The words of a cell that are code.
    fn code(cell: &str) -> impl Iterator<Item = String> {
        cell.split('`').skip(1).step_by(2).map(str::to_owned)
    }

    fn members(value: &Value) -> BTreeSet<String> {
        value.as_object().unwrap().keys().filter(|key| *key != "event").cloned().collect()
    }

    /// F7, Q2: docs/json.md has every event with its members, every member of `done`, and no others.
    #[test]
    fn documented() {
        let notes = [
            Note::Removed,
            Note::Updated,
            Note::WouldStore,
            Note::WouldMake,
            Note::WouldUpdate,
            Note::WouldRemove,
        ];
        let mut events: Vec<Value> = notes.map(|note| file(event_of(note), b"\xff", None)).to_vec();
        events.extend([file("stored", b"\xff", Some(1)), failed(b"\xff", "", true)]);
        events.push(progress(1, 2));
        let is_event = |row: &&Vec<&str>| row.len() == 3;
        let (rows, mut told) = (rows(), BTreeSet::new());
        for row in rows.iter().filter(is_event) {
            let names: Vec<_> = code(row[0]).collect();
            for name in names.iter().filter(|name| *name != "done") {
                let event = events.iter().find(|event| event["event"] == name.as_str());
                let event = event.unwrap_or_else(|| panic!("no event {name}"));
                assert_eq!(code(row[2]).collect::<BTreeSet<_>>(), members(event), "{name}");
                told.insert(name.clone());
            }
        }
        assert_eq!(told.len(), events.len(), "{told:?}");
        let fields = rows.iter().filter(|row| !is_event(row)).flat_map(|row| code(row[0]));
        let span = Duration::ZERO;
        let all = members(&would(&Tally::default(), span, 0, 0));
        assert!(all.is_superset(&members(&done(&Tally::default(), span))));
        assert_eq!(fields.collect::<BTreeSet<_>>(), all);
    }

    /// Q2: no name loses anything, whatever bytes it has, and one that is text is nothing else.
    #[test]
    fn names_as_they_are() {
        let value = file("stored", b"a\xff\\x", Some(1));
        assert_eq!(
            (&value["path"], &value["path_bytes"]),
            (&"a\u{fffd}\\x".into(), &"Yf9ceA==".into())
        );
        let value = failed("a\n\u{202e}ä\\xff".as_bytes(), "", false);
        assert_eq!(value["path"], "a\n\u{202e}ä\\xff");
        assert_eq!(value.get("path_bytes"), None);
    }

    /// F2, Q2: `verified` is said where every file was compared with its hash, and of nothing else.
    #[test]
    fn verified_is_proved() {
        let said = |tally: Tally| {
            let done = done(&tally, Duration::ZERO);
            (done["verified"].as_bool().unwrap(), done["verified_files"].as_u64().unwrap())
        };
        let none = Tally::default();
        assert_eq!(said(none), (false, 0));
        assert_eq!(said(Tally { stored: 2, ..none }), (true, 2));
        assert_eq!(said(Tally { stored: 2, skipped: 3, ..none }), (true, 5));
        assert_eq!(said(Tally { stored: 2, skipped: 3, compared: 1, ..none }), (false, 4));
        assert_eq!(said(Tally { stored: 2, failed: 1, ..none }), (false, 2));
        // What a peer claims need not make sense.
        let claimed = Tally { stored: u64::MAX, skipped: 2, compared: u64::MAX, ..none };
        assert_eq!(said(claimed), (false, u64::MAX));
        let dry = would(&Tally { skipped: 1, updated: 2, ..none }, Duration::ZERO, 3, 4);
        assert_eq!((&dry["verified"], &dry["updated"]), (&false.into(), &0.into()));
        assert_eq!((&dry["would_update"], &dry["would_make"]), (&2.into(), &4.into()));
    }
}
