//! Tests of both ends together, by the clauses of PROTOCOL.md.

mod bounds;
mod corpora;
mod credit;
mod document;
mod ends;
mod files_bounds;
mod files_corpora;
mod files_end;
mod files_exchange;
mod files_frames;
mod files_held;
mod files_request;
mod order;
mod round_trip;
mod strangers;

use std::time::Duration;

use crate::files::{Options, Placement, Transfer, Way};
use crate::frame::{HEADER, Kind};
use crate::pair::Pair;
use crate::{
    Client, Ended, Fault, Program, ProtocolError, Run, Server, Status, ToClient, ToServer,
};

/// The time at which everything happens, where time does not matter.
const NOW: Duration = Duration::from_secs(1_000);

/// A client and a server that have heard each other's Hello.
fn greeted() -> Pair {
    let mut pair = Pair::new(7);
    let mut out = Vec::new();
    pair.client.hello("client/1", &mut out).unwrap();
    pair.upward.put(&out);
    out.clear();
    pair.server.hello("server/1", &mut out).unwrap();
    pair.downward.put(&out);
    pair.settle().unwrap();
    pair
}

/// The same with a command asked for.
fn asked(run: &Run) -> Pair {
    let mut pair = greeted();
    say_up(&mut pair, |client, out| client.run(run, out).unwrap());
    pair
}

/// The same with the command started.
fn running(run: &Run) -> Pair {
    let mut pair = asked(run);
    say_down(&mut pair, |server, out| server.started(42, out).unwrap());
    pair
}

/// A command that takes input.
fn with_stdin() -> Run {
    Run { stdin: true, ..Run::new(Program::Line(b"cat".to_vec())) }
}

/// A transfer that a client may ask for.
fn a_transfer() -> Transfer {
    Transfer {
        way: Way::Pull,
        placement: Placement::Auto,
        options: Options::default(),
        paths: vec![b"a".to_vec()],
        sources: 1,
        filters: Vec::new(),
        part: (0, 1),
    }
}

/// A client and a server that have heard each other's Hello, with a transfer asked for.
fn asked_transfer() -> Pair {
    let mut pair = greeted();
    say_up(&mut pair, |client, out| client.transfer(&a_transfer(), out).unwrap());
    pair
}

/// Lets the client say something and carries it.
fn say_up(pair: &mut Pair, say: impl FnOnce(&mut Client, &mut Vec<u8>)) {
    let mut out = Vec::new();
    say(&mut pair.client, &mut out);
    pair.upward.put(&out);
    pair.settle().unwrap();
}

/// Lets the server say something and carries it.
fn say_down(pair: &mut Pair, say: impl FnOnce(&mut Server, &mut Vec<u8>)) {
    let mut out = Vec::new();
    say(&mut pair.server, &mut out);
    pair.downward.put(&out);
    pair.settle().unwrap();
}

/// Any frame as bytes, whether it is right or not.
fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap();
    [&[kind][..], &length.to_be_bytes(), payload].concat()
}

/// Bytes that nobody's state machine wrote come to the server: what it makes of them.
fn to_server(server: &mut Server, bytes: &[u8]) -> Result<usize, ProtocolError> {
    let mut messages = 0;
    for piece in bytes.chunks(60_000) {
        server.space()[..piece.len()].copy_from_slice(piece);
        server.filled(piece.len());
        while let Some(message) = server.next(NOW)? {
            assert_ne!(message, ToServer::Stdin(b""));
            messages += 1;
        }
    }
    Ok(messages)
}

/// The same for the client.
fn to_client(client: &mut Client, bytes: &[u8]) -> Result<usize, ProtocolError> {
    let mut messages = 0;
    for piece in bytes.chunks(60_000) {
        client.space()[..piece.len()].copy_from_slice(piece);
        client.filled(piece.len());
        while let Some(message) = client.next(NOW)? {
            assert_ne!(message, ToClient::Stdout(b""));
            messages += 1;
        }
    }
    Ok(messages)
}

fn fault<T: std::fmt::Debug>(result: Result<T, ProtocolError>) -> Fault {
    result.unwrap_err().fault()
}

/// A command's clean end after so many bytes of both outputs.
fn ended(stdout_bytes: u64, stderr_bytes: u64) -> Ended {
    Ended { status: Status::Exited(0), stdout_bytes, stderr_bytes, duration_us: 1 }
}

fn header(kind: Kind, length: u32) -> [u8; HEADER] {
    let [a, b, c, d] = length.to_be_bytes();
    [kind as u8, a, b, c, d]
}
