//! Faults 57 and 69: what a kill at any step, two transfers and two users leave of each other.

use std::fs;
use std::os::unix::fs::chown;

use super::storage::{Pair, User, injected};
use crate::harness::eventually;
use crate::harness::files::{Site, litter, noise, put};
use crate::harness::process::{needs, needs_root};
use crate::harness::remote::Running;

const MIB: usize = 1024 * 1024;

/// What changes files, from when a temporary one is locked until the file has its name.
const STEPS: [&str; 7] = [
    "flock",
    "pwrite64",
    "ftruncate",
    "fchmod",
    "utimensat",
    "/^rename(at|at2)?$",
    "/^unlink(at)?$",
];

/// Kills a client before each call of this kind, one after another, until none is left; how often
/// it was killed, and how often that left something.
fn killed_before(site: &Site, call: &str, name: &str) -> (usize, usize) {
    let new = fs::read(site.there(name)).unwrap();
    let words = ["cp", &format!(":{name}"), "."];
    let mut left = 0;
    for step in 1..100 {
        put(site.here(name), "old");
        let inject = format!("{call}:signal=KILL:when={step}");
        let output = injected(site, &words, &["-e", &format!("trace={call}")], &inject);
        let now = fs::read(site.here(name)).unwrap();
        assert!(now == b"old" || now == new, "{name} is torn before {call} {step}");
        if output.code == Some(0) {
            assert!(now == new);
            return (step - 1, left);
        }
        left += usize::from(!litter(&site.here("")).is_empty());
        site.well(&words);
        assert!(fs::read(site.here(name)).unwrap() == new, "{name} after {call} {step}");
        let litter = litter(&site.here(""));
        assert!(litter.is_empty(), "{name} after {call} {step}: {litter:?}");
    }
    panic!("it never comes to its end");
}

/// Fault 57, F3: a receiver that is killed before any one of its steps leaves the old file or the new
/// one, and what the next one goes on with or removes.
#[test]
fn killed_at_each_step() {
    if !needs(&["strace"]) {
        return;
    }
    let site = Site::new();
    put(site.there("small"), "new");
    put(site.there("large"), noise(2, 2 * MIB + MIB / 2));
    for (name, least) in [("small", 4), ("large", 10)] {
        let each = STEPS.map(|call| killed_before(&site, call, name));
        let killed: usize = each.iter().map(|(killed, _)| killed).sum();
        let left: usize = each.iter().map(|(_, left)| left).sum();
        assert!(killed >= least && left >= 3, "{name}: {each:?}");
    }
}

/// Fault 69, F4: two copies at once find what a killed one left: not both of them go on with it, both are
/// whole, and nothing is left.
#[test]
fn two_resume_at_once() {
    let site = Site::new();
    let content = noise(5, 12 * MIB);
    put(site.here("f"), &content);
    for _ in 0..3 {
        let mut client = Running::start(site.command(&["cp", "f", ":g", "--limit", "16M"]));
        eventually("a part has come", || {
            let long = |length: u64| length > 4 * MIB as u64;
            let left = litter(&site.there(""));
            left.iter().any(|path| path.metadata().is_ok_and(|meta| long(meta.len())))
        });
        client.child.kill().unwrap();
        client.wait();
        let mut both = [(); 2].map(|()| Running::start(site.command(&["cp", "f", ":g"])));
        for client in &mut both {
            assert_eq!(client.wait(), Some(0), "{}", client.stderr());
        }
        assert!(fs::read(site.there("g")).unwrap() == content);
        assert!(litter(&site.there("")).is_empty(), "{:?}", litter(&site.there("")));
        fs::remove_file(site.there("g")).unwrap();
    }
}

/// F1, F3: what a killed copy left of a file that the source has no more goes with `--delete`, and not
/// without.
#[test]
fn what_nobody_resumes() {
    let site = Site::new();
    put(site.here("src/other"), "other");
    put(site.here("src/long"), noise(6, 12 * MIB));
    let mut client = Running::start(site.command(&["sync", "src", ":dst", "--limit", "16M"]));
    eventually("a part has come", || {
        let left = litter(&site.there(""));
        left.len() == 2
            && left.iter().any(|path| path.metadata().is_ok_and(|meta| meta.len() > 4 * MIB as u64))
    });
    client.child.kill().unwrap();
    client.wait();
    fs::remove_file(site.here("src/long")).unwrap();
    site.well(&["sync", "src", ":dst"]);
    assert_eq!(litter(&site.there("")).len(), 2, "a part and its journal are kept");
    // Its last holder may still be ending.
    eventually("nothing is left", || {
        site.well(&["sync", "src", ":dst", "--delete"]);
        litter(&site.there("")).is_empty()
    });
    assert!(site.there("dst/other").exists());
}

/// F8, fault 69: what is left of a user's transfer in a directory of several is removed by the next one
/// of that user, and by nobody else's, root's included; what only looks similar by nobody's.
#[test]
fn leftovers_of_another_user() {
    if !needs_root() || !needs(&["setpriv"]) {
        return;
    }
    let Pair { shared, first, users: [one, other], .. } = &Pair::start(300_000);
    let said = format!(".sockeye-{first:08x}{:024x}", 7);
    let digits = blake3::hash(said.as_bytes()).to_hex();
    let left = shared.join(format!("{said}{}", &digits[..8]));
    let similar = shared.join(format!("{said}{}", &digits[8..16]));
    for path in [&left, &similar] {
        put(path.clone(), "part");
        chown(path, Some(*first), Some(*first)).unwrap();
    }
    let root = Site::new();
    put(root.here("f"), "root's");
    root.well(&["cp", "f", &format!(":{}", shared.join("roots").display())]);
    assert!(left.exists(), "root removed it");
    let copied = |user: &User, name: &str| {
        let mut client = user.copies(b"content", &shared.join(name), "8M");
        assert_eq!(client.wait(), Some(0), "{}", client.stderr());
    };
    copied(other, "others");
    assert!(left.exists(), "another user removed it");
    copied(one, "ones");
    assert!(!left.exists() && similar.exists());
}
