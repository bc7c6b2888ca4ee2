//! Workers: one thread each, which drives its share of the connections with one epoll instance.

mod churn;
mod datagram;
mod drive;
mod link;
mod poll;
mod stream;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use sockeye_limits as limits;
use sockeye_net::Stream;

use crate::count::{Count, Share, Window};
use crate::error::{Error, Failure};
use crate::plan::{Pace, Plan};
use crate::report::{Datagrams, Whole};
use crate::schedule::Schedule;
use crate::target::Target;

/// Nanoseconds since the run began.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Clock {
    origin: Instant,
}

impl Clock {
    /// A run begins.
    pub(crate) fn start() -> Clock {
        Clock { origin: Instant::now() }
    }

    /// Nanoseconds until now.
    pub(crate) fn now(&self) -> u64 {
        nanoseconds(self.origin.elapsed())
    }
}

/// A time span in nanoseconds: 584 years fit.
pub(crate) fn nanoseconds(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// What a worker tells while it runs, for whoever looks.
#[derive(Debug, Default)]
pub(crate) struct Live {
    pub(crate) requests: AtomicU64,
    /// Of the whole run.
    pub(crate) all_requests: AtomicU64,
    pub(crate) errors: AtomicU64,
    pub(crate) bytes_out: AtomicU64,
    pub(crate) bytes_in: AtomicU64,
    pub(crate) connections: AtomicU64,
}

impl Live {
    fn tell(&self, count: &Count, whole: &Whole, connections: u64) {
        self.requests.store(count.requests, Ordering::Relaxed);
        self.all_requests.store(count.all_requests, Ordering::Relaxed);
        let apart: u64 = count.apart.values().sum();
        self.errors.store(count.failed + apart, Ordering::Relaxed);
        self.bytes_out.store(whole.bytes_out, Ordering::Relaxed);
        self.bytes_in.store(whole.bytes_in, Ordering::Relaxed);
        self.connections.store(connections, Ordering::Relaxed);
    }
}

/// What a worker says to whoever started it.
pub(crate) enum Word {
    /// Its connections are open.
    Ready,
    /// It cannot work; the others need not begin.
    Failed,
    /// A second is over.
    Share(Share),
}

/// What a worker is to do.
pub(crate) struct Job<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) target: &'a Target,
    pub(crate) window: Window,
    /// Its number, from 0.
    pub(crate) number: u64,
    pub(crate) live: &'a Live,
    /// Nothing new is to be sent any more.
    pub(crate) stop: &'a AtomicBool,
    pub(crate) words: mpsc::Sender<Word>,
    /// Gives the clock when all workers are ready.
    pub(crate) begin: mpsc::Receiver<Clock>,
    /// The first connection of the run, for the first worker.
    pub(crate) first: Option<Stream>,
}

/// What a worker has done.
#[derive(Debug)]
pub(crate) struct Done {
    /// Since when it began nothing more.
    pub(crate) ended: u64,
    pub(crate) count: Count,
    pub(crate) whole: Whole,
    pub(crate) datagrams: Option<Datagrams>,
}

/// Drives the connections until the run is over. None where it was called off before it began.
pub(crate) fn run(job: Job<'_>) -> Result<Option<Done>, Error> {
    // Else the kernel wakes us up to 50 µs late, prctl(2). Where it refuses, that is in the figures.
    let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
    let words = job.words.clone();
    let done = if !job.plan.endpoint.transport().is_stream() {
        datagram::run(job)
    } else if job.plan.churn {
        churn::run(job)
    } else {
        stream::run(job)
    };
    if done.is_err() {
        let _ = words.send(Word::Failed);
    }
    done
}

impl Job<'_> {
    /// The numbers, in the run, of the connections that are this worker's.
    fn connections(&self) -> impl Iterator<Item = u64> + use<> {
        let all = self.plan.connections as u64;
        (self.number..all).step_by(self.plan.workers)
    }

    fn schedule(&self) -> Option<Schedule> {
        match self.plan.pace {
            Pace::Closed => None,
            Pace::Open { per_second } => {
                Some(Schedule::new(per_second, self.plan.connections as u64, self.window.end))
            }
        }
    }

    /// How many requests of this connection belong to the warm-up at a fixed rate. What of them has not
    /// begun when it is over never does, or the rate that is measured would be one of catching up.
    fn warm(&self, connection: u64) -> u64 {
        match (self.schedule(), self.window.start) {
            (None, _) | (_, 0) => 0,
            (Some(schedule), start) => schedule.due_of(connection, start - 1),
        }
    }

    fn open(&self) -> bool {
        self.plan.pace != Pace::Closed
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Says that all is ready, and waits for the others.
    fn begin(&self) -> Option<Clock> {
        let _ = self.words.send(Word::Ready);
        self.begin.recv().ok()
    }
}

/// Which requests of a worker are due at a fixed rate, and on which of its connections.
#[derive(Debug)]
pub(crate) struct Due {
    schedule: Schedule,
    connections: u64,
    workers: u64,
    worker: u64,
    /// Requests of the run up to here were looked at.
    cursor: u64,
}

impl Due {
    fn new(job: &Job<'_>) -> Option<Due> {
        Some(Due {
            schedule: job.schedule()?,
            connections: job.plan.connections as u64,
            workers: job.plan.workers as u64,
            worker: job.number,
            cursor: 0,
        })
    }

    /// Calls `visit` for each place of this worker on which a request has become due: at most once a
    /// place where more have than there are connections.
    fn look(&mut self, now: u64, mut visit: impl FnMut(usize)) {
        let due = self.schedule.due(now);
        let from = self.cursor.max(due.saturating_sub(self.connections));
        for number in from..due {
            let connection = number % self.connections;
            if connection % self.workers == self.worker {
                visit((connection / self.workers) as usize);
            }
        }
        self.cursor = due;
    }

    /// Nanoseconds from `now` until the next request is due, of whichever worker.
    fn next(&self, now: u64) -> Option<u64> {
        self.schedule.next(self.cursor).map(|time| time.saturating_sub(now))
    }

    /// Of a connection that has begun its first `begun` requests by the end of the run: how many of
    /// the measured time were never begun.
    fn unsent(&self, window: Window, connection: u64, begun: u64, until: u64) -> u64 {
        let due = self.schedule.due_of(connection, until);
        let before = match window.start {
            0 => 0,
            start => self.schedule.due_of(connection, start - 1),
        };
        due.saturating_sub(begun.max(before))
    }
}

/// The pause after so many failures in a row.
fn pause(failures: u32) -> Duration {
    match failures {
        0 => Duration::ZERO,
        failures => limits::LOAD_PAUSE_FIRST
            .saturating_mul(1 << (failures - 1).min(16))
            .min(limits::LOAD_PAUSE_MAX),
    }
}

/// A socket that cannot be watched.
fn unwatched(job: &Job<'_>, errno: rustix::io::Errno) -> Failure {
    job.target.failed(sockeye_net::Operation::Socket, errno.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B2: between the workers each request is looked at once, on the connection that it belongs to;
    /// after a stall each connection once.
    #[test]
    fn shares() {
        let schedule = Schedule::new(1000, 5, u64::MAX);
        let due = |worker| Due { schedule, connections: 5, workers: 2, worker, cursor: 0 };
        let (mut even, mut odd) = (due(0), due(1));
        let mut seen = Vec::new();
        for now in [0, 2_000_000, 4_000_000] {
            even.look(now, |place| seen.push((2 * place, now)));
            odd.look(now, |place| seen.push((2 * place + 1, now)));
        }
        seen.sort_unstable();
        let (second, third) = (2_000_000, 4_000_000);
        assert_eq!(seen, [(0, 0), (1, second), (2, second), (3, third), (4, third)]);
        assert_eq!(even.next(4_200_000), Some(800_000));
        let mut places = Vec::new();
        even.look(1_000_000_000, |place| places.push(place));
        places.sort_unstable();
        assert_eq!(places, [0, 1, 2]);
    }

    /// B1: what was due in the measured time and never begun is counted once.
    #[test]
    fn unsent() {
        let schedule = Schedule::new(1000, 1, 3_000_000_000);
        let due = Due { schedule, connections: 1, workers: 1, worker: 0, cursor: 0 };
        let window = Window { start: 1_000_000_000, end: 3_000_000_000 };
        assert_eq!(due.unsent(window, 0, 0, u64::MAX), 2000);
        assert_eq!(due.unsent(window, 0, 1500, u64::MAX), 1500);
        assert_eq!(due.unsent(window, 0, 3000, u64::MAX), 0);
        assert_eq!(due.unsent(window, 0, 1500, 1_999_999_999), 500);
    }
}
