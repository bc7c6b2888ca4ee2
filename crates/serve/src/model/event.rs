//! The event model: one event loop a core, connections spread evenly over them.
//!
//! The first loop is the server's own, so that with one core nothing crosses a thread.

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::task::{Context, Poll, ready};
use std::thread;

use sockeye_limits as limits;
use sockeye_net::sys::watch::Watched;
use sockeye_net::{DatagramSocket, Stream};
use tokio::io::Interest;
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use super::sessions::Introduction;
use super::{Executor, Floor, Served};
use crate::connections::Connections;
use crate::datagram::Worker;
use crate::drive::event::Drive;
use crate::end::Why;
use crate::hall::Admission;
use crate::service::Work;

/// The event loops.
pub(super) struct Loops {
    floor: Arc<Floor>,
    connections: Arc<Connections>,
    loops: Vec<Loop>,
    datagrams: Mutex<Vec<AbortHandle>>,
}

struct Loop {
    handle: Handle,
    /// Connections that it serves now.
    load: Arc<AtomicUsize>,
    /// Dropped, it ends the loop's thread; the server's own loop has none.
    running: Mutex<Option<(oneshot::Sender<()>, thread::JoinHandle<()>)>>,
}

impl Loops {
    pub(super) fn start(floor: Floor) -> io::Result<Loops> {
        let connections = Connections::new(floor.deadlines)?;
        let own =
            Loop { handle: Handle::current(), load: Arc::default(), running: Mutex::new(None) };
        let mut loops = vec![own];
        for _ in 1..floor.workers {
            loops.push(Loop::start()?);
        }
        Ok(Loops { floor: Arc::new(floor), connections, loops, datagrams: Mutex::default() })
    }

    /// The loop with the fewest connections.
    fn emptiest(&self) -> &Loop {
        let load = |one: &&Loop| one.load.load(Ordering::Relaxed);
        self.loops.iter().min_by_key(load).expect("there is at least the server's own loop")
    }
}

impl Loop {
    fn start() -> io::Result<Loop> {
        let (sender, stopped) = oneshot::channel::<()>();
        let (tell, told) = mpsc::channel();
        // The runtime is made in its own thread: one that found no thread could not be dropped here.
        let thread = thread::Builder::new().name("event loop".into()).spawn(move || {
            let made = Builder::new_current_thread().enable_all().build();
            let runtime = match made {
                Ok(runtime) => runtime,
                Err(error) => return drop(tell.send(Err(error))),
            };
            if tell.send(Ok(runtime.handle().clone())).is_ok() {
                // Ends when the sender is dropped; tasks that are left are dropped with the runtime.
                let _ = runtime.block_on(stopped);
            }
        })?;
        let handle = told.recv().map_err(io::Error::other)??;
        let running = Mutex::new(Some((sender, thread)));
        Ok(Loop { handle, load: Arc::default(), running })
    }
}

/// A connection's task. Written out as a future of its own, because an idle connection is little
/// else than this.
struct Task {
    drive: Drive,
    served: Option<Served>,
    _load: Load,
}

impl Future for Task {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let end = ready!(Pin::new(&mut self.drive).poll(cx));
        if let Some(served) = self.served.take() {
            served.end(end);
        }
        Poll::Ready(())
    }
}

/// Counts a connection for as long as its task lives.
struct Load(Arc<AtomicUsize>);

impl Load {
    fn add(load: &Arc<AtomicUsize>) -> Load {
        load.fetch_add(1, Ordering::Relaxed);
        Load(Arc::clone(load))
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Executor for Loops {
    fn connection(&self, admission: Admission, stream: Stream) {
        let served = Served::begin(&self.connections, admission, stream, Why::Drain);
        let chosen = self.emptiest();
        let load = Load::add(&chosen.load);
        let conn = Arc::clone(served.entry.conn());
        let admission = served.admission.as_deref().expect("taken only at the end");
        match self.floor.service.work(admission.transport()) {
            Work::Responder(responder) => {
                let drive = Drive::new(conn, responder);
                chosen.handle.spawn(Task { drive, served: Some(served), _load: load });
            }
            Work::Session(session) => {
                let introduction = Introduction::new(session, &conn, admission);
                chosen.handle.spawn(async move {
                    served.end(introduction.serve().await);
                    drop(load);
                });
            }
        }
    }

    fn datagrams(&self, socket: Arc<DatagramSocket>) -> io::Result<()> {
        socket.set_nonblocking(true)?;
        for one in self.loops.iter().take(self.floor.datagram_workers()) {
            let worker = self.floor.datagram_worker(&socket);
            let (floor, socket) = (Arc::clone(&self.floor), Arc::clone(&socket));
            // An error here is the loop shutting down.
            let serve = async move { serve_datagrams(worker, socket, &floor).await };
            let task = one.handle.spawn(serve).abort_handle();
            self.datagrams.lock().unwrap_or_else(PoisonError::into_inner).push(task);
        }
        Ok(())
    }

    fn stop_datagrams(&self) {
        let tasks =
            std::mem::take(&mut *self.datagrams.lock().unwrap_or_else(PoisonError::into_inner));
        tasks.iter().for_each(AbortHandle::abort);
    }

    fn cut(&self) {
        self.connections.cut_all(Why::Drain);
    }

    fn stop(&self) {
        for one in &self.loops {
            let running = one.running.lock().unwrap_or_else(PoisonError::into_inner).take();
            if let Some((sender, thread)) = running {
                drop(sender);
                // A loop that panicked has nothing more to tell.
                let _ = thread.join();
            }
        }
    }
}

async fn serve_datagrams(
    mut worker: Worker,
    socket: Arc<DatagramSocket>,
    floor: &Floor,
) -> io::Result<()> {
    let endpoint = socket.endpoint().to_string();
    let watched = Watched::new(Arc::clone(&socket), Interest::READABLE | Interest::WRITABLE)?;
    loop {
        let mut ready = watched.readable().await?;
        match worker.receive(&socket) {
            // A batch that is not full emptied the socket, unless an error cut it short: ask.
            Ok(_) if worker.took_all() || socket.is_readable()? => ready.retain_ready(),
            Ok(_) => ready.clear_ready(),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if !socket.is_readable()? {
                    ready.clear_ready();
                }
                continue;
            }
            Err(error) => {
                floor.tell_datagram_error(&endpoint, error);
                tokio::time::sleep(limits::ACCEPT_PAUSE_MAX).await;
                continue;
            }
        }
        let mut first = 0;
        while let Err(next) = worker.send(&socket, first) {
            first = next;
            watched.writable().await?.clear_ready();
        }
        floor.tell_refusals(&endpoint, worker.refusals());
        if floor.once && worker.has_served() {
            floor.hall.take_turn();
            return Ok(());
        }
        tokio::task::yield_now().await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// P3: an idle connection is a small task; its buffers belong to the loop.
    #[test]
    fn a_task_is_small() {
        assert!(size_of::<Task>() <= 152, "{} bytes", size_of::<Task>());
    }
}
