//! The committed corpora of these targets.

#[path = "../../../../../fuzz/corpora.rs"]
mod corpora;

use corpora::Target;

fn targets() -> Vec<Target> {
    let texts = [
        ("serve", "[serve]\nmodel = \"thread\"\nidle-timeout = \"5s\"\n"),
        ("tables", "[serve]\n[connect]\n[exec]\n[files]\n[ports]\n[bench]\n"),
        ("inline", "serve = { model = \"event\" }\nconnect = {}"),
        ("unknown", "[serve]\nmodle = \"x\"\n"),
        ("unknown-table", "[served]\n"),
        ("type", "[serve]\nmodel = 7\n"),
        ("twice", "[serve]\n[serve]\n"),
        ("open-string", "[serve]\nmodel = \"thr\n\nead"),
        ("escape", "[serve]\nmodel = \"\\u202e\\u001b\"\n\"\\u001b\\n\" = 1"),
        ("crlf", "[serve]\r\nmodel = '''\r\na'''\r\n"),
        ("deep", "[serve]\nset = [[[[[[[[[["),
        ("nothing", ""),
    ];
    let seeds = texts.map(|(name, text)| (name, text.as_bytes().to_vec())).to_vec();
    vec![Target { name: "config", body: super::config, seeds }]
}

/// Q4, Q3: every committed input of the target passes.
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
