//! X5: signals reach the command, and nothing outlives a client that has gone (faults 37, 38).

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::harness::namespace::{firewall, in_namespace, nft, no_firewall};
use crate::harness::process::{self, run_command};
use crate::harness::remote::{Home, Host, Running, mark, marked, text};
use crate::harness::{MODELS, eventually, serve};

/// X5: how long what a client left behind may live.
const GONE: Duration = Duration::from_secs(5);

/// Everything that a command can do to stay: a daemon, a grandchild of nobody, one that ignores
/// signals, one in another session whose parent has gone, one that is stopped.
fn stubborn(mark: &str) -> String {
    format!(
        "setsid sleep {mark} & \
         (setsid sh -c 'trap \"\" HUP TERM INT; sleep {mark}; sleep {mark}; :' </dev/null >/dev/null 2>&1 &) ; \
         nohup sleep {mark} >/dev/null 2>&1 & \
         (sh -c 'sleep {mark} & sleep {mark} & exit' &) ; \
         sh -c 'kill -STOP $$; sleep {mark}' & \
         while [ $(pgrep -fc 'sleep {mark}') -lt 6 ]; do :; done; \
         echo ready; trap '' HUP TERM; sleep {mark}; sleep {mark}; :"
    )
}

/// Nothing with the mark is left in time.
fn assert_gone(mark: &str, since: Instant, limit: Duration) {
    eventually("all are gone", || marked(mark).is_empty());
    let took = since.elapsed();
    assert!(took < limit, "it took {took:?}");
}

/// X5: SIGINT, SIGQUIT and SIGTERM to the client reach the command, which may do with them what it
/// wants.
#[test]
fn signals() {
    let host = Host::start();
    let signals = [(Signal::INT, "INT"), (Signal::QUIT, "QUIT"), (Signal::TERM, "TERM")];
    for (signal, name) in signals {
        let line = "for s in INT QUIT TERM; do trap \"echo $s; exit 9\" $s; done; \
                    echo ready; while :; do sleep 0.02; done";
        let mut client = host.spawn(&["-c", line]);
        client.expect_line("ready");
        process::signal(client.pid(), signal);
        client.expect_line(name);
        assert_eq!(client.wait(), Some(9), "{name}");
    }
}

/// X4, X5: a command that does nothing about it dies by the signal, and so its status says.
#[test]
fn default_signals() {
    let host = Host::start();
    for (signal, code) in [(Signal::INT, 130), (Signal::QUIT, 131), (Signal::TERM, 143)] {
        let mut client = host.spawn(&["--", "sh", "-c", "echo ready; exec sleep 1000"]);
        client.expect_line("ready");
        process::signal(client.pid(), signal);
        assert_eq!(client.wait(), Some(code));
    }
}

/// X5: the whole process group hears it, not the first process alone.
#[test]
fn process_group() {
    let host = Host::start();
    let line = "trap 'wait; echo parent; exit 0' TERM; \
                sh -c 'trap \"echo child; exit 0\" TERM; echo ready; while :; do sleep 0.02; done' & \
                while :; do sleep 0.02; done";
    let mut client = host.spawn(&["-c", line]);
    client.expect_line("ready");
    process::signal(client.pid(), Signal::TERM);
    client.expect_line("child");
    client.expect_line("parent");
    assert_eq!(client.wait(), Some(0));
}

/// X5: who sends three signals means the client: it ends as if the signal had met it, and takes the
/// command with it.
#[test]
fn three_signals() {
    let host = Host::start();
    let mark = mark();
    let line = format!("trap '' INT TERM QUIT HUP; echo ready; sleep {mark}; sleep {mark}; :");
    let mut client = host.spawn(&["-c", &line]);
    client.expect_line("ready");
    let since = Instant::now();
    // Two of the same that come together are one; so it takes as many as it takes.
    eventually("the client ends", || {
        if client.child.try_wait().unwrap().is_some() {
            return true;
        }
        process::signal(client.pid(), Signal::INT);
        std::thread::sleep(Duration::from_millis(20));
        false
    });
    assert_eq!(client.wait(), Some(130));
    assert_gone(&mark, since, GONE + Duration::from_secs(1));
}

/// X5, faults 37, 38: a client that is killed takes everything with it within 5 s: under every
/// model, over TLS and over a Unix socket.
#[test]
fn killed_client() {
    if !crate::harness::needs(&["pgrep", "setsid", "nohup"]) {
        return;
    }
    for model in MODELS {
        let host = Host::with(&["--model", model]);
        for unix in [false, true] {
            let mark = mark();
            let line = stubborn(&mark);
            let mut client = match unix {
                false => host.spawn(&["-c", &line]),
                true => Running::start(host.home.command(&["exec", &host.unix, "-c", &line])),
            };
            client.expect_line("ready");
            assert!(marked(&mark).len() >= 6, "{model}: {:?}", marked(&mark));
            let since = Instant::now();
            process::signal(client.pid(), Signal::KILL);
            assert_gone(&mark, since, GONE);
        }
    }
}

/// X5: a client that ends by SIGHUP, as when its terminal goes, passes it on.
#[test]
fn hangup() {
    let host = Host::start();
    let mut client = host.spawn(&[
        "--",
        "sh",
        "-c",
        "trap 'exit 3' HUP; echo ready; \
        while :; do sleep 0.02; done",
    ]);
    client.expect_line("ready");
    process::signal(client.pid(), Signal::HUP);
    assert_eq!(client.wait(), Some(3));
}

/// X5, fault 37: a fork bomb's little brother: something that forks all the time ends with its
/// client, too.
#[test]
fn forking() {
    let host = Host::start();
    let mark = mark();
    let line = format!(
        "trap '' HUP TERM; f() {{ trap '' HUP TERM; while :; do (setsid sleep {mark} &); \
         sleep 0.01; done; }}; f & echo ready; wait"
    );
    let mut client = host.spawn(&["-c", &line]);
    client.expect_line("ready");
    eventually("some have forked", || marked(&mark).len() > 20);
    let since = Instant::now();
    process::signal(client.pid(), Signal::KILL);
    assert_gone(&mark, since, GONE);
}

/// X5: `--detach` prints the process number, and the command lives on after client, connection and
/// worker have gone.
#[test]
fn detach() {
    for model in MODELS {
        let mut host = Host::with(&["--model", model]);
        let mark = mark();
        let line = format!("sleep {mark}; :");
        let output = host.exec(&["--detach", "-c", &line], b"");
        assert_eq!((output.code, output.stderr.as_str()), (Some(0), ""), "{model}");
        let pid: u32 = output.stdout_text().trim().parse().expect("a process number");
        host.server.wait_event("the end", |event| event["why"] == "end");
        assert!(marked(&mark).contains(&pid), "{model}: {pid} is none of {:?}", marked(&mark));
        host.server.stop();
        assert!(process::state_of(pid).is_some_and(|state| state != 'Z'), "{model}");
        assert!(!marked(&mark).is_empty(), "{model}");
        for pid in marked(&mark) {
            process::signal(pid, Signal::KILL);
        }
        eventually("it has ended", || marked(&mark).is_empty());
    }
}

/// X5: what a command leaves behind when it ends by itself is left alone, as ssh leaves it.
#[test]
fn background() {
    for model in MODELS {
        let host = Host::with(&["--model", model]);
        let mark = mark();
        let line = format!("setsid sleep {mark} >/dev/null 2>&1 </dev/null & echo ok");
        let output = host.exec(&["-c", &line], b"");
        assert_eq!((output.code, output.stdout_text().as_str()), (Some(0), "ok\n"));
        host.server.wait_event("the end", |event| event["event"] == "command");
        drop(host);
        let left = marked(&mark);
        assert_eq!(left.len(), 1, "{model}");
        process::signal(left[0], Signal::KILL);
    }
}

/// X5, L5: a server that is told to end lets commands finish, and one that is killed takes them
/// with it.
#[test]
fn server_ends() {
    let mut host = Host::with(&["--drain", "20s"]);
    let mut client = host.spawn(&["-c", "echo ready; read x; echo got $x; exit 3"]);
    client.expect_line("ready");
    host.server.signal(Signal::TERM);
    host.server.wait_for("draining");
    let mut stdin = client.child.stdin.take().unwrap();
    std::io::Write::write_all(&mut stdin, b"on\n").unwrap();
    client.expect_line("got on");
    assert_eq!(client.wait(), Some(3));
    assert_eq!(host.server.wait().code(), Some(0));

    for model in MODELS {
        let mut host = Host::with(&["--model", model]);
        let mark = mark();
        let line = format!("trap '' HUP TERM; setsid sleep {mark} & echo ready; sleep {mark}; :");
        let mut client = host.spawn(&["-c", &line]);
        client.expect_line("ready");
        let since = Instant::now();
        host.server.kill();
        assert_eq!(client.wait(), Some(255), "{model}");
        assert!(client.stderr().starts_with("sockeye: "));
        assert_gone(&mark, since, GONE + Duration::from_secs(1));
    }
}

/// L5, L1, X8: a command that will not end when the drain is over is ended, counted as cut, told before
/// the server's own end, and has its line in the audit file. A second signal waits for nothing of that.
#[test]
fn stubborn_at_the_end() {
    for model in MODELS {
        let home = Home::new();
        let file = home.path().join("audit.jsonl");
        let words = ["--model", model, "--drain", "100ms", "--audit", text(&file)];
        let mut host = Host::of(home, |launch| launch.args(&words));
        let line = "trap '' HUP TERM; echo ready; sleep 1000; sleep 1000";
        let mut client = host.spawn(&["-c", line]);
        client.expect_line("ready");
        host.server.signal(Signal::TERM);
        assert_eq!(client.wait(), Some(255), "{model}");
        assert_eq!(host.server.wait().code(), Some(0), "{model}");
        let events = host.server.events();
        assert_eq!(events.last().unwrap()["event"], "drained", "{model}");
        assert_eq!(host.server.count("closed"), host.server.count("accepted"), "{model}");
        let told = |name: &str| events.iter().find(|event| event["event"] == name).unwrap();
        assert_eq!(told("drained")["cut"], 1, "{model}");
        assert_eq!(told("command")["why"], "vanished", "{model}");
        let audit = std::fs::read_to_string(&file).unwrap();
        assert_eq!(audit.matches("\"event\":\"end\"").count(), 1, "{model}: {audit}");

        let mut host = Host::with(&["--model", model, "--drain", "100ms"]);
        let mut client = host.spawn(&["-c", line]);
        client.expect_line("ready");
        host.server.signal(Signal::TERM);
        host.server.wait_for("draining");
        assert_eq!(client.wait(), Some(255), "{model}: it is cut");
        host.server.signal(Signal::TERM);
        assert_eq!(host.server.wait().code(), Some(1), "{model}");
    }
}

/// Fault 38: a client behind a dead network: keepalive tells both ends, and the command is gone
/// within 5 s of that.
#[test]
fn silent_network() {
    in_namespace("host::ending::silent_network", &["nft"], || {
        let probes = ["keepalive=1s", "keepintvl=1s", "keepcnt=2", "user-timeout=3s"];
        let probes = probes.map(|option| ["--set", option]).concat();
        let server = serve("host").on("tls://127.0.0.1:0").args(&probes);
        let host = Host::on_tls(Home::new(), server);
        let mark = mark();
        let line = format!("trap '' HUP TERM; setsid sleep {mark} & echo ready; sleep {mark}; :");
        let mut client = host.spawn(&[&probes[..], &["-c", &line]].concat());
        client.expect_line("ready");
        firewall();
        let since = Instant::now();
        nft("add rule inet t out oifname lo tcp flags & (fin|syn|rst|ack) != 0 drop");
        assert_gone(&mark, since, Duration::from_secs(3) + GONE);
        assert_eq!(client.wait(), Some(255));
        let said = client.stderr();
        assert!(said.starts_with("sockeye: ") && said.matches('\n').count() == 1, "{said}");
        no_firewall();
        assert_eq!(host.line("exit 3").code, Some(3));
    });
}

/// X5: a client that has gone before its command began leaves nothing behind either.
#[test]
fn gone_at_once() {
    let host = Host::start();
    let mark = mark();
    for delay in 0..30 {
        let line = format!("setsid sleep {mark} & sleep {mark}");
        let mut command = host.client(&["-n", "-c", &line]);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let mut client = Running::adopt(command.spawn().unwrap());
        // At every moment of its life once.
        std::thread::sleep(Duration::from_millis(delay));
        client.child.kill().unwrap();
        client.wait();
    }
    let since = Instant::now();
    eventually("every connection has ended", || {
        host.server.count("closed") == host.server.count("accepted")
    });
    assert_gone(&mark, since, GONE + Duration::from_secs(1));
    assert_eq!(run_command(host.client(&["--", "true"]), b"").code, Some(0));
}

/// X6: a command whose time is over is over, even where a process that is none of its own holds its
/// output open, silent or not.
#[test]
fn output_held_elsewhere() {
    let host = Host::start();
    for writes in [false, true] {
        let words = ["--timeout", "500ms", "--", "sh", "-c", "echo $$; exec sleep 1000"];
        let mut client = host.spawn(&words);
        let pid: u32 = client.next_line().and_then(|line| line.parse().ok()).expect("a number");
        let mut held = std::fs::File::options()
            .write(true)
            .open(format!("/proc/{pid}/fd/1"))
            .expect("the other end of its output");
        if writes {
            std::thread::scope(|scope| {
                scope.spawn(move || while held.write_all(&[b'x'; 4096]).is_ok() {});
                while client.next_line().is_some() {}
                assert_eq!(client.wait(), Some(124));
            });
        } else {
            assert_eq!(client.wait(), Some(124));
        }
    }
}
