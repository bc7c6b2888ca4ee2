//! The table of socket options: name, meaning, kind of value, which sockets have it, how it is set
//! and read.

use std::io;
use std::time::Duration;

use socket2::{Domain, Socket, TcpKeepalive};

use super::{Kind, On, Row, Value};

macro_rules! option {
    ($name:literal, $about:literal, $kind:expr, $on:ident, $variant:ident, $set:expr, $get:expr) => {
        Row {
            name: $name,
            about: $about,
            kind: $kind,
            on: On::$on,
            set: |socket, value| match value {
                #[allow(clippy::redundant_closure_call)]
                Value::$variant(value) => $set(socket, value),
                _ => Err(io::ErrorKind::InvalidInput.into()),
            },
            #[allow(clippy::redundant_closure_call)]
            get: |socket| $get(socket).map(Value::$variant),
        }
    };
}

const COUNT: Kind = Kind::Number { max: u32::MAX };
const CONGESTION: &[&str] = &["cubic", "reno", "bbr", "dctcp", "htcp", "vegas", "westwood"];

/// Every option, in the order of the help.
pub(super) static TABLE: &[Row] = &[
    option!(
        "nodelay",
        "send small segments at once, TCP_NODELAY, tcp(7)",
        Kind::Switch,
        Tcp,
        Switch,
        Socket::set_tcp_nodelay,
        Socket::tcp_nodelay
    ),
    option!(
        "cork",
        "hold back partial segments, TCP_CORK, tcp(7)",
        Kind::Switch,
        Tcp,
        Switch,
        Socket::set_tcp_cork,
        Socket::tcp_cork
    ),
    option!(
        "quickack",
        "acknowledge at once, TCP_QUICKACK, tcp(7); not permanent",
        Kind::Switch,
        Tcp,
        Switch,
        Socket::set_tcp_quickack,
        Socket::tcp_quickack
    ),
    option!(
        "rcvbuf",
        "receive buffer, SO_RCVBUF, socket(7); Linux doubles it",
        Kind::Bytes,
        Any,
        Bytes,
        Socket::set_recv_buffer_size,
        Socket::recv_buffer_size
    ),
    option!(
        "sndbuf",
        "send buffer, SO_SNDBUF, socket(7); Linux doubles it",
        Kind::Bytes,
        Any,
        Bytes,
        Socket::set_send_buffer_size,
        Socket::send_buffer_size
    ),
    option!(
        "keepalive",
        "probe a silent peer after this long, SO_KEEPALIVE and TCP_KEEPIDLE",
        Kind::Span,
        Tcp,
        Span,
        set_keepalive,
        keepalive
    ),
    option!(
        "keepintvl",
        "pause between two probes, TCP_KEEPINTVL, tcp(7)",
        Kind::Span,
        Tcp,
        Span,
        set_keepalive_interval,
        |s: &Socket| s.tcp_keepalive_interval().map(Some)
    ),
    option!(
        "keepcnt",
        "probes without answer before the end, TCP_KEEPCNT, tcp(7)",
        Kind::Number { max: 127 },
        Tcp,
        Number,
        |s: &Socket, n| s.set_tcp_keepalive(&TcpKeepalive::new().with_retries(n)),
        Socket::tcp_keepalive_retries
    ),
    option!(
        "user-timeout",
        "give up when sent data stays unacknowledged, TCP_USER_TIMEOUT, tcp(7)",
        Kind::Span,
        Tcp,
        Span,
        Socket::set_tcp_user_timeout,
        Socket::tcp_user_timeout
    ),
    option!(
        "linger",
        "close waits this long; 0 resets (RST), SO_LINGER, socket(7)",
        Kind::Span,
        Any,
        Span,
        Socket::set_linger,
        Socket::linger
    ),
    option!(
        "mss",
        "maximum segment size, TCP_MAXSEG, tcp(7)",
        Kind::Number { max: 65_535 },
        Tcp,
        Number,
        Socket::set_tcp_mss,
        Socket::tcp_mss
    ),
    option!(
        "notsent-lowat",
        "unsent bytes before a write waits, TCP_NOTSENT_LOWAT, tcp(7)",
        COUNT,
        Tcp,
        Number,
        Socket::set_tcp_notsent_lowat,
        Socket::tcp_notsent_lowat
    ),
    option!(
        "congestion",
        "congestion control, TCP_CONGESTION, tcp(7)",
        Kind::Word(CONGESTION),
        Tcp,
        Word,
        |s: &Socket, word: &str| s.set_tcp_congestion(word.as_bytes()),
        congestion
    ),
    option!(
        "reuseaddr",
        "bind over TIME_WAIT, SO_REUSEADDR, socket(7); always on for TCP servers",
        Kind::Switch,
        Any,
        Switch,
        Socket::set_reuse_address,
        Socket::reuse_address
    ),
    option!(
        "reuseport",
        "share an address with sockets of the same user, SO_REUSEPORT, socket(7)",
        Kind::Switch,
        Inet,
        Switch,
        Socket::set_reuse_port,
        Socket::reuse_port
    ),
    option!(
        "broadcast",
        "datagrams to broadcast addresses, SO_BROADCAST, socket(7)",
        Kind::Switch,
        Inet,
        Switch,
        Socket::set_broadcast,
        Socket::broadcast
    ),
    option!(
        "v6only",
        "an IPv6 socket takes no IPv4, IPV6_V6ONLY, ipv6(7)",
        Kind::Switch,
        Inet,
        Switch,
        Socket::set_only_v6,
        Socket::only_v6
    ),
    option!(
        "ttl",
        "hops that a packet may take, IP_TTL or IPV6_UNICAST_HOPS, ip(7)",
        Kind::Number { max: 255 },
        Inet,
        Number,
        set_ttl,
        ttl
    ),
    option!(
        "tos",
        "type of service or traffic class, IP_TOS or IPV6_TCLASS, ip(7)",
        Kind::Number { max: 255 },
        Inet,
        Number,
        set_tos,
        tos
    ),
    option!(
        "priority",
        "queueing priority, SO_PRIORITY, socket(7)",
        COUNT,
        Any,
        Number,
        Socket::set_priority,
        Socket::priority
    ),
    option!(
        "mark",
        "routing mark, SO_MARK, socket(7); needs CAP_NET_ADMIN",
        COUNT,
        Any,
        Number,
        Socket::set_mark,
        Socket::mark
    ),
    option!(
        "freebind",
        "bind an address that is not there yet, IP_FREEBIND, ip(7)",
        Kind::Switch,
        Inet,
        Switch,
        Socket::set_freebind_v4,
        Socket::freebind_v4
    ),
];

fn keepalive(socket: &Socket) -> io::Result<Option<Duration>> {
    if socket.keepalive()? { socket.tcp_keepalive_time().map(Some) } else { Ok(None) }
}

fn set_keepalive(socket: &Socket, span: Option<Duration>) -> io::Result<()> {
    match span {
        Some(idle) => socket.set_tcp_keepalive(&TcpKeepalive::new().with_time(idle)),
        None => socket.set_keepalive(false),
    }
}

fn set_keepalive_interval(socket: &Socket, span: Option<Duration>) -> io::Result<()> {
    let interval = span.unwrap_or(Duration::from_secs(75));
    let was_on = socket.keepalive()?;
    socket.set_tcp_keepalive(&TcpKeepalive::new().with_interval(interval))?;
    socket.set_keepalive(was_on)
}

fn congestion(socket: &Socket) -> io::Result<&'static str> {
    let name = socket.tcp_congestion()?;
    let known = CONGESTION.iter().find(|word| name.starts_with(word.as_bytes()));
    known.copied().ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn is_v6(socket: &Socket) -> io::Result<bool> {
    Ok(socket.domain()? == Domain::IPV6)
}

fn set_ttl(socket: &Socket, hops: u32) -> io::Result<()> {
    if is_v6(socket)? { socket.set_unicast_hops_v6(hops) } else { socket.set_ttl_v4(hops) }
}

fn ttl(socket: &Socket) -> io::Result<u32> {
    if is_v6(socket)? { socket.unicast_hops_v6() } else { socket.ttl_v4() }
}

fn set_tos(socket: &Socket, tos: u32) -> io::Result<()> {
    if is_v6(socket)? { socket.set_tclass_v6(tos) } else { socket.set_tos_v4(tos) }
}

fn tos(socket: &Socket) -> io::Result<u32> {
    if is_v6(socket)? { socket.tclass_v6() } else { socket.tos_v4() }
}
