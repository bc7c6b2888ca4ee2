//! The committed corpora of these targets.

#[path = "../../../../fuzz/corpora.rs"]
mod corpora;

use corpora::Target;

const FIRST: &str = r#"{"sockeye":"recording","version":1,"endpoint":"tcp://[::1]:7"}"#;

type Seeds = Vec<(&'static str, Vec<u8>)>;

fn recording_seeds() -> Seeds {
    let sent = r#"{"t_us":120,"dir":">","data":"68690a"}"#;
    let received = r#"{"t_us":18446744073709551615,"dir":"<","data":""}"#;
    let end = r#"{"t_us":345,"dir":">","end":true}"#;
    let rows = |rows: &[&str]| format!("{FIRST}\n{}\n", rows.join("\n")).into_bytes();
    vec![
        ("whole", rows(&[sent, received, end])),
        ("only-header", FIRST.as_bytes().to_vec()),
        ("no-newline", format!("{FIRST}\n{end}").into_bytes()),
        ("both", rows(&[r#"{"t_us":1,"dir":">","data":"00","end":true}"#])),
        ("neither", rows(&[r#"{"t_us":1,"dir":"<","end":false}"#])),
        ("odd", rows(&[r#"{"t_us":1,"dir":"<","data":"abc"}"#])),
        ("capitals", rows(&[r#"{"t_us":1,"dir":"<","data":"0A\u0046f"}"#])),
        ("unknown", rows(&[r#"{"t_us":1,"dir":"<","data":"","\u001b[1m":1}"#])),
        ("direction", rows(&[r#"{"t_us":1,"dir":"\u202e","data":""}"#])),
        ("version", FIRST.replace(":1,", ":2,").into_bytes()),
        ("empty-line", rows(&[sent, "", end])),
        ("nothing", vec![]),
    ]
}

fn transcript_seeds() -> Seeds {
    vec![
        ("text", b"\x04hello, world\n".to_vec()),
        ("crlf", b"\x00a\r\nb\n\r\n\rc\r".to_vec()),
        ("escape", b"\x02\x1b]0;title\x07\xc2\x9b31m\x7f".to_vec()),
        ("cut", "\x01h\u{e9}\u{20ac}\u{1d11e}\u{202e}".as_bytes().to_vec()),
        ("broken", b"\x01\xf0\x9f\xed\xa0\x80\xff".to_vec()),
        ("all-bytes", std::iter::once(16).chain(0..=255).collect()),
        ("nothing", vec![]),
    ]
}

fn targets() -> Vec<Target> {
    use super::{recording, transcript};
    vec![
        Target { name: "recording", body: recording, seeds: recording_seeds() },
        Target { name: "transcript", body: transcript, seeds: transcript_seeds() },
    ]
}

/// Q4, C3, C5: every committed input of the targets passes.
#[test]
fn replay() {
    corpora::replay(&targets());
}

/// Writes the seeds.
#[test]
#[ignore = "writes to the tree; for whoever changes a format"]
fn write_corpora() {
    corpora::write(&targets());
}
