//! The table of socket errors: for each error number one sentence of cause and one of remedy.
//!
//! Causes that need a look at the system (who holds an address) are found in [`crate::sys::holder`].

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::os::unix::fs::FileTypeExt;

use rustix::io::Errno;

use crate::endpoint::{Endpoint, Host, UnixName};
use crate::error::Operation;
use crate::shown;
use crate::sys::holder;

/// The cause and the remedy of an error of `operation` on `endpoint`.
pub(crate) fn explain(operation: Operation, endpoint: &str, error: &io::Error) -> (String, String) {
    let Some(errno) = error.raw_os_error().map(Errno::from_raw_os_error) else {
        return plain(error);
    };
    if errno == Errno::ADDRINUSE {
        return in_use(endpoint);
    }
    if let Some((cause, remedy)) = by_operation(operation, errno, endpoint) {
        return (cause, remedy.into());
    }
    let (cause, remedy) = match errno {
        Errno::CONNRESET => (
            "the peer reset the connection (RST): it closed with data unread, or it crashed",
            "Look at the peer's log; what was on its way is lost, so send it again",
        ),
        Errno::PIPE => (
            "the peer had closed the connection before we sent",
            "Send only while the peer still reads, or reconnect",
        ),
        Errno::TIMEDOUT => (
            "the peer has stopped answering (nothing acknowledged what we sent)",
            "Check the network between and that the peer is alive",
        ),
        Errno::HOSTUNREACH | Errno::NETUNREACH => (
            "there is no route to that address from here",
            "Check the address and `ip route get ADDRESS`; try the other family with -4 or -6",
        ),
        Errno::NETDOWN => ("the network interface is down", "Bring it up with `ip link set … up`"),
        Errno::ADDRNOTAVAIL => (
            "that address is not one of this machine's",
            "Choose an address that `ip address` lists, or 127.0.0.1",
        ),
        Errno::ACCESS | Errno::PERM => {
            ("permission is denied", "Check the rights to that address or path and any firewall")
        }
        Errno::MFILE => (
            "this process has no descriptors left",
            "Raise the limit with `ulimit -n`, or lower --max-connections",
        ),
        Errno::NFILE => (
            "the whole system has no descriptors left",
            "Close programs, or raise fs.file-max with `sysctl`",
        ),
        Errno::NOBUFS | Errno::NOMEM => (
            "the kernel has no memory left for sockets",
            "Free memory, or lower the socket buffers and the number of connections",
        ),
        Errno::MSGSIZE => (
            "the datagram is too long: at most 65507 bytes over IPv4 and less over most links",
            "Send it in smaller datagrams",
        ),
        Errno::AFNOSUPPORT => (
            "this system does not support that address family",
            "Use the other family with -4 or -6",
        ),
        Errno::INVAL => (
            "the system does not take that value here",
            "Check the value's range and that the option fits this kind of socket",
        ),
        Errno::NOPROTOOPT | Errno::OPNOTSUPP => (
            "this kind of socket does not have that option or operation",
            "Leave it out, or use another transport",
        ),
        Errno::DESTADDRREQ | Errno::NOTCONN => (
            "the socket has no peer",
            "Connect first, or bind the client side so that it can be answered",
        ),
        _ => return plain(error),
    };
    (cause.into(), remedy.into())
}

fn plain(error: &io::Error) -> (String, String) {
    let text = shown::line(&error.to_string());
    (text, "Run again with -v for the steps before it".into())
}

/// Errors whose meaning depends on what was being done.
fn by_operation(
    operation: Operation,
    errno: Errno,
    endpoint: &str,
) -> Option<(String, &'static str)> {
    let parsed: Option<Endpoint> = endpoint.parse().ok();
    let unix = parsed.as_ref().and_then(Endpoint::unix_name).is_some();
    let found = match (operation, errno) {
        (Operation::Connect, Errno::CONNREFUSED) if unix && !is_socket(parsed.as_ref()) => {
            ("that is no socket but another kind of file".into(), "Check the path")
        }
        (Operation::Connect, Errno::CONNREFUSED) if unix => (
            "the socket file is there but no server listens on it (it is stale)".into(),
            "Start the server; it will replace the stale file",
        ),
        (Operation::Connect, Errno::CONNREFUSED) => (
            "connection refused: nothing listens on that port (its host answered with RST)".into(),
            "Start the server, or check host and port",
        ),
        (Operation::Receive | Operation::Send, Errno::CONNREFUSED) => (
            "connection refused: nothing receives on that port (ICMP port unreachable came back)"
                .into(),
            "Start the server, or check host and port",
        ),
        (Operation::Connect, Errno::NOENT) => (
            "there is no socket file of that name".into(),
            "Start the server first, or check the path",
        ),
        (Operation::Connect, Errno::PROTOTYPE) => (
            "the socket at that path is of the other kind (stream against datagram)".into(),
            "Use unix: for a stream and unixgram: for datagrams",
        ),
        (Operation::Connect, Errno::TIMEDOUT | Errno::AGAIN) => {
            (no_answer(parsed.as_ref()), "Check host, port and firewall, or raise --timeout")
        }
        (Operation::Connect, Errno::ADDRNOTAVAIL) if !has_route(parsed.as_ref()) => (
            "this machine has no address of that family to reach it from".into(),
            "Try the other family with -4 or -6, or check `ip address`",
        ),
        (Operation::Connect, Errno::ADDRNOTAVAIL) => (
            "no local port is left: all of net.ipv4.ip_local_port_range is taken towards that \
             address, often by connections in TIME_WAIT"
                .into(),
            "Wait a minute, keep connections open instead of making new ones, or widen the range",
        ),
        (Operation::Bind, Errno::ACCESS) if !unix => (
            "ports below net.ipv4.ip_unprivileged_port_start (1024) are for root".into(),
            "Choose a port of 1024 or above, or grant CAP_NET_BIND_SERVICE",
        ),
        (Operation::Connect, Errno::ACCESS) if unix => (
            "permission is denied: the socket's mode does not let you in, or a directory above it"
                .into(),
            "Run as its owner, or start the server with a wider --mode, such as 0666",
        ),
        (Operation::Bind, Errno::ACCESS) if unix => (
            "permission is denied on that path or a directory above it".into(),
            "Choose a directory that is yours, or ask its owner",
        ),
        (Operation::Bind, Errno::NOENT | Errno::NOTDIR) => (
            "the directory of that path does not exist".into(),
            "Make the directory first, or check the path",
        ),
        (Operation::Bind, Errno::ROFS) => {
            ("that file system is read-only".into(), "Choose a path on a writable one")
        }
        _ => return None,
    };
    Some(found)
}

/// True unless the endpoint is a path at which something else than a socket is.
fn is_socket(endpoint: Option<&Endpoint>) -> bool {
    let Some(UnixName::Path(path)) = endpoint.and_then(Endpoint::unix_name) else { return true };
    std::fs::symlink_metadata(path).is_ok_and(|found| found.file_type().is_socket())
}

/// True where a local address can reach the endpoint: connecting a datagram socket sends nothing, but
/// needs one.
fn has_route(endpoint: Option<&Endpoint>) -> bool {
    let ip: IpAddr = match endpoint.and_then(Endpoint::host_port).map(|at| &at.host) {
        Some(Host::V4(ip)) => (*ip).into(),
        Some(Host::V6(ip, _)) => (*ip).into(),
        _ => return true,
    };
    let any: IpAddr = match ip {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    UdpSocket::bind((any, 0)).and_then(|socket| socket.connect((ip, 9))).is_ok()
}

/// What is known of a connection attempt that nothing answered.
fn no_answer(endpoint: Option<&Endpoint>) -> String {
    let waiting = endpoint.and_then(holder::accept_queue);
    match waiting {
        Some(waiting) if waiting > 0 => format!(
            "timed out: a server listens there but does not accept; its accept queue is full or \
             filling ({waiting} completed connections wait in it)"
        ),
        _ => "timed out: nothing answered (the host is down, a firewall drops the packets, or \
              the server's accept queue is full)"
            .into(),
    }
}

/// Who is in the way of a bind, and what to do about it.
fn in_use(endpoint: &str) -> (String, String) {
    let Ok(parsed) = endpoint.parse::<Endpoint>() else {
        return ("the address is in use".into(), "Choose another port or path".into());
    };
    let elsewhere = if parsed.unix_name().is_some() {
        "choose another path"
    } else {
        "choose another port (0 asks the system for a free one)"
    };
    let holders = holder::of(&parsed);
    let Some(first) = holders.iter().find(|h| h.is_live()).or(holders.first()) else {
        return (
            "the address is in use, by a socket whose owner the system does not show us (another \
             user's, another namespace's, or bound but not listening)"
                .into(),
            format!("Find it as root with `ss -anp`, or {elsewhere}"),
        );
    };
    if let (false, Some(owner)) = (first.is_live(), &first.owner) {
        return (
            format!(
                "the address is in use: a connection of {} (pid {}) uses that port ({})",
                shown::line(&owner.program),
                owner.pid,
                first.state
            ),
            format!("Wait until it is closed, or {elsewhere}"),
        );
    }
    if !first.is_live() {
        let count = holders.len();
        let them = if count == 1 { "a closed connection" } else { "closed connections" };
        return (
            format!(
                "the address is in use: {them} of an earlier server without SO_REUSEADDR \
                 ({count} in {}) held it; both the old and the new socket need that option",
                first.state
            ),
            format!("Wait 60 seconds, set SO_REUSEADDR in the earlier server too, or {elsewhere}"),
        );
    }
    let own = if first.covers_more {
        format!(" on {}, which covers this address", first.local)
    } else if first.local_differs(&parsed) {
        format!(" on {}, which this address would cover", first.local)
    } else {
        String::new()
    };
    match &first.owner {
        Some(owner) if owner.pid == std::process::id() => (
            format!("the address is in use: this same program {}{own}", first.verb()),
            "Name each endpoint once".into(),
        ),
        Some(owner) => (
            format!(
                "the address is in use: {} (pid {}) {}{own}",
                shown::line(&owner.program),
                owner.pid,
                first.verb()
            ),
            format!("Stop it with `kill {}`, or {elsewhere}", owner.pid),
        ),
        None => (
            format!(
                "the address is in use: a process that we may not look into{} {}{own}",
                first.uid.map(|uid| format!(" (user {uid})")).unwrap_or_default(),
                first.verb()
            ),
            format!("Find it as root with `ss -anp`, or {elsewhere}"),
        ),
    }
}
