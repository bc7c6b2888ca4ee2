//! For tests: a client and a server against each other, in memory and in virtual time.
//!
//! A [`Pair`] carries what one end says to the other in slices that a seed decides, and can cut,
//! flip and repeat bytes on the way. What was heard is kept, with neighbouring pieces of data joined.

use std::time::Duration;

use crate::files::Transfer;
use crate::{
    Client, Ended, Failure, Hello, ProtocolError, Run, Server, Signal, ToClient, ToServer,
    WindowSize,
};

/// A message that was heard, by either side.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Heard {
    Hello(Hello),
    Run(Box<Run>),
    Stdin(Vec<u8>),
    StdinEnd,
    Signal(Signal),
    Resize(WindowSize),
    Started(u32),
    Stdout(Vec<u8>),
    Stderr(Vec<u8>),
    StdinClosed,
    Ended(Ended),
    Failed(Failure),
    Transfer(Box<Transfer>),
    Ready,
}

impl From<ToServer<'_>> for Heard {
    fn from(message: ToServer<'_>) -> Heard {
        match message {
            ToServer::Hello(hello) => Heard::Hello(hello),
            ToServer::Run(run) => Heard::Run(run),
            ToServer::Stdin(bytes) => Heard::Stdin(bytes.to_vec()),
            ToServer::StdinEnd => Heard::StdinEnd,
            ToServer::Signal(signal) => Heard::Signal(signal),
            ToServer::Resize(size) => Heard::Resize(size),
            ToServer::Transfer(transfer) => Heard::Transfer(transfer),
        }
    }
}

impl From<ToClient<'_>> for Heard {
    fn from(message: ToClient<'_>) -> Heard {
        match message {
            ToClient::Hello(hello) => Heard::Hello(hello),
            ToClient::Started { pid } => Heard::Started(pid),
            ToClient::Stdout(bytes) => Heard::Stdout(bytes.to_vec()),
            ToClient::Stderr(bytes) => Heard::Stderr(bytes.to_vec()),
            ToClient::StdinClosed => Heard::StdinClosed,
            ToClient::Ended(ended) => Heard::Ended(ended),
            ToClient::Failed(failure) => Heard::Failed(failure),
            ToClient::Ready => Heard::Ready,
        }
    }
}

/// Adds a message; data joins what came just before it.
pub fn keep(log: &mut Vec<Heard>, message: Heard) {
    match (log.last_mut(), message) {
        (Some(Heard::Stdin(all)), Heard::Stdin(more))
        | (Some(Heard::Stdout(all)), Heard::Stdout(more))
        | (Some(Heard::Stderr(all)), Heard::Stderr(more)) => all.extend_from_slice(&more),
        (_, message) => log.push(message),
    }
}

/// What happens to the bytes of one direction, by their place in the stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tamper {
    /// Nothing from this place on arrives.
    Cut(usize),
    /// These bits of this byte are turned.
    Flip(usize, u8),
    /// So many bytes up to this place come twice.
    Repeat(usize, usize),
}

/// One direction of a connection.
#[derive(Debug, Default)]
pub struct Link {
    /// All that was put in, as it arrives.
    stream: Vec<u8>,
    delivered: usize,
    /// What is to happen to it.
    pub tamper: Option<Tamper>,
}

impl Link {
    /// Puts bytes in.
    pub fn put(&mut self, bytes: &[u8]) {
        let before = self.stream.len();
        self.stream.extend_from_slice(bytes);
        let reached = |place: usize| (before..self.stream.len()).contains(&place);
        match self.tamper {
            Some(Tamper::Cut(place)) => self.stream.truncate(place),
            Some(Tamper::Flip(place, bits)) if reached(place) => self.stream[place] ^= bits,
            Some(Tamper::Repeat(place, count)) if reached(place) => {
                let again = self.stream[place.saturating_sub(count)..place].to_vec();
                self.stream.splice(place..place, again);
                self.tamper = None;
            }
            _ => {}
        }
    }

    /// All bytes that were put in, as they arrive.
    pub fn stream(&self) -> &[u8] {
        &self.stream
    }

    /// How many bytes are on their way.
    pub fn waiting(&self) -> usize {
        self.stream.len() - self.delivered
    }

    /// The next bytes, at most so many as there is space for; returns how many.
    fn take(&mut self, space: &mut [u8], most: usize) -> usize {
        let count = most.min(space.len()).min(self.waiting());
        space[..count].copy_from_slice(&self.stream[self.delivered..self.delivered + count]);
        self.delivered += count;
        count
    }
}

/// A client and a server, and the bytes between them.
#[derive(Debug)]
pub struct Pair {
    /// One end.
    pub client: Client,
    /// The other.
    pub server: Server,
    /// The time.
    pub now: Duration,
    /// From the client to the server.
    pub upward: Link,
    /// From the server to the client.
    pub downward: Link,
    /// What the server heard.
    pub server_heard: Vec<Heard>,
    /// What the client heard.
    pub client_heard: Vec<Heard>,
    /// Where slices are cut.
    pub dice: Dice,
}

impl Pair {
    /// Two ends that have said nothing.
    pub fn new(seed: u64) -> Pair {
        let now = Duration::from_secs(1_000);
        Pair {
            client: Client::new(now),
            server: Server::new(now),
            now,
            upward: Link::default(),
            downward: Link::default(),
            server_heard: Vec::new(),
            client_heard: Vec::new(),
            dice: Dice::new(seed),
        }
    }

    /// Carries at most so many bytes to the server, which hears what they make whole.
    ///
    /// # Errors
    ///
    /// What the client did wrong.
    pub fn to_server(&mut self, most: usize) -> Result<usize, ProtocolError> {
        let count = self.upward.take(self.server.space(), most);
        self.server.filled(count);
        while let Some(message) = self.server.next(self.now)? {
            keep(&mut self.server_heard, message.into());
        }
        Ok(count)
    }

    /// Carries at most so many bytes to the client, which hears what they make whole.
    ///
    /// # Errors
    ///
    /// What the server did wrong.
    pub fn to_client(&mut self, most: usize) -> Result<usize, ProtocolError> {
        let count = self.downward.take(self.client.space(), most);
        self.client.filled(count);
        while let Some(message) = self.client.next(self.now)? {
            keep(&mut self.client_heard, message.into());
        }
        Ok(count)
    }

    /// Carries everything, in slices.
    ///
    /// # Errors
    ///
    /// What either side did wrong.
    pub fn settle(&mut self) -> Result<(), ProtocolError> {
        while self.upward.waiting() > 0 {
            let slice = self.dice.slice();
            self.to_server(slice)?;
        }
        while self.downward.waiting() > 0 {
            let slice = self.dice.slice();
            self.to_client(slice)?;
        }
        Ok(())
    }
}

/// Numbers that a seed decides (xorshift64*, Vigna 2016).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    /// Dice of this seed.
    pub fn new(seed: u64) -> Dice {
        Dice(seed ^ 0x9e37_79b9_7f4a_7c15)
    }

    /// A number below `below`, which is not 0.
    pub fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.max(1);
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(high).unwrap_or(0) % below.max(1)
    }

    /// The length of a slice: often one byte, sometimes a lot.
    pub fn slice(&mut self) -> usize {
        match self.below(4) {
            0 => 1,
            1 => 1 + self.below(8),
            2 => 1 + self.below(300),
            _ => 1 + self.below(200_000),
        }
    }
}
