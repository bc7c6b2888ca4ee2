//! `load udp`: connected sockets, each with datagrams in flight; what is lost is sent again.

use std::net::{Ipv4Addr, UdpSocket};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::net::{self, SendFlags};
use sockeye_bench_reference::Outcome;

use crate::args::Plan;
use crate::count::Count;
use crate::message;
use crate::poll::{EventFlags, Poll};
use crate::sys::{self, Receiver, Sender};

/// A peer that has heard nothing for this long sends again all that is unanswered.
const LOST: Duration = Duration::from_millis(50);

struct Peer {
    fd: OwnedFd,
    /// Datagrams sent and not yet answered.
    outstanding: usize,
    /// When it last sent or heard something.
    active: Instant,
    /// Whether the first answer was compared.
    compared: bool,
}

struct Shared {
    sender: Sender,
    receiver: Receiver,
    expected: Vec<u8>,
    /// With segmentation by the kernel: as many messages as can be due, end to end.
    joined: Option<Vec<u8>>,
    /// When this batch of events came.
    now: Instant,
}

pub fn run(plan: &Plan) -> Outcome {
    let mut shared = Shared::new(plan);
    let mut poll = Poll::new()?;
    let mut peers = Vec::with_capacity(plan.connections);
    for index in 0..plan.connections {
        let peer = Peer::open(plan)?;
        poll.add(&peer.fd, index, EventFlags::IN | EventFlags::ET)?;
        peers.push(peer);
    }
    let mut count = Count::start(plan);
    for peer in &mut peers {
        peer.outstanding = plan.depth;
        peer.send(plan.depth, &mut shared);
    }
    let mut swept = Instant::now();
    while !count.over() {
        poll.wait()?;
        shared.now = Instant::now();
        for index in poll.ready() {
            peers[index].progress(&mut shared, &mut count);
        }
        if shared.now - swept > LOST / 5 {
            swept = shared.now;
            resend(&mut peers, &mut shared, &mut count);
        }
    }
    count.report();
    Ok(())
}

fn resend(peers: &mut [Peer], shared: &mut Shared, count: &mut Count) {
    let now = shared.now;
    for peer in peers.iter_mut().filter(|peer| now - peer.active > LOST) {
        count.resent += peer.outstanding as u64;
        peer.send(peer.outstanding, shared);
    }
}

impl Shared {
    fn new(plan: &Plan) -> Self {
        let message = message(plan.size);
        // One byte more, to notice an answer that is too long.
        let room = if plan.gso { plan.size * plan.depth } else { plan.size } + 1;
        Self {
            expected: message.to_ascii_uppercase(),
            joined: plan.gso.then(|| message.repeat(plan.depth)),
            sender: Sender::new(message, plan.depth),
            // One datagram more than can be in flight, so that one call empties the socket.
            receiver: Receiver::new(room, plan.depth + 1),
            now: Instant::now(),
        }
    }
}

impl Peer {
    fn open(plan: &Plan) -> std::io::Result<Self> {
        let source = if plan.server.ip().is_loopback() {
            Ipv4Addr::LOCALHOST
        } else {
            Ipv4Addr::UNSPECIFIED
        };
        let socket = UdpSocket::bind((source, 0))?;
        socket.connect(plan.server)?;
        if plan.gso {
            sys::segment(&socket, plan.size)?;
        }
        Ok(Self { fd: socket.into(), outstanding: 0, active: Instant::now(), compared: false })
    }

    /// What the socket does not take counts as lost, and is sent again like anything lost.
    fn send(&mut self, datagrams: usize, shared: &mut Shared) {
        let _ = match &shared.joined {
            Some(joined) => {
                let bytes = &joined[..datagrams * shared.expected.len()];
                net::send(&self.fd, bytes, SendFlags::DONTWAIT).map_err(Into::into)
            }
            None => shared.sender.send(&self.fd, datagrams),
        };
        self.active = shared.now;
    }

    /// Takes answers until there are no more, and sends a new datagram for each.
    fn progress(&mut self, shared: &mut Shared, count: &mut Count) {
        loop {
            let got = shared.receiver.receive(&self.fd).unwrap_or(0);
            let came: usize = (0..got)
                .map(|index| self.check(shared.receiver.datagram(index), shared, count))
                .sum();
            // Answers beyond what is outstanding belong to datagrams sent twice.
            let answered = came.min(self.outstanding);
            count.requests += answered as u64;
            if answered > 0 {
                self.send(answered, shared);
            }
            if got < shared.receiver.most() {
                return;
            }
        }
    }

    /// Tells how many answers a received piece is: one, or several that the kernel joined.
    fn check(&mut self, piece: &[u8], shared: &Shared, count: &mut Count) -> usize {
        let size = shared.expected.len();
        let joined = shared.joined.is_some() && piece.len() > size;
        let whole = piece.len() == size || (joined && piece.len().is_multiple_of(size));
        let right = whole && (self.compared || piece[..size] == shared.expected);
        self.compared = true;
        if !right {
            count.errors += 1;
        }
        (piece.len() / size).max(1)
    }
}
