//! Tests that run again inside network and mount namespaces of their own, gone when they end.

use std::process::Command;

use super::process::{needs, needs_root, run_command, tool};

/// Set in the environment of the copy that runs inside.
const INSIDE: &str = "SOCKEYE_TEST_INSIDE";

/// Runs `body` with a loopback interface, firewall, ports and mounts that nobody else sees.
///
/// Namespaces belong to a process, so the test runs its own program again under unshare(1) with
/// nothing but the test `name` selected; the kernel takes the namespaces down when that ends.
pub(crate) fn in_namespace(name: &str, tools: &[&str], body: impl FnOnce()) {
    if std::env::var_os(INSIDE).is_some_and(|inside| inside == name) {
        body();
        return;
    }
    if !needs_root() || !needs(&["unshare", "ip"]) || !needs(tools) {
        return;
    }
    let this = std::env::current_exe().expect("the path of this program");
    let mut command = Command::new("unshare");
    command.args(["--net", "--mount", "--", "sh", "-c"]);
    command.arg("ip link set lo up && exec \"$0\" \"$@\"").arg(this);
    command.args(["--exact", name, "--nocapture", "--test-threads=1"]);
    let output = run_command(
        {
            command.env(INSIDE, name);
            command
        },
        b"",
    );
    let text = output.stdout_text();
    println!("{text}\n{}", output.stderr);
    assert_eq!(output.code, Some(0), "the test failed inside its namespace");
    assert!(text.contains("1 passed"), "no test has the name {name}");
}

/// Runs nft(8) with one line of rules.
pub(crate) fn nft(rules: &str) {
    tool("nft", &[rules]);
}

/// Makes a table `t` with chain `out` at the output hook, where rules of the test go.
pub(crate) fn firewall() {
    nft("add table inet t");
    nft("add chain inet t out { type filter hook output priority 0; policy accept; }");
}

/// Takes all the rules of [`firewall`] away again.
pub(crate) fn no_firewall() {
    nft("flush chain inet t out");
}

/// Covers a file with other text, for this mount namespace only.
pub(crate) fn cover(path: &str, text: &str, dir: &std::path::Path) {
    let file = dir.join(path.replace('/', "_"));
    std::fs::write(&file, text).expect("a file in the temporary directory");
    let file = file.to_str().expect("a path of text");
    tool("mount", &["--bind", file, path]);
}
