//! Models: where a connection's driver runs. Each is one short file.

mod event;
mod iterative;
mod process;
pub(crate) mod sessions;
mod thread;

use std::fmt;
use std::io;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sockeye_limits as limits;
use sockeye_net::{Address, DatagramSocket, Error, Operation, Stream, Transport};
use tokio::sync::watch;

use crate::connections::{Connections, Deadlines, Entry};
use crate::datagram::{self, Duty, Refusals};
use crate::drive::{Scratch, blocking};
use crate::end::Why;
use crate::event::Event;
use crate::hall::{Admission, Hall, Outcome};
use crate::service::{Service, Work};
use sessions::Introduction;

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Model {
    /// One connection at a time; the others wait in the listen queue.
    Iterative,
    /// A thread a connection, blocking calls.
    Thread,
    /// A process a connection, from a warm pool.
    Process,
    /// One event loop a core.
    #[default]
    Event,
}

impl Model {
    /// Every model, in the order of the documentation.
    pub const ALL: [Model; 4] = [Model::Iterative, Model::Thread, Model::Process, Model::Event];

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Model::Iterative => "iterative",
            Model::Thread => "thread",
            Model::Process => "process",
            Model::Event => "event",
        }
    }

    /// True where a driver waits in its calls, and so needs blocking sockets.
    pub(crate) fn blocks(self) -> bool {
        self != Model::Event
    }

    /// Connections at once where the user does not say.
    pub(crate) fn default_connections(self) -> usize {
        match self {
            Model::Iterative => 1,
            Model::Thread => limits::CONNECTIONS_THREAD,
            Model::Process => limits::CONNECTIONS_PROCESS,
            Model::Event => limits::CONNECTIONS_EVENT,
        }
    }

    /// Workers where the user does not say: event loops, warm processes, datagram threads.
    pub(crate) fn default_workers(self) -> usize {
        match self {
            Model::Iterative => 1,
            Model::Thread | Model::Event => cores(),
            Model::Process => cores().max(limits::POOL_MIN),
        }
    }
}

/// Processors that this process may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl fmt::Display for Model {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Model {
    type Err = String;

    fn from_str(text: &str) -> Result<Model, String> {
        let found = Model::ALL.into_iter().find(|model| model.name() == text);
        found.ok_or_else(|| format!("no model {text:?}: it is iterative, thread, process or event"))
    }
}

/// What every model is given.
pub(crate) struct Floor {
    pub(crate) hall: Arc<Hall>,
    pub(crate) service: Service,
    pub(crate) workers: usize,
    /// `--workers`, where it was given.
    pub(crate) asked_workers: Option<usize>,
    pub(crate) deadlines: Deadlines,
    /// Datagrams a second that one source is answered, over all workers.
    pub(crate) source_rate: Option<u32>,
    /// Serve one datagram and no more.
    pub(crate) once: bool,
}

impl Floor {
    /// How many workers share a datagram socket: one, which keeps the order of what a source sends,
    /// unless more were asked for; and one alone for the single datagram of `--once`.
    fn datagram_workers(&self) -> usize {
        if self.once { 1 } else { self.asked_workers.unwrap_or(1) }
    }

    /// What one of the workers of a datagram socket is to do.
    fn datagram_duty(&self, socket: &DatagramSocket) -> Duty {
        let workers = u32::try_from(self.datagram_workers()).unwrap_or(u32::MAX);
        let rate = self.source_rate.map(|rate| (rate / workers).max(1));
        let udp = socket.transport() == Transport::Udp;
        Duty { rate, once: self.once, udp, packet_info: socket.has_packet_info() }
    }

    /// A worker for a datagram socket in this process.
    fn datagram_worker(&self, socket: &DatagramSocket) -> datagram::Worker {
        let hall = Arc::clone(&self.hall);
        let permits = Box::new(move |source: &Address| hall.permits(source));
        datagram::Worker::new(&self.service, self.datagram_duty(socket), permits)
    }

    fn tell_datagram_error(&self, endpoint: &str, error: io::Error) {
        let error = Error::new(Operation::Receive, endpoint, error).to_string();
        self.hall.event(&Event::Error { endpoint: Some(endpoint), error: &error });
    }

    fn tell_refusals(&self, endpoint: &str, refusals: Vec<Refusals>) {
        for Refusals { why, count, source } in refusals {
            let why = why.name();
            self.hall.event(&Event::Refused { endpoint, peer: &source, why, count });
        }
    }
}

/// A running model: takes connections and datagram sockets. Its calls return at once.
pub(crate) trait Executor: Send + Sync {
    /// Serves a connection. The socket blocks or not as [`Model::blocks`] says.
    fn connection(&self, admission: Admission, stream: Stream);

    /// Serves the datagrams of a socket until the model is stopped.
    ///
    /// # Errors
    /// Where the workers cannot be made.
    fn datagrams(&self, socket: Arc<DatagramSocket>) -> io::Result<()>;

    /// Takes no more datagrams.
    fn stop_datagrams(&self);

    /// The access lists are others from now on, and what sessions work with may be.
    fn access_changed(&self) {}

    /// Ends every connection that is still open.
    fn cut(&self);

    /// Stops the workers, once no connection is open.
    fn stop(&self);

    /// How many worker processes there still are, for a model that has some.
    fn living(&self) -> Option<watch::Receiver<usize>> {
        None
    }
}

/// Starts a model. Called on the server's own runtime.
pub(crate) fn start(model: Model, floor: Floor) -> io::Result<Arc<dyn Executor>> {
    Ok(match model {
        Model::Iterative => Arc::new(iterative::Iterative::start(floor)?),
        Model::Thread => Arc::new(thread::Threads::start(floor)?),
        Model::Process => process::Pool::start(floor)?,
        Model::Event => Arc::new(event::Loops::start(floor)?),
    })
}

/// A connection that is served in this process: its admission and its entry end together, also
/// when the service panics.
struct Served {
    /// Boxed, so that the task of an idle connection fits into a smaller class of memory.
    admission: Option<Box<Admission>>,
    entry: Entry,
}

impl Served {
    /// Takes a connection in; where nobody serves it to its end, `unserved` is its end.
    fn begin(
        connections: &Arc<Connections>,
        admission: Admission,
        stream: Stream,
        unserved: Why,
    ) -> Served {
        let entry = connections.enter(stream, admission.is_inet());
        let admission = Box::new(admission.unless_served(unserved));
        Served { admission: Some(admission), entry }
    }

    /// Serves it in this thread to its end, by calls that wait.
    fn block(self, service: &Service, scratch: &mut Scratch) {
        let admission = self.admission.as_deref().expect("taken only at the end");
        let conn = Arc::clone(self.entry.conn());
        let end = match service.work(admission.transport()) {
            Work::Responder(mut responder) => blocking::drive(&conn, responder.as_mut(), scratch),
            Work::Session(session) => {
                sessions::block_on(Introduction::new(session, &conn, admission).serve())
            }
        };
        self.end(end);
    }

    fn end(mut self, end: crate::End) {
        if let Some(admission) = self.admission.take() {
            admission.close(Outcome::of(end, Some(self.entry.conn().counts())));
        }
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(admission) = self.admission.take() {
            let why = if std::thread::panicking() { Why::Panic } else { admission.unserved() };
            let end = crate::End::ours(why);
            admission.close(Outcome::of(end, Some(self.entry.conn().counts())));
        }
    }
}
