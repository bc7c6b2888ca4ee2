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
use sockeye_serve::{CommandNews, News};
use sockeye_wire::{Ended, Failure, FailureKind, HEADER, Program, Run, Signal, Status, ToServer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::sync::Notify;
use tokio::time::{sleep, sleep_until};

use super::audit::Audit;
use super::plan;
use super::talk::{Broken, Link, Talk};
use crate::job::{Exit, Job, Sink, Source, StartError, Streams, WindowSize};
use crate::quote::quoted;

/// What those who serve one command share.
#[derive(Default)]
struct Shared {
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
    written: [u64; 2],
}

/// Each change under a lock is whole; a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Talk<'_> {
    /// Runs one command, or says why not.
    pub(super) async fn run(
        &self,
        run: &Run,
        link: &Link,
        reader: &mut (impl AsyncRead + Unpin + Send),
        writer: &mut (impl AsyncWrite + Unpin + Send),
    ) -> Result<(), Broken> {
        let since = Instant::now();
        let (mut job, mut audit) = match self.start(run).await {
            Ok(started) => started,
            Err(failure) => return Ok(link.say(|machine, out| machine.failed(&failure, out))?),
        };
        link.say(|machine, out| machine.started(job.pid(), out))?;
        if run.detach {
            if let Some(audit) = &mut audit {
                self.audited(audit.cut("detached", 0));
            }
            self.tell(run, None, since);
            let duration_us = micros(since);
            let ended =
                Ended { status: Status::Exited(0), stdout_bytes: 0, stderr_bytes: 0, duration_us };
            job.let_go().await;
            return Ok(link.say(|machine, out| machine.ended(ended, out))?);
        }
        let shared = Shared::default();
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
                if let Some(audit) = &mut audit {
                    self.audited(audit.end(&ended));
                }
                self.tell(run, Some(&ended), since);
                Ok(link.say(|machine, out| machine.ended(ended, out))?)
            }
            Err(broken) => {
                job.end().await;
                // Not before: a command that sees its input end takes it for all of it.
                drop(stdin);
                if let Some(audit) = &mut audit {
                    self.audited(audit.cut("vanished", micros(since) / 1000));
                }
                Err(broken)
            }
        }
    }

    async fn start(&self, run: &Run) -> Result<(Job, Option<Audit>), Failure> {
        let plan = plan::make(run, &self.pass, self.rules, &self.peer)?;
        let audit = self.rules.audit.as_deref().map(|path| {
            Audit::begin(path, run, &self.pass, &self.peer).map_err(|error| {
                self.front.tell(News::Warning(format!(
                    "a command was refused: the audit file cannot be written ({error}). Make room \
                     or name another with --audit."
                )));
                let text = "the server cannot write down what it runs, so it runs nothing".into();
                Failure { kind: FailureKind::Refused, text }
            })
        });
        let mut audit = audit.transpose()?;
        let job = if self.alone { Job::start(&plan) } else { Job::start_kept(&plan).await };
        match job {
            Ok(job) => Ok((job, audit)),
            Err(error) => {
                if let Some(audit) = &mut audit {
                    self.audited(audit.cut("not-started", 0));
                }
                Err(failure(&error))
            }
        }
    }

    /// The command has run: that its end cannot be written down is told to the owner.
    fn audited(&self, written: io::Result<()>) {
        if let Err(error) = written {
            let text = format!("the end of a command is missing in the audit file: {error}");
            self.front.tell(News::Warning(text));
        }
    }

    fn tell(&self, run: &Run, ended: Option<&Ended>, since: Instant) {
        let (exit, signal) = match ended.map(|ended| ended.status) {
            Some(Status::Exited(code)) => (Some(i32::from(code)), None),
            Some(Status::Signaled { signal, .. }) => (None, Some(i32::from(signal))),
            Some(Status::TimedOut | Status::OutputLimit) | None => (None, None),
        };
        let output = ended.map_or(0, |ended| ended.stdout_bytes + ended.stderr_bytes);
        let line = match &run.program {
            Program::Arguments(words) => quoted(words),
            Program::Line(line) => line.clone(),
            Program::Login => b"a login shell".to_vec(),
        };
        let line = &line[..line.len().min(limits::COMMAND_SHOWN)];
        let shown = sockeye_net::shown::bytes(line);
        let command = shown.chars().take(limits::COMMENT_SHOWN).collect();
        let duration_ms = micros(since) / 1000;
        self.front.tell(News::Command(CommandNews { command, exit, signal, output, duration_ms }));
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
                ToServer::Signal(signal) => shared.request(Request::Signal(signal)),
                ToServer::Resize(size) => shared.request(Request::Resize(plan::window(size))),
                // The protocol has no other message here.
                ToServer::Hello(_) | ToServer::Run(_) => {}
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
                let _ = sink.close().await;
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
                    job.end().await;
                }
            }
            () = overdue, if verdict.is_none() => {
                lock(&shared.state).verdict = Some(Status::TimedOut);
                job.end().await;
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
    let mut buffers = [Buffer::new(), Buffer::new()];
    let [first, second] = &mut buffers;
    loop {
        link.write(writer).await?;
        let exited = lock(&shared.state).exit.is_some();
        if exited && stdout.is_none() && stderr.is_none() {
            return Ok(shared.ended(since));
        }
        // A terminal stays open as long as anybody has it; its session is over with its leader.
        let quiet = exited && run.terminal.is_some();
        tokio::select! {
            () = link.wake.notified() => {}
            n = first.fill(&mut stdout) => {
                deliver(shared, run, link, writer, first, 0, n).await?;
            }
            n = second.fill(&mut stderr) => {
                deliver(shared, run, link, writer, second, 1, n).await?;
            }
            () = sleep(limits::TERMINAL_QUIET), if quiet => stdout = None,
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
    writer.write_all(buffer.frame(header, n)).await?;
    writer.flush().await?;
    Ok(())
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
}

/// A frame's place: its header, then what was read.
struct Buffer(Vec<u8>);

impl Buffer {
    fn new() -> Buffer {
        Buffer(Vec::new())
    }

    /// Reads once: how much that was, 0 at the end, where the source is gone; without one it never
    /// returns. Cancel-safe.
    async fn fill(&mut self, source: &mut Option<Source>) -> usize {
        let Some(reading) = source else { return std::future::pending().await };
        if self.0.is_empty() {
            // Asked for as zeroed pages, which cost nothing before something is read into them.
            self.0 = vec![0; HEADER + limits::FRAME_DATA_MAX];
        }
        // An output that fails has ended.
        let n = reading.read(&mut self.0[HEADER..]).await.unwrap_or(0);
        if n == 0 {
            *source = None;
        }
        n
    }

    fn frame(&mut self, header: [u8; HEADER], n: usize) -> &[u8] {
        self.0[..HEADER].copy_from_slice(&header);
        &self.0[..HEADER + n]
    }
}
