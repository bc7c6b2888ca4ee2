//! The errors whose explanation is always the same, by what was being done and on what.

use rustix::io::Errno;

use super::Explained;
use crate::endpoint::Endpoint;
use crate::error::Operation;

/// What was being done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum During {
    Anything,
    Connect,
    Talk,
    Bind,
    Accept,
}

/// On what kind of address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum On {
    Any,
    Inet,
    Unix,
}

/// An error and its explanation.
pub(super) struct Case {
    pub(super) during: During,
    pub(super) on: On,
    pub(super) errno: Errno,
    name: &'static str,
    pub(super) cause: &'static str,
    pub(super) remedy: &'static str,
}

impl Case {
    /// The error's name, errno(3).
    pub(super) fn name(&self) -> &'static str {
        // The one that is spelt differently there.
        if self.errno == Errno::ACCESS { "EACCES" } else { self.name }
    }

    pub(super) fn explained(&self) -> Explained {
        (self.cause.into(), self.remedy.into())
    }
}

/// The first case that fits.
pub(super) fn find(
    operation: Operation,
    errno: Errno,
    endpoint: Option<&Endpoint>,
) -> Option<&'static Case> {
    let unix = endpoint.and_then(Endpoint::unix_name).is_some();
    CASES.iter().find(|case| {
        let during = match case.during {
            During::Anything => true,
            During::Connect => operation == Operation::Connect,
            During::Talk => matches!(operation, Operation::Receive | Operation::Send),
            During::Bind => operation == Operation::Bind,
            During::Accept => operation == Operation::Accept,
        };
        let on = match case.on {
            On::Any => true,
            On::Inet => !unix,
            On::Unix => unix,
        };
        during && on && case.errno == errno
    })
}

macro_rules! case {
    ($during:ident, $on:ident, $errno:ident, $cause:expr, $remedy:expr $(,)?) => {
        Case {
            during: During::$during,
            on: On::$on,
            errno: Errno::$errno,
            name: concat!("E", stringify!($errno)),
            cause: $cause,
            remedy: $remedy,
        }
    };
}

/// What is particular stands before what is general.
pub(super) const CASES: &[Case] = &[
    case!(
        Connect,
        Inet,
        CONNREFUSED,
        "connection refused: nothing listens on that port, or a firewall refuses for it (RST came back)",
        "Start the server, or check host and port",
    ),
    case!(
        Talk,
        Unix,
        CONNREFUSED,
        "connection refused: nobody has the socket at that path open any more",
        "Start the server, or check the path",
    ),
    case!(
        Talk,
        Any,
        CONNREFUSED,
        "connection refused: nothing receives on that port (ICMP port unreachable came back)",
        "Start the server, or check host and port",
    ),
    case!(
        Connect,
        Any,
        NOENT,
        "there is no socket file of that name",
        "Start the server first, or check the path",
    ),
    case!(
        Connect,
        Any,
        PROTOTYPE,
        "the socket at that path is of the other kind (stream against datagram)",
        "Use unix: for a stream and unixgram: for datagrams",
    ),
    case!(
        Connect,
        Unix,
        ACCESS,
        "permission is denied: the socket's mode does not let you in, or a directory above it",
        "Run as its owner, or start the server with a wider --mode, such as 0666",
    ),
    case!(
        Bind,
        Inet,
        ACCESS,
        "ports below net.ipv4.ip_unprivileged_port_start are for root",
        "Choose a port of that number or above, or grant CAP_NET_BIND_SERVICE",
    ),
    case!(
        Bind,
        Unix,
        ACCESS,
        "permission is denied on that path or a directory above it",
        "Choose a directory that is yours, or ask its owner",
    ),
    case!(
        Bind,
        Any,
        NOENT,
        "the directory of that path does not exist",
        "Make the directory first, or check the path",
    ),
    case!(
        Bind,
        Any,
        NOTDIR,
        "the directory of that path does not exist",
        "Make the directory first, or check the path",
    ),
    case!(Bind, Any, ROFS, "that file system is read-only", "Choose a path on a writable one",),
    case!(
        Anything,
        Any,
        NAMETOOLONG,
        "a part of that path is longer than its file system takes (255 bytes on most)",
        "Choose a shorter name",
    ),
    case!(
        Accept,
        Any,
        CONNABORTED,
        "the client gave its connection up before it was accepted",
        "Nothing needs to be done; the next one is served",
    ),
    case!(
        Anything,
        Any,
        CONNRESET,
        "the peer reset the connection (RST): it closed with data unread, chose to (linger 0), or lost \
         the connection (restarted)",
        "Look at the peer's log; what was on its way is lost, so send it again",
    ),
    case!(
        Anything,
        Any,
        PIPE,
        "the peer had closed the connection before we sent",
        "Send only while the peer still reads, or reconnect",
    ),
    case!(
        Anything,
        Any,
        TIMEDOUT,
        "the peer has stopped answering (nothing acknowledged what we sent)",
        "Check the network between and that the peer is alive",
    ),
    case!(
        Anything,
        Any,
        HOSTUNREACH,
        "the host cannot be reached: nothing has that address on its network, or a router or \
         firewall on the way said so",
        "Check the address, that the host is up, and `ip route get ADDRESS`",
    ),
    case!(
        Anything,
        Any,
        NETUNREACH,
        "there is no route to that address from here",
        "Check the address and `ip route get ADDRESS`; try the other family with -4 or -6",
    ),
    case!(
        Anything,
        Any,
        NETDOWN,
        "the network interface is down",
        "Bring it up with `ip link set … up`",
    ),
    case!(
        Anything,
        Any,
        ADDRNOTAVAIL,
        "that address is not one of this machine's",
        "Choose an address that `ip address` lists, or 127.0.0.1",
    ),
    case!(
        Anything,
        Any,
        ACCESS,
        "permission is denied",
        "Check the rights to that address or path and any firewall",
    ),
    case!(
        Anything,
        Any,
        PERM,
        "permission is denied",
        "Check the rights to that address or path and any firewall",
    ),
    case!(
        Anything,
        Any,
        MFILE,
        "this process has no descriptors left",
        "Raise the limit with `ulimit -n`, or lower --max-connections",
    ),
    case!(
        Anything,
        Any,
        NFILE,
        "the whole system has no descriptors left",
        "Close programs, or raise fs.file-max with `sysctl`",
    ),
    case!(
        Anything,
        Any,
        NOBUFS,
        "the kernel has no memory left for sockets",
        "Free memory, or lower the socket buffers and the number of connections",
    ),
    case!(
        Anything,
        Any,
        NOMEM,
        "the kernel has no memory left for sockets",
        "Free memory, or lower the socket buffers and the number of connections",
    ),
    case!(
        Anything,
        Unix,
        MSGSIZE,
        "the datagram is longer than the send buffer takes",
        "Send it in smaller datagrams, or raise the buffer with --set sndbuf",
    ),
    case!(
        Anything,
        Any,
        MSGSIZE,
        "the datagram is too long: UDP carries at most 65507 bytes over IPv4, 65527 over IPv6",
        "Send it in smaller datagrams",
    ),
    case!(
        Anything,
        Any,
        AFNOSUPPORT,
        "this system does not support that address family",
        "Use the other family with -4 or -6",
    ),
    case!(
        Anything,
        Any,
        INVAL,
        "the system does not take that value here",
        "Check the value's range and that the option fits this kind of socket",
    ),
    case!(
        Anything,
        Any,
        NOPROTOOPT,
        "this kind of socket does not have that option or operation",
        "Leave it out, or use another transport",
    ),
    case!(
        Anything,
        Any,
        OPNOTSUPP,
        "this kind of socket does not have that option or operation",
        "Leave it out, or use another transport",
    ),
    case!(
        Anything,
        Any,
        DESTADDRREQ,
        "the socket has no peer",
        "Connect first, or bind the client side so that it can be answered",
    ),
    case!(
        Anything,
        Any,
        NOTCONN,
        "the socket has no peer",
        "Connect first, or bind the client side so that it can be answered",
    ),
];
