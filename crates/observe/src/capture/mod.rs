//! Captures packets: a socket that sees those of others, on a thread of its own.

mod filter;
mod stamps;

use std::io::{self, PipeWriter};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use sockeye_limits as limits;
use sockeye_net::sys::packet::{PacketSocket, Received};

use crate::packet::Link;

pub use filter::{Protocol, Watch};
pub use stamps::{Stamps, stamps};

/// Why packets cannot be captured.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CaptureError {
    /// No right to see packets here: CAP_NET_RAW is missing.
    #[error(
        "only root may see packets here (CAP_NET_RAW, capabilities(7)). Run it with sudo, or leave \
         the server out to trace one of our own in a private network"
    )]
    Forbidden,
    /// The kernel was built without packet sockets.
    #[error("this kernel has no packet sockets. Load the module with `modprobe af_packet`")]
    Missing,
    /// Something else failed.
    #[error("cannot capture packets ({step}): {source}. Free memory or descriptors and try again")]
    Failed {
        /// What was being done.
        step: &'static str,
        /// The system's error.
        source: io::Error,
    },
}

fn failed(step: &'static str) -> impl Fn(io::Error) -> CaptureError {
    move |source| match source.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::PERM | Errno::ACCESS) => CaptureError::Forbidden,
        Some(Errno::AFNOSUPPORT) => CaptureError::Missing,
        _ => CaptureError::Failed { step, source },
    }
}

/// Whether packets may be captured here.
///
/// # Errors
/// Why not.
pub fn allowed() -> Result<(), CaptureError> {
    let nothing = Watch::Port(Protocol::Tcp, 0).program();
    PacketSocket::open(&nothing).map(drop).map_err(failed("open a packet socket"))
}

/// A packet that was captured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Captured {
    /// When the kernel saw it, since 1970. Never less than of the one before.
    pub at: Duration,
    /// The number of its interface.
    pub interface: u32,
    /// What its bytes begin with.
    pub link: Link,
    /// Whether it left this machine.
    pub outgoing: bool,
    /// Its beginning, at most [`limits::CAPTURE_PACKET`] bytes.
    pub bytes: Vec<u8>,
    /// How long it was, in bytes.
    pub length: usize,
}

/// A running capture. It ends when it is dropped.
#[derive(Debug)]
pub struct Capture {
    socket: Arc<PacketSocket>,
    stop: Option<PipeWriter>,
    thread: Option<JoinHandle<()>>,
}

impl Capture {
    /// Begins to capture what `watch` says, on all interfaces, and gives each packet to `sink` on a
    /// thread of its own, until that returns false.
    ///
    /// # Errors
    /// [`CaptureError::Forbidden`] where the rights are missing, and whatever sockets and threads can
    /// fail with.
    pub fn start(
        watch: Watch,
        sink: impl FnMut(Captured) -> bool + Send + 'static,
    ) -> Result<Capture, CaptureError> {
        let socket =
            PacketSocket::open(&watch.program()).map_err(failed("open a packet socket"))?;
        let socket = Arc::new(socket);
        let (stopped, stop) = io::pipe().map_err(failed("make a pipe"))?;
        socket.listen(None).map_err(failed("bind the packet socket"))?;
        stamps::settle();
        let seen = Arc::clone(&socket);
        let work = move || run(&seen, &stopped, sink);
        let thread = Builder::new().name("capture".into()).spawn(work);
        let thread = thread.map_err(failed("start a thread"))?;
        Ok(Capture { socket, stop: Some(stop), thread: Some(thread) })
    }

    /// Watches something else from now on. What has come already is still given.
    ///
    /// # Errors
    /// As setsockopt(2).
    pub fn narrow(&self, watch: Watch) -> Result<(), CaptureError> {
        self.socket.set_filter(&watch.program()).map_err(failed("set the filter"))
    }

    /// How many packets were lost since the last call, because they came quicker than they were
    /// taken.
    pub fn take_missed(&self) -> u64 {
        // A count that cannot be had is not worth ending for.
        self.socket.take_drops().unwrap_or(0).into()
    }

    /// Gives `sink` what has come and ends. Returns how many packets were lost since
    /// [`Capture::take_missed`].
    pub fn finish(mut self) -> u64 {
        self.end();
        self.take_missed()
    }

    fn end(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A sink that panicked has said so.
            let _ = thread.join();
        }
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        self.end();
    }
}

/// Takes packets until the other end of the pipe is closed and nothing is left, or nobody wants more.
fn run(socket: &PacketSocket, stopped: &impl AsFd, mut sink: impl FnMut(Captured) -> bool) {
    let mut buffer = vec![0; limits::CAPTURE_PACKET as usize];
    let mut last = Duration::ZERO;
    loop {
        let mut wait =
            [PollFd::new(socket, PollFlags::IN), PollFd::new(stopped, PollFlags::empty())];
        match poll(&mut wait, None) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(_) => return,
        }
        let ends = !wait[1].revents().is_empty();
        loop {
            match socket.receive(&mut buffer) {
                Ok(received) => {
                    let Some(captured) = captured(&received, &buffer, &mut last) else { continue };
                    if !sink(captured) {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                // An interface went down: told once, then the socket goes on with the others.
                Err(error) if error.raw_os_error() == Some(Errno::NETDOWN.raw_os_error()) => {}
                Err(_) => return,
            }
        }
        if ends {
            return;
        }
    }
}

/// `None` for a link whose beginning we cannot read.
fn captured(received: &Received, buffer: &[u8], last: &mut Duration) -> Option<Captured> {
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    // The kernel's stamps of two processors may differ by a little; order is what is told.
    *last = received.at.unwrap_or_else(now).max(*last);
    Some(Captured {
        at: *last,
        interface: received.interface,
        link: link_of(received.hardware)?,
        outgoing: received.outgoing,
        bytes: buffer[..received.kept.min(buffer.len())].to_vec(),
        length: received.length,
    })
}

/// What a link of this kind begins with: ARPHRD numbers of linux/if_arp.h.
fn link_of(hardware: u16) -> Option<Link> {
    match hardware {
        // Ethernet, which Wi-Fi looks like, and loopback.
        1 | 772 => Some(Link::Ethernet),
        // Tunnels and PPP.
        512 | 519 | 768 | 769 | 776 | 778 | 823 | 65534 => Some(Link::Ip),
        _ => None,
    }
}
