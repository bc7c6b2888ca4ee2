//! Files moved from outside: a directory here, a home there, and what trees look like.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::bytes::Random;
use super::process::{Output, run_command};
use super::remote::Host;

/// A server of files, and a client in a directory of its own.
pub(crate) struct Site {
    pub(crate) host: Host,
    here: TempDir,
}

impl Site {
    /// A server with a home of its own.
    pub(crate) fn new() -> Site {
        Site::with(&[])
    }

    /// The same with more words on the server's command line.
    pub(crate) fn with(words: &[&str]) -> Site {
        Site::of(Host::with(words))
    }

    /// A client beside this server.
    pub(crate) fn of(host: Host) -> Site {
        Site { host, here: tempfile::tempdir().expect("a temporary directory") }
    }

    /// A path of the client's; "" is its directory.
    pub(crate) fn here(&self, name: impl AsRef<Path>) -> PathBuf {
        self.here.path().join(name)
    }

    /// A path of the server's; "" is its user's home.
    pub(crate) fn there(&self, name: impl AsRef<Path>) -> PathBuf {
        self.host.home.path().join(name)
    }

    /// `sockeye` in the client's directory; the server is that of its Unix socket, so its paths are
    /// `:PATH`.
    pub(crate) fn command<W: AsRef<OsStr>>(&self, words: &[W]) -> Command {
        let mut command = self.bare(words);
        command.args(["--via", &self.host.unix]);
        command
    }

    /// The same without a server: the words name one.
    pub(crate) fn bare<W: AsRef<OsStr>>(&self, words: &[W]) -> Command {
        let mut command = self.host.home.command(&[]);
        command.args(words).current_dir(self.here.path());
        command
    }

    /// Runs [`Site::command`] to its end.
    pub(crate) fn run<W: AsRef<OsStr>>(&self, words: &[W]) -> Output {
        run_command(self.command(words), b"")
    }

    /// The same where it has to succeed; the summary.
    #[track_caller]
    pub(crate) fn well<W: AsRef<OsStr> + std::fmt::Debug>(&self, words: &[W]) -> String {
        let output = self.run(words);
        assert_eq!(output.code, Some(0), "{words:?}: {output:?}");
        output.stderr
    }

    /// The same over TLS: `HOST:` in the words is the server.
    pub(crate) fn secured(&self, words: &[&str]) -> Output {
        let port = self.host.port().to_string();
        let words = words.iter().map(|word| word.replacen("HOST:", "127.0.0.1:", 1));
        let mut command = self.bare(&words.collect::<Vec<_>>());
        command.args(["--port", &port, "--trust", &self.host.fingerprint]);
        run_command(command, b"")
    }

    /// Runs it with `--json`, where it has to succeed.
    #[track_caller]
    pub(crate) fn told<W: AsRef<OsStr> + std::fmt::Debug>(&self, words: &[W]) -> Told {
        let told = self.tells(words);
        assert_eq!(told.output.code, Some(0), "{words:?}: {:?}", told.output);
        told
    }

    /// Runs it with `--json`.
    pub(crate) fn tells<W: AsRef<OsStr> + std::fmt::Debug>(&self, words: &[W]) -> Told {
        let mut command = self.command(words);
        command.arg("--json");
        let output = run_command(command, b"");
        let text = output.stdout_text();
        let events = text.lines().map(|line| {
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"))
        });
        Told { events: events.collect(), output }
    }
}

/// What a transfer told with `--json`.
#[derive(Debug)]
pub(crate) struct Told {
    pub(crate) output: Output,
    pub(crate) events: Vec<Value>,
}

impl Told {
    /// A number of the last event, `done`.
    #[track_caller]
    pub(crate) fn count(&self, name: &str) -> u64 {
        let done = self.events.last().unwrap_or_else(|| panic!("no events: {:?}", self.output));
        assert_eq!(done["event"], "done", "{:?}", self.output);
        done[name].as_u64().unwrap_or_else(|| panic!("no {name}: {done}"))
    }

    /// The paths of all events of this kind, sorted.
    pub(crate) fn paths(&self, event: &str) -> Vec<String> {
        let of = self.events.iter().filter(|told| told["event"] == event);
        let mut paths: Vec<String> =
            of.map(|told| told["path"].as_str().expect("a path").to_owned()).collect();
        paths.sort();
        paths
    }
}

/// Bytes that no compression makes fewer of.
pub(crate) fn noise(seed: u64, length: usize) -> Vec<u8> {
    Random::new(seed).bytes(length)
}

/// Writes a file, with the directories that hold it.
pub(crate) fn put(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) {
    let path = path.as_ref();
    fs::create_dir_all(path.parent().expect("a file in a directory")).expect("its directory");
    fs::write(path, contents).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
}

/// What a file contains, as text.
#[track_caller]
pub(crate) fn text_of(path: impl AsRef<Path>) -> String {
    let path = path.as_ref();
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// One file of a tree, as far as a transfer has to keep it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Item {
    /// `f`, `d`, `l` or `p`.
    kind: char,
    mode: u32,
    mtime: (i64, i64),
    length: u64,
    content: u64,
    /// Only with `--archive`.
    more: Option<More>,
}

/// What `--archive` keeps beside.
#[derive(Debug, Clone, PartialEq, Eq)]
struct More {
    owner: (u32, u32),
    /// The first name of this file.
    same_as: PathBuf,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
}

/// Everything beneath a directory, the directory itself under the empty name.
pub(crate) type Tree = BTreeMap<PathBuf, Item>;

/// A tree as it is copied without `--archive`.
pub(crate) fn tree(root: &Path) -> Tree {
    walk(root, false)
}

/// A tree as it is copied with `--archive`.
pub(crate) fn whole_tree(root: &Path) -> Tree {
    walk(root, true)
}

fn walk(root: &Path, archive: bool) -> Tree {
    let mut found = Tree::new();
    let mut first = BTreeMap::new();
    let mut open = vec![PathBuf::new()];
    while let Some(name) = open.pop() {
        let path = if name.as_os_str().is_empty() { root.to_owned() } else { root.join(&name) };
        let meta = fs::symlink_metadata(&path)
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        if meta.is_dir() {
            let mut names: Vec<_> = fs::read_dir(&path)
                .unwrap()
                .map(|entry| name.join(entry.unwrap().file_name()))
                .collect();
            names.sort();
            open.extend(names);
        }
        found.insert(name, item(&path, &meta));
    }
    if archive {
        for (name, item) in &mut found {
            let path = root.join(name);
            let meta = fs::symlink_metadata(&path).unwrap();
            let same_as = first.entry(meta.ino()).or_insert_with(|| name.clone()).clone();
            let owner = (meta.uid(), meta.gid());
            item.more = Some(More { owner, same_as, xattrs: xattrs(&path) });
        }
    }
    found
}

fn item(path: &Path, meta: &fs::Metadata) -> Item {
    let kind = meta.file_type();
    let mut hasher = DefaultHasher::new();
    let (letter, length) = if kind.is_file() {
        hash(path, &mut hasher);
        ('f', meta.len())
    } else if kind.is_symlink() {
        hasher.write(fs::read_link(path).unwrap().as_os_str().as_bytes());
        ('l', meta.len())
    } else if kind.is_dir() {
        ('d', 0)
    } else {
        assert!(kind.is_fifo(), "{}", path.display());
        ('p', 0)
    };
    Item {
        kind: letter,
        mode: meta.mode() & 0o7777,
        mtime: (meta.mtime(), meta.mtime_nsec()),
        length,
        content: hasher.finish(),
        more: None,
    }
}

fn hash(path: &Path, hasher: &mut DefaultHasher) {
    use std::io::Read;
    let mut file =
        fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut buffer = vec![0; 256 * 1024];
    loop {
        let n = file.read(&mut buffer).unwrap();
        if n == 0 {
            return;
        }
        // Bytes alone, however many come at a time, would be hashed the same.
        hasher.write(&buffer[..n]);
    }
}

fn xattrs(path: &Path) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut names = vec![0_u8; 64 * 1024];
    let length = rustix::fs::llistxattr(path, &mut names[..]).unwrap_or(0);
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    let value = |name: &[u8]| {
        let mut value = vec![0_u8; 64 * 1024];
        let length = rustix::fs::lgetxattr(path, name, &mut value[..]).unwrap();
        value.truncate(length);
        value
    };
    let mut all: Vec<_> = names.map(|name| (name.to_vec(), value(name))).collect();
    all.sort();
    all
}

/// Two trees are the same, but for the names in `except`.
#[track_caller]
pub(crate) fn assert_same_trees(got: &Tree, expected: &Tree) {
    for (name, item) in expected {
        assert_eq!(got.get(name), Some(item), "{}", name.display());
    }
    let more: Vec<_> = got.keys().filter(|name| !expected.contains_key(*name)).collect();
    assert!(more.is_empty(), "not in the source: {more:?}");
}

/// Our temporary files beneath a directory.
pub(crate) fn litter(root: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten() {
            if entry.file_name().as_bytes().starts_with(b".sockeye-") {
                found.push(entry.path());
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            }
        }
    }
    found
}

/// A name that temporary files have (P-X16).
pub(crate) fn temporary_name() -> String {
    let said = format!(".sockeye-{:08x}{:024x}", 1000, 7);
    format!("{said}{}", &blake3::hash(said.as_bytes()).to_hex()[..8])
}

/// The names in a directory, sorted.
pub(crate) fn names_in(directory: &Path) -> Vec<String> {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let names = entries.map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> =
        names.map(|name| name.as_bytes().escape_ascii().to_string()).collect();
    names.sort();
    names
}
