//! `load churn`: connect, one message, its answer, close, again, many at a time.
//!
//! We close first, with an ordinary FIN, as real clients do. The ports this leaves in TIME_WAIT
//! are on 64 loopback addresses, so they do not run out.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::{self, AddressFamily, RecvFlags, SendFlags, Shutdown, SocketFlags, SocketType};
use sockeye_bench_reference::Outcome;

use crate::args::Plan;
use crate::count::Count;
use crate::message;
use crate::poll::{EventFlags, Poll};
use crate::sys;

/// A connection without its answer after this long is an error.
const STUCK: Duration = Duration::from_secs(5);
/// How often stuck connections are looked for.
const SWEEP: Duration = Duration::from_millis(500);

/// One connection at a time, again and again.
struct Slot {
    fd: OwnedFd,
    opened: Instant,
    sent: bool,
    received: usize,
}

struct Churn<'a> {
    plan: &'a Plan,
    poll: Poll,
    message: Vec<u8>,
    expected: Vec<u8>,
    /// One byte more than an answer, to notice one that is too long.
    buffer: Vec<u8>,
    /// Connections opened so far; chooses the source address.
    opened: usize,
    /// When this batch of events came: close enough for [`STUCK`], and cheaper than a clock.
    now: Instant,
}

/// How far a connection is.
enum Step {
    Waiting,
    Done,
}

pub fn run(plan: &Plan) -> Outcome {
    let mut churn = Churn::new(plan)?;
    let mut slots = Vec::with_capacity(plan.connections);
    let mut count = Count::start(plan);
    let mut swept = Instant::now();
    for index in 0..plan.connections {
        slots.push(churn.open(index)?);
    }
    while !count.over() {
        churn.poll.wait()?;
        churn.now = Instant::now();
        for index in churn.poll.ready() {
            match churn.progress(index, &mut slots[index]) {
                Ok(Step::Waiting) => continue,
                Ok(Step::Done) => count.requests += 1,
                Err(cause) => count.error(index, &cause),
            }
            slots[index] = churn.open(index)?;
        }
        if churn.now - swept > SWEEP {
            swept = churn.now;
            for (index, slot) in slots.iter_mut().enumerate() {
                if swept - slot.opened > STUCK {
                    count.error(index, "no answer");
                    *slot = churn.open(index)?;
                }
            }
        }
    }
    count.report();
    Ok(())
}

/// A TCP socket, bound to the source address that the plan has for `index`.
pub fn socket(plan: &Plan, index: usize, flags: SocketFlags) -> std::io::Result<OwnedFd> {
    let fd = net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?;
    if let Some(source) = plan.source(index) {
        sys::bind_address_no_port(&fd)?;
        net::bind(&fd, &source)?;
    }
    Ok(fd)
}

impl<'a> Churn<'a> {
    fn new(plan: &'a Plan) -> rustix::io::Result<Self> {
        let message = message(plan.size);
        let expected = if plan.echo { message.clone() } else { message.to_ascii_uppercase() };
        Ok(Self {
            plan,
            poll: Poll::new()?,
            message,
            expected,
            buffer: vec![0; plan.size + 1],
            opened: 0,
            now: Instant::now(),
        })
    }

    /// Connects, and sends at once: on loopback the handshake is mostly over when connect returns.
    fn open(&mut self, index: usize) -> Result<Slot, Box<dyn std::error::Error>> {
        self.opened += 1;
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let fd = socket(self.plan, self.opened, flags)?;
        match net::connect(&fd, &SocketAddr::V4(self.plan.server)) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(cause) => return Err(format!("connect {}: {cause}", self.plan.server).into()),
        }
        let mut slot = Slot { fd, opened: self.now, sent: false, received: 0 };
        // A refusal is seen here or by the poll; there it is counted.
        let _ = self.send(&mut slot);
        let flags = if slot.sent { EventFlags::IN } else { EventFlags::OUT };
        self.poll.add(&slot.fd, index, flags)?;
        Ok(slot)
    }

    fn send(&self, slot: &mut Slot) -> Result<(), String> {
        match net::send(&slot.fd, &self.message, SendFlags::NOSIGNAL) {
            Ok(sent) if sent == self.message.len() => slot.sent = true,
            Ok(sent) => return Err(format!("only {sent} bytes were taken")),
            Err(Errno::AGAIN) => return Ok(()),
            Err(cause) => return Err(cause.to_string()),
        }
        if self.plan.half_close {
            net::shutdown(&slot.fd, Shutdown::Write).map_err(|cause| cause.to_string())?;
        }
        Ok(())
    }

    fn progress(&mut self, index: usize, slot: &mut Slot) -> Result<Step, String> {
        if !slot.sent {
            self.send(slot)?;
            if slot.sent {
                (self.poll.modify(&slot.fd, index, EventFlags::IN))
                    .map_err(|cause| cause.to_string())?;
            }
            return Ok(Step::Waiting);
        }
        let room = &mut self.buffer[slot.received..];
        let got = match net::recv(&slot.fd, room, RecvFlags::empty()) {
            Ok((got, _)) => got,
            Err(Errno::AGAIN) => return Ok(Step::Waiting),
            Err(cause) => return Err(cause.to_string()),
        };
        slot.received += got;
        let whole = slot.received == self.expected.len();
        if slot.received > self.expected.len() || (got == 0 && !whole) {
            return Err(format!("{} bytes for {}", slot.received, self.expected.len()));
        }
        // The buffer is shared, so only an answer that came in one piece can be compared.
        if got == self.expected.len() && self.buffer[..got] != self.expected {
            return Err("the answer is not the message in upper case".into());
        }
        let over = if self.plan.half_close { got == 0 } else { whole };
        Ok(if over { Step::Done } else { Step::Waiting })
    }
}
