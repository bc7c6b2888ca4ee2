//! Streams that end, and bytes that are hurt on the way (clauses P-E1 to P-E5).

use proptest::prelude::*;

use super::*;
use crate::pair::{Heard, Tamper};
use crate::{Phase, Side};

/// What two commands, one after the other, came to at both ends.
struct Outcome {
    /// How often a command's end was heard.
    ends: usize,
    client: Result<(), ProtocolError>,
    server: Result<(), ProtocolError>,
    output: Vec<Vec<u8>>,
    length: (usize, usize),
}

/// What the server of the conversation answers to what it has heard but not yet answered.
fn serve(pair: &mut Pair, answered: &mut usize) {
    let (server, mut out) = (&mut pair.server, Vec::new());
    while *answered < pair.server_heard.len() {
        // Data may still grow; it is not answered.
        match &pair.server_heard[*answered] {
            Heard::Run(_) => server.started(1, &mut out).unwrap(),
            Heard::StdinEnd => {
                out.extend(server.stdout_header(6).unwrap());
                out.extend(b"output");
                out.extend(server.stderr_header(2).unwrap());
                out.extend(b"er");
                server.ended(ended(6, 2), &mut out).unwrap();
            }
            _ => {}
        }
        *answered += 1;
    }
    pair.downward.put(&out);
}

/// One conversation of two commands, with something done to one of its directions.
fn converse(seed: u64, upward: Option<Tamper>, downward: Option<Tamper>) -> Outcome {
    let mut pair = Pair::new(seed);
    pair.upward.tamper = upward;
    pair.downward.tamper = downward;
    let result = talk(&mut pair);
    let blame = |side| result.err().filter(|error: &ProtocolError| error.guilty() == side);
    let client = blame(Side::Server).map_or_else(|| pair.client.end(), Err);
    let server = blame(Side::Client).map_or_else(|| pair.server.end(), Err);
    let is_end = |heard: &&Heard| matches!(heard, Heard::Ended(_));
    let output = pair.client_heard.iter().filter_map(|heard| match heard {
        Heard::Stdout(bytes) => Some(bytes.clone()),
        _ => None,
    });
    Outcome {
        ends: pair.client_heard.iter().filter(is_end).count(),
        client,
        server,
        output: output.collect(),
        length: (pair.upward.stream().len(), pair.downward.stream().len()),
    }
}

fn talk(pair: &mut Pair) -> Result<(), ProtocolError> {
    let mut out = Vec::new();
    pair.server.hello("server/1", &mut out).unwrap();
    pair.downward.put(&out);
    out.clear();
    pair.client.hello("client/1", &mut out).unwrap();
    let mut answered = 0;
    for _ in 0..2 {
        pair.client.run(&with_stdin(), &mut out).unwrap();
        out.extend(pair.client.stdin_header(5).unwrap());
        out.extend(b"input");
        pair.client.stdin_end(&mut out).unwrap();
        pair.upward.put(&out);
        out.clear();
        pair.settle()?;
        serve(pair, &mut answered);
        pair.settle()?;
        if pair.client.phase() != Phase::Idle {
            break;
        }
    }
    Ok(())
}

/// Fault 47, P-E1: a conversation that is whole ends well; cut anywhere else it is never success.
#[test]
fn cut() {
    let whole = converse(1, None, None);
    assert_eq!((whole.client, whole.server, whole.ends), (Ok(()), Ok(()), 2));
    assert_eq!(whole.output.concat(), b"outputoutput");
    for place in 0..whole.length.1 {
        let part = converse(place as u64, None, Some(Tamper::Cut(place)));
        // The client asks for its second command as soon as the first is over, so that the only
        // clean end is the whole.
        assert_eq!(fault(part.client), Fault::Truncated, "downward at {place}");
    }
    // Behind the Hello, and behind all that the client says of its first command.
    let hello = 8 + 2 + 1 + "client/1".len();
    let between = [hello, hello + (whole.length.0 - hello) / 2];
    for place in 0..whole.length.0 {
        let part = converse(place as u64, Some(Tamper::Cut(place)), None);
        let between = between.contains(&place);
        assert_eq!(part.server.is_ok(), between, "upward at {place}: {:?}", part.server);
        assert!(part.client.is_err(), "upward at {place}");
        assert!(part.ends < 2, "upward at {place}");
    }
}

proptest! {
    /// Fault 50, P-E4: a byte that is turned on the way never panics, and no end is made up.
    #[test]
    fn flipped(place in 0usize..250, bits in 1u8..=255, seed: u64, down: bool) {
        let tamper = Some(Tamper::Flip(place, bits));
        let (up, down) = if down { (None, tamper) } else { (tamper, None) };
        let outcome = converse(seed, up, down);
        prop_assert!(outcome.ends == 2 || outcome.client.is_err());
    }

    /// Fault 50, P-E4: bytes that come twice never panic, and no end is made up.
    #[test]
    fn repeated(place in 0usize..250, count in 1usize..60, seed: u64, down: bool) {
        let tamper = Some(Tamper::Repeat(place, count));
        let (up, down) = if down { (None, tamper) } else { (tamper, None) };
        let outcome = converse(seed, up, down);
        prop_assert!(outcome.ends == 2 || outcome.client.is_err());
    }
}

/// Fault 47, P-E5: an end that counts other output than came is refused.
#[test]
fn counts() {
    for wrong in [ended(1, 0), ended(0, 1), ended(u64::MAX, u64::MAX)] {
        let mut pair = running(&with_stdin());
        let mut bytes = frame(Kind::Ended as u8, &[&[1, 0, 0][..], &[0; 24]].concat());
        bytes[8..16].copy_from_slice(&wrong.stdout_bytes.to_be_bytes());
        bytes[16..24].copy_from_slice(&wrong.stderr_bytes.to_be_bytes());
        let heard = to_client(&mut pair.client, &bytes);
        assert!(matches!(fault(heard), Fault::Counts { came: 0, .. }));
    }
}

/// Fault 47, P-E1: an end in every phase, and its text.
#[test]
fn every_phase() {
    assert_eq!(fault(Server::new(NOW).end()), Fault::Truncated);
    assert_eq!(fault(Client::new(NOW).end()), Fault::Truncated);
    for mut pair in [asked(&with_stdin()), running(&with_stdin())] {
        assert_eq!(pair.server.end().unwrap_err().guilty(), Side::Client);
        let error = pair.client.end().unwrap_err();
        assert_eq!((error.guilty(), error.fault()), (Side::Server, Fault::Truncated));
        assert!(error.to_string().contains("truncated"), "{error}");
        assert_eq!(pair.client.end(), Err(error));
    }
    let mut pair = greeted();
    assert_eq!((pair.client.end(), pair.server.end()), (Ok(()), Ok(())));
    assert_eq!(to_server(&mut pair.server, &[1]), Ok(0));
    assert_eq!(fault(pair.server.end()), Fault::Truncated);
}
