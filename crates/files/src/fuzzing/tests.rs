//! The committed corpora of these targets.

#[path = "../../../../fuzz/corpora.rs"]
mod corpora;

use corpora::Target;
use sockeye_wire::files::{Name, Time};

use crate::receive::journal::{BOOT, HEADER, Version, header};

/// Size, seconds and length, then what stands in the journal.
fn seed(numbers: [u64; 3], journal: &[u8]) -> Vec<u8> {
    [&numbers.map(u64::to_be_bytes).concat()[..], journal].concat()
}

fn targets() -> Vec<Target> {
    const MIB: u64 = 1 << 20;
    let file = [10 * MIB, 7, 3 * MIB];
    let marks = |count: usize| [&[0][..], &[9; 32].repeat(count)].concat();
    // The boot's name is another one each time, so a seed has none.
    let version = Version { size: file[0], mtime: Time { seconds: 7, nanoseconds: 5 } };
    let mut other_boot = header(&Name::new(b"file").unwrap(), version);
    other_boot.truncate(HEADER - BOOT);
    other_boot.extend([1; 32 * 3]);
    let mut other_name = other_boot.clone();
    other_name[8] = 3;
    let seeds = vec![
        ("none", seed(file, &[])),
        ("right", seed(file, &marks(2))),
        ("too-many", seed(file, &marks(9))),
        ("half-a-mark", seed(file, &marks(2)[..50])),
        ("other-boot", seed(file, &other_boot)),
        ("magic", seed(file, b"sockeye3")),
        ("other-name", seed(file, &other_name)),
        ("empty-file", seed([0, 0, 0], &marks(1))),
        ("huge", seed([u64::MAX, u64::MAX, u64::MAX], &marks(3))),
        ("cut", seed(file, &other_boot[..HEADER - BOOT - 1])),
    ];
    vec![Target { name: "journal", body: super::journal, seeds }]
}

/// Q4: every committed input of the target passes.
#[test]
fn replay() {
    corpora::replay(&targets());
}

/// Writes the seeds.
#[test]
#[ignore = "writes to the tree; for whoever changes a format"]
fn write_corpora() {
    corpora::write(&targets());
}
