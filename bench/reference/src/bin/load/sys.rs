//! System calls that rustix does not wrap: many datagrams in one call, and one socket option.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::ptr;

/// Lets `bind` choose only the address; the port is chosen by `connect`, which may then use one
/// port to many destinations (`ip(7)`, IP_BIND_ADDRESS_NO_PORT).
pub fn bind_address_no_port(fd: impl AsFd) -> io::Result<()> {
    option(fd, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT, 1)
}

/// The kernel cuts what one call sends into datagrams of `size` bytes, and may hand over answers
/// that came together in one piece (`udp(7)`, UDP_SEGMENT and UDP_GRO).
pub fn segment(fd: impl AsFd, size: usize) -> io::Result<()> {
    let fd = fd.as_fd();
    option(fd, libc::IPPROTO_UDP, libc::UDP_SEGMENT, size as libc::c_int)?;
    option(fd, libc::IPPROTO_UDP, libc::UDP_GRO, 1)
}

fn option(fd: impl AsFd, level: i32, name: i32, value: libc::c_int) -> io::Result<()> {
    // SAFETY: the pointer and length describe `value`, which outlives the call.
    let status = unsafe {
        libc::setsockopt(
            fd.as_fd().as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            size_of_val(&value) as libc::socklen_t,
        )
    };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The same datagram, many times in one call (`sendmmsg(2)`).
pub struct Sender {
    headers: Vec<libc::mmsghdr>,
    /// What `headers` point into: their heap addresses never change.
    _vector: Box<libc::iovec>,
    _message: Box<[u8]>,
}

impl Sender {
    /// `most` is how many one call sends at most.
    pub fn new(message: Vec<u8>, most: usize) -> Self {
        let mut message = message.into_boxed_slice();
        let mut vector =
            Box::new(libc::iovec { iov_base: message.as_mut_ptr().cast(), iov_len: message.len() });
        let headers = (0..most).map(|_| header(&mut vector)).collect();
        Self { headers, _vector: vector, _message: message }
    }

    /// Sends the datagram `count` times; tells how many the kernel took.
    pub fn send(&mut self, fd: &OwnedFd, count: usize) -> io::Result<usize> {
        let headers = &mut self.headers[..count];
        // SAFETY: each header points at the vector and message that `self` owns.
        let sent = unsafe {
            libc::sendmmsg(
                fd.as_raw_fd(),
                headers.as_mut_ptr(),
                headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT | libc::MSG_NOSIGNAL,
            )
        };
        usize::try_from(sent).map_err(|_| io::Error::last_os_error())
    }
}

/// Buffers for many datagrams in one call (`recvmmsg(2)`).
pub struct Receiver {
    headers: Vec<libc::mmsghdr>,
    /// What `headers` point into: their heap addresses never change.
    _vectors: Box<[libc::iovec]>,
    buffers: Vec<Box<[u8]>>,
}

impl Receiver {
    /// `most` datagrams of up to `size` bytes in one call.
    pub fn new(size: usize, most: usize) -> Self {
        let mut buffers: Vec<Box<[u8]>> = (0..most).map(|_| vec![0; size].into()).collect();
        let mut vectors: Box<[libc::iovec]> = buffers
            .iter_mut()
            .map(|buffer| libc::iovec {
                iov_base: buffer.as_mut_ptr().cast(),
                iov_len: buffer.len(),
            })
            .collect();
        let headers = vectors.iter_mut().map(header).collect();
        Self { headers, _vectors: vectors, buffers }
    }

    /// Datagrams that one call can take.
    pub fn most(&self) -> usize {
        self.headers.len()
    }

    /// Takes what is there; tells how many datagrams came.
    pub fn receive(&mut self, fd: &OwnedFd) -> io::Result<usize> {
        // SAFETY: each header points at a vector and a buffer that `self` owns, of the given sizes.
        let got = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                self.headers.as_mut_ptr(),
                self.headers.len() as libc::c_uint,
                libc::MSG_DONTWAIT,
                ptr::null_mut(),
            )
        };
        usize::try_from(got).map_err(|_| io::Error::last_os_error())
    }

    /// Datagram `index` of the last call.
    pub fn datagram(&self, index: usize) -> &[u8] {
        &self.buffers[index][..self.headers[index].msg_len as usize]
    }
}

fn header(vector: &mut libc::iovec) -> libc::mmsghdr {
    // SAFETY: all zeroes is a valid `mmsghdr`: null pointers with zero lengths.
    let mut header: libc::mmsghdr = unsafe { std::mem::zeroed() };
    header.msg_hdr.msg_iov = vector;
    header.msg_hdr.msg_iovlen = 1;
    header
}
