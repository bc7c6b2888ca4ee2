//! Packets as the kernel shows them to who may look: packet(7), with a filter in the kernel.
#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use libc::{c_int, c_void, iovec, msghdr, sockaddr_ll, socklen_t};
use socket2::{Domain, Protocol, SockFilter, Socket, Type};
use sockeye_limits as limits;

/// ETH_P_ALL, packet(7): packets of every protocol.
const EVERY_PROTOCOL: u16 = 0x0003;

/// Room for the control messages that we ask for: one SCM_TIMESTAMPNS (32 bytes), and as much again.
const CONTROL: usize = 64;

#[repr(C, align(8))]
struct Control([u8; CONTROL]);

/// One instruction of classic BPF, as the kernel's socket filters have it: bpf(4) of the BSDs and
/// linux/filter.h.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Instruction {
    /// What is done.
    pub code: u16,
    /// So many instructions are passed over where a comparison holds.
    pub yes: u8,
    /// The same where it does not.
    pub no: u8,
    /// The operand.
    pub value: u32,
}

/// What the kernel says of a packet beside its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Received {
    /// How many bytes of it are in the buffer.
    pub kept: usize,
    /// How many bytes it had.
    pub length: usize,
    /// When the kernel saw it, since 1970 (SO_TIMESTAMPNS; nanoseconds). `None` where it does not
    /// say.
    pub at: Option<Duration>,
    /// The number of the interface.
    pub interface: u32,
    /// The interface's kind: an ARPHRD number, which says what the bytes begin with.
    pub hardware: u16,
    /// Whether it left this machine (PACKET_OUTGOING) or came to it.
    pub outgoing: bool,
}

/// A socket that sees the packets of other sockets. It does not block.
#[derive(Debug)]
pub struct PacketSocket {
    socket: Socket,
}

impl PacketSocket {
    /// Opens a socket that sees what passes `filter`, and nothing before [`PacketSocket::listen`]: its
    /// protocol is 0 until then, so no packet comes in that the filter has not judged.
    ///
    /// # Errors
    /// `EPERM` without CAP_NET_RAW in the user namespace that owns the network namespace; else as
    /// socket(2) and setsockopt(2).
    pub fn open(filter: &[Instruction]) -> io::Result<PacketSocket> {
        let socket = Socket::new(Domain::PACKET, Type::RAW, None::<Protocol>)?;
        socket.set_nonblocking(true)?;
        let packets = PacketSocket { socket };
        packets.set_filter(filter)?;
        set_int(packets.as_fd(), libc::SO_TIMESTAMPNS, 1)?;
        let room = c_int::try_from(limits::CAPTURE_BUFFER).unwrap_or(c_int::MAX);
        // Above the limit only CAP_NET_ADMIN may go; without it the limit must do.
        if set_int(packets.as_fd(), libc::SO_RCVBUFFORCE, room).is_err() {
            packets.socket.set_recv_buffer_size(limits::CAPTURE_BUFFER)?;
        }
        Ok(packets)
    }

    /// Puts another filter in the place of the one before, at once: SO_ATTACH_FILTER, socket(7). What
    /// has come in already stays.
    ///
    /// # Errors
    /// `EINVAL` for a program that the kernel does not take; else as setsockopt(2).
    pub fn set_filter(&self, filter: &[Instruction]) -> io::Result<()> {
        let made = |i: &Instruction| SockFilter::new(i.code, i.yes, i.no, i.value);
        let program: Vec<SockFilter> = filter.iter().map(made).collect();
        self.socket.attach_filter(&program)
    }

    /// Begins: from now on it sees packets of this interface, or of all.
    ///
    /// # Errors
    /// As bind(2): `ENODEV` where there is no such interface, `ENETDOWN` where it is down.
    pub fn listen(&self, interface: Option<u32>) -> io::Result<()> {
        // SAFETY: all zeros is a valid sockaddr_ll.
        let mut at: sockaddr_ll = unsafe { zeroed() };
        at.sll_family = libc::AF_PACKET as u16;
        at.sll_protocol = EVERY_PROTOCOL.to_be();
        at.sll_ifindex = interface.and_then(|n| c_int::try_from(n).ok()).unwrap_or(0);
        // SAFETY: the descriptor is borrowed and so open; the address is a sockaddr_ll of that
        // length, which is what a packet socket takes.
        let done = unsafe {
            let (fd, len) = (self.socket.as_raw_fd(), size_of::<sockaddr_ll>() as socklen_t);
            libc::bind(fd, (&raw const at).cast(), len)
        };
        if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    /// Takes one packet: recvmsg(2). What does not fit into `buffer` is cut off.
    ///
    /// # Errors
    /// `WouldBlock` where there is none; else as recvmsg(2), but never `EINTR`.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        // SAFETY: all zeros is a valid sockaddr_ll and a valid msghdr (no buffers).
        let (mut from, mut header): (sockaddr_ll, msghdr) = unsafe { (zeroed(), zeroed()) };
        let mut control = Control([0; CONTROL]);
        let mut part = iovec { iov_base: buffer.as_mut_ptr().cast(), iov_len: buffer.len() };
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        let got = loop {
            header.msg_name = (&raw mut from).cast::<c_void>();
            header.msg_namelen = size_of::<sockaddr_ll>() as socklen_t;
            header.msg_control = (&raw mut control).cast::<c_void>();
            header.msg_controllen = CONTROL as _;
            // SAFETY: the descriptor is borrowed and so open; name, vector and control buffer are
            // there with their true lengths and outlive the call. MSG_TRUNC only makes the result
            // the packet's own length.
            let got =
                unsafe { libc::recvmsg(self.socket.as_raw_fd(), &raw mut header, libc::MSG_TRUNC) };
            match usize::try_from(got) {
                Ok(got) => break got,
                Err(_) => {
                    let error = io::Error::last_os_error();
                    if error.kind() != io::ErrorKind::Interrupted {
                        return Err(error);
                    }
                }
            }
        };
        #[allow(clippy::unnecessary_cast, reason = "an u32 with other C libraries")]
        let used = (header.msg_controllen as usize).min(CONTROL);
        Ok(Received {
            kept: got.min(buffer.len()),
            length: got,
            at: timestamp(&control.0[..used]),
            interface: u32::try_from(from.sll_ifindex).unwrap_or(0),
            hardware: from.sll_hatype,
            outgoing: from.sll_pkttype == libc::PACKET_OUTGOING,
        })
    }

    /// How many packets passed the filter and were lost because the socket's buffer was full, since
    /// the last call: PACKET_STATISTICS, packet(7).
    ///
    /// # Errors
    /// As getsockopt(2).
    pub fn take_drops(&self) -> io::Result<u32> {
        let [_packets, drops]: [u32; 2] =
            super::sockopt::getsockopt(self.as_fd(), libc::SOL_PACKET, libc::PACKET_STATISTICS)?;
        Ok(drops)
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn set_int(fd: BorrowedFd<'_>, name: c_int, value: c_int) -> io::Result<()> {
    // SAFETY: the descriptor is borrowed and so open; the option's value is an int of that length.
    let done = unsafe {
        let (at, len) = ((&raw const value).cast(), size_of::<c_int>() as socklen_t);
        libc::setsockopt(fd.as_raw_fd(), libc::SOL_SOCKET, name, at, len)
    };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// The time of the first control message, where it is one: a header, then seconds and nanoseconds.
fn timestamp(control: &[u8]) -> Option<Duration> {
    // SAFETY: CMSG_LEN only computes.
    let (start, end) = unsafe {
        let time = size_of::<libc::timespec>() as u32;
        (libc::CMSG_LEN(0) as usize, libc::CMSG_LEN(time) as usize)
    };
    if control.len() < end {
        return None;
    }
    // SAFETY: the buffer holds at least a header, and an unaligned read asks for no alignment.
    let header = unsafe { control.as_ptr().cast::<libc::cmsghdr>().read_unaligned() };
    if (header.cmsg_level, header.cmsg_type) != (libc::SOL_SOCKET, libc::SCM_TIMESTAMPNS) {
        return None;
    }
    // SAFETY: the buffer reaches to the end of a timespec, which is plain integers, and an unaligned
    // read asks for no alignment.
    let time = unsafe { control[start..end].as_ptr().cast::<libc::timespec>().read_unaligned() };
    let nanoseconds = u32::try_from(time.tv_nsec).ok().filter(|n| *n < 1_000_000_000)?;
    Some(Duration::new(u64::try_from(time.tv_sec).ok()?, nanoseconds))
}
