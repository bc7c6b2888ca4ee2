//! A service by its name: a responder for each connection or a session, and its datagram limits.

use std::fmt;
use std::sync::Arc;

use serde_json::Value;
use sockeye_limits as limits;
use sockeye_net::Transport;

use crate::responder::Responder;
use crate::session::Session;

type Make = dyn Fn() -> Box<dyn Responder> + Send + Sync;

/// A named service. Cloning is cheap.
#[derive(Clone)]
pub struct Service {
    name: &'static str,
    about: &'static str,
    source_rate: Option<u32>,
    kind: Kind,
    /// What serves connections on `tls://` in place of the responder.
    secured: Option<Arc<dyn Session>>,
    local_only: bool,
}

#[derive(Clone)]
enum Kind {
    Responder(Arc<Make>),
    Session(Arc<dyn Session>),
}

/// What serves one connection.
pub(crate) enum Work {
    Responder(Box<dyn Responder>),
    Session(Arc<dyn Session>),
}

impl Service {
    /// A service that makes a responder for each connection (and one for each datagram worker).
    pub fn new<R, F>(name: &'static str, make: F) -> Service
    where
        R: Responder + 'static,
        F: Fn() -> R + Send + Sync + 'static,
    {
        let make = Arc::new(move || Box::new(make()) as Box<dyn Responder>);
        let kind = Kind::Responder(make);
        Service {
            name,
            about: "",
            source_rate: Some(limits::SOURCE_RATE),
            kind,
            secured: None,
            local_only: false,
        }
    }

    /// A service whose connections are served by a session. It has no datagrams.
    pub fn session(name: &'static str, session: Arc<dyn Session>) -> Service {
        let kind = Kind::Session(session);
        Service { name, about: "", source_rate: None, kind, secured: None, local_only: false }
    }

    /// The same with a session that serves connections on `tls://`: it secures the connection, then
    /// does what the service does. Without one `tls://` is refused.
    #[must_use]
    pub fn secured_by(mut self, session: Arc<dyn Session>) -> Service {
        self.secured = Some(session);
        self
    }

    /// The same, refused on whatever another machine could reach: for a service that asks nobody who
    /// he is.
    #[must_use]
    pub fn local_only(mut self) -> Service {
        self.local_only = true;
        self
    }

    /// The same with one line that says what it does.
    #[must_use]
    pub fn about(mut self, about: &'static str) -> Service {
        self.about = about;
        self
    }

    /// The same with another limit of datagrams a second for one source; `None` is no limit. The
    /// default is [`limits::SOURCE_RATE`].
    #[must_use]
    pub fn with_source_rate(mut self, rate: Option<u32>) -> Service {
        self.source_rate = rate;
        self
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// What it does, in one line.
    pub fn what(&self) -> &'static str {
        self.about
    }

    /// Datagrams a second that one source is answered; `None`: all.
    pub fn source_rate(&self) -> Option<u32> {
        self.source_rate
    }

    /// A responder for a new connection or datagram socket; `None` for a session.
    pub fn respond(&self) -> Option<Box<dyn Responder>> {
        match &self.kind {
            Kind::Responder(make) => Some(make()),
            Kind::Session(_) => None,
        }
    }

    /// A responder for datagrams, which sessions never have: settings refuse them.
    pub(crate) fn respond_to_datagrams(&self) -> Box<dyn Responder> {
        self.respond().expect("sessions are refused on datagram endpoints")
    }

    pub(crate) fn is_local_only(&self) -> bool {
        self.local_only
    }

    /// True where connections of this service are sessions on every transport.
    pub(crate) fn is_session(&self) -> bool {
        matches!(self.kind, Kind::Session(_))
    }

    /// What serves a new connection of this transport.
    pub(crate) fn work(&self, transport: Transport) -> Work {
        match (&self.kind, self.session_on(transport)) {
            (Kind::Responder(make), None) => Work::Responder(make()),
            (_, Some(session)) => Work::Session(Arc::clone(session)),
            (Kind::Session(session), None) => Work::Session(Arc::clone(session)),
        }
    }

    /// The session that serves connections of this transport, if one does.
    pub(crate) fn session_on(&self, transport: Transport) -> Option<&Arc<dyn Session>> {
        match (&self.kind, transport) {
            (Kind::Session(session), _) => Some(session),
            (Kind::Responder(_), Transport::Tls) => self.secured.as_ref(),
            (Kind::Responder(_), _) => None,
        }
    }

    /// The session that it has, on whatever transport.
    pub(crate) fn any_session(&self) -> Option<&Arc<dyn Session>> {
        self.session_on(Transport::Tls)
    }

    /// What a worker process needs to make the service's session again.
    pub(crate) fn setup(&self) -> Value {
        self.any_session().map_or(Value::Null, |session| session.setup())
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Service").field(&self.name).finish()
    }
}
