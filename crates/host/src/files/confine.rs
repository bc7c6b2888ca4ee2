//! A transfer's thread may touch the trees that it is for, and nothing else (Landlock).

use std::os::fd::AsFd;

use landlock::{
    ABI, Access, AccessFs, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreatedAttr, RulesetError,
};

/// What a thread may do with a tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Read it.
    Read,
    /// All of it.
    Write,
}

/// Holds the calling thread, and those that it starts, to these trees, as far as the kernel can. Each
/// is needed only while it is taken.
///
/// # Errors
/// Where the kernel has Landlock and still failed: nobody should go on then.
pub(super) fn confine<T: AsFd>(
    trees: impl IntoIterator<Item = (T, Reach)>,
) -> Result<(), RulesetError> {
    let abi = ABI::V5;
    let mut ruleset = Ruleset::default()
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(abi))?
        .create()?;
    for (tree, access) in trees {
        let rights: BitFlags<AccessFs> = match access {
            Reach::Read => AccessFs::from_read(abi),
            Reach::Write => AccessFs::from_all(abi),
        };
        ruleset = ruleset.add_rule(PathBeneath::new(tree, rights & !AccessFs::Execute))?;
    }
    // What tells one start of this machine from another.
    if let Ok(boot) = PathFd::new("/proc/sys/kernel/random/boot_id") {
        ruleset = ruleset.add_rule(PathBeneath::new(boot, AccessFs::ReadFile))?;
    }
    ruleset.restrict_self().map(|_| ())
}
