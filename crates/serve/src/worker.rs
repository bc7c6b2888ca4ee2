//! A worker process: takes one connection after another from the server, blocking calls.
//!
//! The server starts its own program again with [`MARK`] in the environment and a socket as
//! standard input; whoever calls [`run_worker`] or [`crate::Server::run`] there becomes the worker.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sockeye_limits as limits;
use sockeye_net::access::AccessList;
use sockeye_net::sys::{self, inherited, pass};
use sockeye_net::{Address, Stream, Transport};
use tokio::runtime::Runtime;

use crate::connections::{Conn, Connections, Deadlines, Entry};
use crate::datagram::{Duty, Refusals, Worker};
use crate::drive::{Scratch, blocking};
use crate::end::{End, Why};
use crate::model::sessions;
use crate::responder::Responder;
use crate::service::{Service, Work};
use crate::session::{Call, Entering, Front, News, Proof, Session};

/// The environment variable that makes a program a worker.
pub(crate) const MARK: &str = "SOCKEYE_WORKER";

/// What the server hands to a worker; a descriptor comes with each.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum ToWorker {
    /// The first message: what the connections to come have in common.
    /// The descriptor holds what [`crate::Session::setup`] said.
    Setup { service: String, idle: Option<Duration>, lifetime: Option<Duration> },
    /// Serve this connection and say how it ended.
    Connection { tls: bool },
    /// The answer to [`FromWorker::Ask`], or to [`FromWorker::Enter`], where an error is a refusal.
    Answer(Result<Vec<u8>, String>),
    /// Whose datagrams to answer: the descriptor holds an [`AccessList`].
    Access,
    /// Serve the datagrams of this socket until the end.
    Datagrams(Duty),
}

/// What a worker tells the server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum FromWorker {
    /// Ready for work.
    Hello,
    /// The connection ended.
    Done { end: End, bytes_in: u64, bytes_out: u64 },
    /// A session asks, and waits for the answer.
    Ask(Vec<u8>),
    /// A session's peer has proved who it is; it waits for the answer.
    Enter(Proof),
    /// A session tells.
    Tell(News),
    /// Datagrams were not answered.
    Refused(Refusals),
    /// The one datagram of `--once` was served.
    Served,
}

/// True where this process was started as a worker.
pub fn is_worker() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Works until the server has no more to do. `find` gives the services by name and by what their
/// sessions said that they need ([`crate::Session::setup`]); they must be those that the server has.
///
/// # Errors
/// Where this process was not started by a server, or the server's messages are not understood.
pub fn run_worker(find: impl Fn(&str, &Value) -> Option<Service>) -> io::Result<()> {
    match work(find) {
        // The server has gone: so do we.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn work(find: impl Fn(&str, &Value) -> Option<Service>) -> io::Result<()> {
    name_like_the_program();
    let control = Arc::new(inherited::take_stdin()?);
    let current = Current::default();
    let busy = Arc::new(Busy::default());
    leave_with_the_server(&control, &current, &busy)?;
    let (ToWorker::Setup { service, idle, lifetime }, Some(setup)) = next_order(&control)? else {
        return Err(io::Error::other("the server's first message is not a setup"));
    };
    let setup: Value = serde_json::from_reader(File::from(setup))?;
    let service = find(&service, &setup).ok_or_else(|| io::Error::other("unknown service"))?;
    let connections = Connections::new(Deadlines { idle, lifetime })?;
    let mut scratch = Scratch::new(limits::STREAM_BUFFER);
    let mut access = AccessList::default();
    // What a session needs is made while nobody waits for it.
    let runtime = service.any_session().map(|session| {
        session.prepare();
        sessions::runtime()
    });
    let mut runtime = runtime.transpose()?;
    report(&control, &FromWorker::Hello)?;
    loop {
        match next_order(&control) {
            Ok((ToWorker::Connection { tls }, Some(fd))) => {
                let stream = Stream::from(fd);
                let transport = transport_of(&stream, tls)?;
                // The blocking driver, which serves here, asks nothing of the transport.
                let entry = connections.enter(stream, false);
                match (service.work(transport), runtime.take()) {
                    (Work::Session(session), Some(runtime)) => {
                        current.set(Arc::clone(entry.conn()));
                        let done = serve_session(&control, session, &runtime, transport, &entry);
                        drop(entry);
                        // One session, one process.
                        return report(&control, &done);
                    }
                    (Work::Session(_), None) => {
                        return Err(io::Error::other("a second session"));
                    }
                    (Work::Responder(responder), kept) => {
                        runtime = kept;
                        report(&control, &serve(responder, &entry, &mut scratch))?;
                    }
                }
            }
            Ok((ToWorker::Access, Some(fd))) => access = serde_json::from_reader(File::from(fd))?,
            Ok((ToWorker::Datagrams(duty), Some(fd))) => {
                let permits = Box::new(move |source: &Address| access.permits(source));
                let worker = Worker::new(&service, duty, permits);
                return serve_datagrams(&control, &busy, worker, duty, fd);
            }
            Ok(_) => return Err(io::Error::other("a job without a socket")),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
    }
}

fn transport_of(stream: &Stream, tls: bool) -> io::Result<Transport> {
    Ok(match stream.local()?.inet() {
        Some(_) if tls => Transport::Tls,
        Some(_) => Transport::Tcp,
        None => Transport::Unix,
    })
}

/// The connection of the session that runs in this process.
#[derive(Clone, Default)]
struct Current(Arc<Mutex<Option<Arc<Conn>>>>);

impl Current {
    fn set(&self, conn: Arc<Conn>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(conn);
    }

    /// Ends the connection, so that its session ends what it has started; false where there is none.
    fn cut(&self) -> bool {
        let conn = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        conn.as_ref().inspect(|conn| conn.cut(Why::Drain)).is_some()
    }
}

/// The server executes /proc/self/exe, which would leave the worker with the name "exe".
fn name_like_the_program() {
    let own = std::env::args_os().next().unwrap_or_default();
    let name = std::path::Path::new(&own).file_name().unwrap_or_default();
    if let Ok(name) = std::ffi::CString::new(name.as_encoded_bytes()) {
        // A wrong name in `ps` is no reason to fail.
        let _ = rustix::thread::set_name(&name);
    }
}

/// A worker must not outlive its server: when the control socket hangs up, it exits at once, or as
/// soon as its session has ended what it started.
fn leave_with_the_server(
    control: &Arc<OwnedFd>,
    current: &Current,
    busy: &Arc<Busy>,
) -> io::Result<()> {
    let (control, current, busy) = (Arc::clone(control), current.clone(), Arc::clone(busy));
    std::thread::Builder::new().name("hang-up".into()).spawn(move || {
        // An error leaves nothing to wait for either.
        let _ = sys::wait_hang_up(&control);
        if current.cut() {
            std::thread::sleep(limits::SESSION_EXIT);
        }
        let _answered = busy.leave();
        std::process::exit(0);
    })?;
    Ok(())
}

fn next_order(control: &OwnedFd) -> io::Result<(ToWorker, Option<OwnedFd>)> {
    let mut buffer = [0; limits::WORKER_MESSAGE];
    let (n, fd) = pass::receive(control, &mut buffer)?;
    if n == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((serde_json::from_slice(&buffer[..n])?, fd))
}

fn report(control: &OwnedFd, report: &FromWorker) -> io::Result<()> {
    pass::send(control, &serde_json::to_vec(report)?, None)
}

fn serve(mut responder: Box<dyn Responder>, entry: &Entry, scratch: &mut Scratch) -> FromWorker {
    let drive = || blocking::drive(entry.conn(), responder.as_mut(), scratch);
    let end = catch_unwind(AssertUnwindSafe(drive));
    done(end.unwrap_or(End::ours(Why::Panic)), entry)
}

fn done(end: End, entry: &Entry) -> FromWorker {
    let (bytes_in, bytes_out) = entry.conn().counts();
    FromWorker::Done { end, bytes_in, bytes_out }
}

fn serve_session(
    control: &Arc<OwnedFd>,
    session: Arc<dyn Session>,
    runtime: &Runtime,
    transport: Transport,
    entry: &Entry,
) -> FromWorker {
    let conn = entry.conn();
    let peer = match conn.stream().peer() {
        Ok(peer) => peer,
        // It has gone already.
        Err(error) => return done(End::failed(&error), entry),
    };
    let front = Arc::new(Far { control: Mutex::new(Arc::clone(control)) });
    let call = |channel| Call { channel, peer, transport, front, alone: true };
    done(runtime.block_on(sessions::serve(session, conn, call)), entry)
}

/// The way from a session to the server that started this process.
struct Far {
    control: Mutex<Arc<OwnedFd>>,
}

impl Far {
    /// One question at a time: the next message is its answer.
    fn wait_for_answer(&self, question: &FromWorker) -> io::Result<Vec<u8>> {
        let control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        report(&control, question)?;
        match next_order(&control)? {
            (ToWorker::Answer(answer), _) => answer.map_err(io::Error::other),
            _ => Err(io::Error::other("the server's message is not an answer")),
        }
    }
}

impl Front for Far {
    fn ask(&self, question: &[u8]) -> io::Result<Vec<u8>> {
        self.wait_for_answer(&FromWorker::Ask(question.to_vec()))
    }

    /// Blocks: this process has nothing else to do, and leaves when its server hangs up.
    fn enter(&self, proof: Proof) -> Entering<'_> {
        Box::pin(async move { self.wait_for_answer(&FromWorker::Enter(proof)).is_ok() })
    }

    fn tell(&self, news: News) {
        let control = self.control.lock().unwrap_or_else(PoisonError::into_inner);
        // A server that is gone is told nothing.
        let _ = report(&control, &FromWorker::Tell(news));
    }
}

/// Held while datagrams are taken and not answered: where a worker is only replaced, as after a
/// reload, nobody else could answer them. Never held while it waits.
#[derive(Default)]
struct Busy {
    held: Mutex<()>,
    /// The lock is not fair: under a steady load whoever wants to leave would never get it.
    leaving: AtomicBool,
}

impl Busy {
    fn lock(&self) -> MutexGuard<'_, ()> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What has been taken is answered, and nothing more is taken.
    fn leave(&self) -> MutexGuard<'_, ()> {
        self.leaving.store(true, Ordering::Release);
        self.lock()
    }

    fn is_leaving(&self) -> bool {
        self.leaving.load(Ordering::Acquire)
    }
}

fn serve_datagrams(
    control: &OwnedFd,
    busy: &Busy,
    mut worker: Worker,
    duty: Duty,
    socket: OwnedFd,
) -> io::Result<()> {
    while !busy.is_leaving() {
        let mut held = busy.lock();
        match worker.receive(&socket) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                drop(held);
                sys::wait_readable(&socket, None)?;
                continue;
            }
            Err(error) => return Err(error),
        }
        let mut first = 0;
        while let Err(next) = worker.send(&socket, first) {
            first = next;
            drop(held);
            sys::wait_writable(&socket, None)?;
            held = busy.lock();
        }
        drop(held);
        for refused in worker.refusals() {
            report(control, &FromWorker::Refused(refused))?;
        }
        if duty.once && worker.has_served() {
            return report(control, &FromWorker::Served);
        }
    }
    Ok(())
}
