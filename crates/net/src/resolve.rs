//! Names become addresses, in bounded time.

use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6, ToSocketAddrs};
use std::time::Duration;

use sockeye_limits as limits;

use crate::endpoint::{Host, HostPort};
use crate::error::{Error, Operation};
use crate::sys;

/// Which address families may be used (`-4`, `-6`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Family {
    /// Both, in the order that the system prefers (RFC 6724).
    #[default]
    Any,
    /// IPv4 only.
    V4,
    /// IPv6 only.
    V6,
}

impl Family {
    /// True where an address of this family may be used.
    pub fn allows(self, address: &IpAddr) -> bool {
        match self {
            Family::Any => true,
            Family::V4 => address.is_ipv4(),
            Family::V6 => address.is_ipv6(),
        }
    }
}

/// The addresses of a host, in the system's order of preference, at least one.
///
/// A name is looked up with getaddrinfo(3) on a thread of its own, because that call has no
/// deadline; after `timeout` it is left behind.
///
/// # Errors
/// [`Operation::Resolve`]: the name is not known, has no address of the family, or the name
/// servers did not answer in time.
pub fn resolve(at: &HostPort, family: Family, timeout: Duration) -> Result<Vec<SocketAddr>, Error> {
    let name = match &at.host {
        Host::Name(name) => name.clone(),
        literal => return one_literal(at, literal, family).map(|address| vec![address]),
    };
    let (sender, receiver) = std::sync::mpsc::channel();
    let target = (name, at.port);
    std::thread::Builder::new()
        .name("resolver".into())
        .spawn(move || sender.send(target.to_socket_addrs().map(Vec::from_iter)))
        .map_err(|error| Error::new(Operation::Resolve, at, error))?;
    let found = match receiver.recv_timeout(timeout) {
        Ok(found) => found.map_err(|error| unknown(at, error))?,
        Err(_) => return Err(too_slow(at, timeout)),
    };
    keep_family(at, found, family)
}

/// As [`resolve`], without holding up an event loop.
///
/// # Errors
/// As [`resolve`].
pub async fn resolve_async(
    at: &HostPort,
    family: Family,
    timeout: Duration,
) -> Result<Vec<SocketAddr>, Error> {
    if !matches!(at.host, Host::Name(_)) {
        return resolve(at, family, timeout);
    }
    let (sender, receiver) = tokio::sync::oneshot::channel();
    let wanted = at.clone();
    std::thread::Builder::new()
        .name("resolve".into())
        .spawn(move || sender.send(resolve(&wanted, family, timeout)))
        .map_err(|error| Error::new(Operation::Resolve, at, error))?;
    receiver.await.unwrap_or_else(|_| Err(too_slow(at, timeout)))
}

fn one_literal(at: &HostPort, host: &Host, family: Family) -> Result<SocketAddr, Error> {
    let address = match host {
        Host::V4(ip) => SocketAddr::new((*ip).into(), at.port),
        Host::V6(ip, zone) => {
            let scope = match zone {
                Some(zone) => sys::interface_index(zone).map_err(|error| {
                    Error::explained(
                        Operation::Resolve,
                        at,
                        error,
                        format!("there is no interface {zone:?}"),
                        "Write an interface that `ip link` lists",
                    )
                })?,
                None => 0,
            };
            SocketAddr::V6(SocketAddrV6::new(*ip, at.port, 0, scope))
        }
        Host::Name(_) => unreachable!("a name is resolved, not read"),
    };
    match family.allows(&address.ip()) {
        true => Ok(address),
        false => Err(no_family(at)),
    }
}

fn keep_family(
    at: &HostPort,
    found: Vec<SocketAddr>,
    family: Family,
) -> Result<Vec<SocketAddr>, Error> {
    let mut kept: Vec<SocketAddr> = Vec::with_capacity(found.len());
    for address in found {
        if family.allows(&address.ip()) && !kept.contains(&address) {
            kept.push(address);
        }
    }
    kept.truncate(limits::DIAL_ADDRESSES);
    if kept.is_empty() { Err(no_family(at)) } else { Ok(kept) }
}

fn unknown(at: &HostPort, error: io::Error) -> Error {
    let cause = format!("the name is not known ({error})");
    Error::explained(Operation::Resolve, at, error, cause, "Check the name and /etc/resolv.conf")
}

fn no_family(at: &HostPort) -> Error {
    let source = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let cause = "it has no address of the family that -4 or -6 asks for";
    Error::explained(Operation::Resolve, at, source, cause, "Leave -4 or -6 out")
}

fn too_slow(at: &HostPort, timeout: Duration) -> Error {
    let cause = format!("no name server answered within {timeout:?}");
    let source = io::Error::from(io::ErrorKind::TimedOut);
    Error::explained(
        Operation::Resolve,
        at,
        source,
        cause,
        "Check /etc/resolv.conf and the network, or write the address instead of the name",
    )
}

/// Orders addresses for Happy Eyeballs (RFC 8305, section 4): families take turns, beginning with
/// the one that the system prefers.
pub fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let Some(first) = addresses.first() else { return addresses };
    let first_is_v6 = first.is_ipv6();
    let count = addresses.len();
    let (preferred, other): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|a| a.is_ipv6() == first_is_v6);
    let mut ordered = Vec::with_capacity(count);
    let (mut preferred, mut other) = (preferred.into_iter(), other.into_iter());
    loop {
        match (preferred.next(), other.next()) {
            (None, None) => return ordered,
            (a, b) => ordered.extend(a.into_iter().chain(b)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(word: &str) -> HostPort {
        word.parse::<crate::Endpoint>().unwrap().host_port().unwrap().clone()
    }

    /// E3: families take turns.
    #[test]
    fn turns() {
        let list = |words: &[&str]| -> Vec<SocketAddr> {
            words.iter().map(|w| w.parse().unwrap()).collect()
        };
        let given = list(&["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1"]);
        assert_eq!(interleave(given), list(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "[::3]:1"]));
        assert_eq!(interleave(vec![]), vec![]);
    }

    /// E3: -4 and -6 pin the family, of names and of addresses.
    #[test]
    fn pinned() {
        let v4 = resolve(&at("localhost:1"), Family::V4, limits::CONNECT_TIMEOUT).unwrap();
        assert!(v4.iter().all(SocketAddr::is_ipv4));
        let error = resolve(&at("127.0.0.1:1"), Family::V6, limits::CONNECT_TIMEOUT).unwrap_err();
        assert!(error.to_string().contains("-4 or -6"), "{error}");
    }

    /// E3: an unknown zone is an error that names it.
    #[test]
    fn unknown_zone() {
        let error = resolve(&at("[fe80::1%nosuch0]:1"), Family::Any, limits::CONNECT_TIMEOUT);
        assert!(error.unwrap_err().to_string().contains("nosuch0"));
    }
}
