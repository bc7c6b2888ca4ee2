//! Socket options that the libraries we use do not have.
#![allow(unsafe_code)]

use std::io;
use std::mem::{MaybeUninit, size_of};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use libc::{c_int, socklen_t};

use crate::address::Credentials;

/// Marks the plain C types that getsockopt(2) may fill with any bytes.
///
/// # Safety
/// Every bit pattern must be a valid value.
pub(super) unsafe trait Plain: Copy {}
// SAFETY: a struct of three integers.
unsafe impl Plain for libc::ucred {}
// SAFETY: an array of integers.
unsafe impl Plain for [u32; 9] {}
// SAFETY: an array of integers.
unsafe impl Plain for [u32; 2] {}

/// Room for a `struct tcp_info` of linux/tcp.h, which grows from version to version.
pub(super) type TcpInfoBytes = [u8; 320];
// SAFETY: an array of integers.
unsafe impl Plain for TcpInfoBytes {}

pub(super) fn getsockopt<T: Plain>(fd: BorrowedFd<'_>, level: c_int, name: c_int) -> io::Result<T> {
    let mut value = MaybeUninit::<T>::zeroed();
    let mut len = size_of::<T>() as socklen_t;
    // SAFETY: the descriptor is borrowed and so open; `value` has room for `len` bytes; it begins
    // as zeros and `T: Plain` takes any bytes, so it is a value however much the kernel wrote.
    let value = unsafe {
        let at = value.as_mut_ptr().cast();
        if libc::getsockopt(fd.as_raw_fd(), level, name, at, &mut len) != 0 {
            return Err(io::Error::last_os_error());
        }
        value.assume_init()
    };
    Ok(value)
}

/// SO_PEERCRED. Read here and not by a library, because the pid is 0 where the peer lives in a
/// process namespace that we do not see.
pub(crate) fn peer_credentials(fd: BorrowedFd<'_>) -> io::Result<Credentials> {
    let found: libc::ucred = getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERCRED)?;
    Ok(Credentials { pid: found.pid as u32, uid: found.uid, gid: found.gid })
}

/// Datagrams that the kernel dropped because the socket's receive buffer was full, since it was
/// made (SO_MEMINFO, field SK_MEMINFO_DROPS).
///
/// # Errors
/// As getsockopt(2).
pub fn receive_drops(socket: &impl AsFd) -> io::Result<u32> {
    const DROPS: usize = 8;
    let found: [u32; 9] = getsockopt(socket.as_fd(), libc::SOL_SOCKET, libc::SO_MEMINFO)?;
    Ok(found[DROPS])
}

/// Asks for the local address of each datagram (IP_PKTINFO, ip(7); IPV6_RECVPKTINFO, ipv6(7)), so
/// that an answer from a wildcard socket leaves from the address that was asked.
///
/// # Errors
/// As setsockopt(2).
pub fn enable_packet_info(socket: &impl AsFd, v6: bool) -> io::Result<()> {
    let (level, name) = match v6 {
        true => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
        false => (libc::IPPROTO_IP, libc::IP_PKTINFO),
    };
    switch_on(socket, level, name)
}

/// Leaves the choice of a port to connect(2), which may take one that is in use towards another peer:
/// a source address does not run out of ports by itself then (IP_BIND_ADDRESS_NO_PORT, ip(7)).
///
/// # Errors
/// As setsockopt(2).
pub fn bind_address_no_port(socket: &impl AsFd) -> io::Result<()> {
    switch_on(socket, libc::IPPROTO_IP, libc::IP_BIND_ADDRESS_NO_PORT)
}

fn switch_on(socket: &impl AsFd, level: c_int, name: c_int) -> io::Result<()> {
    let on: c_int = 1;
    // SAFETY: the descriptor is borrowed and so open; the option's value is an int of that length.
    let done = unsafe {
        let at = (&raw const on).cast();
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            at,
            size_of::<c_int>() as socklen_t,
        )
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
