//! The same jobs with a keeper between.

use std::ffi::OsStr;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio as StdStdio};

use rustix::process::{Pid, Signal, kill_process};

use super::super::{
    Confinement, Exit, Job, Plan, StartError, Stdio, WindowSize, is_keeper, run_keeper,
};
use super::{alone, arguments, drain, exists, expect, finish, line, run, status, until};

/// Not a test: what `main` is to the program. X5.
#[test]
#[ignore = "the body of a keeper"]
fn keeper() {
    if is_keeper() {
        run_keeper().unwrap();
    }
}

async fn start(plan: &Plan) -> Result<Job, StartError> {
    let arguments = ["--exact", "--ignored", "job::tests::keeper::keeper"].map(OsStr::new);
    Job::start_kept_by(plan, &arguments).await
}

/// The keeper of a command.
fn keeper_of(job: &Job) -> u32 {
    status(job.pid(), "PPid").parse().unwrap()
}

/// X4, X3: output, errors and exit come by way of a keeper as they do without.
#[test]
fn same() {
    run(async || {
        let job = start(&line("echo out; echo err >&2; exit 3")).await.unwrap();
        assert_eq!(finish(job).await, ("out\n".into(), "err\n".into(), Exit::Code(3)));
        let job = start(&line("kill -9 $$")).await.unwrap();
        let killed = Exit::Signal { number: 9, core: false };
        assert_eq!(finish(job).await, (String::new(), String::new(), killed));
    });
}

/// Fault 42: bytes, not strings, reach the command; nothing of the keeper does.
#[test]
fn plan_is_exact() {
    use std::os::unix::ffi::OsStringExt;
    run(async || {
        let odd = std::ffi::OsString::from_vec(b"\xff\n\xe2".to_vec());
        let mut plan = arguments([OsStr::new("/usr/bin/env"), OsStr::new("-0")]);
        plan.environment = vec![("ODD".into(), odd.clone())];
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path().join(&odd);
        std::fs::create_dir(&directory).unwrap();
        plan.directory = Some(directory.clone());
        plan.confinement = Confinement { no_new_privileges: true, scoped: false };
        let mut job = start(&plan).await.unwrap();
        assert_eq!(job.confinement(), plan.confinement);
        assert_eq!(drain(job.take_streams().stdout).await, b"ODD=\xff\n\xe2\0");
        job.end().await;

        let waiting = Plan {
            directory: Some(directory.clone()),
            stdio: Stdio::Pipes { stdin: true },
            ..line("echo ready; read word")
        };
        let mut job = start(&waiting).await.unwrap();
        let mut streams = job.take_streams();
        // Before that the loader opens libraries.
        expect(streams.stdout.as_mut().unwrap(), "ready").await;
        let open = std::fs::read_dir(format!("/proc/{}/fd", job.pid())).unwrap();
        assert_eq!(open.count(), 3);
        let cwd = std::fs::read_link(format!("/proc/{}/cwd", job.pid())).unwrap();
        assert_eq!(cwd, directory.canonicalize().unwrap());
        job.signal(15).unwrap();
        assert_eq!(job.wait().await.unwrap(), Exit::Signal { number: 15, core: false });
        job.end().await;
    });
}

/// X2: what keeps a command from starting is told the same way, and the keeper goes.
#[test]
fn start_errors() {
    alone(async || {
        let missing = start(&arguments(["/no/such/program"])).await;
        assert!(matches!(missing, Err(StartError::NotFound)));
        let elsewhere = Plan { directory: Some("/no/such/place".into()), ..line("exit 0") };
        let Err(StartError::Directory(error)) = start(&elsewhere).await else { panic!() };
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        let nothing = arguments([""; 0]);
        let Err(StartError::Plan(why)) = start(&nothing).await else { panic!() };
        assert_eq!(why, "no program");
        until(|| !super::super::reaper::reap()).await;
    });
}

/// X5, fault 37: what daemonised under a keeper goes when the job ends, and the keeper with it;
/// other children of this process are not touched.
#[test]
fn ends_its_own_only() {
    run(async || {
        let mut other = tokio::process::Command::new("sleep");
        let mut other = other.arg("1000").kill_on_drop(true).spawn().unwrap();
        let text = "(setsid sh -c 'trap \"\" HUP TERM; echo $$; while :; do sleep 1000; done' &); \
            sleep 1000 & echo keeper $PPID ready; exit 0";
        for dropped in [false, true] {
            let mut job = start(&line(text)).await.unwrap();
            let mut stdout = job.take_streams().stdout.unwrap();
            let said = expect(&mut stdout, "ready").await;
            let keeper = said.split_whitespace().skip_while(|&word| word != "keeper").nth(1);
            let keeper: u32 = keeper.unwrap().parse().unwrap();
            assert_eq!(job.wait().await.unwrap(), Exit::Code(0));
            if dropped {
                drop(job);
            } else {
                job.end().await;
            }
            // The pipe ends when the last one that holds it has gone.
            drain(Some(stdout)).await;
            until(|| !exists(keeper)).await;
        }
        assert!(other.try_wait().unwrap().is_none());
        other.kill().await.unwrap();
    });
}

/// X4: how a command ended is told, too, where only its job's end ended it.
#[test]
fn exit_after_the_end() {
    run(async || {
        let mut job = start(&arguments(["/bin/sleep", "1000"])).await.unwrap();
        job.end().await;
        assert_eq!(job.wait().await.unwrap(), Exit::Signal { number: 1, core: false });
    });
}

/// X5: what a command left behind stays when its job is let go, and the keeper only with it.
#[test]
fn let_go() {
    run(async || {
        let mut job = start(&line("sleep 1000 & echo $! $PPID ready; exit 0")).await.unwrap();
        let mut streams = job.take_streams();
        let said = expect(streams.stdout.as_mut().unwrap(), "ready").await;
        let pids: Vec<u32> = said.split_whitespace().flat_map(str::parse).collect();
        let [left, keeper] = pids[..] else { panic!("{said}") };
        assert_eq!(job.wait().await.unwrap(), Exit::Code(0));
        job.let_go().await;
        job.end().await;
        drop(job);
        // A second one, so that the first keeper has had the time to do wrong.
        let mut job = start(&line("echo $PPID; exit 0")).await.unwrap();
        let own_keeper = drain(job.take_streams().stdout).await;
        let own_keeper = String::from_utf8(own_keeper).unwrap().trim().parse().unwrap();
        job.wait().await.unwrap();
        job.let_go().await;
        drop(job);
        until(|| !exists(own_keeper)).await;
        assert!(exists(left) && exists(keeper));
        kill_process(Pid::from_raw(left.cast_signed()).unwrap(), Signal::KILL).unwrap();
        until(|| !exists(left) && !exists(keeper)).await;
    });
}

/// X6, fault 43: a terminal, its sizes and its foreground group, and its hang-up.
#[test]
fn terminal() {
    run(async || {
        let size = |rows| WindowSize { rows, columns: 80, width: 0, height: 0 };
        let mut plan =
            line("trap 'stty size' WINCH; echo ready; while :; do sleep 1000 & wait; done");
        plan.stdio = Stdio::Terminal { name: "vt100".into(), size: size(24) };
        let mut job = start(&plan).await.unwrap();
        let mut streams = job.take_streams();
        let stdout = streams.stdout.as_mut().unwrap();
        expect(stdout, "ready").await;
        for rows in 1..500 {
            job.resize(size(rows)).unwrap();
        }
        job.resize(size(777)).unwrap();
        expect(stdout, "777 80").await;
        job.signal(2).unwrap();
        assert_eq!(job.wait().await.unwrap(), Exit::Signal { number: 2, core: false });
        drop(streams);
        job.end().await;
    });
}

/// X5, fault 38: when the process of a job is killed with -9, its keeper ends the command and what
/// daemonised.
#[test]
fn job_process_killed() {
    const HOLDER: &str = "SOCKEYE_TEST_HOLDER";
    run(async || {
        let text = "sleep 1000 & echo $!; (setsid sh -c 'echo $$ ready; exec sleep 1000' &); wait";
        if std::env::var_os(HOLDER).is_some() {
            let mut job = start(&line(text)).await.unwrap();
            let mut stdout = job.take_streams().stdout.unwrap();
            let said = expect(&mut stdout, "ready").await;
            let said = said.replace("ready", " ").replace('\n', " ");
            println!("pids {said} {} {} go", job.pid(), keeper_of(&job));
            return std::future::pending().await;
        }
        let mut holder = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "--nocapture", "job::tests::keeper::job_process_killed"])
            .env(HOLDER, "1")
            .stdout(StdStdio::piped())
            .process_group(0)
            .spawn()
            .unwrap();
        let mut said = String::new();
        while !said.contains("go") {
            let mut piece = [0; 1024];
            let n = io::Read::read(holder.stdout.as_mut().unwrap(), &mut piece).unwrap();
            assert!(n > 0, "{said}");
            said.push_str(std::str::from_utf8(&piece[..n]).unwrap());
        }
        let (_, said) = said.split_once("pids").unwrap();
        let pids: Vec<u32> = said.split_whitespace().flat_map(str::parse).collect();
        assert_eq!(pids.len(), 4, "{said}");
        holder.kill().unwrap();
        holder.wait().unwrap();
        let gone = |&pid: &u32| !exists(pid) || status(pid, "State").starts_with('Z');
        until(|| pids.iter().all(gone)).await;
    });
}

/// X5: when a keeper is killed, its command dies with it, and that is told.
#[test]
fn keeper_killed() {
    run(async || {
        let mut job = start(&arguments(["/bin/sleep", "1000"])).await.unwrap();
        let command = job.pid();
        kill_process(Pid::from_raw(keeper_of(&job).cast_signed()).unwrap(), Signal::KILL).unwrap();
        assert_eq!(job.wait().await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        job.end().await;
        until(|| !exists(command) || status(command, "State").starts_with('Z')).await;
    });
}

/// X5: a detached command outlives its job; its keeper stays for its orphans, and goes with the last
/// of them.
#[test]
fn detached() {
    alone(async || {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("pid");
        let text =
            format!("(setsid sleep 1000 & echo $! > {0}.new); mv {0}.new {0}", file.display());
        let mut job = start(&Plan { stdio: Stdio::Null, ..line(&text) }).await.unwrap();
        let pid = job.pid();
        until(|| file.exists() && !exists(pid)).await;
        let orphan: u32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        let keeper: u32 = status(orphan, "PPid").parse().unwrap();
        job.end().await;
        drop(job);
        // Another job in this process, which is a reaper, and its end.
        finish(Job::start(&line("sleep 1000 >/dev/null 2>&1 & exit 0")).unwrap()).await;
        assert!(exists(orphan) && exists(keeper));
        kill_process(Pid::from_raw(orphan.cast_signed()).unwrap(), Signal::KILL).unwrap();
        until(|| {
            super::super::reaper::reap();
            !exists(keeper)
        })
        .await;
    });
}
