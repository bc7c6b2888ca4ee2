//! A network of one's own, without privileges: a private user namespace that owns a private network
//! namespace, with nothing in it but loopback.

use std::fs;
use std::io;

use rustix::io::Errno;
use sockeye_net::sys::namespace::{interface_up, unshare_network};

/// Why there is no private network. Shown, one sentence of cause and one of remedy.
#[derive(Debug, thiserror::Error)]
#[error("cannot make a private network ({step}: {source}): {cause}. {remedy}")]
pub struct NamespaceError {
    /// What was being done.
    pub step: &'static str,
    /// Why the system does not let us.
    pub cause: &'static str,
    /// What to do about it.
    pub remedy: &'static str,
    /// The system's error.
    pub source: io::Error,
}

/// Moves this process into a private network, with loopback up. Whoever may make one right away
/// (CAP_SYS_ADMIN) does; others get a user namespace around it, in which they keep their own number.
///
/// # Errors
/// Where the system forbids it: which of its settings does is said. The process may then be in a
/// namespace already in which it can do nothing, so end it.
pub fn enter() -> Result<(), NamespaceError> {
    if unshare_network(false).is_err() {
        // Asked before: inside, the answer is "nobody" until the map is written.
        let (user, group) = (rustix::process::getuid(), rustix::process::getgid());
        unshare_network(true).map_err(refused("unshare"))?;
        // A group map may be written only once setgroups(2) is given up: user_namespaces(7).
        let steps = [
            ("setgroups", "deny".to_owned()),
            ("uid_map", format!("{0} {0} 1", user.as_raw())),
            ("gid_map", format!("{0} {0} 1", group.as_raw())),
        ];
        for (name, text) in steps {
            fs::write(format!("/proc/self/{name}"), text).map_err(refused(name))?;
        }
    }
    interface_up("lo").map_err(refused("set lo up"))
}

fn refused(step: &'static str) -> impl Fn(io::Error) -> NamespaceError {
    move |source| {
        let errno = source.raw_os_error().map(Errno::from_raw_os_error);
        let (cause, remedy) = reason(errno, |name| {
            let text = fs::read_to_string(format!("/proc/sys/{name}")).ok()?;
            text.trim().parse().ok()
        });
        NamespaceError { step, cause, remedy, source }
    }
}

/// The setting that forbids it, as far as the error and the settings tell.
fn reason(
    errno: Option<Errno>,
    setting: impl Fn(&str) -> Option<u64>,
) -> (&'static str, &'static str) {
    let forbids = |name, value| setting(name) == Some(value);
    if forbids("kernel/apparmor_restrict_unprivileged_userns", 1) {
        return (
            "AppArmor keeps unprivileged programs from using user namespaces \
             (kernel.apparmor_restrict_unprivileged_userns is 1)",
            "Run it with sudo, or allow it with `sudo sysctl \
             kernel.apparmor_restrict_unprivileged_userns=0`",
        );
    }
    if forbids("kernel/unprivileged_userns_clone", 0) {
        return (
            "this system keeps user namespaces for root (kernel.unprivileged_userns_clone is 0)",
            "Run it with sudo, or allow it with `sudo sysctl kernel.unprivileged_userns_clone=1`",
        );
    }
    for (name, cause, remedy) in [
        (
            "user/max_user_namespaces",
            "this system allows no user namespaces (user.max_user_namespaces is 0)",
            "Run it with sudo, or allow some with `sudo sysctl user.max_user_namespaces=10000`",
        ),
        (
            "user/max_net_namespaces",
            "this system allows no network namespaces (user.max_net_namespaces is 0)",
            "Allow some with `sudo sysctl user.max_net_namespaces=10000`",
        ),
    ] {
        if forbids(name, 0) {
            return (cause, remedy);
        }
    }
    match errno {
        Some(Errno::NOSPC | Errno::USERS) => (
            "there are as many namespaces as the system allows",
            "End programs that hold some (`lsns -t net`), or raise user.max_net_namespaces and \
             user.max_user_namespaces with `sudo sysctl`",
        ),
        Some(Errno::PERM | Errno::ACCESS) => (
            "a sandbox around us forbids it, as those of containers usually do (seccomp)",
            "Run it outside the container, or as root on the machine itself",
        ),
        Some(Errno::INVAL | Errno::NOSYS) => (
            "this kernel was built without user or network namespaces",
            "Run it as root against a server outside instead",
        ),
        _ => ("the system refused", "Run it as root, or against a server outside instead"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// O2: what forbids a private network is named by its own setting, and how to allow it.
    #[test]
    fn reasons() {
        let only = |name: &'static str, value| move |asked: &str| (asked == name).then_some(value);
        let perm = Some(Errno::PERM);
        for (name, value, word) in [
            ("kernel/apparmor_restrict_unprivileged_userns", 1, "AppArmor"),
            ("kernel/unprivileged_userns_clone", 0, "unprivileged_userns_clone is 0"),
            ("user/max_user_namespaces", 0, "max_user_namespaces is 0"),
            ("user/max_net_namespaces", 0, "max_net_namespaces is 0"),
        ] {
            let (cause, remedy) = reason(perm, only(name, value));
            assert!(cause.contains(word) && remedy.contains("sysctl"), "{cause}: {remedy}");
        }
        let (cause, _) = reason(perm, |_| None);
        assert!(cause.contains("seccomp"), "{cause}");
        // A setting that allows it is not blamed.
        let (cause, _) = reason(Some(Errno::NOSPC), only("user/max_user_namespaces", 5));
        assert!(cause.contains("as many namespaces"), "{cause}");
    }
}
