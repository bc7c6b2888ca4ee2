//! The committed corpora of these targets.

#[path = "../../../../fuzz/corpora.rs"]
mod corpora;

use corpora::Target;
use sockeye_wire::files::Time;

use crate::receive::journal::header;

/// Size, seconds and length, then what stands in the journal.
fn seed(numbers: [u64; 3], journal: &[u8]) -> Vec<u8> {
    [&numbers.map(u64::to_be_bytes).concat()[..], journal].concat()
}

fn targets() -> Vec<Target> {
    const MIB: u64 = 1 << 20;
    let file = [10 * MIB, 7, 3 * MIB];
    let marks = |count: usize| [&[0][..], &[9; 32].repeat(count)].concat();
    // The boot's name is another one each time, so a seed has none.
    let mut other_boot = header(file[0], Time { seconds: 7, nanoseconds: 5 });
    other_boot.truncate(28);
    other_boot.extend([1; 32 * 3]);
    let seeds = vec![
        ("none", seed(file, &[])),
        ("right", seed(file, &marks(2))),
        ("too-many", seed(file, &marks(9))),
        ("half-a-mark", seed(file, &marks(2)[..50])),
        ("other-boot", seed(file, &other_boot)),
        ("magic", seed(file, b"sockeye2")),
        ("empty-file", seed([0, 0, 0], &marks(1))),
        ("huge", seed([u64::MAX, u64::MAX, u64::MAX], &marks(3))),
        ("cut", seed(file, &other_boot[..27])),
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
