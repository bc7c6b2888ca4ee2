//! Addresses that sockets have: what a name resolved to, what bind got, and who the peer is.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::unix::ffi::OsStrExt;

use socket2::SockAddr;

use crate::endpoint::{Endpoint, Host, HostPort, Transport, UnixName};

/// The address of a socket: resolved, no names left.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// An IP address and a port.
    Inet(SocketAddr),
    /// A Unix path or abstract name.
    Unix(UnixName),
    /// A Unix socket without a name, as a connecting client's usually is.
    Unnamed,
}

impl Address {
    /// The address as the operating system's calls take it.
    ///
    /// # Errors
    /// `InvalidInput` where a Unix name is too long.
    pub fn to_sockaddr(&self) -> io::Result<SockAddr> {
        match self {
            Address::Inet(address) => Ok((*address).into()),
            Address::Unix(UnixName::Path(path)) => SockAddr::unix(path),
            Address::Unix(UnixName::Abstract(name)) => {
                let mut bytes = vec![0];
                bytes.extend_from_slice(name);
                SockAddr::unix(std::ffi::OsStr::from_bytes(&bytes))
            }
            // An address of nothing but its family: Linux chooses an abstract name on bind, unix(7).
            Address::Unnamed => SockAddr::unix(""),
        }
    }

    /// What the operating system's calls gave.
    pub fn from_sockaddr(address: &SockAddr) -> Address {
        if let Some(inet) = address.as_socket() {
            return Address::Inet(inet);
        }
        if let Some(path) = address.as_pathname() {
            return Address::Unix(UnixName::Path(path.to_owned()));
        }
        match address.as_abstract_namespace() {
            Some(name) => Address::Unix(UnixName::Abstract(name.to_vec())),
            None => Address::Unnamed,
        }
    }

    /// The IP address and port, where there is one.
    pub fn inet(&self) -> Option<SocketAddr> {
        match self {
            Address::Inet(address) => Some(*address),
            _ => None,
        }
    }

    /// The endpoint that names this address.
    pub fn to_endpoint(&self, transport: Transport) -> Endpoint {
        match self {
            Address::Inet(address) => {
                let host = match address {
                    SocketAddr::V4(v4) => Host::V4(*v4.ip()),
                    SocketAddr::V6(v6) => {
                        let zone = (v6.scope_id() != 0).then(|| v6.scope_id().to_string());
                        Host::V6(*v6.ip(), zone)
                    }
                };
                let at = HostPort { host, port: address.port() };
                match transport {
                    Transport::Udp => Endpoint::Udp(at),
                    Transport::Tls => Endpoint::Tls(at),
                    _ => Endpoint::Tcp(at),
                }
            }
            Address::Unix(name) if transport == Transport::Unixgram => {
                Endpoint::Unixgram(name.clone())
            }
            Address::Unix(name) => Endpoint::Unix(name.clone()),
            Address::Unnamed => Endpoint::Unix(UnixName::Abstract(Vec::new())),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet(address) => write!(f, "{address}"),
            Address::Unix(name) => write!(f, "unix:{name}"),
            Address::Unnamed => f.write_str("unix"),
        }
    }
}

/// Who is at the other end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Its address.
    pub address: Address,
    /// On a Unix stream: process and user as the kernel saw them at connect (SO_PEERCRED).
    pub credentials: Option<Credentials>,
}

/// The process and user behind a Unix socket, at the time it connected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Credentials {
    /// Process number, as our process namespace shows it; 0 where it cannot.
    pub pid: u32,
    /// User number.
    pub uid: u32,
    /// Group number.
    pub gid: u32,
}

impl From<Address> for Peer {
    fn from(address: Address) -> Peer {
        Peer { address, credentials: None }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.credentials {
            Some(c) => write!(f, "{} pid {} uid {}", self.address, c.pid, c.uid),
            None => self.address.fmt(f),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// E1: addresses survive the way through the system's form.
    #[test]
    fn sockaddr_round_trip() {
        for word in ["tcp://127.0.0.1:1", "tcp://[::1]:65535"] {
            let endpoint: Endpoint = word.parse().unwrap();
            let at = endpoint.host_port().unwrap();
            let ip = match &at.host {
                Host::V4(ip) => (*ip).into(),
                Host::V6(ip, _) => (*ip).into(),
                Host::Name(_) => unreachable!("these are addresses"),
            };
            let address = Address::Inet(SocketAddr::new(ip, at.port));
            let back = Address::from_sockaddr(&address.to_sockaddr().unwrap());
            assert_eq!(back.to_endpoint(Transport::Tcp), endpoint);
        }
        for word in ["unix:/tmp/x", "unix:@name"] {
            let endpoint: Endpoint = word.parse().unwrap();
            let address = Address::Unix(endpoint.unix_name().unwrap().clone());
            let back = Address::from_sockaddr(&address.to_sockaddr().unwrap());
            assert_eq!(back.to_endpoint(Transport::Unix), endpoint);
        }
        let unnamed = Address::Unnamed.to_sockaddr().unwrap();
        assert_eq!(Address::from_sockaddr(&unnamed), Address::Unnamed);
    }
}
