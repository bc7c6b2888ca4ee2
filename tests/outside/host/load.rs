//! Faults 36 and 41: many commands, and no more processes.

use std::os::unix::fs::PermissionsExt;

use sockeye_host::client::{Controls, FirstContact, Local, Output, Reach};
use sockeye_wire::{Program, Run, Status};

use crate::harness::process::{children_of, fds_of, needs_root, state_of};
use crate::harness::remote::{Home, Host, Running, mark, marked};
use crate::harness::{BINARY, MODELS, copy_program, eventually, needs, serve};

/// No process below this one has ended without being waited for.
fn assert_no_zombies(host: &Host) {
    for pid in host.tree() {
        eventually("no zombie", || state_of(pid) != Some('Z'));
    }
}

/// Fault 36: ten thousand commands on one connection leave no zombie and no descriptor.
#[test]
fn one_connection() {
    let host = Host::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let endpoint = host.unix.parse().unwrap();
        let known = host.home.known_hosts();
        let mut remote = Reach {
            endpoint: &endpoint,
            dial: &Default::default(),
            identity: None,
            known_hosts: &known,
            first_contact: FirstContact::Refuse,
            passphrase: &mut |_| None,
        }
        .remote()
        .await
        .unwrap();
        let mut controls = Controls::signals().unwrap();
        let mut before = None;
        for number in 0..10_000_u32 {
            let (mut stdout, mut stderr) = (Output::memory(), Output::memory());
            let local = Local {
                stdin: None,
                stdout: &mut stdout,
                stderr: &mut stderr,
                controls: &mut controls,
            };
            let line = format!("echo {number}; exit {}", number % 256);
            let run = Run { stdin: false, ..Run::new(Program::Line(line.into_bytes())) };
            let ended = remote.run(&run, local).await.unwrap();
            assert_eq!(ended.status, Status::Exited((number % 256) as u8));
            assert_eq!(stdout.into_memory(), format!("{number}\n").into_bytes());
            if number == 10 {
                before = Some(descriptors(&host));
            }
        }
        assert_eq!(before, Some(descriptors(&host)));
        assert_no_zombies(&host);
        remote.close().await;
    });
    host.server.wait_event("the end", |event| event["why"] == "end");
}

/// How many descriptors the server and its workers have, the most of one worker. A worker that took
/// a connection is replaced first, so that the same processes are looked at each time.
fn descriptors(host: &Host) -> (usize, usize) {
    eventually("a pool and one at work", || {
        let workers = children_of(host.server.pid());
        workers.len() == 5 && workers.iter().all(settled)
    });
    let workers = children_of(host.server.pid());
    let most = workers.iter().map(|pid| fds_of(*pid).len()).max().unwrap();
    (fds_of(host.server.pid()).len(), most)
}

/// A worker waits for work or for its client, its start behind it: it has an event loop.
fn settled(worker: &u32) -> bool {
    fds_of(*worker).iter().any(|fd| fd.contains("eventpoll"))
}

/// Fault 36: two hundred connections, under every model: everything is back to where it was.
#[test]
fn many_connections() {
    for model in MODELS {
        let host = Host::with(&["--model", model]);
        let run = |count| {
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for _ in 0..count {
                            let output = host.exec_unix(&["-n", "-c", "echo in; exit 3"], b"");
                            assert_eq!(output.code, Some(3), "{model}: {output:?}");
                        }
                    });
                }
            });
            eventually("all are closed", || {
                host.server.count("closed") == host.server.count("accepted")
            });
        };
        run(5);
        let settled = |host: &Host| {
            eventually("the pool is back at its size", || {
                children_of(host.server.pid()).len() == if model == "process" { 4 } else { 0 }
            });
            fds_of(host.server.pid()).len()
        };
        let before = settled(&host);
        run(50);
        let after = settled(&host);
        eventually("descriptors are back", || {
            fds_of(host.server.pid()).len() <= before.max(after).min(before + 1)
        });
        assert_no_zombies(&host);
    }
}

/// Fault 36, M3: the last keeper of a server that has nothing more to do does not stay a zombie, however
/// slow its server is to look after its children.
#[test]
fn last_keeper() {
    if !needs(&["strace"]) {
        return;
    }
    for model in ["iterative", "thread", "event"] {
        let slow = ["strace", "-D", "-f", "-o", "/dev/null", "-e"];
        let delay = ["inject=wait4,waitid:delay_exit=20000"];
        let host = Host::of(Home::new(), |launch| {
            launch.args(&["--model", model]).via(&[&slow[..], &delay].concat())
        });
        assert_eq!(host.exec_unix(&["-n", "--", "true"], b"").code, Some(0), "{model}");
        eventually("the keeper is gone", || children_of(host.server.pid()).is_empty());
    }
}

/// Fault 41: where the system allows no more processes, whoever asks is told, and the server lives.
#[test]
fn no_more_processes() {
    if !needs_root() || !needs(&["setpriv", "prlimit"]) {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = dir.path().join("sockeye");
    copy_program(BINARY, &program);
    for (round, model) in [0, 1].into_iter().zip(["process", "event"]) {
        // Nobody else's: the bound is on a user's processes, wherever they were started.
        let id = 100_000 + 2 * std::process::id() + round;
        let client = Home::new();
        let home = Home::empty();
        home.authorize(&client.public());
        for path in [home.path().into(), home.ssh(""), home.ssh("authorized_keys")] {
            std::os::unix::fs::chown(&path, Some(id), Some(id)).unwrap();
        }
        let user = id.to_string();
        let swap = format!("shift; exec {} \"$@\"", program.display());
        let launch = serve("host").on("tls://127.0.0.1:0").model(model);
        // As many processes on every machine.
        let launch = launch.args(&["--workers", "2"]).via(&[
            "setpriv",
            "--reuid",
            &user,
            "--regid",
            &user,
            "--clear-groups",
            "prlimit",
            "--nproc=30",
            "sh",
            "-c",
            &swap,
            "sh",
        ]);
        let mut host = Host::on_tls(home, launch);
        let mark = mark();
        // No process beside the shell: where it says that it is ready, it has all it needs.
        let line = format!("echo ready; exec sleep {mark}");
        let start = || {
            let words = ["exec", &host.tls, "--trust", &host.fingerprint, "-n", "-c", &line];
            Running::start(client.command(&words))
        };
        let mut running = Vec::new();
        let refused = loop {
            let mut next = start();
            match next.next_line() {
                Some(_) => running.push(next),
                None => break next,
            }
            assert!(running.len() < 30, "{model}: there is no end of processes");
        };
        let mut refused = refused;
        assert_eq!(refused.wait(), Some(255), "{model}");
        let said = refused.stderr();
        assert!(
            said.starts_with("sockeye: ") && said.matches('\n').count() == 1,
            "{model}: {said}"
        );
        // At once, and not by a silence that looks like a slow network.
        assert!(!said.contains("took too long"), "{model}: {said}");
        assert!(host.server.is_alive(), "{model}");
        assert!(!running.is_empty(), "{model}: not one, but {said}");
        drop(running);
        eventually("all have ended", || marked(&mark).is_empty());
        eventually("it serves again", || {
            let words = ["exec", &host.tls, "-n", "--", "true"];
            client.run(&words, b"").code == Some(0)
        });
    }
}
