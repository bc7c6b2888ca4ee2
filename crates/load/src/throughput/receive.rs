//! The other end of datagrams that go up: it counts what comes, and tells who asks.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use socket2::SockAddr;
use sockeye_limits as limits;
use sockeye_net::sys::batch::{Batch, Kind};
use sockeye_net::{BindOptions, DatagramSocket, Endpoint, Operation, Transport, bind_datagram};

use super::packet::{Counts, Packet};
use crate::arrivals::Arrivals;
use crate::error::Error;

/// Counts datagrams of [`super::run`] on one endpoint, for any number of senders.
#[derive(Debug)]
pub struct Receiver {
    sockets: Vec<DatagramSocket>,
    over: AtomicBool,
}

/// What one sender has sent.
#[derive(Debug)]
struct Session {
    arrivals: Arrivals,
    bytes: u64,
    last: Instant,
}

#[derive(Debug, Default)]
struct Sessions {
    known: HashMap<(Box<[u8]>, u64), Session>,
}

impl Receiver {
    /// Binds the endpoint.
    ///
    /// # Errors
    /// [`Error::Plan`] where it is none of datagrams, else the explained failure.
    pub fn bind(endpoint: &Endpoint) -> Result<Receiver, Error> {
        if endpoint.transport().is_stream() {
            return Err(Error::Plan(
                "--serve is for datagrams: of streams the system counts what arrives, so serve \
                 `discard` there"
                    .into(),
            ));
        }
        let sockets = bind_datagram(endpoint, &BindOptions::default()).map_err(Box::new)?;
        Ok(Receiver { sockets, over: AtomicBool::new(false) })
    }

    /// The endpoints that it is really bound to, their ports known.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        self.sockets.iter().map(DatagramSocket::endpoint).collect()
    }

    /// Receives until [`Receiver::end`] or until a socket fails, each on a thread of its own.
    ///
    /// # Errors
    /// The explained failure of the first socket.
    pub fn run(&self) -> Result<(), Error> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = self
                .sockets
                .iter()
                .map(|socket| scope.spawn(|| serve(socket, &self.over)))
                .collect();
            threads.into_iter().try_for_each(|thread| match thread.join() {
                Ok(done) => done,
                Err(_) => Err(Error::Failed("a receiver has panicked. Start it again.".into())),
            })
        })
    }

    /// Makes [`Receiver::run`] return, from another thread.
    pub fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
        self.sockets.iter().for_each(DatagramSocket::wake);
    }
}

fn serve(socket: &DatagramSocket, over: &AtomicBool) -> Result<(), Error> {
    let failed =
        |error| Error::Net(Box::new(sockeye_net::Error::new(Operation::Receive, socket, error)));
    let kind = match socket.transport() {
        Transport::Unixgram => Kind::Unix,
        _ => Kind::Udp { packet_info: socket.has_packet_info() },
    };
    let mut batch = Batch::new(limits::DATAGRAM_BATCH, kind);
    let (origin, mut sessions) = (Instant::now(), Sessions::default());
    loop {
        let came = batch.receive(socket);
        if over.load(Ordering::Relaxed) {
            return Ok(());
        }
        let came = came.map_err(failed)?;
        let now = Instant::now();
        for i in 0..came {
            let source = batch.source(i);
            if let Some(length) = sessions.take(&source, batch.datagram(i), origin, now) {
                batch.answer(i, length);
            }
        }
        // Who asks will ask again: an answer that the socket does not take is left.
        if batch.answers() > 0 {
            let _ = batch.send(socket, 0);
        }
    }
}

impl Sessions {
    /// Takes a datagram; the length of the answer, which is written over it.
    fn take(
        &mut self,
        source: &SockAddr,
        datagram: &mut [u8],
        origin: Instant,
        now: Instant,
    ) -> Option<usize> {
        match Packet::read(datagram)? {
            Packet::Data { session, number, stamp } => {
                let bytes = datagram.len() as u64;
                let session = self.session(source, session, now);
                // The clocks have nothing in common but how fast they go.
                let transit = crate::worker::nanoseconds(now - origin)
                    .wrapping_add(limits::LOAD_LATENCY_MAX)
                    .wrapping_sub(stamp);
                if session.arrivals.arrive(number, transit) {
                    session.bytes += bytes;
                }
                None
            }
            Packet::Question { session: number } => {
                let session = self.session(source, number, now);
                let figures = session.arrivals.figures(0);
                let counts = Counts {
                    received: figures.received,
                    bytes: session.bytes,
                    reordered: figures.reordered,
                    duplicates: figures.duplicates,
                    jitter_ns: u64::try_from(figures.jitter.as_nanos()).unwrap_or(u64::MAX),
                };
                Some(Packet::Answer { session: number, counts }.write(datagram))
            }
            Packet::Answer { .. } => None,
        }
    }

    fn session(&mut self, source: &SockAddr, session: u64, now: Instant) -> &mut Session {
        let key = (Box::from(address(source)), session);
        if !self.known.contains_key(&key) && self.known.len() >= limits::LOAD_SESSIONS {
            // Whoever is still at it was heard a moment ago.
            let oldest = self.known.iter().min_by_key(|(_, session)| session.last);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                self.known.remove(&oldest);
            }
        }
        let session = self.known.entry(key).or_insert_with(|| Session {
            arrivals: Arrivals::new(),
            bytes: 0,
            last: now,
        });
        session.last = now;
        session
    }
}

/// Who sent a datagram, as bytes to compare.
fn address(source: &SockAddr) -> Vec<u8> {
    match (source.as_socket(), source.as_abstract_namespace(), source.as_pathname()) {
        (Some(inet), _, _) => inet.to_string().into_bytes(),
        (_, Some(name), _) => name.to_vec(),
        (_, _, Some(path)) => path.as_os_str().as_encoded_bytes().to_vec(),
        _ => Vec::new(),
    }
}

/// How long a receiver is asked before it is thought not to be there.
pub(super) const PATIENCE: Duration = limits::DATAGRAM_WAIT;

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use super::*;

    /// B4: the receiver's memory has a bound, however many senders there seem to be, and forgets who
    /// was silent longest.
    #[test]
    fn bounded() {
        let (mut sessions, origin) = (Sessions::default(), Instant::now());
        let source = SockAddr::from(SocketAddr::from(([127, 0, 0, 1], 5)));
        let mut datagram = [b'a'; 200];
        for session in 0..limits::LOAD_SESSIONS as u64 + 10 {
            Packet::Data { session, number: 0, stamp: 0 }.write(&mut datagram);
            let now = origin + Duration::from_millis(session);
            assert_eq!(sessions.take(&source, &mut datagram, origin, now), None);
        }
        assert_eq!(sessions.known.len(), limits::LOAD_SESSIONS);
        assert!(!sessions.known.contains_key(&(Box::from(address(&source)), 0)));
    }
}
