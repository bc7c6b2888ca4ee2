//! The iterative model: one thread that serves one connection after another, blocking calls.
//!
//! That only one connection is admitted at a time is its default `--max-connections` of 1; the
//! others wait in the listen queue.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use sockeye_limits as limits;
use sockeye_net::{DatagramSocket, Stream};

use super::thread::DatagramThreads;
use super::{Executor, Floor, Served};
use crate::connections::Connections;
use crate::drive::Scratch;
use crate::end::Why;
use crate::hall::Admission;

/// The one thread, and one for each datagram socket.
pub(super) struct Iterative {
    connections: Arc<Connections>,
    next: Mutex<Option<Sender<Served>>>,
    datagrams: DatagramThreads,
}

impl Iterative {
    pub(super) fn start(floor: Floor) -> io::Result<Iterative> {
        let floor = Arc::new(floor);
        let connections = Connections::new(floor.deadlines)?;
        let (sender, receiver) = channel::<Served>();
        let service = floor.service.clone();
        thread::Builder::new().name("iterative".into()).spawn(move || {
            let mut scratch = Scratch::new(limits::STREAM_BUFFER);
            while let Ok(served) = receiver.recv() {
                // A panic ends its connection, which tells so when it is dropped, and no other.
                let serve = || served.block(&service, &mut scratch);
                let _ = catch_unwind(AssertUnwindSafe(serve));
            }
        })?;
        let datagrams = DatagramThreads::new(floor);
        Ok(Iterative { connections, next: Mutex::new(Some(sender)), datagrams })
    }
}

impl Executor for Iterative {
    fn connection(&self, admission: Admission, stream: Stream) {
        let served = Served::begin(&self.connections, admission, stream, Why::Drain);
        if let Some(next) = &*self.next.lock().unwrap_or_else(PoisonError::into_inner) {
            // The thread outlives the sender; after `stop` the connection is dropped and told.
            let _ = next.send(served);
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

    fn stop(&self) {
        self.next.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}
