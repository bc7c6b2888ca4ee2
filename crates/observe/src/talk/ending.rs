//! The end of a traced connection: who waits in TIME-WAIT, and what became of the sockets.

use std::net::SocketAddr;
use std::time::Instant;

use sockeye_limits as limits;

use super::log::Log;
use crate::history::{Event, Side, State};
use crate::sockets;

/// Waits until both ends have come to rest, as far as this machine's kernel shows them, and tells in
/// which state: closed, in TIME-WAIT, or whatever they are in when [`limits::TRACE_END_TIME`] is over.
pub(crate) fn watch(client: SocketAddr, server: SocketAddr, log: &Log) -> Vec<Event> {
    let deadline = Instant::now() + limits::TRACE_END_TIME;
    loop {
        let sides = [(Side::Client, client, server), (Side::Server, server, client)];
        let found = sides.map(|(side, local, peer)| {
            // A kernel that does not answer (a container's seccomp) shows none.
            (side, sockets::find(local, peer).ok().flatten())
        });
        let rests = found.iter().all(|(_, socket)| {
            socket.as_ref().is_none_or(|socket| socket.state == State::TimeWait)
        });
        if rests || Instant::now() >= deadline {
            return found
                .iter()
                .filter_map(|(side, socket)| told(*side, socket.as_ref(), log))
                .collect();
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
