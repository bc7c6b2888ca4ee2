//! The floor: a bare single-threaded epoll loop that answers TCP in ASCII upper case.
//!
//! One shared read buffer, no timers, no limits, no log. An answer that the socket does not take at
//! once is kept with its connection until it can be written. Edge-triggered, which was measured to
//! be the faster way for lasting connections; `--level` after the address makes it level-triggered,
//! which was measured to be the faster way for short ones.

use std::net::SocketAddr;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, sockopt};
use sockeye_bench_reference::{Outcome, address_argument, announce, raise_file_limit};

/// Bytes read in one call at most; more than any benchmark has in flight on one connection.
const BUFFER: usize = 64 * 1024;
/// Events taken from the kernel in one call.
const BATCH: usize = 512;
const BACKLOG: i32 = 4096;
const LEVEL: EventFlags = EventFlags::IN;
/// With RDHUP, so that an end which comes together with the last bytes is not missed.
const EDGE: EventFlags = EventFlags::IN.union(EventFlags::RDHUP).union(EventFlags::ET);

struct Connection {
    fd: OwnedFd,
    /// The part of an answer that the socket has not taken yet; nearly always empty.
    pending: Vec<u8>,
}

struct Server {
    epoll: OwnedFd,
    listener: OwnedFd,
    /// What is watched on a connection without a pending answer.
    reading: EventFlags,
    /// Indexed by descriptor number, which the kernel keeps small.
    connections: Vec<Option<Connection>>,
    buffer: Box<[u8]>,
}

/// Whether a connection lives on.
#[derive(PartialEq)]
enum Fate {
    Keep,
    Close,
}

fn main() -> Outcome {
    let address = address_argument()?;
    raise_file_limit()?;
    let level = std::env::args().any(|word| word == "--level");
    let mut server = Server::listen(address, if level { LEVEL } else { EDGE })?;
    announce(SocketAddr::try_from(net::getsockname(&server.listener)?)?)?;
    server.run()?;
    Ok(())
}

impl Server {
    fn listen(address: SocketAddr, reading: EventFlags) -> rustix::io::Result<Self> {
        let family = AddressFamily::from_raw(if address.is_ipv4() { 2 } else { 10 });
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let listener = net::socket_with(family, SocketType::STREAM, flags, None)?;
        sockopt::set_socket_reuseaddr(&listener, true)?;
        // Accepted sockets inherit it, so it costs nothing a connection.
        sockopt::set_tcp_nodelay(&listener, true)?;
        net::bind(&listener, &address)?;
        net::listen(&listener, BACKLOG)?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &listener, key(&listener), EventFlags::IN)?;
        Ok(Self {
            epoll,
            listener,
            reading,
            connections: Vec::new(),
            buffer: vec![0; BUFFER].into(),
        })
    }

    fn run(&mut self) -> rustix::io::Result<()> {
        let blank = Event { flags: EventFlags::empty(), data: EventData::new_u64(0) };
        let mut events = [blank; BATCH];
        let listener = key(&self.listener).u64();
        loop {
            let count = match epoll::wait(&self.epoll, &mut events[..], None) {
                Ok(count) => count,
                Err(Errno::INTR) => continue,
                Err(cause) => return Err(cause),
            };
            for event in &events[..count] {
                let (flags, slot) = (event.flags, event.data.u64());
                if slot == listener {
                    self.accept()?;
                } else {
                    self.serve(slot as usize, flags);
                }
            }
        }
    }

    fn accept(&mut self) -> rustix::io::Result<()> {
        loop {
            let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
            let fd = match net::accept_with(&self.listener, flags) {
                Ok(fd) => fd,
                Err(Errno::AGAIN) => return Ok(()),
                Err(Errno::CONNABORTED | Errno::INTR) => continue,
                Err(cause) => return Err(cause),
            };
            let slot = fd.as_raw_fd() as usize;
            epoll::add(&self.epoll, &fd, key(&fd), self.reading)?;
            if self.connections.len() <= slot {
                self.connections.resize_with(slot + 1, || None);
            }
            self.connections[slot] = Some(Connection { fd, pending: Vec::new() });
        }
    }

    fn serve(&mut self, slot: usize, flags: EventFlags) {
        let Some(Some(connection)) = self.connections.get_mut(slot) else {
            return;
        };
        let fate = connection.progress(&self.epoll, self.reading, &mut self.buffer, flags);
        if fate.is_ok_and(|fate| fate == Fate::Keep) {
            return;
        }
        self.connections[slot] = None;
    }
}

impl Connection {
    /// Flushes what is owed, then reads and answers until the socket has no more to give.
    fn progress(
        &mut self,
        epoll: &OwnedFd,
        reading: EventFlags,
        buffer: &mut [u8],
        flags: EventFlags,
    ) -> rustix::io::Result<Fate> {
        if !self.pending.is_empty() {
            let sent = send(&self.fd, &self.pending)?;
            self.pending.drain(..sent);
            if !self.pending.is_empty() {
                return Ok(Fate::Keep);
            }
            epoll::modify(epoll, &self.fd, key(&self.fd), reading)?;
        }
        loop {
            let got = match net::recv(&self.fd, &mut *buffer, RecvFlags::empty()) {
                Ok((0, _)) => return Ok(Fate::Close),
                Ok((got, _)) => got,
                Err(Errno::AGAIN) => return Ok(Fate::Keep),
                Err(cause) => return Err(cause),
            };
            let answer = &mut buffer[..got];
            answer.make_ascii_uppercase();
            let sent = send(&self.fd, answer)?;
            if sent < got {
                self.pending.extend_from_slice(&answer[sent..]);
                epoll::modify(epoll, &self.fd, key(&self.fd), EventFlags::OUT)?;
                return Ok(Fate::Keep);
            }
            // A short read emptied the socket; an end that came with it shows as RDHUP.
            if got < buffer.len() && !flags.contains(EventFlags::RDHUP) {
                return Ok(Fate::Keep);
            }
        }
    }
}

/// Bytes that the socket took; 0 when it is full.
fn send(fd: &OwnedFd, bytes: &[u8]) -> rustix::io::Result<usize> {
    match net::send(fd, bytes, SendFlags::NOSIGNAL) {
        Err(Errno::AGAIN) => Ok(0),
        other => other,
    }
}

fn key(fd: &OwnedFd) -> EventData {
    EventData::new_u64(fd.as_raw_fd() as u64)
}
