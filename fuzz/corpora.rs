//! The committed corpora of fuzz targets: replayed and written. The tests of each crate that has
//! targets include this file.

use std::fs;
use std::path::{Path, PathBuf};

/// A fuzz target with the seeds that we make ourselves.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) body: fn(&[u8]),
    pub(crate) seeds: Vec<(&'static str, Vec<u8>)>,
}

/// A corpus is small: what finds nothing new is left out.
const MOST: usize = 60;

fn folder(target: &Target) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fuzz/corpus").join(target.name)
}

/// Panics unless every committed input passes, and the seeds are committed as they now are.
pub(crate) fn replay(targets: &[Target]) {
    for target in targets {
        for (name, bytes) in &target.seeds {
            let path = folder(target).join(format!("seed-{name}"));
            let committed = fs::read(&path).unwrap_or_default();
            assert_eq!(&committed, bytes, "{} is out of date", path.display());
        }
        let files: Vec<_> = fs::read_dir(folder(target)).unwrap().map(Result::unwrap).collect();
        assert!((6..=MOST).contains(&files.len()), "{}: {} inputs", target.name, files.len());
        for file in files {
            let input = fs::read(file.path()).unwrap();
            let passed = std::panic::catch_unwind(|| (target.body)(&input));
            assert!(passed.is_ok(), "{} fails on {}", target.name, file.path().display());
        }
    }
}

/// Writes the seeds.
pub(crate) fn write(targets: &[Target]) {
    for target in targets {
        fs::create_dir_all(folder(target)).unwrap();
        for (name, bytes) in &target.seeds {
            fs::write(folder(target).join(format!("seed-{name}")), bytes).unwrap();
        }
    }
}
