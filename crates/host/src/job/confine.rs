//! What a command may not do, as far as this kernel can hold it to that.

use std::os::fd::OwnedFd;

use landlock::{ABI, Access, CompatLevel, Compatible, Ruleset, RulesetAttr, Scope};

use super::plan::Confinement;

/// A confinement that this kernel can hold, ready to be applied in the child.
#[derive(Debug)]
pub(super) struct Confined {
    /// What of it holds.
    pub(super) holds: Confinement,
    /// The Landlock ruleset, where there is one.
    pub(super) ruleset: Option<OwnedFd>,
}

/// Prepares a confinement. What the kernel does not know is left out.
pub(super) fn prepare(wanted: Confinement) -> Confined {
    let ruleset = if wanted.scoped { scopes() } else { None };
    let scoped = ruleset.is_some();
    // landlock_restrict_self(2) demands it of everybody without CAP_SYS_ADMIN.
    let forced = scoped && !rustix::process::geteuid().is_root();
    let holds = Confinement { no_new_privileges: wanted.no_new_privileges || forced, scoped };
    Confined { holds, ruleset }
}

/// A ruleset that handles no access, only scopes: they came as one with ABI 6. Tracing processes
/// outside is forbidden by any ruleset.
fn scopes() -> Option<OwnedFd> {
    Ruleset::default()
        .set_compatibility(CompatLevel::HardRequirement)
        .scope(Scope::from_all(ABI::V6))
        .ok()?
        .create()
        .ok()?
        .into()
}
