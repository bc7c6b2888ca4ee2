//! A terminal emulator with a shell in it, for what only a person at a terminal does.

use std::process::Command;
use std::time::{Duration, Instant};

use super::DEADLINE;
use super::process::tool;

/// A terminal of 80 columns and 24 rows. It ends with this.
pub(crate) struct Tmux {
    dir: tempfile::TempDir,
}

impl Tmux {
    /// Starts one in which `shell`, a line for sh(1), runs.
    pub(crate) fn start(shell: &str) -> Tmux {
        let tmux = Tmux { dir: tempfile::tempdir().unwrap() };
        tmux.does(&["-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", shell]);
        tmux
    }

    /// A command of tmux itself, and what it prints.
    pub(crate) fn does(&self, words: &[&str]) -> String {
        let socket = self.dir.path().join("tmux");
        tool("tmux", &[&["-S", socket.to_str().unwrap()], words].concat())
    }

    pub(crate) fn screen(&self) -> String {
        self.does(&["capture-pane", "-p"])
    }

    /// Texts and names of keys, such as `Enter` or `C-u`.
    pub(crate) fn types(&self, keys: &[&str]) {
        self.does(&[&["send-keys"], keys].concat());
    }

    /// Waits until the screen fits.
    pub(crate) fn until(&self, what: &str, fits: impl Fn(&str) -> bool) {
        let end = Instant::now() + DEADLINE;
        while !fits(&self.screen()) {
            assert!(Instant::now() < end, "no {what}:\n{}", self.screen());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let socket = self.dir.path().join("tmux");
        let mut command = Command::new("tmux");
        let _ = command.arg("-S").arg(socket).arg("kill-server").output();
    }
}
