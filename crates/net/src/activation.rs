//! Sockets that systemd opened for us, and telling it that we are ready (sd_listen_fds(3),
//! sd_notify(3)).

use std::io;
use std::os::fd::OwnedFd;

use socket2::{Domain, Socket, Type};

use crate::datagram::DatagramSocket;
use crate::endpoint::Transport;
use crate::error::{Error, Operation};
use crate::listen::Listener;
use crate::sys;

/// The sockets that the service manager passed, sorted by what they are.
#[derive(Debug, Default)]
pub struct Activated {
    /// Listening streams.
    pub listeners: Vec<Listener>,
    /// Bound datagram sockets.
    pub datagrams: Vec<DatagramSocket>,
}

impl Activated {
    /// True where none was passed.
    pub fn is_empty(&self) -> bool {
        self.listeners.is_empty() && self.datagrams.is_empty()
    }
}

/// Takes the sockets that LISTEN_FDS announces, if LISTEN_PID is ours; none otherwise. At most
/// once per process.
///
/// # Errors
/// A passed descriptor that is not a listening stream or a datagram socket.
pub fn take() -> Result<Activated, Error> {
    let failed = |error| {
        Error::explained(
            Operation::Listen,
            "LISTEN_FDS",
            error,
            "the service manager passed something that is no socket to serve on",
            "Check the [Socket] section: ListenStream= or ListenDatagram=, and Accept=no",
        )
    };
    let mut taken = Activated::default();
    for fd in sys::inherited::listen_fds().map_err(failed)? {
        sort(fd, &mut taken).map_err(failed)?;
    }
    Ok(taken)
}

fn sort(fd: OwnedFd, taken: &mut Activated) -> io::Result<()> {
    let socket = Socket::from(fd);
    let unix = socket.domain()? == Domain::UNIX;
    match socket.r#type()? {
        Type::STREAM if socket.is_listener()? => {
            let transport = if unix { Transport::Unix } else { Transport::Tcp };
            taken.listeners.push(Listener::new(socket, transport, Vec::new(), None)?);
        }
        Type::DGRAM => {
            let transport = if unix { Transport::Unixgram } else { Transport::Udp };
            taken.datagrams.push(DatagramSocket::new(socket, transport, Vec::new(), None)?);
        }
        _ => return Err(io::ErrorKind::InvalidInput.into()),
    }
    Ok(())
}

/// Tells the service manager that we are ready, stopping or reloading; nothing where there is none.
pub fn notify(state: State) {
    let message = match state {
        State::Ready => sd_notify::NotifyState::Ready,
        State::Stopping => sd_notify::NotifyState::Stopping,
    };
    // A manager that cannot be reached is not worth failing for: it has its own timeout.
    let _ = sd_notify::notify(&[message]);
}

/// What a service manager is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Every endpoint listens.
    Ready,
    /// No new connections are taken.
    Stopping,
}
