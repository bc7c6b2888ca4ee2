//! What the dependencies are held to, of the program, of the fuzz targets and of the benchmarks'
//! reference servers: the parts of deny.toml that need no more than what cargo knows.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::{spdx, top};
use crate::harness::process::skip;

/// Where a manifest and its lock file are, from the top.
const WORKSPACES: [&str; 3] = [".", "fuzz", "bench/reference"];

fn deny() -> toml::Table {
    fs::read_to_string(top().join("deny.toml")).unwrap().parse().unwrap()
}

fn words(list: &toml::Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect()
}

/// Dependencies come from one registry, and none is among those that deny.toml bans.
#[test]
fn sources_and_bans() {
    let deny = deny();
    let banned = deny["bans"]["deny"].as_array().unwrap();
    let banned: Vec<&str> = banned.iter().map(|ban| ban["crate"].as_str().unwrap()).collect();
    assert!(banned.contains(&"bincode"), "the list was read: {banned:?}");
    let registry = "source = \"registry+https://github.com/rust-lang/crates.io-index\"";
    for workspace in WORKSPACES {
        let lock = fs::read_to_string(top().join(workspace).join("Cargo.lock")).unwrap();
        let sources = lock.lines().filter(|line| line.starts_with("source = "));
        assert!(sources.clone().count() > 20, "{workspace}: they are listed");
        for source in sources {
            assert_eq!(source, registry, "{workspace}");
        }
        for name in &banned {
            let named = lock.contains(&format!("name = \"{name}\"\n"));
            assert!(!named, "{workspace}: {name} is banned");
        }
    }
}

/// What cargo knows of all that is compiled for a workspace; `None` where not all of it is on this
/// machine, as before its first build.
fn packages(workspace: &str) -> Option<Vec<Value>> {
    let manifest = top().join(workspace).join("Cargo.toml");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["metadata", "--locked", "--offline", "--format-version", "1"]);
    cargo.args(["--filter-platform", "x86_64-unknown-linux-gnu", "--manifest-path"]).arg(manifest);
    let output = cargo.output().unwrap();
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(workspace != ".", "{said}");
        skip(&format!("the dependencies of {workspace}: {said}"));
        return None;
    }
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    Some(metadata["packages"].as_array().unwrap().clone())
}

/// The licence of every dependency can be kept to by what deny.toml allows.
#[test]
fn licences() {
    let deny = deny();
    let licences = &deny["licenses"];
    let allowed = words(&licences["allow"]);
    let exceptions = licences["exceptions"].as_array().unwrap();
    for workspace in WORKSPACES {
        let Some(packages) = packages(workspace) else { continue };
        // What has no source is our own.
        let others = packages.iter().filter(|package| !package["source"].is_null());
        assert!(others.clone().count() > 20, "{workspace}: they are listed");
        for package in others {
            let name = package["name"].as_str().unwrap();
            let licence = package["license"].as_str();
            let licence = licence.unwrap_or_else(|| panic!("{name} names no licence"));
            let excepted = exceptions.iter().filter(|one| one["crate"].as_str() == Some(name));
            let more: Vec<&str> = excepted.flat_map(|one| words(&one["allow"])).collect();
            let is_allowed = |term: &str| allowed.contains(&term) || more.contains(&term);
            let holds = spdx::holds(licence, is_allowed);
            let holds = holds.unwrap_or_else(|wrong| panic!("{name}: {licence}: {wrong}"));
            assert!(holds, "{workspace}: {name}: its licence {licence} is not among the allowed");
        }
    }
}
