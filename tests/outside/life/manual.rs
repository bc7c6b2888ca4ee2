//! Manual pages, completions and help: Q5.

use crate::harness::process::{needs, run_command};
use crate::harness::remote::text;
use crate::harness::tmux::Tmux;
use crate::harness::{clean, run};

/// Q5: man pages and completions come from the same definitions; help has examples.
#[test]
fn man_and_completions() {
    let man = run(&["man", "serve"], b"");
    assert_eq!(man.code, Some(0), "{}", man.stderr);
    assert!(man.stdout_text().contains(".TH"), "roff");
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completions", shell], b"");
        assert_eq!(script.code, Some(0), "{}", script.stderr);
        assert!(script.stdout_text().contains("max-connections"), "{shell}");
    }
    let help = run(&["serve", "--help"], b"").stdout_text();
    assert!(help.to_lowercase().contains("example"), "{help}");
    for option in ["--model", "--overflow", "--idle-timeout", "--source-rate", "--drain", "--once"]
    {
        assert!(help.contains(option), "{option} in the help");
    }
}

/// Q5: every command has its manual page, commands of commands too, and each says its version.
#[test]
fn a_page_for_each_command() {
    let dir = tempfile::tempdir().unwrap();
    let written = run(&["man", "--dir", text(dir.path())], b"");
    assert_eq!((written.code, written.stdout_text().as_str()), (Some(0), ""), "{}", written.stderr);
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    for name in ["sockeye", "sockeye-serve", "sockeye-exec", "sockeye-cp", "sockeye-key-new"] {
        let page = std::fs::read_to_string(dir.path().join(format!("{name}.1"))).expect(name);
        assert!(page.contains(version), "{name} says its version");
    }
    let one = run(&["man", "key", "new"], b"").stdout_text();
    assert_eq!(std::fs::read_to_string(dir.path().join("sockeye-key-new.1")).unwrap(), one);
    let unknown = run(&["man", "key", "old"], b"");
    assert!(unknown.assert_one_line(2).contains("authorize"), "it names those that there are");
    let nowhere = run(&["man", "--dir", "/nonexistent"], b"");
    assert!(nowhere.assert_one_line(1).contains("/nonexistent"));
}

/// Q5: bash offers words where a value is one of some words, files where it is a file, and nothing
/// where it is a number.
#[test]
fn bash_completes() {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("10-a-file"), "").unwrap();
    let script = dir.path().join("script");
    std::fs::write(&script, run(&["completions", "bash"], b"").stdout).unwrap();
    let complete = |words: &[&str]| {
        let mut command = clean("bash");
        let asked = "shift; . \"$0\"; COMP_WORDS=(sockeye \"$@\"); COMP_CWORD=$#; \
            _sockeye sockeye \"${COMP_WORDS[$#]}\" \"${COMP_WORDS[$#-1]}\" 2>/dev/null; \
            printf '%s ' \"${COMPREPLY[@]}\"";
        command.current_dir(dir.path()).args(["-c", asked, text(&script), "_"]).args(words);
        let output = run_command(command, b"");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    assert_eq!(complete(&["serve", "--model", "th"]), "thread");
    assert_eq!(complete(&["serve", "--overflow", ""]), "queue refuse reset");
    assert_eq!(complete(&["serve", "--host-key", "10-"]), "10-a-file");
    assert_eq!(complete(&["serve", "--drain", "10"]), "10");
    assert_eq!(complete(&["ser"]), "serve");
}

/// Q5: fish offers the same.
#[test]
fn fish_completes() {
    if !needs(&["fish"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("10-a-file"), "").unwrap();
    std::fs::write(dir.path().join("script"), run(&["completions", "fish"], b"").stdout).unwrap();
    let complete = |line: &str| {
        let mut command = clean("fish");
        let asked = "source script; complete -C $argv[1]";
        command.current_dir(dir.path()).env("HOME", dir.path());
        command.args(["--no-config", "-c", asked, &format!("sockeye {line}")]);
        let output = run_command(command, b"");
        assert_eq!(output.code, Some(0), "{output:?}");
        let offered = output.stdout_text();
        // What each is for stands behind a tabulator.
        offered.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(complete("serve --model th"), ["thread"]);
    assert_eq!(complete("serve --overflow "), ["queue", "refuse", "reset"]);
    assert_eq!(complete("serve --host-key 10-"), ["10-a-file"]);
    assert_eq!(complete("serve --drain 10"), [""; 0]);
    assert_eq!(complete("ser"), ["serve"]);
}

/// Q5: zsh offers the same, to somebody at a terminal.
#[test]
fn zsh_completes() {
    if !needs(&["zsh", "tmux"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("10-a-file"), "").unwrap();
    std::fs::write(dir.path().join("_sockeye"), run(&["completions", "zsh"], b"").stdout).unwrap();
    let path = text(dir.path());
    let shell = Tmux::start(&format!("cd {path}; exec env HOME={path} zsh -f"));
    let start = format!(
        "PROMPT='@@'; fpath=({path} $fpath); autoload -U compinit; compinit -u -D; clear; echo re''ady"
    );
    shell.types(&[&start, "Enter"]);
    shell.until("a prompt", |screen| screen.contains("ready\n@@"));
    let completes = |typed: &str, shown: &str| {
        shell.types(&["C-u", &format!("sockeye {typed}"), "Tab"]);
        shell.until(shown, |screen| screen.contains(shown));
    };
    completes("serve --model th", "@@sockeye serve --model thread");
    completes("serve --overflow ", "queue   refuse  reset");
    completes("serve --host-key 10", "@@sockeye serve --host-key 10-a-file");
    completes("ser", "@@sockeye serve");
    // Nothing is offered: what is typed behind the tabulator follows at once.
    shell.types(&["C-u", "sockeye serve --drain 10", "Tab", "s"]);
    shell.until("a time", |screen| screen.contains("@@sockeye serve --drain 10s"));
}
