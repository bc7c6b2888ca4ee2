//! Text of foreign origin (fault 56): shown escaped in errors, output, logs and prompts.

use super::hostile::{Fake, Line, ended, frame, kind, server_hello};
use crate::harness::process::{Output, needs, run_command};
use crate::harness::remote::{Home, text};
use crate::harness::{BINARY, serve};

/// ESC, an OSC that sets the title, C1 (CSI) in UTF-8 and alone, CR, BEL, backspace, and controls
/// that reorder what is read.
const HOSTILE: &str =
    "\x1b[31mred\x1b]0;owned\x07\u{9b}2J\rover\x08\u{202e}gnp\u{2066}\u{feff}\x7f";

/// Nothing in it drives a terminal: no control but newline and, where a terminal adds it, CR before.
fn assert_harmless(text: &str) {
    let text = text.replace("\r\n", "\n");
    let hazard = text.chars().find(|c| {
        (c.is_control() && !matches!(c, '\n' | '\t'))
            || matches!(c, '\u{200e}'..='\u{200f}' | '\u{202a}'..='\u{202e}')
            || matches!(c, '\u{2066}'..='\u{2069}' | '\u{2028}' | '\u{2029}' | '\u{feff}')
    });
    assert_eq!(hazard, None, "{text:?}");
}

/// Runs `sockeye` on a terminal of its own: what the terminal was given.
fn on_a_terminal(home: &Home, words: &[&str]) -> Output {
    let mut command = home.other("script");
    let quoted: Vec<String> =
        words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
    command.args(["-qefc", &format!("{BINARY} {}", quoted.join(" ")), "/dev/null"]);
    run_command(command, b"")
}

/// A server that starts, says this on both outputs, and ends well.
fn says(out: &'static [u8]) -> Fake {
    Fake::unix(async |mut line: Line| {
        if line.hear_run().await.is_err() {
            return;
        }
        let words = [
            server_hello(),
            frame(kind::STARTED, &[0, 0, 0, 9]),
            frame(kind::STDOUT, out),
            frame(kind::STDERR, out),
            ended(0, out.len() as u64, out.len() as u64),
        ];
        let _ = line.say(&words.concat()).await;
        line.wait_for_end().await;
    })
}

/// Fault 56: the reason of a failure is one line, escaped, whatever the server writes into it.
#[test]
fn failures() {
    let text = format!("{HOSTILE}\nsockeye: forged\n\tline");
    let fake = Fake::unix(async move |mut line: Line| {
        if line.hear_run().await.is_ok() {
            let failed = frame(kind::FAILED, &[&[3], text.as_bytes()].concat());
            let _ = line.say(&[server_hello(), failed].concat()).await;
            line.wait_for_end().await;
        }
    });
    let home = Home::empty();
    let output = home.run(&["exec", &fake.endpoint, "-n", "--", "true"], b"");
    let line = output.assert_one_line(255);
    assert_harmless(line);
    assert!(line.contains("\\x1b]0;owned\\x07") && line.contains("\\u{202e}"), "{line}");
    let output = home.run(&["exec", &fake.endpoint, "-n", "--json", "--", "true"], b"");
    assert_harmless(&output.stdout_text());
    assert_harmless(&output.stderr);
}

/// Fault 56, C5: on a terminal both outputs are shown escaped; `--raw` passes them, and so does a
/// pipe, byte for byte.
#[test]
fn output_on_a_terminal() {
    if !needs(&["script"]) {
        return;
    }
    let home = Home::empty();
    let fake = says(HOSTILE.as_bytes());
    let output = on_a_terminal(&home, &["exec", &fake.endpoint, "-n", "--", "true"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    let shown = output.stdout_text();
    assert_harmless(&shown);
    assert_eq!(shown.matches("\\x1b]0;owned").count(), 2, "{shown}");
    let words = ["exec", &fake.endpoint, "-n", "--raw", "--", "true"];
    assert!(on_a_terminal(&home, &words).stdout_text().contains("\x1b]0;owned"));
    let output = home.run(&["exec", &fake.endpoint, "-n", "--", "true"], b"");
    assert_eq!(output.stdout, HOSTILE.as_bytes());
    assert_eq!(output.stderr, HOSTILE);
}

/// Fault 56, C5: `--json` holds the true text, and none of it as bytes that drive a terminal.
#[test]
fn json_output() {
    let home = Home::empty();
    let fake = says(HOSTILE.as_bytes());
    let output = home.run(&["exec", &fake.endpoint, "-n", "--json", "--", "true"], b"");
    let line = output.stdout_text();
    assert_harmless(&line);
    let answer: serde_json::Value = serde_json::from_str(&line).expect("one JSON object");
    assert_eq!(answer["stdout"], HOSTILE);
    assert_eq!(answer["stderr"], HOSTILE);
}

/// Fault 56: the plain form's output on a terminal.
#[test]
fn plain_output_on_a_terminal() {
    if !needs(&["script"]) {
        return;
    }
    let fake = Fake::tcp(async |mut line: Line| {
        line.hear_until(b"true").await;
        let json = serde_json::to_string(&serde_json::json!([0, HOSTILE])).expect("JSON");
        let _ = line.say(format!("{}{json}", json.len()).as_bytes()).await;
        line.wait_for_end().await;
    });
    let home = Home::empty();
    let endpoint = fake.endpoint.replace("tls:", "tcp:");
    let shown = on_a_terminal(&home, &["exec", &endpoint, "--", "true"]).stdout_text();
    assert_harmless(&shown);
    assert!(shown.contains("\\x1b]0;owned"), "{shown}");
}

/// Fault 56: the server's log for people: comments of keys and what clients ran.
#[test]
fn the_log() {
    let home = Home::new();
    home.authorize(&format!("{} {}", home.public(), HOSTILE));
    let path = text(home.path()).to_owned();
    let launch = serve("host").on("tls://127.0.0.1:0").env("HOME", &path).args(&["-v"]).text();
    let server = launch.start();
    let listening = server.stderr();
    let words: Vec<&str> = listening.split_whitespace().collect();
    let find = |prefix: &str| {
        words.iter().find(|word| word.starts_with(prefix)).copied().expect("in the line").to_owned()
    };
    let (endpoint, fingerprint) = (find("tls://"), find("SHA256:"));
    for argument in [HOSTILE, "x\nlistening on tls://forged", "\u{2028}"] {
        let words = ["exec", &endpoint, "--trust", &fingerprint, "-n", "--", "true", argument];
        assert_eq!(home.run(&words, b"").code, Some(0));
    }
    let said = server.wait_stderr("three commands", |text| {
        text.matches(" ran ").count() >= 3 && text.matches(" closed: ").count() >= 3
    });
    assert_harmless(&said);
    assert!(said.contains("\\x1b]0;owned"), "{said}");
    assert_eq!(said.lines().filter(|line| line.starts_with("listening on")).count(), 1, "{said}");
}

/// Fault 56: the server's events and the audit file: true text, no byte that drives a terminal.
#[test]
fn events_and_audit() {
    let home = Home::new();
    home.authorize(&format!("{} {}", home.public(), HOSTILE));
    let audit = home.path().join("audit");
    let path = text(home.path()).to_owned();
    let launch = serve("host").on("tls://127.0.0.1:0").env("HOME", &path);
    let mut command = launch.args(&["--audit", text(&audit)]).command();
    let events = home.path().join("events");
    let file = std::fs::File::create(&events).expect("a file");
    command.stdout(file).stderr(std::process::Stdio::null());
    let mut server = command.spawn().expect("the server starts");
    let read = || std::fs::read_to_string(&events).expect("the events");
    crate::harness::eventually("it listens", || read().contains('\n'));
    let listening: serde_json::Value =
        serde_json::from_str(read().lines().next().expect("a line")).expect("an event");
    let field = |name: &str| listening[name].as_str().expect("text").to_owned();
    let (endpoint, fingerprint) = (field("endpoint"), field("fingerprint"));
    let words = ["exec", &endpoint, "--trust", &fingerprint, "-n", "--", "true", HOSTILE];
    let code = home.run(&words, b"").code;
    crate::harness::eventually("it is over", || read().contains("\"closed\""));
    server.kill().expect("the server is ours");
    server.wait().expect("its end");
    assert_eq!(code, Some(0));
    assert_harmless(&read());
    assert_harmless(&std::fs::read_to_string(&audit).expect("the audit file"));
}
