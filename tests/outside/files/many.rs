//! F6 and fault 67: many files, long files, and what they cost in memory.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::harness::DEADLINE;
use crate::harness::files::{Site, assert_same_trees, noise, put, text_of, tree};
use crate::harness::process::{run_command, state_of};
use crate::harness::remote::Running;

/// 64 MiB.
const MOST_KIB: u64 = 64 * 1024;

/// F6: two thousand small files, both ways.
#[test]
fn small_files() {
    let site = Site::new();
    for number in 0..2000_usize {
        let name = format!("src/{}/{}/f{number}", number % 7, number % 41);
        put(site.here(name), noise(number as u64, number * 37 % 20_000));
    }
    let expected = tree(&site.here("src"));
    let told = site.told(&["cp", "src", ":dst"]);
    assert_eq!(told.count("stored"), 2000);
    assert_same_trees(&tree(&site.there("dst")), &expected);
    let told = site.told(&["cp", ":dst", "back"]);
    assert_eq!(told.count("stored"), 2000);
    assert_same_trees(&tree(&site.here("back")), &expected);
}

/// L6, F1: sources in hundreds of different directories, files and directories among them, take no
/// descriptor each: a client that may have few sends them all, and so does a server.
#[test]
fn sources_far_apart() {
    let site = Site::new();
    let mut words = vec!["cp".to_owned()];
    for number in 0..600 {
        let (parent, kind) = (format!("far{number}"), if number % 3 == 0 { "/in" } else { "" });
        put(site.here(format!("{parent}/s{number}{kind}")), format!("{number}"));
        words.push(format!("{parent}/s{number}"));
    }
    words.push(":dst".to_owned());
    fs::create_dir(site.there("dst")).unwrap();
    let bounded = |words: &[String]| {
        let client = site.command(words);
        let mut shell = site.host.home.other("sh");
        shell.args(["-c", "ulimit -n 450; exec \"$@\"", "sh"]).arg(client.get_program());
        shell.args(client.get_args()).current_dir(site.here(""));
        let output = run_command(shell, b"");
        assert_eq!(output.code, Some(0), "{output:?}");
    };
    bounded(&words);
    let sent = tree(&site.there("dst"));
    // Itself, 400 files, 200 directories with a file each.
    assert_eq!(sent.len(), 801);
    assert_eq!(text_of(site.there("dst/s1")), "1");
    assert_eq!(text_of(site.there("dst/s599")), "599");
    assert_eq!(text_of(site.there("dst/s597/in")), "597");
    // A second time nothing is sent: what is looked up late is the same.
    let told = site.told(&words);
    assert_eq!((told.count("stored"), told.count("failed")), (0, 0));
}

/// The most memory that a process had, in KiB.
fn peak_kib(pid: u32) -> Option<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = text.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Runs a client to its end: the most memory that it had, and that any process of the server had.
fn peaks(site: &Site, command: Command) -> (u64, u64) {
    let mut client = Running::start(command);
    let pid = client.pid();
    let (mut most, mut servers) = (0, 0);
    // A hundred thousand files take a debug build a while.
    let end = Instant::now() + 5 * DEADLINE;
    while !matches!(state_of(pid), None | Some('Z')) {
        most = most.max(peak_kib(pid).unwrap_or(0));
        let all = site.host.tree().into_iter().chain([site.host.server.pid()]);
        servers = all.filter_map(peak_kib).max().unwrap_or(0).max(servers);
        assert!(Instant::now() < end, "the client does not end");
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(client.wait(), Some(0), "{}", client.stderr());
    (most, servers)
}

/// Fault 67, P11: 100,000 entries leave both ends small.
#[test]
fn many_entries() {
    let site = Site::new();
    for directory in 0..100 {
        let path = site.here(format!("src/{directory}"));
        fs::create_dir_all(&path).unwrap();
        for number in 0..999 {
            fs::write(path.join(format!("a-file-with-quite-a-long-name-{number}")), b"").unwrap();
        }
    }
    for words in [["sync", "src", ":dst"], ["sync", ":dst", "back"], ["sync", "src", ":dst"]] {
        let (client, server) = peaks(&site, site.command(&words));
        assert!(client < MOST_KIB && server < MOST_KIB, "{words:?}: {client} and {server} KiB");
    }
    for directory in [site.there("dst"), site.here("back")] {
        let all = fs::read_dir(&directory).unwrap().count();
        let some = fs::read_dir(directory.join("57")).unwrap().count();
        assert_eq!((all, some), (100, 999));
    }
}

/// Fault 67, P11: a file of 10 GiB that is nearly all holes keeps them, both ways.
#[test]
fn sparse_and_huge() {
    use std::os::unix::fs::FileExt;
    const LENGTH: u64 = 10 << 30;
    let site = Site::new();
    let file = fs::File::create(site.here("huge")).unwrap();
    file.set_len(LENGTH).unwrap();
    for at in [0, LENGTH / 3, LENGTH - 5] {
        file.write_all_at(b"data!", at).unwrap();
    }
    for words in [["cp", "huge", ":huge"], ["cp", ":huge", "back"]] {
        let (client, server) = peaks(&site, site.command(&words));
        assert!(client < MOST_KIB && server < MOST_KIB, "{words:?}: {client} and {server} KiB");
    }
    for path in [site.there("huge"), site.here("back")] {
        let meta = fs::metadata(&path).unwrap();
        assert_eq!(meta.len(), LENGTH);
        assert!(meta.blocks() * 512 < 4 << 20, "{} bytes on the disk", meta.blocks() * 512);
        let file = fs::File::open(path).unwrap();
        for at in [0, LENGTH / 3, LENGTH - 5] {
            let mut five = [0; 5];
            file.read_exact_at(&mut five, at).unwrap();
            assert_eq!(&five, b"data!", "at {at}");
        }
    }
}

/// P11: a stream of unknown length is not held.
#[test]
fn long_stream() {
    let site = Site::new();
    let via = &site.host.unix;
    let line = format!(
        "head -c 300000000 /dev/zero | tr '\\0' x | {} cp - :stream --via {via}",
        crate::harness::BINARY
    );
    let mut command = site.host.home.other("sh");
    command.args(["-c", &line]);
    let (_, server) = peaks(&site, command);
    assert_eq!(fs::metadata(site.there("stream")).unwrap().len(), 300_000_000);
    assert!(server < MOST_KIB, "{server} KiB");
}
