//! What one run does.

use std::time::Duration;

use sockeye_limits as limits;
use sockeye_net::{DialOptions, Endpoint};

use crate::error::Error;

/// When requests are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pace {
    /// Closed loop: a connection sends its next request when an answer has come. Latency waits for the
    /// server: while that stalls nothing is sent, and nothing is counted.
    Closed,
    /// Open loop: requests leave at a fixed rate, whatever the server does. Latency counts from the
    /// time at which each was to be sent.
    Open {
        /// Requests a second, over all connections.
        per_second: u64,
    },
}

/// How answers are checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verify {
    /// Every byte: the request in upper case.
    Upper,
    /// Every byte: the request as it was.
    Echo,
    /// Not at all. As many bytes as the request has are its answer; of datagrams, any one is the
    /// answer to the oldest; with [`Plan::churn`], all that comes until the server ends.
    None,
}

impl Verify {
    /// The name that `--verify` takes.
    pub fn name(self) -> &'static str {
        match self {
            Verify::Upper => "upper",
            Verify::Echo => "echo",
            Verify::None => "none",
        }
    }
}

/// What one run does: [`crate::run`].
#[derive(Debug, Clone)]
pub struct Plan {
    /// The server: `tcp://`, `unix:`, `udp://` or `unixgram:`.
    pub endpoint: Endpoint,
    /// How its sockets are made: address family, source, options, and the time for connecting.
    pub dial: DialOptions,
    /// Connections at a time (sockets, where they are datagrams).
    pub connections: usize,
    /// Bytes of a request.
    pub size: usize,
    /// Requests in flight on one connection, at most. Datagrams at a fixed rate have no such bound:
    /// nobody says that one is lost, and those that are would hold back the others.
    pub depth: usize,
    /// How long is counted.
    pub duration: Duration,
    /// How long the same load runs before it is counted.
    pub warmup: Duration,
    /// When requests are sent.
    pub pace: Pace,
    /// A connection for each request: connect, send, receive, close.
    pub churn: bool,
    /// How answers are checked.
    pub verify: Verify,
    /// Threads that drive the connections.
    pub workers: usize,
    /// A connection with requests in flight on which nothing comes for so long has failed; of datagrams,
    /// each one without its answer.
    pub timeout: Duration,
}

impl Plan {
    /// The defaults, against this server.
    pub fn new(endpoint: Endpoint) -> Plan {
        let stream = endpoint.transport().is_stream();
        Plan {
            endpoint,
            dial: DialOptions::default(),
            connections: limits::LOAD_CONNECTIONS,
            size: limits::LOAD_SIZE,
            depth: 1,
            duration: limits::LOAD_DURATION,
            warmup: limits::LOAD_WARMUP,
            pace: Pace::Closed,
            churn: false,
            verify: Verify::Upper,
            workers: 1,
            timeout: if stream { limits::LOAD_TIMEOUT } else { limits::LOAD_DATAGRAM_TIMEOUT },
        }
    }

    /// The depth, where it holds anything back.
    pub(crate) fn depth_that_holds(&self) -> Option<usize> {
        let free = self.pace != Pace::Closed && !self.endpoint.transport().is_stream();
        (!free).then_some(self.depth)
    }

    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Plan`], which says what was wrong and what is right.
    pub fn check(&self) -> Result<(), Error> {
        let stream = self.endpoint.transport().is_stream();
        let least = usize::from(stream);
        let longest = if stream { limits::LOAD_SIZE_MAX } else { limits::DATAGRAM_MAX };
        let ranges = [
            ("--connections", self.connections, 1, limits::LOAD_CONNECTIONS_MAX),
            ("--size", self.size, least, longest),
            ("--depth", self.depth, 1, limits::LOAD_DEPTH_MAX),
            ("--workers", self.workers, 1, limits::LOAD_WORKERS_MAX),
        ];
        for (name, value, least, most) in ranges {
            if value < least || value > most {
                return Err(Error::Plan(format!("{name} is from {least} to {most}, not {value}")));
            }
        }
        self.check_times()?;
        self.check_kind()
    }

    fn check_times(&self) -> Result<(), Error> {
        if let Pace::Open { per_second } = self.pace
            && !(1..=limits::LOAD_RATE_MAX).contains(&per_second)
        {
            let most = limits::LOAD_RATE_MAX;
            return Err(Error::Plan(format!("--rate is from 1 to {most}, not {per_second}")));
        }
        for (name, span) in [("--duration", self.duration), ("--timeout", self.timeout)] {
            if span.is_zero() || span > limits::LONGEST_TIME {
                return Err(Error::Plan(format!(
                    "{name} is more than nothing and at most ten years"
                )));
            }
        }
        if self.warmup > limits::LONGEST_TIME {
            return Err(Error::Plan("--warmup is at most ten years".into()));
        }
        Ok(())
    }

    fn check_kind(&self) -> Result<(), Error> {
        refuse_tls(&self.endpoint)?;
        if self.churn && !self.endpoint.transport().is_stream() {
            return Err(Error::Plan(
                "--churn is for connections: each datagram stands for itself already, so leave it out"
                    .into(),
            ));
        }
        if self.churn && self.depth > 1 {
            return Err(Error::Plan(
                "--churn and --depth exclude each other: a connection has one request; raise \
                 --connections instead"
                    .into(),
            ));
        }
        Ok(())
    }
}

/// Load is measured without encryption.
pub(crate) fn refuse_tls(endpoint: &Endpoint) -> Result<(), Error> {
    match endpoint {
        Endpoint::Tls(_) => Err(Error::Plan(
            "tls:// would measure the encryption of this program more than the server; measure the \
             same service on tcp:// or unix:"
                .into(),
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B1: what makes no sense is refused by name, with what does.
    #[test]
    fn nonsense() {
        let plan = |word: &str| Plan::new(word.parse().unwrap());
        let cases = [
            (Plan { connections: 0, ..plan("9") }, "--connections is from 1"),
            (Plan { size: 0, ..plan("9") }, "--size is from 1"),
            (Plan { size: 70_000, ..plan("udp://h:9") }, "--size is from 0 to 65507"),
            (Plan { depth: 5000, ..plan("9") }, "--depth is from 1 to 4096"),
            (Plan { workers: 0, ..plan("9") }, "--workers"),
            (Plan { pace: Pace::Open { per_second: 0 }, ..plan("9") }, "--rate is from 1"),
            (Plan { duration: Duration::ZERO, ..plan("9") }, "--duration"),
            (Plan { timeout: Duration::MAX, ..plan("9") }, "--timeout"),
            (Plan { churn: true, ..plan("udp://h:9") }, "leave it out"),
            (Plan { churn: true, depth: 2, ..plan("9") }, "--churn and --depth"),
            (plan("tls://h:9"), "tcp:// or unix:"),
        ];
        for (plan, what) in cases {
            let error = plan.check().unwrap_err().to_string();
            assert!(error.contains(what) && !error.contains('\n'), "{error}");
        }
        plan("9").check().unwrap();
        Plan { size: 0, ..plan("udp://h:9") }.check().unwrap();
    }
}
