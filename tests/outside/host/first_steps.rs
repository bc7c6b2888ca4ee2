//! The README's own lines, from nothing: X2, T2, T3, T4, T5 as somebody meets them.

use super::pty::{Pty, can_start};
use crate::harness::namespace::in_namespace;
use crate::harness::remote::{Home, Host, text};
use crate::harness::{needs, serve};

/// A home with nothing in it at all.
fn bare() -> Home {
    let home = Home::empty();
    std::fs::remove_dir(home.ssh("")).unwrap();
    home
}

/// T2, T3: a server on a fresh machine says in two lines what to run, and that is all there is to
/// run.
#[test]
fn from_nothing() {
    if !can_start() {
        return;
    }
    in_namespace("host::first_steps::from_nothing", &["setsid"], || {
        let home = bare();
        let launch = serve("host").expecting(1).env("HOME", text(home.path()));
        let server = launch.start();
        let fingerprint = server.wait_for("listening")["fingerprint"].as_str().unwrap().to_owned();
        let said = server.wait_stderr("what to run", |text| text.contains("authorize"));
        assert_eq!(said.lines().count(), 2, "{said}");
        let advice = said.lines().last().unwrap();
        let (advice, _) = advice.split_once('#').unwrap();
        for command in advice.split("&&") {
            let words: Vec<&str> = command.split_whitespace().collect();
            assert_eq!(words[0], "sockeye", "{advice}");
            home.well(&words[1..]);
        }

        let mut client =
            Pty::start(&home.command(&["exec", "localhost", "--", "echo", "it", "works"]));
        client.until(&fingerprint);
        client.until("(yes/no) ");
        client.types("yes\n");
        client.until("it works\r\n");
        client.ends(0);
        assert_eq!(home.well(&["exec", "localhost", "-c", "echo again"]), "again\n");
    });
}

/// T2: an `~/.ssh/id_ed25519` that is there already serves as it is; authorising it twice is once.
#[test]
fn existing_key() {
    if !needs(&["ssh-keygen"]) {
        return;
    }
    let home = Home::empty();
    let file = home.identity();
    let words = ["-q", "-t", "ed25519", "-N", "", "-f", text(&file)];
    crate::harness::process::tool("ssh-keygen", &words);
    home.well(&["key", "authorize"]);
    home.run(&["key", "authorize"], b"");
    let list = std::fs::read_to_string(home.ssh("authorized_keys")).unwrap();
    assert_eq!(list.matches("ssh-ed25519").count(), 1, "{list}");
    let host = Host::of(home, |launch| launch);
    assert_eq!(host.server.stderr(), "");
    let output = host.exec(&["--", "sh", "-c", "echo out; echo err >&2; exit 3"], b"");
    assert_eq!((output.code, output.stderr.as_str()), (Some(3), "err\n"), "{output:?}");
}

/// T5: on the same machine as the same user there is nothing to prepare.
#[test]
fn no_key_needed() {
    let home = bare();
    let server = serve("host").at("unix").env("HOME", text(home.path())).start();
    let endpoint = server.endpoint("unix");
    assert_eq!(home.well(&["exec", &endpoint, "--", "echo", "in"]), "in\n");
}
