//! For tests: the bodies of the fuzz targets, which panic where something is wrong.

use sockeye_limits as limits;

use crate::datagram::{Reason, answer};
use crate::responder::{Flow, Reply, Responder};
use crate::services;

#[cfg(test)]
mod tests;

/// Most rounds of a service that talks without end.
const ROUNDS: usize = 3;

/// What a service says on a stream depends on what came and not on how it was cut. The first byte
/// is the length of the pieces, the second the service.
pub fn streams(data: &[u8]) {
    let [piece, choice, input @ ..] = data else { return };
    let all = services::all();
    let service = &all[usize::from(*choice) % all.len()];
    let new = || service.respond().expect("built-in services are responders");
    let said = stream(&mut *new(), input, input.len().max(1));
    match service.name() {
        "upper" => assert_eq!(said, input.to_ascii_uppercase()),
        "echo" => assert_eq!(said, input),
        "discard" => assert!(said.is_empty()),
        "time" => assert_eq!(said.len(), 4),
        "daytime" => assert!(said.ends_with(b"\r\n") && said.is_ascii()),
        "qotd" => assert!(said.ends_with(b"\r\n") && said.len() <= limits::QUOTE_MAX),
        _ => assert!(said.chunks(74).all(|line| line.ends_with(b"\r\n")), "lines of chargen"),
    }
    // The clock may move between two calls.
    if !matches!(service.name(), "time" | "daytime" | "qotd") {
        let cut = stream(&mut *new(), input, usize::from(*piece) + 1);
        assert_eq!(cut, said, "{} cut into pieces of {}", service.name(), *piece + 1);
    }
}

/// All that a responder says: what a driver does, without a socket.
fn stream(responder: &mut dyn Responder, input: &[u8], piece: usize) -> Vec<u8> {
    let (mut reply, mut out) = (Reply::default(), Vec::new());
    let mut flow = responder.open(&mut reply);
    take(&mut reply, &mut [], &mut out);
    for _ in 0..ROUNDS {
        if flow != Flow::Again {
            break;
        }
        flow = responder.resume(&mut reply);
        take(&mut reply, &mut [], &mut out);
    }
    for piece in input.chunks(piece) {
        if flow != Flow::Continue {
            return out;
        }
        let mut piece = piece.to_vec();
        flow = responder.respond(&mut piece, &mut reply);
        take(&mut reply, &mut piece, &mut out);
    }
    responder.finish(&mut reply);
    take(&mut reply, &mut [], &mut out);
    out
}

fn take(reply: &mut Reply, input: &mut [u8], out: &mut Vec<u8>) {
    assert!(reply.in_place_len() <= input.len(), "more in place than there is");
    out.extend_from_slice(&input[..reply.in_place_len()]);
    out.extend_from_slice(reply.own());
    reply.clear();
}

/// No answer to a datagram is longer than the question, whatever came before. The first byte is the
/// service; each datagram follows its length in a byte, which stands for ten times as much.
pub fn datagrams(data: &[u8]) {
    let Some((choice, mut rest)) = data.split_first() else { return };
    let all = services::all();
    let service = &all[usize::from(*choice) % all.len()];
    let mut responder = service.respond_to_datagrams();
    let mut reply = Reply::default();
    while let Some((length, after)) = rest.split_first() {
        let (question, after) = after.split_at(after.len().min(usize::from(*length) * 10));
        rest = after;
        let mut place = question.to_vec();
        reply.clear();
        responder.datagram(&mut place, &mut reply);
        let found = answer(&reply, &mut place);
        assert_eq!(place.len(), question.len());
        check_answer(service.name(), question, &place, found);
    }
}

fn check_answer(name: &str, question: &[u8], place: &[u8], found: Result<Option<usize>, Reason>) {
    let said = match found {
        Ok(Some(length)) => &place[..length],
        Ok(None) => return assert_eq!(name, "discard"),
        // Only what is of fixed length can be too long.
        Err(reason) => {
            assert_eq!(reason, Reason::TooShort);
            assert!(matches!(name, "time" | "daytime" | "qotd"), "{name} is cut off");
            return assert!(question.len() < limits::QUOTE_MAX);
        }
    };
    assert!(said.len() <= question.len(), "{name} amplifies");
    match name {
        "upper" => assert_eq!(said, question.to_ascii_uppercase()),
        "echo" => assert_eq!(said, question),
        "chargen" => assert_eq!(said.len(), question.len()),
        "time" => assert_eq!(said.len(), 4),
        _ => assert!(said.ends_with(b"\r\n"), "{name}"),
    }
}
