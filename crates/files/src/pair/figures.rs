//! What transfers cost in memory, without a network: for bench/RESULTS.md, on demand.
//!
//! `cargo test --release -p sockeye-files figures -- --ignored --nocapture --test-threads 1`

use std::time::Instant;

use super::*;

fn timed(what: &str, work: impl FnOnce() -> Tally) {
    let started = Instant::now();
    let tally = work();
    println!("{what}: {:?} {tally:?}", started.elapsed());
}

#[test]
#[ignore = "prints figures"]
fn small_files() {
    let (from, into) = homes();
    for n in 0..10_000 {
        let directory = from.path().join((n / 100).to_string());
        fs::create_dir_all(&directory).unwrap();
        fs::write(directory.join(n.to_string()), noise(4096, n)).unwrap();
    }
    timed("10,000 files", || copy(from.path(), into.path(), Options::default()));
    timed("unchanged", || copy(from.path(), into.path(), Options::default()));
}

#[test]
#[ignore = "prints figures"]
fn one_large_file() {
    let (from, into) = homes();
    let path = from.path().join("large");
    fs::write(&path, noise(1 << 30, 1)).unwrap();
    timed("1 GiB", || copy(from.path(), into.path(), Options::default()));
    File::options().write(true).open(&path).unwrap().write_all_at(b"x", 1 << 29).unwrap();
    timed("one byte changed", || copy(from.path(), into.path(), Options::default()));
    let mut content = fs::read(&path).unwrap();
    content.insert(1 << 29, b'x');
    content.truncate(1 << 30);
    fs::write(&path, content).unwrap();
    timed("one byte inserted", || copy(from.path(), into.path(), Options::default()));
}
