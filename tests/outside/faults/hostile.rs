//! Hostile and unlucky peers that once did harm: passed descriptors, urgent data, readers that do
//! not read, locks that others hold, second starts.

use std::io::{IoSlice, Write};
use std::mem::MaybeUninit;
use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::os::unix::net::UnixDatagram;

use rustix::fs::{FlockOperation, flock};
use rustix::net::{SendAncillaryBuffer, SendAncillaryMessage, SendFlags, sendmsg};
use rustix::process::Signal;

use crate::harness::conn::inet;
use crate::harness::process::{fds_of, state_of};
use crate::harness::{Conn, Gram, MODELS, PARALLEL_MODELS, Server, eventually, run, serve};

/// Sends bytes with three descriptors attached.
fn send_with_descriptors(socket: impl AsFd, bytes: &[u8]) {
    let file = std::fs::File::open("/dev/null").unwrap();
    let fds = [file.as_fd(); 3];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(3))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SendFlags::empty()).unwrap();
}

/// The server and its worker processes.
fn family(server: &Server) -> Vec<u32> {
    let mut all = crate::harness::process::children_of(server.pid());
    all.push(server.pid());
    all
}

/// L2: descriptors that a Unix peer attaches to its datagrams stay with nobody.
#[test]
fn passed_descriptors_are_not_kept() {
    for model in MODELS {
        let server = serve("upper").at("unixgram").model(model).start();
        let gram = server.gram();
        assert_eq!(gram.ask(b"first"), b"FIRST");
        let count = || family(&server).iter().map(|pid| fds_of(*pid).len()).sum::<usize>();
        let before = count();
        for _ in 0..50 {
            send_with_descriptors(&*gram.socket(), b"with gifts");
            assert_eq!(gram.receive(), b"WITH GIFTS");
        }
        assert_eq!(count(), before, "{model}");
    }
}

/// L2, fault 16: a Unix datagram peer that never reads its answers holds nobody else up.
#[test]
fn datagram_peer_that_does_not_read() {
    for model in MODELS {
        let server = serve("upper").at("unixgram").model(model).start();
        let deaf = server.gram();
        deaf.socket().set_nonblocking(true).unwrap();
        let Gram::Unix(socket) = &deaf else { panic!("a Unix datagram socket") };
        // Its own queue is full after some ten answers; what the server's does not take is skipped.
        for _ in 0..300 {
            let _ = UnixDatagram::send(socket, b"never read");
        }
        assert_eq!(server.gram().ask(b"hello"), b"HELLO", "{model}");
    }
}

/// Lets the server find all of it at once: stopped while it is sent.
fn while_stopped(server: &Server, send: impl FnOnce()) {
    let stopped = |state| move |pid: &u32| (state_of(*pid) == Some('T')) == state;
    let all = family(server);
    all.iter().for_each(|pid| crate::harness::process::signal(*pid, Signal::STOP));
    eventually("the server stops", || all.iter().all(stopped(true)));
    send();
    all.iter().for_each(|pid| crate::harness::process::signal(*pid, Signal::CONT));
}

/// M5, V1: reads that end early are no end of what came: behind TCP's urgent mark there is more.
#[test]
fn urgent_data() {
    for model in PARALLEL_MODELS {
        let server = serve("upper").at("tcp").model(model).start();
        let mut conn = server.dial();
        assert_eq!(conn.ask(b"x", 1), b"X");
        while_stopped(&server, || {
            conn.write_all(b"abc").unwrap();
            conn.socket().send_out_of_band(b"!").unwrap();
            conn.write_all(b"def").unwrap();
        });
        assert_eq!(conn.take_exact(6), b"ABCDEF", "{model}");
    }
}

/// M5, V1: on a Unix stream a read ends behind passed descriptors; there may be more.
#[test]
fn descriptors_in_a_stream() {
    for model in PARALLEL_MODELS {
        let server = serve("upper").at("unix").model(model).start();
        let mut conn = server.dial();
        assert_eq!(conn.ask(b"x", 1), b"X");
        while_stopped(&server, || {
            send_with_descriptors(&*conn.socket(), b"abc");
            conn.write_all(b"def").unwrap();
        });
        assert_eq!(conn.take_exact(6), b"ABCDEF", "{model}");
    }
}

/// L5: the first signal during the one connection of `--once` drains as it always does.
#[test]
fn once_and_a_signal() {
    for model in MODELS {
        let mut server = serve("upper").at("tcp").model(model).args(&["--once"]).start();
        let mut conn = server.dial();
        assert_eq!(conn.ask(b"x", 1), b"X");
        server.wait_for("draining");
        server.signal(Signal::TERM);
        assert_eq!(conn.ask(b"still here", 10), b"STILL HERE", "{model}");
        conn.finish();
        conn.assert_ended();
        assert!(server.wait().success(), "{model}");
        assert_eq!(server.wait_for("drained")["cut"], 0);
    }
}

/// M6: a datagram that is refused is not the one of `--once`.
#[test]
fn once_is_not_spent_on_the_refused() {
    for model in MODELS {
        let args = ["--once", "--deny", "127.0.0.2"];
        let mut server = serve("upper").at("udp").model(model).args(&args).start();
        let denied = UdpSocket::bind("127.0.0.2:0").unwrap();
        denied.send_to(b"no", inet(&server.endpoint("udp"))).unwrap();
        server.wait_for("refused");
        assert_eq!(server.gram().ask(b"yes"), b"YES", "{model}");
        assert!(server.wait().success());
    }
}

/// L4, E6: a second start on a live Unix path disturbs the first server in no way.
#[test]
fn second_start_takes_no_turn() {
    let server = serve("upper").at("unix").args(&["--once"]).start();
    let output = run(&["serve", &server.endpoint("unix")], b"");
    let line = output.assert_one_line(1);
    assert!(line.contains(&format!("pid {}", server.pid())), "{line}");
    assert_eq!(server.count("accepted"), 0);
    assert_eq!(server.dial().ask(b"mine", 4), b"MINE");
}

/// E6, L5: a lock that somebody holds on the directory keeps nobody from starting or stopping.
#[test]
fn locked_directory() {
    let launch = serve("upper").at("unix");
    let mut server = launch.start();
    let directory = std::fs::File::open(server.dir()).unwrap();
    flock(&directory, FlockOperation::LockExclusive).unwrap();
    let beside = format!("unix:{}/beside", server.dir().display());
    let mut second = serve("upper").on(&beside).start();
    assert_eq!(Conn::dial(&beside).unwrap().ask(b"x", 1), b"X");
    second.stop();
    server.stop();
}

/// M6: a connection that is refused ends with FIN, also when it has sent something.
#[test]
fn refused_is_not_reset() {
    for model in PARALLEL_MODELS {
        let args = ["--max-connections", "1", "--overflow", "refuse"];
        let server = serve("upper").at("tcp").model(model).args(&args).start();
        let mut inside = server.dial();
        assert_eq!(inside.ask(b"x", 1), b"X");
        let mut outside = server.dial();
        outside.write_all(&[b'a'; 10_000]).unwrap();
        outside.finish();
        assert_eq!(outside.take_all(), b"", "{model}");
        assert_eq!(server.wait_for("refused")["why"], "max-connections");
    }
}

/// L3, V2: chargen ends after the peer's end, with a whole block.
#[test]
fn chargen_hears_the_end() {
    for model in MODELS {
        let server = serve("chargen").at("tcp").at("unix").model(model).start();
        for scheme in ["tcp", "unix"] {
            let mut conn = Conn::dial(&server.endpoint(scheme)).unwrap();
            conn.finish();
            let text = conn.take_all();
            assert!(text.ends_with(b"\r\n") && text.len().is_multiple_of(74), "{model} {scheme}");
        }
    }
}

/// Q4: a time of any length is a time or a mistake, never a crash.
#[test]
fn endless_times() {
    let output = run(&["connect", "9", "--timeout", "300000000000y"], b"");
    assert!(output.assert_one_line(2).contains("ten years"));
    let output = run(&["serve", "0", "--drain", "11y"], b"");
    assert!(output.assert_one_line(2).contains("ten years"));
}

/// V2, fault 29: answers that equal their question are all that a loop of two servers consists of;
/// the first that is dropped ends it. What has lower case in it is answered however often.
#[test]
fn upper_does_not_bounce_for_ever() {
    for model in MODELS {
        let server = serve("upper").at("udp").model(model).start();
        let other = server.gram();
        // No more at once than its buffer holds, or a slow server would see too few of them.
        eventually("the loop is ended", || {
            (0..100).for_each(|_| other.send(b"LOOP"));
            server.count("refused") > 0
        });
        assert_eq!(server.wait_for("refused")["why"], "rate", "{model}");
        // The flood may still fill the server's buffer, and what finds no room is lost.
        let gram = server.gram();
        gram.set_timeout(std::time::Duration::from_millis(200));
        eventually("lower case is answered", || {
            gram.send(b"lower case");
            gram.try_receive().is_ok_and(|answer| answer == b"LOWER CASE")
        });
    }
}

/// V1, V2: a Unix datagram may be longer than any UDP datagram, and is answered whole.
#[test]
fn long_unix_datagrams() {
    for model in MODELS {
        let server = serve("upper").at("unixgram").model(model).start();
        let gram = server.gram();
        gram.socket().set_send_buffer_size(150_000).unwrap();
        let question = vec![b'a'; 100_000];
        gram.send(&question);
        let mut answer = vec![0; 150_000];
        let Gram::Unix(socket) = &gram else { panic!("a Unix datagram socket") };
        assert_eq!(socket.recv(&mut answer).unwrap(), question.len(), "{model}");
        assert!(answer[..question.len()].iter().all(|byte| *byte == b'A'));
    }
}

/// L5: after the signal no datagram is answered, while connections finish.
#[test]
fn datagrams_stop_with_the_signal() {
    for model in MODELS {
        let mut server = serve("upper").at("tcp").at("udp").model(model).start();
        let gram = Gram::dial(&server.endpoint("udp"), server.dir()).unwrap();
        let mut conn = Conn::dial(&server.endpoint("tcp")).unwrap();
        assert_eq!(conn.ask(b"x", 1), b"X");
        assert_eq!(gram.ask(b"x"), b"X");
        server.signal(Signal::TERM);
        server.wait_for("draining");
        let answered = |gram: &Gram| {
            gram.set_timeout(std::time::Duration::from_millis(100));
            gram.socket().send(b"late").is_ok() && gram.try_receive().is_ok()
        };
        eventually("datagrams are answered no more", || !answered(&gram));
        assert_eq!(conn.ask(b"finish", 6), b"FINISH", "{model}");
        conn.finish();
        assert!(server.wait().success());
    }
}

/// Q4, O4: without descriptors the programs say so and do not panic.
#[test]
fn hardly_any_descriptors() {
    if !crate::harness::needs(&["prlimit"]) {
        return;
    }
    for words in [["serve", "0"], ["connect", "9"]] {
        // Fewer than six, and the system cannot even load the program.
        for limit in ["6", "7", "8", "9", "10"] {
            let mut command = crate::harness::clean("prlimit");
            command.arg(format!("--nofile={limit}:{limit}"));
            command.arg(crate::harness::BINARY).args(words);
            let output = crate::harness::process::run_command(command, b"");
            let line = output.assert_one_line(1);
            assert!(line.contains("ulimit -n"), "{words:?} {limit}: {line}");
        }
    }
}

/// L5: a list that is no file is a bad list, at the start and on reload; the server serves on.
#[test]
fn list_that_never_ends() {
    let launch = serve("upper").at("tcp");
    let list = launch.file("allow", "127.0.0.1\n");
    let word = format!("@{}", list.display());
    let server = launch.args(&["--allow", &word]).start();
    std::fs::remove_file(&list).unwrap();
    std::os::unix::fs::symlink("/dev/zero", &list).unwrap();
    server.signal(Signal::HUP);
    let error = server.wait_for("reload-failed");
    assert!(error["error"].as_str().unwrap().contains("regular file"), "{error}");
    assert_eq!(server.dial().ask(b"x", 1), b"X");
    let output = run(&["serve", "0", "--allow", "@/dev/zero"], b"");
    assert!(output.assert_one_line(2).contains("regular file"));
}
