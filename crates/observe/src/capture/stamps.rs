//! Waits until the kernel stamps packets where they pass, and not where they are taken.
//!
//! The first socket that asks for time stamps only schedules that they be made (`netstamp_work` in
//! net/core/dev.c). Until then a packet gets the time at which its reader takes it, which is after the
//! calls that it caused. Nothing reports when it is done, so a datagram to ourselves tells.

use std::net::UdpSocket;
use std::thread::sleep;
use std::time::{SystemTime, UNIX_EPOCH};

use sockeye_limits as limits;
use sockeye_net::sys::packet::PacketSocket;
use sockeye_net::sys::wait_readable;

use super::{Protocol, Watch};

/// Keeps the kernel stamping packets: what is begun meanwhile waits for nothing.
#[derive(Debug)]
pub struct Stamps {
    _socket: PacketSocket,
}

/// Has the kernel stamp packets from now on; `None` where packets may not be captured anyway.
pub fn stamps() -> Option<Stamps> {
    let nothing = Watch::Port(Protocol::Tcp, 0).program();
    let socket = PacketSocket::open(&nothing).ok()?;
    settle();
    Some(Stamps { _socket: socket })
}

/// Waits until stamps are made, at most [`limits::CAPTURE_STAMPS`] probes. Where that cannot be found
/// out, as without a loopback address, times are a little late and nothing else.
pub(super) fn settle() {
    for _ in 0..limits::CAPTURE_STAMPS {
        if is_stamped().unwrap_or(true) {
            return;
        }
        sleep(limits::CAPTURE_STAMP_PAUSE);
    }
}

/// Whether a datagram that we send ourselves is stamped before its sending returns.
fn is_stamped() -> std::io::Result<bool> {
    let probe = UdpSocket::bind("127.0.0.1:0")?;
    let own = probe.local_addr()?;
    let packets = PacketSocket::open(&Watch::Connection(Protocol::Udp, own, own).program())?;
    packets.listen(None)?;
    probe.send_to(&[], own)?;
    let sent = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    wait_readable(&packets, Some(limits::CAPTURE_STAMP_PAUSE))?;
    let seen = packets.receive(&mut [0; 64])?;
    Ok(seen.at.is_some_and(|at| at <= sent))
}
