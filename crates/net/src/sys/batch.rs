//! Datagrams many at a time: recvmmsg(2) and sendmmsg(2) over buffers that are made once.
#![allow(unsafe_code)]

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use libc::{c_void, iovec, mmsghdr, sockaddr_storage, socklen_t};
use socket2::SockAddr;
use sockeye_limits as limits;

/// Room for one IP_PKTINFO or IPV6_PKTINFO control message (40 bytes) and, in an answer, one
/// UDP_SEGMENT (24 bytes).
const CONTROL: usize = 64;

/// The part of [`CONTROL`] that is offered when receiving.
const RECEIVED: usize = 40;

/// The gap between two buffers: at a power of two all datagrams would share a few cache sets.
const STAGGER: usize = 192;

/// What kind of socket a batch is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// UDP: answers may be segmented by the kernel.
    Udp {
        /// [`super::enable_packet_info`] was called for the socket. On others no ancillary data is
        /// taken.
        packet_info: bool,
    },
    /// Unix: no ancillary data is taken, so that a peer can leave no descriptors with us.
    Unix,
}

#[repr(C, align(8))]
#[derive(Clone, Copy)]
struct Control([u8; CONTROL]);

/// A number of datagrams with where they came from. The answer to each is
/// written over it in place and goes back the way it came.
pub struct Batch {
    bytes: Vec<u8>,
    /// The size of one buffer.
    buffer: usize,
    from: Vec<sockaddr_storage>,
    from_len: Vec<socklen_t>,
    control: Vec<Control>,
    control_len: Vec<usize>,
    len: Vec<usize>,
    truncated: Vec<bool>,
    received: usize,
    /// Which datagrams are answered, and with how many bytes.
    replies: Vec<(usize, usize)>,
    /// Neighbouring answers may leave as one.
    segments: bool,
    /// The socket tells where each datagram was sent to.
    packet_info: bool,
}

impl Batch {
    /// An empty batch for at most `size` datagrams. Its buffers take memory only once datagrams of
    /// that size have come.
    pub fn new(size: usize, kind: Kind) -> Batch {
        let (most, buffer) = match kind {
            Kind::Udp { .. } => (limits::DATAGRAM_BATCH, limits::DATAGRAM_BUFFER),
            Kind::Unix => (limits::UNIX_DATAGRAM_BATCH, limits::UNIX_DATAGRAM_BUFFER),
        };
        let n = size.clamp(1, most);
        // SAFETY: all zeros is a valid sockaddr_storage (an unspecified family).
        let empty: sockaddr_storage = unsafe { zeroed() };
        Batch {
            bytes: vec![0; n * (buffer + STAGGER)],
            buffer,
            from: vec![empty; n],
            from_len: vec![0; n],
            control: vec![Control([0; CONTROL]); n],
            control_len: vec![0; n],
            len: vec![0; n],
            truncated: vec![false; n],
            received: 0,
            replies: Vec::with_capacity(n),
            segments: matches!(kind, Kind::Udp { .. }),
            packet_info: matches!(kind, Kind::Udp { packet_info: true }),
        }
    }

    /// Takes what is there, at least one datagram (on a blocking socket it waits for it).
    ///
    /// # Errors
    /// As recvmmsg(2), but never `EINTR`.
    pub fn receive(&mut self, socket: &impl AsFd) -> io::Result<usize> {
        self.received = 0;
        self.replies.clear();
        let n = self.len.len();
        let mut parts: Vec<iovec> = Vec::with_capacity(n);
        let mut headers: Vec<mmsghdr> = Vec::with_capacity(n);
        for i in 0..n {
            let at = i * (self.buffer + STAGGER);
            parts.push(part(&mut self.bytes[at..at + self.buffer]));
        }
        for (i, part) in parts.iter_mut().enumerate() {
            // SAFETY: all zeros is a valid msghdr (no buffers).
            let mut header: mmsghdr = unsafe { zeroed() };
            header.msg_hdr.msg_name = (&raw mut self.from[i]).cast::<c_void>();
            header.msg_hdr.msg_namelen = size_of::<sockaddr_storage>() as socklen_t;
            header.msg_hdr.msg_iov = &raw mut *part;
            header.msg_hdr.msg_iovlen = 1;
            if self.packet_info {
                header.msg_hdr.msg_control = (&raw mut self.control[i]).cast::<c_void>();
                header.msg_hdr.msg_controllen = RECEIVED as _;
            }
            headers.push(header);
        }
        let flags = libc::MSG_WAITFORONE | libc::MSG_CMSG_CLOEXEC;
        // SAFETY: the descriptor is borrowed and so open; each of the `n` headers points to its own
        // name, vector and control buffer with their true lengths, all of which outlive the call.
        let got = retry(|| unsafe {
            libc::recvmmsg(
                socket.as_fd().as_raw_fd(),
                headers.as_mut_ptr(),
                n as _,
                flags as _,
                ptr::null_mut(),
            )
        })?;
        for (i, header) in headers.iter().enumerate().take(got) {
            self.len[i] = header.msg_len as usize;
            self.from_len[i] = header.msg_hdr.msg_namelen;
            #[allow(clippy::unnecessary_cast, reason = "an u32 with other C libraries")]
            let control_len = header.msg_hdr.msg_controllen as usize;
            self.control_len[i] = packet_info_len(&self.control[i], control_len.min(RECEIVED));
            self.truncated[i] = header.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
        }
        self.received = got;
        Ok(got)
    }

    /// True where the last [`Batch::receive`] took as many as fit: there may be more.
    pub fn is_full(&self) -> bool {
        self.received == self.len.len()
    }

    /// The bytes of datagram `i`, to read and to answer in place.
    pub fn datagram(&mut self, i: usize) -> &mut [u8] {
        assert!(i < self.received, "datagram {i} of {}", self.received);
        let at = i * (self.buffer + STAGGER);
        &mut self.bytes[at..at + self.len[i]]
    }

    /// True where datagram `i` was longer than its buffer and its rest is lost.
    pub fn truncated(&self, i: usize) -> bool {
        self.truncated[i]
    }

    /// Where datagram `i` came from.
    pub fn source(&self, i: usize) -> SockAddr {
        assert!(i < self.received, "datagram {i} of {}", self.received);
        let mut storage = socket2::SockAddrStorage::zeroed();
        let len = self.from_len[i].min(size_of::<sockaddr_storage>() as socklen_t);
        // SAFETY: the view is as large as a sockaddr_storage (that is what SockAddrStorage is), any
        // bytes are valid in it, and `len` bytes of it were filled by the kernel.
        unsafe {
            *storage.view_as::<sockaddr_storage>() = self.from[i];
            SockAddr::new(storage, len)
        }
    }

    /// Marks datagram `i` to be answered with the first `len` bytes of its buffer, which is at most
    /// as long as what came.
    pub fn answer(&mut self, i: usize, len: usize) {
        assert!(i < self.received && len <= self.len[i], "an answer is never longer");
        self.replies.push((i, len));
    }

    /// Sends the marked answers from `first` on, without waiting on a blocking socket either.
    /// Returns how many the kernel took; the rest were not taken yet (`WouldBlock` where none was
    /// taken).
    ///
    /// With segmentation, neighbouring answers of one length to one source go through the kernel
    /// as one (UDP_SEGMENT, udp(7)) and leave as the datagrams that they are.
    ///
    /// # Errors
    /// As sendmmsg(2) for the answer at `first`.
    pub fn send(&mut self, socket: &impl AsFd, first: usize) -> io::Result<usize> {
        let mut parts: Vec<iovec> = Vec::with_capacity(self.replies.len() - first);
        for &(i, len) in &self.replies[first..] {
            let at = i * (self.buffer + STAGGER);
            parts.push(part(&mut self.bytes[at..at + len]));
        }
        let mut runs = Vec::with_capacity(parts.len());
        let mut at = first;
        while at < self.replies.len() {
            let run = self.run(at);
            runs.push(run);
            at += run;
        }
        let mut headers: Vec<mmsghdr> = Vec::with_capacity(runs.len());
        let mut at = 0;
        for &run in &runs {
            let (i, len) = self.replies[first + at];
            // SAFETY: all zeros is a valid msghdr (no buffers).
            let mut header: mmsghdr = unsafe { zeroed() };
            header.msg_hdr.msg_name = (&raw mut self.from[i]).cast::<c_void>();
            header.msg_hdr.msg_namelen = self.from_len[i];
            header.msg_hdr.msg_iov = &raw mut parts[at];
            header.msg_hdr.msg_iovlen = run as _;
            let mut control_len = self.control_len[i];
            if run > 1 {
                control_len += append_segment_size(&mut self.control[i], control_len, len);
            }
            if control_len > 0 {
                header.msg_hdr.msg_control = (&raw mut self.control[i]).cast::<c_void>();
                header.msg_hdr.msg_controllen = control_len as _;
            }
            headers.push(header);
            at += run;
        }
        let (flags, count) = (libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT, headers.len());
        // SAFETY: as in `receive`: open descriptor, `count` headers with buffers that outlive it.
        let sent = retry(|| unsafe {
            let fd = socket.as_fd().as_raw_fd();
            libc::sendmmsg(fd, headers.as_mut_ptr(), count as _, flags as _)
        });
        match sent {
            // A segment that does not fit the link: each for itself, this time. A kernel that cannot
            // segment at all says so once.
            Err(error) if runs.first().is_some_and(|run| *run > 1) && is_refusal(&error) => {
                let before = std::mem::replace(&mut self.segments, false);
                let sent = self.send(socket, first);
                self.segments = before && !is_unknown(&error);
                sent
            }
            sent => Ok(runs[..sent?].iter().sum()),
        }
    }

    /// How many answers from the marked position on can leave as one.
    fn run(&self, position: usize) -> usize {
        let (i, len) = self.replies[position];
        if !self.segments || len == 0 {
            return 1;
        }
        let most = (limits::DATAGRAM_MAX / len).clamp(1, limits::SEGMENTS);
        let follows = |&&(j, next_len): &&(usize, usize)| next_len == len && self.one_way(i, j);
        self.replies[position..].iter().take(most).take_while(follows).count()
    }

    /// True where two datagrams came from one source to one of our addresses.
    fn one_way(&self, i: usize, j: usize) -> bool {
        let (from, control) = (self.from_len[i] as usize, self.control_len[i]);
        i == j
            || (self.from_len[j] as usize == from
                && address_bytes(&self.from[i], from) == address_bytes(&self.from[j], from)
                && self.control_len[j] == control
                && self.control[i].0[..control] == self.control[j].0[..control])
    }

    /// How many answers are marked.
    pub fn answers(&self) -> usize {
        self.replies.len()
    }
}

/// The bytes of an address that the kernel filled in.
fn address_bytes(address: &sockaddr_storage, len: usize) -> &[u8] {
    let len = len.min(size_of::<sockaddr_storage>());
    // SAFETY: a sockaddr_storage is plain bytes without padding, all of them initialised (it began
    // as zeros), and `len` is within it.
    unsafe { std::slice::from_raw_parts(ptr::from_ref(address).cast::<u8>(), len) }
}

/// How many bytes of the received control data are a packet info, to be sent back; 0 where it is
/// something else, which must not be.
fn packet_info_len(control: &Control, len: usize) -> usize {
    if len < size_of::<libc::cmsghdr>() {
        return 0;
    }
    // SAFETY: the buffer holds at least a header, and an unaligned read asks for no alignment.
    let header = unsafe { ptr::read_unaligned(control.0.as_ptr().cast::<libc::cmsghdr>()) };
    let kind = (header.cmsg_level, header.cmsg_type);
    let known = [(libc::IPPROTO_IP, libc::IP_PKTINFO), (libc::IPPROTO_IPV6, libc::IPV6_PKTINFO)];
    if known.contains(&kind) { len } else { 0 }
}

/// Adds a UDP_SEGMENT control message behind the first `used` bytes; how many it takes.
fn append_segment_size(control: &mut Control, used: usize, size: usize) -> usize {
    // SAFETY: CMSG_SPACE and CMSG_LEN only compute.
    let (space, len) = unsafe { (libc::CMSG_SPACE(2) as usize, libc::CMSG_LEN(2) as usize) };
    let size = u16::try_from(size).expect("a datagram's length fits");
    let header = libc::cmsghdr {
        cmsg_len: len as _,
        cmsg_level: libc::SOL_UDP,
        cmsg_type: libc::UDP_SEGMENT,
    };
    let at = &mut control.0[used..used + space];
    at.fill(0);
    // SAFETY: `at` has room for the header and the two bytes behind it; unaligned writes ask for
    // no alignment.
    unsafe {
        ptr::write_unaligned(at.as_mut_ptr().cast(), header);
        ptr::write_unaligned(at.as_mut_ptr().add(len - 2).cast(), size);
    }
    space
}

/// What a kernel or a link says that does not segment.
fn is_refusal(error: &io::Error) -> bool {
    let refusals = [libc::EINVAL, libc::EMSGSIZE, libc::EIO, libc::EOPNOTSUPP, libc::ENOPROTOOPT];
    error.raw_os_error().is_some_and(|errno| refusals.contains(&errno))
}

fn part(bytes: &mut [u8]) -> iovec {
    iovec { iov_base: bytes.as_mut_ptr().cast::<c_void>(), iov_len: bytes.len() }
}

fn retry(mut call: impl FnMut() -> libc::c_int) -> io::Result<usize> {
    loop {
        match usize::try_from(call()) {
            Ok(count) => return Ok(count),
            Err(_) => {
                let error = io::Error::last_os_error();
                if error.kind() != io::ErrorKind::Interrupted {
                    return Err(error);
                }
            }
        }
    }
}

/// What a kernel says that knows no segmentation.
fn is_unknown(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::ENOPROTOOPT))
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;

    use super::*;

    /// V2, fault 26: sources, lengths and an empty datagram survive a batch; answers go back.
    #[test]
    fn there_and_back() {
        for kind in [Kind::Unix, Kind::Udp { packet_info: false }] {
            each_its_own(kind);
        }
    }

    fn each_its_own(kind: Kind) {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let clients: Vec<UdpSocket> =
            (0..3).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        for (i, client) in clients.iter().enumerate() {
            client.connect(server.local_addr().unwrap()).unwrap();
            client.send(&vec![b'a'; i * 1000]).unwrap();
        }
        let mut batch = Batch::new(limits::DATAGRAM_BATCH, kind);
        let mut seen = 0;
        while seen < clients.len() {
            let n = batch.receive(&server).unwrap();
            for i in 0..n {
                let port = batch.source(i).as_socket().unwrap().port();
                let client = clients.iter().position(|c| c.local_addr().unwrap().port() == port);
                assert_eq!(batch.datagram(i).len(), client.unwrap() * 1000);
                assert!(!batch.truncated(i));
                let len = batch.datagram(i).len();
                batch.datagram(i).make_ascii_uppercase();
                batch.answer(i, len);
            }
            assert_eq!(batch.send(&server, 0).unwrap(), n);
            seen += n;
        }
        let mut buffer = [0; 4096];
        for (i, client) in clients.iter().enumerate() {
            assert_eq!(client.recv(&mut buffer).unwrap(), i * 1000);
            assert!(buffer[..i * 1000].iter().all(|b| *b == b'A'));
        }
    }

    /// V2: answers that leave as one arrive as the datagrams that they are, in order.
    #[test]
    fn segmented() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let client = UdpSocket::bind("127.0.0.1:0").unwrap();
        client.connect(server.local_addr().unwrap()).unwrap();
        let sizes = [10, 10, 10, 7, 0, 0, 10, 10];
        for (n, size) in sizes.iter().enumerate() {
            client.send(&vec![n as u8; *size]).unwrap();
        }
        let mut batch = Batch::new(limits::DATAGRAM_BATCH, Kind::Udp { packet_info: false });
        let mut runs = Vec::new();
        let mut seen = 0;
        while seen < sizes.len() {
            let n = batch.receive(&server).unwrap();
            (0..n).for_each(|i| {
                let len = batch.datagram(i).len();
                batch.answer(i, len);
            });
            if n == sizes.len() {
                runs = vec![batch.run(0), batch.run(3), batch.run(4), batch.run(6)];
            }
            assert_eq!(batch.send(&server, 0).unwrap(), n);
            seen += n;
        }
        // Loopback delivers in the sender's own call, so all eight were there at once.
        assert_eq!(runs, [3, 1, 1, 2]);
        for (n, size) in sizes.iter().enumerate() {
            let mut buffer = [0; 100];
            assert_eq!(client.recv(&mut buffer).unwrap(), *size);
            assert!(buffer[..*size].iter().all(|byte| *byte == n as u8));
        }
    }
}
