//! The event driver: a future on an event loop, which costs a waiting connection no buffer.
//!
//! All connections of a loop share one scratch buffer: a connection holds it only between two
//! waits. The future is written by hand because it is what an idle connection consists of: as an
//! `async fn` it is five times as large.

use std::cell::RefCell;
use std::future::Future;
use std::io;
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use sockeye_limits as limits;
use sockeye_net::sys::watch::Watched;
use tokio::io::Interest;
use tokio::time::{Sleep, sleep};

use super::{Scratch, check};
use crate::connections::Conn;
use crate::end::{End, Side};
use crate::responder::{Flow, Reply, Responder};

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::new(limits::STREAM_BUFFER));
}

/// Serves one connection until its end. The socket must be non-blocking.
pub(crate) struct Drive {
    conn: Arc<Conn>,
    responder: Box<dyn Responder>,
    /// The registration with the event loop, once the connection had to wait.
    watched: Option<Watched<Conn>>,
    /// It is registered for writing, too.
    writable_too: bool,
    unsent: Unsent,
    stage: Stage,
}

/// What a connection does next.
enum Stage {
    Opening,
    Talking(Flow),
    /// The peer has ended and the last reply is made.
    LastWords,
    /// We have ended; the peer may still send.
    Goodbye(Box<Goodbye>),
}

/// The bounded wait for the peer's end.
struct Goodbye {
    deadline: Pin<Box<Sleep>>,
    drained: u64,
}

/// What could not be written at once.
#[derive(Default)]
struct Unsent {
    bytes: Vec<u8>,
    done: usize,
}

/// What one read came to.
enum Turn {
    /// The service goes on with this; `drained` where the socket has no more to read at the moment.
    Went { flow: Flow, drained: bool },
    /// There was nothing to read.
    Blocked,
    /// The peer has ended its side, and the last reply is made.
    PeerEnded,
}

impl Drive {
    pub(crate) fn new(conn: Arc<Conn>, responder: Box<dyn Responder>) -> Drive {
        Drive {
            conn,
            responder,
            watched: None,
            writable_too: false,
            unsent: Unsent::default(),
            stage: Stage::Opening,
        }
    }
}

impl Future for Drive {
    type Output = End;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<End> {
        let seen = match ready!(self.poll_talk(cx)) {
            Ok(side) => End::clean(side),
            Err(error) if matches!(self.stage, Stage::Goodbye(_)) => {
                End { closed_first: Side::Us, ..End::failed(&error) }
            }
            Err(error) => End::failed(&error),
        };
        Poll::Ready(self.conn.verdict(seen))
    }
}

impl Drive {
    /// Talks until both sides have ended, and says which was first.
    fn poll_talk(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Side>> {
        for _ in 0..limits::READS_A_TURN {
            ready!(self.poll_flush(cx))?;
            self.stage = match &mut self.stage {
                Stage::Opening => {
                    let responder = self.responder.as_mut();
                    let open = |reply: &mut Reply| responder.open(reply);
                    Stage::Talking(answer(&self.conn, &mut self.unsent, open)?)
                }
                Stage::Talking(Flow::Continue) => ready!(self.poll_turn(cx))?,
                Stage::Talking(Flow::Again) => {
                    let responder = self.responder.as_mut();
                    if discard_input(&self.conn)? == Some(0) {
                        last_words(&self.conn, responder, &mut self.unsent)?;
                        Stage::LastWords
                    } else {
                        let resume = |reply: &mut Reply| responder.resume(reply);
                        Stage::Talking(answer(&self.conn, &mut self.unsent, resume)?)
                    }
                }
                Stage::Talking(Flow::Close) => {
                    self.conn.stream().shutdown(Shutdown::Write)?;
                    let deadline = Box::pin(sleep(limits::LINGER_TIME));
                    Stage::Goodbye(Box::new(Goodbye { deadline, drained: 0 }))
                }
                Stage::LastWords => return Poll::Ready(Ok(Side::Peer)),
                Stage::Goodbye(_) => {
                    ready!(self.poll_goodbye(cx))?;
                    return Poll::Ready(Ok(Side::Us));
                }
            };
        }
        // The other connections of this loop have a turn.
        again(cx)
    }

    /// Waits for input where there is none, then reads, responds and writes once.
    fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Stage>> {
        // The first read needs no event loop: what a client sends with its connection is there.
        if self.watched.is_none() {
            match read_once(&self.conn, self.responder.as_mut(), &mut self.unsent)? {
                Turn::Went { flow, .. } => return Poll::Ready(Ok(Stage::Talking(flow))),
                Turn::PeerEnded => return Poll::Ready(Ok(Stage::LastWords)),
                Turn::Blocked => {}
            }
        }
        let watched = watch(&self.conn, &mut self.watched)?;
        loop {
            let mut ready = ready!(watched.poll_readable(cx))?;
            match read_once(&self.conn, self.responder.as_mut(), &mut self.unsent)? {
                Turn::Went { flow, drained } => {
                    // Edge-triggered, so the edge must not be lost.
                    if drained && !has_more(&self.conn, watched)? {
                        ready.clear_ready();
                    }
                    return Poll::Ready(Ok(Stage::Talking(flow)));
                }
                Turn::PeerEnded => return Poll::Ready(Ok(Stage::LastWords)),
                // One EAGAIN may be spurious: ask the kernel.
                Turn::Blocked if self.conn.stream().wait_readable(Some(Duration::ZERO))? => {
                    return again(cx);
                }
                Turn::Blocked => ready.clear_ready(),
            }
        }
    }

    /// Writes what could not be written at once. Nothing is read meanwhile.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.unsent.bytes.is_empty() {
            return Poll::Ready(Ok(()));
        }
        let watched = watch_both(&self.conn, &mut self.watched, &mut self.writable_too)?;
        let Unsent { bytes, done } = &mut self.unsent;
        while *done < bytes.len() {
            let mut ready = ready!(watched.poll_writable(cx))?;
            match self.conn.stream().send(&bytes[*done..]) {
                Ok(n) => {
                    self.conn.sent(n);
                    *done += n;
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    if self.conn.stream().wait_writable(Some(Duration::ZERO))? {
                        return again(cx);
                    }
                    ready.clear_ready();
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        // The memory goes back: a connection that waits holds none.
        self.unsent = Unsent::default();
        Poll::Ready(Ok(()))
    }

    /// What the peer still sends is read and thrown away until its end, within bounds.
    fn poll_goodbye(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Stage::Goodbye(goodbye) = &mut self.stage else {
            unreachable!("called in this stage only")
        };
        let watched = watch(&self.conn, &mut self.watched)?;
        while goodbye.drained < limits::LINGER_BYTES {
            if goodbye.deadline.as_mut().poll(cx).is_ready() {
                break;
            }
            let mut ready = ready!(watched.poll_readable(cx))?;
            match discard_input(&self.conn)? {
                Some(0) => break,
                Some(n) => goodbye.drained += n as u64,
                None if self.conn.stream().wait_readable(Some(Duration::ZERO))? => {
                    return again(cx);
                }
                None => ready.clear_ready(),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Whether there is more behind a short read. Usually not; but a read also ends at TCP's urgent mark,
/// which the event loop tells of, and on a Unix stream behind passed descriptors, of which nobody
/// tells but the kernel, when asked.
fn has_more(conn: &Conn, watched: &Watched<Conn>) -> io::Result<bool> {
    if conn.is_tcp() && !watched.may_read_short() {
        return Ok(false);
    }
    conn.stream().wait_readable(Some(Duration::ZERO))
}

/// Asks to be polled again soon.
fn again<T>(cx: &mut Context<'_>) -> Poll<T> {
    cx.waker().wake_by_ref();
    Poll::Pending
}

/// The registration for reading, made at the first wait.
fn watch<'a>(
    conn: &Arc<Conn>,
    watched: &'a mut Option<Watched<Conn>>,
) -> io::Result<&'a Watched<Conn>> {
    if watched.is_none() {
        *watched = Some(Watched::new(Arc::clone(conn), Interest::READABLE | Interest::PRIORITY)?);
    }
    Ok(watched.as_ref().expect("made just above"))
}

/// Most connections never wait to write, so only those that do are registered for it.
fn watch_both<'a>(
    conn: &Arc<Conn>,
    watched: &'a mut Option<Watched<Conn>>,
    writable_too: &mut bool,
) -> io::Result<&'a Watched<Conn>> {
    if !*writable_too {
        // Deregistered first: a descriptor is registered once.
        *watched = None;
        let both = Interest::READABLE | Interest::PRIORITY | Interest::WRITABLE;
        *watched = Some(Watched::new(Arc::clone(conn), both)?);
        *writable_too = true;
    }
    watch(conn, watched)
}

/// Reads once, responds, and writes as much as the socket takes.
fn read_once(conn: &Conn, responder: &mut dyn Responder, unsent: &mut Unsent) -> io::Result<Turn> {
    SCRATCH.with_borrow_mut(|scratch| {
        let n = match conn.stream().recv(&mut scratch.buffer) {
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(Turn::Blocked),
            Err(error) => return Err(error),
        };
        conn.received(n);
        scratch.reply.clear();
        if n == 0 {
            responder.finish(&mut scratch.reply);
            write_reply(conn, scratch, 0, unsent)?;
            return Ok(Turn::PeerEnded);
        }
        let flow = responder.respond(&mut scratch.buffer[..n], &mut scratch.reply);
        write_reply(conn, scratch, n, unsent)?;
        Ok(Turn::Went { flow, drained: n < scratch.buffer.len() })
    })
}

/// Lets the service answer without input.
fn answer(
    conn: &Conn,
    unsent: &mut Unsent,
    respond: impl FnOnce(&mut Reply) -> Flow,
) -> io::Result<Flow> {
    SCRATCH.with_borrow_mut(|scratch| {
        scratch.reply.clear();
        let flow = respond(&mut scratch.reply);
        write_reply(conn, scratch, 0, unsent)?;
        Ok(flow)
    })
}

/// The peer has ended: the service's last reply.
fn last_words(conn: &Conn, responder: &mut dyn Responder, unsent: &mut Unsent) -> io::Result<()> {
    let finish = |reply: &mut Reply| {
        responder.finish(reply);
        Flow::Close
    };
    answer(conn, unsent, finish).map(|_| ())
}

/// Throws away what is there; how much that was, and `None` where nothing was.
fn discard_input(conn: &Conn) -> io::Result<Option<usize>> {
    SCRATCH.with_borrow_mut(|scratch| match conn.stream().recv(&mut scratch.buffer) {
        Ok(n) => {
            conn.received(n);
            Ok(Some(n))
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
        Err(error) => Err(error),
    })
}

/// Writes the reply to `input` bytes, as much of it as the socket takes.
fn write_reply(
    conn: &Conn,
    scratch: &Scratch,
    input: usize,
    unsent: &mut Unsent,
) -> io::Result<()> {
    check(&scratch.reply, input)?;
    write_some(conn, &scratch.buffer[..scratch.reply.in_place_len()], unsent)?;
    write_some(conn, scratch.reply.own(), unsent)
}

fn write_some(conn: &Conn, mut bytes: &[u8], unsent: &mut Unsent) -> io::Result<()> {
    while !bytes.is_empty() && unsent.bytes.is_empty() {
        match conn.stream().send(bytes) {
            Ok(n) => {
                conn.sent(n);
                bytes = &bytes[n..];
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    unsent.bytes.extend_from_slice(bytes);
    Ok(())
}
