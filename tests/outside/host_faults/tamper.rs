//! Records changed on the way (fault 50): both ends learn of it, nothing wrong is handed on.

use super::forward::{Forwarder, Meddle, Trick, Way};
use super::hostile::commands;
use crate::harness::bytes::Random;
use crate::harness::eventually;
use crate::harness::process::run_command;
use crate::harness::remote::Host;

const TRICKS: [Trick; 6] =
    [Trick::FlipFirst, Trick::FlipMiddle, Trick::FlipLast, Trick::Drop, Trick::Repeat, Trick::Swap];

/// A conversation of many records each way, one of them meddled with.
fn meddled(host: &Host, way: Way, index: usize, trick: Trick, data: &[u8]) {
    let forwarder = Forwarder::before(host, Meddle::Record(way, index, trick));
    let mut command = host.home.command(&["exec", &forwarder.endpoint(), "--", "cat"]);
    command.env_remove("SSH_AUTH_SOCK");
    let output = run_command(command, data);
    let what = format!("{trick:?} of record {index} {way:?}");
    assert_eq!(output.code, Some(255), "{what}: {}", output.stderr);
    assert!(data.starts_with(&output.stdout), "{what}: other bytes came than were sent");
    assert!(output.stdout.len() < data.len(), "{what}: all of it came");
    assert!(output.stderr.starts_with("sockeye: "), "{what}: {}", output.stderr);
    assert_eq!(output.stderr.lines().count(), 1, "{what}: {}", output.stderr);
}

fn all_tricks(way: Way) {
    let host = Host::start();
    let data = Random::new(50).bytes(600_000);
    for index in [0, 1, 2, 3, 5, 9] {
        for trick in TRICKS {
            meddled(&host, way, index, trick, &data);
        }
    }
    eventually("no command is left", || commands(&host) == 0);
    let output = host.line("echo well");
    assert_eq!(output.stdout, b"well\n", "{output:?}");
}

/// Fault 50: a bit flipped in, or a record dropped, repeated or moved on its way to the client.
#[test]
fn on_the_way_to_the_client() {
    all_tricks(Way::ToClient);
}

/// Fault 50: the same on its way to the server.
#[test]
fn on_the_way_to_the_server() {
    all_tricks(Way::ToServer);
}

/// Fault 50: what is carried unchanged arrives, so it is the changes that are refused.
#[test]
fn unchanged() {
    let host = Host::start();
    let data = Random::new(51).bytes(600_000);
    let forwarder = Forwarder::before(&host, Meddle::Nothing);
    let command = host.home.command(&["exec", &forwarder.endpoint(), "--", "cat"]);
    let output = run_command(command, &data);
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    assert!(output.stdout == data);
    assert!(forwarder.carried(Way::ToServer) > data.len());
}
