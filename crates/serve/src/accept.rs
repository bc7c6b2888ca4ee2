//! Taking connections in: a place first, then accept, then judgement, then the model.
//!
//! A connection that finds no place waits in the kernel's listen queue, or is turned away, as
//! `--overflow` says. When descriptors or memory run out, accepting pauses and says so once.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use rustix::io::Errno;
use sockeye_limits as limits;
use sockeye_net::sys::watch::Watched;
use sockeye_net::{Error, Listener, Operation, Peer, Stream};
use tokio::io::Interest;

use crate::door::Door;
use crate::event::Event;
use crate::hall::{Hall, Overflow, Place};
use crate::model;
use crate::see_off::SeenOff;

/// One listener's way of taking connections in.
pub(crate) struct Acceptor {
    pub(crate) listener: Arc<Listener>,
    pub(crate) endpoint: String,
    pub(crate) hall: Arc<Hall>,
    pub(crate) executor: Arc<dyn model::Executor>,
    pub(crate) overflow: Overflow,
    /// The drivers block, so accepted sockets must.
    pub(crate) blocking: bool,
    pub(crate) seen_off: SeenOff,
    /// On `tls://`: where connections wait for their first message, before they need a place.
    pub(crate) door: Option<Arc<Door>>,
}

/// What accept(2) said.
enum Accepted {
    One(Stream, Peer),
    Nothing,
    /// A connection that failed before it was ours.
    Failed(io::Error),
    /// Out of descriptors or memory.
    Exhausted(io::Error),
}

/// Why a burst of accepting ended.
enum Burst {
    /// Others have a turn; there may be more to accept.
    Turn,
    /// Nothing waits to be accepted.
    Empty,
    /// Out of descriptors or memory.
    Exhausted(io::Error),
}

impl Acceptor {
    /// Takes connections until `--once` is spent or the task is dropped.
    ///
    /// # Errors
    /// Where the listener cannot be watched or has become useless.
    pub(crate) async fn run(self) -> io::Result<()> {
        self.listener.set_nonblocking(true)?;
        let watched = Watched::new(Arc::clone(&self.listener), Interest::READABLE)?;
        let mut pause = Duration::ZERO;
        while !self.hall.is_spent() {
            let mut ready = watched.readable().await?;
            let reserved = if self.reserves() { Some(self.hall.place().await) } else { None };
            match self.burst(reserved)? {
                Burst::Turn => {
                    self.recovered(&mut pause);
                    ready.retain_ready();
                    drop(ready);
                    tokio::task::yield_now().await;
                }
                Burst::Empty => {
                    self.recovered(&mut pause);
                    // A spurious EAGAIN must not lose the edge: ask the kernel before waiting.
                    if !self.listener.is_ready()? {
                        ready.clear_ready();
                    }
                }
                Burst::Exhausted(error) => {
                    self.exhausted(&mut pause, error);
                    tokio::time::sleep(pause).await;
                }
            }
        }
        Ok(())
    }

    /// True where a place comes before accept(2).
    fn reserves(&self) -> bool {
        self.overflow == Overflow::Queue && self.door.is_none()
    }

    /// Takes connections as long as some wait and places are free, but not for too long.
    fn burst(&self, mut reserved: Option<Place>) -> io::Result<Burst> {
        let mut failures = 0;
        for _ in 0..limits::ACCEPT_BURST {
            if self.reserves() && reserved.is_none() {
                reserved = self.hall.try_place();
                if reserved.is_none() {
                    return Ok(Burst::Turn);
                }
            }
            match self.accept()? {
                Accepted::One(stream, peer) => self.judge(&mut reserved, stream, peer),
                // One connection's failure is its own; nothing but failures is ours.
                Accepted::Failed(error) => {
                    failures += 1;
                    if failures == limits::ACCEPT_BURST {
                        return Ok(Burst::Exhausted(error));
                    }
                }
                Accepted::Nothing => return Ok(Burst::Empty),
                Accepted::Exhausted(error) => return Ok(Burst::Exhausted(error)),
            }
            if self.hall.is_spent() {
                return Ok(Burst::Turn);
            }
        }
        Ok(Burst::Turn)
    }

    fn accept(&self) -> io::Result<Accepted> {
        match self.listener.accept(!self.blocking) {
            Ok((stream, peer)) => Ok(Accepted::One(stream, peer)),
            Err(error) => match Errno::from_io_error(&error) {
                Some(Errno::AGAIN) => Ok(Accepted::Nothing),
                // The socket itself is no listener any more: no later call will succeed.
                Some(Errno::BADF | Errno::INVAL | Errno::NOTSOCK) => Err(error),
                // The connection went wrong before it was ours; accept(2) passes its error on.
                Some(
                    Errno::CONNABORTED
                    | Errno::PROTO
                    | Errno::NETDOWN
                    | Errno::NOPROTOOPT
                    | Errno::HOSTDOWN
                    | Errno::NONET
                    | Errno::HOSTUNREACH
                    | Errno::OPNOTSUPP
                    | Errno::NETUNREACH
                    | Errno::TIMEDOUT
                    | Errno::PERM,
                ) => Ok(Accepted::Failed(error)),
                // Descriptors or memory ran out, or something is wrong that time may mend.
                _ => Ok(Accepted::Exhausted(error)),
            },
        }
    }

    /// Admits a connection or turns it away.
    fn judge(&self, reserved: &mut Option<Place>, stream: Stream, peer: Peer) {
        if !self.hall.permits(&peer.address) {
            return self.refuse(stream, &peer, "denied");
        }
        if let Some(door) = &self.door {
            return door.knock(stream, peer);
        }
        let Some(place) = reserved.take().or_else(|| self.hall.try_place()) else {
            return self.refuse(stream, &peer, "max-connections");
        };
        if !self.hall.take_turn() {
            return self.refuse(stream, &peer, "once");
        }
        let admission = self.hall.admit(place, &self.endpoint, self.listener.transport(), peer);
        self.executor.connection(admission, stream);
    }

    fn refuse(&self, stream: Stream, peer: &Peer, why: &str) {
        let shown = peer.to_string();
        self.hall.event(&Event::Refused { endpoint: &self.endpoint, peer: &shown, why, count: 1 });
        match self.overflow {
            Overflow::Reset => stream.reset(),
            Overflow::Refuse if why == "max-connections" => self.seen_off.see_off(stream),
            // Whoever is not let in at all has no claim to an ending.
            Overflow::Queue | Overflow::Refuse => drop(stream),
        }
    }

    /// Lengthens the pause, and says so when it begins.
    fn exhausted(&self, pause: &mut Duration, error: io::Error) {
        if *pause == Duration::ZERO {
            let error = Error::new(Operation::Accept, &self.endpoint, error).to_string();
            self.hall.event(&Event::Error { endpoint: Some(&self.endpoint), error: &error });
        }
        *pause = (*pause * 2).clamp(limits::ACCEPT_PAUSE_FIRST, limits::ACCEPT_PAUSE_MAX);
    }

    fn recovered(&self, pause: &mut Duration) {
        if *pause != Duration::ZERO {
            *pause = Duration::ZERO;
            self.hall.event(&Event::Recovered { endpoint: Some(&self.endpoint) });
        }
    }
}
