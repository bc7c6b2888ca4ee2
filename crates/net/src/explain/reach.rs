//! Why a connection cannot be made, as far as this machine can tell.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::unix::fs::FileTypeExt;

use super::Explained;
use crate::endpoint::{Endpoint, Host, UnixName};
use crate::sys::holder;

/// The ports that connect(2) and bind(2) to port 0 choose from.
const RANGE: &str = "/proc/sys/net/ipv4/ip_local_port_range";

/// A Unix path that nothing listens on.
pub(super) fn refused_unix(endpoint: Option<&Endpoint>) -> Explained {
    let Some(UnixName::Path(path)) = endpoint.and_then(Endpoint::unix_name) else {
        return ("nothing listens under that abstract name".into(), "Start the server".into());
    };
    let socket = fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket());
    if socket { stale() } else { no_socket() }
}

pub(super) fn stale() -> Explained {
    (
        "the socket file is there but no server listens on it (it is stale)".into(),
        "Start the server; it will replace the stale file".into(),
    )
}

pub(super) fn no_socket() -> Explained {
    ("that is no socket but another kind of file".into(), "Check the path".into())
}

/// Nothing answered.
pub(super) fn no_answer(endpoint: Option<&Endpoint>) -> Explained {
    match endpoint {
        Some(Endpoint::Unix(_) | Endpoint::Unixgram(_)) => queue_full_unix(),
        // connect(2) of UDP sends nothing: what it lacks is a port of its own.
        Some(Endpoint::Udp(_)) => no_port_to_bind(),
        _ => silence(endpoint.and_then(waiting_here)),
    }
}

/// Connections that wait in the accept queue, where the address is one of this machine's.
fn waiting_here(endpoint: &Endpoint) -> Option<u32> {
    let ip = literal(endpoint)?;
    // Only an address of our own can be bound.
    UdpSocket::bind((ip, 0)).ok()?;
    holder::accept_queue(endpoint).filter(|waiting| *waiting > 0)
}

pub(super) fn silence(waiting: Option<u32>) -> Explained {
    let cause = match waiting {
        Some(waiting) => format!(
            "timed out: a server listens there but does not accept; its accept queue is full or \
             filling ({waiting} completed connections wait in it)"
        ),
        None => "timed out: nothing answered (the host is down, a firewall drops the packets, or \
                 the server's accept queue is full)"
            .into(),
    };
    let remedy = match waiting {
        Some(_) => {
            "Look with `sockeye ports` what the server does; it needs more workers or a larger \
             --backlog"
        }
        None => "Check host, port and firewall, or raise --timeout",
    };
    (cause, remedy.into())
}

pub(super) fn queue_full_unix() -> Explained {
    (
        "a server listens there but does not accept; its accept queue is full".into(),
        "Look what the server does; it needs more workers or a larger --backlog".into(),
    )
}

/// connect(2) found no address or no port of ours to come from.
pub(super) fn no_port(endpoint: Option<&Endpoint>) -> Explained {
    if !has_route(endpoint) {
        return no_address();
    }
    let Some((low, high)) = range() else { return ports_gone(None) };
    let count = u32::from(high) - u32::from(low) + 1;
    let towards = endpoint
        .and_then(|endpoint| Some(SocketAddr::new(literal(endpoint)?, endpoint.host_port()?.port)));
    let Some(taken) = towards.map(|peer| holder::taken(peer, low..=high)) else {
        return ports_gone(None);
    };
    // Ports that listeners have are no choice either, so that not all need to be connections.
    if taken.ports.saturating_mul(2) < count {
        return pair_taken();
    }
    ports_gone(Some(Ports { low, high, taken: taken.ports, time_wait: taken.time_wait }))
}

/// What is known of the range.
pub(super) struct Ports {
    pub(super) low: u16,
    pub(super) high: u16,
    pub(super) taken: u32,
    pub(super) time_wait: u32,
}

pub(super) fn ports_gone(ports: Option<Ports>) -> Explained {
    let cause = match ports {
        Some(Ports { low, high, taken, time_wait }) => format!(
            "no local port is left: net.ipv4.ip_local_port_range is {low} to {high}, and {taken} of \
             them are taken towards that address, {time_wait} by connections in TIME-WAIT"
        ),
        None => "no local port is left: all of net.ipv4.ip_local_port_range is taken towards that \
                 address, often by connections in TIME-WAIT"
            .into(),
    };
    let remedy =
        "Wait a minute, keep connections open instead of making new ones, or widen the range";
    (cause, remedy.into())
}

/// Port 0 was asked for, or none.
pub(super) fn no_port_to_bind() -> Explained {
    let range = range().map(|(low, high)| format!(" ({low} to {high})")).unwrap_or_default();
    (
        format!("no port is left: all of net.ipv4.ip_local_port_range{range} are taken"),
        "Name a port outside that range, or widen it with `sysctl`".into(),
    )
}

/// A port of those that only root may have.
pub(super) fn privileged_port() -> Option<Explained> {
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").ok()?;
    let first: u16 = first.trim().parse().ok()?;
    Some((
        format!("ports below {first} are for root (net.ipv4.ip_unprivileged_port_start)"),
        format!("Choose a port of {first} or above, or grant CAP_NET_BIND_SERVICE"),
    ))
}

pub(super) fn pair_taken() -> Explained {
    (
        "our own address and port have a connection to that address already, live or in TIME-WAIT"
            .into(),
        "Leave the port out of --source, or wait a minute".into(),
    )
}

pub(super) fn no_address() -> Explained {
    (
        "this machine has no address of that family to reach it from".into(),
        "Try the other family with -4 or -6, or check `ip address`".into(),
    )
}

fn range() -> Option<(u16, u16)> {
    let text = fs::read_to_string(RANGE).ok()?;
    let mut ports = text.split_ascii_whitespace().map(|port| port.parse().ok());
    let (low, high) = (ports.next()??, ports.next()??);
    (low <= high).then_some((low, high))
}

/// The address itself; a name may mean several.
fn literal(endpoint: &Endpoint) -> Option<IpAddr> {
    match endpoint.host_port()?.host {
        Host::V4(ip) => Some(ip.into()),
        Host::V6(ip, _) => Some(ip.into()),
        Host::Name(_) => None,
    }
}

/// True where a local address can reach the endpoint: connecting a datagram socket sends nothing, but
/// needs one.
fn has_route(endpoint: Option<&Endpoint>) -> bool {
    let Some(ip) = endpoint.and_then(literal) else { return true };
    let any: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    UdpSocket::bind((any, 0)).and_then(|socket| socket.connect((ip, 9))).is_ok()
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    /// O4, fault 19: a listener of ours on the wildcard says nothing of another machine's port.
    #[test]
    fn not_ours() {
        let listener = TcpListener::bind("0.0.0.0:0").unwrap();
        let at = |host: &str| -> Endpoint {
            format!("tcp://{host}:{}", listener.local_addr().unwrap().port()).parse().unwrap()
        };
        let ours = at("127.0.0.1");
        assert_eq!(waiting_here(&ours), None, "nobody waits yet");
        let _waits = std::net::TcpStream::connect(ours.to_string().trim_start_matches("tcp://"));
        assert_eq!(waiting_here(&ours), Some(1));
        // TEST-NET-1, RFC 5737: nobody's.
        assert_eq!(waiting_here(&at("192.0.2.1")), None);
        let (cause, _) = no_answer(Some(&at("192.0.2.1")));
        assert!(cause.contains("nothing answered"), "{cause}");
    }
}
