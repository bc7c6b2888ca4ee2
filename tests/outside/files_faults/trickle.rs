//! Fault 70: a peer that sends next to nothing is given up, however it does that.

use std::ops::RangeInclusive;
use std::sync::mpsc;
use std::time::Duration;

use sockeye_limits as limits;
use sockeye_wire::files::{FromReceiver, FromSender, Placement};

use super::peers::{Near, TIME, file, push, root, sent, server};
use crate::harness::files::{names_in, put};
use crate::harness::remote::{Home, Host};

const SIZE: u64 = 1 << 20;

/// What comes at once: a file, and that its content begins.
fn begun() -> [FromSender; 3] {
    let begin = FromSender::Begin { file: 0, mtime: TIME, size: Some(SIZE), from: 0 };
    [root(file("f", SIZE)), FromSender::Listed, begin]
}

/// Whole messages, of a byte of content each.
fn bytes_of_content() -> impl FnMut() -> Vec<u8> {
    || sent(&[FromSender::Data(vec![7])])
}

/// One message, a byte at a time.
fn bytes_of_a_message() -> impl FnMut() -> Vec<u8> {
    let message = sent(&[FromSender::Data(vec![7; 10_000])]);
    let mut at = 0..message.len();
    move || at.next().map(|at| vec![message[at]]).expect("it is given up long before the end")
}

/// Between these it has to be given up.
fn patience() -> RangeInclusive<Duration> {
    let (bound, second) = (limits::TRANSFER_FRAME_TIME, Duration::from_secs(1));
    bound - second * 4..=bound + second * 20
}

/// A server that a client trickles to, and how long it bore that.
fn borne(piece: impl FnMut() -> Vec<u8>) -> Duration {
    let host = Host::start();
    put(host.home.path().join("f"), "old");
    let mut near = Near::<FromReceiver>::ask(&host, &push("f", Placement::Exact)).expect("assent");
    let [root, listed, begin] = begun();
    near.say(&sent(&[root, listed]));
    while !matches!(near.hear(), Some(FromReceiver::Want(_))) {}
    near.say(&sent(&[begin]));
    let took = near.trickle(piece);
    assert_eq!(std::fs::read(host.home.path().join("f")).unwrap(), b"old");
    // Whoever comes next is served.
    assert_eq!(host.exec_unix(&["-n", "--", "true"], b"").code, Some(0));
    took
}

/// Fault 70: a client that sends a byte a second, of a message or a message for each, is given up by
/// its server; a server that does so, by its client. The file stays what it was, and the client says
/// why it gave up.
#[test]
fn row_70_a_byte_a_second() {
    std::thread::scope(|scope| {
        let of_content = scope.spawn(|| borne(bytes_of_content()));
        let of_a_message = scope.spawn(|| borne(bytes_of_a_message()));
        let (tell, told) = mpsc::channel();
        let fake = server::<FromReceiver>(async move |mut far| {
            let [root, listed, begin] = begun();
            far.say(&sent(&[root, listed])).await;
            while !matches!(far.hear().await, Some(FromReceiver::Want(_))) {}
            far.say(&sent(&[begin])).await;
            let _ = tell.send(far.trickle(bytes_of_content()).await);
        });
        let (home, here) = (Home::empty(), tempfile::tempdir().unwrap());
        let mut client = home.command(&["cp", ":f", ".", "--via", &fake.endpoint]);
        let output = client.current_dir(here.path()).output().expect("a client");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains("64"), "{said}");
        assert!(!names_in(here.path()).contains(&"f".to_owned()), "{said}");
        let all = [
            of_content.join().expect("a server"),
            of_a_message.join().expect("a server"),
            told.recv().expect("a client"),
        ];
        assert!(all.iter().all(|took| patience().contains(took)), "{all:?}");
    });
}
