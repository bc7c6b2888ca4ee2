//! The command line, parsed once into a [`Plan`].

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::time::Duration;

const USAGE: &str = "usage:
  load tcp   ADDR [--connections N] [--size BYTES] [--depth D] [--duration SECS] [--warmup SECS]
  load churn ADDR [--connections N] [--size BYTES] [--duration SECS] [--warmup SECS]
                  [--half-close] [--echo]
  load udp   ADDR [--peers N] [--size BYTES] [--depth D] [--duration SECS] [--warmup SECS]
                  [--gso]
  load idle  ADDR [--connections N] [--size BYTES] [--touch]
ADDR is an IPv4 address and a port.";

#[derive(Clone, Copy, PartialEq)]
pub enum Mode {
    /// Lasting connections with messages in flight.
    Tcp,
    /// Connect, one message, close, again.
    Churn,
    /// Connected UDP sockets with datagrams in flight.
    Udp,
    /// Connections that do nothing, held until stdin closes.
    Idle,
}

/// What one run does.
pub struct Plan {
    pub mode: Mode,
    pub server: SocketAddrV4,
    /// Concurrent connections, or UDP peers.
    pub connections: usize,
    /// Bytes in a message.
    pub size: usize,
    /// Messages that each connection keeps in flight.
    pub depth: usize,
    /// How long is counted.
    pub duration: Duration,
    /// How long the same load runs before it is counted.
    pub warmup: Duration,
    /// Churn: end our sending after the message, and wait for the server's end as well.
    pub half_close: bool,
    /// Churn: the server answers unchanged, not in upper case.
    pub echo: bool,
    /// UDP: datagrams of one peer that are due together go to the kernel in one piece.
    pub gso: bool,
    /// Idle: exchange one message on each connection first.
    pub touch: bool,
}

impl Plan {
    pub fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mode = match words.next().as_deref() {
            Some("tcp") => Mode::Tcp,
            Some("churn") => Mode::Churn,
            Some("udp") => Mode::Udp,
            Some("idle") => Mode::Idle,
            _ => return Err(USAGE.into()),
        };
        let server = number(words.next())?;
        let mut plan = Self {
            mode,
            server,
            connections: 50,
            size: 64,
            depth: 1,
            duration: Duration::from_secs(2),
            warmup: Duration::from_millis(200),
            half_close: false,
            echo: false,
            gso: false,
            touch: false,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--connections" | "--peers" => plan.connections = number(words.next())?,
                "--size" => plan.size = number(words.next())?,
                "--depth" => plan.depth = number(words.next())?,
                "--duration" => plan.duration = seconds(words.next())?,
                "--warmup" => plan.warmup = seconds(words.next())?,
                "--half-close" => plan.half_close = true,
                "--echo" => plan.echo = true,
                "--gso" => plan.gso = true,
                "--touch" => plan.touch = true,
                _ => return Err(format!("{word}: unknown option\n{USAGE}")),
            }
        }
        plan.check()
    }

    fn check(self) -> Result<Self, String> {
        let ranges = [
            ("connections", self.connections, 20_000),
            ("size", self.size, 1 << 20),
            ("depth", self.depth, 1024),
        ];
        for (name, value, most) in ranges {
            if value == 0 || value > most {
                return Err(format!("--{name} is from 1 to {most}, not {value}"));
            }
        }
        if self.mode == Mode::Udp && self.size > 1472 {
            return Err("--size of a datagram is 1472 at most".into());
        }
        if self.gso && (self.depth > 64 || self.depth * self.size > 65_000) {
            return Err("--gso takes 64 datagrams and 65000 bytes at most".into());
        }
        Ok(self)
    }

    /// The source address of connection `index`: several loopback addresses, when the server is on
    /// loopback, so that ports waiting in TIME_WAIT do not run out.
    pub fn source(&self, index: usize) -> Option<SocketAddr> {
        const SOURCES: usize = 64;
        let last = 1 + (index % SOURCES) as u8;
        let loopback = self.server.ip().is_loopback();
        loopback.then(|| (Ipv4Addr::new(127, 0, 0, last), 0).into())
    }
}

fn number<T: std::str::FromStr>(word: Option<String>) -> Result<T, String> {
    let word = word.ok_or(USAGE)?;
    word.parse().map_err(|_| format!("{word}: not understood\n{USAGE}"))
}

fn seconds(word: Option<String>) -> Result<Duration, String> {
    Duration::try_from_secs_f64(number(word)?).map_err(|cause| cause.to_string())
}
