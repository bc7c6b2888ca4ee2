//! A blocking UDP server that answers one datagram with two calls: `recv_from`, `send_to`.

use std::io::ErrorKind;
use std::net::UdpSocket;

use sockeye_bench_reference::{Outcome, address_argument, announce};

/// The largest UDP datagram, in bytes.
const LARGEST: usize = 65_535;

fn main() -> Outcome {
    let socket = UdpSocket::bind(address_argument()?)?;
    announce(socket.local_addr()?)?;
    let mut buffer = vec![0; LARGEST];
    loop {
        let (got, peer) = socket.recv_from(&mut buffer)?;
        buffer[..got].make_ascii_uppercase();
        match socket.send_to(&buffer[..got], peer) {
            Ok(_) => {}
            // A peer that went away must not stop the others.
            Err(cause) if cause.kind() == ErrorKind::ConnectionRefused => {}
            Err(cause) => return Err(cause.into()),
        }
    }
}
