//! Many small files, which two threads store.

use std::os::unix::fs::MetadataExt;

use super::*;

const MANY: u32 = 200;

fn content(number: u32) -> Vec<u8> {
    vec![number as u8; number as usize * 20]
}

/// `d` with so many files, of which one has a false proof.
fn words(false_one: u32) -> Vec<FromSender> {
    let called = |number| file(&format!("f{number}"), content(number).len());
    let entries = (0..MANY).map(|number| FromSender::Entry(called(number)));
    let contents = (0..MANY).map(|number| match small(number, &content(number)) {
        FromSender::Small { file, mtime, data, .. } if number == false_one => {
            FromSender::Small { file, mtime, hash: [9; 32], data }
        }
        proved => proved,
    });
    tree(entries.collect(), contents.collect())
}

/// F2, F3, F5: whoever stores a file, a false proof ends that one alone, and the directory is finished
/// behind all of them.
#[test]
fn each_is_whole_or_told() {
    let top = tempfile::tempdir().unwrap();
    let d = top.path().join("d");
    fs::create_dir(&d).unwrap();
    fs::write(d.join("f60"), "old").unwrap();
    let came = into(top.path(), &push(Placement::Into), words(77));
    let tally = came.tally();
    let troubles = came.troubles();
    assert!(troubles[0].1.contains("proof"), "{troubles:?}");
    assert_eq!((troubles.len(), &troubles[0].0[..]), (1, "d/f77"));
    assert_eq!((tally.stored, tally.failed), (u64::from(MANY) - 1, 1));
    for number in (0..MANY).filter(|number| *number != 77) {
        let path = d.join(format!("f{number}"));
        let meta = fs::metadata(&path).unwrap();
        assert_eq!(fs::read(&path).unwrap(), content(number), "{number}");
        assert_eq!((meta.mode() & 0o7777, meta.mtime()), (0o640, THEN.seconds));
    }
    // The one that is missing, and nothing of ours.
    assert_eq!(names(&d).len(), MANY as usize - 1);
    let meta = fs::metadata(&d).unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.mtime()), (0o751, THEN.seconds));
}

/// Fault 60: with `delete` a directory that is in a file's way goes, whoever stores the file.
#[test]
fn a_directory_goes() {
    let top = tempfile::tempdir().unwrap();
    let d = top.path().join("d");
    fs::create_dir_all(d.join("f3/gone")).unwrap();
    let transfer = with(Options { delete: true, ..Options::default() });
    let came = into(top.path(), &transfer, words(MANY));
    assert_eq!((came.tally().stored, came.tally().failed), (u64::from(MANY), 0));
    assert_eq!(fs::read(d.join("f3")).unwrap(), content(3));
}

/// F3: a transfer that is stopped leaves each file whole or not there, and no litter.
#[test]
fn stopped_in_the_middle() {
    for left in [1, 2, 9, 40] {
        let top = tempfile::tempdir().unwrap();
        let mut words = words(MANY);
        words.truncate(words.len() - left);
        let came = into(top.path(), &push(Placement::Into), words);
        assert!(matches!(came.end, Err(Stopped::Gone)), "{:?}", came.end);
        let d = top.path().join("d");
        let there = names(&d);
        assert_eq!(there.len(), MANY as usize - left);
        for name in there {
            let number = name.strip_prefix('f').unwrap().parse().unwrap();
            assert_eq!(fs::read(d.join(name)).unwrap(), content(number));
        }
    }
}
