//! How fast the receiver is by itself: `cargo test --release -p sockeye-files -- --ignored figures
//! --nocapture`, with TMPDIR on a tmpfs.

use std::time::Instant;

use super::*;
use crate::hash::Prover;

const MIB: usize = 1 << 20;

#[test]
#[ignore = "prints figures"]
fn figures() {
    for round in 0..3 {
        let top = tempfile::tempdir().unwrap();
        let files = (0..10_000).map(|n| FromSender::Entry(file(&format!("file-{n}"), 11_000)));
        let data = vec![5; 11_000];
        // In the order of a real sender: never more ahead than may be.
        let mut words = vec![root(dir("d"))];
        for (n, entry) in files.enumerate() {
            words.push(entry);
            words.extend((n >= 1000).then(|| small(n as u32 - 1000, &data)));
        }
        words.extend([LEAVE, FromSender::Listed]);
        words.extend((9000..10_000).map(|n| small(n, &data)));
        let started = Instant::now();
        into(top.path(), &push(Placement::Into), words.clone()).tally();
        println!("{round}: 10,000 files of 11 kB: {:?}", started.elapsed());
        words.retain(|word| !matches!(word, FromSender::Small { .. }));
        let mut ahead = words.split_off(4000);
        ahead.truncate(0);
        let started = Instant::now();
        words.extend([LEAVE, FromSender::Listed]);
        into(top.path(), &push(Placement::Into), words).tally();
        println!("{round}: 4,000 of them unchanged: {:?}", started.elapsed());
        large(round);
    }
}

fn large(round: usize) {
    let top = tempfile::tempdir().unwrap();
    let (size, piece) = (512 * MIB, vec![7; 64 * 1024]);
    let mut prover = Prover::new(MIB as u64);
    let length = Some(size as u64);
    let mut words = vec![root(file("f", size)), FromSender::Listed];
    words.push(FromSender::Begin { file: 0, mtime: THEN, size: length, from: 0 });
    for _ in 0..size / piece.len() {
        let mark = prover.update(&piece);
        words.push(FromSender::Data(piece.clone()));
        words.extend(mark.filter(|_| prover.at() < size as u64).map(FromSender::Mark));
    }
    words.push(FromSender::Close { hash: prover.finish() });
    let started = Instant::now();
    into(top.path(), &push(Placement::Into), words).tally();
    println!("{round}: a file of 512 MiB: {:?}", started.elapsed());
}
