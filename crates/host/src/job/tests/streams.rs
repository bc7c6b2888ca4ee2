//! The standard streams: apart, byte-exact, ended from either side.

use std::io;

use sockeye_limits as limits;

use super::super::{Exit, Job, Sink, Source, Stdio};
use super::{arguments, drain, expect, finish, line, run, until};

/// Bytes that differ from their neighbours and from those a buffer away.
fn pattern(position: usize) -> u8 {
    (position ^ (position >> 8) ^ (position >> 16)).to_le_bytes()[0]
}

async fn write_pattern(mut sink: Sink, length: usize) {
    let mut done = 0;
    while done < length {
        let piece: Vec<u8> = (done..length.min(done + 300_000)).map(pattern).collect();
        let mut sent = 0;
        while sent < piece.len() {
            sent += sink.write(&piece[sent..]).await.unwrap();
        }
        done += piece.len();
    }
    sink.close().await.unwrap();
}

async fn check_pattern(source: Option<Source>, length: usize) {
    let (mut source, mut done) = (source.unwrap(), 0);
    let mut buffer = vec![0; 100_000];
    loop {
        let n = source.read(&mut buffer).await.unwrap();
        if n == 0 {
            break;
        }
        let wrong = buffer[..n].iter().enumerate().find(|&(i, &byte)| byte != pattern(done + i));
        assert_eq!(wrong, None, "behind {done}");
        done += n;
    }
    assert_eq!(done, length);
}

/// X3: standard input, output and error carry 100 MB each at the same time, byte for byte, and end.
#[test]
fn bulk() {
    const LENGTH: usize = 100_000_000;
    run(async || {
        let mut plan = arguments(["tee", "/dev/stderr"]);
        plan.stdio = Stdio::Pipes { stdin: true };
        let mut job = Job::start(&plan).unwrap();
        let streams = job.take_streams();
        tokio::join!(
            write_pattern(streams.stdin.unwrap(), LENGTH),
            check_pattern(streams.stdout, LENGTH),
            check_pattern(streams.stderr, LENGTH),
        );
        assert_eq!(job.wait().await.unwrap(), Exit::Code(0));
    });
}

/// X3: without input a command reads /dev/null; the streams come apart.
#[test]
fn apart() {
    run(async || {
        let job = Job::start(&line("cat; echo out; echo err >&2")).unwrap();
        assert_eq!(finish(job).await, ("out\n".into(), "err\n".into(), Exit::Code(0)));
    });
}

/// X1: in the plain form both streams are one, in their order.
#[test]
fn merged() {
    run(async || {
        let mut plan = line("cat; echo 1; echo 2 >&2; echo 3; exit 4");
        plan.stdio = Stdio::Merged;
        let job = Job::start(&plan).unwrap();
        assert_eq!(finish(job).await, ("1\n2\n3\n".into(), String::new(), Exit::Code(4)));
    });
}

/// Fault 40: a command that closes its output early and then writes an error loses neither that nor
/// its status; one that exits at once loses nothing.
#[test]
fn early_close() {
    run(async || {
        let mut job = Job::start(&line("echo a; exec 1>&-; read go; echo b >&2; exit 3")).unwrap();
        let streams = job.take_streams();
        assert_eq!(drain(streams.stdout).await, b"a\n");
        assert_eq!(drain(streams.stderr).await, b"b\n");
        assert_eq!(job.wait().await.unwrap(), Exit::Code(3));

        let mut job = Job::start(&line("echo a; echo b >&2; exit 5")).unwrap();
        assert_eq!(job.wait().await.unwrap(), Exit::Code(5));
        assert_eq!(finish(job).await, ("a\n".into(), "b\n".into(), Exit::Code(5)));
    });
}

/// X3: writing to a command that no longer reads is a broken pipe; so is writing after the end.
#[test]
fn nobody_reads() {
    run(async || {
        let mut plan = line("exec 0<&-; echo closed; exec sleep 1000");
        plan.stdio = Stdio::Pipes { stdin: true };
        let mut job = Job::start(&plan).unwrap();
        let mut streams = job.take_streams();
        expect(streams.stdout.as_mut().unwrap(), "closed").await;
        let mut stdin = streams.stdin.take().unwrap();
        let error = stdin.write(b"more").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        stdin.close().await.unwrap();
        assert_eq!(stdin.write(b"more").await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
    });
}

/// Fault 39: a command whose output nobody reads is held up by its pipe and by nothing of ours.
#[test]
fn back_pressure() {
    run(async || {
        let job = Job::start(&arguments(["yes"])).unwrap();
        let written = || {
            let counts = std::fs::read_to_string(format!("/proc/{}/io", job.pid())).unwrap();
            let count = counts.lines().find_map(|line| line.strip_prefix("wchar: ")).unwrap();
            count.parse::<usize>().unwrap()
        };
        let is_held_up = || super::status(job.pid(), "State").starts_with('S');
        until(|| written() >= 4096 && is_held_up()).await;
        assert!(written() <= limits::PIPE_SIZE);
    });
}
