//! One stream of bulk data: as much as it takes, or as much as its rate allows, one way or both.

use std::io;
use std::sync::atomic::Ordering;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use sockeye_limits as limits;
use sockeye_net::{Operation, Pages, Stream};

use super::lane::{Allowance, Lane, Moved};
use crate::error::{ErrorKind, Failure};

/// Moves bytes until the run is over.
pub(super) fn run(lane: &Lane<'_>, stream: &Stream) -> Moved {
    let mut moved = Moved::new(lane.window);
    if let Err(failure) = go(lane, stream, &mut moved) {
        moved.failure = Some(failure);
    }
    moved.ended = lane.clock.now();
    moved
}

fn go(lane: &Lane<'_>, stream: &Stream, moved: &mut Moved) -> Result<(), Failure> {
    let size = lane.plan.size;
    let (out, mut buffer) = (Pages::new(size), Pages::new(size.max(limits::STREAM_BUFFER)));
    let allowance = Allowance::new(lane.plan, 1);
    let (mut sent, mut came) = (0_u64, 0_u64);
    // Going up, what the server says is looked at only to see that it is none that answers.
    let mut silent = !lane.down;
    loop {
        let now = lane.clock.now();
        if now >= lane.window.end || lane.stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        let room = allowance.map_or(u64::MAX, |allowance| allowance.at(now).saturating_sub(sent));
        let piece = usize::try_from(room).unwrap_or(usize::MAX).min(size);
        let mut idle = true;
        if lane.up && piece > 0 {
            let n =
                some(stream.send(&out[..piece])).map_err(|e| lane.failed(Operation::Send, e))?;
            sent += n;
            moved.up(lane, now, n);
            idle &= n == 0;
        }
        if lane.down {
            let n = match stream.recv(&mut buffer) {
                Ok(0) => return Err(ended()),
                other => some(other).map_err(|e| lane.failed(Operation::Receive, e))?,
            };
            came += n;
            moved.down(lane, lane.clock.now(), n);
            idle &= n == 0;
            if lane.up && came > sent {
                return Err(too_much());
            }
        }
        if idle {
            if silent {
                match stream.recv(&mut buffer) {
                    Ok(0) => silent = false,
                    other => came += some(other).map_err(|e| lane.failed(Operation::Receive, e))?,
                }
                if came > limits::LOAD_GREETING {
                    return Err(answers());
                }
            }
            let until = allowance.filter(|_| piece == 0).map(|allowance| allowance.when(sent + 1));
            wait(
                lane,
                stream,
                piece > 0,
                lane.down || silent,
                until.map(|until| until.saturating_sub(now)),
            )?;
        }
    }
}

/// Waits until something can move, at most a tick.
fn wait(
    lane: &Lane<'_>,
    stream: &Stream,
    may_send: bool,
    may_read: bool,
    most: Option<u64>,
) -> Result<(), Failure> {
    let mut flags = PollFlags::empty();
    flags.set(PollFlags::OUT, lane.up && may_send);
    flags.set(PollFlags::IN, may_read);
    let tick = limits::LOAD_TICK.as_nanos() as u64;
    let time = Timespec { tv_sec: 0, tv_nsec: most.unwrap_or(tick).min(tick) as _ };
    match poll(&mut [PollFd::new(stream, flags)], Some(&time)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(errno) => Err(lane.failed(Operation::Receive, errno.into())),
    }
}

/// Bytes that moved; none where the socket is not ready.
fn some(done: io::Result<usize>) -> io::Result<u64> {
    match done {
        Ok(n) => Ok(n as u64),
        Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
        Err(error) => Err(error),
    }
}

fn ended() -> Failure {
    Failure::said(
        ErrorKind::Closed,
        "the server ended the stream. Downwards serve `chargen` there, both ways `echo`.",
    )
}

fn answers() -> Failure {
    Failure::said(
        ErrorKind::TooMuch,
        "the server answers, and reads no further while its answers wait. Upwards needs one that only \
         reads, `discard`; or use --direction both with `echo`.",
    )
}

fn too_much() -> Failure {
    Failure::said(
        ErrorKind::TooMuch,
        "more came back than was sent. Both ways need a server that answers unchanged, `echo`.",
    )
}
