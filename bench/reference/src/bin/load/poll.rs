//! A thin cover over epoll: sockets are known by their index.

use std::os::fd::{AsFd, OwnedFd};

use rustix::event::{Timespec, epoll};
use rustix::io::{Errno, Result};

pub use rustix::event::epoll::EventFlags;

/// Events taken from the kernel in one call.
const BATCH: usize = 512;
/// The longest wait in milliseconds: how late the end of a stalled run is noticed.
const TICK: i64 = 10;

pub struct Poll {
    epoll: OwnedFd,
    events: Vec<epoll::Event>,
    ready: usize,
}

impl Poll {
    pub fn new() -> Result<Self> {
        let blank = epoll::Event { flags: EventFlags::empty(), data: epoll::EventData::new_u64(0) };
        Ok(Self {
            epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
            events: vec![blank; BATCH],
            ready: 0,
        })
    }

    pub fn add(&self, fd: impl AsFd, index: usize, flags: EventFlags) -> Result<()> {
        epoll::add(&self.epoll, fd, epoll::EventData::new_u64(index as u64), flags)
    }

    pub fn modify(&self, fd: impl AsFd, index: usize, flags: EventFlags) -> Result<()> {
        epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(index as u64), flags)
    }

    /// Waits at most a tick; then [`Poll::ready`] has what came.
    pub fn wait(&mut self) -> Result<()> {
        let tick = Timespec { tv_sec: 0, tv_nsec: TICK * 1_000_000 };
        self.ready = match epoll::wait(&self.epoll, &mut self.events[..], Some(&tick)) {
            Err(Errno::INTR) => 0,
            other => other?,
        };
        Ok(())
    }

    /// The indexes of the sockets on which something happened.
    pub fn ready(&self) -> impl Iterator<Item = usize> + use<> {
        let indexes: Vec<usize> =
            self.events[..self.ready].iter().map(|event| event.data.u64() as usize).collect();
        indexes.into_iter()
    }
}
