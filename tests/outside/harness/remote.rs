//! Remote commands from outside: a home with keys, a host server, and clients that know it.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;

use tempfile::TempDir;

use super::process::{Output, children_of, eventually, run_command};
use super::{BINARY, DEADLINE, Launch, Server, clean, serve};

/// A home directory with an identity in `.ssh/id_ed25519` that may log in as its own user.
pub(crate) struct Home {
    dir: TempDir,
}

impl Home {
    /// A new key pair, and its public half in `authorized_keys`.
    pub(crate) fn new() -> Home {
        let home = Home::empty();
        let file = home.identity();
        home.well(&["key", "new", "--no-passphrase", "-f", text(&file)]);
        home.authorize(&home.public());
        home
    }

    /// `.ssh` and nothing in it.
    pub(crate) fn empty() -> Home {
        let home = Home { dir: tempfile::tempdir().expect("a temporary directory") };
        fs::create_dir(home.ssh("")).expect("a directory for keys");
        let mode = fs::Permissions::from_mode(0o700);
        fs::set_permissions(home.ssh(""), mode).expect("the mode of the directory");
        home
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// A file in `.ssh`.
    pub(crate) fn ssh(&self, name: &str) -> PathBuf {
        self.path().join(".ssh").join(name)
    }

    /// The private key file.
    pub(crate) fn identity(&self) -> PathBuf {
        self.ssh("id_ed25519")
    }

    /// The public key, one line without its newline.
    pub(crate) fn public(&self) -> String {
        let line = fs::read_to_string(self.ssh("id_ed25519.pub")).expect("the public key");
        line.trim_end().to_owned()
    }

    /// The list of known servers.
    pub(crate) fn known_hosts(&self) -> PathBuf {
        self.path().join(".config/sockeye/known_hosts")
    }

    /// Writes `authorized_keys` as a whole.
    pub(crate) fn authorize(&self, lines: &str) {
        self.write(".ssh/authorized_keys", &format!("{lines}\n"), 0o600);
    }

    /// Writes a file beneath the home directory.
    pub(crate) fn write(&self, name: &str, contents: &str, mode: u32) -> PathBuf {
        let path = self.path().join(name);
        let directory = path.parent().expect("a file beneath the home directory");
        fs::create_dir_all(directory).expect("its directory");
        fs::write(&path, contents).expect("a file of the home directory");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("its mode");
        path
    }

    /// `sockeye` as its owner would run it.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = self.other(BINARY);
        command.args(words);
        command
    }

    /// Another program in this home: no agent, no settings of the user's.
    pub(crate) fn other(&self, program: &str) -> Command {
        let mut command = clean(program);
        command.env("HOME", self.path()).env_remove("SSH_AUTH_SOCK");
        command
    }

    /// Runs `sockeye` to its end.
    pub(crate) fn run(&self, words: &[&str], stdin: &[u8]) -> Output {
        run_command(self.command(words), stdin)
    }

    /// The same where it has to succeed; its output.
    pub(crate) fn well(&self, words: &[&str]) -> String {
        let output = self.run(words, b"");
        assert_eq!(output.code, Some(0), "{words:?}: {output:?}");
        output.stdout_text()
    }
}

/// A running `serve host` on TLS and on a Unix socket, and the home of its user, who is also the
/// client unless a test says otherwise.
pub(crate) struct Host {
    pub(crate) server: Server,
    pub(crate) home: Home,
    /// `tls://127.0.0.1:PORT`.
    pub(crate) tls: String,
    /// `unix:PATH`.
    pub(crate) unix: String,
    /// `SHA256:…` of the host key.
    pub(crate) fingerprint: String,
}

impl Host {
    /// A server with a home of its own, in which one key is authorised.
    pub(crate) fn start() -> Host {
        Host::with(&[])
    }

    /// The same with more words on the server's command line.
    pub(crate) fn with(words: &[&str]) -> Host {
        Host::of(Home::new(), |launch| launch.args(words))
    }

    /// A server in that home, its launch changed by `change`.
    pub(crate) fn of(home: Home, change: impl FnOnce(Launch) -> Launch) -> Host {
        let launch = serve("host").on("tls://127.0.0.1:0").at("unix");
        let mut host = Host::on_tls(home, change(launch));
        host.unix = host.server.endpoint("unix");
        host
    }

    /// The server of a launch of one's own, with a TLS endpoint; `unix` stays empty.
    pub(crate) fn on_tls(home: Home, launch: Launch) -> Host {
        let server = launch.env("HOME", text(home.path())).start();
        let tls = server.endpoint("tls");
        let event = server.wait_event("fingerprint", |event| event["fingerprint"].is_string());
        let fingerprint = event["fingerprint"].as_str().expect("text").to_owned();
        Host { server, home, tls, unix: String::new(), fingerprint }
    }

    /// The port of the TLS endpoint.
    pub(crate) fn port(&self) -> u16 {
        let (_, port) = self.tls.rsplit_once(':').expect("an endpoint with a port");
        port.parse().expect("a port number")
    }

    /// `exec` over TLS by this home's user, who trusts the server: options first, then the command.
    pub(crate) fn client(&self, words: &[&str]) -> Command {
        let mut command = self.home.command(&["exec", &self.tls, "--trust", &self.fingerprint]);
        command.args(words);
        command
    }

    /// Runs [`Host::client`] to its end.
    pub(crate) fn exec(&self, words: &[&str], stdin: &[u8]) -> Output {
        run_command(self.client(words), stdin)
    }

    /// A line for the shell over TLS, without input.
    pub(crate) fn line(&self, line: &str) -> Output {
        self.exec(&["-n", "-c", line], b"")
    }

    /// Runs `exec` over the Unix socket.
    pub(crate) fn exec_unix(&self, words: &[&str], stdin: &[u8]) -> Output {
        let mut command = self.home.command(&["exec", &self.unix]);
        command.args(words);
        run_command(command, stdin)
    }

    /// Starts [`Host::client`] with pipes and waits for nothing.
    pub(crate) fn spawn(&self, words: &[&str]) -> Running {
        Running::start(self.client(words))
    }

    /// All worker processes and what they have started, down to the last descendant.
    pub(crate) fn tree(&self) -> Vec<u32> {
        let mut all = children_of(self.server.pid());
        let mut at = 0;
        while at < all.len() {
            all.extend(children_of(all[at]));
            at += 1;
        }
        all
    }
}

/// A client that runs beside the test; killed when dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    lines: Option<mpsc::Receiver<String>>,
}

impl Running {
    /// Starts a command with pipes for its streams.
    pub(crate) fn start(mut command: Command) -> Running {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Running::adopt(command.spawn().expect("the client starts"))
    }

    /// A child that was started otherwise.
    pub(crate) fn adopt(child: Child) -> Running {
        Running { child, lines: None }
    }

    /// Closes our end of its output, as `head` does.
    pub(crate) fn stop_reading(&mut self) {
        self.child.stdout = None;
        self.lines = None;
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The next line of its output, without the newline; none at its end.
    pub(crate) fn next_line(&mut self) -> Option<String> {
        if self.lines.is_none() {
            let stdout = self.child.stdout.take().expect("stdout is piped and not taken");
            let (sender, receiver) = mpsc::channel();
            std::thread::spawn(move || {
                for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                    if sender.send(line).is_err() {
                        return;
                    }
                }
            });
            self.lines = Some(receiver);
        }
        let lines = self.lines.as_ref().expect("just made");
        match lines.recv_timeout(DEADLINE) {
            Ok(line) => Some(line),
            Err(mpsc::RecvTimeoutError::Disconnected) => None,
            Err(mpsc::RecvTimeoutError::Timeout) => panic!("no line within {DEADLINE:?}"),
        }
    }

    /// Waits for a line of its output, which must be the next.
    pub(crate) fn expect_line(&mut self, line: &str) {
        let next = self.next_line();
        if next.as_deref() != Some(line) {
            // What it has to say about that.
            let _ = self.child.kill();
            panic!("{line:?} was to come, not {next:?}; {}", self.stderr());
        }
    }

    /// Waits for its end: the exit status, none after a signal.
    pub(crate) fn wait(&mut self) -> Option<i32> {
        let mut status = None;
        eventually("the client ends", || {
            status = self.child.try_wait().expect("wait for the client");
            status.is_some()
        });
        status.expect("it has ended").code()
    }

    /// The rest of what it wrote to stderr, to its end.
    pub(crate) fn stderr(&mut self) -> String {
        let mut text = String::new();
        let mut stderr = self.child.stderr.take().expect("stderr is piped and not taken");
        stderr.read_to_string(&mut text).expect("text on stderr");
        text
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has ended, or the test has failed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A number of seconds that no other sleep(1) on this machine has, to find processes by.
pub(crate) fn mark() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    format!("1000.{}{:03}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The processes that have this word on their command line and are not our client.
pub(crate) fn marked(mark: &str) -> Vec<u32> {
    let entries = fs::read_dir("/proc").expect("the table of processes").flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|pid| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).into_owned();
        line.contains(mark) && !line.starts_with(BINARY) && !line.contains("--trust")
    })
    .collect()
}

/// A path as a word of a command line.
pub(crate) fn text(path: &Path) -> &str {
    path.to_str().expect("a path of text")
}
