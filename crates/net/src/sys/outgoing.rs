//! Datagrams of one size to a connected peer, many with one call: sendmmsg(2).
#![allow(unsafe_code)]

use std::io;
use std::mem::zeroed;
use std::os::fd::{AsFd, AsRawFd};

use libc::{c_void, iovec, mmsghdr};
use sockeye_limits as limits;

/// Buffers for datagrams of one size, to be filled and sent.
pub struct Outgoing {
    bytes: Vec<u8>,
    size: usize,
    most: usize,
}

impl Outgoing {
    /// Room for `most` datagrams of `size` bytes (at most [`limits::DATAGRAM_BATCH`]).
    pub fn new(most: usize, size: usize) -> Outgoing {
        let most = most.clamp(1, limits::DATAGRAM_BATCH);
        Outgoing { bytes: vec![0; most * size], size, most }
    }

    /// How many one call sends at most.
    pub fn most(&self) -> usize {
        self.most
    }

    /// The bytes of datagram `i`.
    ///
    /// # Panics
    /// Where there is no room for so many.
    pub fn datagram(&mut self, i: usize) -> &mut [u8] {
        assert!(i < self.most, "datagram {i} of {}", self.most);
        &mut self.bytes[i * self.size..(i + 1) * self.size]
    }

    /// Sends the first `count` datagrams to the peer of the socket, without waiting. Returns how many
    /// the kernel took; the rest were not taken yet.
    ///
    /// # Errors
    /// As sendmmsg(2) for the first datagram, but never `EINTR`.
    ///
    /// # Panics
    /// Where there is no room for so many.
    pub fn send(&mut self, socket: &impl AsFd, count: usize) -> io::Result<usize> {
        assert!(count <= self.most, "{count} datagrams of {}", self.most);
        let size = self.size;
        let mut parts: Vec<iovec> = (0..count)
            .map(|i| {
                let bytes = &mut self.bytes[i * size..(i + 1) * size];
                iovec { iov_base: bytes.as_mut_ptr().cast::<c_void>(), iov_len: size }
            })
            .collect();
        let mut headers: Vec<mmsghdr> = parts
            .iter_mut()
            .map(|part| {
                // SAFETY: all zeros is a valid mmsghdr (no name, no buffers, no control data).
                let mut header: mmsghdr = unsafe { zeroed() };
                header.msg_hdr.msg_iov = &raw mut *part;
                header.msg_hdr.msg_iovlen = 1;
                header
            })
            .collect();
        let flags = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;
        loop {
            // SAFETY: the descriptor is borrowed and so open; each of the `count` headers points to
            // its own vector, and that to bytes of `self`, all of which outlive the call.
            let sent = unsafe {
                let fd = socket.as_fd().as_raw_fd();
                libc::sendmmsg(fd, headers.as_mut_ptr(), count as _, flags as _)
            };
            match usize::try_from(sent) {
                Ok(sent) => return Ok(sent),
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    /// B1: as many datagrams arrive as were filled, each with its own bytes.
    #[test]
    fn each_its_own() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        let mut outgoing = Outgoing::new(8, 100);
        (0..8).for_each(|i| outgoing.datagram(i).fill(i as u8));
        assert_eq!(outgoing.send(&client, 5).unwrap(), 5);
        let mut buffer = [0; 200];
        for i in 0..5 {
            assert_eq!(server.recv(&mut buffer).unwrap(), 100);
            assert!(buffer[..100].iter().all(|byte| *byte == i));
        }
        server.set_nonblocking(true).unwrap();
        assert!(server.recv(&mut buffer).is_err(), "five and no more");
    }
}
