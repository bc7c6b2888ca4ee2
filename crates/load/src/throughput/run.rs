//! One run of bulk data: a thread for each stream, somebody who looks, and the sum.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use socket2::Socket;
use sockeye_limits as limits;
use sockeye_net::{Operation, Stream};

use super::lane::{Lane, Moved};
use super::packet::Packet;
use super::plan::{Direction, ThroughputPlan};
use super::report::ThroughputReport;
use super::{dgram, line};
use crate::collect::cpu_time;
use crate::count::{SECOND, Window};
use crate::error::{Error, ErrorKind, Failure};
use crate::progress::{Observer, Phase, Progress};
use crate::report::Datagrams;
use crate::target::{Started, Target};
use crate::worker::{Clock, nanoseconds};

/// Moves what the plan describes, and reports what came of it.
///
/// Blocks until it is over. The observer is called from the calling thread.
///
/// # Errors
/// As [`crate::run`]; and [`Error::Failed`] where datagrams go up and no receiver of ours answers.
pub fn run(plan: &ThroughputPlan, observer: &mut dyn Observer) -> Result<ThroughputReport, Error> {
    plan.check()?;
    crate::run::require_descriptors(plan.streams, 0)?;
    let mut waits = |elapsed| observer.progress(&Progress::connecting(elapsed, 0));
    let none = Duration::ZERO;
    let Some((target, first)) = Target::reach(&plan.endpoint, &plan.dial, &mut waits)? else {
        return Ok(empty(plan, none, none, true));
    };
    let Some(sockets) = open(plan, &target, first, observer)? else {
        return Ok(empty(plan, none, none, true));
    };
    let start = nanoseconds(plan.warmup);
    let window = Window { start, end: start.saturating_add(nanoseconds(plan.duration)) };
    let stop = AtomicBool::new(false);
    let live = [AtomicU64::new(0), AtomicU64::new(0)];
    let lane = Lane {
        plan,
        target: &target,
        clock: Clock::start(),
        window,
        stop: &stop,
        up: plan.direction != Direction::Down,
        down: plan.direction != Direction::Up,
        live: [&live[0], &live[1]],
    };
    thread::scope(|scope| {
        let mut handles = Vec::new();
        for socket in &sockets {
            let lane = &lane;
            let thread = thread::Builder::new().name("bulk".into());
            let started = thread.spawn_scoped(scope, move || {
                // As for the workers of load.
                let _ = rustix::thread::set_current_timer_slack(std::num::NonZeroU64::new(1));
                match socket {
                    Link::Stream(stream) => line::run(lane, stream),
                    Link::Datagram(socket, session) => dgram::run(lane, socket, *session),
                }
            });
            match started {
                Ok(handle) => handles.push(handle),
                Err(source) => {
                    stop.store(true, Ordering::Relaxed);
                    return Err(Error::System { what: "start a thread", source });
                }
            }
        }
        let over = || handles.iter().all(thread::ScopedJoinHandle::is_finished);
        let (elapsed, cpu, stopped) = look(&lane, &over, observer);
        let mut report = empty(plan, elapsed, cpu, stopped);
        for handle in handles {
            let moved: Moved = handle.join().map_err(|_| {
                Error::Failed("a stream's thread has panicked. Report it with the command.".into())
            })?;
            // As for the workers of load: what moved until a stream heard of the end is counted.
            let ended = moved.ended.clamp(window.start, window.end) - window.start;
            report.elapsed = report.elapsed.max(Duration::from_nanos(ended));
            add(&mut report, moved);
        }
        let elapsed = report.elapsed;
        let seconds = nanoseconds(elapsed).div_ceil(SECOND);
        report.series.truncate(usize::try_from(seconds).unwrap_or(usize::MAX));
        nothing_moved(&mut report);
        Ok(report)
    })
}

/// A socket of the run.
enum Link {
    Stream(Stream),
    Datagram(Socket, u64),
}

/// All sockets of the run; none where the observer ends it.
fn open(
    plan: &ThroughputPlan,
    target: &Target,
    mut first: Option<Stream>,
    observer: &mut dyn Observer,
) -> Result<Option<Vec<Link>>, Error> {
    let transport = plan.endpoint.transport();
    let since = Instant::now();
    let links = (0..plan.streams).map(|number| {
        let mut look = || observer.progress(&Progress::connecting(since.elapsed(), number));
        if transport.is_stream() {
            let stream = match first.take() {
                Some(stream) => Some(stream),
                None => connect(target, number as u64, &mut look).map_err(Failure::into_error)?,
            };
            return Ok(stream.map(Link::Stream));
        }
        if look().is_break() {
            return Ok(None);
        }
        let socket = target.datagram().map_err(Failure::into_error)?;
        let session = Packet::session();
        if plan.direction == Direction::Up {
            let there = dgram::knock(&socket, session, transport)
                .map_err(|error| target.failed(Operation::Receive, error).into_error())?;
            if !there {
                return Err(Error::Failed(format!(
                    "cannot count datagrams at {}: no receiver answers there. Start `sockeye bench \
                     throughput --serve {}` at the other end, or use --direction both with `echo`.",
                    plan.endpoint, plan.endpoint
                )));
            }
        }
        Ok(Some(Link::Datagram(socket, session)))
    });
    links.collect()
}

/// Connects another stream, and waits for it; none where `look`, which is asked meanwhile, ends the
/// run.
fn connect(
    target: &Target,
    number: u64,
    look: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Option<Stream>, Failure> {
    let failed = |error| target.failed(Operation::Connect, error);
    let since = Instant::now();
    loop {
        let pending = match target.connect(number)? {
            Started::Connected(stream) => return Ok(Some(stream)),
            Started::Pending(stream) => Some(stream),
            Started::Full => None,
        };
        if pending.is_none() {
            thread::sleep(limits::LOAD_FULL);
        }
        while let Some(stream) = &pending
            && !sockeye_net::sys::wait_writable(stream, Some(limits::LOAD_PROGRESS))
                .map_err(failed)?
            && since.elapsed() < target.patience()
        {
            if look().is_break() {
                return Ok(None);
            }
        }
        if since.elapsed() >= target.patience() {
            return Err(failed(rustix::io::Errno::TIMEDOUT.into()));
        }
        if let Some(stream) = pending {
            return match stream.socket().take_error() {
                Ok(None) => Ok(Some(stream)),
                Ok(Some(error)) | Err(error) => Err(failed(error)),
            };
        }
        if look().is_break() {
            return Ok(None);
        }
    }
}

/// Looks until all threads are done. Gives the measured time, the processor time in it, and whether
/// the observer has ended the run.
fn look(
    lane: &Lane<'_>,
    over: &dyn Fn() -> bool,
    observer: &mut dyn Observer,
) -> (Duration, Duration, bool) {
    let Window { start, end } = lane.window;
    let (mut cpu, mut stopped) = (None, None);
    let (mut told, mut before) = (0, 0);
    let mut used = Duration::ZERO;
    while !over() {
        let now = lane.clock.now();
        if now >= start && now < end && stopped.is_none() {
            used = cpu_time().saturating_sub(*cpu.get_or_insert_with(cpu_time));
        }
        if now - told >= nanoseconds(limits::LOAD_PROGRESS) {
            let [up, down] = lane.live.map(|bytes| bytes.load(Ordering::Relaxed));
            let rate = (up + down - before) as f64 * SECOND as f64 / (now - told) as f64;
            (told, before) = (now, up + down);
            let progress = progress(lane, now, stopped.is_some(), [up, down], rate);
            if observer.progress(&progress) == ControlFlow::Break(()) && stopped.is_none() {
                stopped = Some(now.clamp(start, end) - start);
                lane.stop.store(true, Ordering::Relaxed);
            }
        }
        thread::sleep(limits::LOAD_TICK);
    }
    // Streams that have all failed are over before their time.
    let early = lane.clock.now().clamp(start, end) - start;
    let elapsed = Duration::from_nanos(stopped.unwrap_or(early));
    (elapsed, used, stopped.is_some())
}

fn progress(
    lane: &Lane<'_>,
    now: u64,
    stopped: bool,
    [bytes_out, bytes_in]: [u64; 2],
    rate: f64,
) -> Progress {
    let Window { start, end } = lane.window;
    let (phase, from, to) = match now {
        _ if now < start => (Phase::WarmingUp, 0, start),
        _ if now < end && !stopped => (Phase::Measuring, start, end),
        _ => (Phase::Draining, end, end),
    };
    Progress {
        phase,
        elapsed: Duration::from_nanos(now.saturating_sub(from)),
        total: Duration::from_nanos(to - from),
        connections: lane.plan.streams,
        requests: 0,
        errors: 0,
        bytes_out,
        bytes_in,
        rate,
        p50: None,
        p99: None,
    }
}

fn empty(
    plan: &ThroughputPlan,
    elapsed: Duration,
    cpu: Duration,
    stopped: bool,
) -> ThroughputReport {
    ThroughputReport {
        plan: plan.clone(),
        elapsed,
        streams: Vec::new(),
        series: Vec::new(),
        datagrams: None,
        errors: Default::default(),
        examples: Default::default(),
        cpu,
        stopped,
    }
}

/// No byte where some were to come or go, and nobody said why.
fn nothing_moved(report: &mut ThroughputReport) {
    let (up, down) = match report.plan.direction {
        Direction::Up => (true, false),
        Direction::Down => (false, true),
        Direction::Both => (true, true),
    };
    let missing = if up && report.up() <= 0.0 {
        "nothing was taken: the server does not read. Serve `discard` there, or `echo` for both ways."
    } else if down && report.down() <= 0.0 {
        "nothing came: the server says nothing by itself. Serve `chargen` there, or `echo` for both ways."
    } else {
        return;
    };
    if report.errors.is_empty() && !report.stopped {
        report.errors.insert(ErrorKind::Timeout, 1);
        report.examples.insert(ErrorKind::Timeout, missing.into());
    }
}

fn add(report: &mut ThroughputReport, moved: Moved) {
    report.streams.push(moved.figures);
    report.series.resize(moved.series.len().max(report.series.len()), Default::default());
    for (sum, second) in report.series.iter_mut().zip(moved.series) {
        sum.bytes_up += second.bytes_up;
        sum.bytes_down += second.bytes_down;
    }
    if let Some(datagrams) = moved.datagrams {
        report.datagrams =
            Some(report.datagrams.map_or(datagrams, |sum| Datagrams::and(sum, datagrams)));
    }
    if let Some(failure) = moved.failure {
        *report.errors.entry(failure.kind).or_default() += 1;
        report.examples.entry(failure.kind).or_insert_with(|| failure.text());
    }
}
