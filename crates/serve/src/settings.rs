//! What a server is to do, and what makes no sense.

use std::time::Duration;

use sockeye_limits as limits;
use sockeye_net::access::AccessList;
use sockeye_net::activation::Activated;
use sockeye_net::endpoint::Host;
use sockeye_net::{BindOptions, Endpoint, Transport, sys};

use crate::cells;
use crate::hall::Overflow;
use crate::model::Model;
use crate::server::ServeError;
use crate::service::Service;

/// Reads the access lists again; an error keeps the old ones in force.
pub type Reload = Box<dyn Fn() -> Result<AccessList, String> + Send>;

/// What a server is to do.
pub struct Settings {
    /// What a connection does.
    pub service: Service,
    /// Where to listen; streams and datagrams may be mixed.
    pub endpoints: Vec<Endpoint>,
    /// Sockets that a service manager opened for us, served beside the endpoints.
    pub activated: Activated,
    /// Who does the work.
    pub model: Model,
    /// Event loops or warm processes, and workers for each datagram socket; `None` is the model's
    /// default, and one for datagrams, which keeps their order.
    pub workers: Option<usize>,
    /// Connections at once; `None` is the model's default, within the process's descriptors.
    pub max_connections: Option<usize>,
    /// What happens to one more.
    pub overflow: Overflow,
    /// End a connection on which nothing moved for this long.
    pub idle_timeout: Option<Duration>,
    /// End a connection this long after it began.
    pub max_lifetime: Option<Duration>,
    /// Who may connect.
    pub access: AccessList,
    /// How SIGHUP reads the lists again.
    pub reload: Option<Reload>,
    /// Serve one connection or one datagram, then end.
    pub once: bool,
    /// How long connections may finish after a signal.
    pub drain: Duration,
    /// On `tls://`: whether penalties for misbehaviour also meet loopback.
    pub penalize_loopback: bool,
    /// Datagrams a second that one source is answered; `None` is no limit.
    pub source_rate: Option<u32>,
    /// How sockets are bound.
    pub bind: BindOptions,
    /// Whether SIGTERM, SIGINT and SIGHUP are for this server.
    pub signals: bool,
}

impl Settings {
    /// A service with the defaults: no endpoints yet, event model, no deadlines.
    pub fn new(service: Service) -> Settings {
        Settings {
            source_rate: service.source_rate(),
            // A session gets a process of its own unless somebody wants it otherwise.
            model: if service.is_session() { Model::Process } else { Model::default() },
            service,
            endpoints: Vec::new(),
            activated: Activated::default(),
            workers: None,
            max_connections: None,
            overflow: Overflow::default(),
            idle_timeout: None,
            max_lifetime: None,
            access: AccessList::default(),
            reload: None,
            once: false,
            drain: limits::DRAIN,
            penalize_loopback: false,
            bind: BindOptions::default(),
            signals: false,
        }
    }
}

/// Refuses what makes no sense, by name.
pub(crate) fn check(
    settings: &Settings,
    transports: &[Transport],
    endpoints: &[Endpoint],
) -> Result<(), ServeError> {
    let refuse = |text: String| Err(ServeError::Refused(text));
    let service = &settings.service;
    for transport in transports {
        if let Err(why) = cells::check(*transport, service.name(), settings.model) {
            return refuse(why);
        }
        if service.is_session() && !transport.is_stream() {
            let name = service.name();
            return refuse(format!(
                "{name} on {transport}: it talks over connections, not datagrams"
            ));
        }
        if *transport == Transport::Tls && service.session_on(Transport::Tls).is_none() {
            let name = service.name();
            return refuse(format!(
                "{name} on tls: this program gave it no keys; use tcp:// or unix:"
            ));
        }
    }
    if service.is_local_only()
        && let Some(endpoint) = endpoints.iter().find(|endpoint| !is_local(endpoint))
    {
        let name = service.name();
        return refuse(format!(
            "{name} on {endpoint}: whoever reaches it runs commands as you, without any key; it \
             is served on loopback and Unix sockets only. For other machines serve host on tls://."
        ));
    }
    if transports.is_empty() {
        return refuse("no endpoint to serve on".into());
    }
    if settings.workers.is_some_and(|n| n == 0 || n > limits::WORKERS_MAX) {
        return refuse(format!("--workers is a number from 1 to {}", limits::WORKERS_MAX));
    }
    if settings.max_connections == Some(0) {
        return refuse("--max-connections 0 would serve nobody: it is 1 or more".into());
    }
    if settings.model == Model::Iterative {
        if settings.workers.is_some_and(|n| n > 1) {
            return refuse("--workers does not go with the iterative model: it has one".into());
        }
        if settings.max_connections.is_some_and(|n| n > 1) {
            return refuse(
                "--max-connections does not go with the iterative model: it serves one at a time"
                    .into(),
            );
        }
    }
    Ok(())
}

/// True where nobody on another machine can reach it.
fn is_local(endpoint: &Endpoint) -> bool {
    match endpoint.host_port().map(|at| &at.host) {
        None => true,
        Some(Host::Name(name)) => name.eq_ignore_ascii_case("localhost"),
        Some(Host::V4(ip)) => ip.is_loopback(),
        Some(Host::V6(ip, _)) => ip.to_canonical().is_loopback(),
    }
}

/// As many as asked for, or the model's default, but never more than descriptors allow.
pub(crate) fn max_connections(settings: &Settings) -> usize {
    let descriptors = sys::raise_descriptor_limit().saturating_sub(limits::RESERVED_DESCRIPTORS);
    let wanted = settings.max_connections.unwrap_or(settings.model.default_connections());
    match settings.max_connections {
        // What a user asks for is tried, and running out is told (L6).
        Some(_) => wanted,
        None => wanted.min(descriptors.max(1)),
    }
}
