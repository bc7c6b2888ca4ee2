//! Messages with a descriptor between the server and its worker processes (SCM_RIGHTS, unix(7)).

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut, Seek, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// A pair of connected sockets that keep message boundaries and see each other's end.
///
/// # Errors
/// As socketpair(2).
pub fn pair() -> io::Result<(OwnedFd, OwnedFd)> {
    let kind = SocketType::SEQPACKET;
    Ok(socketpair(AddressFamily::UNIX, kind, SocketFlags::CLOEXEC, None)?)
}

/// Sends one message, with a copy of a descriptor where one is given.
///
/// # Errors
/// As sendmsg(2); `EPIPE` where the other end is gone.
pub fn send(socket: impl AsFd, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
    let fds: Vec<BorrowedFd<'_>> = fd.into_iter().collect();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(&fds)) {
        unreachable!("the buffer has room for one descriptor");
    }
    loop {
        match sendmsg(&socket, &[IoSlice::new(bytes)], &mut control, SendFlags::NOSIGNAL) {
            Err(Errno::INTR) => {}
            other => return other.map(|_| ()).map_err(Into::into),
        }
    }
}

/// A descriptor of a file in memory that holds these bytes, to be read from its beginning.
///
/// # Errors
/// As memfd_create(2) and write(2).
pub fn memory(bytes: &[u8]) -> io::Result<OwnedFd> {
    let fd = rustix::fs::memfd_create("sockeye", rustix::fs::MemfdFlags::CLOEXEC)?;
    let mut file = File::from(fd);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}

/// Receives one message into `buffer`: how long it was and the descriptor that came with it. A
/// length of 0 is the other side's end.
///
/// # Errors
/// As recvmsg(2); `InvalidData` where the message was longer than `buffer`.
pub fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<(usize, Option<OwnedFd>)> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let message = loop {
        let mut parts = [IoSliceMut::new(buffer)];
        match recvmsg(&socket, &mut parts, &mut control, RecvFlags::CMSG_CLOEXEC) {
            Err(Errno::INTR) => {}
            other => break other?,
        }
    };
    let fd = control.drain().find_map(|part| match part {
        RecvAncillaryMessage::ScmRights(mut fds) => fds.next(),
        _ => None,
    });
    if message.flags.contains(rustix::net::ReturnFlags::TRUNC) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "message longer than its limit"));
    }
    Ok((message.bytes, fd))
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    /// M3: a descriptor crosses, a second message has none, and the end is seen.
    #[test]
    fn crosses() {
        let (a, b) = pair().unwrap();
        let (mut near, far) = std::os::unix::net::UnixStream::pair().unwrap();
        send(&a, b"one", Some(far.as_fd())).unwrap();
        drop(far);
        send(&a, b"two", None).unwrap();
        drop(a);
        let mut buffer = [0; 16];
        let (n, fd) = receive(&b, &mut buffer).unwrap();
        assert_eq!(&buffer[..n], b"one");
        let mut passed = std::os::unix::net::UnixStream::from(fd.unwrap());
        passed.write_all(b"hi").unwrap();
        drop(passed);
        let mut got = String::new();
        near.read_to_string(&mut got).unwrap();
        assert_eq!(got, "hi");
        let (n, fd) = receive(&b, &mut buffer).unwrap();
        assert!(n == 3 && fd.is_none());
        assert_eq!(receive(&b, &mut buffer).unwrap().0, 0);
    }
}
