//! F3, fault 57: either end is killed at random moments: each file is an old one or the new one, and
//! the next whole run leaves no litter.

use std::fs;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use rustix::process::Signal;

use crate::harness::bytes::Random;
use crate::harness::files::{Site, assert_same_trees, litter, noise, put, tree};
use crate::harness::process::{signal, throughout};
use crate::harness::remote::{Home, Running, text};
use crate::harness::{Server, eventually, serve};

const FILES: u64 = 30;

/// How often something is killed; `SOCKEYE_KILLS` says another number.
fn rounds() -> u64 {
    std::env::var("SOCKEYE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(60)
}

/// The content of a file in a version of the tree; some are large enough to be resumed.
fn content(file: u64, version: u64) -> Vec<u8> {
    let length = match file {
        0 => 6 << 20,
        1 => 2 << 20,
        _ => 500 * file as usize,
    };
    // A large file changes in parts, so that its older version is used.
    let mut data = noise(file + 1, length);
    let at = (version as usize * 7919) % length.max(1);
    data[at..].iter_mut().take(300).for_each(|byte| *byte = byte.wrapping_add(version as u8));
    data.extend_from_slice(&version.to_be_bytes());
    data
}

fn version_of(data: &[u8]) -> u64 {
    data.last_chunk::<8>().map_or(u64::MAX, |version| u64::from_be_bytes(*version))
}

fn write_version(site: &std::path::Path, version: u64) {
    for file in 0..FILES {
        put(site.join(format!("d{}/f{file}", file % 3)), content(file, version));
    }
}

/// Every file that is there is one of the versions up to this one, whole.
fn assert_whole(root: &std::path::Path, newest: u64) {
    for file in 0..FILES {
        let path = root.join(format!("d{}/f{file}", file % 3));
        let Ok(data) = fs::read(&path) else { continue };
        let version = version_of(&data);
        assert!(version <= newest, "{} is torn", path.display());
        assert!(data == content(file, version), "{} is torn", path.display());
    }
}

/// A server on a socket whose path outlives it.
fn start(home: &Home, socket: &str) -> Server {
    serve("host").on(socket).env("HOME", text(home.path())).start()
}

/// Fault 57: kill -9 of the client in even rounds, of the server with all its processes in odd ones.
fn killed(push: bool) {
    let home = Home::empty();
    let here = tempfile::tempdir().unwrap();
    let socket = format!("unix:{}", here.path().join("socket").display());
    let mut server = start(&home, &socket);
    let (src, dst) = match push {
        true => (here.path().join("src"), home.path().join("dst")),
        false => (home.path().join("src"), here.path().join("dst")),
    };
    let (from, to) = if push { ("src", ":dst") } else { (":src", "dst") };
    let client = || {
        let mut command = home.command(&["sync", from, to, "--delete", "--via", &socket]);
        command.current_dir(here.path());
        command
    };
    let mut random = Random::new(57);
    for version in 0..rounds() {
        write_version(&src, version);
        let mut running = Running::start(client());
        let moment = u64::from(random.bytes(1)[0]) * 600;
        throughout(Duration::from_micros(moment), || {});
        if version % 2 == 0 {
            let _ = running.child.kill();
            running.wait();
        } else {
            kill_all(&mut server);
            assert_ne!(running.wait(), None, "the client ends by itself");
            // A process that the server was just starting has its listener up to its exec.
            let path = socket.strip_prefix("unix:").unwrap();
            eventually("nobody listens", || UnixStream::connect(path).is_err());
            server = start(&home, &socket);
        }
        assert_whole(&dst, version);
    }
    let mut last = Running::start(client());
    assert_eq!(last.wait(), Some(0), "{}", last.stderr());
    assert_same_trees(&tree(&dst), &tree(&src));
    assert!(litter(&dst).is_empty(), "{:?}", litter(&dst));
    assert!(litter(&src).is_empty());
}

/// Fault 57: at random moments of a push.
#[test]
fn killed_at_random_pushing() {
    killed(true);
}

/// Fault 57: and of a pull.
#[test]
fn killed_at_random_pulling() {
    killed(false);
}

/// The server and its workers at one blow.
fn kill_all(server: &mut Server) {
    let workers = crate::harness::process::children_of(server.pid());
    server.kill();
    for worker in workers {
        // It may have gone with its server.
        if crate::harness::process::state_of(worker).is_some_and(|state| state != 'Z') {
            signal(worker, Signal::KILL);
        }
    }
}

/// Fault 57: the worker process of one transfer is killed: that client fails and says so, others go
/// on, and the server stays.
#[test]
fn worker_killed() {
    let site = Site::with(&["--model", "process"]);
    put(site.here("f"), noise(9, 24 << 20));
    let mut client = Running::start(site.command(&["cp", "f", ":g", "--limit", "8M"]));
    eventually("a part has come", || !litter(&site.there("")).is_empty());
    let holds =
        |pid: u32| crate::harness::process::fds_of(pid).iter().any(|fd| fd.contains(".sockeye-"));
    let worker = site.host.tree().into_iter().find(|pid| holds(*pid)).expect("a worker");
    signal(worker, Signal::KILL);
    assert_eq!(client.wait(), Some(1), "{}", client.stderr());
    assert!(!site.there("g").exists());
    site.well(&["cp", "f", ":g"]);
    assert!(fs::read(site.there("g")).unwrap() == noise(9, 24 << 20));
    assert!(litter(&site.there("")).is_empty());
}
