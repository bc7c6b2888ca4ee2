//! Jobs from start to end, in processes of their own where they must be alone.

mod confinement;
mod end;
mod keeper;
mod start;
mod streams;
mod terminal;

use std::any::type_name_of_val;
use std::ffi::OsString;
use std::process::Command;
use std::time::Duration;

use super::{Confinement, Exit, Job, Plan, Program, Source, Stdio, become_reaper};

/// More than any of these tests needs.
const PATIENCE: Duration = Duration::from_secs(60);

/// Says that this process was started for one test.
const ALONE: &str = "SOCKEYE_TEST_ALONE";

/// Runs a test on an event loop.
fn run(body: impl AsyncFnOnce()) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async { tokio::time::timeout(PATIENCE, body()).await.expect("in time") });
}

/// Runs a test on an event loop in a process of its own that is a reaper. The test function calls
/// this with a closure and does nothing else.
fn alone(body: impl AsyncFnOnce()) {
    // The closure's name holds that of the test.
    let name = type_name_of_val(&body).trim_end_matches("::{{closure}}");
    let (_, name) = name.split_once("::").unwrap();
    if std::env::var_os(ALONE).is_some() {
        become_reaper().unwrap();
        return run(body);
    }
    let mut command = Command::new(std::env::current_exe().unwrap());
    let output = command.args(["--exact", name, "--nocapture"]).env(ALONE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{errors}");
}

/// A shell line with pipes, without input.
fn line(text: &str) -> Plan {
    plan(Program::Line(text.into()))
}

/// A program with its arguments and pipes, without input.
fn arguments<S: Into<OsString>>(arguments: impl IntoIterator<Item = S>) -> Plan {
    plan(Program::Arguments(arguments.into_iter().map(Into::into).collect()))
}

fn plan(program: Program) -> Plan {
    let variable = |name: &str, value: &str| (name.into(), value.into());
    Plan {
        program,
        directory: None,
        environment: vec![variable("PATH", "/usr/bin:/bin"), variable("SHELL", "/bin/sh")],
        stdio: Stdio::Pipes { stdin: false },
        confinement: Confinement::default(),
    }
}

/// Everything up to the end.
async fn drain(source: Option<Source>) -> Vec<u8> {
    let mut all = Vec::new();
    let Some(mut source) = source else { return all };
    let mut buffer = vec![0; 64 * 1024];
    loop {
        match source.read(&mut buffer).await.unwrap() {
            0 => return all,
            n => all.extend_from_slice(&buffer[..n]),
        }
    }
}

/// Runs a job to its end: what it wrote to both streams, and its exit.
async fn finish(mut job: Job) -> (String, String, Exit) {
    let streams = job.take_streams();
    drop(streams.stdin);
    let (stdout, stderr) = tokio::join!(drain(streams.stdout), drain(streams.stderr));
    let exit = job.wait().await.unwrap();
    job.end().await;
    (String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap(), exit)
}

/// Reads until what came contains this text, and returns all that came.
async fn expect(source: &mut Source, text: &str) -> String {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let n = source.read(&mut buffer).await.unwrap();
        assert!(n > 0, "ended before {text:?}: {:?}", String::from_utf8_lossy(&all));
        all.extend_from_slice(&buffer[..n]);
        let so_far = String::from_utf8_lossy(&all);
        if so_far.contains(text) {
            return so_far.into_owned();
        }
    }
}

/// Waits until something is so, of which the system does not tell.
async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// A line of /proc/PID/status.
fn status(pid: u32, name: &str) -> String {
    let all = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = all.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
    line.unwrap().trim().to_owned()
}

/// True while there is such a process, a zombie included.
fn exists(pid: u32) -> bool {
    std::path::Path::new(&format!("/proc/{pid}")).exists()
}
