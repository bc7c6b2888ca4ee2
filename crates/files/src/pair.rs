//! Both engines over one connection in memory: trees arrive as they were sent, whatever happens.

mod figures;

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use sockeye_wire::files::{Name, Options, Tally};

use crate::testing::{Diary, connection, noise, transfer};
use crate::{Destination, Sent, Source, Stopped, receive, send};

/// What came of a transfer, as both ends see it.
struct Came {
    sent: Result<Sent, Stopped>,
    received: Result<Tally, Stopped>,
    ours: Diary,
    theirs: Diary,
}

impl Came {
    /// It came to its end, and nothing failed.
    fn tally(&self) -> Tally {
        let sent = self.sent.as_ref().unwrap();
        let tally = *self.received.as_ref().unwrap();
        assert_eq!((tally.failed, sent.troubles), (0, 0), "{:?}", self.theirs.troubles);
        assert_eq!(sent.tally, tally);
        tally
    }
}

fn handle(path: &Path) -> OwnedFd {
    File::open(path).unwrap().into()
}

/// Copies a directory into another, over a connection that breaks after so many bytes.
fn copy_up_to(left: u64, from: &Path, into: &Path, options: Options) -> Came {
    let transfer = transfer(options);
    let ((mut ear, mut mouth), (mut their_ear, mut their_mouth)) = connection(left);
    let (label, shown) = (Name::new(b"top").unwrap(), b"src".to_vec());
    let source = Source::Directory { handle: Arc::new(handle(from)), label, shown };
    std::thread::scope(|scope| {
        let asked = &transfer;
        let sender = scope.spawn(move || {
            let mut ours = Diary::default();
            (send(vec![source], asked, &mut ear, &mut mouth, &mut ours), ours)
        });
        let mut theirs = Diary::default();
        let destination = Destination::At { directory: handle(into), name: None };
        let (ear, mouth) = (&mut their_ear, &mut their_mouth);
        let received = receive(destination, &transfer, &[], ear, mouth, &mut theirs);
        drop((their_ear, their_mouth));
        let (sent, ours) = sender.join().unwrap();
        Came { sent, received, ours, theirs }
    })
}

fn copy(from: &Path, into: &Path, options: Options) -> Tally {
    copy_up_to(u64::MAX, from, into, options).tally()
}

/// What tells whether two trees are the same: kind, mode, time, content.
fn tree(root: &Path) -> BTreeMap<Vec<u8>, (u32, Option<i128>, Vec<u8>)> {
    let mut found = BTreeMap::new();
    let mut open = vec![root.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(&directory).unwrap() {
            let path = entry.unwrap().path();
            let meta = fs::symlink_metadata(&path).unwrap();
            let time = i128::from(meta.mtime()) * 1_000_000_000 + i128::from(meta.mtime_nsec());
            let (time, content) = match meta.file_type() {
                kind if kind.is_symlink() => {
                    (None, fs::read_link(&path).unwrap().into_os_string().into_encoded_bytes())
                }
                kind if kind.is_dir() => {
                    open.push(path.clone());
                    (Some(time), Vec::new())
                }
                _ => (Some(time), blake3::hash(&fs::read(&path).unwrap()).as_bytes().to_vec()),
            };
            let name = path.strip_prefix(root).unwrap().as_os_str().as_encoded_bytes();
            found.insert(name.to_vec(), (meta.mode(), time, content));
        }
    }
    found
}

/// One file of a random tree: where, what, and how long if it is a file.
type Seed = (u8, u8, u8, usize, u16, u32);

fn seeds() -> impl Strategy<Value = Vec<Seed>> {
    let length = prop_oneof![
        4 => 0_usize..5000,
        2 => 120_000_usize..140_000,
        1 => 1_000_000_usize..4_000_000,
    ];
    let seed = (0_u8..4, 0_u8..4, 0_u8..8, length, 0_u16..0o777, any::<u32>());
    prop::collection::vec(seed, 0..25)
}

fn plant(root: &Path, seeds: &[Seed]) {
    for (n, (above, below, kind, length, mode, time)) in seeds.iter().enumerate() {
        let directory = root.join(format!("{above}/{below}"));
        fs::create_dir_all(&directory).unwrap();
        let path = directory.join(format!("n{n}"));
        match kind {
            0 => fs::create_dir(&path).unwrap(),
            1 => symlink(format!("../{length}"), &path).unwrap(),
            _ => {
                let file = File::create(&path).unwrap();
                if *kind == 2 {
                    file.set_len(*length as u64).unwrap();
                } else {
                    file.write_all_at(&noise(*length, n as u64), 0).unwrap();
                }
                let mode = u32::from(*mode) | 0o600;
                file.set_permissions(fs::Permissions::from_mode(mode)).unwrap();
                let since = Duration::new(u64::from(*time), time % 1_000_000_000);
                file.set_modified(UNIX_EPOCH + since).unwrap();
            }
        }
    }
}

fn homes() -> (tempfile::TempDir, tempfile::TempDir) {
    (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap())
}

fn assert_same(from: &Path, into: &Path) {
    assert_eq!(tree(from), tree(&into.join("top")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// F2, F4, F5: a tree arrives as it is, and the second time nothing is sent.
    #[test]
    fn trees_arrive(seeds in seeds()) {
        let (from, into) = homes();
        plant(from.path(), &seeds);
        copy(from.path(), into.path(), Options::default());
        assert_same(from.path(), into.path());
        let again = copy(from.path(), into.path(), Options::default());
        prop_assert_eq!((again.stored, again.data), (0, 0));
        assert_same(from.path(), into.path());
    }

    /// Row 57, F3, F4: a transfer that breaks anywhere leaves whole files only, and the next one
    /// completes it and leaves nothing lying about.
    #[test]
    fn broken_anywhere(seeds in seeds(), cuts in prop::collection::vec(0.0_f64..1.0, 1..4)) {
        let (from, into) = homes();
        plant(from.path(), &seeds);
        let whole = tree(from.path());
        let bytes: u64 = seeds.iter().map(|seed| seed.3 as u64 + 100).sum();
        for cut in cuts {
            let left = (bytes as f64 * cut) as u64;
            let came = copy_up_to(left, from.path(), into.path(), Options::default());
            if came.received.is_ok() {
                continue;
            }
            for (path, (.., content)) in tree(into.path()) {
                let Some(path) = path.strip_prefix(b"top/") else { continue };
                if !path.rsplit(|b| *b == b'/').next().unwrap().starts_with(b".sockeye-") {
                    prop_assert_eq!(&whole[path].2, &content);
                }
            }
        }
        copy(from.path(), into.path(), Options::default());
        assert_same(from.path(), into.path());
    }

    /// F4: whatever was done to a file, its older version and what is new make the new one.
    #[test]
    fn older_versions(
        length in 1_100_000_usize..4_000_000,
        edits in prop::collection::vec((0.0_f64..1.0, 0_usize..300, 0_usize..300), 0..6),
    ) {
        let (from, into) = homes();
        let old = noise(length, 5);
        let mut new = old.clone();
        for (at, removed, added) in &edits {
            let at = (new.len() as f64 * at) as usize;
            let end = (at + removed).min(new.len());
            drop(new.splice(at..end, noise(*added, *removed as u64)));
        }
        fs::create_dir(into.path().join("top")).unwrap();
        fs::write(into.path().join("top/file"), &old).unwrap();
        fs::write(from.path().join("file"), &new).unwrap();
        let later = UNIX_EPOCH + Duration::from_secs(77);
        File::open(from.path().join("file")).unwrap().set_modified(later).unwrap();
        let tally = copy(from.path(), into.path(), Options::default());
        assert_same(from.path(), into.path());
        prop_assert!(tally.data <= (edits.len() as u64 * 3 + 1) * (64 << 10), "{:?}", tally);
        prop_assert!(tally.reused + tally.data == new.len() as u64);
    }
}

/// Row 57, F4: what was proved before the connection broke is not sent again.
#[test]
fn nothing_proved_goes_twice() {
    let (from, into) = homes();
    let data = noise(8 << 20, 1);
    fs::write(from.path().join("large"), &data).unwrap();
    let came = copy_up_to(5 << 20, from.path(), into.path(), Options::default());
    assert!(came.received.is_err());
    let tally = copy(from.path(), into.path(), Options::default());
    assert_eq!(tally.resumed + tally.data, 8 << 20);
    assert!(tally.resumed >= 3 << 20, "{tally:?}");
    assert_same(from.path(), into.path());
}

/// F5: holes stay holes, and names of one file stay names of one file.
#[test]
fn holes_and_names() {
    let (from, into) = homes();
    let sparse = File::create(from.path().join("sparse")).unwrap();
    sparse.set_len(64 << 20).unwrap();
    sparse.write_all_at(b"middle", 33 << 20).unwrap();
    fs::hard_link(from.path().join("sparse"), from.path().join("second")).unwrap();
    copy(from.path(), into.path(), Options { archive: true, ..Options::default() });
    assert_same(from.path(), into.path());
    let blocks = |path: &Path| fs::metadata(path).unwrap().blocks();
    let (ours, theirs) = (from.path().join("sparse"), into.path().join("top/sparse"));
    assert!(blocks(&theirs) <= blocks(&ours) + 4096, "{}", blocks(&theirs));
    assert_eq!(
        fs::metadata(&theirs).unwrap().ino(),
        fs::metadata(into.path().join("top/second")).unwrap().ino()
    );
}

/// F4: with `--checksum` a file that only looks equal is found out.
#[test]
fn only_looks_equal() {
    let (from, into) = homes();
    let time = UNIX_EPOCH + Duration::from_secs(1000);
    fs::create_dir(into.path().join("top")).unwrap();
    for (root, seed) in [(from.path().to_owned(), 1), (into.path().join("top"), 2)] {
        for (name, length) in [("small", 100), ("large", 3 << 20)] {
            fs::write(root.join(name), noise(length, seed)).unwrap();
            File::open(root.join(name)).unwrap().set_modified(time).unwrap();
        }
    }
    assert_eq!(copy(from.path(), into.path(), Options::default()).stored, 0);
    copy(from.path(), into.path(), Options { checksum: true, ..Options::default() });
    assert_same(from.path(), into.path());
}

/// F4, F7: with `--checksum` files that are equal stay as they are and count as unchanged, small ones
/// and large ones with holes, several names of one file too; a dry run says nothing of them, and of
/// one that only looks equal that it would be stored.
#[test]
fn equal_files_stay() {
    let (from, into) = homes();
    let sparse = File::create(from.path().join("sparse")).unwrap();
    sparse.set_len(9 << 20).unwrap();
    sparse.write_all_at(&noise(2 << 20, 1), 5 << 20).unwrap();
    // The same chunks again and again.
    fs::write(from.path().join("repeats"), noise(1 << 20, 2).repeat(3)).unwrap();
    fs::write(from.path().join("small"), noise(300, 3)).unwrap();
    fs::hard_link(from.path().join("small"), from.path().join("name")).unwrap();
    fs::write(from.path().join("empty"), "").unwrap();
    let archive = Options { archive: true, ..Options::default() };
    copy(from.path(), into.path(), archive);
    let (top, inodes) = (into.path().join("top"), |root: &Path| {
        let inode = |name: &str| fs::metadata(root.join(name)).unwrap().ino();
        ["sparse", "repeats", "small", "name", "empty"].map(inode)
    });
    let before = inodes(&top);
    let checksum = Options { checksum: true, ..archive };
    for dry_run in [true, false] {
        let options = Options { dry_run, ..checksum };
        let came = copy_up_to(u64::MAX, from.path(), into.path(), options);
        let tally = came.tally();
        assert_eq!((tally.skipped, tally.stored, tally.made), (4, 0, 0), "{dry_run}");
        assert_eq!((tally.data, tally.reused), (0, 0), "{dry_run}");
        assert_eq!((came.theirs.noted.len(), came.theirs.skipped), (0, 4), "{dry_run}");
        assert_eq!((came.ours.skipped, came.ours.stored.len()), (4, 0), "{dry_run}");
        assert_eq!(came.theirs.moved, 9 * (1 << 20) + 3 * (1 << 20) + 300, "{dry_run}");
        assert_eq!(inodes(&top), before);
    }
    assert_same(from.path(), into.path());
    // Now three of them only look equal, each from another place on.
    for (name, at) in [("sparse", 8 << 20), ("repeats", 3 << 19), ("small", 0)] {
        let path = top.join(name);
        let time = fs::metadata(&path).unwrap().modified().unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        file.write_all_at(b"other", at).unwrap();
        file.set_modified(time).unwrap();
    }
    let changed = tree(&top);
    let came =
        copy_up_to(u64::MAX, from.path(), into.path(), Options { dry_run: true, ..checksum });
    assert_eq!((came.tally().skipped, came.tally().stored), (1, 0));
    let noted = came.theirs.noted;
    // Of one file whichever of its names is listed first: the other stays a name of it.
    assert_eq!(noted.len(), 3, "{noted:?}");
    for name in ["repeats", "sparse"] {
        assert!(noted.contains(&format!("WouldStore top/{name}")), "{noted:?}");
    }
    assert_eq!(tree(&top), changed);
    let tally = copy(from.path(), into.path(), checksum);
    assert_eq!((tally.skipped, tally.stored), (1, 3));
    assert!(tally.data < 1 << 20, "{tally:?}");
    assert_same(from.path(), into.path());
    assert_eq!(fs::metadata(top.join("name")).unwrap().nlink(), 2);
}
