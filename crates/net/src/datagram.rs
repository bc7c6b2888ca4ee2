//! Datagram sockets that receive: UDP and Unix.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};

use socket2::{Socket, Type};

use crate::address::Address;
use crate::endpoint::{Endpoint, Transport};
use crate::error::{Error, Operation};
use crate::listen::{BindOptions, HasLocal, on_each_address, open};
use crate::options::{self, Applied, SocketOption};
use crate::sys;
use crate::unix_file::SocketFile;

/// A bound datagram socket.
#[derive(Debug)]
pub struct DatagramSocket {
    /// Before the socket: while the file is removed, nobody may find it stale.
    _file: Option<SocketFile>,
    socket: Socket,
    transport: Transport,
    local: Address,
    applied: Vec<Applied>,
    packet_info: bool,
}

/// Binds a datagram socket on every address of the endpoint.
///
/// SO_REUSEADDR is never set: on unicast UDP a second socket would steal the datagrams of the
/// first. On a wildcard address the local address of each datagram is asked for, so that answers
/// leave from the address that was asked.
///
/// # Errors
/// The explained failure of resolving or binding; nothing stays bound then.
pub fn bind_datagram(endpoint: &Endpoint, how: &BindOptions) -> Result<Vec<DatagramSocket>, Error> {
    let transport = endpoint.transport();
    on_each_address(endpoint, how.family, |address| {
        let at = address.to_endpoint(transport);
        let nothing = |_: &Socket| Ok(());
        let (socket, applied, file) = open(address, Type::DGRAM, &at, how, nothing, nothing)?;
        DatagramSocket::new(socket, transport, applied, file)
    })
}

impl HasLocal for DatagramSocket {
    fn local(&self) -> &Address {
        &self.local
    }
}

impl DatagramSocket {
    pub(crate) fn new(
        socket: Socket,
        transport: Transport,
        applied: Vec<Applied>,
        file: Option<SocketFile>,
    ) -> Result<DatagramSocket, Error> {
        let failed = |error| Error::new(Operation::Bind, transport, error);
        let local = Address::from_sockaddr(&socket.local_addr().map_err(failed)?);
        let wildcard = local.inet().filter(|inet| inet.ip().is_unspecified());
        if let Some(inet) = wildcard {
            sys::enable_packet_info(&socket, inet.is_ipv6()).map_err(failed)?;
        }
        let packet_info = wildcard.is_some();
        Ok(DatagramSocket { _file: file, socket, transport, local, applied, packet_info })
    }

    /// The endpoint that it is really bound to, its port known.
    pub fn endpoint(&self) -> Endpoint {
        self.local.to_endpoint(self.transport)
    }

    /// What carries its datagrams.
    pub fn transport(&self) -> Transport {
        self.transport
    }

    /// The options that were asked for, as they became.
    pub fn applied(&self) -> &[Applied] {
        &self.applied
    }

    /// True where each datagram tells which of our addresses it was sent to.
    pub fn has_packet_info(&self) -> bool {
        self.packet_info
    }

    /// Sets options on a socket that was bound elsewhere, and reads each back.
    ///
    /// # Errors
    /// [`Operation::SetOption`].
    pub fn tune(&mut self, options: &[SocketOption]) -> Result<(), Error> {
        self.applied.extend(options::apply(&self.socket, options, &self.endpoint())?);
        Ok(())
    }

    /// Wakes every thread that waits to receive: it gets nothing, now and ever after.
    pub fn wake(&self) {
        // "Not connected" is what Linux says of an unconnected socket that it has shut down.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }

    /// True where a datagram is there now: poll(2) without waiting.
    ///
    /// # Errors
    /// As poll(2).
    pub fn is_readable(&self) -> io::Result<bool> {
        sys::wait_readable(&self.socket, Some(std::time::Duration::ZERO))
    }

    /// Waits until a datagram is there: poll(2).
    ///
    /// # Errors
    /// As poll(2).
    pub fn wait_readable(&self) -> io::Result<bool> {
        sys::wait_readable(&self.socket, None)
    }

    /// Waits until a datagram can be sent: poll(2).
    ///
    /// # Errors
    /// As poll(2).
    pub fn wait_writable(&self) -> io::Result<bool> {
        sys::wait_writable(&self.socket, None)
    }

    /// Makes calls on the socket wait (false) or return `WouldBlock` (true), for every descriptor
    /// of it.
    ///
    /// # Errors
    /// As fcntl(2).
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        self.socket.set_nonblocking(nonblocking)
    }

    /// Datagrams that were lost because the receive buffer was full.
    ///
    /// # Errors
    /// As getsockopt(2).
    pub fn drops(&self) -> io::Result<u32> {
        sys::receive_drops(&self.socket)
    }
}

impl fmt::Display for DatagramSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.endpoint().fmt(f)
    }
}

impl AsFd for DatagramSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for DatagramSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fault 22: a second bind of a UDP address is refused, on the wildcard too.
    #[test]
    fn second_bind() {
        let how = BindOptions::default();
        let first = bind_datagram(&"udp://127.0.0.1:0".parse().unwrap(), &how).unwrap();
        let port = first[0].local.inet().unwrap().port();
        for other in [format!("udp://127.0.0.1:{port}"), format!("udp://0.0.0.0:{port}")] {
            let error = bind_datagram(&other.parse().unwrap(), &how).unwrap_err();
            assert_eq!(error.source.kind(), io::ErrorKind::AddrInUse, "{other}");
        }
    }
}
