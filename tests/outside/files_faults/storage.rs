//! Faults 58, 60 and 69: full and read-only disks, what is in the way, and two at the same place.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::harness::files::{Site, litter, names_in, noise, put, text_of};
use crate::harness::process::{Output, needs, needs_root, run_command, tool, unprivileged};
use crate::harness::remote::{Home, Host, Running, text};
use crate::harness::{BINARY, copy_program, eventually};

const MIB: usize = 1024 * 1024;

/// A small file system of its own; unmounted when dropped.
pub(super) struct Mount {
    pub(super) at: PathBuf,
}

impl Mount {
    pub(super) fn small(at: PathBuf, size: &str) -> Mount {
        fs::create_dir_all(&at).unwrap();
        let option = format!("size={size}");
        tool("mount", &["-t", "tmpfs", "-o", &option, "none", text(&at)]);
        Mount { at }
    }

    pub(super) fn enlarge(&self, size: &str) {
        tool("mount", &["-o", &format!("remount,size={size}"), text(&self.at)]);
    }

    pub(super) fn read_only(&self) {
        tool("mount", &["-o", "remount,ro", text(&self.at)]);
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.at).output();
    }
}

/// Fault 58: a full disk: exit status 1, the file is named, the old one is there, nothing else is;
/// a second file that fits arrives. Both ways.
#[test]
fn full() {
    if !needs_root() || !needs(&["mount", "umount"]) {
        return;
    }
    let site = Site::new();
    put(site.here("src/large"), noise(1, 5 * MIB));
    put(site.here("src/small"), "small");
    put(site.there("src/large"), noise(1, 5 * MIB));
    put(site.there("src/small"), "small");
    for (words, at) in [
        (["sync", "src", ":disk/dst"], site.there("disk")),
        (["sync", ":src", "disk/dst"], site.here("disk")),
    ] {
        let mount = Mount::small(at, "2m");
        put(mount.at.join("dst/large"), "old");
        let output = site.run(&words);
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains("large"), "{output:?}");
        assert!(output.stderr.contains("space"), "{output:?}");
        assert_eq!(text_of(mount.at.join("dst/large")), "old");
        assert_eq!(text_of(mount.at.join("dst/small")), "small");
        assert!(litter(&mount.at).is_empty(), "{:?}", litter(&mount.at));
    }
}

/// Fault 58: a read-only file system.
#[test]
fn read_only() {
    if !needs_root() || !needs(&["mount", "umount"]) {
        return;
    }
    let site = Site::new();
    put(site.here("src/f"), "new");
    let mount = Mount::small(site.there("disk"), "2m");
    put(mount.at.join("dst/f"), "older");
    mount.read_only();
    let output = site.run(&["sync", "src", ":disk/dst"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("ead-only"), "{output:?}");
    assert_eq!(text_of(mount.at.join("dst/f")), "older");
    assert_eq!(names_in(&mount.at.join("dst")), ["f"]);
}

/// Runs a client under strace, which lets these calls of it fail.
pub(super) fn injected(site: &Site, words: &[&str], filter: &[&str], inject: &str) -> Output {
    let client = site.command(words);
    let mut traced = site.host.home.other("strace");
    traced.args(["-f", "-o", "/dev/null"]).args(filter);
    traced.arg("-e").arg(format!("inject={inject}"));
    traced.arg(client.get_program()).args(client.get_args()).current_dir(site.here(""));
    run_command(traced, b"")
}

/// It failed and said so; what was there is as it was.
fn assert_old(site: &Site, output: &Output, name: &str) {
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains(name), "{output:?}");
    assert_eq!(text_of(site.here(name)), "old");
    assert!(litter(&site.here("")).is_empty(), "{:?}", litter(&site.here("")));
}

/// Small enough for one message, and large enough for several.
fn two_files(site: &Site) -> [&'static str; 2] {
    put(site.there("small"), "new");
    put(site.there("large"), noise(2, 3 * MIB));
    ["small", "large"]
}

/// Fault 58, F3: `--fsync` that fails is a failure: the old file stays, the temporary one goes.
#[test]
fn fsync_fails() {
    if !needs(&["strace"]) {
        return;
    }
    let site = Site::new();
    for name in two_files(&site) {
        put(site.here(name), "old");
        let words = ["cp", "--fsync", &format!(":{name}"), "."];
        let filter = ["-e", "trace=fsync,fdatasync"];
        let output = injected(&site, &words, &filter, "fsync,fdatasync:error=EIO");
        assert_old(&site, &output, name);
    }
    // And where it works, it works.
    site.well(&["cp", "--fsync", ":small", "."]);
    assert_eq!(text_of(site.here("small")), "new");
}

/// Fault 58, F3: a directory whose names cannot be made durable is told as that, and what is in it
/// is there.
#[test]
fn fsync_of_a_directory_fails() {
    if !needs(&["strace"]) {
        return;
    }
    let site = Site::new();
    put(site.there("src/f"), "new");
    let words = ["sync", "--fsync", ":src", "dst"];
    // The file is the first to be made durable.
    let output = injected(&site, &words, &["-e", "trace=fsync"], "fsync:error=EIO:when=2+");
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("the names in it cannot be made durable"), "{output:?}");
    assert_eq!(text_of(site.here("dst/f")), "new");
}

/// Fault 58, F3: a quota that is used up, at the first write and in the middle.
#[test]
fn over_quota() {
    if !needs(&["strace"]) {
        return;
    }
    let site = Site::new();
    for (name, when) in two_files(&site).into_iter().flat_map(|name| [(name, 1), (name, 5)]) {
        if (name, when) == ("small", 5) {
            continue;
        }
        put(site.here(name), "old");
        let words = ["cp", &format!(":{name}"), "."];
        let inject = format!("pwrite64:error=EDQUOT:when={when}+");
        let output = injected(&site, &words, &["-e", "trace=pwrite64"], &inject);
        assert_old(&site, &output, name);
        assert!(output.stderr.contains("uota"), "{output:?}");
    }
}

/// Runs a client whose first close(2) of a temporary file fails. The names of these are random, so it is
/// counted which one of its thread that is, and looked whether it was that one again.
fn first_close_fails(site: &Site, words: &[&str], name: &str) -> Output {
    let log = tempfile::NamedTempFile::new().unwrap();
    let filter = ["-y", "-e", "trace=close", "-o", text(log.path())];
    let mut inject = "close:delay_exit=0".to_owned();
    for _ in 0..20 {
        put(site.here(name), "old");
        let output = injected(site, words, &filter, &inject);
        let said = text_of(log.path());
        let lines: Vec<&str> = said.lines().collect();
        let of_ours = |line: &&str| line.contains("/.sockeye-");
        let at = lines.iter().position(of_ours).expect("a temporary file is closed");
        if lines[at].contains("EDQUOT") {
            return output;
        }
        let thread = lines[at].split(' ').next();
        let before = lines[..=at].iter().filter(|line| line.split(' ').next() == thread);
        let count = before.filter(|line| line.contains("close(")).count();
        inject = format!("close:error=EDQUOT:when={count}");
    }
    panic!("another close each time");
}

/// Fault 58, F3: what a file system tells only when a file is closed, as NFS does of a quota: the old
/// file stays, and the temporary one goes.
#[test]
fn told_at_the_close() {
    if !needs(&["strace"]) {
        return;
    }
    let site = Site::new();
    for name in two_files(&site) {
        put(site.here(name), "old");
        let words = ["cp", &format!(":{name}"), "."];
        let output = first_close_fails(&site, &words, name);
        assert_old(&site, &output, name);
        assert!(output.stderr.contains("uota"), "{output:?}");
    }
}

/// Fault 60: a directory where a file should be, and the reverse: told, nothing lost, the rest goes
/// on.
#[test]
fn other_kinds_in_the_way() {
    let site = Site::new();
    put(site.here("src/file"), "file");
    put(site.here("src/dir/inside"), "inside");
    put(site.here("src/other"), "other");
    std::os::unix::fs::symlink("other", site.here("src/link")).unwrap();
    put(site.there("dst/file/precious"), "precious");
    put(site.there("dst/dir"), "precious");
    put(site.there("dst/link/precious"), "precious");
    let output = site.run(&["sync", "src", ":dst"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    for name in ["file", "dir", "link"] {
        assert!(output.stderr.contains(name), "{name}: {output:?}");
    }
    assert_eq!(text_of(site.there("dst/file/precious")), "precious");
    assert_eq!(text_of(site.there("dst/dir")), "precious");
    assert_eq!(text_of(site.there("dst/link/precious")), "precious");
    assert_eq!(text_of(site.there("dst/other")), "other");
    // A file onto a directory by name.
    let output = site.run(&["sync", "src/file", ":dst/file"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert_eq!(text_of(site.there("dst/file/precious")), "precious");
    let output = site.run(&["cp", "src/dir", ":dst/dir"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert_eq!(text_of(site.there("dst/dir")), "precious");
}

/// Fault 60: a program that runs is replaced beneath it.
#[test]
fn busy_program() {
    let site = Site::new();
    let program = site.there("program");
    copy_program("/bin/sleep", &program);
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let mut running = Running::start({
        let mut command = Command::new(&program);
        command.arg("1000");
        command
    });
    put(site.here("new"), "#!/bin/sh\n");
    site.well(&["cp", "new", ":program"]);
    assert_eq!(text_of(&program), "#!/bin/sh\n");
    assert!(running.child.try_wait().unwrap().is_none(), "it runs on");
}

/// Fault 69: several copies to one target at once: one of them, whole, and nothing beside.
#[test]
fn rivals() {
    let site = Site::new();
    let contents: Vec<Vec<u8>> = (0..4).map(|seed| noise(seed + 50, 6 * MIB)).collect();
    for round in 0..3 {
        let mut clients = Vec::new();
        for (number, content) in contents.iter().enumerate() {
            let name = format!("f{number}");
            put(site.here(&name), content);
            clients.push(Running::start(site.command(&["cp", &name, ":target"])));
        }
        for mut client in clients {
            let code = client.wait();
            assert_eq!(code, Some(0), "{}", client.stderr());
        }
        let winner = fs::read(site.there("target")).unwrap();
        assert!(contents.contains(&winner), "round {round}: a mixture");
        assert!(litter(&site.there("")).is_empty(), "{:?}", litter(&site.there("")));
    }
}

/// A user of the machine who copies through a server of its own.
pub(super) struct User {
    id: String,
    program: PathBuf,
    home: PathBuf,
    socket: String,
    server: Option<Running>,
}

impl User {
    pub(super) fn start(id: u32, program: &Path, top: &Path) -> User {
        let home = top.join(id.to_string());
        fs::create_dir(&home).unwrap();
        std::os::unix::fs::chown(&home, Some(id), Some(id)).unwrap();
        let socket = format!("unix:{}", home.join("s").display());
        let program = program.to_owned();
        let mut user = User { id: id.to_string(), program, home, socket, server: None };
        let socket = user.socket.clone();
        let mut server = Running::start(user.command(&["serve", "host", &socket, "--json"]));
        server.next_line().expect("it listens");
        user.server = Some(server);
        user
    }

    fn command(&self, words: &[&str]) -> Command {
        let mut command = crate::harness::clean("setpriv");
        command.args(["--reuid", &self.id, "--regid", &self.id, "--clear-groups", "--"]);
        command.arg(&self.program).args(words).env("HOME", &self.home).current_dir(&self.home);
        command
    }

    pub(super) fn copies(&self, content: &[u8], to: &Path, limit: &str) -> Running {
        put(self.home.join("from"), content);
        let to = format!(":{}", to.display());
        Running::start(self.command(&["cp", "from", &to, "--via", &self.socket, "--limit", limit]))
    }
}

/// Two users and a directory of both.
pub(super) struct Pair {
    // Their servers end before what they stand in is removed.
    pub(super) users: [User; 2],
    pub(super) shared: PathBuf,
    /// The number of the first user; the second has the next.
    pub(super) first: u32,
    _top: tempfile::TempDir,
}

impl Pair {
    /// User numbers from `base` on that no other run of these tests has.
    pub(super) fn start(base: u32) -> Pair {
        let top = tempfile::tempdir().unwrap();
        fs::set_permissions(top.path(), Permissions::from_mode(0o755)).unwrap();
        let program = top.path().join("sockeye");
        copy_program(BINARY, &program);
        let shared = top.path().join("shared");
        fs::create_dir(&shared).unwrap();
        fs::set_permissions(&shared, Permissions::from_mode(0o777)).unwrap();
        let first = base + 2 * std::process::id();
        let users = [0, 1].map(|n| User::start(first + n, &program, top.path()));
        Pair { users, shared, first, _top: top }
    }
}

/// F2, F3, fault 69: two users copy into a directory of both: nobody's file is taken away or given another
/// one's name while it is written, neither by a copy to the same name nor by one beside it; and a mode
/// that lets nobody read makes no difference.
#[test]
fn rivals_of_another_user() {
    if !needs_root() || !needs(&["setpriv"]) {
        return;
    }
    let Pair { shared, users: [slow, quick], .. } = &Pair::start(200_000);
    let (theirs, ours) = (noise(1, 600_000), noise(2, 900_000));
    for mode in [0o644, 0o000] {
        let target = shared.join("big");
        let mut copying = slow.copies(&theirs, &target, "300K");
        eventually("it is being written", || !litter(shared).is_empty());
        for (name, content) in [("beside", &theirs), ("big", &ours)] {
            let mut other = quick.copies(content, &shared.join(name), "8M");
            assert_eq!(other.wait(), Some(0), "{}", other.stderr());
            assert_eq!(fs::read(shared.join(name)).unwrap(), *content, "{name}");
        }
        fs::set_permissions(&target, Permissions::from_mode(mode)).unwrap();
        assert_eq!(copying.wait(), Some(0), "{}", copying.stderr());
        assert_eq!(fs::read(&target).unwrap(), theirs);
        assert!(litter(shared).is_empty(), "{:?}", litter(shared));
        fs::remove_file(&target).unwrap();
    }
}

/// F5, fault 69: a file that its owner may not read keeps that mode, and its rivals their content.
#[test]
fn unreadable_rivals() {
    let site = Site::new();
    let contents: Vec<Vec<u8>> = (0..4).map(|seed| noise(seed + 70, 3 * MIB)).collect();
    let mut clients = Vec::new();
    for (number, content) in contents.iter().enumerate() {
        let name = format!("f{number}");
        put(site.here(&name), content);
        let mode = if rustix::process::geteuid().is_root() { 0o000 } else { 0o600 };
        fs::set_permissions(site.here(&name), Permissions::from_mode(mode)).unwrap();
        clients.push(Running::start(site.command(&["cp", &name, ":target"])));
    }
    for mut client in clients {
        let code = client.wait();
        assert_eq!(code, Some(0), "{}", client.stderr());
    }
    let mode = fs::metadata(site.there("target")).unwrap().permissions().mode();
    assert_eq!(mode & 0o700, if rustix::process::geteuid().is_root() { 0 } else { 0o600 });
    assert!(contents.contains(&fs::read(site.there("target")).unwrap()), "a mixture");
    assert!(litter(&site.there("")).is_empty());
}

/// Fault 69: a file system without locks takes files all the same.
#[test]
fn no_locks() {
    if !needs(&["strace"]) {
        return;
    }
    let home = Home::new();
    let host = Host::of(home, |launch| {
        let strace = ["strace", "-D", "-f", "-o", "/dev/null", "-e"];
        launch.via(&[&strace[..], &["inject=flock:error=ENOSYS"]].concat())
    });
    let site = Site::of(host);
    for content in ["new", "newer"] {
        put(site.here("f"), content);
        let output = site.run(&["cp", "f", ":f"]);
        assert_eq!(output.code, Some(0), "{output:?}");
        assert_eq!(text_of(site.there("f")), content);
        assert!(litter(&site.there("")).is_empty(), "{:?}", litter(&site.there("")));
    }
    // Nobody could tell whether what is left is still written: nothing is.
    put(site.here("f"), noise(4, 8 * MIB));
    let mut client = Running::start(site.command(&["cp", "f", ":f", "--limit", "8M"]));
    eventually("more than a segment has come", || {
        let part = litter(&site.there(""));
        part.iter().any(|path| path.metadata().is_ok_and(|meta| meta.len() > 2 * MIB as u64))
    });
    client.child.kill().unwrap();
    client.wait();
    eventually("nothing is left", || litter(&site.there("")).is_empty());
    assert_eq!(text_of(site.there("f")), "newer");
    site.well(&["cp", "f", ":f"]);
}

/// Fault 69: two pushes of the same tree at once, one of them with `--delete`.
#[test]
fn rival_trees() {
    let site = Site::new();
    for number in 0..200 {
        put(site.here(format!("src/d{}/f{number}", number % 5)), format!("{number}"));
    }
    let start = |words: &[&str]| Running::start(site.command(words));
    for _ in 0..3 {
        let mut both =
            [start(&["sync", "src", ":dst"]), start(&["sync", "src", ":dst", "--delete"])];
        for client in &mut both {
            assert_eq!(client.wait(), Some(0), "{}", client.stderr());
        }
        crate::harness::files::assert_same_trees(
            &crate::harness::files::tree(&site.there("dst")),
            &crate::harness::files::tree(&site.here("src")),
        );
        fs::remove_dir_all(site.there("dst")).unwrap();
    }
}

/// Fault 58: a directory that nobody may write to is named, and its neighbour arrives.
#[test]
fn not_allowed() {
    let Some(launcher) = unprivileged() else { return };
    // The server is the one that writes.
    let site = Site::of(Host::of(Home::new(), |launch| launch.via(launcher)));
    put(site.here("src/locked/f"), "new");
    put(site.here("src/open/f"), "new");
    fs::create_dir_all(site.there("dst/locked")).unwrap();
    let lock = |mode| fs::set_permissions(site.there("dst/locked"), Permissions::from_mode(mode));
    lock(0o555).unwrap();
    let output = site.run(&["sync", "src", ":dst"]);
    lock(0o755).unwrap();
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("locked/f"), "{output:?}");
    assert!(!site.there("dst/locked/f").exists());
    assert_eq!(text_of(site.there("dst/open/f")), "new");
}

/// F3: a client that is gone leaves no process and no lock behind: the next one goes on at once.
#[test]
fn a_vanished_client_holds_nothing() {
    let site = Site::new();
    put(site.here("f"), noise(3, 30 * MIB));
    let part = |directory: &Path| litter(directory).len();
    let mut client = Running::start(site.command(&["cp", "f", ":g", "--limit", "8M"]));
    eventually("a part has come", || part(&site.there("")) > 0);
    client.child.kill().unwrap();
    client.wait();
    site.well(&["cp", "f", ":g"]);
    assert!(litter(&site.there("")).is_empty(), "{:?}", litter(&site.there("")));
}
