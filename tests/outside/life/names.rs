//! Who has an address: restarts, second servers, Unix socket files.

use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::{UnixDatagram, UnixListener};

use crate::harness::process::{Output, run_command};
use crate::harness::{Conn, Launch, MODELS, Server, serve};

/// Starts a server that must fail at once, and returns its one line.
fn refused(launch: &Launch) -> String {
    let output: Output = run_command(launch.command(), b"");
    let line = output.assert_one_line(1).to_owned();
    assert!(line.starts_with("sockeye: cannot "), "{line}");
    line
}

fn assert_names(line: &str, holder: &Server) {
    let pid = holder.pid();
    assert!(line.contains("in use"), "{line}");
    assert!(line.contains(&format!("sockeye (pid {pid})")), "{line}");
    assert!(line.contains(&format!("`kill {pid}`")), "{line}");
}

/// L4, fault 22: a second server on one TCP address is refused and the holder named.
#[test]
fn row_22_second_tcp_server() {
    for model in MODELS {
        let first = serve("upper").at("tcp").model(model).start();
        for second in MODELS {
            let line = refused(&serve("upper").on(&first.endpoint("tcp")).model(second));
            assert_names(&line, &first);
            assert!(line.contains(&first.endpoint("tcp")), "{line}");
        }
        first.assert_serves();
    }
}

/// L4, fault 22: wildcard against specific, both ways round; `[::]` against IPv4.
#[test]
fn row_22_wildcard() {
    // All these hold one port; an address of this test's own keeps others out of the way.
    let specific = serve("upper").on("tcp://127.22.0.1:0").start();
    let port = specific.endpoint("tcp").rsplit_once(':').unwrap().1.to_owned();
    for wildcard in ["0.0.0.0", "[::]"] {
        let line = refused(&serve("upper").on(&format!("tcp://{wildcard}:{port}")));
        assert_names(&line, &specific);
    }
    drop(specific);
    for wildcard in ["0.0.0.0", "[::]"] {
        let holder = serve("upper").on(&format!("tcp://{wildcard}:0")).start();
        let port = holder.endpoint("tcp").rsplit_once(':').unwrap().1.to_owned();
        let line = refused(&serve("upper").on(&format!("tcp://127.0.0.1:{port}")));
        assert_names(&line, &holder);
    }
}

/// L4, fault 22: a second UDP server is refused; it would steal the first one's datagrams.
#[test]
fn row_22_second_udp_server() {
    let first = serve("upper").at("udp").start();
    let line = refused(&serve("upper").on(&first.endpoint("udp")));
    assert_names(&line, &first);
    let port = first.endpoint("udp").rsplit_once(':').unwrap().1.to_owned();
    let line = refused(&serve("upper").on(&format!("udp://0.0.0.0:{port}")));
    assert_names(&line, &first);
    for _ in 0..20 {
        assert_eq!(first.gram().ask(b"mine"), b"MINE");
    }
}

/// L4, E6, fault 23: a live Unix socket is never stolen, and its server named.
#[test]
fn row_23_live_unix_socket() {
    for transport in ["unix", "unixgram"] {
        let first = serve("upper").at(transport).start();
        let line = refused(&serve("upper").on(&first.first_endpoint()));
        assert_names(&line, &first);
        let mut third = serve("upper").at("unix").start();
        third.stop();
        if transport == "unix" {
            first.assert_serves();
        } else {
            assert_eq!(first.gram().ask(b"x"), b"X");
        }
    }
}

/// E6, fault 23: a stale socket file is replaced, of either kind.
#[test]
fn row_23_stale_unix_socket() {
    for transport in ["unix", "unixgram"] {
        let launch = serve("upper");
        let path = launch.file("unused", "").with_file_name("stale");
        if transport == "unix" {
            drop(UnixListener::bind(&path).unwrap());
        } else {
            drop(UnixDatagram::bind(&path).unwrap());
        }
        assert!(path.exists(), "the file of a dead server stays");
        let server = launch.on(&format!("{transport}:{}", path.display())).start();
        if transport == "unix" {
            server.assert_serves();
        } else {
            assert_eq!(server.gram().ask(b"x"), b"X");
        }
    }
}

/// E6, fault 23: a server that was killed leaves a stale file; the next one takes the path.
#[test]
fn row_23_killed_server() {
    for model in MODELS {
        let mut first = serve("upper").at("unix").model(model).start();
        first.assert_serves();
        first.kill();
        let endpoint = first.first_endpoint();
        assert!(std::fs::metadata(first.dir().join("unix")).is_ok());
        // Its worker processes may take a moment to notice; until then the address is not free.
        let second = serve("upper").on(&endpoint).model(model).start();
        second.assert_serves();
    }
}

/// E6, fault 23: a regular file, a directory and a link are left as they are.
#[test]
fn row_23_other_files() {
    let launch = serve("upper");
    let file = launch.file("file", "precious");
    let line = refused(&serve("upper").on(&format!("unix:{}", file.display())));
    assert!(line.contains("not a socket"), "{line}");
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");

    let directory = file.with_file_name("directory");
    std::fs::create_dir(&directory).unwrap();
    let line = refused(&serve("upper").on(&format!("unix:{}", directory.display())));
    assert!(line.contains("directory"), "{line}");

    let link = file.with_file_name("link");
    std::os::unix::fs::symlink(&file, &link).unwrap();
    let line = refused(&serve("upper").on(&format!("unix:{}", link.display())));
    assert!(line.contains("link"), "{line}");
    assert!(link.symlink_metadata().unwrap().is_symlink());
}

/// E6, fault 23: no directory, and a name too long for a socket address.
#[test]
fn row_23_impossible_paths() {
    let launch = serve("upper");
    let dir = launch.file("unused", "").parent().unwrap().to_owned();
    let line = refused(&serve("upper").on(&format!("unix:{}/none/s", dir.display())));
    assert!(line.contains("directory"), "{line}");

    let longest = 107 - dir.as_os_str().len() - 1;
    let fits = format!("unix:{}/{}", dir.display(), "x".repeat(longest));
    serve("upper").on(&fits).start().assert_serves();
    let output = run_command(serve("upper").on(&format!("{fits}yy")).command(), b"");
    let line = output.assert_one_line(2);
    assert!(line.contains("109 bytes") && line.contains("107"), "{line}");
}

/// Fault 23: a directory where we may not write.
#[test]
fn row_23_denied() {
    let launch = serve("upper");
    let dir = launch.file("unused", "").with_file_name("closed");
    std::fs::create_dir(&dir).unwrap();
    std::fs::set_permissions(&dir, std::fs::Permissions::from_mode(0o555)).unwrap();
    let Some(launcher) = crate::harness::process::unprivileged() else { return };
    let second = serve("upper").on(&format!("unix:{}/s", dir.display())).via(launcher);
    let line = refused(&second);
    assert!(line.contains("permission") || line.contains("denied"), "{line}");
}

/// E6: the file has mode 0600 or that of --mode, and is gone after the server's end.
#[test]
fn socket_file_mode_and_removal() {
    for (options, mode) in
        [(&[][..], 0o600), (&["--mode", "0666"], 0o666), (&["--mode", "640"], 0o640)]
    {
        for transport in ["unix", "unixgram"] {
            let mut server = serve("upper").at(transport).args(options).start();
            let path = server.dir().join(transport);
            let found = std::fs::metadata(&path).unwrap();
            assert!(found.file_type().is_socket());
            assert_eq!(found.permissions().mode() & 0o777, mode, "{options:?}");
            server.stop();
            assert!(!path.exists(), "removed at exit");
        }
    }
}

/// E6: of a failed start with several endpoints nothing stays bound.
#[test]
fn all_or_nothing() {
    let first = serve("upper").at("tcp").start();
    let launch = serve("upper").at("unix").on(&first.endpoint("tcp"));
    let path = launch.file("unused", "").with_file_name("unix");
    assert_names(&refused(&launch), &first);
    assert!(!path.exists(), "the socket file is not left behind");
}

/// L4, fault 21: a restart binds at once over connections in TIME_WAIT.
#[test]
fn row_21_restart_over_time_wait() {
    for model in MODELS {
        let mut endpoint = "tcp://127.21.0.1:0".to_owned();
        for _ in 0..5 {
            let mut server = serve("daytime").on(&endpoint).model(model).start();
            endpoint = server.endpoint("tcp");
            for _ in 0..5 {
                // The server closes first, so TIME_WAIT is on its side.
                assert!(!Conn::dial(&endpoint).unwrap().take_all().is_empty());
            }
            server.stop();
        }
    }
}

/// L4, fault 21: a restart binds at once over connections that outlive their server.
#[test]
fn row_21_restart_after_kill() {
    for model in MODELS {
        let mut first = serve("upper").on("tcp://127.21.0.2:0").model(model).start();
        let endpoint = first.endpoint("tcp");
        let mut conn = first.dial();
        conn.ask(b"x", 1);
        first.kill();
        let second = serve("upper").on(&endpoint).model(model).start();
        second.assert_serves();
    }
}
