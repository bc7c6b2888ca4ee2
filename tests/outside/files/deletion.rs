//! F1: what `--delete` removes, what it must not, and what it says of that; as root and as another
//! user.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use crate::harness::copy_program;
use crate::harness::files::{Site, Told, names_in, put, temporary_name, text_of};
use crate::harness::process::{Output, needs, needs_root, run_command};
use crate::harness::remote::Home;

const NOBODY: u32 = 65_534;

/// A client that is another user than the server, in a home of its own.
struct Stranger {
    site: Site,
    home: Home,
}

impl Stranger {
    /// `None` where that cannot be had here.
    fn new() -> Option<Stranger> {
        if !needs_root() || !needs(&["setpriv"]) {
            return None;
        }
        let (site, home) = (Site::new(), Home::new());
        site.host.home.authorize(&home.public());
        // The program may lie where that user may not go.
        copy_program(crate::harness::BINARY, &home.path().join("sockeye"));
        let stranger = Stranger { site, home };
        stranger.own(stranger.home.path());
        Some(stranger)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    /// Gives it all of a tree.
    fn own(&self, root: &Path) {
        chown(root, Some(NOBODY), Some(NOBODY)).unwrap();
        for entry in fs::read_dir(root).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() && !path.is_symlink() {
                self.own(&path);
            } else {
                std::os::unix::fs::lchown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
            }
        }
    }

    /// `HOST:` in the words is the server.
    fn run(&self, words: &[&str]) -> Output {
        let host = &self.site.host;
        let mut command = self.home.other("setpriv");
        command.args(["--reuid", "65534", "--regid", "65534", "--clear-groups"]);
        command.arg(self.path("sockeye"));
        command.args(words.iter().map(|word| word.replacen("HOST:", "127.0.0.1:", 1)));
        command.args(["--port", &host.port().to_string(), "--trust", &host.fingerprint]);
        command.current_dir(self.home.path());
        run_command(command, b"")
    }
}

fn mode(path: impl AsRef<Path>, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
}

/// The names of what a dry run would remove, and then what is removed; both have to be the same, in
/// number too.
#[track_caller]
fn removed(site: &Site, words: &[&str]) -> Vec<String> {
    let dry: Told = site.told(&[words, &["-n"]].concat());
    let told = site.told(words);
    assert_eq!(dry.paths("would-remove"), told.paths("removed"), "{dry:?} {told:?}");
    assert_eq!(dry.count("would_remove"), told.count("removed"), "{dry:?} {told:?}");
    told.paths("removed")
}

/// F1: with `--gitignore` nothing that the source's files name is removed, whatever came of these
/// files at the destination: they leave themselves out, a pattern does, the destination has another one
/// or none yet. Both ways, and the dry run says the same.
#[test]
fn ignored_is_not_deleted() {
    let site = Site::new();
    let cases: [(&str, &str, &[&str]); 4] = [
        ("itself", ".gitignore\nbuild/\n*.key\n", &[]),
        ("excluded", "build/\n*.key\n", &["--exclude", ".gitignore"]),
        ("new", "build/\n*.key\n", &[]),
        ("other", "build/\n*.key\n", &[]),
    ];
    for (case, rules, more) in cases {
        for (from, to) in [
            (format!("{case}/src"), format!(":{case}/dst")),
            (format!(":{case}/src"), format!("{case}/dst")),
        ] {
            let (source, target) = match from.strip_prefix(':') {
                Some(from) => (site.there(from), site.here(&to)),
                None => (site.here(&from), site.there(&to[1..])),
            };
            put(source.join("f"), "f");
            put(source.join("d/g"), "g");
            put(source.join(".gitignore"), rules);
            put(source.join("d/.gitignore"), "/cache\n");
            for kept in ["build/precious", "d/build/precious", "d/a.key", "d/cache"] {
                put(target.join(kept), "precious");
            }
            for gone in ["cache", "old/x", "d/e/cache"] {
                put(target.join(gone), "old");
            }
            if case == "other" {
                put(target.join(".gitignore"), "old\ncache\n");
            }
            let words = [&["sync", &from, &to, "--gitignore", "--delete"][..], more].concat();
            assert_eq!(removed(&site, &words), ["src/cache", "src/d/e", "src/old"], "{case}");
            for kept in ["build/precious", "d/build/precious", "d/a.key", "d/cache"] {
                assert_eq!(text_of(target.join(kept)), "precious", "{case}");
            }
            // And in the place of something else it stays with what the files name.
            put(target.join("f.d/build/precious"), "precious");
            put(source.join("f.d"), "now a file");
            let output = site.run(&words);
            assert_eq!(output.code, Some(1), "{output:?}");
            assert_eq!(text_of(target.join("f.d/build/precious")), "precious", "{case}");
        }
    }
}

/// F1, fault 59: what the source leaves out stays where its `.gitignore` is there and cannot be stored.
#[test]
fn ignored_without_its_file() {
    let site = Site::new();
    put(site.here("src/.gitignore"), "build/\n");
    put(site.there("dst/build/precious"), "precious");
    put(site.there("dst/.gitignore/x"), "in the way, and not to be removed");
    let output = site.run(&["sync", "src", ":dst", "--gitignore", "--delete", "--exclude", "x"]);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert_eq!(text_of(site.there("dst/build/precious")), "precious");
}

/// F1, F2: a `.gitignore` that cannot be read is no empty one: nothing of its directory is sent, and
/// nothing in it is removed. The rest goes on.
#[test]
fn unreadable_gitignore() {
    let Some(stranger) = Stranger::new() else { return };
    let path = |name: &str| stranger.path(name);
    for name in ["src/d/secret", "src/e/f"] {
        put(path(name), name);
    }
    put(path("src/d/.gitignore"), "secret\nbuild\n");
    stranger.own(&path("src"));
    mode(path("src/d/.gitignore"), 0);
    let dst = |name: &str| stranger.site.there("dst").join(name);
    put(dst("d/build/precious"), "precious");
    put(dst("old"), "old");
    let sync = ["sync", "src", "HOST:dst", "--gitignore", "--delete"];
    for streams in ["1", "3"] {
        let output = stranger.run(&[&sync[..], &["--streams", streams]].concat());
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains("d/.gitignore: cannot be read"), "{output:?}");
        assert_eq!(names_in(&dst("d")), ["build"]);
        assert_eq!(text_of(dst("d/build/precious")), "precious");
        assert_eq!(text_of(dst("e/f")), "src/e/f");
        assert!(!dst("old").exists());
    }
    // The source itself, and the other ways in which it is not read.
    mode(path("src/d/.gitignore"), 0o644);
    fs::remove_dir_all(dst("")).unwrap();
    let output = |what: &str| {
        let output = stranger.run(&["sync", "src/d", "HOST:dst", "--gitignore", "--delete"]);
        assert_eq!(output.code, Some(1), "{output:?}");
        assert!(output.stderr.contains(what), "{what}: {output:?}");
        assert!(names_in(&dst("")).is_empty());
    };
    let long = [&b"secret\n".repeat(200_000)[..], b"secret\n"].concat();
    put(path("src/d/.gitignore"), &long);
    output("too long");
    fs::remove_file(path("src/d/.gitignore")).unwrap();
    symlink("../e/f", path("src/d/.gitignore")).unwrap();
    output("symbolic link");
}

/// F1, fault 60: a whole destination that is a directory never gives way to a source that is none, and
/// the message says how a link to a directory is meant.
#[test]
fn the_destination_stays() {
    let site = Site::new();
    for root in [site.here(""), site.there("")] {
        put(root.join("release/new"), "new");
        put(root.join("file"), "file");
        symlink("release", root.join("current")).unwrap();
        put(root.join("www/precious"), "precious");
    }
    for (source, to) in
        [("current", ":www"), ("file", ":www"), (":current", "www"), (":file", "www")]
    {
        for more in [&[][..], &["-n"], &["--streams", "2"]] {
            let output = site.run(&[&["sync", source, to, "--delete"][..], more].concat());
            assert_eq!(output.code, Some(1), "{source} {output:?}");
            assert!(output.stderr.contains("a slash behind the source"), "{source} {output:?}");
        }
        let output = site.run(&["sync", source, &format!("{to}/"), "--delete"]);
        assert_eq!(output.code, Some(1), "{source} {output:?}");
        assert!(output.stderr.contains("a slash behind the source"), "{source} {output:?}");
    }
    assert_eq!(text_of(site.here("www/precious")), "precious");
    assert_eq!(text_of(site.there("www/precious")), "precious");
    // With the slash it is what the link leads to; and a link beneath a source is one as ever.
    site.well(&["sync", "current/", ":www", "--delete"]);
    assert_eq!(names_in(&site.there("www")), ["new"]);
    symlink("release", site.here("release/down")).unwrap();
    put(site.there("www/down/x"), "x");
    site.well(&["sync", "release", ":www", "--delete"]);
    assert!(site.there("www/down").is_symlink());
}

/// F1, fault 60: what gives way to something else is told and counted as whatever else is removed, and
/// a dry run says the same.
#[test]
fn what_gives_way_is_told() {
    let site = Site::new();
    for name in ["file", "hard"] {
        put(site.here("src").join(name), name);
    }
    fs::hard_link(site.here("src/hard"), site.here("src/hard2")).unwrap();
    symlink("file", site.here("src/link")).unwrap();
    put(site.here("src/dir/x"), "x");
    let fill = || {
        fs::remove_dir_all(site.there("dst")).unwrap_or_default();
        for name in ["file", "link", "hard", "hard2"] {
            put(site.there("dst").join(name).join("d/f"), "old");
        }
        put(site.there("dst/dir"), "old");
        put(site.there("dst/gone/f"), "old");
    };
    let all = ["dir", "file", "gone", "hard", "hard2", "link"].map(|name| format!("src/{name}"));
    for more in [&[][..], &["--archive"]] {
        fill();
        let words = [&["sync", "src", ":dst", "--delete"][..], more].concat();
        assert_eq!(removed(&site, &words), all);
        fill();
        let told = site.told(&words);
        assert_eq!(told.count("removed"), 4 * 3 + 1 + 2, "{told:?}");
        fill();
        let told = site.told(&[&words[..], &["--streams", "3"]].concat());
        assert_eq!(told.count("removed"), 4 * 3 + 1 + 2, "{told:?}");
    }
    fill();
    let output = site.run(&["sync", "src", ":dst", "--delete", "-v"]);
    assert!(output.stdout_text().contains("removed src/file\n"), "{output:?}");
}

/// F1, fault 64: who is not root removes trees with directories that nobody may write to, as a copy of
/// such makes them; what cannot be removed is named, and what stays keeps its mode.
#[test]
fn locked_directories() {
    let Some(stranger) = Stranger::new() else { return };
    let (there, path) = (&stranger.site, |name: &str| stranger.path(name));
    put(there.there("src/old/in/deep"), "old");
    put(there.there("src/stays/keep/x"), "old");
    put(there.there("src/stays/old"), "old");
    for (name, bits) in [("old/in", 0o555), ("old", 0o555), ("stays/keep", 0o555), ("stays", 0o555)]
    {
        mode(there.there("src").join(name), bits);
    }
    let output = stranger.run(&["sync", "HOST:src", "dst"]);
    assert_eq!(output.code, Some(0), "{output:?}");
    mode(path("dst/old/in"), 0o111);
    for name in ["old", "stays"] {
        fs::remove_dir_all(there.there("src").join(name)).unwrap();
    }
    let words = ["sync", "HOST:src", "dst", "--delete", "--exclude", "keep"];
    let dry = stranger.run(&[&words[..], &["-n"]].concat());
    assert_eq!(dry.code, Some(0), "{dry:?}");
    let output = stranger.run(&words);
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_eq!(names_in(&path("dst")), ["stays"]);
    assert_eq!(names_in(&path("dst/stays")), ["keep"]);
    assert_eq!(fs::metadata(path("dst/stays")).unwrap().permissions().mode() & 0o7777, 0o555);
    // What somebody else locked stays, and it is that which is named.
    put(path("dst/a/theirs/x"), "root's");
    chown(path("dst/a"), Some(NOBODY), Some(NOBODY)).unwrap();
    mode(path("dst/a/theirs"), 0o755);
    let output = stranger.run(&words);
    assert_eq!(output.code, Some(1), "{output:?}");
    assert!(output.stderr.contains("src/a/theirs/x: it cannot be removed"), "{output:?}");
    assert_eq!(text_of(path("dst/a/theirs/x")), "root's");
}

/// F2, F5: a file that has a name of our temporary files is never left out in silence, and is no
/// breach of the protocol: it is named, and the exit status is 1; the rest goes on.
#[test]
fn names_of_temporary_files() {
    let site = Site::new();
    let ours = &temporary_name();
    for root in [site.here(""), site.there("")] {
        put(root.join("src").join(ours), "mine");
        put(root.join("src/f"), "f");
        put(root.join("src/d").join(ours).join("g"), "g");
    }
    let source = format!("src/{ours}");
    for (from, to, target) in [("", ":", site.there("dst")), (":", "", site.here("dst"))] {
        fs::create_dir(&target).unwrap();
        let (all, dst) = (format!("{from}src"), format!("{to}dst"));
        let output = site.run(&["sync", &all, &dst]);
        assert_eq!(output.code, Some(1), "{output:?}");
        for name in [&source, &format!("src/d/{ours}")] {
            assert!(output.stderr.contains(&format!("{name}: has a name")), "{output:?}");
        }
        assert_eq!(names_in(&target), ["d", "f"]);
        // Who leaves it out is not told of it.
        site.well(&["sync", &all, &dst, "--exclude", ".sockeye-*"]);
        // By its name, and what would get it.
        for words in [
            ["cp", &format!("{from}{source}"), &dst],
            ["cp", &format!("{from}src/d/{ours}"), &dst],
            ["sync", &format!("{from}src/f"), &format!("{dst}/{ours}")],
        ] {
            let output = site.run(&words);
            assert_eq!(output.code, Some(1), "{output:?}");
            assert!(output.stderr.contains(&format!("{ours}: only temporary")), "{output:?}");
            assert!(!output.stderr.contains("Run it again"), "{output:?}");
            assert!(!output.stderr.contains("trust"), "{output:?}");
            assert_eq!(names_in(&target), ["d", "f"]);
        }
        // Under another name it is a file like any other.
        site.well(&["sync", &format!("{from}{source}"), &format!("{dst}/other")]);
        assert_eq!(text_of(target.join("other")), "mine");
    }
}
