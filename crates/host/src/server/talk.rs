//! One connection of somebody who came in: hello, then one command after another.

use std::io;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::ready;
use std::time::{Duration, Instant};

use sockeye_net::Peer;
use sockeye_serve::{End, Front, News, Offence, Side, Why};
use sockeye_wire::{Misuse, ProtocolError, Run, Server, ToServer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::Notify;
use tokio::time::timeout;

use crate::gate::Pass;
use crate::job::become_reaper;
use crate::rules::Rules;

/// The name and version that we say hello with.
pub(crate) const PROGRAM: &str = concat!("sockeye/", env!("CARGO_PKG_VERSION"));

/// One connection, and what its owner may do.
pub(super) struct Talk<'a> {
    pub(super) rules: &'a Rules,
    pub(super) pass: Pass,
    pub(super) peer: Peer,
    pub(super) front: Arc<dyn Front>,
    /// This process serves nothing else, so what it runs may be its own children.
    pub(super) alone: bool,
}

/// Why a connection ended before its time.
#[derive(Debug)]
pub(super) enum Broken {
    /// The stream failed, or ended in the middle.
    Io(io::Error),
    /// The peer broke the protocol.
    Protocol(ProtocolError),
    /// We did.
    Misuse(Misuse),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        Broken::Io(error)
    }
}

impl From<ProtocolError> for Broken {
    fn from(error: ProtocolError) -> Broken {
        Broken::Protocol(error)
    }
}

impl From<Misuse> for Broken {
    fn from(error: Misuse) -> Broken {
        Broken::Misuse(error)
    }
}

/// Our end of the protocol, shared by those who read and those who write.
pub(super) struct Link {
    machine: Mutex<Server>,
    since: Instant,
    /// Frames to be written, and who is told that there are some.
    out: Mutex<Vec<u8>>,
    pub(super) wake: Notify,
}

impl Link {
    fn new() -> Link {
        Link {
            machine: Mutex::new(Server::new(Duration::ZERO)),
            since: Instant::now(),
            out: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// The state machine; every call on it is whole, so a panic elsewhere does not spoil it.
    pub(super) fn machine(&self) -> MutexGuard<'_, Server> {
        self.machine.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says something: the frame goes out with the next write.
    pub(super) fn say(
        &self,
        what: impl FnOnce(&mut Server, &mut Vec<u8>) -> Result<(), Misuse>,
    ) -> Result<(), Misuse> {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        what(&mut self.machine(), &mut out)?;
        drop(out);
        self.wake.notify_one();
        Ok(())
    }

    /// Writes what was said.
    pub(super) async fn write(&self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let out = std::mem::take(&mut *self.out.lock().unwrap_or_else(PoisonError::into_inner));
        if !out.is_empty() {
            writer.write_all(&out).await?;
            writer.flush().await?;
        }
        Ok(())
    }

    /// Reads once, straight to where the frames are taken from; false at the stream's end.
    pub(super) async fn fill(&self, reader: &mut (impl AsyncRead + Unpin)) -> io::Result<bool> {
        std::future::poll_fn(|cx| {
            let mut machine = self.machine();
            let mut space = ReadBuf::new(machine.space());
            ready!(Pin::new(&mut *reader).poll_read(cx, &mut space))?;
            let n = space.filled().len();
            machine.filled(n);
            Ok(n > 0).into()
        })
        .await
    }

    /// Takes messages until there are none or one of them breaks off.
    pub(super) fn take<T>(
        &self,
        mut each: impl FnMut(ToServer<'_>) -> ControlFlow<T>,
    ) -> Result<Option<T>, ProtocolError> {
        let mut machine = self.machine();
        while let Some(message) = machine.next(self.since.elapsed())? {
            if let ControlFlow::Break(found) = each(message) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// The next command; `None` where the peer has ended between two.
    async fn next_run(
        &self,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> Result<Option<Box<Run>>, Broken> {
        loop {
            let run = self.take(|message| match message {
                ToServer::Run(run) => ControlFlow::Break(run),
                _ => ControlFlow::Continue(()),
            })?;
            if run.is_some() {
                return Ok(run);
            }
            // Whoever waits for our words before it asks for anything must get them.
            self.write(writer).await?;
            let due = self.machine().deadline();
            let more = match due.map(|due| due.saturating_sub(self.since.elapsed())) {
                None => self.fill(reader).await?,
                Some(left) => match timeout(left, self.fill(reader)).await {
                    Ok(more) => more?,
                    Err(_) => {
                        self.machine().expire(self.since.elapsed())?;
                        continue;
                    }
                },
            };
            if !more {
                self.machine().end()?;
                return Ok(None);
            }
        }
    }
}

impl Talk<'_> {
    /// Holds the conversation to its end.
    pub(super) async fn hold<S>(self, stream: S) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let link = Link::new();
        let held = self.commands(&link, &mut reader, &mut writer).await;
        // What was said last is written even where the peer has misbehaved: it may tell its user.
        let written = link.write(&mut writer).await;
        match held {
            Ok(()) => match written {
                Ok(()) => {
                    // The peer has gone first: it cannot be hurt by how we go.
                    let _ = writer.shutdown().await;
                    End::clean(Side::Peer)
                }
                Err(error) => End::failed(&error),
            },
            Err(Broken::Io(error)) => End::failed(&error),
            Err(Broken::Protocol(error)) => {
                let _ = writer.shutdown().await;
                let why = error.to_string();
                self.front.tell(News::Rejected { why, offence: Offence::None });
                End::ours(Why::Protocol)
            }
            Err(Broken::Misuse(error)) => {
                self.front.tell(News::Warning(format!("a fault of our own: {error}")));
                End::ours(Why::Error)
            }
        }
    }

    async fn commands(
        &self,
        link: &Link,
        reader: &mut (impl AsyncRead + Unpin + Send),
        writer: &mut (impl AsyncWrite + Unpin + Send),
    ) -> Result<(), Broken> {
        if self.alone {
            become_reaper()?;
        }
        link.say(|machine, out| machine.hello(PROGRAM, out))?;
        while let Some(run) = link.next_run(reader, writer).await? {
            self.run(&run, link, reader, writer).await?;
        }
        Ok(())
    }
}
