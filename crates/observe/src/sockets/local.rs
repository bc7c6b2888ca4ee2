//! Unix sockets in sock_diag(7): `struct unix_diag_req`, `struct unix_diag_msg` and its attributes, of
//! `linux/unix_diag.h`.

use std::io;

use super::message::{attributes, word};
use super::netlink;

/// AF_UNIX.
const UNIX: u8 = 1;

/// UDIAG_SHOW_NAME, _PEER, _RQLEN and _UID.
const SHOW: u32 = 0x1 | 0x4 | 0x10 | 0x40;

/// The length of `struct unix_diag_msg`.
const FIXED: usize = 16;

/// What a Unix socket keeps together, unix(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UnixKind {
    /// Bytes (`unix:`).
    Stream,
    /// Datagrams (`unixgram:`).
    Datagram,
    /// Messages over a connection.
    SeqPacket,
}

impl UnixKind {
    /// Its name, as JSON has it.
    pub fn name(self) -> &'static str {
        match self {
            UnixKind::Stream => "stream",
            UnixKind::Datagram => "datagram",
            UnixKind::SeqPacket => "seqpacket",
        }
    }
}

/// The state of a Unix socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnixState {
    /// Waits for connections.
    Listen,
    /// Has a peer.
    Connected,
    /// Has none.
    Unconnected,
}

impl UnixState {
    /// Its name, as users and JSON have it.
    pub fn name(self) -> &'static str {
        match self {
            UnixState::Listen => "LISTEN",
            UnixState::Connected => "CONNECTED",
            UnixState::Unconnected => "UNCONNECTED",
        }
    }
}

/// A Unix socket, as the kernel's table has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnixSocket {
    /// Stream, datagrams or messages.
    pub kind: UnixKind,
    /// Its state.
    pub state: UnixState,
    /// Its name in bytes: a path, or an abstract name after a NUL. `None` for most clients.
    pub name: Option<Vec<u8>>,
    /// Its inode.
    pub inode: u64,
    /// The inode of its peer, where it has one.
    pub peer: Option<u64>,
    /// Bytes that the program has not read; of a listener the connections that wait.
    pub receive_queue: Option<u32>,
    /// Bytes that its peer has not read; of a listener the limit of its accept queue.
    pub send_queue: Option<u32>,
    /// The number of the user who made it; kernels before 5.3 do not say.
    pub uid: Option<u32>,
}

/// All Unix sockets of this network namespace.
///
/// # Errors
/// Those of socket(2), send(2) and recv(2) on a netlink socket; EPROTO for an answer that makes no
/// sense.
pub fn unix() -> io::Result<Vec<UnixSocket>> {
    let mut request = vec![UNIX, 0, 0, 0];
    request.extend(u32::MAX.to_ne_bytes());
    request.extend(0u32.to_ne_bytes());
    request.extend(SHOW.to_ne_bytes());
    request.extend([0xff; 8]);
    let mut sockets = Vec::new();
    netlink::Kernel::open()?.dump(&request, |body| sockets.extend(socket(body)))?;
    Ok(sockets)
}

/// A socket from the body of an answer; `None` where it is none.
pub fn socket(body: &[u8]) -> Option<UnixSocket> {
    let fixed: &[u8; FIXED] = body.first_chunk()?;
    let [UNIX, kind, state, _] = *fixed.first_chunk()? else { return None };
    let kind = match kind {
        1 => UnixKind::Stream,
        2 => UnixKind::Datagram,
        5 => UnixKind::SeqPacket,
        _ => return None,
    };
    let state = match state {
        10 => UnixState::Listen,
        1 => UnixState::Connected,
        _ => UnixState::Unconnected,
    };
    let inode = u64::from(word(fixed, 4)?);
    let mut socket = UnixSocket {
        kind,
        state,
        name: None,
        inode,
        peer: None,
        receive_queue: None,
        send_queue: None,
        uid: None,
    };
    for (kind, value) in attributes(&body[FIXED..]) {
        match kind {
            0 if !value.is_empty() => socket.name = Some(name(value)),
            2 => socket.peer = word(value, 0).map(u64::from).filter(|peer| *peer != 0),
            4 => (socket.receive_queue, socket.send_queue) = (word(value, 0), word(value, 4)),
            7 => socket.uid = word(value, 0),
            _ => {}
        }
    }
    Some(socket)
}

/// A path without the NUL that may end it; an abstract name as it is.
fn name(value: &[u8]) -> Vec<u8> {
    match value {
        [0, ..] => value.to_vec(),
        path => path.split(|byte| *byte == 0).next().unwrap_or_default().to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::*;

    /// O3: a listener is found by its path, with who waits; so is a client, as its peer's peer.
    #[test]
    fn live_sockets() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("s.sock");
        let listener = UnixListener::bind(&path).unwrap();
        let waits = |count: u32| {
            let all = unix().unwrap();
            let named = |s: &&UnixSocket| s.name.as_deref() == Some(path.as_os_str().as_bytes());
            let found = all.iter().filter(named).find(|s| s.state == UnixState::Listen);
            let found = found.unwrap();
            assert_eq!((found.kind, found.receive_queue), (UnixKind::Stream, Some(count)));
        };
        waits(0);
        let client = UnixStream::connect(&path).unwrap();
        waits(1);
        let (_far, _) = listener.accept().unwrap();
        waits(0);
        let all = unix().unwrap();
        let far = all.iter().find(|s| {
            s.state == UnixState::Connected
                && s.name.as_deref() == Some(path.as_os_str().as_bytes())
        });
        let near = all.iter().find(|s| Some(s.inode) == far.unwrap().peer).unwrap();
        assert_eq!(near.peer, Some(far.unwrap().inode));
        drop(client);
    }

    /// O3: an abstract name keeps its NUL.
    #[test]
    fn names() {
        assert_eq!(name(b"\0abstract\0x"), b"\0abstract\0x");
        assert_eq!(name(b"/tmp/a b\0"), b"/tmp/a b");
        assert_eq!(name(b"\0"), b"\0");
    }
}
