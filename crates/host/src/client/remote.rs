//! A connection to a server of remote commands: one command after another, its output to our own
//! streams, our input and signals to it.

use std::convert::Infallible;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::ready;
use std::time::{Duration, Instant};

use sockeye_limits as limits;
use sockeye_wire::{
    Client, Ended, Failure, HEADER, Misuse, ProtocolError, Run, Signal, ToClient, WindowSize,
};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf, ReadHalf, WriteHalf};
use tokio::sync::{Notify, mpsc};
use tokio::time::sleep;

use super::local::{Input, Output};
use crate::server::PROGRAM;

/// Why a command has no end of its own.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server did not start it.
    #[error("{}", sockeye_net::shown::line(&.0.text))]
    Failed(Failure),
    /// The connection failed.
    #[error("the connection failed: {0}. Try again.")]
    Connection(io::Error),
    /// The server broke the protocol, or its end came too early.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
    /// Our standard output or error could not be written.
    #[error("cannot write the command's output: {0}. Check where it goes.")]
    Output(io::Error),
    /// Our standard input could not be read.
    #[error("cannot read standard input: {0}. Use -n to send none.")]
    Input(io::Error),
    /// What was asked for cannot be sent.
    #[error(transparent)]
    Request(#[from] Misuse),
}

/// What happens here and is for the command there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// A signal.
    Signal(Signal),
    /// The window has this size now.
    Resize(WindowSize),
}

/// Our side of one command.
pub struct Local<'a> {
    /// Standard input, where the command has one.
    pub stdin: Option<&'a mut Input>,
    /// Where its standard output goes.
    pub stdout: &'a mut Output,
    /// Where its standard error goes.
    pub stderr: &'a mut Output,
    /// Signals and window sizes.
    pub controls: &'a mut mpsc::Receiver<Control>,
}

/// A connection to a server.
pub struct Remote<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    link: Link,
}

/// Our end of the protocol, shared by those who read and those who write.
struct Link {
    machine: Mutex<Client>,
    since: Instant,
    out: Mutex<Vec<u8>>,
    /// There is something to write, or room for input.
    wake: Notify,
    /// The process number of the last command, at the server.
    pid: AtomicU32,
}

/// What one look at what came has given.
enum Step {
    /// Our streams have to take what came before there is more.
    Flush,
    Over(Result<Ended, Failure>),
}

impl Link {
    fn machine(&self) -> MutexGuard<'_, Client> {
        // Every call on the machine is whole: a panic elsewhere does not spoil it.
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn say(
        &self,
        what: impl FnOnce(&mut Client, &mut Vec<u8>) -> Result<(), Misuse>,
    ) -> Result<(), Misuse> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        what(&mut self.machine(), &mut out)?;
        self.wake.notify_one();
        Ok(())
    }

    /// What had to wait may be sent now.
    fn expire(&self) -> Result<(), ProtocolError> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        self.machine().expire(self.since.elapsed(), &mut out)?;
        self.wake.notify_one();
        Ok(())
    }

    async fn write(&self, writer: &mut (impl AsyncWrite + Unpin)) -> Result<(), CallError> {
        let out = std::mem::take(&mut *self.out.lock().unwrap_or_else(PoisonError::into_inner));
        if !out.is_empty() {
            writer.write_all(&out).await.map_err(CallError::Connection)?;
            writer.flush().await.map_err(CallError::Connection)?;
        }
        Ok(())
    }

    /// Reads once; the end of the stream is an error but between two commands.
    async fn fill(&self, reader: &mut (impl AsyncRead + Unpin)) -> Result<(), CallError> {
        let read = std::future::poll_fn(|cx| {
            let mut machine = self.machine();
            let mut space = ReadBuf::new(machine.space());
            ready!(Pin::new(&mut *reader).poll_read(cx, &mut space))?;
            let n = space.filled().len();
            machine.filled(n);
            Ok::<_, io::Error>(n).into()
        });
        match read.await {
            Ok(0) => {
                self.machine().end()?;
                Err(CallError::Connection(io::ErrorKind::UnexpectedEof.into()))
            }
            Ok(_) => Ok(()),
            Err(error) => Err(CallError::Connection(error)),
        }
    }

    /// Takes what came, until our streams are full or the command is over.
    fn take(&self, stdout: &mut Output, stderr: &mut Output) -> Result<Option<Step>, CallError> {
        let mut machine = self.machine();
        let mut step = None;
        while let Some(message) = machine.next(self.since.elapsed())? {
            let all = match message {
                ToClient::Stdout(bytes) => stdout.write(bytes).map_err(CallError::Output)?,
                ToClient::Stderr(bytes) => stderr.write(bytes).map_err(CallError::Output)?,
                ToClient::Ended(ended) => return Ok(Some(Step::Over(Ok(ended)))),
                ToClient::Failed(failure) => return Ok(Some(Step::Over(Err(failure)))),
                ToClient::Started { pid } => {
                    self.pid.store(pid, Ordering::Relaxed);
                    true
                }
                ToClient::Hello(_) | ToClient::StdinClosed => true,
            };
            if !all {
                step = Some(Step::Flush);
                break;
            }
        }
        // There may be more room for input.
        self.wake.notify_one();
        Ok(step)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Remote<S> {
    /// The host protocol over a connection.
    ///
    /// # Errors
    /// None that a peer causes.
    pub fn new(stream: S) -> Result<Remote<S>, CallError> {
        let (reader, writer) = tokio::io::split(stream);
        let link = Link {
            machine: Mutex::new(Client::new(Duration::ZERO)),
            since: Instant::now(),
            out: Mutex::default(),
            wake: Notify::new(),
            pid: AtomicU32::new(0),
        };
        link.say(|machine, out| machine.hello(PROGRAM, out))?;
        Ok(Remote { reader, writer, link })
    }

    /// Says hello and waits for the server's: then it is known that it let us in.
    ///
    /// # Errors
    /// [`CallError::Connection`] and [`CallError::Protocol`].
    pub async fn greet(&mut self) -> Result<(), CallError> {
        let Remote { reader, writer, link } = self;
        link.write(writer).await?;
        loop {
            let hello = link.machine().next(link.since.elapsed())?.is_some();
            if hello {
                return Ok(());
            }
            link.fill(reader).await?;
        }
    }

    /// Runs one command to its end.
    ///
    /// # Errors
    /// [`CallError`]; after all but [`CallError::Failed`] the connection is of no more use.
    pub async fn run(&mut self, run: &Run, local: Local<'_>) -> Result<Ended, CallError> {
        let Remote { reader, writer, link } = self;
        let Local { stdin, stdout, stderr, controls } = local;
        link.say(|machine, out| machine.run(run, out))?;
        let over = tokio::select! {
            over = receive(link, reader, stdout, stderr) => over?,
            failed = send_or_listen(link, writer, stdin) => return Err(failed),
            failed = control(link, controls) => return Err(never(failed)),
        };
        stdout.finish().await.map_err(CallError::Output)?;
        stderr.finish().await.map_err(CallError::Output)?;
        over.map_err(CallError::Failed)
    }

    /// The process number of the last command, at the server; 0 where none has started.
    pub fn pid(&self) -> u32 {
        self.link.pid.load(Ordering::Relaxed)
    }

    /// Ends the connection between two commands: our end, then the server's.
    pub async fn close(mut self) {
        // Nothing is lost where it fails: the last command is over.
        let _ = self.writer.shutdown().await;
    }
}

fn never(result: Result<Infallible, CallError>) -> CallError {
    match result {
        Ok(never) => match never {},
        Err(error) => error,
    }
}

async fn receive(
    link: &Link,
    reader: &mut (impl AsyncRead + Unpin),
    stdout: &mut Output,
    stderr: &mut Output,
) -> Result<Result<Ended, Failure>, CallError> {
    loop {
        match link.take(stdout, stderr)? {
            Some(Step::Over(over)) => return Ok(over),
            Some(Step::Flush) => {
                stdout.flush().await.map_err(CallError::Output)?;
                stderr.flush().await.map_err(CallError::Output)?;
            }
            None => link.fill(reader).await?,
        }
    }
}

/// As [`send`]. Where the server takes no more, what it said before it went says more than our own
/// failure: that is left time to be heard.
async fn send_or_listen(
    link: &Link,
    writer: &mut (impl AsyncWrite + Unpin),
    stdin: Option<&mut Input>,
) -> CallError {
    let error = never(send(link, writer, stdin).await);
    if matches!(error, CallError::Connection(_)) {
        sleep(limits::LINGER_TIME).await;
    }
    error
}

/// Sends what was said and standard input, as far as there is room for it.
async fn send(
    link: &Link,
    writer: &mut (impl AsyncWrite + Unpin),
    mut stdin: Option<&mut Input>,
) -> Result<Infallible, CallError> {
    let mut buffer = Vec::new();
    if stdin.is_some() {
        buffer.resize(HEADER + limits::INPUT_CHUNK, 0);
    }
    loop {
        link.write(writer).await?;
        let (room, open) = {
            let machine = link.machine();
            (machine.stdin_room().min(limits::INPUT_CHUNK), machine.stdin_is_open())
        };
        if !open {
            stdin = None;
        }
        let read = async {
            match &mut stdin {
                Some(input) if room > 0 => input.read(&mut buffer[HEADER..HEADER + room]).await,
                _ => std::future::pending().await,
            }
        };
        tokio::select! {
            () = link.wake.notified() => {}
            read = read => match read {
                Ok(0) => {
                    stdin = None;
                    link.say(|machine, out| machine.stdin_end(out))?;
                }
                Ok(n) => {
                    let header = link.machine().stdin_header(n);
                    // The command may have stopped reading since the room was looked at.
                    let Ok(header) = header else { continue };
                    buffer[..HEADER].copy_from_slice(&header);
                    writer.write_all(&buffer[..HEADER + n]).await.map_err(CallError::Connection)?;
                    writer.flush().await.map_err(CallError::Connection)?;
                }
                Err(error) => return Err(CallError::Input(error)),
            }
        }
    }
}

/// Passes signals and window sizes on, and whatever had to wait.
async fn control(
    link: &Link,
    controls: &mut mpsc::Receiver<Control>,
) -> Result<Infallible, CallError> {
    let mut open = true;
    loop {
        let due = link.machine().deadline();
        let wait = async {
            match due {
                Some(due) => sleep(due.saturating_sub(link.since.elapsed())).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            control = controls.recv(), if open => match control {
                Some(Control::Signal(signal)) => {
                    let now = link.since.elapsed();
                    // A command that has just ended hears no more.
                    let _ = link.say(|machine, out| machine.signal(signal, now, out));
                }
                Some(Control::Resize(size)) => {
                    let now = link.since.elapsed();
                    let _ = link.say(|machine, out| machine.resize(size, now, out));
                }
                None => open = false,
            },
            () = wait => link.expire()?,
        }
    }
}
