//! The process model: a process a connection, from a warm pool of workers.
//!
//! A connection's descriptor is handed to a waiting worker and closed here. A worker that dies
//! takes its own connection with it and nothing else; it is replaced, at a capped rate. A worker
//! that is stopped (SIGSTOP) is given nothing until it goes on.

mod employee;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};
use sockeye_limits as limits;
use sockeye_net::{DatagramSocket, Stream};
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};

use employee::Employee;

use super::{Executor, Floor};
use crate::end::{End, Why};
use crate::event::Event;
use crate::hall::{Admission, Outcome};

/// The pool of worker processes.
pub(super) struct Pool {
    floor: Floor,
    runtime: Handle,
    state: Mutex<State>,
    /// A job waits.
    wake: Notify,
    /// The pool stops.
    over: watch::Sender<bool>,
    /// No more datagrams are taken.
    datagrams_over: watch::Sender<bool>,
    /// Counts changes of the access lists, which datagram workers have copies of.
    access: watch::Sender<u64>,
    /// How many workers there are, datagram workers counted.
    living: watch::Sender<usize>,
    itself: Weak<Pool>,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    /// Workers that wait for a job or will as soon as they have started.
    free: usize,
    /// Workers that live, datagram workers not counted.
    workers: usize,
    /// Those that live, by process number: whether they are stopped.
    stopped: Vec<(Pid, watch::Sender<bool>)>,
    deaths: u32,
    last_death: Option<Instant>,
    next_start: Option<Instant>,
    /// The last attempt to start a worker failed, and that was told.
    hiring_failed: bool,
    over: bool,
}

impl State {
    /// A few deaths are replaced at once; one after another, they wait: true.
    fn note_death(&mut self, now: Instant) -> bool {
        let calm = limits::RESPAWN_PAUSE * limits::RESPAWN_BURST;
        if self.last_death.is_none_or(|last| now - last > calm) {
            self.deaths = 0;
        }
        self.last_death = Some(now);
        self.deaths += 1;
        if self.deaths > limits::RESPAWN_BURST {
            let from = self.next_start.map_or(now, |start| start.max(now));
            self.next_start = Some(from + limits::RESPAWN_PAUSE);
        }
        self.deaths > limits::RESPAWN_BURST
    }
}

/// A connection that waits for a worker.
type Job = (Admission, Stream);

/// How a worker's time ended.
enum Left {
    /// It was told to go.
    Dismissed,
    /// It served its one session.
    Spent,
    /// It was told to go because the access lists have changed.
    Outdated,
    /// It died, with what it was serving.
    Died(Option<Admission>),
}

impl Pool {
    pub(super) fn start(floor: Floor) -> io::Result<Arc<Pool>> {
        let pool = Arc::new_cyclic(|itself| Pool {
            floor,
            runtime: Handle::current(),
            state: Mutex::default(),
            wake: Notify::new(),
            over: watch::Sender::new(false),
            datagrams_over: watch::Sender::new(false),
            access: watch::Sender::new(0),
            living: watch::Sender::new(0),
            itself: itself.clone(),
        });
        let mut changes = signal(SignalKind::child())?;
        let watched = Arc::downgrade(&pool);
        pool.runtime.spawn(async move {
            while changes.recv().await.is_some() {
                let Some(pool) = watched.upgrade() else { return };
                pool.note_stops();
            }
        });
        for _ in 0..pool.floor.workers {
            pool.add_worker();
        }
        Ok(pool)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every change under the lock is whole; a panic elsewhere does not spoil it.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts a worker for the pool.
    fn add_worker(&self) {
        {
            let mut state = self.state();
            if state.over {
                return;
            }
            state.workers += 1;
            state.free += 1;
        }
        self.spawn(Pool::employ);
    }

    /// Runs a worker's keeper, which counts as living until it ends.
    fn spawn<F>(&self, keep: impl FnOnce(Arc<Pool>) -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let Some(pool) = self.itself.upgrade() else { return };
        self.living.send_modify(|living| *living += 1);
        self.runtime.spawn(async move {
            keep(Arc::clone(&pool)).await;
            pool.living.send_modify(|living| *living -= 1);
        });
    }

    /// A pool worker's whole time, and its replacement where it died or the pool is too small.
    async fn employ(self: Arc<Self>) {
        self.wait_for_turn().await;
        let died = match Employee::hire(&self) {
            Ok(mut employee) => {
                self.can_hire_again();
                let left = employee.serve_connections(&self).await;
                employee.farewell(&self, left).await
            }
            Err(error) => {
                self.cannot_hire(&error);
                let hoped_for = {
                    let mut state = self.state();
                    state.free -= 1;
                    match self.floor.service.any_session() {
                        // One that serves a session never comes back.
                        Some(_) => state.free,
                        None if state.stopped.is_empty() => 0,
                        None => usize::MAX,
                    }
                };
                self.shed(hoped_for);
                true
            }
        };
        let (replace, dying) = {
            let mut state = self.state();
            state.workers -= 1;
            let dying = died && state.note_death(Instant::now());
            (self.has_too_few(&state) || state.jobs.len() > state.free, dying)
        };
        if dying && self.floor.service.any_session().is_some() {
            // Those that are starting will die, too: a peer in a handshake is better told than kept.
            self.shed(0);
        }
        if replace {
            self.add_worker();
        }
    }

    /// The workers of a datagram socket, one after another, until the pool stops.
    async fn employ_for(self: Arc<Self>, socket: Arc<DatagramSocket>) {
        loop {
            self.wait_for_turn().await;
            let died = match Employee::hire(&self) {
                Ok(mut employee) => match employee.serve_datagrams(&self, &socket).await {
                    left @ (Left::Outdated | Left::Died(_)) => employee.farewell(&self, left).await,
                    Left::Dismissed | Left::Spent => {
                        employee.farewell(&self, Left::Dismissed).await;
                        return;
                    }
                },
                Err(error) => {
                    self.cannot_hire(&error);
                    true
                }
            };
            let mut state = self.state();
            if died {
                state.note_death(Instant::now());
            }
            if state.over || *self.datagrams_over.borrow() {
                return;
            }
        }
    }

    /// Where so many workers at most can be hoped for, the others who wait for one are told so by
    /// their end.
    fn shed(&self, hoped_for: usize) {
        let jobs = {
            let mut state = self.state();
            let hoped_for = hoped_for.min(state.jobs.len());
            state.jobs.split_off(hoped_for)
        };
        for (admission, _) in jobs {
            admission.close(Outcome::of(End::ours(Why::Overload), Some((0, 0))));
        }
    }

    fn cannot_hire(&self, error: &io::Error) {
        if std::mem::replace(&mut self.state().hiring_failed, true) {
            return;
        }
        // One that finds no thread for itself ends before it is told what to do.
        let crowded =
            [io::ErrorKind::WouldBlock, io::ErrorKind::BrokenPipe].contains(&error.kind());
        let limit = if crowded { "-u" } else { "-n" };
        let error = format!("cannot start a worker process: {error}. Raise `ulimit {limit}`.");
        self.floor.hall.event(&Event::Error { endpoint: None, error: &error });
    }

    fn can_hire_again(&self) {
        if std::mem::take(&mut self.state().hiring_failed) {
            self.floor.hall.event(&Event::Recovered { endpoint: None });
        }
    }

    /// Holds a start back where workers have died one after another.
    async fn wait_for_turn(&self) {
        let until = self.state().next_start;
        if let Some(until) = until {
            sleep_until(until).await;
        }
    }

    fn push(&self, job: Job) {
        let short = {
            let mut state = self.state();
            state.jobs.push_back(job);
            state.jobs.len() > state.free
        };
        // The worker that waited last is the one whose memory is still in the caches.
        self.wake.notify_last();
        if short {
            self.add_worker();
        }
    }

    /// Resolves when the pool stops.
    async fn over(&self) {
        is_set(&self.over).await;
    }

    /// Resolves when no more datagrams are taken.
    async fn no_more_datagrams(&self) {
        is_set(&self.datagrams_over).await;
    }

    /// Where each worker serves one session only, a new one takes the place of one that has begun:
    /// a little later, so that it does not slow that beginning down, and not for a session that is
    /// as short as that, whose end makes room.
    fn keep_some_waiting(&self) {
        if self.floor.service.any_session().is_none() {
            return;
        }
        let pool = self.itself.clone();
        self.runtime.spawn(async move {
            sleep(limits::SUCCESSOR_PAUSE).await;
            let Some(pool) = pool.upgrade() else { return };
            let short = pool.has_too_few(&pool.state());
            if short {
                pool.add_worker();
            }
        });
    }

    fn is_above_size(&self) -> bool {
        self.has_too_many(&self.state())
    }

    /// What the pool keeps is workers; where each serves one session only, it is those that wait.
    fn size(&self, state: &State) -> usize {
        let one_each = self.floor.service.any_session().is_some();
        if one_each { state.free } else { state.workers }
    }

    fn has_too_many(&self, state: &State) -> bool {
        self.size(state) > self.floor.workers
    }

    fn has_too_few(&self, state: &State) -> bool {
        self.size(state) < self.floor.workers
    }

    /// Learns which workers were stopped and which go on.
    fn note_stops(&self) {
        let options = WaitIdOptions::STOPPED | WaitIdOptions::CONTINUED | WaitIdOptions::NOHANG;
        for (pid, stopped) in &self.state().stopped {
            while let Ok(Some(status)) = waitid(WaitId::Pid(*pid), options) {
                stopped.send_replace(status.stopped());
            }
        }
    }
}

async fn is_set(flag: &watch::Sender<bool>) {
    // The sender is borrowed, so it lives.
    let _ = flag.subscribe().wait_for(|set| *set).await;
}

impl Executor for Pool {
    fn connection(&self, admission: Admission, stream: Stream) {
        self.push((admission, stream));
    }

    fn datagrams(&self, socket: Arc<DatagramSocket>) -> io::Result<()> {
        // A worker never waits in the call that takes datagrams: what it holds then says that it is busy.
        socket.set_nonblocking(true)?;
        for _ in 0..self.floor.datagram_workers() {
            let socket = Arc::clone(&socket);
            self.spawn(move |pool| pool.employ_for(socket));
        }
        Ok(())
    }

    fn stop_datagrams(&self) {
        self.datagrams_over.send_replace(true);
    }

    fn access_changed(&self) {
        self.access.send_modify(|version| *version += 1);
    }

    fn cut(&self) {
        self.stop();
    }

    /// Every worker's socket is hung up, and a worker whose socket is hung up exits at once.
    fn stop(&self) {
        let jobs = {
            let mut state = self.state();
            state.over = true;
            std::mem::take(&mut state.jobs)
        };
        self.over.send_replace(true);
        self.stop_datagrams();
        for (admission, _) in jobs {
            admission.close(Outcome::of(End::ours(Why::Drain), Some((0, 0))));
        }
    }

    fn living(&self) -> Option<watch::Receiver<usize>> {
        Some(self.living.subscribe())
    }
}
