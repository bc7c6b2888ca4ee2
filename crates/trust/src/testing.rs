//! Helpers of the tests: keys, OpenSSH's programs, an agent of the test's own.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::pair::KeyPair;

/// A key for a test.
pub(crate) fn key() -> Arc<KeyPair> {
    Arc::new(KeyPair::generate("test").unwrap())
}

/// A passphrase that nobody is asked for.
pub(crate) fn nobody() -> impl FnMut(&Path) -> Option<Zeroizing<String>> {
    |path| panic!("asked for the passphrase of {}", path.display())
}

/// True if a program is there. Where it is not, the test is skipped, or fails in CI.
pub(crate) fn has(program: &str) -> bool {
    // Programs of OpenSSH do not agree on an option that only shows something.
    let found = std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|dir| dir.join(program).exists()));
    if !found {
        assert!(std::env::var_os("CI").is_none(), "{program} is missing");
        println!("skipped: {program} is missing");
    }
    found
}

/// Runs ssh-keygen in a directory and gives what it printed.
pub(crate) fn keygen(dir: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("ssh-keygen");
    command.args(arguments).current_dir(dir).stdin(Stdio::null());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ssh-keygen {arguments:?}: {text}");
    String::from_utf8(output.stdout).unwrap()
}

/// An agent of the test's own, ended with it.
pub(crate) struct TestAgent {
    child: Child,
    socket: std::path::PathBuf,
}

impl TestAgent {
    pub(crate) fn start(dir: &Path) -> TestAgent {
        let socket = dir.join("agent");
        let mut command = Command::new("ssh-agent");
        command.arg("-D").arg("-a").arg(&socket).stdout(Stdio::null());
        let child = command.spawn().unwrap();
        let agent = TestAgent { child, socket };
        // The socket's file is all that says that it is ready.
        while !agent.socket.exists() {
            std::thread::sleep(Duration::from_millis(2));
        }
        agent
    }

    pub(crate) fn agent(&self) -> crate::agent::Agent {
        crate::agent::Agent::at(&self.socket)
    }

    /// ssh-add with these arguments; a question for a passphrase is answered with `secret`.
    pub(crate) fn add(&self, dir: &Path, arguments: &[&str]) {
        let ask = dir.join("ask");
        std::fs::write(&ask, "#!/bin/sh\necho secret\n").unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(&ask, mode).unwrap();
        let mut command = Command::new("ssh-add");
        command.args(arguments).current_dir(dir).env("SSH_AUTH_SOCK", &self.socket);
        command.env("SSH_ASKPASS", ask).env("SSH_ASKPASS_REQUIRE", "force").env("DISPLAY", ":0");
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
}

impl Drop for TestAgent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
