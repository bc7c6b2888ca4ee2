//! One command: its output to the client, the client's input and signals to it, until both are done.
//!
//! Four things go on at once and share little: *incoming* takes frames, *feeding* writes standard
//! input, *stewarding* owns the job and its deadlines, *outgoing* reads output and is the only one
//! that writes to the client. The command is over when outgoing is; whatever ends incoming first
//! means that the client has gone, and everything that the command started ends with it.

use std::convert::Infallible;
use std::io;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sockeye_limits as limits;
use sockeye_wire::{Ended, Failure, FailureKind, Run, Signal, Status, ToServer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Notify;
use tokio::time::{sleep, sleep_until};

use super::buffer::Buffer;
use super::plan;
use super::record::Record;
use super::talk::{Broken, Link, Talk};
use crate::audit::Outcome;
use crate::gate::Pass;
use crate::job::{Exit, Job, Sink, Source, StartError, Streams, WindowSize};

/// What those who serve one command share.
#[derive(Default)]
struct Shared {
    /// The command is the key's own, not the client's.
    forced: bool,
    stdin: Mutex<Input>,
    feed: Notify,
    requests: Mutex<Vec<Request>>,
    /// There is a request, or too much output.
    knock: Notify,
    state: Mutex<State>,
}

/// Standard input that the command has not taken yet; the protocol bounds it.
#[derive(Default)]
struct Input {
    bytes: Vec<u8>,
    end: bool,
}

/// What the client wants of the command that runs.
enum Request {
    Signal(Signal),
    Resize(WindowSize),
}

/// How far the command is.
#[derive(Default)]
struct State {
    exit: Option<Exit>,
    /// Why we ended it, if we did.
    verdict: Option<Status>,
    /// We have ended it, and all that it started.
    over: bool,
    written: [u64; 2],
}

/// Each change under a lock is whole; a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Talk<'_> {
    /// Runs one command for the owner of this pass, or says why not.
    pub(super) async fn run(
        &self,
        run: &Run,
        pass: &Pass,
        link: &Link,
        reader: &mut (impl AsyncRead + Unpin + Send),
        writer: &mut (impl AsyncWrite + Unpin + Send),
    ) -> Result<(), Broken> {
        let since = Instant::now();
        let (mut job, record) = match self.start(run, pass).await {
            Ok(started) => started,
            Err(failure) => return Ok(link.say(|machine, out| machine.failed(&failure, out))?),
        };
        link.say(|machine, out| machine.started(job.pid(), out))?;
        if run.detach {
            record.end(&Outcome::without("detached"));
            let duration_us = micros(since);
            let ended =
                Ended { status: Status::Exited(0), stdout_bytes: 0, stderr_bytes: 0, duration_us };
            job.let_go().await;
            return Ok(link.say(|machine, out| machine.ended(ended, out))?);
        }
        let shared = Shared { forced: pass.forced.is_some(), ..Shared::default() };
        let Streams { mut stdin, stdout, stderr } = job.take_streams();
        let served = tokio::select! {
            gone = incoming(&shared, link, reader) => Err(never(gone)),
            ended = outgoing(&shared, run, link, writer, [stdout, stderr], since) => ended,
            stopped = steward(&shared, run, link, &mut job, since) => Err(never(stopped)),
            failed = feed(&shared, link, &mut stdin) => Err(never(failed)),
        };
        match served {
            Ok(ended) => {
                job.let_go().await;
                record.end(&Outcome::of(&ended));
                Ok(link.say(|machine, out| machine.ended(ended, out))?)
            }
            Err(broken) => {
                job.end().await;
                // Not before: a command that sees its input end takes it for all of it.
                drop(stdin);
                record.end(&shared.vanished(job.exit().await, since));
                Err(broken)
            }
        }
    }

    async fn start<'a>(&'a self, run: &'a Run, pass: &Pass) -> Result<(Job, Record<'a>), Failure> {
        let plan = plan::make(run, pass, self.rules, &self.peer)?;
        let (file, front) = (self.rules.audit.as_deref(), self.front.as_ref());
        let record = Record::begin(file, run, pass, &self.peer, front).map_err(|_| {
            let text = "the server cannot write down what it runs, so it runs nothing".into();
            Failure { kind: FailureKind::Refused, text }
        })?;
        let job = if self.alone { Job::start(&plan) } else { Job::start_kept(&plan).await };
        match job {
            Ok(job) => Ok((job, record)),
            Err(error) => {
                record.not_started();
                Err(failure(&error))
            }
        }
    }
}

fn never(result: Result<Infallible, Broken>) -> Broken {
    match result {
        Ok(never) => match never {},
        Err(broken) => broken,
    }
}

fn micros(since: Instant) -> u64 {
    u64::try_from(since.elapsed().as_micros()).unwrap_or(u64::MAX)
}

/// What a client is told of a command that did not start.
fn failure(error: &StartError) -> Failure {
    let kind = match error {
        StartError::NotFound => FailureKind::NotFound,
        StartError::NoInterpreter | StartError::NotExecutable(_) => FailureKind::NotExecutable,
        StartError::Directory(_) => FailureKind::Directory,
        StartError::TooManyProcesses => FailureKind::Busy,
        StartError::TooLong | StartError::Plan(_) => FailureKind::Refused,
        _ => FailureKind::System,
    };
    Failure { kind, text: error.to_string() }
}

/// Takes frames for as long as the client is there.
async fn incoming(
    shared: &Shared,
    link: &Link,
    reader: &mut (impl AsyncRead + Unpin),
) -> Result<Infallible, Broken> {
    loop {
        link.take::<Infallible>(|message| {
            match message {
                ToServer::Stdin(bytes) => {
                    lock(&shared.stdin).bytes.extend_from_slice(bytes);
                    shared.feed.notify_one();
                }
                ToServer::StdinEnd => {
                    lock(&shared.stdin).end = true;
                    shared.feed.notify_one();
                }
                ToServer::Signal(signal) if plan::may_hear(signal, shared.forced) => {
                    shared.request(Request::Signal(signal));
                }
                ToServer::Resize(size) => shared.request(Request::Resize(plan::window(size))),
                // Not for this command; and the protocol has no other message here.
                ToServer::Signal(_)
                | ToServer::Hello(_)
                | ToServer::Run(_)
                | ToServer::Transfer(_) => {}
            }
            ControlFlow::Continue(())
        })?;
        if !link.fill(reader).await? {
            // In the middle of a command: the client has gone.
            link.machine().end()?;
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
    }
}

impl Shared {
    /// Ends the command and all that it started: what still holds its output is none of it.
    async fn end(&self, job: &mut Job, link: &Link) {
        job.end().await;
        lock(&self.state).over = true;
        link.wake.notify_one();
    }

    fn request(&self, request: Request) {
        lock(&self.requests).push(request);
        self.knock.notify_one();
    }
}

/// Writes standard input as the command takes it.
async fn feed(
    shared: &Shared,
    link: &Link,
    stdin: &mut Option<Sink>,
) -> Result<Infallible, Broken> {
    while let Some(sink) = stdin {
        let (bytes, end) = {
            let mut input = lock(&shared.stdin);
            (std::mem::take(&mut input.bytes), input.end)
        };
        if bytes.is_empty() {
            if end {
                // What cannot be closed is closed when it is dropped.
                if sink.close().await.is_ok() {
                    sink.keep_closed().await;
                }
                *stdin = None;
            } else {
                shared.feed.notified().await;
            }
            continue;
        }
        let mut done = 0;
        while done < bytes.len() {
            match sink.write(&bytes[done..]).await {
                Ok(n) => {
                    done += n;
                    link.say(|machine, out| machine.stdin_taken(n, out))?;
                }
                Err(_) => {
                    // It reads no more, whatever the reason; that is its own affair.
                    link.say(|machine, out| machine.stdin_closed(out))?;
                    *stdin = None;
                    break;
                }
            }
        }
    }
    std::future::pending().await
}

/// Owns the job: passes on what the client wants of it, and ends it where its time or its output is
/// over.
async fn steward(
    shared: &Shared,
    run: &Run,
    link: &Link,
    job: &mut Job,
    since: Instant,
) -> Result<Infallible, Broken> {
    let allowed = run.timeout_ms.map(Duration::from_millis);
    let due = allowed.and_then(|allowed| since.checked_add(allowed));
    let mut exited = false;
    loop {
        let verdict = lock(&shared.state).verdict;
        let overdue = async {
            match due {
                Some(due) => sleep_until(due.into()).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            exit = job.wait(), if !exited => {
                exited = true;
                lock(&shared.state).exit = Some(exit?);
                link.wake.notify_one();
            }
            () = shared.knock.notified() => {
                for request in std::mem::take(&mut *lock(&shared.requests)) {
                    // A command that has just ended hears no more.
                    let _ = match request {
                        Request::Signal(signal) => job.signal(signal.number()),
                        Request::Resize(size) => job.resize(size),
                    };
                }
                // Looked at anew: the knock may be about it.
                if lock(&shared.state).verdict == Some(Status::OutputLimit) {
                    shared.end(job, link).await;
                }
            }
            () = overdue, if verdict.is_none() => {
                lock(&shared.state).verdict = Some(Status::TimedOut);
                shared.end(job, link).await;
            }
        }
    }
}

/// Reads output and writes it to the client, and whatever else is to be said, until the command is
/// over and all of its output is on its way.
async fn outgoing(
    shared: &Shared,
    run: &Run,
    link: &Link,
    writer: &mut (impl AsyncWrite + Unpin),
    [mut stdout, mut stderr]: [Option<Source>; 2],
    since: Instant,
) -> Result<Ended, Broken> {
    let mut buffers = [Buffer::default(), Buffer::default()];
    let [first, second] = &mut buffers;
    // What the pipes can hold when the tree is over; more is others' who write to them for ever.
    let mut left = 2 * limits::PIPE_SIZE;
    loop {
        link.write(writer).await?;
        let over = lock(&shared.state).over;
        if over && left == 0 {
            (stdout, stderr) = (None, None);
        }
        let exited = lock(&shared.state).exit.is_some();
        if exited && stdout.is_none() && stderr.is_none() {
            return Ok(shared.ended(since));
        }
        // A terminal stays open as long as anybody has it; its session is over with its leader.
        let quiet = exited && run.terminal.is_some();
        let held = if over { limits::OUTPUT_QUIET } else { limits::TERMINAL_QUIET };
        tokio::select! {
            () = link.wake.notified() => {}
            n = first.fill(&mut stdout) => {
                left = left.saturating_sub(if over { n } else { 0 });
                deliver(shared, run, link, writer, first, 0, n).await?;
            }
            n = second.fill(&mut stderr) => {
                left = left.saturating_sub(if over { n } else { 0 });
                deliver(shared, run, link, writer, second, 1, n).await?;
            }
            () = sleep(held), if quiet || over => (stdout, stderr) = (None, None),
        }
    }
}

/// Sends a piece of output, up to the limit that the client has set.
async fn deliver(
    shared: &Shared,
    run: &Run,
    link: &Link,
    writer: &mut (impl AsyncWrite + Unpin),
    buffer: &mut Buffer,
    which: usize,
    n: usize,
) -> Result<(), Broken> {
    let n = {
        let mut state = lock(&shared.state);
        let room = run.max_output.map(|max| max.saturating_sub(state.written.iter().sum()));
        let allowed = room.map_or(n, |room| n.min(usize::try_from(room).unwrap_or(n)));
        if allowed < n && state.verdict.is_none() {
            state.verdict = Some(Status::OutputLimit);
            shared.knock.notify_one();
        }
        state.written[which] += allowed as u64;
        allowed
    };
    if n == 0 {
        return Ok(());
    }
    let header = {
        let mut machine = link.machine();
        if which == 0 { machine.stdout_header(n)? } else { machine.stderr_header(n)? }
    };
    Ok(link.send(writer, buffer.frame(header, n)).await?)
}

impl Shared {
    fn ended(&self, since: Instant) -> Ended {
        let state = lock(&self.state);
        let status = state.verdict.unwrap_or(match state.exit {
            Some(Exit::Code(code)) => Status::Exited(code),
            Some(Exit::Signal { number, core }) => Status::Signaled { signal: number, core },
            None => unreachable!("asked only after its exit"),
        });
        let [stdout_bytes, stderr_bytes] = state.written;
        Ended { status, stdout_bytes, stderr_bytes, duration_us: micros(since) }
    }

    /// Of a command whose client has gone: what it had written until then, and how it ended.
    fn vanished(&self, exit: Option<Exit>, since: Instant) -> Outcome {
        let [stdout_bytes, stderr_bytes] = lock(&self.state).written;
        let duration_ms = micros(since) / 1000;
        Outcome { exit, why: Some("vanished"), stdout_bytes, stderr_bytes, duration_ms }
    }
}
