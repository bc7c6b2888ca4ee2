//! systemd: sockets that were opened for us, and telling that we are ready (E7).

use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixDatagram, UnixListener};
use std::process::Stdio;

use crate::harness::{Conn, Gram, MODELS, serve};

/// Descriptors cannot be passed on without unsafe code here, but standard input can: the shell
/// moves it to descriptor 3, where LISTEN_FDS begins, and keeps its process number by exec.
const AS_THIRD: &str = "exec 3<&0 0</dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"";

/// E7: a listening TCP or Unix socket that is passed is served instead of the default endpoints.
#[test]
fn listening_sockets() {
    for model in MODELS {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s");
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let tcp_endpoint = format!("tcp://{}", tcp.local_addr().unwrap());
        let unix = UnixListener::bind(&path).unwrap();
        let unix_endpoint = format!("unix:{}", path.display());
        let passed = [(OwnedFd::from(tcp), tcp_endpoint), (unix.into(), unix_endpoint)];
        for (socket, endpoint) in passed {
            let launch = serve("upper").model(model).via(&["sh", "-c", AS_THIRD]).expecting(1);
            let mut server = launch.start_with_stdin(Stdio::from(socket));
            assert_eq!(server.first_endpoint(), endpoint);
            server.assert_serves();
            assert_eq!(server.count("listening"), 1, "instead of the defaults");
            server.stop();
        }
        assert!(path.exists(), "systemd's socket file is not ours to remove");
    }
}

/// E5, E7: options are set on a passed socket, too, and shown.
#[test]
fn options_of_passed_sockets() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let args = ["--set", "rcvbuf=64K"];
    let launch = serve("upper").args(&args).via(&["sh", "-c", AS_THIRD]).expecting(1);
    let server = launch.start_with_stdin(Stdio::from(OwnedFd::from(listener)));
    let listening = server.wait_for("listening");
    assert!(listening["options"].as_str().unwrap().starts_with("rcvbuf="), "{listening}");
}

/// E7: a passed datagram socket is served.
#[test]
fn datagram_sockets() {
    for model in MODELS {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("d");
        let socket = UnixDatagram::bind(&path).unwrap();
        let launch = serve("upper").model(model).via(&["sh", "-c", AS_THIRD]).expecting(1);
        let server = launch.start_with_stdin(Stdio::from(OwnedFd::from(socket)));
        let gram = Gram::dial(&format!("unixgram:{}", path.display()), dir.path()).unwrap();
        assert_eq!(gram.ask(b"hello"), b"HELLO");
        drop(server);
    }
}

/// E7: connections that came before the server was started are served.
#[test]
fn waiting_connections() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    let mut early = Conn::dial(&endpoint).unwrap();
    let passed = OwnedFd::from(listener).as_fd().try_clone_to_owned().unwrap();
    let launch = serve("upper").via(&["sh", "-c", AS_THIRD]).expecting(1);
    let _server = launch.start_with_stdin(Stdio::from(passed));
    assert_eq!(early.ask(b"early", 5), b"EARLY");
}

/// E7: sockets meant for another process are not touched.
#[test]
fn foreign_listen_pid() {
    let server = serve("upper").at("tcp").env("LISTEN_PID", "1").env("LISTEN_FDS", "1").start();
    server.assert_serves();
}

/// E7: a descriptor that is no socket is a start error, told in one line.
#[test]
fn not_a_socket() {
    let launch = serve("upper").via(&["sh", "-c", AS_THIRD]);
    let output = crate::harness::process::run_command(launch.command(), b"");
    let line = output.assert_one_line(1);
    assert!(line.contains("LISTEN_FDS"), "{line}");
}

/// E7: READY=1 is sent when everything listens, STOPPING=1 at the end.
#[test]
fn readiness() {
    for model in MODELS {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("notify");
        let manager = UnixDatagram::bind(&path).unwrap();
        manager.set_read_timeout(Some(crate::harness::DEADLINE)).unwrap();
        let word = path.to_str().unwrap();
        let mut server =
            serve("upper").at("tcp").at("udp").model(model).env("NOTIFY_SOCKET", word).start();
        let receive = || {
            let mut buffer = [0; 4096];
            let n = manager.recv(&mut buffer).expect("a message to the manager");
            String::from_utf8_lossy(&buffer[..n]).into_owned()
        };
        let ready = receive();
        assert!(ready.lines().any(|line| line == "READY=1"), "{ready}");
        server.stop();
        let stopping = receive();
        assert!(stopping.lines().any(|line| line == "STOPPING=1"), "{stopping}");
    }
}
