//! What a command gets and what it does not; what keeps it from starting.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::PermissionsExt;

use rustix::process::{Pid, Resource, WaitOptions, getrlimit, setrlimit, waitpid};

use super::super::{Exit, Job, Program, StartError, Stdio};
use super::{alone, arguments, drain, expect, finish, line, run, status};

/// X4: a command's exit status and the signal that ended it are told, every time that one asks.
#[test]
fn exits() {
    run(async || {
        for (text, expected) in [
            ("exit 0", Exit::Code(0)),
            ("exit 255", Exit::Code(255)),
            ("kill -TERM $$", Exit::Signal { number: 15, core: false }),
            ("kill -KILL $$", Exit::Signal { number: 9, core: false }),
        ] {
            let mut job = Job::start(&line(text)).unwrap();
            assert_eq!(job.wait().await.unwrap(), expected, "{text}");
            assert_eq!(job.wait().await.unwrap(), expected, "{text}");
        }
    });
}

/// X2: an argument list reaches the program byte for byte, without a shell between.
#[test]
fn argument_bytes() {
    run(async || {
        let odd: Vec<&[u8]> =
            vec![b"", b"a b", b"$HOME;`id`", b"new\nline", b"\xff\xfe\x80", b"-n"];
        let mut all: Vec<OsString> =
            ["/bin/sh", "-c", r#"for a; do printf '%s\0' "$a"; done"#, "sh"]
                .map(OsString::from)
                .into();
        all.extend(odd.iter().map(|bytes| OsString::from_vec(bytes.to_vec())));
        let mut job = Job::start(&arguments(all)).unwrap();
        let got = drain(job.take_streams().stdout).await;
        let mut expected = odd.join(&0);
        expected.push(0);
        assert_eq!(got, expected);
    });
}

/// X6, fault 42: the environment is the plan's and nothing else; of a name given twice, the last.
#[test]
fn environment() {
    run(async || {
        let mut plan = arguments(["/usr/bin/env", "-0"]);
        plan.environment = vec![
            ("A".into(), "first".into()),
            ("ODD".into(), OsString::from_vec(b"\xff\n=".to_vec())),
            ("A".into(), "last".into()),
        ];
        let mut job = Job::start(&plan).unwrap();
        let got = drain(job.take_streams().stdout).await;
        let variables: BTreeSet<&[u8]> = got.split(|&byte| byte == 0).collect();
        assert_eq!(variables, BTreeSet::from([&b"A=last"[..], b"ODD=\xff\n=", b""]));
    });
}

/// Fault 42: a child has descriptors 0, 1 and 2, which block, and no other, even where one was left
/// open for it; every signal is as it was born; it leads a session and a group of its own.
#[test]
fn inherits_nothing() {
    run(async || {
        let left_open = std::fs::File::open("/dev/null").unwrap();
        let left_open = rustix::io::dup(&left_open).unwrap();
        let mut plan = line("echo ready; read word");
        plan.stdio = Stdio::Pipes { stdin: true };
        let mut job = Job::start(&plan).unwrap();
        drop(left_open);
        let mut streams = job.take_streams();
        // Before that the loader opens libraries.
        expect(streams.stdout.as_mut().unwrap(), "ready").await;
        let pid = job.pid();
        let open = std::fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
        let open: BTreeSet<_> = open.map(|fd| fd.unwrap().file_name()).collect();
        assert_eq!(open, BTreeSet::from(["0", "1", "2"].map(OsString::from)));
        for fd in 0..3 {
            let info = std::fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).unwrap();
            let flags = info.lines().find_map(|line| line.strip_prefix("flags:")).unwrap();
            let flags = u32::from_str_radix(flags.trim(), 8).unwrap();
            assert_eq!(flags & rustix::fs::OFlags::NONBLOCK.bits(), 0, "descriptor {fd}");
        }
        // std has SIGPIPE ignored in this process.
        assert_ne!(u64::from_str_radix(&status(std::process::id(), "SigIgn"), 16), Ok(0));
        for set in ["SigIgn", "SigBlk"] {
            assert_eq!(u64::from_str_radix(&status(pid, set), 16), Ok(0), "{set}");
        }
        let pid = Pid::from_raw(pid.cast_signed());
        assert_eq!(rustix::process::getsid(pid).ok(), pid);
        assert_eq!(rustix::process::getpgid(pid).ok(), pid);
    });
}

/// X6: the shell is the environment's; a login shell's name begins with a hyphen.
#[test]
fn login_shell() {
    run(async || {
        let mut plan = line("");
        plan.program = Program::Login;
        plan.stdio = Stdio::Pipes { stdin: true };
        let mut job = Job::start(&plan).unwrap();
        let mut streams = job.take_streams();
        let mut stdin = streams.stdin.take().unwrap();
        assert_eq!(stdin.write(b"echo \"<$0>\"\n").await.unwrap(), 12);
        stdin.close().await.unwrap();
        let got = String::from_utf8(drain(streams.stdout).await).unwrap();
        assert!(got.ends_with("<-sh>\n"), "{got}");
    });
}

/// X6: a command runs where it should, and a relative program is meant from there.
#[test]
fn directory() {
    run(async || {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().canonicalize().unwrap();
        let program = path.join("here");
        // By another process: a child forked meanwhile could hold a descriptor of ours (ETXTBSY).
        let make = "printf '#!/bin/sh\\npwd -P\\n' > \"$0\" && chmod 755 \"$0\"";
        let made = std::process::Command::new("sh").args(["-c", make]).arg(&program).status();
        assert!(made.unwrap().success());
        let mut plan = arguments(["./here"]);
        plan.directory = Some(path.clone());
        let (stdout, _, exit) = finish(Job::start(&plan).unwrap()).await;
        assert_eq!((stdout, exit), (format!("{}\n", path.display()), Exit::Code(0)));
    });
}

/// X2: what keeps a command from starting is told apart: no program, no interpreter, no right, no
/// directory, no command at all.
#[test]
fn start_errors() {
    run(async || {
        let directory = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str, mode: u32| {
            let path = directory.path().join(name);
            std::fs::write(&path, text).unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(mode)).unwrap();
            path.into_os_string()
        };
        let start = |program: OsString| Job::start(&arguments([program])).unwrap_err();
        assert!(matches!(start("no-such-program".into()), StartError::NotFound));
        assert!(matches!(start("/no/such/program".into()), StartError::NotFound));
        assert!(matches!(start("".into()), StartError::NotFound));
        let orphan = file("orphan", "#!/no/such/interpreter\n", 0o755);
        assert!(matches!(start(orphan), StartError::NoInterpreter));
        assert!(matches!(start(file("data", "x", 0o644)), StartError::NotExecutable(_)));
        assert!(matches!(start(directory.path().into()), StartError::NotExecutable(_)));
        assert!(matches!(start("a\0b".into()), StartError::Plan(_)));
        let nothing = arguments([""; 0]);
        assert!(matches!(Job::start(&nothing).unwrap_err(), StartError::Plan(_)));
        let long = Job::start(&arguments(["/bin/true".to_owned(), "x".repeat(1 << 20)]));
        assert!(matches!(long.unwrap_err(), StartError::TooLong));

        let mut elsewhere = line("exit 0");
        elsewhere.directory = Some("/no/such/directory".into());
        let Err(StartError::Directory(error)) = Job::start(&elsewhere) else { panic!() };
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
        elsewhere.directory = Some(file("plain", "", 0o644).into());
        let Err(StartError::Directory(error)) = Job::start(&elsewhere) else { panic!() };
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
    });
}

/// Fault 41: where fork(2) fails that is told, and the next job starts when it no longer does.
#[test]
fn no_more_processes() {
    const NOBODY: u32 = 65534;
    alone(async || {
        if rustix::process::geteuid().is_root() {
            // RLIMIT_NPROC does not bind root. This is for the calling thread, which is the one
            // that forks.
            let nobody = rustix::process::Uid::from_raw(NOBODY);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).unwrap();
        }
        let before = getrlimit(Resource::Nproc);
        let mut none = before;
        none.current = Some(0);
        setrlimit(Resource::Nproc, none).unwrap();
        assert!(matches!(Job::start(&line("exit 0")), Err(StartError::TooManyProcesses)));
        setrlimit(Resource::Nproc, before).unwrap();
        let (.., exit) = finish(Job::start(&line("exit 3")).unwrap()).await;
        assert_eq!(exit, Exit::Code(3));
    });
}

/// X5: a command whose parent is killed dies with it, here with the thread that started it.
#[test]
fn dies_with_its_parent() {
    let parent = std::thread::spawn(|| {
        let mut started = None;
        run(async || {
            let job = Job::start(&arguments(["/bin/sleep", "1000"])).unwrap();
            started = Some(job.pid());
            // A killed process drops nothing.
            std::mem::forget(job);
        });
        started.unwrap()
    });
    let pid = Pid::from_raw(parent.join().unwrap().cast_signed());
    let (_, status) = waitpid(pid, WaitOptions::empty()).unwrap().unwrap();
    assert_eq!(status.terminating_signal(), Some(9));
}
