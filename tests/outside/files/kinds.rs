//! F5: what is kept of files: modes, times, links, holes, names, and more with `--archive`.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, FileType, Mode, Timespec, Timestamps, XattrFlags, utimensat};

use crate::harness::files::{
    Site, assert_same_trees, litter, noise, put, text_of, tree, whole_tree,
};
use crate::harness::process::{needs, needs_root, tool};
use crate::harness::remote::text;

fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// Sets the time of change, of a link too.
fn touch(path: &Path, seconds: i64, nanoseconds: i64) {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds };
    let times = Timestamps { last_access: time, last_modification: time };
    utimensat(CWD, path, &times, AtFlags::SYMLINK_NOFOLLOW).unwrap();
}

fn sparse(path: &Path, length: u64) {
    use std::os::unix::fs::FileExt;
    let file = fs::File::create(path).unwrap();
    file.set_len(length).unwrap();
    file.write_all_at(&noise(5, 10_000), length / 2 + 123).unwrap();
    file.write_all_at(b"end", length - 3).unwrap();
}

/// Everything that is kept without `--archive`.
fn plain_things(root: &Path) {
    put(root.join("plain"), "plain");
    for mode in [0o600, 0o640, 0o755, 0o777, 0o444, 0o000, 0o001] {
        let path = root.join(format!("mode-{mode:o}"));
        put(&path, format!("{mode}"));
        chmod(&path, mode);
    }
    put(root.join("empty"), "");
    put(root.join("large"), noise(9, 3_500_000));
    fs::create_dir(root.join("nothing")).unwrap();
    put(root.join("d/inside"), "x");
    put(root.join("ro/inside"), "x");
    for (name, target) in [
        ("to-file", "plain"),
        ("to-dir", "d"),
        ("nowhere", "/no/such"),
        ("up", "../../.."),
        ("self", "self"),
    ] {
        symlink(target, root.join(name)).unwrap();
    }
    sparse(&root.join("sparse"), 32 * 1024 * 1024);
    fs::File::create(root.join("all-hole")).unwrap().set_len(5_000_000).unwrap();
    for (number, name) in
        ["plain", "empty", "large", "d/inside", "to-file", "nothing"].iter().enumerate()
    {
        touch(&root.join(name), 1_000_000_000 + number as i64, 123_456_789);
    }
    // Before 1970, and far away.
    put(root.join("old"), "old");
    touch(&root.join("old"), -86_400, 5);
    put(root.join("future"), "future");
    touch(&root.join("future"), 4_000_000_000, 0);
    chmod(&root.join("ro"), 0o555);
    chmod(&root.join("d"), 0o711);
    touch(&root.join("d"), 1_100_000_000, 1);
    touch(root, 1_200_000_000, 999_999_999);
}

/// F5: modes, times, links, empty directories and holes are kept without `--archive`, whatever the
/// umask is.
#[test]
fn without_archive() {
    let site = Site::new();
    fs::create_dir(site.here("src")).unwrap();
    plain_things(&site.here("src"));
    let expected = tree(&site.here("src"));
    site.well(&["cp", "src", ":dst"]);
    assert_same_trees(&tree(&site.there("dst")), &expected);
    let line =
        format!("umask 077; exec {} cp :dst back --via {}", crate::harness::BINARY, site.host.unix);
    let mut command = site.host.home.other("sh");
    command.args(["-c", &line]).current_dir(site.here(""));
    let output = crate::harness::process::run_command(command, b"");
    assert_eq!(output.code, Some(0), "{output:?}");
    assert_same_trees(&tree(&site.here("back")), &expected);
    for name in ["sparse", "all-hole"] {
        let blocks = |path: &Path| fs::metadata(path).unwrap().blocks() * 512;
        assert!(blocks(&site.there("dst").join(name)) < 2_000_000, "{name} lost its holes");
        assert!(blocks(&site.here("back").join(name)) < 2_000_000, "{name} lost its holes");
    }
    // A second time nothing is done.
    let told = site.told(&["sync", "src", ":dst"]);
    assert_eq!((told.count("stored"), told.count("bytes_sent")), (0, 0), "{told:?}");
    assert_same_trees(&tree(&site.there("dst")), &expected);
    assert!(litter(&site.there("")).is_empty());
}

/// F5: a new mode or time alone is carried over, without the content.
#[test]
fn mode_and_time_alone() {
    let site = Site::new();
    put(site.here("src/f"), "x");
    site.well(&["sync", "src", ":dst"]);
    chmod(&site.here("src/f"), 0o751);
    chmod(&site.here("src"), 0o700);
    let told = site.told(&["sync", "src", ":dst"]);
    assert_eq!(told.count("bytes_sent"), 0, "{told:?}");
    assert_same_trees(&tree(&site.there("dst")), &tree(&site.here("src")));
}

/// F5, fault 64: set-user-ID, set-group-ID and sticky bits come with `--archive` alone.
#[test]
fn set_id_bits() {
    let site = Site::new();
    let src = site.here("src");
    for (name, mode) in [("suid", 0o4755), ("sgid", 0o2755), ("both", 0o6711)] {
        put(src.join(name), name);
        chmod(&src.join(name), mode);
    }
    fs::create_dir(src.join("tmp")).unwrap();
    chmod(&src.join("tmp"), 0o1777);
    let mode = |path: std::path::PathBuf| fs::metadata(path).unwrap().mode() & 0o7777;
    site.well(&["cp", "src", ":plain"]);
    let plain = ["suid", "sgid", "both", "tmp"].map(|name| mode(site.there("plain").join(name)));
    assert_eq!(plain, [0o755, 0o755, 0o711, 0o777]);
    site.well(&["cp", "-a", "src", ":whole"]);
    let whole = ["suid", "sgid", "both", "tmp"].map(|name| mode(site.there("whole").join(name)));
    assert_eq!(whole, [0o4755, 0o2755, 0o6711, 0o1777]);
    // What had them loses them where they were not asked for: a second copy says nothing of them.
    site.well(&["cp", ":whole", "back"]);
    assert_eq!(mode(site.here("back/suid")), 0o755);
}

/// Fault 64: a directory that was there as the destination keeps its own mode and time.
#[test]
fn destination_is_untouched() {
    let site = Site::new();
    put(site.here("f"), "f");
    put(site.here("src/g"), "g");
    fs::create_dir(site.there("dst")).unwrap();
    chmod(&site.there("dst"), 0o1770);
    site.well(&["cp", "f", ":dst"]);
    site.well(&["cp", "f", "src", ":dst/"]);
    assert_eq!(fs::metadata(site.there("dst")).unwrap().mode() & 0o7777, 0o1770);
}

fn everything(root: &Path) {
    plain_things(root);
    put(root.join("one"), "linked");
    put(root.join("big-one"), noise(11, 1_500_000));
    fs::hard_link(root.join("one"), root.join("two")).unwrap();
    fs::hard_link(root.join("one"), root.join("d/three")).unwrap();
    fs::hard_link(root.join("big-one"), root.join("nothing/big-two")).unwrap();
    for (name, mode) in [("suid", 0o4755), ("sgid", 0o2755)] {
        put(root.join(name), name);
        chmod(&root.join(name), mode);
    }
    let fifo = root.join("fifo");
    rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o640), 0).unwrap();
    let long = vec![b'v'; 3000];
    for (name, attribute, value) in [
        ("plain", "user.note", &b"\x00\xff bytes"[..]),
        ("plain", "user.long", &long),
        ("nothing", "user.dir", b"d"),
    ] {
        rustix::fs::setxattr(root.join(name), attribute, value, XattrFlags::empty()).unwrap();
    }
    if rustix::process::geteuid().is_root() {
        for (name, uid, gid) in [("plain", 1000, 1001), ("nothing", 5, 6), ("to-file", 7, 8)] {
            std::os::unix::fs::lchown(root.join(name), Some(uid), Some(gid)).unwrap();
        }
        touch(&root.join("plain"), 1_000_000_000, 1);
    }
    for (number, name) in ["nothing", "d"].iter().enumerate() {
        touch(&root.join(name), 1_300_000_000 + number as i64, 7);
    }
    touch(root, 1_200_000_000, 0);
}

/// F5: a tree of everything there is, with `--archive`, there and back: equal by our own walk.
#[test]
fn with_archive() {
    let site = Site::new();
    fs::create_dir(site.here("src")).unwrap();
    everything(&site.here("src"));
    let expected = whole_tree(&site.here("src"));
    site.well(&["cp", "-a", "src", ":dst"]);
    assert_same_trees(&whole_tree(&site.there("dst")), &expected);
    site.well(&["cp", "-a", ":dst", "back"]);
    assert_same_trees(&whole_tree(&site.here("back")), &expected);
    // And nothing is done where all is there.
    let told = site.told(&["sync", "-a", "src", ":dst", "--delete"]);
    assert_eq!((told.count("stored"), told.count("removed")), (0, 0), "{told:?}");
    assert_same_trees(&whole_tree(&site.there("dst")), &expected);
}

/// F5: the same judged by a stranger.
#[test]
fn with_archive_as_rsync_sees_it() {
    if !needs(&["rsync"]) {
        return;
    }
    let site = Site::new();
    fs::create_dir(site.here("src")).unwrap();
    everything(&site.here("src"));
    site.well(&["cp", "-a", "src", ":dst"]);
    site.well(&["cp", "-a", ":dst", "back"]);
    let (from, to) =
        (format!("{}/", text(&site.here("src"))), format!("{}/", text(&site.here("back"))));
    let words = ["-aHXS", "--checksum", "--delete", "--dry-run", "--itemize-changes", &from, &to];
    assert_eq!(tool("rsync", &words), "", "rsync would change something");
}

/// F5: owners are for root to give; who may not is no failure.
#[test]
fn owners_without_archive() {
    if !needs_root() {
        return;
    }
    let site = Site::new();
    put(site.here("f"), "f");
    std::os::unix::fs::chown(site.here("f"), Some(1234), Some(4321)).unwrap();
    site.well(&["cp", "f", ":g"]);
    assert_eq!(fs::metadata(site.there("g")).unwrap().uid(), 0);
    site.well(&["cp", "-a", "f", ":h"]);
    let meta = fs::metadata(site.there("h")).unwrap();
    assert_eq!((meta.uid(), meta.gid()), (1234, 4321));
}

/// F5: a named pipe is left out without `--archive`, and said so or not, it is never opened.
#[test]
fn pipes_block_nobody() {
    let site = Site::new();
    put(site.here("src/f"), "f");
    let fifo = site.here("src/pipe");
    rustix::fs::mknodat(CWD, &fifo, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    let output = site.run(&["cp", "src", ":dst"]);
    assert!(matches!(output.code, Some(0 | 1)), "{output:?}");
    assert_eq!(text_of(site.there("dst/f")), "f");
    // A pipe at the destination that is in the way is replaced, not written to.
    let at = site.there("dst/f");
    fs::remove_file(&at).unwrap();
    rustix::fs::mknodat(CWD, &at, FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
    site.run(&["cp", "src", ":"]);
    site.run(&["cp", "src/f", ":dst/f"]);
    assert_eq!(text_of(site.there("dst/f")), "f");
}
