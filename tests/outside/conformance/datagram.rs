//! Bodies of the conformance suite for datagrams.

use super::Cell;
use super::stream::{assert_chargen, assert_daytime, assert_quote, assert_time};
use crate::harness::bytes::{Random, answer};
use crate::harness::{Gram, Server, eventually};

/// From nothing to the largest that UDP over IPv4 carries.
const SIZES: [usize; 9] = [0, 1, 3, 4, 26, 72, 512, 1400, 65_507];

/// V1, V2: each datagram is answered by one of the same size; an empty one by an empty one.
fn answers(cell: Cell, service: &str) {
    let server = cell.serve(service);
    let gram = server.gram();
    for (round, size) in SIZES.into_iter().enumerate() {
        let request = Random::new(round as u64).bytes(size);
        assert!(gram.ask(&request) == answer(service, &request), "{service}, {size} bytes");
    }
    assert_eq!(gram.pending(), Vec::<Vec<u8>>::new(), "one answer each");
}

pub(super) fn upper_answers(cell: Cell) {
    answers(cell, "upper");
}

pub(super) fn echo_answers(cell: Cell) {
    answers(cell, "echo");
}

/// All datagrams that `server` ever answered: collected after its end, when no more can come.
fn all_answers(mut server: Server, gram: &Gram) -> Vec<Vec<u8>> {
    server.stop();
    gram.pending()
}

/// RFC 863: nothing comes back.
pub(super) fn discard_is_silent(cell: Cell) {
    let server = cell.serve("discard");
    let gram = server.gram();
    for size in SIZES {
        gram.send(&vec![b'x'; size]);
    }
    assert_eq!(all_answers(server, &gram), Vec::<Vec<u8>>::new());
}

/// RFC 864 and V2: characters, never more of them than the request had bytes.
pub(super) fn chargen_is_no_longer(cell: Cell) {
    let server = cell.serve("chargen");
    let gram = server.gram();
    for size in SIZES.into_iter().filter(|size| *size > 0) {
        let answer = gram.ask(&vec![0; size]);
        assert!(!answer.is_empty() && answer.len() <= size, "{} for {size}", answer.len());
        assert_chargen(&answer);
    }
    gram.send(b"");
    let rest = all_answers(server, &gram);
    assert!(rest.iter().all(Vec::is_empty), "no bytes are asked for with none");
}

/// V2: an answer that is longer than what asked for it is not sent; one that fits is.
fn fits(cell: Cell, service: &str, check: impl Fn(&[u8])) {
    let server = cell.serve(service);
    let gram = server.gram();
    let whole = gram.ask(&[0; 1400]);
    check(&whole);
    let just = gram.ask(&vec![0; whole.len()]);
    assert_eq!(just.len(), whole.len(), "asked with exactly as many bytes");
    for size in [0, 1, 3, whole.len() - 1] {
        gram.send(&vec![0; size]);
    }
    check(&gram.ask(&[0; 600]));
    let rest = all_answers(server, &gram);
    assert_eq!(rest, Vec::<Vec<u8>>::new(), "short requests must stay without an answer");
}

pub(super) fn daytime_fits(cell: Cell) {
    fits(cell, "daytime", |text| assert_daytime(&String::from_utf8_lossy(text)));
}

pub(super) fn qotd_fits(cell: Cell) {
    fits(cell, "qotd", assert_quote);
}

pub(super) fn time_fits(cell: Cell) {
    fits(cell, "time", assert_time);
}

/// M5: forty clients at once each get their own answers.
pub(super) fn upper_many_clients(cell: Cell) {
    let server = cell.serve("upper");
    let grams: Vec<Gram> = (0..40).map(|_| server.gram()).collect();
    for round in 0..10 {
        for (number, gram) in grams.iter().enumerate() {
            gram.send(format!("client {number} round {round}").as_bytes());
        }
        for (number, gram) in grams.iter().enumerate() {
            let expected = format!("CLIENT {number} ROUND {round}");
            assert_eq!(String::from_utf8_lossy(&gram.receive()), expected);
        }
    }
    // Nobody got what was somebody else's.
    eventually("no answer is left over", || grams.iter().all(|gram| gram.pending().is_empty()));
}
