//! The end of everything that a command left behind.

use std::time::Duration;

use tokio::time::timeout;

use super::super::{Exit, Job, Plan, Source, Stdio};
use super::{alone, arguments, exists, expect, finish, line, until};

/// What X5 gives the end of a tree.
const PROMISED: Duration = Duration::from_secs(5);

/// The numbers of the processes that a command tells of, up to the word "ready".
async fn pids(source: &mut Source) -> Vec<u32> {
    let said = expect(source, "ready").await;
    said.split_whitespace().filter_map(|word| word.parse().ok()).collect()
}

/// Starts a line that says the numbers of `count` processes and "ready", ends it, and looks that
/// all have gone.
async fn ends_all(text: &str, count: usize) {
    let mut job = Job::start(&line(text)).unwrap();
    let mut streams = job.take_streams();
    let mut pids = pids(streams.stdout.as_mut().unwrap()).await;
    assert_eq!(pids.len(), count, "{text}");
    pids.push(job.pid());
    drop(streams);
    timeout(PROMISED, job.end()).await.expect(text);
    for pid in pids {
        assert!(!exists(pid), "{pid} of {text}");
    }
    assert!(children().is_empty(), "{text}");
}

/// The children of this process, zombies included.
fn children() -> String {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let of = |task: std::fs::DirEntry| std::fs::read_to_string(task.path().join("children"));
    tasks.filter_map(|task| of(task.unwrap()).ok()).collect()
}

fn descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

/// X5, fault 37: a child in the background, in a session of its own, daemonised twice over, and one
/// whose parent has gone.
#[test]
fn daemons() {
    alone(async || {
        ends_all("sleep 1000 & echo $! ready; wait", 1).await;
        ends_all("setsid sleep 1000 & echo $! ready; exit 0", 1).await;
        ends_all("(setsid sh -c '(setsid sleep 1000 & echo $! ready) & wait' &); wait", 1).await;
        let double =
            "(setsid sh -c 'setsid sh -c \"echo \\$\\$ ready; exec sleep 1000\" & exit' &) & exit";
        ends_all(double, 1).await;
    });
}

/// X5, fault 37: processes that ignore HUP and TERM, and a stopped one.
#[test]
fn stubborn() {
    alone(async || {
        ends_all("trap '' HUP TERM INT; sleep 1000 & echo $! ready; while :; do wait; done", 1)
            .await;
        ends_all("sh -c 'kill -STOP $$; sleep 1000' & echo $! ready; kill -STOP $$", 1).await;
        ends_all(
            "trap '' HUP TERM; setsid sh -c 'kill -STOP $$' & echo $! ready; kill -STOP $$",
            1,
        )
        .await;
    });
}

/// X5: those that go when they are asked are asked: HUP first, then TERM.
#[test]
fn asked_first() {
    alone(async || {
        let asked = "trap 'echo hup' HUP; trap 'echo term; exit 0' TERM; echo ready; \
            while :; do sleep 1000 & wait; done";
        let mut job = Job::start(&line(asked)).unwrap();
        let mut stdout = job.take_streams().stdout.unwrap();
        expect(&mut stdout, "ready").await;
        let (_, said) = tokio::join!(job.end(), expect(&mut stdout, "term"));
        assert_eq!(said.trim(), "hup\nterm");
        assert_eq!(job.wait().await.unwrap(), Exit::Code(0));
    });
}

/// X5, fault 37: a command that forks without end: a growing crowd; a single process that forks and
/// exits; the same with a session for each.
#[test]
fn fork_bombs() {
    alone(async || {
        ends_all("trap '' HUP TERM; echo ready; while :; do sleep 1000 & done", 0).await;
        let wander = tempfile::tempdir().unwrap();
        let path = wander.path().join("wander");
        std::fs::write(&path, "trap '' HUP TERM\n$1 sh $0 $1 &\n").unwrap();
        let path = path.display();
        ends_all(&format!("trap '' HUP TERM; sh {path} & echo ready"), 0).await;
        ends_all(&format!("trap '' HUP TERM; sh {path} setsid & echo ready"), 0).await;
        ends_all(&format!("for i in 1 2 3 4; do sh {path} setsid & done; echo ready"), 0).await;
    });
}

/// X5: nobody left, nothing to wait for; and a second end is no harm.
#[test]
fn nobody_left() {
    alone(async || {
        let mut job = Job::start(&line("exit 6")).unwrap();
        assert_eq!(job.wait().await.unwrap(), Exit::Code(6));
        job.end().await;
        job.end().await;
        assert_eq!(job.wait().await.unwrap(), Exit::Code(6));
        job.signal(15).unwrap();
    });
}

/// Fault 36: after 200 jobs no zombie and no descriptor is left.
#[test]
fn no_litter() {
    alone(async || {
        let (.., first) = finish(Job::start(&line("exit 0")).unwrap()).await;
        assert_eq!(first, Exit::Code(0));
        let before = descriptors();
        for n in 0..200_u8 {
            let mut plan = line(&format!("(sleep 0 &) ; exit {n}"));
            if n % 3 == 0 {
                plan.stdio = Stdio::Terminal { name: "dumb".into(), size: Default::default() };
            }
            let (.., exit) = finish(Job::start(&plan).unwrap()).await;
            assert_eq!(exit, Exit::Code(n));
        }
        assert_eq!(descriptors(), before);
        assert_eq!(children(), "");
        // Dropped without an end: the command and its group are killed.
        drop(Job::start(&line("sleep 1000 & wait")).unwrap());
        until(|| {
            let mut other = Job::start(&line("exit 0")).unwrap();
            other.reap();
            drop(other);
            children().is_empty()
        })
        .await;
        assert_eq!(descriptors(), before);
    });
}

/// Fault 36: orphans that a running command leaves are reaped while it runs.
#[test]
fn orphans() {
    alone(async || {
        let text = "for i in 1 2 3 4 5 6 7 8 9; do (sh -c 'echo $$' &); done; echo ready; \
            exec sleep 1000";
        let mut job = Job::start(&line(text)).unwrap();
        let mut stdout = job.take_streams().stdout.unwrap();
        expect(&mut stdout, "ready").await;
        let command = format!("{} ", job.pid());
        until(|| children() == command).await;
        job.end().await;
    });
}

/// X5: a detached command outlives its job, and the end of the next one does not touch it.
#[test]
fn detached() {
    alone(async || {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let text = format!("sleep 1000 & echo $! > {0}.new; mv {0}.new {0}; wait", file.display());
        let plan = Plan { stdio: Stdio::Null, ..line(&text) };
        let mut job = Job::start(&plan).unwrap();
        until(|| file.exists()).await;
        let leader = job.pid();
        let child: u32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        job.end().await;
        drop(job);
        ends_all_but("sleep 1000 & echo $! ready; wait").await;
        assert!(exists(leader) && exists(child));
        finish(Job::start(&line(&format!("kill -KILL {leader}"))).unwrap()).await;
        ends_all_but("sleep 1000 & echo $! ready; wait").await;
        assert!(!exists(leader) && exists(child));
        let text = format!("kill -KILL {child}");
        finish(Job::start(&line(&text)).unwrap()).await;
        until(|| {
            super::super::reaper::reap();
            !exists(leader) && !exists(child)
        })
        .await;
    });
}

/// X5: what a command left behind stays when its job is let go, in the background or as a daemon,
/// and the end of the next job does not touch it.
#[test]
fn let_go() {
    alone(async || {
        let text =
            "sleep 1000 & echo $!; (setsid sh -c 'sleep 1000 & echo $! $$ ready; wait' &); exit 3";
        let mut job = Job::start(&line(text)).unwrap();
        let mut streams = job.take_streams();
        let left = pids(streams.stdout.as_mut().unwrap()).await;
        assert_eq!(left.len(), 3);
        assert_eq!(job.wait().await.unwrap(), Exit::Code(3));
        job.let_go().await;
        job.end().await;
        drop((job, streams));
        ends_all_but("setsid sleep 1000 & echo $! ready; wait").await;
        assert!(left.iter().all(|&pid| exists(pid)));
        let text = format!("kill -KILL {} {} {}", left[0], left[1], left[2]);
        finish(Job::start(&line(&text)).unwrap()).await;
        until(|| !super::super::reaper::reap()).await;
    });
}

async fn ends_all_but(text: &str) {
    let mut job = Job::start(&line(text)).unwrap();
    let mut streams = job.take_streams();
    let pids = pids(streams.stdout.as_mut().unwrap()).await;
    timeout(PROMISED, job.end()).await.unwrap();
    assert!(!exists(pids[0]) && !exists(job.pid()));
}

/// X5: a signal reaches the whole group of the command, also when the command itself has gone.
#[test]
fn signal_to_the_group() {
    alone(async || {
        for last in ["wait", "exit 4"] {
            let text = format!("sleep 1000 & echo $! ready; {last}");
            let mut job = Job::start(&line(&text)).unwrap();
            let mut streams = job.take_streams();
            let pids = pids(streams.stdout.as_mut().unwrap()).await;
            let expected = match last {
                "wait" => Exit::Signal { number: 15, core: false },
                _ => job.wait().await.unwrap(),
            };
            job.signal(15).unwrap();
            assert_eq!(job.wait().await.unwrap(), expected);
            until(|| !exists(pids[0])).await;
            assert_eq!(job.signal(0).unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
        }
    });
}

/// X5: where this process is no reaper, what is in the command's session still goes.
#[test]
fn without_a_reaper() {
    super::run(async || {
        let mut job =
            Job::start(&arguments(["sh", "-c", "(sleep 1000 & echo $!); echo ready"])).unwrap();
        let mut streams = job.take_streams();
        let pids = pids(streams.stdout.as_mut().unwrap()).await;
        timeout(PROMISED, job.end()).await.unwrap();
        let state = |pid| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        // Whoever adopts it here may be slow to reap it.
        assert!(state(pids[0]).is_empty() || state(pids[0]).contains(") Z "));
    });
}
