//! One run: the server is reached, workers drive it, somebody looks, and the shares are added up.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::{Duration, Instant};

use sockeye_limits as limits;
use sockeye_net::{Stream, sys};

use crate::collect::{Collected, cpu_time};
use crate::count::Window;
use crate::error::Error;
use crate::plan::Plan;
use crate::progress::{Observer, Phase, Progress};
use crate::report::Report;
use crate::target::Target;
use crate::worker::{self, Clock, Done, Job, Live, Word, nanoseconds};

/// Drives the load that the plan describes, and reports what came of it.
///
/// Blocks until the run is over: warm-up, duration, and the time that the last answers take. The
/// observer is called from the calling thread. The process's limit of open descriptors is raised to
/// what it may be.
///
/// # Errors
/// The plan makes no sense, its server cannot be reached at all, or the system has not enough
/// descriptors. What fails later, of single requests, is counted in the report.
pub fn run(plan: &Plan, observer: &mut dyn Observer) -> Result<Report, Error> {
    plan.check()?;
    require_descriptors(plan.connections, plan.workers)?;
    let start = nanoseconds(plan.warmup);
    let window = Window { start, end: start.saturating_add(nanoseconds(plan.duration)) };
    let mut waits = |elapsed| observer.progress(&Progress::connecting(elapsed, 0));
    let Some((target, first)) = Target::reach(&plan.endpoint, &plan.dial, &mut waits)? else {
        let none = Duration::ZERO;
        return Ok(Collected::new(window).report(plan, none, none, true));
    };
    // A worker without a connection would have nothing to do.
    let plan = Plan { workers: plan.workers.min(plan.connections), ..plan.clone() };
    let live: Vec<Live> = (0..plan.workers).map(|_| Live::default()).collect();
    let stop = AtomicBool::new(false);
    let run = Run { plan: &plan, target: &target, window, live: &live, stop: &stop };
    thread::scope(|scope| run.on(scope, first, observer))
}

/// Refuses more connections than there may be descriptors, before any is opened.
pub(crate) fn require_descriptors(connections: usize, workers: usize) -> Result<(), Error> {
    let most = sys::raise_descriptor_limit();
    let own = limits::LOAD_DESCRIPTORS + workers;
    match connections.saturating_add(own) > most {
        true => Err(Error::Descriptors { wanted: connections, most, own }),
        false => Ok(()),
    }
}

struct Run<'a> {
    plan: &'a Plan,
    target: &'a Target,
    window: Window,
    live: &'a [Live],
    stop: &'a AtomicBool,
}

type Handle<'scope> = ScopedJoinHandle<'scope, Result<Option<Done>, Error>>;

impl<'a> Run<'a> {
    fn on<'scope>(
        &self,
        scope: &'scope Scope<'scope, '_>,
        mut first: Option<Stream>,
        observer: &mut dyn Observer,
    ) -> Result<Report, Error>
    where
        'a: 'scope,
    {
        let (words, heard) = mpsc::channel();
        let mut begins = Vec::new();
        let mut handles: Vec<Handle<'scope>> = Vec::new();
        for number in 0..self.plan.workers {
            let (begin, begun) = mpsc::channel();
            begins.push(begin);
            let job = Job {
                plan: self.plan,
                target: self.target,
                window: self.window,
                number: number as u64,
                live: &self.live[number],
                stop: self.stop,
                words: words.clone(),
                begin: begun,
                first: first.take(),
            };
            let thread = thread::Builder::new().name(format!("load {number}"));
            let started = thread.spawn_scoped(scope, move || worker::run(job));
            match started {
                Ok(handle) => handles.push(handle),
                Err(source) => {
                    // Those that run wait for a word to begin, and leave when it cannot come any more.
                    self.stop.store(true, Ordering::Relaxed);
                    return Err(Error::System { what: "start a thread", source });
                }
            }
        }
        drop(words);
        let mut look = Look::new(self, heard, observer);
        let mut collected = Collected::new(self.window);
        look.until_ready(begins.len(), &mut collected);
        if !look.stopped {
            let clock = Clock::start();
            for begin in &begins {
                // A worker that has gone says why when it is joined.
                let _ = begin.send(clock);
            }
            look.until_over(clock, &mut collected);
        }
        drop(begins);
        let (stopped, mut elapsed, cpu) = (look.stopped, look.elapsed, look.cpu);
        for handle in handles {
            let done = handle.join().map_err(|_| Error::System {
                what: "drive load",
                source: std::io::Error::other("a worker has panicked"),
            })?;
            if let Some(done) = done? {
                // What was begun until a worker heard of the end is counted, and so is its time.
                let ended = done.ended.clamp(self.window.start, self.window.end);
                elapsed = elapsed.max(Duration::from_nanos(ended - self.window.start));
                collected.add(done);
            }
        }
        Ok(collected.report(self.plan, elapsed, cpu, stopped))
    }
}

/// Who looks at the run while the workers work.
struct Look<'a, 'o> {
    run: &'a Run<'a>,
    heard: mpsc::Receiver<Word>,
    observer: &'o mut dyn Observer,
    stopped: bool,
    /// Of the measured time.
    elapsed: Duration,
    cpu: Duration,
    /// When was looked last, and the answers until then.
    last: (Instant, u64),
}

impl<'a, 'o> Look<'a, 'o> {
    fn new(
        run: &'a Run<'a>,
        heard: mpsc::Receiver<Word>,
        observer: &'o mut dyn Observer,
    ) -> Look<'a, 'o> {
        let (elapsed, cpu) = (Duration::ZERO, Duration::ZERO);
        let last = (Instant::now(), 0);
        Look { run, heard, observer, stopped: false, elapsed, cpu, last }
    }

    /// Until all workers have their connections.
    fn until_ready(&mut self, workers: usize, collected: &mut Collected) {
        let since = Instant::now();
        let mut ready = 0;
        while ready < workers && !self.stopped {
            match self.heard.recv_timeout(limits::LOAD_PROGRESS) {
                Ok(Word::Ready) => ready += 1,
                Ok(Word::Share(share)) => collected.share(share),
                Ok(Word::Failed) => self.stop(),
                Err(RecvTimeoutError::Timeout) => {
                    self.show(Phase::Connecting, since.elapsed(), Duration::ZERO, collected);
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Until all workers are done.
    fn until_over(&mut self, clock: Clock, collected: &mut Collected) {
        let (start, end) = (self.run.window.start, self.run.window.end);
        let (mut cpu, mut told) = (None, Instant::now());
        loop {
            let now = clock.now();
            // Whole looks, but the measured time begins and ends when it does.
            let edge = [start, end].into_iter().find(|edge| *edge > now).unwrap_or(u64::MAX) - now;
            let wait = limits::LOAD_PROGRESS.min(Duration::from_nanos(edge));
            match self.heard.recv_timeout(wait) {
                Ok(Word::Share(share)) => collected.share(share),
                Ok(Word::Failed) => self.stop(),
                Ok(Word::Ready) | Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            let now = clock.now();
            if now >= start && cpu.is_none() {
                cpu = Some(cpu_time());
            }
            if !self.stopped {
                self.elapsed = Duration::from_nanos(now.clamp(start, end) - start);
                if now < end {
                    self.cpu = cpu.map_or(Duration::ZERO, |cpu| cpu_time().saturating_sub(cpu));
                }
            }
            if told.elapsed() >= limits::LOAD_PROGRESS {
                told = Instant::now();
                self.tell(now, collected);
            }
        }
        if !self.stopped {
            self.elapsed = Duration::from_nanos(end - start);
        }
    }

    fn tell(&mut self, now: u64, collected: &Collected) {
        let Window { start, end } = self.run.window;
        let (phase, from, to) = match now {
            _ if now < start => (Phase::WarmingUp, 0, start),
            _ if now < end && !self.stopped => (Phase::Measuring, start, end),
            _ => (Phase::Draining, end, end),
        };
        let elapsed = Duration::from_nanos(now.saturating_sub(from));
        self.show(phase, elapsed, Duration::from_nanos(to - from), collected);
    }

    fn show(&mut self, phase: Phase, elapsed: Duration, total: Duration, collected: &Collected) {
        let sum = |field: fn(&Live) -> &std::sync::atomic::AtomicU64| -> u64 {
            self.run.live.iter().map(|live| field(live).load(Ordering::Relaxed)).sum()
        };
        let requests = sum(|live| &live.all_requests);
        let seconds = self.last.0.elapsed().as_secs_f64();
        let (p50, p99) = collected.last_second().unzip();
        let progress = Progress {
            phase,
            elapsed,
            total,
            connections: usize::try_from(sum(|live| &live.connections)).unwrap_or(usize::MAX),
            requests: sum(|live| &live.requests),
            errors: sum(|live| &live.errors),
            bytes_out: sum(|live| &live.bytes_out),
            bytes_in: sum(|live| &live.bytes_in),
            rate: (requests - self.last.1) as f64 / seconds.max(1e-9),
            p50,
            p99,
        };
        self.last = (Instant::now(), requests);
        if self.observer.progress(&progress) == ControlFlow::Break(()) {
            self.stop();
        }
    }

    fn stop(&mut self) {
        self.stopped = true;
        self.run.stop.store(true, Ordering::Relaxed);
    }
}
