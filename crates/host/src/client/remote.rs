//! A connection to a server of remote commands: one command after another, its output to our own
//! streams, our input and signals to it.

use std::convert::Infallible;
use std::io;
use std::time::Duration;

use sockeye_limits as limits;
use sockeye_net::Pages;
use sockeye_wire::files::Transfer;
use sockeye_wire::{Client, Ended, Failure, HEADER, Misuse, ProtocolError, Run, Signal, ToClient};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadHalf, WriteHalf};
use tokio::time::{sleep, timeout};

use super::controls::{Control, Controls};
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
    /// Somebody wants us to end, whatever the command does.
    #[error("the command was given up: the same signal came {} times", limits::IMPATIENCE)]
    GivenUp(Signal),
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
    pub controls: &'a mut Controls,
}

/// A connection to a server.
pub struct Remote<S> {
    reader: ReadHalf<S>,
    writer: WriteHalf<S>,
    link: Link,
    /// The process number of the last command, at the server.
    pid: u32,
}

/// Our end of the protocol.
type Link = crate::link::Link<Client>;

/// What one look at what came has given.
enum Step {
    /// Our streams have to take what came before there is more.
    Flush,
    Over(Result<Ended, Failure>),
}

impl Link {
    /// What had to wait may be sent now.
    fn expire(&self) -> Result<(), ProtocolError> {
        self.say(|machine, out| machine.expire(self.now(), out))
    }

    /// Reads once; the end of the stream is an error.
    async fn read(&self, reader: &mut (impl AsyncRead + Unpin)) -> Result<(), CallError> {
        match self.fill(reader).await {
            Ok(true) => Ok(()),
            Ok(false) => {
                self.machine().end()?;
                Err(CallError::Connection(io::ErrorKind::UnexpectedEof.into()))
            }
            Err(error) => Err(CallError::Connection(error)),
        }
    }

    /// The server's Hello, which is due in the time of P-L3.
    async fn hear_hello(&self, reader: &mut (impl AsyncRead + Unpin)) -> Result<(), CallError> {
        loop {
            let (heard, due) = {
                let mut machine = self.machine();
                (machine.next(self.now())?.is_some(), machine.deadline())
            };
            if heard {
                return Ok(());
            }
            let left = due.map_or(Duration::ZERO, |due| due.saturating_sub(self.now()));
            match timeout(left, self.read(reader)).await {
                Ok(read) => read?,
                Err(_) => self.expire()?,
            }
        }
    }

    /// Takes what came, until our streams are full or the command is over.
    fn take(
        &self,
        stdout: &mut Output,
        stderr: &mut Output,
        at: &mut u32,
    ) -> Result<Option<Step>, CallError> {
        let mut machine = self.machine();
        let mut step = None;
        while let Some(message) = machine.next(self.now())? {
            let all = match message {
                ToClient::Stdout(bytes) => stdout.write(bytes).map_err(CallError::Output)?,
                ToClient::Stderr(bytes) => stderr.write(bytes).map_err(CallError::Output)?,
                ToClient::Ended(ended) => return Ok(Some(Step::Over(Ok(ended)))),
                ToClient::Failed(failure) => return Ok(Some(Step::Over(Err(failure)))),
                ToClient::Started { pid } => {
                    *at = pid;
                    true
                }
                ToClient::Hello(_) | ToClient::StdinClosed | ToClient::Ready => true,
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
        let link = Link::new(Client::new(Duration::ZERO));
        link.say(|machine, out| machine.hello(PROGRAM, out))?;
        Ok(Remote { reader, writer, link, pid: 0 })
    }

    /// Says hello and waits for the server's: then it is known that it let us in.
    ///
    /// # Errors
    /// [`CallError::Connection`], and [`CallError::Protocol`] also where the Hello does not come
    /// within [`limits::HELLO_TIME`].
    pub async fn greet(&mut self) -> Result<(), CallError> {
        let Remote { reader, writer, link, .. } = self;
        tokio::select! {
            heard = link.hear_hello(reader) => heard,
            failed = write_and_wait(link, writer) => Err(never(failed)),
        }
    }

    /// Runs one command to its end.
    ///
    /// # Errors
    /// [`CallError`]; after all but [`CallError::Failed`] the connection is of no more use.
    pub async fn run(&mut self, run: &Run, local: Local<'_>) -> Result<Ended, CallError> {
        let Remote { reader, writer, link, pid } = self;
        let Local { stdin, stdout, stderr, controls } = local;
        controls.begin();
        link.say(|machine, out| machine.run(run, out))?;
        let over = tokio::select! {
            over = receive(link, reader, stdout, stderr, pid) => over?,
            failed = send_or_listen(link, writer, stdin) => return Err(failed),
            failed = control(link, controls) => return Err(never(failed)),
        };
        let finish = async {
            stdout.finish().await?;
            stderr.finish().await
        };
        tokio::select! {
            finished = finish => finished.map_err(CallError::Output)?,
            // Where nobody reads our output, it is us who are to end.
            failed = control(link, controls) => return Err(never(failed)),
        }
        over.map_err(CallError::Failed)
    }

    /// Asks for a transfer, in the place of a command. From the server's assent on the stream is its:
    /// both halves, and what has come on it already.
    ///
    /// # Errors
    /// As [`run`](Remote::run).
    pub(crate) async fn transfer(
        self,
        transfer: &Transfer,
    ) -> Result<(ReadHalf<S>, WriteHalf<S>, Vec<u8>), CallError> {
        let Remote { mut reader, mut writer, link, .. } = self;
        link.say(|machine, out| machine.transfer(transfer, out))?;
        link.write(&mut writer).await.map_err(CallError::Connection)?;
        loop {
            let answer = {
                let mut machine = link.machine();
                match machine.next(link.now())? {
                    Some(ToClient::Ready) => Some(Ok(())),
                    Some(ToClient::Failed(failure)) => Some(Err(failure)),
                    Some(_) => continue,
                    None => None,
                }
            };
            match answer {
                Some(Ok(())) => return Ok((reader, writer, link.into_machine().into_rest())),
                Some(Err(failure)) => return Err(CallError::Failed(failure)),
                None => link.read(&mut reader).await?,
            }
        }
    }

    /// The process number of the last command, at the server; 0 where none has started.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Ends the connection between two commands: our end, then the server's.
    pub async fn close(mut self) {
        let Remote { writer, link, .. } = &mut self;
        let end = async {
            link.write(writer).await?;
            writer.shutdown().await
        };
        // Nothing is lost where it fails: the last command is over.
        let _ = timeout(limits::LINGER_TIME, end).await;
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
    pid: &mut u32,
) -> Result<Result<Ended, Failure>, CallError> {
    loop {
        match link.take(stdout, stderr, pid)? {
            Some(Step::Over(over)) => return Ok(over),
            Some(Step::Flush) => {
                stdout.flush().await.map_err(CallError::Output)?;
                stderr.flush().await.map_err(CallError::Output)?;
            }
            None => link.read(reader).await?,
        }
    }
}

/// Writes what was said, and no more.
async fn write_and_wait(
    link: &Link,
    writer: &mut (impl AsyncWrite + Unpin),
) -> Result<Infallible, CallError> {
    link.write(writer).await.map_err(CallError::Connection)?;
    std::future::pending().await
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
    let mut buffer = match stdin {
        Some(_) => Pages::behind(HEADER, limits::INPUT_CHUNK),
        None => Pages::default(),
    };
    loop {
        link.write(writer).await.map_err(CallError::Connection)?;
        let (room, open) = {
            let machine = link.machine();
            (machine.stdin_room().min(limits::INPUT_CHUNK), machine.stdin_is_open())
        };
        if !open {
            stdin = None;
        }
        let read = async {
            match &mut stdin {
                Some(input) if room > 0 => input.read(&mut buffer[..room]).await,
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
                    let sent = link.send(writer, buffer.with_header(&header, n)).await;
                    sent.map_err(CallError::Connection)?;
                }
                Err(error) => return Err(CallError::Input(error)),
            }
        }
    }
}

/// Passes signals and window sizes on, and whatever had to wait.
async fn control(link: &Link, controls: &mut Controls) -> Result<Infallible, CallError> {
    loop {
        let due = link.machine().deadline();
        let wait = async {
            match due {
                Some(due) => sleep(due.saturating_sub(link.now())).await,
                None => std::future::pending().await,
            }
        };
        let now = || link.now();
        tokio::select! {
            // A command that has just ended hears no more.
            control = controls.next() => match control {
                Ok(Control::Signal(signal)) => {
                    let _ = link.say(|machine, out| machine.signal(signal, now(), out));
                }
                Ok(Control::Resize(size)) => {
                    let _ = link.say(|machine, out| machine.resize(size, now(), out));
                }
                Err(signal) => return Err(CallError::GivenUp(signal)),
            },
            () = wait => link.expire()?,
        }
    }
}
