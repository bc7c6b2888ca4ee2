//! A worker process: takes one connection after another from the server, blocking calls.
//!
//! The server starts its own program again with [`MARK`] in the environment and a socket as
//! standard input; whoever calls [`run_worker`] or [`crate::Server::run`] there becomes the worker.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sockeye_limits as limits;
use sockeye_net::access::AccessList;
use sockeye_net::sys::{self, inherited, pass};
use sockeye_net::{Address, Stream};

use crate::connections::{Connections, Deadlines};
use crate::datagram::{Duty, Refusals, Worker};
use crate::drive::{Scratch, blocking};
use crate::end::{End, Why};
use crate::service::Service;

/// The environment variable that makes a program a worker.
pub(crate) const MARK: &str = "SOCKEYE_WORKER";

/// What the server hands to a worker; a descriptor comes with each.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Order {
    /// The first message, without a descriptor: what the connections to come have in common.
    Setup { service: String, idle: Option<Duration>, lifetime: Option<Duration> },
    /// Serve this connection and say how it ended.
    Connection,
    /// Whose datagrams to answer: the descriptor holds an [`AccessList`].
    Access,
    /// Serve the datagrams of this socket until the end.
    Datagrams(Duty),
}

/// What a worker tells the server.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Report {
    /// Ready for work.
    Hello,
    /// The connection ended.
    Done { end: End, bytes_in: u64, bytes_out: u64 },
    /// Datagrams were not answered.
    Refused(Refusals),
    /// The one datagram of `--once` was served.
    Served,
}

/// True where this process was started as a worker.
pub fn is_worker() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Works until the server has no more to do. `find` gives the services by name; they must be those
/// that the server has.
///
/// # Errors
/// Where this process was not started by a server, or the server's messages are not understood.
pub fn run_worker(find: impl Fn(&str) -> Option<Service>) -> io::Result<()> {
    match work(find) {
        // The server has gone: so do we.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

fn work(find: impl Fn(&str) -> Option<Service>) -> io::Result<()> {
    name_like_the_program();
    let control = Arc::new(inherited::take_stdin()?);
    leave_with_the_server(&control)?;
    let (Order::Setup { service, idle, lifetime }, _) = next_order(&control)? else {
        return Err(io::Error::other("the server's first message is not a setup"));
    };
    let service = find(&service).ok_or_else(|| io::Error::other("unknown service"))?;
    let connections = Connections::new(Deadlines { idle, lifetime })?;
    let mut scratch = Scratch::new(limits::STREAM_BUFFER);
    let mut access = AccessList::default();
    report(&control, &Report::Hello)?;
    loop {
        match next_order(&control) {
            Ok((Order::Connection, Some(fd))) => {
                let done = serve(&service, &connections, fd.into(), &mut scratch);
                report(&control, &done)?;
            }
            Ok((Order::Access, Some(fd))) => access = serde_json::from_reader(File::from(fd))?,
            Ok((Order::Datagrams(duty), Some(fd))) => {
                let permits = Box::new(move |source: &Address| access.permits(source));
                return serve_datagrams(&control, Worker::new(&service, duty, permits), duty, fd);
            }
            Ok(_) => return Err(io::Error::other("a job without a socket")),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(()),
            Err(error) => return Err(error),
        }
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

/// A worker must not outlive its server: when the control socket hangs up, it exits at once.
fn leave_with_the_server(control: &Arc<OwnedFd>) -> io::Result<()> {
    let control = Arc::clone(control);
    std::thread::Builder::new().name("hang-up".into()).spawn(move || {
        // An error leaves nothing to wait for either.
        let _ = sys::wait_hang_up(&control);
        std::process::exit(0);
    })?;
    Ok(())
}

fn next_order(control: &OwnedFd) -> io::Result<(Order, Option<OwnedFd>)> {
    let mut buffer = [0; limits::WORKER_MESSAGE];
    let (n, fd) = pass::receive(control, &mut buffer)?;
    if n == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok((serde_json::from_slice(&buffer[..n])?, fd))
}

fn report(control: &OwnedFd, report: &Report) -> io::Result<()> {
    pass::send(control, &serde_json::to_vec(report)?, None)
}

fn serve(
    service: &Service,
    connections: &Arc<Connections>,
    stream: Stream,
    scratch: &mut Scratch,
) -> Report {
    // The blocking driver, which serves here, asks nothing of the transport.
    let entry = connections.enter(stream, false);
    let end = catch_unwind(AssertUnwindSafe(|| {
        let mut responder = service.respond();
        blocking::drive(entry.conn(), responder.as_mut(), scratch)
    }));
    let end = end.unwrap_or(End::ours(Why::Panic));
    let (bytes_in, bytes_out) = entry.conn().counts();
    Report::Done { end, bytes_in, bytes_out }
}

fn serve_datagrams(
    control: &OwnedFd,
    mut worker: Worker,
    duty: Duty,
    socket: OwnedFd,
) -> io::Result<()> {
    loop {
        match worker.receive(&socket) {
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                sys::wait_readable(&socket, None)?;
            }
            Err(error) => return Err(error),
        }
        let mut first = 0;
        while let Err(next) = worker.send(&socket, first) {
            first = next;
            sys::wait_writable(&socket, None)?;
        }
        for refused in worker.refusals() {
            report(control, &Report::Refused(refused))?;
        }
        if duty.once && worker.has_served() {
            return report(control, &Report::Served);
        }
    }
}
