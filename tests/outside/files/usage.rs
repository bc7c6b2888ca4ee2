//! Command lines of `cp` and `sync` that make no sense: exit status 2, one sentence, nothing done.

use crate::harness::files::{Site, put};
use crate::harness::process::run_command;

/// F1, Q1: both sides here, both sides elsewhere, streams where none can be, and servers that are
/// none.
#[test]
fn refused() {
    let site = Site::new();
    put(site.here("a"), "a");
    let cases: &[(&[&str], &str)] = &[
        (&["cp", "a", "b"], "neither side is another machine"),
        (&["sync", "a", "b"], "neither side is another machine"),
        (&["cp", "h:a", "i:b"], "both sides are on other machines"),
        (&["sync", "h:a", "h:b"], "both sides are on other machines"),
        (&["cp", "h:a", "i:b", "."], "several machines"),
        (&["cp", "h:a", "b", "."], "some are elsewhere"),
        (&["sync", "-", "h:a"], "standard input"),
        (&["sync", "h:a", "-"], "standard input"),
        (&["cp", "-", "h:a/"], "standard input has no name"),
        (&["cp", "-", "a", "h:b"], "standard input"),
        (&["cp", "h:a", "h:b", "-"], "one file"),
        (&["cp", "h:a", "-", "--json"], "--json"),
        (&["cp", ":a", "b"], "--via"),
        (&["cp", "a", "h:b", "--via", "unix:/s"], "--via"),
        (&["cp", "a", ":b", "--via", "tcp://127.0.0.1:9"], "tls:// or unix:"),
        (&["cp", "a", "unix:/s"], "is not a host"),
        (&["cp", "a", "me@h:b"], "no user names: what runs there runs as the user who serves"),
        (&["sync", "tls://me@h:5/b", "a"], "write h:5 alone"),
        (&["cp", "a", "h:b", "--limit", "fast"], "--limit"),
        (&["cp", "a", "h:b", "--limit", "0"], "--limit is at least 8K"),
        (&["cp", "a", "h:b", "--limit", "8191"], "--limit is at least 8K"),
        (&["cp", "a", "h:b", "--limit", "31K", "--streams", "4"], "for each connection"),
        (&["cp", "a", "h:b", "--exclude", ""], "a pattern is empty"),
        (&["sync", "a", "h:b", "--include", " "], "a pattern is empty"),
        (&["sync", "h:a", "b", "--exclude", "{x"], "\"{x\" cannot be read"),
        (&["cp", "h:a", "-", "--exclude", "a"], "--exclude"),
        (&["cp", "-", "h:a", "--gitignore"], "--gitignore"),
        (&["cp", "a", "h:b", "--streams", "0"], "--streams"),
        (&["cp", "a", "h:b", "--streams", "1000"], "--streams"),
        (&["cp", "a", "h:b", "--delete"], "--delete"),
        (&["cp", "-rp", "a", "h:b"], "no option -r: directories are copied whole"),
        (&["cp", "-p", "a", "h:b"], "no option -p: times and modes are kept"),
        (&["sync", "-avz", "a", "h:b"], "no option -z: what gets smaller is compressed"),
        (&["sync", "--partial", "a", "h:b"], "no option --partial: what was interrupted resumes"),
        (&["cp", "a"], "SRC"),
        (&["sync", "a"], "DST"),
    ];
    for (words, said) in cases {
        let output = run_command(site.bare(words), b"");
        assert_eq!(output.code, Some(2), "{words:?}: {output:?}");
        assert!(output.stdout.is_empty(), "{words:?}: {output:?}");
        assert!(output.stderr.contains(said), "{words:?} does not say {said:?}: {output:?}");
    }
}

/// F1: options may stand before, between and behind the words.
#[test]
fn options_anywhere() {
    let site = Site::new();
    put(site.here("a"), "a");
    put(site.here("b"), "b");
    std::fs::create_dir(site.there("in")).unwrap();
    for (words, names) in [
        (&["cp", "a", "b", "--via", &site.host.unix, ":in/"][..], ["a", "b"]),
        (&["cp", "a", "-v", "--via", &site.host.unix, "b", "--limit", "1M", ":in"], ["a", "b"]),
        (&["cp", "--via", &site.host.unix, "a", "b", ":in/"], ["a", "b"]),
    ] {
        let output = run_command(site.bare(words), b"");
        assert_eq!(output.code, Some(0), "{words:?}: {output:?}");
        for name in names {
            assert_eq!(crate::harness::files::text_of(site.there("in").join(name)), name);
            std::fs::remove_file(site.there("in").join(name)).unwrap();
        }
    }
}

/// Q5: the help of both has examples.
#[test]
fn help() {
    for command in ["cp", "sync"] {
        let output = crate::harness::run(&[command, "--help"], b"");
        assert_eq!(output.code, Some(0));
        assert!(output.stdout_text().contains("Examples:"), "{output:?}");
    }
}
