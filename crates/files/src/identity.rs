//! Tells a file of this machine from all others, for a peer that may be on the same machine.

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher;
use std::sync::OnceLock;

use rustix::fs::Stat;

/// What stands for this file until the machine is started again: a hash, so that it tells strangers
/// nothing, of the machine's boot id (random(4)), the device and the inode (inode(7)).
pub(crate) fn identity(stat: &Stat) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(boot());
    // The types of these fields differ between architectures.
    #[allow(clippy::unnecessary_cast)]
    hasher.update(&(stat.st_dev as u64).to_be_bytes()).update(&(stat.st_ino as u64).to_be_bytes());
    let mut identity = [0; 16];
    hasher.finalize_xof().fill(&mut identity);
    identity
}

/// What this boot of the machine is called: what was written in another one may not have reached
/// the disk.
pub(crate) fn boot() -> &'static [u8; 32] {
    static BOOT: OnceLock<[u8; 32]> = OnceLock::new();
    BOOT.get_or_init(|| {
        let name = std::fs::read("/proc/sys/kernel/random/boot_id");
        // Without it this process is a machine of its own: better than to take files of two
        // machines for the same.
        let name = name.unwrap_or_else(|_| RandomState::new().hash_one(0).to_be_bytes().to_vec());
        blake3::derive_key("sockeye 2026 files boot id", &name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Row 68: two names of a file are one identity, two files are two.
    #[test]
    fn a_file_is_itself() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name| directory.path().join(name);
        std::fs::write(path("a"), "a").unwrap();
        std::fs::write(path("b"), "a").unwrap();
        std::fs::hard_link(path("a"), path("c")).unwrap();
        let of = |name| identity(&rustix::fs::stat(path(name)).unwrap());
        assert_eq!(of("a"), of("c"));
        assert_ne!(of("a"), of("b"));
        assert_ne!(of("a"), identity(&rustix::fs::stat(directory.path()).unwrap()));
    }
}
