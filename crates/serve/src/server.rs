//! The life of a server: bind everything, say so, serve, reload, drain, end.

use std::io;
use std::sync::Arc;

use sockeye_limits as limits;
use sockeye_net::activation::{self, State};
use sockeye_net::options::Applied;
use sockeye_net::{DatagramSocket, Endpoint, Listener, Transport, bind_datagram, listen, sys};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::accept::Acceptor;
use crate::connections::Deadlines;
use crate::door::{Crowd, Door};
use crate::ear::Entrance;
use crate::event::{Event, Observer};
use crate::hall::Hall;
use crate::model::{self, Executor, Floor, Model};
use crate::see_off::SeenOff;
use crate::settings::{Settings, check, max_connections};
use crate::signals::{Asked, Signals};
use crate::worker;

/// Why a server did not start or did not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// A combination that makes no sense; the text names it and says why.
    #[error("{0}")]
    Refused(String),
    /// A socket could not be made, bound or listened on.
    #[error(transparent)]
    Socket(#[from] sockeye_net::Error),
    /// The system refused something else.
    #[error("cannot {operation}: {source}. Raise `ulimit -n` or `ulimit -u`, or free memory.")]
    System {
        /// What was being done.
        operation: &'static str,
        /// The system's error.
        source: io::Error,
    },
    /// A second signal came while connections were finishing.
    #[error("stopped at once by a second signal; {0} connections were cut")]
    SecondSignal(u64),
}

fn system(operation: &'static str) -> impl Fn(io::Error) -> ServeError {
    move |source| ServeError::System { operation, source }
}

/// What a server did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Summary {
    /// Connections that were served in all.
    pub served: u64,
    /// Connections that were cut because the drain was over.
    pub cut: u64,
}

/// Asks a running server to stop, as SIGTERM does. Cloning is cheap.
#[derive(Debug, Clone)]
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// Takes no more connections, lets those that are open finish, then ends the server.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// A server whose sockets are bound.
pub struct Server {
    settings: Settings,
    listeners: Vec<Arc<Listener>>,
    datagrams: Vec<Arc<DatagramSocket>>,
    stop: watch::Sender<bool>,
    runtime: Runtime,
    signals: Signals,
}

impl Server {
    /// Checks the settings and binds every endpoint. Where signals are asked for, they are heard
    /// from here on.
    ///
    /// # Errors
    /// [`ServeError::Refused`] and [`ServeError::Socket`]; nothing stays bound then.
    pub fn bind(mut settings: Settings) -> Result<Server, ServeError> {
        // Signals first: one that comes while sockets are being bound must not leave their files.
        let (runtime, signals) = prepare(settings.signals)?;
        let mut activated = std::mem::take(&mut settings.activated);
        let given = activated.listeners.iter().map(Listener::transport);
        let given = given.chain(activated.datagrams.iter().map(DatagramSocket::transport));
        let named = settings.endpoints.iter().map(Endpoint::transport);
        let transports: Vec<Transport> = given.chain(named).collect();
        let named = activated.listeners.iter().map(Listener::endpoint);
        let named: Vec<Endpoint> = named.chain(settings.endpoints.iter().cloned()).collect();
        check(&settings, &transports, &named)?;
        for listener in &mut activated.listeners {
            listener.tune(&settings.bind.options)?;
        }
        for socket in &mut activated.datagrams {
            socket.tune(&settings.bind.options)?;
        }
        let mut listeners: Vec<_> = activated.listeners.into_iter().map(Arc::new).collect();
        let mut datagrams: Vec<_> = activated.datagrams.into_iter().map(Arc::new).collect();
        for endpoint in &settings.endpoints {
            if endpoint.transport().is_stream() {
                listeners.extend(listen(endpoint, &settings.bind)?.into_iter().map(Arc::new));
            } else {
                let bound = bind_datagram(endpoint, &settings.bind)?;
                datagrams.extend(bound.into_iter().map(Arc::new));
            }
        }
        let stop = watch::Sender::new(false);
        Ok(Server { settings, listeners, datagrams, stop, runtime, signals })
    }

    /// The endpoints that it listens on, their ports known.
    pub fn endpoints(&self) -> Vec<Endpoint> {
        let streams = self.listeners.iter().map(|listener| listener.endpoint());
        streams.chain(self.datagrams.iter().map(|socket| socket.endpoint())).collect()
    }

    /// A handle that stops the server from elsewhere.
    pub fn stopper(&self) -> Stopper {
        Stopper(self.stop.clone())
    }

    /// Serves until stopped, on this thread and those of the model.
    ///
    /// In a process that the process model started as a worker, this becomes the worker and
    /// returns when its work is over.
    ///
    /// # Errors
    /// [`ServeError::System`] and [`ServeError::SecondSignal`].
    ///
    /// # Panics
    /// Inside a tokio runtime.
    pub fn run(self, observer: Arc<dyn Observer>) -> Result<Summary, ServeError> {
        if worker::is_worker() {
            let service = self.settings.service;
            worker::run_worker(|name, _| (name == service.name()).then(|| service.clone()))
                .map_err(system("work as a worker process"))?;
            return Ok(Summary { served: 0, cut: 0 });
        }
        let Server { settings, listeners, datagrams, stop, runtime, signals } = self;
        let running = Running { settings, listeners, datagrams, stop };
        let done = runtime.block_on(running.serve(observer, signals));
        // A name that is still being resolved must not hold the end up.
        runtime.shutdown_background();
        done
    }
}

/// A server that serves, on its own runtime.
struct Running {
    settings: Settings,
    listeners: Vec<Arc<Listener>>,
    datagrams: Vec<Arc<DatagramSocket>>,
    stop: watch::Sender<bool>,
}

impl Running {
    async fn serve(
        mut self,
        observer: Arc<dyn Observer>,
        mut signals: Signals,
    ) -> Result<Summary, ServeError> {
        let max = max_connections(&self.settings);
        let access = std::mem::take(&mut self.settings.access);
        let hall = Hall::new(observer, access, max, self.settings.once);
        let executor = model::start(self.settings.model, floor(&self.settings, &hall))
            .map_err(system("start the workers"))?;
        let crowd = Crowd::new(self.settings.penalize_loopback);
        let mut running = self.start(&hall, &executor, &crowd).map_err(system("start serving"))?;
        self.announce(&hall);
        activation::notify(State::Ready);
        let drops = tokio::spawn(watch_drops(Arc::clone(&hall), self.datagrams.clone()));
        let stopped =
            self.until_stopped(&hall, executor.as_ref(), &mut signals, &mut running).await;

        // From here on nobody is taken in: the sockets of the endpoints close with their tasks.
        running.shutdown().await;
        crowd.close();
        drops.abort();
        executor.stop_datagrams();
        self.listeners.clear();
        activation::notify(State::Stopping);
        let by_signal = matches!(stopped, Ok(true));
        let ended = self.drain(&hall, executor.as_ref(), &mut signals, by_signal).await;
        executor.stop();
        // What does not end in spite of that ends with this process.
        let summary = Summary { served: hall.admitted(), cut: hall.cut() + hall.open() };
        if !ended {
            return Err(ServeError::SecondSignal(summary.cut));
        }
        hall.event(&Event::Drained { served: summary.served, cut: summary.cut });
        stopped.map(|_| summary)
    }

    fn start(
        &self,
        hall: &Arc<Hall>,
        executor: &Arc<dyn Executor>,
        crowd: &Arc<Crowd>,
    ) -> io::Result<JoinSet<io::Result<()>>> {
        let mut running = JoinSet::new();
        for listener in &self.listeners {
            let seen_off = SeenOff::new();
            let acceptor = Acceptor {
                listener: Arc::clone(listener),
                endpoint: listener.endpoint().to_string(),
                hall: Arc::clone(hall),
                executor: Arc::clone(executor),
                overflow: self.settings.overflow,
                blocking: self.settings.model.blocks(),
                door: self.door(listener, hall, executor, crowd, &seen_off),
                seen_off,
            };
            running.spawn(acceptor.run());
        }
        for socket in &self.datagrams {
            executor.datagrams(Arc::clone(socket))?;
        }
        Ok(running)
    }

    /// The door of a listener whose peers prove first who they are.
    fn door(
        &self,
        listener: &Listener,
        hall: &Arc<Hall>,
        executor: &Arc<dyn Executor>,
        crowd: &Arc<Crowd>,
        seen_off: &SeenOff,
    ) -> Option<Arc<Door>> {
        if listener.transport() != Transport::Tls {
            return None;
        }
        let session = self.settings.service.session_on(Transport::Tls)?;
        let entrance = Entrance {
            hall: Arc::clone(hall),
            endpoint: listener.endpoint().to_string(),
            overflow: self.settings.overflow,
            penalties: Arc::clone(&crowd.penalties),
        };
        Some(Arc::new(Door {
            session: Arc::clone(session),
            entrance: Arc::new(entrance),
            executor: Arc::clone(executor),
            blocking: self.settings.model.blocks(),
            one_by_one: self.settings.model == Model::Iterative,
            seen_off: seen_off.clone(),
            shared: Arc::clone(crowd),
        }))
    }

    fn announce(&self, hall: &Hall) {
        let service = self.settings.service.name();
        let tell = |endpoint: Endpoint, applied: &[Applied]| {
            let fingerprint = self.fingerprint(&endpoint);
            let options: Vec<String> = applied.iter().map(Applied::to_string).collect();
            hall.event(&Event::Listening {
                endpoint: &endpoint.to_string(),
                service,
                model: self.settings.model,
                options: &options.join(", "),
                fingerprint: fingerprint.as_deref(),
            });
        };
        self.listeners.iter().for_each(|one| tell(one.endpoint(), one.applied()));
        self.datagrams.iter().for_each(|one| tell(one.endpoint(), one.applied()));
    }

    /// Of the key that peers know an endpoint by.
    fn fingerprint(&self, endpoint: &Endpoint) -> Option<String> {
        let transport = Some(endpoint.transport()).filter(|one| *one == Transport::Tls)?;
        self.settings.service.session_on(transport)?.fingerprint()
    }

    /// Returns when a signal (true), the stopper or `--once` (false) says so, or when nothing can be
    /// taken in any more, which is an error.
    async fn until_stopped(
        &self,
        hall: &Hall,
        executor: &dyn Executor,
        signals: &mut Signals,
        running: &mut JoinSet<io::Result<()>>,
    ) -> Result<bool, ServeError> {
        let mut stop = self.stop.subscribe();
        loop {
            tokio::select! {
                asked = signals.next() => match asked {
                    Asked::Stop => return Ok(true),
                    Asked::Reload => self.reload(hall, executor),
                },
                // The sender lives in `self`.
                _ = stop.wait_for(|stop| *stop) => return Ok(false),
                () = hall.once_is_spent() => return Ok(false),
                Some(done) = running.join_next() => {
                    let failed = match done {
                        // `--once` has had its turn.
                        Ok(Ok(())) => return Ok(false),
                        Ok(Err(error)) => error,
                        Err(panic) => io::Error::other(panic),
                    };
                    let error = format!("stopped accepting on one endpoint: {failed}. Start again.");
                    hall.event(&Event::Error { endpoint: None, error: &error });
                    if running.is_empty() && self.datagrams.is_empty() {
                        return Err(system("go on accepting")(failed));
                    }
                }
            }
        }
    }

    fn reload(&self, hall: &Hall, executor: &dyn Executor) {
        let session = self.settings.service.any_session();
        if self.settings.reload.is_none() && session.is_none() {
            return;
        }
        // All or nothing: no part is in force before every part has been read.
        let lists = self.settings.reload.as_ref().map(|reload| reload()).transpose();
        let read = lists
            .and_then(|lists| session.map_or(Ok(()), |session| session.reload()).map(|()| lists));
        match read {
            Ok(lists) => {
                if let Some(lists) = lists {
                    hall.set_access(lists);
                }
                executor.access_changed();
                let mut endpoints = self.listeners.iter().map(|one| one.endpoint());
                let fingerprint = endpoints.find_map(|one| self.fingerprint(&one));
                hall.event(&Event::Reloaded { fingerprint: fingerprint.as_deref() });
            }
            Err(error) => hall.event(&Event::ReloadFailed { error: &error }),
        }
    }

    /// Waits for open connections, for `--drain` at most, then cuts them and waits until they have
    /// ended, and the workers. False where a second signal came: then nobody is waited for, and
    /// workers leave when their server is gone.
    async fn drain(
        &mut self,
        hall: &Hall,
        executor: &dyn Executor,
        signals: &mut Signals,
        mut by_signal: bool,
    ) -> bool {
        hall.event(&Event::Draining { open: hall.open() });
        if hall.is_spent() && !by_signal {
            by_signal = self.finish_the_one(hall, signals).await;
        }
        let second_signal = async {
            if !by_signal {
                signals.stop().await;
            }
            signals.stop().await;
        };
        tokio::select! {
            biased;
            () = self.until_ended(hall, executor) => true,
            () = second_signal => {
                executor.cut();
                false
            }
        }
    }

    async fn until_ended(&mut self, hall: &Hall, executor: &dyn Executor) {
        // One that runs a command has to end that first.
        let session = self.settings.service.any_session().is_some();
        if timeout(self.settings.drain, hall.empty()).await.is_err() {
            executor.cut();
            let patience = if session { limits::SESSION_EXIT } else { limits::CUT_TIME };
            let _ = timeout(patience, hall.empty()).await;
        }
        executor.stop();
        self.datagrams.clear();
        if let Some(mut living) = executor.living() {
            // One that does not go in time is killed by its keeper, or goes with this process.
            let patience = if session { limits::SESSION_EXIT } else { limits::WORKER_EXIT };
            let _ = timeout(patience + limits::WORKER_EXIT, living.wait_for(|n| *n == 0)).await;
        }
    }

    /// The one connection of `--once` may take as long as it likes, until the server is told to
    /// stop: then the ordinary drain begins. True where a signal told it.
    async fn finish_the_one(&self, hall: &Hall, signals: &mut Signals) -> bool {
        let mut stop = self.stop.subscribe();
        tokio::select! {
            biased;
            () = hall.empty() => false,
            () = signals.stop() => true,
            // The sender lives in `self`.
            _ = stop.wait_for(|stop| *stop) => false,
        }
    }
}

/// The runtime and the signals, or a plain error where descriptors are short: tokio would panic.
fn prepare(signals: bool) -> Result<(Runtime, Signals), ServeError> {
    let failed = system("start an event loop");
    sys::require_descriptors(limits::RUNTIME_DESCRIPTORS).map_err(&failed)?;
    let runtime = Builder::new_current_thread().enable_all().build().map_err(&failed)?;
    let entered = runtime.enter();
    let signals = Signals::new(signals).map_err(system("watch signals"))?;
    drop(entered);
    Ok((runtime, signals))
}

fn floor(settings: &Settings, hall: &Arc<Hall>) -> Floor {
    Floor {
        hall: Arc::clone(hall),
        service: settings.service.clone(),
        workers: settings.workers.unwrap_or(settings.model.default_workers()),
        asked_workers: settings.workers,
        deadlines: Deadlines { idle: settings.idle_timeout, lifetime: settings.max_lifetime },
        source_rate: settings.source_rate,
        once: settings.once,
    }
}

/// Tells of datagrams that the kernel dropped for lack of room, at most once a second.
async fn watch_drops(hall: Arc<Hall>, sockets: Vec<Arc<DatagramSocket>>) {
    let mut known = vec![0; sockets.len()];
    while !sockets.is_empty() {
        tokio::time::sleep(limits::DROPS_PAUSE).await;
        for (socket, known) in sockets.iter().zip(&mut known) {
            let drops = socket.drops().unwrap_or(*known);
            if drops != *known {
                *known = drops;
                let endpoint = socket.endpoint().to_string();
                hall.event(&Event::Dropped { endpoint: &endpoint, count: drops });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{Shutdown, TcpStream};

    use super::*;
    use crate::model::Model;
    use crate::services;

    fn upper() -> Settings {
        let mut settings = Settings::new(services::find("upper").unwrap());
        settings.endpoints = vec![Endpoint::loopback(0)];
        settings
    }

    /// M1, M2, M4: embedded in a program, a server serves, is stopped and says what it did.
    #[test]
    fn embedded() {
        for model in [Model::Iterative, Model::Thread, Model::Event] {
            let server = Server::bind(Settings { model, ..upper() }).unwrap();
            let at = server.endpoints()[0].host_port().unwrap().to_string();
            let stopper = server.stopper();
            let running = std::thread::spawn(move || server.run(Arc::new(())));
            let mut client = TcpStream::connect(&at).unwrap();
            client.write_all(b"hello").unwrap();
            client.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            client.read_to_string(&mut answer).unwrap();
            assert_eq!(answer, "HELLO");
            stopper.stop();
            assert_eq!(running.join().unwrap().unwrap(), Summary { served: 1, cut: 0 });
            assert!(TcpStream::connect(&at).is_err(), "nobody listens any more");
        }
    }

    /// M6: what makes no sense is refused before anything is bound.
    #[test]
    fn refusals() {
        let refused = |settings: Settings| Server::bind(settings).err().unwrap().to_string();
        let none = Settings { endpoints: Vec::new(), ..upper() };
        assert!(refused(none).contains("no endpoint"));
        let two = Settings { model: Model::Iterative, workers: Some(2), ..upper() };
        assert!(refused(two).contains("iterative"));
        let tls = Settings { endpoints: vec!["tls://h:1".parse().unwrap()], ..upper() };
        assert!(refused(tls).contains("upper on tls"));
    }
}
