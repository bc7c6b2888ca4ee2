//! The thread model: a thread a connection, blocking calls.

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use sockeye_limits as limits;
use sockeye_net::{DatagramSocket, Stream};

use super::{Executor, Floor, Served};
use crate::connections::Connections;
use crate::datagram::Worker;
use crate::drive::Scratch;
use crate::end::Why;
use crate::event::Event;
use crate::hall::Admission;

/// Threads for connections, and `--workers` threads for each datagram socket.
pub(super) struct Threads {
    floor: Arc<Floor>,
    connections: Arc<Connections>,
    datagrams: DatagramThreads,
    /// The system had no thread for the last connection; it is told once.
    overloaded: AtomicBool,
}

impl Threads {
    pub(super) fn start(floor: Floor) -> io::Result<Threads> {
        let connections = Connections::new(floor.deadlines)?;
        let floor = Arc::new(floor);
        let datagrams = DatagramThreads::new(Arc::clone(&floor));
        Ok(Threads { floor, connections, datagrams, overloaded: AtomicBool::new(false) })
    }
}

impl Executor for Threads {
    fn connection(&self, admission: Admission, stream: Stream) {
        let served = Served::begin(&self.connections, admission, stream, Why::Overload);
        let floor = Arc::clone(&self.floor);
        let work = move || {
            let mut scratch = Scratch::new(limits::THREAD_BUFFER);
            served.block(&floor.service, &mut scratch);
        };
        let thread = thread::Builder::new().name("connection".into());
        // Where there is no thread, the closure is dropped, and with it the connection, which tells
        // its own end.
        match thread.stack_size(limits::THREAD_STACK).spawn(work) {
            Ok(_) => {
                if self.overloaded.swap(false, Ordering::Relaxed) {
                    self.floor.hall.event(&Event::Recovered { endpoint: None });
                }
            }
            Err(error) => {
                if !self.overloaded.swap(true, Ordering::Relaxed) {
                    let error = format!(
                        "cannot start a thread: {error}. Raise `ulimit -u`, or lower \
                         --max-connections."
                    );
                    self.floor.hall.event(&Event::Error { endpoint: None, error: &error });
                }
            }
        }
    }

    fn datagrams(&self, socket: Arc<DatagramSocket>) -> io::Result<()> {
        self.datagrams.serve(socket)
    }

    fn stop_datagrams(&self) {
        self.datagrams.stop();
    }

    fn cut(&self) {
        self.connections.cut_all(Why::Drain);
    }

    /// Threads end with their connections.
    fn stop(&self) {}
}

/// Threads that block on datagram sockets.
pub(super) struct DatagramThreads {
    floor: Arc<Floor>,
    stopped: Arc<AtomicBool>,
    running: Mutex<Vec<(Arc<DatagramSocket>, thread::JoinHandle<()>)>>,
}

impl DatagramThreads {
    pub(super) fn new(floor: Arc<Floor>) -> DatagramThreads {
        let stopped = Arc::new(AtomicBool::new(false));
        DatagramThreads { floor, stopped, running: Mutex::new(Vec::new()) }
    }

    pub(super) fn serve(&self, socket: Arc<DatagramSocket>) -> io::Result<()> {
        socket.set_nonblocking(false)?;
        for _ in 0..self.floor.datagram_workers() {
            let mut worker = self.floor.datagram_worker(&socket);
            let (floor, stopped) = (Arc::clone(&self.floor), Arc::clone(&self.stopped));
            let shared = Arc::clone(&socket);
            let work = move || {
                let endpoint = shared.endpoint().to_string();
                loop {
                    if let Err(error) = one_batch(&mut worker, &shared) {
                        floor.tell_datagram_error(&endpoint, error);
                        thread::sleep(limits::ACCEPT_PAUSE_MAX);
                    }
                    // What a socket that was shut down seems to receive is nothing.
                    if stopped.load(Ordering::SeqCst) {
                        break;
                    }
                    floor.tell_refusals(&endpoint, worker.refusals());
                    if floor.once && worker.has_served() {
                        floor.hall.take_turn();
                        break;
                    }
                }
            };
            let thread = thread::Builder::new().name("datagrams".into()).spawn(work)?;
            let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
            running.push((Arc::clone(&socket), thread));
        }
        Ok(())
    }

    /// Ends the threads: shutting a datagram socket down wakes those that wait on it.
    pub(super) fn stop(&self) {
        self.stopped.store(true, Ordering::SeqCst);
        let running =
            std::mem::take(&mut *self.running.lock().unwrap_or_else(PoisonError::into_inner));
        for (socket, _) in &running {
            socket.wake();
        }
        for (_, thread) in running {
            // A worker that panicked has nothing more to tell.
            let _ = thread.join();
        }
    }
}

/// Takes and answers one batch, or finds that there is none.
fn one_batch(worker: &mut Worker, socket: &DatagramSocket) -> io::Result<()> {
    match worker.receive(socket) {
        Ok(_) => {
            let mut first = 0;
            while let Err(next) = worker.send(socket, first) {
                first = next;
                socket.wait_writable()?;
            }
            Ok(())
        }
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
            socket.wait_readable().map(|_| ())
        }
        Err(error) => Err(error),
    }
}
