//! The end of a traced connection: who waits in TIME-WAIT, and what became of the sockets.

use std::net::SocketAddr;
use std::time::Instant;

use sockeye_limits as limits;

use super::log::Log;
use crate::history::{Event, Side, State};
use crate::sockets;

/// What became of the sockets.
#[derive(Debug, Default)]
pub(crate) struct Ending {
    /// What the kernel says of those that are left.
    pub(crate) events: Vec<Event>,
    /// The kernel says that nothing is left of the client's.
    pub(crate) gone: bool,
}

/// Waits until both ends have come to rest, as far as this machine's kernel shows them, and tells in
/// which state: closed, in TIME-WAIT, or whatever they are in when [`limits::TRACE_END_TIME`] is over.
pub(crate) fn watch(client: SocketAddr, server: SocketAddr, log: &Log) -> Ending {
    let deadline = Instant::now() + limits::TRACE_END_TIME;
    loop {
        let sides = [(Side::Client, client, server), (Side::Server, server, client)];
        let found = sides.map(|(side, local, peer)| (side, sockets::find(local, peer)));
        // A kernel that does not answer (a container's seccomp) shows none.
        let gone = matches!(found[0], (_, Ok(None)));
        let left = found.map(|(side, socket)| (side, socket.ok().flatten()));
        let rests = left.iter().all(|(_, socket)| {
            socket.as_ref().is_none_or(|socket| socket.state == State::TimeWait)
        });
        if rests || Instant::now() >= deadline {
            let events = left.iter().filter_map(|(side, socket)| told(*side, socket.as_ref(), log));
            return Ending { events: events.collect(), gone };
        }
        std::thread::sleep(limits::TRACE_PAUSE);
    }
}

fn told(side: Side, socket: Option<&sockets::Socket>, log: &Log) -> Option<Event> {
    let (socket, time) = (socket?, log.now());
    if let Some(remaining) = socket.time_wait() {
        return Some(Event::TimeWait { time, side, remaining });
    }
    let state = socket.state;
    // Neither is a state of a connection.
    let of_a_connection = !matches!(state, State::Listen | State::Bound);
    of_a_connection.then_some(Event::State { time, side, old: state, new: state })
}
