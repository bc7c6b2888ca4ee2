//! A traced conversation: a client that talks by plain calls, and all that can be seen of it.
//!
//! Where we may see packets they are captured ([`crate::capture`]); where not, what the calls prove is
//! told instead. [`Traced::how`] says which it was. At the end the kernel is asked who waits in
//! TIME-WAIT ([`crate::sockets`]).

mod attempt;
mod client;
mod deduce;
mod ending;
mod log;
mod server;

use std::io::{self, PipeReader, PipeWriter};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use sockeye_net::endpoint::HostPort;
use sockeye_net::resolve::{Family, resolve};
use sockeye_net::sys::tcp_info::TcpInfo;
use sockeye_net::{Address, Endpoint, Error, Operation, Transport};

use crate::capture::{self, CaptureError, Captured};
use crate::history::History;
use attempt::Attempt;
use log::Log;
use server::Server;

pub use log::Record;
pub use server::{Answer, Then};

/// Who closes, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Close {
    /// We end our side (shutdown), read on to the server's end, then close.
    #[default]
    Half,
    /// We close as soon as the answer is there.
    First,
    /// The server closes first; we read on until then.
    Last,
    /// We reset the connection: a close with a linger time of 0.
    Reset,
}

/// What a client is to say, and to whom.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Where to.
    pub endpoint: Endpoint,
    /// The families that a name may resolve to.
    pub family: Family,
    /// Our own address, bound first.
    pub source: Option<SocketAddr>,
    /// What is sent, each after the answer to the one before.
    pub sends: Vec<Vec<u8>>,
    /// Who closes, and how.
    pub close: Close,
    /// How long each step may take: connecting, an answer while our bytes are on their way, the
    /// server's end.
    pub timeout: Duration,
    /// What ends it early, if anything does.
    pub stop: Option<Stop>,
}

/// Ends a conversation early: what was seen by then is told, with an error that says so.
#[derive(Debug, Clone)]
pub struct Stop(Arc<PipeReader>);

impl Stop {
    /// It stops as soon as the other half is dropped.
    ///
    /// # Errors
    /// As pipe(2).
    pub fn new() -> io::Result<(Stop, PipeWriter)> {
        let (stop, other) = io::pipe()?;
        Ok((Stop(Arc::new(stop)), other))
    }
}

/// Where what is known of a conversation came from.
#[derive(Debug)]
#[non_exhaustive]
pub enum How {
    /// Real packets, captured.
    Packets,
    /// Real packets of a private network, where the server is ours as well.
    Private,
    /// The client's calls and what the kernel counts for it, because packets could not be seen.
    Calls(CaptureError),
    /// The client's calls: a Unix socket has no packets.
    Unix,
}

/// What was seen of one attempt to talk.
#[derive(Debug)]
pub struct Traced {
    /// Where it was known from.
    pub how: How,
    /// Where it went: an address, no name.
    pub endpoint: Endpoint,
    /// Its history. Of a Unix socket the addresses are unspecified.
    pub history: History,
    /// The packets, each with the number of its step, where the history kept that.
    pub packets: Vec<(Captured, Option<u64>)>,
    /// Packets that came quicker than they were taken, or that were more than is kept.
    pub missed: u64,
    /// Every call, in the order in which they returned.
    pub calls: Vec<Record>,
    /// Why it did not end well.
    pub error: Option<Error>,
    /// It was stopped early.
    pub stopped: bool,
    /// What the server answered, its beginning.
    pub answer: Vec<u8>,
    /// What the kernel counted for the client before it closed.
    pub counted: Option<TcpInfo>,
}

impl Traced {
    /// True where no connection came about, so that another address may be tried.
    fn unconnected(&self) -> bool {
        self.error.as_ref().is_some_and(|error| error.operation == Operation::Connect)
    }
}

/// Talks as `plan` says and tells what was seen, for each address that was tried: those of a name in
/// the system's order, until one connects.
///
/// # Errors
/// Where the name does not resolve, or packets cannot be captured for another reason than missing
/// rights. What goes wrong in the conversation is in [`Traced::error`].
pub fn trace(plan: &Plan) -> Result<Vec<Traced>, TraceError> {
    let transport = plan.endpoint.transport();
    let addresses = match plan.endpoint.host_port() {
        Some(at) => {
            resolve(at, plan.family, plan.timeout)?.into_iter().map(Address::Inet).collect()
        }
        None => {
            let name = plan.endpoint.unix_name().cloned();
            vec![name.map_or(Address::Unnamed, Address::Unix)]
        }
    };
    let _stamps = capture::stamps();
    let mut traced = Vec::new();
    for address in &addresses {
        let at = address.to_endpoint(spoken(transport));
        let one = Attempt { plan, at, address, log: None }.make(None)?;
        let goes_on = one.unconnected() && !one.stopped;
        traced.push(one);
        if !goes_on {
            break;
        }
    }
    Ok(traced)
}

/// As [`trace`], with a server of our own on loopback that answers as `service` does, at the port of
/// the plan's endpoint. For a private network ([`crate::netns::enter`]), where packets can be seen.
///
/// # Errors
/// As [`trace`], and where the server cannot listen.
pub fn trace_own(plan: &Plan, service: Box<dyn Answer>) -> Result<Traced, TraceError> {
    let _stamps = capture::stamps();
    let log = Arc::new(Log::start());
    let port = plan.endpoint.host_port().map_or(0, |at: &HostPort| at.port);
    let stream = plan.endpoint.transport().is_stream();
    let listening = Server::listen(&log, stream, port, plan.timeout);
    let failed = |error| Error::new(Operation::Listen, &plan.endpoint, error);
    let server = listening.map_err(failed)?;
    let address = Address::Inet(server.at);
    let at = address.to_endpoint(spoken(plan.endpoint.transport()));
    let serving = server.serve(service).map_err(failed)?;
    let one = Attempt { plan, at, address: &address, log: Some(log) }.make(Some(serving))?;
    // Where even here no packet can be seen, it stays what calls prove.
    let how = match one.how {
        How::Packets => How::Private,
        other => other,
    };
    Ok(Traced { how, ..one })
}

/// What is spoken to an endpoint: of TLS only the TCP beneath.
fn spoken(transport: Transport) -> Transport {
    if transport == Transport::Tls { Transport::Tcp } else { transport }
}

/// Why there is no trace at all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TraceError {
    /// A socket could not be made or a name not be resolved.
    #[error("{0}")]
    Socket(Box<Error>),
    /// Packets could not be captured.
    #[error(transparent)]
    Capture(#[from] CaptureError),
}

impl From<Error> for TraceError {
    fn from(error: Error) -> TraceError {
        TraceError::Socket(Box::new(error))
    }
}
