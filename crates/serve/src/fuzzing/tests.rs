//! The committed corpora of these targets.

#[path = "../../../../fuzz/corpora.rs"]
mod corpora;

use corpora::Target;

type Seeds = Vec<(&'static str, Vec<u8>)>;

const NAMES: [&str; 7] = ["upper", "echo", "discard", "daytime", "qotd", "chargen", "time"];

fn each(rest: impl Fn(u8) -> Vec<u8>) -> Seeds {
    (0u8..).zip(NAMES).map(|(n, name)| (name, rest(n))).collect()
}

fn stream_seeds() -> Seeds {
    let mut seeds = each(|n| [&[n, n][..], b"Hello, \xffworld {z}\r\n"].concat());
    seeds.push(("all-bytes", [0, 0].into_iter().chain(0..=255).collect()));
    seeds.push(("nothing", vec![5, 5]));
    seeds
}

fn datagram_seeds() -> Seeds {
    let mut seeds = each(|n| [&[n, 1][..], b"abcdefghi!", &[0, 60], &[b'x'; 600]].concat());
    seeds.push(("short", vec![3, 1, b'a']));
    seeds.push(("empty-ones", vec![1, 0, 0, 0]));
    seeds
}

/// The seeds' numbers are those of the services that they are named for.
#[test]
fn numbers() {
    let names: Vec<&str> = crate::services::all().iter().map(|one| one.name()).collect();
    assert_eq!(names, NAMES);
}

fn targets() -> Vec<Target> {
    use super::{datagrams, streams};
    vec![
        Target { name: "stream_services", body: streams, seeds: stream_seeds() },
        Target { name: "datagram_services", body: datagrams, seeds: datagram_seeds() },
    ]
}

/// Q4, V1, V2: every committed input of the targets passes.
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
