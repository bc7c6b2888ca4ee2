//! The loop of every worker: what is due, what came, what is late, until the run is over.

use std::time::Duration;

use rustix::io::Errno;
use sockeye_limits as limits;

use super::poll::{EventFlags, Poll, Token};
use super::{Clock, Done, Due, Job, Word, nanoseconds};
use crate::count::Count;
use crate::error::{Error, ErrorKind, Failure};
use crate::report::{Datagrams, Whole};
use crate::schedule::Schedule;

/// What every worker has.
pub(super) struct Core<'a> {
    pub(super) job: Job<'a>,
    pub(super) poll: Poll,
    pub(super) clock: Clock,
    pub(super) count: Count,
    pub(super) whole: Whole,
    pub(super) schedule: Option<Schedule>,
    due: Option<Due>,
    /// Requests that wait for their answers, on all connections.
    pub(super) in_flight: u64,
    /// Connections that are open.
    pub(super) open: u64,
    /// All workers are ready, and requests may go.
    pub(super) running: bool,
    /// Since when nothing new is sent.
    pub(super) ending: Option<u64>,
    /// What begins now was waited for by nobody but us.
    pub(super) looking: bool,
}

/// A worker of one kind.
pub(super) trait Drive<'a> {
    /// What every worker has.
    fn core(&mut self) -> &mut Core<'a>;

    /// Requests may go: the first ones do.
    fn start(&mut self, now: u64);

    /// A request has become due on the connection of this place.
    fn due(&mut self, place: usize, now: u64);

    /// Something happened to the connection of this token, or to one before it.
    fn event(&mut self, token: Token, flags: EventFlags);

    /// Looks for connections that have failed or say nothing.
    fn sweep(&mut self, now: u64);

    /// Whether to look again as soon as may be: a request waits for the server's queue, which nothing
    /// tells of.
    fn hurries(&self) -> bool {
        false
    }

    /// Counts as failed what is in flight.
    fn give_up(&mut self, now: u64);

    /// How many requests of its schedule the connection of this place has begun, and its number in
    /// the run.
    fn begun(&self) -> Vec<(u64, u64)>;

    /// What became of datagrams.
    fn datagrams(&self) -> Option<Datagrams> {
        None
    }
}

impl<'a> Core<'a> {
    pub(super) fn new(job: Job<'a>) -> Result<Core<'a>, Error> {
        let poll = Poll::new().map_err(|errno| system("make an epoll instance", errno))?;
        Ok(Core {
            poll,
            clock: Clock::start(),
            count: Count::new(job.window, job.open()),
            whole: Whole::default(),
            schedule: job.schedule(),
            due: Due::new(&job),
            in_flight: 0,
            open: 0,
            running: false,
            ending: None,
            looking: false,
            job,
        })
    }

    /// A failure of a call on the way to the server.
    pub(super) fn failed(
        &self,
        operation: sockeye_net::Operation,
        error: std::io::Error,
    ) -> Failure {
        self.job.target.failed(operation, error)
    }

    /// When to try again after so many failures in a row. What failed in the warm-up is tried again
    /// when the measured time begins: a pause over all of it would count as nothing at all.
    pub(super) fn again(&self, now: u64, failures: u32) -> u64 {
        let until = now + nanoseconds(super::pause(failures));
        match self.job.window.start {
            start if now < start => until.min(start),
            _ => until,
        }
    }
}

/// Waits for events at most so long, and hands them on.
pub(super) fn turn<'a>(worker: &mut impl Drive<'a>, most: Duration) -> Result<(), Error> {
    let events = worker.core().poll.wait(most).map_err(|errno| system("wait for events", errno))?;
    for number in 0..events {
        let (token, flags) = worker.core().poll.event(number);
        worker.event(token, flags);
    }
    let core = worker.core();
    core.job.live.tell(&core.count, &core.whole, core.open);
    Ok(())
}

/// Drives the connections from the common start on until the last answer.
pub(super) fn drive<'a>(mut worker: impl Drive<'a>) -> Result<Option<Done>, Error> {
    let core = worker.core();
    let Some(clock) = core.job.begin() else { return Ok(None) };
    (core.clock, core.running) = (clock, true);
    core.count.begin();
    let timeout = nanoseconds(core.job.plan.timeout);
    let settle = nanoseconds(limits::LOAD_SETTLE);
    worker.start(clock.now());
    let mut swept = 0;
    loop {
        let now = clock.now();
        let wait = look(&mut worker, now);
        let core = worker.core();
        // Behind the last look: what was due before the end leaves where its connection is free.
        if core.ending.is_none() && (now >= core.job.window.end || core.job.stopped()) {
            core.ending = Some(now);
        }
        // Whoever has ended the run does not want to wait for a server that says nothing.
        let most = if core.job.stopped() { timeout.min(settle) } else { timeout };
        if let Some(since) = core.ending
            && (core.in_flight == 0 || now - since > most)
        {
            return Ok(Some(finish(worker, now)));
        }
        let hurries = worker.hurries();
        let pause = if hurries { limits::LOAD_FULL } else { limits::LOAD_SWEEP };
        if now - swept > nanoseconds(pause) {
            swept = now;
            let core = worker.core();
            if let Some(share) = core.count.turn(now) {
                let _ = core.job.words.send(Word::Share(share));
            }
            worker.sweep(now);
        }
        turn(&mut worker, if hurries { wait.min(limits::LOAD_FULL) } else { wait })?;
    }
}

/// Begins what is due at a fixed rate, and gives how long nothing more will be.
fn look<'a>(worker: &mut impl Drive<'a>, now: u64) -> Duration {
    if worker.core().ending.is_some() {
        return limits::LOAD_TICK;
    }
    let Some(mut due) = worker.core().due.take() else { return limits::LOAD_TICK };
    worker.core().looking = true;
    due.look(now, |place| worker.due(place, now));
    let core = worker.core();
    core.looking = false;
    let next = due.next(core.clock.now());
    core.due = Some(due);
    next.map_or(limits::LOAD_TICK, |next| Duration::from_nanos(next).min(limits::LOAD_TICK))
}

/// Counts what never came and what never went.
fn finish<'a>(mut worker: impl Drive<'a>, now: u64) -> Done {
    worker.give_up(now);
    let (begun, datagrams) = (worker.begun(), worker.datagrams());
    let core = worker.core();
    if let Some(due) = core.due.take() {
        let window = core.job.window;
        let until = core.ending.unwrap_or(now);
        let unsent = begun.iter().map(|(number, begun)| due.unsent(window, *number, *begun, until));
        let unsent: u64 = unsent.sum();
        if unsent > 0 {
            let stream = core.job.plan.endpoint.transport().is_stream();
            let said = if stream { UNSENT } else { UNSENT_DATAGRAMS };
            core.count.failed(window.end - 1, unsent, ErrorKind::Unsent, || said.into());
        }
    }
    core.whole.requests = core.count.all_requests;
    let count = std::mem::replace(&mut core.count, Count::new(core.job.window, false));
    Done { ended: core.ending.unwrap_or(now), count, whole: core.whole, datagrams }
}

fn system(what: &'static str, errno: Errno) -> Error {
    Error::System { what, source: errno.into() }
}

/// No answer came.
pub(super) fn silent() -> Failure {
    Failure::said(
        ErrorKind::Timeout,
        "no answer came within --timeout. Look whether the server still works; it has to answer \
         each request with as many bytes.",
    )
}

/// An answer has begun, and that is all.
pub(super) fn unfinished() -> Failure {
    Failure::said(
        ErrorKind::Timeout,
        "an answer had begun and was not whole within --timeout. Name a server whose answers end, \
         or raise --timeout.",
    )
}

/// The run is over, and this was still in flight. Where it was ended early that says nothing of the
/// server: nobody has waited for as long as it may take.
pub(super) fn left_over(stopped: bool) -> Failure {
    if stopped {
        return Failure::said(ErrorKind::Interrupted, INTERRUPTED);
    }
    Failure::said(
        ErrorKind::Timeout,
        "the run was over and the last answers, which are waited for up to --timeout, were not \
         there or not whole. Look whether the server still works; it has to answer each request \
         with as many bytes.",
    )
}

/// No connection came about.
pub(super) fn unanswered() -> Failure {
    Failure::said(
        ErrorKind::Timeout,
        "a connection was not made in time. Look at the server's accept queue and its limits, or \
         ask for fewer connections.",
    )
}

/// In flight when the run was ended early.
pub(super) const INTERRUPTED: &str =
    "the run was ended before the answer came. Let it run to its end to know what becomes of it.";

const UNSENT: &str = "requests were due and could not be sent before the end: the rate was not \
                      reached. Lower --rate, or raise --connections or --depth.";

const UNSENT_DATAGRAMS: &str = "datagrams were due and could not be sent before the end: the rate was not \
                                reached. Lower --rate or --timeout, or raise --connections or --workers.";
