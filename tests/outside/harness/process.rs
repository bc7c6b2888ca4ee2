//! Processes from outside: run one to its end, and read what /proc says of it.

use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};

use super::{BINARY, DEADLINE, clean};

/// Waits until `holds`, or fails naming what never came to be.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + DEADLINE;
    while !holds() {
        assert!(Instant::now() < end, "not within {DEADLINE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Lets `span` pass while `each` looks at things: for what must not happen meanwhile.
pub(crate) fn throughout(span: Duration, mut each: impl FnMut()) {
    let end = Instant::now() + span;
    while Instant::now() < end {
        each();
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Copies a program, by another process: one that a test started meanwhile could hold a descriptor
/// of ours open for writing, and execve(2) would say ETXTBSY.
pub(crate) fn copy_program(from: impl AsRef<Path>, to: &Path) {
    let copied = Command::new("cp").arg(from.as_ref()).arg(to).status().expect("cp starts");
    assert!(copied.success(), "cp to {}", to.display());
}

/// Sends a signal to one process.
pub(crate) fn signal(pid: u32, signal: Signal) {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).expect("a process number");
    rustix::process::kill_process(pid, signal).expect("the process is ours and alive");
}

/// What a finished program left.
#[derive(Debug)]
pub(crate) struct Output {
    /// Exit status; `None` after a signal.
    pub(crate) code: Option<i32>,
    pub(crate) stdout: Vec<u8>,
    pub(crate) stderr: String,
}

impl Output {
    pub(crate) fn stdout_text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// It failed with `code`, said so in exactly one line, and wrote no data.
    pub(crate) fn assert_one_line(&self, code: i32) -> &str {
        assert_eq!(self.code, Some(code), "{self:?}");
        assert!(self.stdout.is_empty(), "stdout carries data only: {self:?}");
        let line = self.stderr.strip_suffix('\n').unwrap_or_else(|| panic!("no line: {self:?}"));
        assert!(!line.contains('\n'), "more than one line: {self:?}");
        assert!(line.starts_with("sockeye: "), "{self:?}");
        line
    }
}

/// Runs `sockeye` with these words to its end.
pub(crate) fn run(words: &[&str], stdin: &[u8]) -> Output {
    let mut command = clean(BINARY);
    command.args(words);
    run_command(command, stdin)
}

/// Runs a command to its end; one that takes longer than the deadline fails the test.
pub(crate) fn run_command(mut command: Command, stdin: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut input = child.stdin.take().expect("stdin is piped");
    let mut output = child.stdout.take().expect("stdout is piped");
    let mut errors = child.stderr.take().expect("stderr is piped");
    std::thread::scope(|scope| {
        scope.spawn(move || {
            // It may end without reading all of it.
            let _ = input.write_all(stdin);
        });
        let stdout = scope.spawn(move || {
            let mut bytes = Vec::new();
            output.read_to_end(&mut bytes).map(|_| bytes)
        });
        let stderr = scope.spawn(move || {
            let mut bytes = Vec::new();
            errors.read_to_end(&mut bytes).map(|_| bytes)
        });
        let end = Instant::now() + DEADLINE * 2;
        let status = loop {
            if let Some(status) = child.try_wait().expect("wait for the program") {
                break Some(status);
            }
            if Instant::now() > end {
                // The readers end with it.
                let _ = child.kill();
                let _ = child.wait();
                break None;
            }
            std::thread::sleep(Duration::from_millis(3));
        };
        let stdout = stdout.join().expect("reader").expect("stdout");
        let stderr = stderr.join().expect("reader").expect("stderr");
        let stderr = String::from_utf8_lossy(&stderr).into_owned();
        let Some(status) = status else { panic!("{command:?} does not end; stderr: {stderr}") };
        Output { code: status.code(), stdout, stderr }
    })
}

/// Runs a helper program that has to succeed, and returns its stdout.
pub(crate) fn tool(program: &str, words: &[&str]) -> String {
    let mut command = Command::new(program);
    command.args(words);
    let output = run_command(command, b"");
    assert_eq!(output.code, Some(0), "{program} {words:?}: {output:?}");
    output.stdout_text()
}

/// True where all the tools are there; otherwise the test says that it is skipped. Under CI it
/// fails instead, because a test that never runs proves nothing.
pub(crate) fn needs(tools: &[&str]) -> bool {
    let path = std::env::var("PATH").unwrap_or_default() + ":/usr/sbin:/sbin";
    let there =
        |tool: &str| path.split(':').any(|dir| std::path::Path::new(dir).join(tool).is_file());
    let missing: Vec<&str> = tools.iter().copied().filter(|tool| !there(tool)).collect();
    missing.is_empty() || skip(&missing.join(", "))
}

/// True for root; otherwise as [`needs`].
pub(crate) fn needs_root() -> bool {
    rustix::process::geteuid().is_root() || skip("root")
}

/// The words before a program's that take root's right to write anywhere away, none where we are not
/// root; `None` where that cannot be done, as [`needs`].
pub(crate) fn unprivileged() -> Option<&'static [&'static str]> {
    if !rustix::process::geteuid().is_root() {
        return Some(&[]);
    }
    let words = &["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--"];
    needs(&words[..1]).then_some(words)
}

/// Says that a test is skipped and why; a failure under CI.
pub(crate) fn skip(what: &str) -> bool {
    assert!(std::env::var_os("CI").is_none(), "needs {what}");
    println!("skipped: needs {what}");
    false
}

/// The program of an example, which `cargo test` builds; otherwise as [`needs`].
pub(crate) fn example(name: &str) -> Option<std::path::PathBuf> {
    let path = std::path::Path::new(super::BINARY).with_file_name("examples").join(name);
    if path.is_file() {
        return Some(path);
    }
    skip(&format!("the example {name}: cargo build --examples"));
    None
}

/// What the descriptors of a process are, as /proc names them.
pub(crate) fn fds_of(pid: u32) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(format!("/proc/{pid}/fd")) else { return Vec::new() };
    let links = entries.flatten().filter_map(|entry| std::fs::read_link(entry.path()).ok());
    links.map(|link| link.to_string_lossy().into_owned()).collect()
}

/// How many sockets a process holds.
pub(crate) fn sockets_of(pid: u32) -> usize {
    fds_of(pid).iter().filter(|fd| fd.starts_with("socket:")).count()
}

/// The fields of /proc/PID/stat after the program's name; field 3 (state) of proc(5) is the first.
fn stat(pid: u32) -> Option<Vec<String>> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(')')?;
    Some(fields.split_whitespace().map(str::to_owned).collect())
}

/// The living children of a process, zombies included.
pub(crate) fn children_of(pid: u32) -> Vec<u32> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|e| e.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|child| stat(*child).is_some_and(|fields| fields[1] == pid.to_string())).collect()
}

/// `R`, `S`, `Z` …, or nothing where the process is gone.
pub(crate) fn state_of(pid: u32) -> Option<char> {
    stat(pid)?[0].chars().next()
}

/// Processor time of all its threads, in clock ticks of 10 ms.
pub(crate) fn cpu_ticks(pid: u32) -> u64 {
    let fields = stat(pid).expect("the process lives");
    let field = |number: usize| fields[number].parse::<u64>().expect("a number");
    field(11) + field(12)
}

fn status_number(pid: u32, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = text.lines().find(|line| line.starts_with(name)).expect("a line of that name");
    let number = line.split_whitespace().nth(1).expect("a number after the name");
    number.parse().expect("a number")
}

/// Resident memory in KiB.
pub(crate) fn rss_kib(pid: u32) -> u64 {
    status_number(pid, "VmRSS:")
}

/// How many threads it has.
pub(crate) fn threads_of(pid: u32) -> u64 {
    status_number(pid, "Threads:")
}

/// How /proc/net/tcp writes an IPv4 address: the word in memory, then the port, in hexadecimal.
fn proc_address(address: SocketAddr) -> String {
    let SocketAddr::V4(v4) = address else { panic!("{address} is not IPv4") };
    format!("{:08X}:{:04X}", u32::from_ne_bytes(v4.ip().octets()), v4.port())
}

/// The socket of a TCP connection's server side, as its descriptor's link names it: found by the
/// addresses of both ends, so that nothing but the kernel is asked.
pub(crate) fn server_socket(server: SocketAddr, client: SocketAddr) -> Option<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("the table of TCP sockets");
    let ends = [proc_address(server), proc_address(client)];
    let row = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let mut found = row.filter(|row| row.len() > 9 && row[1] == ends[0] && row[2] == ends[1]);
    found.next().map(|row| format!("socket:[{}]", row[9]))
}
