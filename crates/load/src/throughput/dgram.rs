//! One datagram socket of bulk data: numbered datagrams at a rate, counted by who receives them.

use std::io;
use std::ops::Range;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use socket2::Socket;
use sockeye_limits as limits;
use sockeye_net::sys::batch::{Batch, Kind};
use sockeye_net::sys::outgoing::Outgoing;
use sockeye_net::sys::receive_drops;
use sockeye_net::{Operation, Transport};

use super::lane::{Allowance, Lane, Moved};
use super::packet::{Counts, Packet, QUESTION};
use super::receive::PATIENCE;
use crate::arrivals::Arrivals;
use crate::error::{ErrorKind, Failure};
use crate::report::Datagrams;

struct Flow<'a> {
    lane: &'a Lane<'a>,
    socket: &'a Socket,
    session: u64,
    sent: u64,
    outgoing: Outgoing,
    batch: Batch,
    /// Both ways: what came back here.
    arrivals: Arrivals,
    /// Up: what the receiver said last.
    counts: Counts,
    /// When that was, on the lane's clock.
    told_at: u64,
    moved: Moved,
}

/// Asks whether a receiver is there at all.
pub(super) fn knock(socket: &Socket, session: u64, transport: Transport) -> io::Result<bool> {
    let mut batch = Batch::new(1, kind(transport));
    let since = Instant::now();
    while since.elapsed() < PATIENCE {
        ask(socket, session)?;
        let again = limits::LOAD_ASK;
        if sockeye_net::sys::wait_readable(socket, Some(again))? && batch.receive(socket)? > 0 {
            let answer = Packet::read(batch.datagram(0));
            if matches!(answer, Some(Packet::Answer { session: of, .. }) if of == session) {
                return Ok(true);
            }
        }
    }
    Ok(false)
}

/// Moves datagrams until the run is over and the last ones have had their time.
pub(super) fn run(lane: &Lane<'_>, socket: &Socket, session: u64) -> Moved {
    let size = lane.plan.size;
    let mut flow = Flow {
        lane,
        socket,
        session,
        sent: 0,
        outgoing: Outgoing::new(limits::DATAGRAM_BATCH, size),
        batch: Batch::new(limits::DATAGRAM_BATCH, kind(lane.plan.endpoint.transport())),
        arrivals: Arrivals::new(),
        counts: Counts::default(),
        told_at: 0,
        moved: Moved::new(lane.window),
    };
    let done = flow.go();
    flow.moved.ended = lane.clock.now();
    let done = done.and_then(|()| flow.settle());
    flow.moved.failure = done.err();
    flow.moved.datagrams = Some(flow.figures());
    flow.moved
}

fn kind(transport: Transport) -> Kind {
    match transport {
        Transport::Unixgram => Kind::Unix,
        _ => Kind::Udp { packet_info: false },
    }
}

fn ask(socket: &Socket, session: u64) -> io::Result<()> {
    let mut question = [b'a'; QUESTION];
    Packet::Question { session }.write(&mut question);
    match rustix::net::send(socket, &question, rustix::net::SendFlags::NOSIGNAL) {
        Ok(_) | Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(()),
        Err(errno) => Err(errno.into()),
    }
}

impl Flow<'_> {
    fn go(&mut self) -> Result<(), Failure> {
        let allowance = Allowance::new(self.lane.plan, self.lane.plan.size);
        let mut asked = 0;
        loop {
            let now = self.lane.clock.now();
            if now >= self.lane.window.end || self.lane.stop.load(Ordering::Relaxed) {
                return Ok(());
            }
            let may = allowance.map_or(u64::MAX, |allowance| allowance.at(now));
            let full = may > self.sent && !self.send(may - self.sent, now)?;
            self.receive()?;
            if !self.lane.down && Duration::from_nanos(now - asked) >= limits::LOAD_ASK {
                asked = now;
                ask(self.socket, self.session).map_err(|e| self.lane.failed(Operation::Send, e))?;
            }
            let next = allowance.map_or(0, |allowance| allowance.when(self.sent + 1));
            let wait = Duration::from_nanos(next.saturating_sub(self.lane.clock.now()));
            self.wait(full, if full { limits::LOAD_TICK } else { wait.min(limits::LOAD_TICK) })?;
        }
    }

    /// Sends what may leave, a batch at most; false where the socket takes no more now.
    fn send(&mut self, may: u64, now: u64) -> Result<bool, Failure> {
        let count = may.min(self.outgoing.most() as u64) as usize;
        for (i, number) in (self.sent..).take(count).enumerate() {
            let datagram = self.outgoing.datagram(i);
            // What is behind the header stays what it was: letters that mean nothing.
            if datagram[datagram.len() - 1] == 0 {
                datagram.fill(b'a');
            }
            Packet::Data { session: self.session, number, stamp: now }.write(datagram);
        }
        let sent = match self.outgoing.send(&self.socket, count) {
            Ok(sent) => sent,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(error) => return Err(self.lane.failed(Operation::Send, error)),
        };
        self.sent += sent as u64;
        if self.lane.down {
            self.moved.up(self.lane, now, (sent * self.lane.plan.size) as u64);
        }
        Ok(sent == count)
    }

    /// Takes what came, without waiting.
    fn receive(&mut self) -> Result<(), Failure> {
        for _ in 0..limits::LOAD_BATCHES {
            let came = match self.batch.receive(&self.socket) {
                Ok(came) => came,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(self.lane.failed(Operation::Receive, error)),
            };
            let now = self.lane.clock.now();
            for i in 0..came {
                let datagram = &*self.batch.datagram(i);
                match Packet::read(datagram) {
                    Some(Packet::Data { session, number, stamp })
                        if session == self.session && number < self.sent =>
                    {
                        let bytes = datagram.len() as u64;
                        if self.arrivals.arrive(number, now.saturating_sub(stamp)) {
                            self.moved.down(self.lane, now, bytes);
                        }
                    }
                    Some(Packet::Answer { session, counts }) if session == self.session => {
                        self.told(counts, now)?;
                    }
                    _ => return Err(spoilt()),
                }
            }
            if !self.batch.is_full() {
                break;
            }
        }
        Ok(())
    }

    /// The receiver has told what it has.
    fn told(&mut self, counts: Counts, now: u64) -> Result<(), Failure> {
        let bytes = self.sent.saturating_mul(self.lane.plan.size as u64);
        if counts.received > self.sent || counts.bytes > bytes || counts.reordered > counts.received
        {
            return Err(Failure::said(ErrorKind::Wrong, BOASTS));
        }
        // Answers may overtake each other.
        if counts.received >= self.counts.received {
            let more = counts.bytes.saturating_sub(self.counts.bytes);
            let since = std::mem::replace(&mut self.told_at, now);
            let mut window = self.lane.window.start..self.lane.window.end;
            if self.moved.ended > 0 {
                window.end = window.end.min(self.moved.ended.max(window.start + 1));
            }
            self.moved.up(self.lane, now.min(window.end - 1), share(more, since..now, &window));
            self.counts = counts;
        }
        Ok(())
    }

    /// Waits for those that are on their way: until all have come, or nothing came for a while.
    fn settle(&mut self) -> Result<(), Failure> {
        let mut quiet = Instant::now();
        let mut had = self.received();
        while self.received() < self.sent && quiet.elapsed() < limits::LOAD_SETTLE {
            if !self.lane.down {
                ask(self.socket, self.session).map_err(|e| self.lane.failed(Operation::Send, e))?;
            }
            self.wait(false, limits::LOAD_TICK)?;
            self.receive()?;
            if self.received() > had {
                (had, quiet) = (self.received(), Instant::now());
            }
        }
        if self.received() == 0 && self.sent > 0 {
            return Err(Failure::said(ErrorKind::Timeout, NOTHING));
        }
        Ok(())
    }

    fn received(&self) -> u64 {
        if self.lane.down { self.arrivals.figures(0).received } else { self.counts.received }
    }

    fn wait(&self, full: bool, most: Duration) -> Result<(), Failure> {
        let mut flags = PollFlags::IN;
        flags.set(PollFlags::OUT, full);
        let most = Timespec { tv_sec: 0, tv_nsec: most.subsec_nanos().into() };
        match poll(&mut [PollFd::new(&self.socket, flags)], Some(&most)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(errno) => Err(self.lane.failed(Operation::Receive, errno.into())),
        }
    }

    fn figures(&self) -> Datagrams {
        let dropped_here = match self.lane.down {
            true => receive_drops(&self.socket).unwrap_or(0).into(),
            // Answers alone come here.
            false => 0,
        };
        if self.lane.down {
            return Datagrams { dropped_here, ..self.arrivals.figures(self.sent) };
        }
        Datagrams {
            sent: self.sent,
            received: self.counts.received,
            lost: self.sent.saturating_sub(self.counts.received),
            duplicates: self.counts.duplicates,
            reordered: self.counts.reordered,
            dropped_here,
            jitter: Duration::from_nanos(self.counts.jitter_ns),
        }
    }
}

/// How much of what came in `span` came within `window`, where it came evenly: neither what came before
/// the window nor what comes after it counts.
fn share(bytes: u64, span: Range<u64>, window: &Range<u64>) -> u64 {
    let within = span.end.min(window.end).saturating_sub(span.start.max(window.start));
    let whole = span.end.saturating_sub(span.start).max(1);
    // No more than `bytes`.
    (u128::from(bytes) * u128::from(within) / u128::from(whole)) as u64
}

const NOTHING: &str = "none of the datagrams came back. Serve `echo` at the other end (of `sockeye \
                       serve`, with --source-rate 0), or look for a firewall.";

const BOASTS: &str = "the receiver says that it has more than was sent. Serve `sockeye bench \
                      throughput --serve` at the other end.";

fn spoilt() -> Failure {
    Failure::said(
        ErrorKind::Wrong,
        "what came back is no datagram of this run. Both ways need `echo` at the other end, upwards \
         `sockeye bench throughput --serve`.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B4: what a receiver tells counts as far as it came while the run was counted.
    #[test]
    fn shares() {
        let window = 100..200;
        for (span, counted) in [
            (0..100, 0),
            (50..150, 50),
            (120..180, 100),
            (150..250, 50),
            (0..400, 25),
            (200..300, 0),
            (150..150, 0),
        ] {
            assert_eq!(share(100, span.clone(), &window), counted, "{span:?}");
        }
        assert_eq!(share(u64::MAX, 100..200, &window), u64::MAX);
    }
}
