//! A service by its name: how to make a responder for each connection, and its datagram limits.

use std::fmt;
use std::sync::Arc;

use sockeye_limits as limits;

use crate::responder::Responder;

type Make = dyn Fn() -> Box<dyn Responder> + Send + Sync;

/// A named service. Cloning is cheap.
#[derive(Clone)]
pub struct Service {
    name: &'static str,
    about: &'static str,
    source_rate: Option<u32>,
    make: Arc<Make>,
}

impl Service {
    /// A service that makes a responder for each connection (and one for each datagram worker).
    pub fn new<R, F>(name: &'static str, make: F) -> Service
    where
        R: Responder + 'static,
        F: Fn() -> R + Send + Sync + 'static,
    {
        let make = Arc::new(move || Box::new(make()) as Box<dyn Responder>);
        Service { name, about: "", source_rate: Some(limits::SOURCE_RATE), make }
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

    /// A responder for a new connection.
    pub fn respond(&self) -> Box<dyn Responder> {
        (self.make)()
    }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Service").field(&self.name).finish()
    }
}
