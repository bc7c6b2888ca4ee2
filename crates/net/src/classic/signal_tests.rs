//! What signals do to the calls, seen in a process of its own: they stop it or could end it.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::tests::full_listener;
use super::*;

const TASK: &str = "SOCKEYE_TEST_CLASSIC";

/// A process that runs [`in_a_process`] with one task and standard input as its socket to us.
fn spawn(wrapper: &[&str], task: &str) -> (Child, Socket) {
    let (ours, theirs) = Socket::pair().unwrap();
    ours.set_timeout(Some(Duration::from_secs(20))).unwrap();
    let program = std::env::current_exe().unwrap();
    let mut command = match wrapper {
        [] => Command::new(&program),
        [first, rest @ ..] => {
            let mut command = Command::new(first);
            command.args(rest).arg(&program);
            command
        }
    };
    let test = format!("{}::in_a_process", module_path!().split_once("::").unwrap().1);
    command.args(["--ignored", "--exact", &test]).env(TASK, task).process_group(0);
    (command.stdin(OwnedFd::from(theirs)).spawn().unwrap(), ours)
}

/// E8: the other process of the tests of signals.
#[test]
#[ignore = "the tests of signals run it"]
fn in_a_process() {
    let Ok(task) = std::env::var(TASK) else { return };
    let parent = Socket::from(std::io::stdin().as_fd().try_clone_to_owned().unwrap());
    let me = fs::read_link("/proc/thread-self").unwrap();
    writeln!(&parent, "{}", me.display()).unwrap();
    let answer = match task.split_once(' ') {
        // With a timeout set, stopping and continuing interrupts a call, signal(7).
        None if task == "recv" => {
            parent.set_timeout(Some(Duration::from_secs(20))).unwrap();
            let plain = rustix::net::recv(&parent, &mut [0; 4][..], RecvFlags::empty());
            assert_eq!(plain.map(|_| ()), Err(Errno::INTR), "the premise");
            writeln!(&parent, "interrupted").unwrap();
            let mut buffer = [0; 4];
            parent.recv(&mut buffer).unwrap();
            format!("{}", buffer[0])
        }
        Some(("connect", address)) => {
            let client = Socket::stream(Domain::IPV4).unwrap();
            client.set_timeout(Some(Duration::from_secs(20))).unwrap();
            format!("{}", client.connect_ex(&Address::Inet(address.parse().unwrap())))
        }
        _ => {
            let (a, b) = Socket::pair().unwrap();
            b.close();
            let errno = a.send(b"x").unwrap_err().raw_os_error().unwrap();
            let line = |status: &str, name: &str| {
                let hex = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
                u64::from_str_radix(hex.trim(), 16).unwrap() >> (libc::SIGPIPE - 1) & 1
            };
            let status = fs::read_to_string("/proc/thread-self/status").unwrap();
            format!("{errno} {} {}", line(&status, "SigBlk:"), line(&status, "SigPnd:"))
        }
    };
    writeln!(&parent, "{answer}").unwrap();
}

/// Stops and continues the process as soon as its thread is within that system call.
fn interrupt_in(child: &Child, thread: &str, call: libc::c_long) {
    wait_until_in(thread, &[call]);
    let pid = Pid::from_child(child);
    kill_process(pid, Signal::STOP).unwrap();
    waitpid(Some(pid), WaitOptions::UNTRACED).unwrap();
    kill_process(pid, Signal::CONT).unwrap();
}

fn wait_until_in(thread: &str, calls: &[libc::c_long]) {
    let begun = std::time::Instant::now();
    loop {
        let now = fs::read_to_string(format!("/proc/{thread}/syscall")).unwrap();
        let number = now.split(' ').next().and_then(|number| number.parse().ok());
        if number.is_some_and(|number| calls.contains(&number)) {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{now}");
        std::thread::yield_now();
    }
}

fn line(input: &mut impl BufRead) -> String {
    let mut line = String::new();
    input.read_line(&mut line).unwrap();
    line.trim_end().to_owned()
}

/// E8: a recv that a signal interrupts is made again.
#[test]
fn interrupted_recv() {
    let (mut child, socket) = spawn(&[], "recv");
    let mut input = BufReader::new(&socket);
    let thread = line(&mut input);
    interrupt_in(&child, &thread, libc::SYS_recvfrom);
    assert_eq!(line(&mut input), "interrupted");
    interrupt_in(&child, &thread, libc::SYS_recvfrom);
    // It waits again: only then the byte is sent.
    wait_until_in(&thread, &[libc::SYS_recvfrom]);
    socket.send_all(&[42]).unwrap();
    assert_eq!(line(&mut input), "42");
    assert!(child.wait().unwrap().success());
}

/// E8: a connect that a signal interrupts goes on, and its outcome is waited for.
#[test]
fn interrupted_connect() {
    let (server, _first) = full_listener();
    let name = server.sock_name().unwrap();
    let (mut child, socket) = spawn(&[], &format!("connect {name}"));
    let mut input = BufReader::new(&socket);
    let thread = line(&mut input);
    interrupt_in(&child, &thread, libc::SYS_connect);
    wait_until_in(&thread, &[libc::SYS_ppoll]);
    // Room again: the SYN that the kernel repeats is answered.
    server.accept().unwrap();
    assert_eq!(line(&mut input), "0");
    assert!(child.wait().unwrap().success());
}

/// E8: sending to a peer that is gone is EPIPE, and no SIGPIPE is raised. The test harness ignores
/// that signal, so it is blocked first: then it would be seen pending.
#[test]
fn no_sigpipe() {
    let env = ["env", "--block-signal=PIPE"];
    if !Command::new(env[0]).args([env[1], "true"]).status().unwrap().success() {
        return; // only GNU env can block a signal
    }
    let (mut child, socket) = spawn(&env, "pipe");
    let mut input = BufReader::new(&socket);
    line(&mut input);
    assert_eq!(line(&mut input), format!("{} 1 0", libc::EPIPE));
    assert!(child.wait().unwrap().success());
}
