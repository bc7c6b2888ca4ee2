//! A thin cover over epoll(7): connections are known by their place and their generation.

use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, epoll, poll};
use rustix::io::{Errno, Result};

use sockeye_limits as limits;

pub(crate) use rustix::event::epoll::EventFlags;

/// What a descriptor is known by: the place of its connection, and which of the connections that had
/// that place it is. An event may be older than the connection that is there now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) place: u32,
    pub(crate) generation: u32,
}

/// An epoll instance and the events that it gave last.
pub(crate) struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    ready: usize,
}

impl Poll {
    pub(crate) fn new() -> Result<Poll> {
        let blank = epoll::Event { flags: EventFlags::empty(), data: epoll::EventData::new_u64(0) };
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        Ok(Poll { epoll, events: vec![blank; limits::LOAD_EVENTS], ready: 0 })
    }

    pub(crate) fn add(&self, fd: impl AsFd, token: Token, flags: EventFlags) -> Result<()> {
        epoll::add(&self.epoll, fd, token.data(), flags)
    }

    pub(crate) fn modify(&self, fd: impl AsFd, token: Token, flags: EventFlags) -> Result<()> {
        epoll::modify(&self.epoll, fd, token.data(), flags)
    }

    /// Waits at most so long; gives how many events came.
    pub(crate) fn wait(&mut self, most: Duration) -> Result<usize> {
        let mut most =
            Timespec { tv_sec: most.as_secs() as i64, tv_nsec: most.subsec_nanos().into() };
        // epoll_wait(2) knows whole milliseconds: up to one of them would be added to each latency at a
        // fixed rate. ppoll(2) knows nanoseconds, and an epoll instance can be waited for as well.
        if most.tv_nsec % 1_000_000 != 0 {
            match poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], Some(&most)) {
                Err(Errno::INTR) => {}
                other => drop(other?),
            }
            most = Timespec { tv_sec: 0, tv_nsec: 0 };
        }
        self.ready = match epoll::wait(&self.epoll, &mut self.events[..], Some(&most)) {
            Err(Errno::INTR) => 0,
            other => other?,
        };
        Ok(self.ready)
    }

    /// Event `number` of those that came.
    pub(crate) fn event(&self, number: usize) -> (Token, EventFlags) {
        let event = self.events[number];
        (Token::of(event.data), event.flags)
    }
}

impl Token {
    fn data(self) -> epoll::EventData {
        epoll::EventData::new_u64(u64::from(self.generation) << 32 | u64::from(self.place))
    }

    fn of(data: epoll::EventData) -> Token {
        let both = data.u64();
        Token { place: both as u32, generation: (both >> 32) as u32 }
    }
}
