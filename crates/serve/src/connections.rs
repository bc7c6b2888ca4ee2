//! The connections that are being served in this process, and the deadlines that end them.
//!
//! A driver only notes that something moved. One thread looks at all connections every tick and
//! shuts down those that are over; the driver then sees the end and finds the reason here. So
//! blocking and event drivers have the same timeouts, and an idle connection costs no timer.

use std::net::Shutdown;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use slab::Slab;
use sockeye_limits as limits;
use sockeye_net::Stream;

use crate::clock::AwakeClock;
use crate::end::{End, Side, Why};

/// The deadlines of connections.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Deadlines {
    /// End a connection on which nothing moved for this long.
    pub(crate) idle: Option<Duration>,
    /// End a connection this long after it began, whatever moves.
    pub(crate) lifetime: Option<Duration>,
}

/// One connection while it is served.
#[derive(Debug)]
pub(crate) struct Conn {
    stream: Stream,
    opened: u32,
    touched: AtomicU32,
    bytes_in: AtomicU64,
    bytes_out: AtomicU64,
    cut: AtomicU8,
    tcp: bool,
    clock: Arc<AwakeClock>,
}

/// Why a connection was cut from outside its driver, as it stands in [`Conn::cut`].
const CUTS: [Why; 3] = [Why::IdleTimeout, Why::MaxLifetime, Why::Drain];

impl Conn {
    pub(crate) fn stream(&self) -> &Stream {
        &self.stream
    }

    /// True for TCP, false for a Unix stream.
    pub(crate) fn is_tcp(&self) -> bool {
        self.tcp
    }

    /// Notes that `n` bytes came. Only the driver writes the counters, so no atomic addition.
    pub(crate) fn received(&self, n: usize) {
        let before = self.bytes_in.load(Ordering::Relaxed);
        self.bytes_in.store(before + n as u64, Ordering::Relaxed);
        self.touched.store(self.clock.now(), Ordering::Relaxed);
    }

    /// Notes that `n` bytes went.
    pub(crate) fn sent(&self, n: usize) {
        let before = self.bytes_out.load(Ordering::Relaxed);
        self.bytes_out.store(before + n as u64, Ordering::Relaxed);
        self.touched.store(self.clock.now(), Ordering::Relaxed);
    }

    /// Bytes received and sent so far.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.bytes_in.load(Ordering::Relaxed), self.bytes_out.load(Ordering::Relaxed))
    }

    /// Ends the connection: its driver sees the end at once, whatever it waits for.
    pub(crate) fn cut(&self, why: Why) {
        let code = CUTS.iter().position(|cut| *cut == why).map_or(0, |at| at as u8 + 1);
        if self.cut.compare_exchange(0, code, Ordering::Release, Ordering::Relaxed).is_ok() {
            // A socket that is gone already has nothing left to end.
            let _ = self.stream.shutdown(Shutdown::Both);
        }
    }

    /// The end as it really was: what the driver saw, or why it was cut.
    pub(crate) fn verdict(&self, seen: End) -> End {
        match self.cut.load(Ordering::Acquire) {
            0 => seen,
            code => End { why: CUTS[usize::from(code) - 1], closed_first: Side::Us },
        }
    }
}

impl AsFd for Conn {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

/// All connections that are being served in this process.
#[derive(Debug)]
pub(crate) struct Connections {
    all: Mutex<Slab<Arc<Conn>>>,
    clock: Arc<AwakeClock>,
    deadlines: Deadlines,
}

/// A connection's place among all; dropped, it is free.
#[derive(Debug)]
pub(crate) struct Entry {
    conn: Arc<Conn>,
    key: usize,
    all: Arc<Connections>,
}

impl Connections {
    /// None yet. With deadlines it starts the thread that watches them, which lives as long as the
    /// value.
    pub(crate) fn new(deadlines: Deadlines) -> std::io::Result<Arc<Connections>> {
        let shortest = deadlines.idle.into_iter().chain(deadlines.lifetime).min();
        let tick = shortest.map_or(limits::CLOCK_TICK_MAX, |span| {
            (span / limits::CLOCK_STEPS).clamp(limits::CLOCK_TICK_MIN, limits::CLOCK_TICK_MAX)
        });
        let clock = Arc::new(AwakeClock::new(tick));
        let all = Mutex::new(Slab::new());
        let connections = Arc::new(Connections { all, clock, deadlines });
        if shortest.is_some() {
            let watched = Arc::downgrade(&connections);
            std::thread::Builder::new().name("deadlines".into()).spawn(move || {
                let mut last = Instant::now();
                while let Some(connections) = watched.upgrade() {
                    last = connections.clock.advance(last, Instant::now());
                    connections.cut_expired();
                    let tick = connections.clock.tick();
                    drop(connections);
                    std::thread::sleep(tick);
                }
            })?;
        }
        Ok(connections)
    }

    /// Takes a connection in.
    pub(crate) fn enter(self: &Arc<Self>, stream: Stream, tcp: bool) -> Entry {
        let now = self.clock.now();
        let conn = Arc::new(Conn {
            stream,
            opened: now,
            touched: AtomicU32::new(now),
            bytes_in: AtomicU64::new(0),
            bytes_out: AtomicU64::new(0),
            cut: AtomicU8::new(0),
            tcp,
            clock: Arc::clone(&self.clock),
        });
        let key = self.lock().insert(Arc::clone(&conn));
        Entry { conn, key, all: Arc::clone(self) }
    }

    /// Ends every connection; how many there were.
    pub(crate) fn cut_all(&self, why: Why) -> usize {
        let all = self.lock();
        all.iter().for_each(|(_, conn)| conn.cut(why));
        all.len()
    }

    fn cut_expired(&self) {
        let now = self.clock.now();
        let over = |since: u32, span: Option<Duration>| {
            span.is_some_and(|span| now.wrapping_sub(since) >= self.clock.ticks(span))
        };
        for (_, conn) in self.lock().iter() {
            if over(conn.opened, self.deadlines.lifetime) {
                conn.cut(Why::MaxLifetime);
            } else if over(conn.touched.load(Ordering::Relaxed), self.deadlines.idle) {
                conn.cut(Why::IdleTimeout);
            }
        }
    }

    /// The list stays whole whatever panicked while it was held: it only inserts and removes.
    fn lock(&self) -> MutexGuard<'_, Slab<Arc<Conn>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    pub(crate) fn conn(&self) -> &Arc<Conn> {
        &self.conn
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.all.lock().remove(self.key);
    }
}
