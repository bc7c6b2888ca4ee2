//! Commands with a terminal.

use super::super::{Exit, Job, Plan, Program, Sink, Source, Stdio, WindowSize};
use super::{alone, drain, expect, line, run};

fn size(rows: u16, columns: u16) -> WindowSize {
    WindowSize { rows, columns, width: 0, height: 0 }
}

fn on_terminal(plan: Plan) -> (Job, Sink, Source) {
    let stdio = Stdio::Terminal { name: "vt100".into(), size: size(24, 80) };
    let mut job = Job::start(&Plan { stdio, ..plan }).unwrap();
    let streams = job.take_streams();
    assert!(streams.stderr.is_none());
    (job, streams.stdin.unwrap(), streams.stdout.unwrap())
}

async fn type_in(sink: &mut Sink, text: &str) {
    let mut left = text.as_bytes();
    while !left.is_empty() {
        let n = sink.write(left).await.unwrap();
        left = &left[n..];
    }
}

/// X6: all three descriptors are a terminal, of the kind and size that were asked for, and it
/// controls the session.
#[test]
fn is_a_terminal() {
    run(async || {
        let text = "test -t 0 && test -t 1 && test -t 2 && echo $TERM && stty size </dev/tty";
        let (mut job, _sink, source) = on_terminal(line(text));
        assert_eq!(drain(Some(source)).await, b"vt100\r\n24 80\r\n");
        assert_eq!(job.wait().await.unwrap(), Exit::Code(0));
    });
}

/// X6, fault 43: of a storm of sizes the last one wins, and the command hears of it.
#[test]
fn resize_storm() {
    run(async || {
        let text = "trap 'stty size' WINCH; echo ready; while :; do sleep 1000 & wait; done";
        let (job, _sink, mut source) = on_terminal(line(text));
        expect(&mut source, "ready").await;
        for n in 1..=2000 {
            job.resize(size(n, 1)).unwrap();
        }
        job.resize(size(33, 133)).unwrap();
        expect(&mut source, "33 133\r\n").await;
    });
}

/// X6: Ctrl-C and Ctrl-Z reach the foreground job of a shell, and so does a signal of ours; the
/// shell itself lives on.
#[test]
fn job_control() {
    alone(async || {
        let mut plan = line("");
        plan.program = Program::Arguments(vec!["/bin/sh".into(), "-i".into()]);
        plan.environment.push(("PS1".into(), "<prompt>".into()));
        let (mut job, mut sink, mut source) = on_terminal(plan);
        expect(&mut source, "<prompt>").await;
        for (act, sign) in [("\x03", "<prompt>"), ("\x1a", "topped"), ("signal", "<prompt>")] {
            type_in(&mut sink, "sh -c 'echo go$((1+1)); exec sleep 1000'\n").await;
            expect(&mut source, "go2").await;
            match act {
                "signal" => job.signal(2).unwrap(),
                key => type_in(&mut sink, key).await,
            }
            expect(&mut source, sign).await;
        }
        type_in(&mut sink, "exit 9\n").await;
        expect(&mut source, "stopped jobs").await;
        type_in(&mut sink, "exit 9\n").await;
        assert_eq!(job.wait().await.unwrap(), Exit::Code(9));
        drop((sink, source));
        job.end().await;
    });
}

/// X6: the end of the input is typed: once at the beginning of a line, twice within one.
#[test]
fn end_of_input() {
    run(async || {
        for (typed, got) in [("", ""), ("abc\n", "abc\r\nabc\r\n"), ("abc", "abcabc")] {
            let (mut job, mut sink, source) = on_terminal(line("exec cat"));
            type_in(&mut sink, typed).await;
            sink.close().await.unwrap();
            let said = String::from_utf8(drain(Some(source)).await).unwrap();
            // The terminal may echo Ctrl-D and take it back.
            assert_eq!(said.replace("^D\u{8}\u{8}", ""), got);
            assert_eq!(job.wait().await.unwrap(), Exit::Code(0));
            sink.close().await.unwrap();
        }
    });
}

/// X6: a terminal whose command reads slowly holds up the writer and loses nothing.
#[test]
fn raw_bulk() {
    const LENGTH: usize = 3_000_000;
    run(async || {
        let text = format!("stty raw -echo; echo ready; head -c {LENGTH} | cksum");
        let (mut job, mut sink, mut source) = on_terminal(line(&text));
        expect(&mut source, "ready").await;
        let bytes = "0123456789abcde\n".repeat(LENGTH / 16);
        let ((), said) = tokio::join!(type_in(&mut sink, &bytes), drain(Some(source)));
        assert_eq!(String::from_utf8(said).unwrap().trim(), cksum(bytes.as_bytes()).await);
        assert_eq!(job.wait().await.unwrap(), Exit::Code(0));
    });
}

async fn cksum(bytes: &[u8]) -> String {
    let mut job =
        Job::start(&Plan { stdio: Stdio::Pipes { stdin: true }, ..line("cksum") }).unwrap();
    let streams = job.take_streams();
    let mut stdin = streams.stdin.unwrap();
    let mut sent = 0;
    while sent < bytes.len() {
        sent += stdin.write(&bytes[sent..]).await.unwrap();
    }
    drop(stdin);
    String::from_utf8(drain(streams.stdout).await).unwrap().trim().to_owned()
}

/// Fault 43: when the master goes the command is hung up, and can still say so elsewhere.
#[test]
fn hang_up() {
    alone(async || {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("said");
        let text = format!(
            "trap 'echo hup > {}; exit 7' HUP; echo ready; while :; do sleep 1000 & wait; done",
            file.display()
        );
        let (mut job, sink, mut source) = on_terminal(line(&text));
        expect(&mut source, "ready").await;
        drop((sink, source));
        job.end().await;
        assert_eq!(std::fs::read_to_string(file).unwrap(), "hup\n");
        assert_eq!(job.wait().await.unwrap(), Exit::Code(7));
    });
}
