//! What files do while they are sent, and what is sent of them.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::{FileExt, MetadataExt};

use super::*;
use crate::testing::noise;
use sockeye_wire::files::{Node, segment};

fn want(_: &[u8], _: &Entry) -> Answer {
    Answer::Want
}

/// F2: contents of all lengths arrive, small ones, those of one segment and of several.
#[test]
fn lengths() {
    let home = tempfile::tempdir().unwrap();
    let small = limits::FILE_SMALL;
    let mib = 1 << 20;
    let lengths = [0, 1, small - 1, small, small + 1, mib - 1, mib, mib + 1, 3 * mib, 3 * mib + 5];
    for length in lengths {
        fs::write(home.path().join(length.to_string()), noise(length, length as u64)).unwrap();
    }
    let (mirror, sent, diary) = sent(directory(home.path()), &transfer(Options::default()), want);
    assert_eq!((sent.troubles, diary.stored.len()), (0, lengths.len()));
    assert_eq!(diary.moved, lengths.iter().sum::<usize>() as u64);
    for length in lengths {
        let content = &mirror.contents[format!("top/{length}").as_bytes()];
        assert!(*content == noise(length, length as u64), "{length}");
    }
}

/// Row 57, F4: a transfer goes on behind the last segment that the receiver can prove.
#[test]
fn goes_on_where_it_was() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("large");
    let data = noise((5 << 20) + 77, 1);
    fs::write(&path, &data).unwrap();
    for have in 0..=5_usize {
        let part = data[..have << 20].to_vec();
        let (mirror, ..) = sent(file(&path), &transfer(Options::default()), move |_, _| {
            Answer::Part(part.clone())
        });
        assert_eq!(mirror.begins, [(have as u64) << 20]);
        assert_eq!(mirror.data, (data.len() - (have << 20)) as u64);
        assert!(mirror.contents[b"top".as_slice()] == data);
    }
}

/// F4: with `--checksum` marks are no proof of themselves: it begins where they first differ.
#[test]
fn begins_where_it_differs() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("large");
    let data = noise(4 << 20, 1);
    fs::write(&path, &data).unwrap();
    let mut other = data[..3 << 20].to_vec();
    other[(1 << 20) + 5] ^= 1;
    let options = Options { checksum: true, ..Options::default() };
    let (mirror, ..) =
        sent(file(&path), &transfer(options), move |_, _| Answer::Part(other.clone()));
    assert_eq!(mirror.begins, [1 << 20]);
    assert!(mirror.contents[b"top".as_slice()] == data);
}

/// F2, F4, row 57: marks of another file of the same length and time are of no use, whether it differs
/// at its beginning or where the transfer was cut off.
#[test]
fn another_file_begins_anew() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("large");
    let data = noise(5 << 20, 1);
    fs::write(&path, &data).unwrap();
    for differs in [0, (4 << 20) - 1] {
        let mut other = data[..4 << 20].to_vec();
        other[differs] ^= 1;
        let (mirror, ..) = sent(file(&path), &transfer(Options::default()), move |_, _| {
            Answer::Part(other.clone())
        });
        assert_eq!(mirror.begins, [0], "{differs}");
        assert!(mirror.contents[b"top".as_slice()] == data);
    }
}

/// Row 57: what was listed is not what is sent, so marks of it prove nothing.
#[test]
fn a_changed_file_begins_anew() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("large");
    let old = noise(3 << 20, 1);
    fs::write(&path, &old).unwrap();
    let new = noise((3 << 20) + 9, 2);
    let (at, now) = (path.clone(), new.clone());
    let (mirror, sent, _) = sent(file(&path), &transfer(Options::default()), move |_, _| {
        fs::write(&at, &now).unwrap();
        Answer::Part(old[..2 << 20].to_vec())
    });
    assert_eq!((mirror.begins, sent.troubles), (vec![0], 0));
    assert!(mirror.contents[b"top".as_slice()] == new);
}

/// F4: of a changed file little more than the change is sent.
#[test]
fn sends_what_is_new() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("large");
    let old = noise(6 << 20, 1);
    let mut new = [b"front".as_slice(), &old].concat();
    new[3 << 20] ^= 1;
    new.truncate(5 << 20);
    new.extend(vec![0; 1 << 20]);
    fs::write(&path, &new).unwrap();
    let (mirror, sent, _) =
        sent(file(&path), &transfer(Options::default()), move |_, _| Answer::Older(old.clone()));
    assert!(mirror.contents[b"top".as_slice()] == new);
    assert!(mirror.data < 300 << 10, "{}", mirror.data);
    assert!(mirror.copied > 4 << 20 && mirror.holes > 900 << 10);
    assert_eq!(sent.troubles, 0);
}

/// Row 67, F5: holes are not sent, and the hash has them.
#[test]
fn holes() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("sparse");
    let disk = File::create(&path).unwrap();
    disk.set_len(40 << 20).unwrap();
    disk.write_all_at(b"in the middle", 17 << 20).unwrap();
    let sparse = disk.metadata().unwrap().blocks() < 1000;
    let (mirror, ..) = sent(file(&path), &transfer(Options::default()), want);
    assert!(mirror.contents[b"top".as_slice()] == fs::read(&path).unwrap());
    assert_eq!(mirror.holes + mirror.data + mirror.packed, 40 << 20);
    if sparse {
        assert!(mirror.data <= 1 << 20, "{}", mirror.data);
    } else {
        assert!(std::env::var_os("CI").is_none(), "needs a file system with holes");
        eprintln!("skipped: this file system has no holes");
    }
}

/// An observer that does something each time so many bytes went.
struct Meddler<F>(u64, F);

impl<F: FnMut(u64)> Observer for Meddler<F> {
    fn tell(&mut self, happening: Happening<'_>) {
        if let Happening::Moved { bytes } = happening {
            self.0 += bytes;
            (self.1)(self.0);
        }
    }
}

/// Sends a file while `meddle` is told how many bytes went; what the mirror has, and our troubles.
fn meddled(path: &Path, meddle: impl FnMut(u64)) -> (Mirror, u64) {
    let ((mut ear, mut mouth), end) = connection(u64::MAX);
    let mut mirror = Mirror::new(Box::new(want));
    let other = std::thread::spawn(move || {
        mirror.run(end);
        mirror
    });
    let mut meddler = Meddler(0, meddle);
    let transfer = transfer(Options::default());
    let sent = send(vec![file(path)], &transfer, &mut ear, &mut mouth, &mut meddler).unwrap();
    drop((ear, mouth));
    (other.join().unwrap(), sent.troubles)
}

/// Row 59: a source that grows, shrinks or is written while it is read is sent once more.
#[test]
fn once_more() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("large");
    type Change = fn(&Path);
    let changes: [Change; 3] = [
        |path| File::options().append(true).open(path).unwrap().write_all(b"more").unwrap(),
        |path| File::options().write(true).open(path).unwrap().set_len(2 << 20).unwrap(),
        |path| {
            let file = File::options().write(true).open(path).unwrap();
            file.write_all_at(b"other", 5).unwrap();
            // What is written within one tick of the clock has one time.
            let later = std::time::SystemTime::now() + std::time::Duration::from_secs(5);
            file.set_modified(later).unwrap();
        },
    ];
    for change in changes {
        fs::write(&path, noise(3 << 20, 3)).unwrap();
        let mut done = false;
        let (mirror, troubles) = meddled(&path, |moved| {
            if moved > 1 << 20 && !done {
                change(&path);
                done = true;
            }
        });
        assert_eq!((mirror.voids.len(), troubles), (1, 0));
        assert!(mirror.voids[0].0);
        assert!(mirror.contents[b"top".as_slice()] == fs::read(&path).unwrap());
    }
}

/// Row 59: nobody can hide a change by setting the time back: it shows in the time that only the
/// kernel sets.
#[test]
fn changed_under_an_old_time() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("large");
    fs::write(&path, noise(3 << 20, 3)).unwrap();
    let time = fs::metadata(&path).unwrap().modified().unwrap();
    // What happens within one tick of the kernel's clock has one time.
    let ticks = |before: i64| loop {
        let probe = tempfile::tempfile().unwrap().metadata().unwrap();
        if probe.ctime_nsec() != before {
            break;
        }
    };
    ticks(fs::metadata(&path).unwrap().ctime_nsec());
    let mut done = false;
    let (mirror, troubles) = meddled(&path, |moved| {
        if moved > 1 << 20 && !done {
            let file = File::options().write(true).open(&path).unwrap();
            file.write_all_at(b"other", 5).unwrap();
            file.set_modified(time).unwrap();
            done = true;
        }
    });
    assert_eq!((mirror.voids.len(), troubles), (1, 0));
    assert!(mirror.contents[b"top".as_slice()] == fs::read(&path).unwrap());
}

/// Row 59: a file that is renamed over what was listed does not go with that one's mode, nor with its
/// owner and attributes; where only its content is another, it goes.
#[test]
fn renamed_over() {
    use std::os::unix::fs::PermissionsExt;
    for (mode, archive, goes) in
        [(0o644, false, true), (0o600, false, false), (0o644, true, false), (0o600, true, false)]
    {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        let make = |path: &Path, text: &str, mode| {
            fs::write(path, text).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
        };
        make(&path, "for all", 0o644);
        let (new, old) = (home.path().join("new"), path.clone());
        make(&new, "other", mode);
        let options = Options { archive, ..Options::default() };
        let (mirror, sent, diary) = sent(file(&path), &transfer(options), move |_, _| {
            fs::rename(&new, &old).unwrap();
            Answer::Want
        });
        assert_eq!((sent.troubles, mirror.contents.len()), (u64::from(!goes), usize::from(goes)));
        if goes {
            assert_eq!(mirror.contents[b"top".as_slice()], b"other");
        } else {
            assert!(diary.troubles[0].contains("replaced since it was listed"), "{diary:?}");
        }
    }
}

/// Row 59: a source that never keeps still is reported after the second time.
#[test]
fn never_still() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("log");
    fs::write(&path, noise(3 << 20, 3)).unwrap();
    let (mirror, troubles) = meddled(&path, |_| {
        File::options().append(true).open(&path).unwrap().write_all(b"line").unwrap();
    });
    assert_eq!(mirror.voids.len(), 2);
    assert!(mirror.voids[0].0 && !mirror.voids[1].0);
    assert!(mirror.voids[1].1.starts_with("changed while it was read, twice."));
    assert_eq!((troubles, mirror.contents.len()), (1, 0));
}

/// Row 59: a source that vanishes behind the listing, or becomes something else, is reported, and
/// nothing but a regular file is read.
#[test]
fn vanished_or_replaced() {
    let home = tempfile::tempdir().unwrap();
    let tree = home.path().join("tree");
    fs::create_dir(&tree).unwrap();
    for name in ["gone", "link", "pipe", "stays"] {
        fs::write(tree.join(name), name).unwrap();
    }
    fs::write(home.path().join("secret"), "secret").unwrap();
    let base = tree.clone();
    let (mirror, sent, diary) =
        sent(directory(&tree), &transfer(Options::default()), move |path, _| {
            let at = base.parent().unwrap().join(path_of(path).replacen("top", "tree", 1));
            match path {
                b"top/stays" => {}
                b"top/link" => {
                    fs::remove_file(&at).unwrap();
                    std::os::unix::fs::symlink("../secret", &at).unwrap();
                }
                b"top/pipe" => {
                    fs::remove_file(&at).unwrap();
                    mkfifo(&at);
                }
                _ => fs::remove_file(&at).unwrap(),
            }
            Answer::Want
        });
    assert_eq!((sent.troubles, mirror.contents.len()), (3, 1));
    assert_eq!(mirror.contents[b"top/stays".as_slice()], b"stays");
    assert!(diary.troubles.iter().any(|t| t.contains("top/gone") && t.contains("vanished")));
}

pub(super) fn path_of(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

pub(super) fn mkfifo(path: &Path) {
    let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::from_raw_mode(0o600));
    rustix::fs::mknodat(rustix::fs::CWD, path, kind, mode, 0).unwrap();
}

/// F1: a stream has no length, and comes whole.
#[test]
fn a_stream() {
    for length in [0, 5, 1 << 20, (2 << 20) + 3] {
        let data = noise(length, 9);
        let (reader, mut writer) = std::io::pipe().unwrap();
        let copy = data.clone();
        let feeder = std::thread::spawn(move || writer.write_all(&copy).unwrap());
        let input = Box::new(reader);
        let source = Source::Stream { input, label: name(b"top") };
        let (mirror, sent, _) = sent(source, &transfer(Options::default()), want);
        feeder.join().unwrap();
        assert_eq!(sent.troubles, 0);
        assert!(mirror.contents[b"top".as_slice()] == data);
        assert_eq!(mirror.entries[b"top".as_slice()].node, Node::File { size: None, group: None });
    }
    assert_eq!(segment(0), limits::FILE_SEGMENT);
}

/// A receiver that answers more than was listed ends the transfer.
#[test]
fn a_receiver_that_wants_too_much() {
    use sockeye_wire::files::FromReceiver;
    let home = tempfile::tempdir().unwrap();
    let ((mut ear, mut mouth), (_ears, mut theirs)) = connection(u64::MAX);
    let mut frames = Vec::new();
    FromReceiver::Want(7).put(&mut frames);
    theirs.send(frames.into()).unwrap();
    let transfer = transfer(Options::default());
    let source = vec![directory(home.path())];
    let result = send(source, &transfer, &mut ear, &mut mouth, &mut Diary::default());
    assert!(matches!(result, Err(Stopped::Peer(_))), "{result:?}");
}
