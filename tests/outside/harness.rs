//! A server as a child process: started, watched through its events, and gone at the end.

pub(crate) mod bytes;
pub(crate) mod conn;
pub(crate) mod files;
pub(crate) mod namespace;
pub(crate) mod process;
pub(crate) mod remote;
pub(crate) mod tmux;

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use serde_json::Value;
use tempfile::TempDir;

pub(crate) use conn::{Conn, Gram};
pub(crate) use process::{copy_program, eventually, needs, run};

/// The program under test.
pub(crate) const BINARY: &str = env!("CARGO_BIN_EXE_sockeye");

/// How long anything may take before a test calls it a failure. Generous: the machine is shared.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// The models, as `--model` names them.
pub(crate) const MODELS: [&str; 4] = ["iterative", "thread", "process", "event"];

/// The models that serve several connections at once.
pub(crate) const PARALLEL_MODELS: [&str; 3] = ["thread", "process", "event"];

/// A command that sees none of the user's settings: no configuration file, no `SOCKEYE_*`.
pub(crate) fn clean(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    for (name, _) in std::env::vars_os() {
        let ours = name.to_str().is_some_and(|name| {
            name.starts_with("SOCKEYE_") || name.starts_with("LISTEN_") || name.starts_with("XDG_")
        });
        if ours {
            command.env_remove(name);
        }
    }
    command.env_remove("NOTIFY_SOCKET").env("HOME", "/nonexistent");
    command
}

/// A `sockeye serve` about to start.
pub(crate) struct Launch {
    launcher: Vec<String>,
    program: PathBuf,
    words: Vec<String>,
    env: Vec<(String, String)>,
    json: bool,
    endpoints: usize,
    dir: TempDir,
}

/// Begins the launch of a server of `service`.
pub(crate) fn serve(service: &str) -> Launch {
    Launch {
        launcher: Vec::new(),
        program: BINARY.into(),
        words: vec!["serve".into(), service.into()],
        env: Vec::new(),
        json: true,
        endpoints: 0,
        dir: tempfile::tempdir().expect("a temporary directory"),
    }
}

impl Launch {
    /// Adds an endpoint of `transport` that is this server's own: port 0, or a fresh path.
    pub(crate) fn at(self, transport: &str) -> Launch {
        let endpoint = match transport {
            "tcp" | "udp" => format!("{transport}://127.0.0.1:0"),
            _ => {
                let path = self.dir.path().join(transport);
                format!("{transport}:{}", path.display())
            }
        };
        self.on(&endpoint)
    }

    /// Adds an endpoint as it stands.
    pub(crate) fn on(mut self, endpoint: &str) -> Launch {
        self.words.push(endpoint.into());
        self.endpoints += 1;
        self
    }

    /// Chooses the model.
    pub(crate) fn model(self, model: &str) -> Launch {
        self.args(&["--model", model])
    }

    /// Adds words to the command line.
    pub(crate) fn args(mut self, words: &[&str]) -> Launch {
        self.words.extend(words.iter().map(ToString::to_string));
        self
    }

    /// Sets a variable of the server's environment.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Launch {
        self.env.push((name.into(), value.into()));
        self
    }

    /// Starts it through another program, which must end by executing its arguments.
    pub(crate) fn via(mut self, launcher: &[&str]) -> Launch {
        self.launcher = launcher.iter().map(ToString::to_string).collect();
        self
    }

    /// Starts another program than `sockeye serve SERVICE`, which takes the same options.
    pub(crate) fn program(mut self, program: &Path) -> Launch {
        self.program = program.into();
        self.words.drain(..2);
        self
    }

    /// Waits for this many listening events where the endpoints do not tell (systemd, defaults).
    pub(crate) fn expecting(mut self, endpoints: usize) -> Launch {
        self.endpoints = endpoints;
        self
    }

    /// Without `--json`: events are lines on stderr.
    pub(crate) fn text(mut self) -> Launch {
        self.json = false;
        self
    }

    /// A file in the server's own directory.
    pub(crate) fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).expect("a file in the temporary directory");
        path
    }

    /// The command, for those who start it otherwise.
    pub(crate) fn command(&self) -> Command {
        let mut words: Vec<&std::ffi::OsStr> = self.launcher.iter().map(AsRef::as_ref).collect();
        words.push(self.program.as_os_str());
        words.extend(self.words.iter().map(AsRef::<std::ffi::OsStr>::as_ref));
        let mut command = clean(words[0]);
        command.args(&words[1..]);
        if self.json {
            command.arg("--json");
        }
        command.envs(self.env.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts it and waits until every endpoint listens.
    pub(crate) fn start(self) -> Server {
        let (endpoints, json) = (self.endpoints, self.json);
        let server = self.start_unready();
        if json {
            server.wait_events("listening", endpoints, |e| e["event"] == "listening");
        } else {
            server.wait_stderr("listening", |text| {
                text.matches("listening on ").count() >= endpoints
            });
        }
        server
    }

    /// Starts it with a standard input of its own and waits until every endpoint listens.
    pub(crate) fn start_with_stdin(self, stdin: Stdio) -> Server {
        let endpoints = self.endpoints;
        let server = self.spawn(stdin);
        server.wait_events("listening", endpoints, |e| e["event"] == "listening");
        server
    }

    /// Starts it and waits for nothing.
    pub(crate) fn start_unready(self) -> Server {
        self.spawn(Stdio::null())
    }

    fn spawn(self, stdin: Stdio) -> Server {
        let mut command = self.command();
        command.stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the server starts");
        let log = Arc::new(Log::default());
        let stdout = child.stdout.take().expect("stdout is piped");
        let stderr = child.stderr.take().expect("stderr is piped");
        let (events, text) = (log.clone(), log.clone());
        std::thread::spawn(move || events.read_events(stdout));
        std::thread::spawn(move || text.read_text(stderr));
        Server { child, status: None, log, dir: self.dir }
    }
}

/// What a server said so far.
#[derive(Default)]
struct Log {
    said: Mutex<Said>,
    changed: Condvar,
}

#[derive(Default)]
struct Said {
    events: Vec<Value>,
    stderr: String,
    ended: u8,
}

impl Log {
    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn add(&self, what: impl FnOnce(&mut Said)) {
        what(&mut self.said());
        self.changed.notify_all();
    }

    fn read_events(&self, stdout: impl Read) {
        for line in BufReader::new(stdout).lines() {
            let Ok(line) = line else { break };
            // A line that is no JSON is kept too, so that a test that looks for it can say so.
            let event = serde_json::from_str(&line)
                .unwrap_or_else(|_| serde_json::json!({ "event": "not JSON", "line": line }));
            self.add(|said| said.events.push(event));
        }
        self.add(|said| said.ended += 1);
    }

    fn read_text(&self, stderr: impl Read) {
        let mut reader = BufReader::new(stderr);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line).is_ok_and(|n| n > 0) {
            let text = String::from_utf8_lossy(&line).into_owned();
            self.add(|said| said.stderr.push_str(&text));
            line.clear();
        }
        self.add(|said| said.ended += 1);
    }

    /// Waits until `found` gives something, or panics with all that was said.
    fn wait<T>(&self, what: &str, mut found: impl FnMut(&Said) -> Option<T>) -> T {
        let end = Instant::now() + DEADLINE;
        let mut said = self.said();
        loop {
            if let Some(found) = found(&said) {
                return found;
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                let text = said.to_string();
                drop(said);
                panic!("no {what} within {DEADLINE:?}; {text}");
            }
            said = self.changed.wait_timeout(said, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

impl std::fmt::Display for Said {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let first = self.events.len().saturating_sub(40);
        writeln!(f, "the server said ({} events, the last of them):", self.events.len())?;
        for event in &self.events[first..] {
            writeln!(f, "  {event}")?;
        }
        write!(f, "and on stderr:\n{}", self.stderr)
    }
}

/// A running server. Killed when dropped, with what it said printed if the test fails.
pub(crate) struct Server {
    child: Child,
    status: Option<ExitStatus>,
    log: Arc<Log>,
    dir: TempDir,
}

impl Server {
    /// The server's process number.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The server's own directory, where its Unix sockets are.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Where it really listens: the first endpoint of that scheme.
    pub(crate) fn endpoint(&self, scheme: &str) -> String {
        let prefix = format!("{scheme}:");
        self.log.wait(&format!("{scheme} endpoint"), |said| {
            let listening = said.events.iter().filter(|e| e["event"] == "listening");
            let mut endpoints = listening.filter_map(|e| e["endpoint"].as_str());
            endpoints.find(|endpoint| endpoint.starts_with(&prefix)).map(str::to_owned)
        })
    }

    /// Where it really listens: the first endpoint.
    pub(crate) fn first_endpoint(&self) -> String {
        let event = self.wait_for("listening");
        event["endpoint"].as_str().expect("a listening event names its endpoint").to_owned()
    }

    /// Connects to the first stream endpoint.
    pub(crate) fn dial(&self) -> Conn {
        let endpoint = self.first_endpoint();
        Conn::dial(&endpoint).unwrap_or_else(|error| panic!("cannot connect {endpoint}: {error}"))
    }

    /// A datagram socket connected to the first endpoint.
    pub(crate) fn gram(&self) -> Gram {
        let endpoint = self.first_endpoint();
        Gram::dial(&endpoint, self.dir()).unwrap_or_else(|e| panic!("cannot reach {endpoint}: {e}"))
    }

    /// The first event of that kind, waited for.
    pub(crate) fn wait_for(&self, kind: &str) -> Value {
        self.wait_event(kind, |event| event["event"] == kind)
    }

    /// The first event that fits, past or to come.
    pub(crate) fn wait_event(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.log.wait(what, |said| said.events.iter().find(|event| fits(event)).cloned())
    }

    /// The first `count` events that fit, past or to come.
    pub(crate) fn wait_events(
        &self,
        what: &str,
        count: usize,
        fits: impl Fn(&Value) -> bool,
    ) -> Vec<Value> {
        self.log.wait(&format!("{what} ×{count}"), |said| {
            let found: Vec<Value> =
                said.events.iter().filter(|e| fits(e)).take(count).cloned().collect();
            (found.len() == count).then_some(found)
        })
    }

    /// The `closed` event of the connection whose client end is `conn`.
    pub(crate) fn wait_closed(&self, number: u64) -> Value {
        self.wait_event(&format!("closed event of connection {number}"), |event| {
            event["event"] == "closed" && event["connection"] == number
        })
    }

    /// All events so far.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.log.said().events.clone()
    }

    /// How many events of that kind there were so far.
    pub(crate) fn count(&self, kind: &str) -> usize {
        self.log.said().events.iter().filter(|event| event["event"] == kind).count()
    }

    /// Waits until stderr fits and returns it.
    pub(crate) fn wait_stderr(&self, what: &str, fits: impl Fn(&str) -> bool) -> String {
        self.log.wait(what, |said| fits(&said.stderr).then(|| said.stderr.clone()))
    }

    /// Stderr so far.
    pub(crate) fn stderr(&self) -> String {
        self.log.said().stderr.clone()
    }

    /// Sends a signal to the server alone, not to its workers.
    pub(crate) fn signal(&self, signal: Signal) {
        process::signal(self.pid(), signal);
    }

    /// Ends it without any chance to tidy up.
    pub(crate) fn kill(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        self.status = self.child.wait().ok();
    }

    /// True while the process has not ended.
    pub(crate) fn is_alive(&mut self) -> bool {
        self.status.is_none() && self.child.try_wait().is_ok_and(|status| status.is_none())
    }

    /// Waits for its end and for the last of its output: nothing of it may live on with the pipes.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let end = Instant::now() + DEADLINE;
        let status = loop {
            if let Some(status) =
                self.status.or(self.child.try_wait().expect("wait for the server"))
            {
                break status;
            }
            assert!(Instant::now() < end, "the server does not end; {}", self.log.said());
            std::thread::sleep(Duration::from_millis(3));
        };
        self.status = Some(status);
        self.log.wait("end of output", |said| (said.ended == 2).then_some(()));
        status
    }

    /// SIGTERM, and a clean end.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "exit after SIGTERM; {}", self.log.said());
    }

    /// The server answers a new client.
    pub(crate) fn assert_serves(&self) {
        let mut conn = self.dial();
        assert_eq!(conn.ask(b"are you there", 13).to_ascii_uppercase(), b"ARE YOU THERE");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let workers = process::children_of(self.pid());
        if self.status.is_none() {
            self.kill();
        }
        if std::thread::panicking() {
            eprintln!("{}", self.log.said());
        }
        // Workers leave by themselves when their server is gone; a test of its own proves it. One
        // that was stopped by a signal has to be woken for that.
        for worker in workers {
            if let Some(pid) = Pid::from_raw(worker as i32) {
                let _ = rustix::process::kill_process(pid, Signal::CONT);
            }
        }
    }
}
