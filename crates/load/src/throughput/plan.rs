//! What one run of bulk data does.

use std::time::Duration;

use sockeye_limits as limits;
use sockeye_net::{DialOptions, Endpoint};

use crate::error::Error;
use crate::plan::refuse_tls;

/// Which way the data goes, seen from us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// From us to the server, which has to read: `discard`. Datagrams: to a receiver of our own kind
    /// (`sockeye bench throughput --serve`), which counts.
    Up,
    /// From the server to us: `chargen`.
    Down,
    /// To the server and back: `echo`.
    Both,
}

impl Direction {
    /// The name that `--direction` takes.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Up => "up",
            Direction::Down => "down",
            Direction::Both => "both",
        }
    }
}

/// What one run of bulk data does: [`super::run`].
#[derive(Debug, Clone)]
pub struct ThroughputPlan {
    /// The server.
    pub endpoint: Endpoint,
    /// How its sockets are made.
    pub dial: DialOptions,
    /// Which way the data goes.
    pub direction: Direction,
    /// Connections in parallel.
    pub streams: usize,
    /// Bytes of one send, or of one datagram.
    pub size: usize,
    /// How long is counted.
    pub duration: Duration,
    /// How long the same load runs before it is counted.
    pub warmup: Duration,
    /// Bits a second over all streams, without headers; none: as fast as it goes.
    pub rate: Option<u64>,
}

impl ThroughputPlan {
    /// The defaults, against this server.
    pub fn new(endpoint: Endpoint, direction: Direction) -> ThroughputPlan {
        let stream = endpoint.transport().is_stream();
        ThroughputPlan {
            endpoint,
            dial: DialOptions::default(),
            direction,
            streams: limits::LOAD_STREAMS,
            size: if stream { limits::LOAD_BULK_SIZE } else { limits::LOAD_BULK_DATAGRAM },
            duration: limits::LOAD_DURATION,
            warmup: limits::LOAD_WARMUP,
            rate: if stream { None } else { Some(limits::LOAD_BULK_RATE) },
        }
    }

    /// Refuses what makes no sense.
    ///
    /// # Errors
    /// [`Error::Plan`].
    pub fn check(&self) -> Result<(), Error> {
        let stream = self.endpoint.transport().is_stream();
        let (least, longest) = match stream {
            true => (1, limits::LOAD_SIZE_MAX),
            false => (limits::LOAD_BULK_DATAGRAM_MIN, limits::DATAGRAM_MAX),
        };
        let ranges = [
            ("--streams", self.streams, 1, limits::LOAD_STREAMS_MAX),
            ("--size", self.size, least, longest),
        ];
        for (name, value, least, most) in ranges {
            if value < least || value > most {
                return Err(Error::Plan(format!("{name} is from {least} to {most}, not {value}")));
            }
        }
        if self.rate == Some(0) {
            return Err(Error::Plan("--rate is more than nothing".into()));
        }
        if self.duration.is_zero() || self.duration.max(self.warmup) > limits::LONGEST_TIME {
            return Err(Error::Plan(
                "--duration is more than nothing and at most ten years".into(),
            ));
        }
        refuse_tls(&self.endpoint)?;
        match self.direction {
            Direction::Down if !stream => Err(Error::Plan(
                "nothing sends numbered datagrams down alone: run `sockeye bench throughput --serve` \
                 here and send from there, or use --direction both with `echo`"
                    .into(),
            )),
            Direction::Down if self.rate.is_some() => Err(Error::Plan(
                "--rate bounds what we send, and downwards that is nothing: leave it out".into(),
            )),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B4: what makes no sense is refused by name.
    #[test]
    fn nonsense() {
        let plan = |word: &str, way| ThroughputPlan::new(word.parse().unwrap(), way);
        let up = Direction::Up;
        let cases = [
            (ThroughputPlan { streams: 0, ..plan("9", up) }, "--streams"),
            (ThroughputPlan { size: 10, ..plan("udp://h:9", up) }, "--size is from 32"),
            (ThroughputPlan { rate: Some(0), ..plan("9", up) }, "--rate"),
            (ThroughputPlan { rate: Some(5), ..plan("9", Direction::Down) }, "leave it out"),
            (ThroughputPlan { duration: Duration::ZERO, ..plan("9", up) }, "--duration"),
            (plan("udp://h:9", Direction::Down), "--serve"),
            (plan("tls://h:9", up), "tls://"),
        ];
        for (plan, what) in cases {
            let error = plan.check().unwrap_err().to_string();
            assert!(error.contains(what) && !error.contains('\n'), "{error}");
        }
        plan("9", up).check().unwrap();
        plan("udp://h:9", Direction::Both).check().unwrap();
    }
}
