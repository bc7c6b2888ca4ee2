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

/// Raw SYNs from many sources that answer nothing. Arguments: port, count.
pub(crate) const SYNS: &str = r"
import socket, struct, sys
port, count = int(sys.argv[1]), int(sys.argv[2])
raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
target = socket.inet_aton('10.77.0.1')
def checksum(data):
    total = sum(struct.unpack('!%dH' % (len(data) // 2), data))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff
for n in range(count):
    source = struct.pack('!BBH', 10, 77, 1000 + n)
    head = lambda check: struct.pack('!HHIIBBHHH', 1024 + n, port, n, 0, 5 << 4, 2, 64240, check, 0)
    pseudo = source + target + struct.pack('!BBH', 0, 6, 20)
    tcp = head(checksum(pseudo + head(0)))
    ip = struct.pack('!BBHHHBBH', 0x45, 0, 40, n, 0, 64, 6, 0) + source + target
    raw.sendto(ip + tcp, ('10.77.0.1', 0))
";
