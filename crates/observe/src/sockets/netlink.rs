//! The socket to the kernel's socket tables: NETLINK_SOCK_DIAG, asked one question at a time.

use std::cell::Cell;
use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, netlink, recv, send, socket_with,
};
use sockeye_limits as limits;

use super::message::{DONE, ERROR, messages, request, word};

/// SOCK_DIAG_BY_FAMILY, the one question of sock_diag(7).
const BY_FAMILY: u16 = 20;

/// An open socket to the kernel.
pub(super) struct Kernel {
    socket: OwnedFd,
    sequence: Cell<u32>,
}

impl Kernel {
    pub(super) fn open() -> io::Result<Kernel> {
        let protocol = Some(netlink::SOCK_DIAG);
        let socket =
            socket_with(AddressFamily::NETLINK, SocketType::DGRAM, SocketFlags::CLOEXEC, protocol)?;
        Ok(Kernel { socket, sequence: Cell::new(0) })
    }

    /// Asks for all that fit, and gives each body to `each`.
    pub(super) fn dump(&self, body: &[u8], mut each: impl FnMut(&[u8])) -> io::Result<()> {
        let sequence = self.send(body, true)?;
        let mut buffer = vec![0; limits::NETLINK_BUFFER];
        loop {
            let bytes = self.receive(&mut buffer)?;
            for message in messages(bytes).filter(|message| message.sequence == sequence) {
                match message.kind {
                    DONE => return Ok(()),
                    // A kernel without that table has no such sockets.
                    ERROR => return error(message.body).or_else(absent),
                    BY_FAMILY => each(message.body),
                    _ => {}
                }
            }
        }
    }

    /// Asks for one; `None` where there is none.
    pub(super) fn ask(&self, body: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let sequence = self.send(body, false)?;
        let mut buffer = vec![0; limits::NETLINK_BUFFER];
        let bytes = self.receive(&mut buffer)?;
        let mut answers = messages(bytes).filter(|message| message.sequence == sequence);
        match answers.next() {
            Some(answer) if answer.kind == BY_FAMILY => Ok(Some(answer.body.to_vec())),
            Some(answer) if answer.kind == ERROR => {
                error(answer.body).or_else(absent).map(|()| None)
            }
            _ => Err(Errno::PROTO.into()),
        }
    }

    fn send(&self, body: &[u8], dump: bool) -> io::Result<u32> {
        let sequence = self.sequence.get().wrapping_add(1);
        self.sequence.set(sequence);
        let bytes = request(BY_FAMILY, dump, sequence, body);
        rustix::io::retry_on_intr(|| send(&self.socket, &bytes, SendFlags::empty()))?;
        Ok(sequence)
    }

    fn receive<'a>(&self, buffer: &'a mut [u8]) -> io::Result<&'a [u8]> {
        let got = loop {
            // With TRUNC the true length is told, so that a cut-off answer is not taken for all.
            match recv(&self.socket, &mut *buffer, RecvFlags::TRUNC) {
                Err(Errno::INTR) => {}
                other => break other?.1,
            }
        };
        match buffer.get(..got) {
            Some(bytes) if !bytes.is_empty() => Ok(bytes),
            _ => Err(Errno::PROTO.into()),
        }
    }
}

/// The error in a message of that kind: a negative errno.
fn error(body: &[u8]) -> io::Result<()> {
    let code = word(body, 0).map(|word| i32::from_ne_bytes(word.to_ne_bytes()));
    match code.and_then(i32::checked_neg) {
        Some(0) => Ok(()),
        Some(errno) if errno > 0 => Err(io::Error::from_raw_os_error(errno)),
        _ => Err(Errno::PROTO.into()),
    }
}

/// ENOENT is an answer: there is none.
fn absent(error: io::Error) -> io::Result<()> {
    if error.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(error) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Q4: the kernel's errors keep their number; what is no error number is a protocol error.
    #[test]
    fn errors() {
        assert!(error(&0i32.to_ne_bytes()).is_ok());
        let errno = |result: io::Result<()>| result.unwrap_err().raw_os_error();
        assert_eq!(errno(error(&(-22i32).to_ne_bytes())), Some(22));
        for body in [&5i32.to_ne_bytes()[..], &i32::MIN.to_ne_bytes(), &[1]] {
            assert_eq!(errno(error(body)), Some(Errno::PROTO.raw_os_error()));
        }
        assert!(absent(Errno::NOENT.into()).is_ok());
        assert!(absent(Errno::PERM.into()).is_err());
    }
}
