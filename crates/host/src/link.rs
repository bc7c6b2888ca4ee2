//! One end of the host protocol over a stream, shared by those who read and those who write.

use std::io;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::ready;
use std::time::{Duration, Instant};

use sockeye_wire::{Client, Server};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::sync::Notify;

/// A state machine that frames are read into.
pub(crate) trait Machine {
    /// Where to put the next bytes of the stream.
    fn space(&mut self) -> &mut [u8];
    /// So many bytes came there.
    fn filled(&mut self, count: usize);
}

impl Machine for Client {
    fn space(&mut self) -> &mut [u8] {
        Client::space(self)
    }

    fn filled(&mut self, count: usize) {
        Client::filled(self, count);
    }
}

impl Machine for Server {
    fn space(&mut self) -> &mut [u8] {
        Server::space(self)
    }

    fn filled(&mut self, count: usize) {
        Server::filled(self, count);
    }
}

/// Our end of a connection: its state machine, and what is still to be written.
pub(crate) struct Link<M> {
    machine: Mutex<M>,
    since: Instant,
    out: Mutex<Out>,
    /// There is something to be written.
    pub(crate) wake: Notify,
}

#[derive(Default)]
struct Out {
    /// The rest of what was being written when its writer was given up. The peer has the beginning,
    /// so nothing may come before it.
    begun: Vec<u8>,
    /// Frames that were said and not yet written.
    said: Vec<u8>,
}

/// Every change under these locks is whole: a panic elsewhere does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<M: Machine> Link<M> {
    /// A connection that is there since now, which is the zero of its machine's time.
    pub(crate) fn new(machine: M) -> Link<M> {
        Link {
            machine: Mutex::new(machine),
            since: Instant::now(),
            out: Mutex::default(),
            wake: Notify::new(),
        }
    }

    /// The state machine.
    pub(crate) fn machine(&self) -> MutexGuard<'_, M> {
        lock(&self.machine)
    }

    /// The state machine alone, for whoever goes on with the stream in another way.
    pub(crate) fn into_machine(self) -> M {
        self.machine.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// The machine's time.
    pub(crate) fn now(&self) -> Duration {
        self.since.elapsed()
    }

    /// Says something: the frame goes out with the next write.
    pub(crate) fn say<E>(
        &self,
        what: impl FnOnce(&mut M, &mut Vec<u8>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut out = lock(&self.out);
        what(&mut self.machine(), &mut out.said)?;
        drop(out);
        self.wake.notify_one();
        Ok(())
    }

    /// Writes what was said, behind the rest of what was begun.
    pub(crate) async fn write(&self, writer: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        let out = {
            let mut out = lock(&self.out);
            let mut bytes = std::mem::take(&mut out.begun);
            if bytes.is_empty() {
                bytes = std::mem::take(&mut out.said);
            } else {
                bytes.append(&mut out.said);
            }
            bytes
        };
        if out.is_empty() {
            return Ok(());
        }
        self.send(writer, &out).await
    }

    /// Writes whole frames right behind a [`Link::write`]. Whoever gives that up in the middle loses
    /// nothing: the next write goes on where this one stopped.
    pub(crate) async fn send(
        &self,
        writer: &mut (impl AsyncWrite + Unpin),
        frames: &[u8],
    ) -> io::Result<()> {
        let mut rest = Rest { out: &self.out, bytes: frames };
        while !rest.bytes.is_empty() {
            match writer.write(rest.bytes).await? {
                0 => return Err(io::ErrorKind::WriteZero.into()),
                n => rest.bytes = &rest.bytes[n..],
            }
        }
        writer.flush().await
    }

    /// Reads once, straight to where the frames are taken from; false at the stream's end.
    pub(crate) async fn fill(&self, reader: &mut (impl AsyncRead + Unpin)) -> io::Result<bool> {
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
}

/// What of a write the stream has not taken yet; dropped, it is kept for the next.
struct Rest<'a> {
    out: &'a Mutex<Out>,
    bytes: &'a [u8],
}

impl Drop for Rest<'_> {
    fn drop(&mut self) {
        if !self.bytes.is_empty() {
            lock(self.out).begun = self.bytes.to_vec();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;

    use super::*;

    /// P-F1: a write that is given up in the middle leaves no half frame behind: its rest goes before
    /// everything that is said later.
    #[tokio::test]
    async fn given_up() {
        let (mut ours, mut theirs) = tokio::io::duplex(10);
        let link = Link::new(Client::new(Duration::ZERO));
        tokio::select! {
            biased;
            sent = link.send(&mut ours, b"longer than the pipe;") => panic!("{sent:?}"),
            () = std::future::ready(()) => {}
        }
        let said = link.say(|_, out| {
            out.extend_from_slice(b"said later");
            Ok::<_, ()>(())
        });
        said.unwrap();
        let mut all = [0; 31];
        let (written, read) = tokio::join!(link.write(&mut ours), theirs.read_exact(&mut all));
        assert!(written.is_ok() && read.is_ok());
        assert_eq!(&all, b"longer than the pipe;said later");
    }
}
