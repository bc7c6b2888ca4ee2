//! The front of a server: who is admitted, under which number, and what becomes known of it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

use serde::{Deserialize, Serialize};
use sockeye_net::access::AccessList;
use sockeye_net::{Address, Peer, Transport};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, TryAcquireError, watch};

use crate::ear::{Ear, Entrance};
use crate::end::{End, Why};
use crate::event::{Event, Observer};

/// What happens to a connection that is one too many.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Overflow {
    /// It waits in the listen queue until another has ended.
    #[default]
    Queue,
    /// It is closed at once (FIN).
    Refuse,
    /// It is reset at once (RST).
    Reset,
}

/// What all of a server's connections share at its front.
pub(crate) struct Hall {
    pub(crate) observer: Arc<dyn Observer>,
    access: RwLock<AccessList>,
    room: Arc<Semaphore>,
    /// `--once`: the one connection that is admitted takes this.
    once: Option<watch::Sender<bool>>,
    next: AtomicU64,
    ended: AtomicU64,
    cut: AtomicU64,
    left: Notify,
}

/// A place for one more connection.
pub(crate) struct Place(
    #[expect(dead_code, reason = "held, and freed when dropped")] OwnedSemaphorePermit,
);

/// A connection that was admitted. It is closed exactly once, at the latest when it is dropped.
pub(crate) struct Admission {
    ear: Arc<Ear>,
    transport: Transport,
    opened: Instant,
    closed: bool,
    /// What is told if nobody serves it to its end.
    unserved: Why,
}

/// What a connection came to.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Outcome {
    pub(crate) end: End,
    /// Bytes in and out; unknown of a worker process that is gone.
    pub(crate) bytes: Option<(u64, u64)>,
    pub(crate) signal: Option<i32>,
    pub(crate) exit: Option<i32>,
}

impl Hall {
    pub(crate) fn new(
        observer: Arc<dyn Observer>,
        access: AccessList,
        max_connections: usize,
        once: bool,
    ) -> Arc<Hall> {
        Arc::new(Hall {
            observer,
            access: RwLock::new(access),
            room: Arc::new(Semaphore::new(max_connections.min(Semaphore::MAX_PERMITS))),
            once: once.then(|| watch::Sender::new(false)),
            next: AtomicU64::new(1),
            ended: AtomicU64::new(0),
            cut: AtomicU64::new(0),
            left: Notify::new(),
        })
    }

    pub(crate) fn event(&self, event: &Event<'_>) {
        self.observer.event(event);
    }

    /// Waits for a place.
    pub(crate) async fn place(&self) -> Place {
        let permit = Arc::clone(&self.room).acquire_owned().await;
        Place(permit.expect("the semaphore is never closed"))
    }

    /// A place, if there is one now.
    pub(crate) fn try_place(&self) -> Option<Place> {
        match Arc::clone(&self.room).try_acquire_owned() {
            Ok(permit) => Some(Place(permit)),
            Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => None,
        }
    }

    /// True where the access lists let this peer in.
    pub(crate) fn permits(&self, peer: &Address) -> bool {
        self.access.read().unwrap_or_else(PoisonError::into_inner).permits(peer)
    }

    /// The access lists in force.
    pub(crate) fn access(&self) -> AccessList {
        self.access.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts other access lists in force, for connections from now on.
    pub(crate) fn set_access(&self, list: AccessList) {
        *self.access.write().unwrap_or_else(PoisonError::into_inner) = list;
    }

    /// `--once`: true for the first that asks; others are too late. Without it always true.
    pub(crate) fn take_turn(&self) -> bool {
        let take = |taken: &mut bool| !std::mem::replace(taken, true);
        self.once.as_ref().is_none_or(|once| once.send_if_modified(take))
    }

    /// True where `--once` was asked and its one turn is taken.
    pub(crate) fn is_spent(&self) -> bool {
        self.once.as_ref().is_some_and(|once| *once.borrow())
    }

    /// Resolves when the one turn of `--once` is taken; without it never.
    pub(crate) async fn once_is_spent(&self) {
        match &self.once {
            Some(once) => {
                // The sender lives in `self`.
                let _ = once.subscribe().wait_for(|taken| *taken).await;
            }
            None => std::future::pending().await,
        }
    }

    /// Admits a connection and tells so.
    pub(crate) fn admit(
        self: &Arc<Self>,
        place: Place,
        endpoint: &str,
        transport: Transport,
        peer: Peer,
    ) -> Admission {
        let ear = Ear::open(Arc::clone(self), self.number(), peer, place);
        Admission::begin(ear, endpoint, transport)
    }

    /// The same for a connection of `tls://`, whose peer has not proved yet who it is: it holds
    /// `unproved` until then, and counts for nothing else unless it has a place already.
    pub(crate) fn admit_unproved(
        &self,
        entrance: &Arc<Entrance>,
        peer: Peer,
        unproved: OwnedSemaphorePermit,
        place: Option<Place>,
    ) -> Admission {
        let ear = Ear::wary(entrance, self.number(), peer, unproved, place);
        Admission::begin(ear, &entrance.endpoint, Transport::Tls)
    }

    fn number(&self) -> u64 {
        self.next.fetch_add(1, Ordering::Relaxed)
    }

    /// Connections that are open now.
    pub(crate) fn open(&self) -> u64 {
        self.admitted() - self.ended.load(Ordering::SeqCst)
    }

    /// Connections that were admitted in all.
    pub(crate) fn admitted(&self) -> u64 {
        self.next.load(Ordering::SeqCst) - 1
    }

    /// Connections that were cut because the drain was over.
    pub(crate) fn cut(&self) -> u64 {
        self.cut.load(Ordering::SeqCst)
    }

    /// Waits until no connection is open.
    pub(crate) async fn empty(&self) {
        loop {
            let left = self.left.notified();
            if self.open() == 0 {
                return;
            }
            left.await;
        }
    }
}

impl Admission {
    fn begin(ear: Ear, endpoint: &str, transport: Transport) -> Admission {
        let (connection, peer) = (ear.number(), ear.peer());
        ear.hall().event(&Event::Accepted { connection, endpoint, peer });
        Admission {
            ear: Arc::new(ear),
            transport,
            opened: Instant::now(),
            closed: false,
            unserved: Why::Drain,
        }
    }

    /// The same with what is told if nobody serves it to its end.
    pub(crate) fn unless_served(mut self, unserved: Why) -> Admission {
        self.unserved = unserved;
        self
    }

    /// Who hears what its session tells.
    pub(crate) fn ear(&self) -> &Arc<Ear> {
        &self.ear
    }

    /// Who is at the other end.
    pub(crate) fn peer(&self) -> &Peer {
        self.ear.peer()
    }

    /// How it came.
    pub(crate) fn transport(&self) -> Transport {
        self.transport
    }

    /// True where it came over IP.
    pub(crate) fn is_inet(&self) -> bool {
        self.ear.peer().address.inet().is_some()
    }

    pub(crate) fn unserved(&self) -> Why {
        self.unserved
    }

    /// Tells how the connection ended and frees its place.
    pub(crate) fn close(mut self, outcome: Outcome) {
        self.tell(outcome);
    }

    fn tell(&mut self, outcome: Outcome) {
        self.closed = true;
        let hall = self.ear.hall();
        if outcome.end.why == Why::Drain {
            hall.cut.fetch_add(1, Ordering::SeqCst);
        }
        hall.event(&Event::Closed {
            connection: self.ear.number(),
            peer: self.ear.peer(),
            why: outcome.end.why,
            closed_first: outcome.end.closed_first,
            bytes_in: outcome.bytes.map(|(bytes_in, _)| bytes_in),
            bytes_out: outcome.bytes.map(|(_, bytes_out)| bytes_out),
            duration_ms: (self.opened.elapsed().as_micros() as f64) / 1000.0,
            signal: outcome.signal,
            exit: outcome.exit,
        });
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if !self.closed {
            // Every way of serving closes it; this is for a server that is torn down around it.
            self.tell(Outcome::of(End::ours(self.unserved), None));
        }
        let hall = self.ear.hall();
        hall.ended.fetch_add(1, Ordering::SeqCst);
        hall.left.notify_waiters();
        // Its session may still be listened to for a moment.
        self.ear.leave();
    }
}

impl Outcome {
    pub(crate) fn of(end: End, bytes: Option<(u64, u64)>) -> Outcome {
        Outcome { end, bytes, signal: None, exit: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P3: what is known of an idle connection is small, though `tls://` needs more of it.
    #[test]
    fn an_admission_is_small() {
        let (admission, ear) = (size_of::<Admission>(), size_of::<Ear>());
        assert!(admission <= 32 && ear <= 120, "{admission} and {ear} bytes");
    }
}
