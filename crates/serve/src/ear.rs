//! What a server hears of a connection: who its peer is, and what it did; and what the connection
//! holds because of that, a place among all or, before the proof, one among strangers.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use sockeye_net::Peer;
use tokio::sync::OwnedSemaphorePermit;

use crate::event::Event;
use crate::hall::{Hall, Overflow, Place};
use crate::penalty::Penalties;
use crate::session::{News, Offence, Proof};

/// What a `tls://` listener's connections have in common before they are known.
pub(crate) struct Entrance {
    pub(crate) hall: Arc<Hall>,
    pub(crate) endpoint: String,
    pub(crate) overflow: Overflow,
    pub(crate) penalties: Arc<Penalties>,
}

/// Hears what a connection's session tells.
pub(crate) struct Ear {
    hall: Arc<Hall>,
    number: u64,
    peer: Peer,
    /// Where its peer has to prove who it is.
    entrance: Option<Arc<Entrance>>,
    held: Mutex<Held>,
}

/// What a connection holds for as long as it is open.
struct Held {
    /// It counts for `--max-connections`.
    place: Option<Place>,
    /// Its peer has not proved yet who it is; given back when it has.
    unproved: Option<OwnedSemaphorePermit>,
}

impl Entrance {
    /// Tells of somebody who is turned away.
    pub(crate) fn refused(&self, peer: &Peer, why: &str) {
        let shown = peer.to_string();
        self.hall.event(&Event::Refused { endpoint: &self.endpoint, peer: &shown, why, count: 1 });
    }

    /// A place for somebody who is known now, and the one turn of `--once`; or why there is none.
    /// `held` is a place that it has already.
    async fn admit(&self, held: Option<Place>) -> Result<Place, &'static str> {
        if self.hall.is_spent() {
            return Err("once");
        }
        let place = match (held, self.overflow) {
            (Some(place), _) => place,
            (None, Overflow::Queue) => self.hall.place().await,
            (None, Overflow::Refuse | Overflow::Reset) => {
                self.hall.try_place().ok_or("max-connections")?
            }
        };
        if self.hall.take_turn() { Ok(place) } else { Err("once") }
    }
}

impl Ear {
    /// For a peer that need prove nothing.
    pub(crate) fn open(hall: Arc<Hall>, number: u64, peer: Peer, place: Place) -> Ear {
        let held = Held { place: Some(place), unproved: None };
        Ear { hall, number, peer, entrance: None, held: Mutex::new(held) }
    }

    /// For a peer that has not proved yet who it is.
    pub(crate) fn wary(
        entrance: &Arc<Entrance>,
        number: u64,
        peer: Peer,
        unproved: OwnedSemaphorePermit,
        place: Option<Place>,
    ) -> Ear {
        let hall = Arc::clone(&entrance.hall);
        let held = Held { place, unproved: Some(unproved) };
        Ear { hall, number, peer, entrance: Some(Arc::clone(entrance)), held: Mutex::new(held) }
    }

    pub(crate) fn hall(&self) -> &Hall {
        &self.hall
    }

    pub(crate) fn number(&self) -> u64 {
        self.number
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self) -> &Peer {
        &self.peer
    }

    /// The peer has proved who it is: from here on it counts for `--max-connections` and `--once`.
    /// False where that leaves no place for it.
    pub(crate) async fn enter(&self, proof: &Proof) -> bool {
        let Proof { identity, comment } = proof;
        let (connection, peer) = (self.number, &self.peer);
        self.hall.event(&Event::Authenticated { connection, peer, identity, comment });
        let Some(entrance) = &self.entrance else { return true };
        entrance.penalties.forgive(&peer.address, Instant::now());
        let held = {
            let mut held = self.held();
            if held.unproved.is_none() {
                return held.place.is_some();
            }
            held.place.take()
        };
        match entrance.admit(held).await {
            Ok(place) => self.stay(place),
            Err(why) => {
                entrance.refused(peer, why);
                false
            }
        }
    }

    /// Makes an event of what a session tells, and counts what its peer did.
    pub(crate) fn hear(&self, news: &News) {
        let (connection, peer) = (self.number, &self.peer);
        match news {
            News::Rejected { why, offence } => {
                self.punish(*offence);
                self.hall.event(&Event::Rejected { connection: Some(connection), peer, why });
            }
            News::Command(command) => {
                self.hall.event(&Event::Command { connection, peer, ended: command });
            }
            News::Warning(error) => {
                self.hall.event(&Event::Error { endpoint: None, error });
            }
        }
    }

    /// The connection has ended: all that it held is free.
    pub(crate) fn leave(&self) {
        *self.held() = Held { place: None, unproved: None };
    }

    /// Keeps the place, unless the connection has ended while it waited for it.
    fn stay(&self, place: Place) -> bool {
        let mut held = self.held();
        let is_here = held.unproved.take().is_some();
        if is_here {
            held.place = Some(place);
        }
        is_here
    }

    fn punish(&self, offence: Offence) {
        if let Some(entrance) = &self.entrance {
            entrance.penalties.add(&self.peer.address, offence, Instant::now());
        }
    }

    /// Every change under the lock is whole, whatever panicked while it was held.
    fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
