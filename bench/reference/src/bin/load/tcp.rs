//! `load tcp`: lasting connections, each with a fixed number of messages in flight.

use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{self, RecvFlags, SendFlags, SocketFlags, sockopt};
use sockeye_bench_reference::Outcome;

use crate::args::Plan;
use crate::count::Count;
use crate::poll::{EventFlags, Poll};
use crate::{churn, message};

struct Connection {
    fd: OwnedFd,
    /// Bytes owed to the server that its socket has not taken yet.
    unsent: usize,
    /// Where in a message the next byte to send lies.
    position: usize,
    /// Bytes sent and not yet answered.
    in_flight: usize,
    /// Bytes of the message that is being answered.
    partial: usize,
    /// Bytes of the first answer that were compared.
    compared: usize,
    /// Whether epoll tells us when the socket takes more.
    waiting: bool,
}

/// What all connections share.
struct Shared {
    size: usize,
    /// Messages end to end: any run of bytes that can be owed is one slice of it.
    outgoing: Vec<u8>,
    /// The right answer to one message.
    expected: Vec<u8>,
    /// One more byte than can be in flight, so that a read always empties the socket.
    buffer: Vec<u8>,
}

pub fn run(plan: &Plan) -> Outcome {
    let mut shared = Shared::new(plan);
    let mut poll = Poll::new()?;
    let mut connections = Vec::with_capacity(plan.connections);
    for index in 0..plan.connections {
        let fd = connect(plan, index)?;
        poll.add(&fd, index, reading())?;
        connections.push(Some(Connection::new(fd, plan)));
    }
    let mut count = Count::start(plan);
    for (index, connection) in connections.iter_mut().enumerate() {
        let connection = connection.as_mut().expect("all were just opened");
        connection.send(index, &poll, &shared)?;
    }
    while !count.over() && connections.iter().any(Option::is_some) {
        poll.wait()?;
        for index in poll.ready() {
            let Some(connection) = &mut connections[index] else {
                continue;
            };
            match connection.progress(index, &poll, &mut shared) {
                Ok(answered) => count.requests += answered,
                Err(cause) => {
                    count.error(index, &cause);
                    connections[index] = None;
                }
            }
        }
    }
    count.report();
    Ok(())
}

/// A connected socket that does not block.
pub fn connect(plan: &Plan, index: usize) -> Result<OwnedFd, Box<dyn std::error::Error>> {
    let fd = churn::socket(plan, index, SocketFlags::CLOEXEC)?;
    sockopt::set_tcp_nodelay(&fd, true)?;
    net::connect(&fd, &plan.server)?;
    rustix::io::ioctl_fionbio(&fd, true)?;
    Ok(fd)
}

impl Shared {
    fn new(plan: &Plan) -> Self {
        let one = message(plan.size);
        Self {
            size: plan.size,
            outgoing: one.repeat(plan.depth + 1),
            expected: one.to_ascii_uppercase(),
            buffer: vec![0; plan.size * plan.depth + 1],
        }
    }
}

impl Connection {
    fn new(fd: OwnedFd, plan: &Plan) -> Self {
        Self {
            fd,
            unsent: plan.size * plan.depth,
            position: 0,
            in_flight: 0,
            partial: 0,
            compared: 0,
            waiting: false,
        }
    }

    /// Takes answers, and sends a new message for each that is whole. Gives their number.
    fn progress(&mut self, index: usize, poll: &Poll, shared: &mut Shared) -> Result<u64, String> {
        let got = match net::recv(&self.fd, &mut shared.buffer[..], RecvFlags::empty()) {
            Ok((0, _)) => return Err("the server closed it".into()),
            Ok((got, _)) => got,
            Err(Errno::AGAIN) => 0,
            Err(cause) => return Err(cause.to_string()),
        };
        self.in_flight = (self.in_flight.checked_sub(got)).ok_or("more was answered than sent")?;
        self.compare(&shared.buffer[..got], &shared.expected)?;
        let bytes = self.partial + got;
        let answered = bytes / shared.size;
        self.partial = bytes % shared.size;
        self.unsent += answered * shared.size;
        if self.unsent > 0 {
            (self.send(index, poll, shared)).map_err(|cause| cause.to_string())?;
        }
        Ok(answered as u64)
    }

    /// Compares what came with the first answer, until that is whole.
    fn compare(&mut self, came: &[u8], expected: &[u8]) -> Result<(), String> {
        let rest = &expected[self.compared..];
        let length = rest.len().min(came.len());
        if came[..length] != rest[..length] {
            return Err("the answer is not the message in upper case".into());
        }
        self.compared += length;
        Ok(())
    }

    /// Sends all that is owed, in one call.
    fn send(&mut self, index: usize, poll: &Poll, shared: &Shared) -> rustix::io::Result<()> {
        let owed = &shared.outgoing[self.position..self.position + self.unsent];
        let sent = match net::send(&self.fd, owed, SendFlags::NOSIGNAL) {
            Err(Errno::AGAIN) => 0,
            other => other?,
        };
        self.unsent -= sent;
        self.in_flight += sent;
        self.position = (self.position + sent) % shared.size;
        let waiting = self.unsent > 0;
        if waiting || self.waiting {
            let more = if waiting { EventFlags::OUT } else { EventFlags::empty() };
            poll.modify(&self.fd, index, reading() | more)?;
            self.waiting = waiting;
        }
        Ok(())
    }
}

fn reading() -> EventFlags {
    EventFlags::IN | EventFlags::RDHUP | EventFlags::ET
}
