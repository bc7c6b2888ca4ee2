//! Interrupted, failed and simultaneous transfers: the old file or the new one, and no litter.

use std::os::unix::fs::{FileExt, PermissionsExt};
use std::sync::Barrier;

use sockeye_wire::files::{Chunk, Resume};

use super::*;
use crate::hash::Prover;
use crate::receive::journal::{BOOT, HEADER, Version, header};
use crate::receive::temporary::name::{journal, new};

const MIB: usize = 1 << 20;

fn noise(length: usize) -> Vec<u8> {
    let mut out = vec![0; length];
    blake3::Hasher::new().finalize_xof().fill(&mut out);
    out
}

/// The words for a file of several segments, from one of them on.
fn large(data: &[u8], from: usize) -> Vec<FromSender> {
    let size = Some(data.len() as u64);
    let begin = FromSender::Begin { file: 0, mtime: THEN, size, from: from as u64 };
    let mut words = vec![root(file("f", data.len())), FromSender::Listed, begin];
    let mut prover = Prover::new(MIB as u64);
    for segment in data.chunks(MIB) {
        let at = prover.at() as usize;
        let mut mark = None;
        for piece in segment.chunks(256 * 1024) {
            mark = prover.update(piece);
            if at >= from {
                words.push(FromSender::Data(piece.to_vec()));
            }
        }
        if at >= from && at + segment.len() < data.len() {
            words.extend(mark.map(FromSender::Mark));
        }
    }
    words.push(FromSender::Close { hash: prover.finish() });
    words
}

fn marks_said(came: &Came) -> Option<usize> {
    came.said.iter().find_map(|message| match message {
        FromReceiver::Resume(Resume { marks, basis: false }) => Some(marks.len()),
        _ => None,
    })
}

/// F4: cut at any message, the next run goes on behind the last mark; F3: the old file stays until
/// the new one is whole, and nothing else is left.
#[test]
fn an_interrupted_file_is_resumed() {
    let data = noise(3 * MIB + 5);
    let whole = large(&data, 0);
    for cut in 0..whole.len() {
        let top = tempfile::tempdir().unwrap();
        fs::write(top.path().join("f"), "old").unwrap();
        let came = into(top.path(), &push(Placement::Into), whole[..cut].to_vec());
        assert!(matches!(came.end, Err(Stopped::Gone)));
        assert_eq!(fs::read(top.path().join("f")).unwrap(), b"old");
        let marks = whole[..cut].iter().filter(|word| matches!(word, FromSender::Mark(_))).count();
        let came = into(top.path(), &push(Placement::Into), large(&data, marks * MIB));
        assert_eq!(came.tally().resumed as usize, marks * MIB);
        assert_eq!(marks_said(&came), (marks > 0).then_some(marks));
        assert!(fs::read(top.path().join("f")).unwrap() == data);
        assert_eq!(names(top.path()), ["f"]);
    }
}

/// F4: what was written before the machine was started again is not trusted unread.
#[test]
fn another_boot_is_checked() {
    let data = noise(3 * MIB + 5);
    let whole = large(&data, 0);
    let last = whole.iter().rposition(|word| matches!(word, FromSender::Mark(_))).unwrap();
    for (damage, expected) in [(None, 3), (Some(MIB as u64 + 7), 1)] {
        let top = tempfile::tempdir().unwrap();
        into(top.path(), &push(Placement::Into), whole[..=last].to_vec());
        let left = names(top.path());
        let [partial, journal] = [0, 1].map(|n| top.path().join(&left[n]));
        assert!(left.len() == 2 && left[1] == format!("{}~", left[0]), "{left:?}");
        let open = |path| fs::OpenOptions::new().write(true).open(path).unwrap();
        open(&journal).write_all_at(&[0x55; BOOT], (HEADER - BOOT) as u64).unwrap();
        if let Some(at) = damage {
            open(&partial).write_all_at(b"damage", at).unwrap();
        }
        let came = into(top.path(), &push(Placement::Into), large(&data, expected * MIB));
        assert_eq!((marks_said(&came), came.tally().stored), (Some(expected), 1));
        assert!(fs::read(top.path().join("f")).unwrap() == data);
    }
}

/// F4: of another version of the file nothing is used; F3: it leaves nothing.
#[test]
fn what_is_left_of_another_version_goes() {
    let data = noise(2 * MIB + 5);
    let top = tempfile::tempdir().unwrap();
    let whole = large(&data, 0);
    into(top.path(), &push(Placement::Into), whole[..whole.len() - 1].to_vec());
    assert_eq!(names(top.path()).len(), 2);
    let other = noise(2 * MIB + 6);
    let came = into(top.path(), &push(Placement::Into), large(&other, 0));
    assert_eq!((marks_said(&came), came.tally().stored), (None, 1));
    assert_eq!(names(top.path()), ["f"]);
}

/// As a transfer leaves it.
fn private(path: &Path, content: &[u8]) {
    fs::write(path, content).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// A temporary name of another user.
fn theirs() -> String {
    let user = rustix::process::geteuid().as_raw() + 1;
    let said = format!(".sockeye-{user:08x}{:024x}", 7);
    format!("{said}{}", &blake3::hash(said.as_bytes()).to_hex()[..8])
}

/// F3, F8: litter of a killed transfer goes with the next run over the same directory: what is ours,
/// and nobody holds, and cannot be resumed.
#[test]
fn litter_is_swept() {
    let top = tempfile::tempdir().unwrap();
    let d = top.path().join("d");
    fs::create_dir(&d).unwrap();
    let new = |text| new(&name(text)).unwrap();
    let (stale, kept, old, alone) = (new("x"), new("y"), new("v"), journal(&new("z")));
    for name in [&stale, &kept, &old, &alone] {
        fs::write(d.join(name), "").unwrap();
    }
    let version = Version { size: 2 * MIB as u64, mtime: THEN };
    private(&d.join(&kept), b"");
    private(&d.join(journal(&kept)), &header(&name("y"), version));
    // Of another layout.
    private(&d.join(journal(&old)), &[b"sockeye1", &[0; HEADER][..]].concat());
    // It was whole, and had its mode already.
    let dressed = new("u");
    fs::write(d.join(&dressed), "").unwrap();
    private(&d.join(journal(&dressed)), &header(&name("u"), version));
    let held = new("w");
    // Another user's, and one that only looks similar.
    let theirs = theirs();
    for name in [&theirs, ".sockeye-0123456789abcdef0123"] {
        fs::write(d.join(name), "").unwrap();
    }
    let lock = fs::File::create(d.join(&held)).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    into(top.path(), &push(Placement::Into), tree(vec![], vec![])).tally();
    let similar = ".sockeye-0123456789abcdef0123".to_owned();
    let mut expected = vec![held, kept.clone(), journal(&kept), theirs, similar];
    expected.sort();
    assert_eq!(names(&d), expected);
}

/// F1, F3: with `--delete` what is left of a file that the source does not have goes; what is left of one
/// that it has, or that patterns leave out, stays, as all does where the source was not read to its end.
#[test]
fn what_is_left_of_deleted_files_goes() {
    let version = Version { size: 2 * MIB as u64, mtime: THEN };
    for (delete, complete) in [(true, true), (true, false), (false, true)] {
        let top = tempfile::tempdir().unwrap();
        let d = top.path().join("d");
        fs::create_dir(&d).unwrap();
        fs::write(d.join("here"), "").unwrap();
        let [gone, here, kept] = ["gone", "here", "kept"].map(|text| {
            let partial = new(&name(text)).unwrap();
            private(&d.join(&partial), b"part");
            private(&d.join(journal(&partial)), &header(&name(text), version));
            partial
        });
        let options = Options { delete, ..Options::default() };
        let filters = vec![sockeye_wire::files::Filter { include: false, pattern: "kept".into() }];
        let transfer = Transfer { filters, ..with(options) };
        let mut listed = file("here", 0);
        listed.meta.mtime = super::super::meta::mtime(&rustix::fs::stat(d.join("here")).unwrap());
        let leave = FromSender::Leave { complete };
        let words = vec![root(dir("d")), FromSender::Entry(listed), leave, FromSender::Listed];
        let came = into(top.path(), &transfer, words);
        assert_eq!(came.tally().skipped, 1);
        let mut expected = vec!["here".to_owned()];
        for partial in [here, kept].into_iter().chain((!(delete && complete)).then_some(gone)) {
            expected.extend([journal(&partial), partial]);
        }
        expected.sort();
        assert_eq!(names(&d), expected, "{delete} {complete}");
    }
}

/// F2: a file that changed while it was read comes again, and is given up the second time.
#[test]
fn a_void_content() {
    let void = |again| FromSender::Void { file: 0, again, text: "changed".into() };
    let data = noise(2 * MIB + 5);
    let mut words = large(&data, 0);
    words.pop();
    words.push(void(true));
    let mut second = large(&data, 0).split_off(2);
    words.append(&mut second);
    let top = tempfile::tempdir().unwrap();
    assert_eq!(into(top.path(), &push(Placement::Into), words.clone()).tally().stored, 1);
    assert!(fs::read(top.path().join("f")).unwrap() == data);
    fs::write(top.path().join("f"), "old").unwrap();
    words.pop();
    words.push(void(false));
    let tally = into(top.path(), &push(Placement::Into), words).tally();
    assert_eq!((tally.stored, tally.failed), (0, 1));
    assert_eq!(fs::read(top.path().join("f")).unwrap(), b"old");
    assert_eq!(names(top.path()), ["f"]);
}

/// F4: of an older version the chunks are told, and what they have is copied; a false copy is found.
#[test]
fn an_older_version_is_used() {
    let old = noise(2 * MIB);
    let mut new = old.clone();
    new[MIB + 100] ^= 1;
    for honest in [true, false] {
        let top = tempfile::tempdir().unwrap();
        fs::write(top.path().join("f"), &old).unwrap();
        let size = Some(new.len() as u64);
        let half = MIB as u64;
        let copy = |offset, length| FromSender::Copy { offset, length };
        let mut prover = Prover::new(half);
        let mark = prover.update(&new[..MIB]).unwrap();
        let words = vec![
            root(file("f", new.len())),
            FromSender::Listed,
            FromSender::Begin { file: 0, mtime: THEN, size, from: 0 },
            copy(if honest { 0 } else { 1 }, half),
            FromSender::Mark(mark),
            FromSender::Data(new[MIB..MIB + 200].to_vec()),
            copy(half + 200, half - 200),
            FromSender::Close { hash: *blake3::hash(&new).as_bytes() },
        ];
        let came = into(top.path(), &push(Placement::Into), words);
        let told: Vec<Chunk> = (came.said.iter())
            .filter_map(|message| match message {
                FromReceiver::Basis { chunks, .. } => Some(chunks.clone()),
                _ => None,
            })
            .flatten()
            .collect();
        assert_eq!(told.iter().map(|chunk| chunk.length as usize).sum::<usize>(), old.len());
        let expected = if honest { &new } else { &old };
        assert!(fs::read(top.path().join("f")).unwrap() == *expected);
        assert_eq!(came.tally().stored, u64::from(honest));
        assert_eq!(came.tally().failed, u64::from(!honest));
        assert_eq!(names(top.path()), ["f"]);
    }
}

/// F5: holes stay holes, at the end of a file as well.
#[test]
fn holes_stay() {
    use std::os::unix::fs::MetadataExt;
    let size = 3 * MIB + 5;
    let mut data = vec![0; size];
    data[10] = 1;
    let mut prover = Prover::new(MIB as u64);
    let mut words = vec![root(file("f", size)), FromSender::Listed];
    let length = Some(size as u64);
    words.push(FromSender::Begin { file: 0, mtime: THEN, size: length, from: 0 });
    words.push(FromSender::Data(data[..4096].to_vec()));
    words.push(FromSender::Hole((MIB - 4096) as u64));
    for n in 0..3 {
        words.push(FromSender::Mark(prover.update(&data[n * MIB..(n + 1) * MIB]).unwrap()));
        words.push(FromSender::Hole(if n < 2 { MIB as u64 } else { 5 }));
    }
    words.push(FromSender::Close { hash: *blake3::hash(&data).as_bytes() });
    let top = tempfile::tempdir().unwrap();
    into(top.path(), &push(Placement::Into), words[..8].to_vec());
    words.truncate(3);
    words[2] = FromSender::Begin { file: 0, mtime: THEN, size: length, from: 2 * MIB as u64 };
    words.push(FromSender::Hole(MIB as u64));
    words.push(FromSender::Mark(prover_mark(&data, 2)));
    words.push(FromSender::Hole(5));
    words.push(FromSender::Close { hash: *blake3::hash(&data).as_bytes() });
    assert_eq!(into(top.path(), &push(Placement::Into), words).tally().stored, 1);
    let path = top.path().join("f");
    assert!(fs::read(&path).unwrap() == data);
    assert!(fs::metadata(&path).unwrap().blocks() < 100);
}

fn prover_mark(data: &[u8], segment: usize) -> sockeye_wire::files::Hash {
    let mut prover = Prover::new(MIB as u64);
    data.chunks(MIB).map(|piece| prover.update(piece)).nth(segment).flatten().unwrap()
}

/// Row 69: two copies to one target at once: one of them is there, whole, and nothing else.
#[test]
fn two_at_once() {
    let top = tempfile::tempdir().unwrap();
    let (one, two) = (vec![1; 2 * MIB + 1], vec![2; 2 * MIB + 1]);
    for _ in 0..20 {
        let start = Barrier::new(2);
        std::thread::scope(|scope| {
            for data in [&one, &two] {
                let (start, top) = (&start, &top);
                scope.spawn(move || {
                    let words = large(data, 0);
                    start.wait();
                    // The one that comes second may find an equal file: it is not wanted then.
                    let came = into(top.path(), &push(Placement::Into), words);
                    assert!(came.troubles().is_empty());
                });
            }
        });
        let found = fs::read(top.path().join("f")).unwrap();
        assert!(found == one || found == two);
        assert_eq!(names(top.path()), ["f"]);
        fs::remove_file(top.path().join("f")).unwrap();
    }
}

/// Row 58: where there is no room, the old file stays, nothing is left over, and it is told.
#[test]
fn a_full_disk() {
    let top = tempfile::tempdir().unwrap();
    let mount = |arguments: &[&str]| {
        let status = std::process::Command::new("mount").args(arguments).arg(top.path()).status();
        status.is_ok_and(|status| status.success())
    };
    if !mount(&["-t", "tmpfs", "-o", "size=1m", "none"]) {
        assert!(std::env::var_os("CI").is_none(), "needs the right to mount a file system");
        eprintln!("skipped: no right to mount a small file system");
        return;
    }
    fs::write(top.path().join("f"), "old").unwrap();
    let data = noise(3 * MIB);
    let came = into(top.path(), &push(Placement::Into), large(&data, 0));
    let (found, left) = (fs::read(top.path().join("f")).unwrap(), names(top.path()));
    let room = into(top.path(), &push(Placement::Into), one_file(b"little"));
    let read_only = mount(&["-o", "remount,ro"])
        .then(|| into(top.path(), &push(Placement::Into), one_file(b"another")));
    std::process::Command::new("umount").arg(top.path()).status().unwrap();
    assert!(came.troubles()[0].1.contains("Make room"), "{:?}", came.troubles());
    assert_eq!((came.tally().stored, came.tally().failed), (0, 1));
    assert_eq!((found, left), (b"old".to_vec(), vec!["f".to_owned()]));
    assert_eq!(room.tally().stored, 1);
    assert_eq!(read_only.map(|came| came.tally().failed), Some(1));
}
