//! Q3: arguments beat the environment, which beats the configuration, for `cp` and `sync`.

use std::os::unix::fs::MetadataExt;
use std::process::Command;

use crate::harness::files::{Site, put};
use crate::harness::process::{Output, run_command};

fn runs(mut command: Command, environment: &[(&str, &str)]) -> Output {
    command.envs(environment.iter().copied());
    run_command(command, b"")
}

/// A site whose user has a configuration.
fn configured(text: &str) -> Site {
    let site = Site::new();
    put(site.there(".config/sockeye/config.toml"), text);
    site
}

/// Q3: `archive` of the configuration keeps hard links, the environment's word beats it, and an
/// argument beats both.
#[test]
fn archive() {
    let site = configured("[files]\narchive = true\n");
    put(site.here("tree/a"), "a");
    std::fs::hard_link(site.here("tree/a"), site.here("tree/b")).unwrap();
    let links = |name: &str, words: &[&str], environment: &[(&str, &str)]| {
        let destination = format!(":{name}");
        let words = [&["cp", "tree/", &destination], words].concat();
        let output = runs(site.command(&words), environment);
        assert_eq!(output.code, Some(0), "{name}: {output:?}");
        site.there(name).join("a").metadata().unwrap().nlink()
    };
    assert_eq!(links("configured", &[], &[]), 2);
    assert_eq!(links("environment", &[], &[("SOCKEYE_ARCHIVE", "off")]), 1);
    assert_eq!(links("argument", &["-a"], &[("SOCKEYE_ARCHIVE", "off")]), 2);
    assert_eq!(links("against", &["--archive=off"], &[("SOCKEYE_ARCHIVE", "on")]), 1);
}

/// Q3: values that are none are named by where they stood, and nothing is done.
#[test]
fn no_values() {
    for (text, said) in [
        ("[files]\nlimit = \"fast\"\n", "limit in the configuration"),
        ("[files]\nlimit = \"1K\"\n", "--limit is at least 8K"),
        ("[files]\nstreams = 0\n", "streams in the configuration"),
        ("[files]\nstreams = 1000\n", "streams in the configuration"),
        ("[files]\nset = [\"speed=on\"]\n", "set in the configuration"),
        ("[files]\nsource = \"nowhere\"\n", "source in the configuration"),
        ("[files]\ndelete = true\n", "delete"),
    ] {
        let site = configured(text);
        put(site.here("a"), "a");
        let output = runs(site.command(&["cp", "a", ":b"]), &[]);
        assert_eq!(output.code, Some(2), "{text}: {output:?}");
        assert!(output.stderr.contains(said), "{text} does not say {said:?}: {output:?}");
        assert!(!site.there("b").exists(), "{text}");
    }
    let site = Site::new();
    put(site.here("a"), "a");
    let output = runs(site.command(&["cp", "a", ":b"]), &[("SOCKEYE_STREAMS", "many")]);
    assert_eq!(output.code, Some(2), "{output:?}");
}

/// Q3: a configuration is for all transfers, so what a standard stream cannot keep of it is left.
#[test]
fn streams_have_no_ignore_files() {
    let site = configured("[files]\ngitignore = true\n");
    put(site.here("tree/.gitignore"), "left-out");
    put(site.here("tree/left-out"), "");
    put(site.there("a"), "text");
    let output = runs(site.command(&["cp", ":a", "-"]), &[]);
    assert_eq!((output.code, output.stdout.as_slice()), (Some(0), &b"text"[..]), "{output:?}");
    site.well(&["sync", "tree", ":tree"]);
    assert!(!site.there("tree/left-out").exists() && site.there("tree/.gitignore").exists());
}
