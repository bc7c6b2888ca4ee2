//! The door of `tls://`: a peer waits here until its first message is whole, which is only looked
//! at, and costs neither a worker nor a place until then.
//!
//! So strangers, and peers that say nothing, never reach a session. The room at the door is
//! bounded; where it gets crowded, each newcomer may cost a random peer that waits its place, so
//! that those who are quick get through whatever the others do.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sockeye_limits as limits;
use sockeye_net::sys::watch::Watched;
use sockeye_net::{Peer, Stream, Transport};
use tokio::io::Interest;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::event::Event;
use crate::hall::{Hall, Overflow};
use crate::model;
use crate::penalty::Penalties;
use crate::session::{Look, Offence, Session};

/// The door of one TLS listener.
pub(crate) struct Door {
    pub(crate) session: Arc<dyn Session>,
    pub(crate) hall: Arc<Hall>,
    pub(crate) place: Arc<dyn model::Place>,
    pub(crate) overflow: Overflow,
    /// The drivers block, so sockets that are let in must.
    pub(crate) blocking: bool,
    pub(crate) endpoint: String,
    pub(crate) shared: Arc<Crowd>,
}

/// What all doors of a server share.
pub(crate) struct Crowd {
    waiting: Mutex<Vec<(u64, AbortHandle)>>,
    next: AtomicU64,
    chance: RandomState,
    handshakes: Arc<Semaphore>,
    pub(crate) penalties: Arc<Penalties>,
}

/// How the wait at the door ended.
enum Verdict {
    Ready(Stream),
    /// It spoke something else.
    Stranger(&'static str),
    /// It went away by itself.
    Gone,
}

impl Crowd {
    pub(crate) fn new(penalize_loopback: bool) -> Arc<Crowd> {
        Arc::new(Crowd {
            waiting: Mutex::default(),
            next: AtomicU64::new(0),
            chance: RandomState::new(),
            handshakes: Arc::new(Semaphore::new(limits::HANDSHAKES)),
            penalties: Arc::new(Penalties::new(penalize_loopback)),
        })
    }

    /// Sends everybody away.
    pub(crate) fn close(&self) {
        self.lock().drain(..).for_each(|(_, task)| task.abort());
    }

    /// Makes room where it is crowded; true where somebody had to go.
    fn make_room(&self, ticket: u64) -> bool {
        let mut waiting = self.lock();
        if waiting.len() < limits::DOOR_CALM {
            return false;
        }
        let over = waiting.len() - limits::DOOR_CALM;
        let span = limits::DOOR_FULL - limits::DOOR_CALM;
        let random = self.chance.hash_one(ticket);
        if (random >> 32) as usize % span > over {
            return false;
        }
        let victim = (random & 0xffff_ffff) as usize % waiting.len();
        waiting.swap_remove(victim).1.abort();
        true
    }

    fn leave(&self, ticket: u64) {
        self.lock().retain(|(other, _)| *other != ticket);
    }

    /// The list stays whole whatever panicked while it was held.
    fn lock(&self) -> MutexGuard<'_, Vec<(u64, AbortHandle)>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Door {
    /// Takes a connection that was accepted; it goes on by itself.
    pub(crate) fn knock(self: &Arc<Self>, stream: Stream, peer: Peer) {
        if self.shared.penalties.bars(&peer.address, Instant::now()).is_some() {
            return self.refused(&peer, "penalty");
        }
        let ticket = self.shared.next.fetch_add(1, Ordering::Relaxed);
        if self.shared.make_room(ticket) {
            self.refused(&peer, "crowded");
        }
        // The list is held, so that the task cannot leave it before it is in it.
        let mut waiting = self.shared.lock();
        let door = Arc::clone(self);
        let task = tokio::spawn(async move {
            door.receive(stream, peer).await;
            door.shared.leave(ticket);
        });
        waiting.push((ticket, task.abort_handle()));
    }

    async fn receive(&self, stream: Stream, peer: Peer) {
        match timeout(limits::HELLO_WAIT, self.look(stream)).await {
            Ok(Ok(Verdict::Ready(stream))) => self.let_in(stream, peer).await,
            Ok(Ok(Verdict::Stranger(what))) => {
                self.reject(&peer, &format!("it speaks {what}, not TLS"), Offence::Stranger);
            }
            Ok(Ok(Verdict::Gone) | Err(_)) => {}
            Err(_) => {
                let why = "it did not begin a TLS handshake in time";
                self.reject(&peer, why, Offence::Slow);
            }
        }
    }

    /// Looks at what comes, without taking it, until it is enough.
    async fn look(&self, stream: Stream) -> io::Result<Verdict> {
        stream.set_nonblocking(true)?;
        let stream = Arc::new(stream);
        let watched = Watched::new(Arc::clone(&stream), Interest::READABLE)?;
        let mut first = vec![0; limits::HELLO_BYTES];
        loop {
            let mut ready = watched.readable().await?;
            // What was seen stays there: only new bytes make a new edge.
            ready.clear_ready();
            match stream.peek(&mut first) {
                Ok(0) => return Ok(Verdict::Gone),
                Ok(n) => match self.session.look(&first[..n]) {
                    // The end is behind what is there: nothing more will come.
                    Look::More if stream.has_peer_ended()? => return Ok(Verdict::Gone),
                    Look::More => {}
                    Look::Stranger(what) => return Ok(Verdict::Stranger(what)),
                    Look::Ready => break,
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
        drop(watched);
        Arc::try_unwrap(stream)
            .map(Verdict::Ready)
            .map_err(|_| io::Error::other("still registered with the event loop"))
    }

    /// A place, a number, a worker. It still counts as waiting until it has them.
    async fn let_in(&self, stream: Stream, peer: Peer) {
        let unproved = Arc::clone(&self.shared.handshakes).acquire_owned().await;
        let unproved = unproved.expect("the semaphore is never closed");
        let place = match self.overflow {
            Overflow::Queue => Some(self.hall.place().await),
            Overflow::Refuse | Overflow::Reset => self.hall.try_place(),
        };
        let Some(place) = place else {
            self.refused(&peer, "max-connections");
            if self.overflow == Overflow::Reset {
                stream.reset();
            }
            return;
        };
        if !self.hall.take_turn() {
            return self.refused(&peer, "once");
        }
        if stream.set_nonblocking(!self.blocking).is_err() {
            return;
        }
        let admission = self.hall.admit(place, &self.endpoint, Transport::Tls, peer);
        let penalties = Arc::clone(&self.shared.penalties);
        self.place.connection(admission.not_yet_known(unproved, penalties), stream);
    }

    fn reject(&self, peer: &Peer, why: &str, offence: Offence) {
        self.shared.penalties.add(&peer.address, offence, Instant::now());
        self.hall.event(&Event::Rejected { connection: None, peer, why });
    }

    fn refused(&self, peer: &Peer, why: &str) {
        let shown = peer.to_string();
        self.hall.event(&Event::Refused { endpoint: &self.endpoint, peer: &shown, why, count: 1 });
    }
}
