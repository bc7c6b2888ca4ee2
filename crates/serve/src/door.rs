//! The door of `tls://`: a peer waits here until its first message is whole, which is only looked
//! at, and costs no worker until then, and no place until it has proved who it is.
//!
//! So strangers, and peers that say nothing, never reach a session, and those that begin a handshake
//! are counted apart from those that are known ([`limits::HANDSHAKES`]). The room at the door is
//! bounded; where it gets crowded, each newcomer may cost a random peer that waits its place, so
//! that those who are quick get through whatever the others do.

use std::hash::{BuildHasher, RandomState};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sockeye_limits as limits;
use sockeye_net::sys::watch::Watched;
use sockeye_net::{Peer, Stream};
use tokio::io::Interest;
use tokio::sync::Semaphore;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::ear::Entrance;
use crate::event::Event;
use crate::hall::{Overflow, Place};
use crate::model;
use crate::penalty::Penalties;
use crate::see_off::SeenOff;
use crate::session::{Look, Offence, Session};

/// The door of one TLS listener.
pub(crate) struct Door {
    pub(crate) session: Arc<dyn Session>,
    pub(crate) entrance: Arc<Entrance>,
    pub(crate) executor: Arc<dyn model::Executor>,
    /// The drivers block, so sockets that are let in must.
    pub(crate) blocking: bool,
    /// One connection after another is served: then strangers, too, need a place, or one that waits
    /// for a place would be served before the one that has it.
    pub(crate) one_by_one: bool,
    pub(crate) seen_off: SeenOff,
    pub(crate) shared: Arc<Crowd>,
}

/// What all doors of a server share.
pub(crate) struct Crowd {
    waiting: Mutex<Vec<Waiting>>,
    next: AtomicU64,
    chance: RandomState,
    handshakes: Arc<Semaphore>,
    pub(crate) penalties: Arc<Penalties>,
}

/// A peer that waits at the door.
struct Waiting {
    ticket: u64,
    peer: Peer,
    entrance: Arc<Entrance>,
    task: AbortHandle,
}

/// How the wait at the door ended.
enum Verdict {
    Ready(Stream),
    /// It spoke something else.
    Stranger(&'static str, Stream),
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
        self.lock().drain(..).for_each(|waiting| waiting.task.abort());
    }

    /// Makes room where it is crowded: who had to go, if somebody had to.
    fn make_room(&self, ticket: u64) -> Option<Waiting> {
        let mut waiting = self.lock();
        if waiting.len() < limits::DOOR_CALM {
            return None;
        }
        let over = waiting.len() - limits::DOOR_CALM;
        let span = limits::DOOR_FULL - limits::DOOR_CALM;
        let random = self.chance.hash_one(ticket);
        if (random >> 32) as usize % span > over {
            return None;
        }
        let victim = (random & 0xffff_ffff) as usize % waiting.len();
        let victim = waiting.swap_remove(victim);
        victim.task.abort();
        Some(victim)
    }

    fn leave(&self, ticket: u64) {
        self.lock().retain(|waiting| waiting.ticket != ticket);
    }

    /// The list stays whole whatever panicked while it was held.
    fn lock(&self) -> MutexGuard<'_, Vec<Waiting>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Door {
    /// Takes a connection that was accepted; it goes on by itself.
    pub(crate) fn knock(self: &Arc<Self>, stream: Stream, peer: Peer) {
        if self.shared.penalties.bars(&peer.address, Instant::now()).is_some() {
            return self.entrance.refused(&peer, "penalty");
        }
        let ticket = self.shared.next.fetch_add(1, Ordering::Relaxed);
        if let Some(victim) = self.shared.make_room(ticket) {
            victim.entrance.refused(&victim.peer, "crowded");
        }
        // The list is held, so that the task cannot leave it before it is in it.
        let mut waiting = self.shared.lock();
        let (door, known_as) = (Arc::clone(self), peer.clone());
        let task = tokio::spawn(async move {
            door.receive(stream, peer).await;
            door.shared.leave(ticket);
        });
        let (entrance, task) = (Arc::clone(&self.entrance), task.abort_handle());
        waiting.push(Waiting { ticket, peer: known_as, entrance, task });
    }

    async fn receive(&self, stream: Stream, peer: Peer) {
        match timeout(limits::HELLO_WAIT, self.look(stream)).await {
            Ok(Ok(Verdict::Ready(stream))) => self.let_in(stream, peer).await,
            Ok(Ok(Verdict::Stranger(what, stream))) => {
                // Where the socket does not take a few bytes, it ends without.
                let _ = stream.send(self.session.farewell());
                self.seen_off.see_off(stream);
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
        let stranger = loop {
            let mut ready = watched.readable().await?;
            // What was seen stays there: only new bytes make a new edge.
            ready.clear_ready();
            match stream.peek(&mut first) {
                Ok(0) => return Ok(Verdict::Gone),
                Ok(n) => match self.session.look(&first[..n]) {
                    // The end is behind what is there: nothing more will come.
                    Look::More if stream.has_peer_ended()? => return Ok(Verdict::Gone),
                    Look::More => {}
                    Look::Stranger(what) => break Some(what),
                    Look::Ready => break None,
                },
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        };
        drop(watched);
        let stream = Arc::try_unwrap(stream)
            .map_err(|_| io::Error::other("still registered with the event loop"))?;
        Ok(match stranger {
            None => Verdict::Ready(stream),
            Some(what) => Verdict::Stranger(what, stream),
        })
    }

    /// A number and a worker; a place only once it has proved who it is. It still counts as waiting
    /// until it has them.
    async fn let_in(&self, stream: Stream, peer: Peer) {
        let Some(place) = self.seek_place().await else {
            return self.turn_away(stream, &peer);
        };
        // Whoever may be a stranger keeps none: it was only seen that there is one.
        let place = self.one_by_one.then_some(place);
        let unproved = Arc::clone(&self.shared.handshakes).acquire_owned().await;
        let unproved = unproved.expect("the semaphore is never closed");
        if self.entrance.hall.is_spent() {
            return self.entrance.refused(&peer, "once");
        }
        if stream.set_nonblocking(!self.blocking).is_err() {
            return;
        }
        let entrance = &self.entrance;
        let admission = entrance.hall.admit_unproved(entrance, peer, unproved, place);
        self.executor.connection(admission, stream);
    }

    /// A place, where there is one or one is waited for: no handshake is begun for those who would
    /// find none.
    async fn seek_place(&self) -> Option<Place> {
        match self.entrance.overflow {
            Overflow::Queue => Some(self.entrance.hall.place().await),
            Overflow::Refuse | Overflow::Reset => self.entrance.hall.try_place(),
        }
    }

    fn turn_away(&self, stream: Stream, peer: &Peer) {
        self.entrance.refused(peer, "max-connections");
        match self.entrance.overflow {
            Overflow::Reset => stream.reset(),
            Overflow::Queue | Overflow::Refuse => self.seen_off.see_off(stream),
        }
    }

    fn reject(&self, peer: &Peer, why: &str, offence: Offence) {
        self.shared.penalties.add(&peer.address, offence, Instant::now());
        self.entrance.hall.event(&Event::Rejected { connection: None, peer, why });
    }
}
