//! A network of one's own: unshare(2), and an interface set up.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsFd, AsRawFd};

use rustix::thread::UnshareFlags;

/// Gives the calling thread, and all that it starts, an empty network namespace; with `user` a user
/// namespace that owns it as well, which needs no privileges but no other thread.
///
/// # Errors
/// As unshare(2): `EPERM` where the system forbids it, `ENOSPC` where there are too many, `EINVAL`
/// with `user` where the process has other threads.
pub fn unshare_network(user: bool) -> io::Result<()> {
    let flags = match user {
        true => UnshareFlags::NEWUSER | UnshareFlags::NEWNET,
        false => UnshareFlags::NEWNET,
    };
    // SAFETY: what unshare can break is the table of descriptors (CLONE_FILES), which stays shared.
    unsafe { rustix::thread::unshare_unsafe(flags) }?;
    Ok(())
}

/// Sets an interface up, as `ip link set NAME up` does: SIOCSIFFLAGS, netdevice(7).
///
/// # Errors
/// As ioctl(2): `ENODEV` where there is none of that name, `EPERM` without CAP_NET_ADMIN.
pub fn interface_up(name: &str) -> io::Result<()> {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
    // SAFETY: all zeros is a valid ifreq: no name, and a union of plain values.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    // One byte less than there is room for: the name ends with a zero.
    if name.len() >= request.ifr_name.len() {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    for (to, from) in request.ifr_name.iter_mut().zip(name.bytes()) {
        *to = from as libc::c_char;
    }
    let call = |what, request: &mut libc::ifreq| {
        // SAFETY: the descriptor is borrowed and so open; both requests read and write one ifreq,
        // which `request` is.
        let done = unsafe { libc::ioctl(socket.as_fd().as_raw_fd(), what, &raw mut *request) };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    };
    call(libc::SIOCGIFFLAGS, &mut request)?;
    // SAFETY: SIOCGIFFLAGS has just filled the flags; the other members are plain values as well.
    unsafe { request.ifr_ifru.ifru_flags |= libc::IFF_UP as libc::c_short };
    call(libc::SIOCSIFFLAGS, &mut request)
}
