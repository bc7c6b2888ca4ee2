//! Socket options by their field names (`--set nodelay=on`): one table, set and read back.
//!
//! The names are those of socket(7), ip(7) and tcp(7) in lower case without prefix. Each option is
//! set before bind or connect, where buffers and segment sizes must be, and on a listener, whose
//! accepted sockets inherit it. The value is read back afterwards, because the kernel may clamp.

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use socket2::{Domain, Socket, TcpKeepalive, Type};
use sockeye_limits as limits;

use crate::error::{Error, Operation};
use crate::units;

/// One option with its value, as `--set NAME=VALUE` gives it.
#[derive(Debug, Clone, Copy)]
pub struct SocketOption {
    row: &'static Row,
    value: Value,
}

/// What an option became: asked for, and read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applied {
    /// The option's name.
    pub name: &'static str,
    /// The value that was asked for.
    pub asked: String,
    /// The value that getsockopt(2) gave afterwards.
    pub got: String,
}

impl fmt::Display for Applied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.asked == self.got {
            write!(f, "{}={}", self.name, self.got)
        } else {
            write!(f, "{}={} (asked for {})", self.name, self.got, self.asked)
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    Switch(bool),
    Bytes(usize),
    Number(u32),
    /// `None` is off.
    Span(Option<Duration>),
    Word(&'static str),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Switch,
    Bytes,
    Number { max: u32 },
    Span,
    Word(&'static [&'static str]),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum On {
    Any,
    Inet,
    Tcp,
}

struct Row {
    name: &'static str,
    /// What it is, with its manual page.
    about: &'static str,
    kind: Kind,
    on: On,
    set: fn(&Socket, Value) -> io::Result<()>,
    get: fn(&Socket) -> io::Result<Value>,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

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
static TABLE: &[Row] = &[
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

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Switch(on) => f.write_str(if *on { "on" } else { "off" }),
            Value::Bytes(n) => write!(f, "{n}"),
            Value::Number(n) => write!(f, "{n}"),
            Value::Span(None) => f.write_str("off"),
            Value::Span(Some(span)) => write!(f, "{span:?}"),
            Value::Word(word) => f.write_str(word),
        }
    }
}

impl fmt::Display for SocketOption {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.row.name, self.value)
    }
}

impl FromStr for SocketOption {
    type Err = String;

    fn from_str(text: &str) -> Result<SocketOption, String> {
        let Some((name, value)) = text.split_once('=') else {
            return Err(format!("{text:?} is not NAME=VALUE, for example nodelay=on"));
        };
        let row = Row::named(name)?;
        let value = parse_value(row.kind, value).map_err(|error| format!("{name}: {error}"))?;
        Ok(SocketOption { row, value })
    }
}

fn parse_value(kind: Kind, text: &str) -> Result<Value, String> {
    match kind {
        Kind::Switch => units::switch(text).map(Value::Switch),
        Kind::Bytes => match units::size(text)? {
            n if n <= i32::MAX as u64 => Ok(Value::Bytes(n as usize)),
            _ => Err(format!("{text} is too much: at most 2147483647 bytes")),
        },
        Kind::Number { max } => match text.parse::<u32>() {
            Ok(n) if n <= max => Ok(Value::Number(n)),
            _ => Err(format!("{text:?} is not a number from 0 to {max}")),
        },
        Kind::Span => span(text).map(Value::Span),
        Kind::Word(words) => match words.iter().find(|word| **word == text) {
            Some(word) => Ok(Value::Word(word)),
            None => Err(format!("{text:?} is not one of {}", words.join(", "))),
        },
    }
}

/// `30s`, `500ms`, `2m`, a bare number of seconds, `on` (a default) or `off`.
fn span(text: &str) -> Result<Option<Duration>, String> {
    match text {
        "off" | "no" | "false" => return Ok(None),
        "on" | "yes" | "true" => return Ok(Some(limits::KEEPALIVE_IDLE)),
        _ => {}
    }
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let number: u64 = digits
        .parse()
        .map_err(|_| format!("{text:?} is not a time: write seconds, 30s, 500ms, 2m or off"))?;
    let span = match &text[digits.len()..] {
        "" | "s" => Duration::from_secs(number),
        "ms" => Duration::from_millis(number),
        "m" => Duration::from_secs(number.saturating_mul(60)),
        "h" => Duration::from_secs(number.saturating_mul(3600)),
        unit => return Err(format!("no unit {unit:?}: it is ms, s, m or h")),
    };
    // The kernel counts in int seconds or milliseconds.
    let longest = Duration::from_secs(32_767);
    if span > longest { Err(format!("{text} is too long: at most 32767s")) } else { Ok(Some(span)) }
}

impl SocketOption {
    /// The option's name.
    pub fn name(&self) -> &'static str {
        self.row.name
    }
}

impl Row {
    fn named(name: &str) -> Result<&'static Row, String> {
        TABLE.iter().find(|row| row.name == name).ok_or_else(|| {
            let names: Vec<&str> = TABLE.iter().map(|row| row.name).collect();
            format!("no option {name:?}: it is one of {}", names.join(", "))
        })
    }

    /// True where a socket of this domain and type can have the option.
    fn fits(&self, socket: &Socket) -> io::Result<bool> {
        let inet = matches!(socket.domain()?, Domain::IPV4 | Domain::IPV6);
        Ok(match self.on {
            On::Any => true,
            On::Inet => inet,
            On::Tcp => inet && socket.r#type()? == Type::STREAM,
        })
    }
}

/// Sets the options on a socket in the order given and reads each back. An option that this kind
/// of socket cannot have is an error.
///
/// # Errors
/// [`Operation::SetOption`] with the option's name.
pub fn apply(
    socket: &Socket,
    options: &[SocketOption],
    endpoint: &impl fmt::Display,
) -> Result<Vec<Applied>, Error> {
    options.iter().map(|option| apply_one(socket, option, endpoint)).collect()
}

fn apply_one(
    socket: &Socket,
    option: &SocketOption,
    endpoint: &impl fmt::Display,
) -> Result<Applied, Error> {
    let name = option.row.name;
    let failed = |error| Error::new(Operation::SetOption(name), endpoint, error);
    if !option.row.fits(socket).map_err(failed)? {
        return Err(Error::explained(
            Operation::SetOption(name),
            endpoint,
            io::Error::from_raw_os_error(rustix::io::Errno::NOPROTOOPT.raw_os_error()),
            "this kind of socket does not have that option",
            "Leave it out, or name only TCP endpoints beside it",
        ));
    }
    (option.row.set)(socket, option.value).map_err(failed)?;
    let got = (option.row.get)(socket).map_err(failed)?;
    Ok(Applied { name, asked: option.value.to_string(), got: got.to_string() })
}

/// One option as it is now, by its name, written as [`Applied::got`] is.
///
/// # Errors
/// `InvalidInput` where no option has that name, `ENOPROTOOPT` where this kind of socket does not
/// have it; else as getsockopt(2).
pub(crate) fn read(socket: &Socket, name: &str) -> io::Result<String> {
    let row = Row::named(name).map_err(|e| io::Error::new(io::ErrorKind::InvalidInput, e))?;
    if !row.fits(socket)? {
        return Err(rustix::io::Errno::NOPROTOOPT.into());
    }
    (row.get)(socket).map(|value| value.to_string())
}

/// The names and meanings of all options, for the help.
pub fn table() -> impl Iterator<Item = (&'static str, &'static str)> {
    TABLE.iter().map(|row| (row.name, row.about))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tcp() -> Socket {
        Socket::new(Domain::IPV4, Type::STREAM, None).unwrap()
    }

    /// E5: every option of the table can be set to what it is and is read back.
    #[test]
    fn every_option_reads_back() {
        for row in TABLE {
            let socket = match row.name {
                "v6only" => Socket::new(Domain::IPV6, Type::STREAM, None).unwrap(),
                _ => tcp(),
            };
            let now = (row.get)(&socket).unwrap_or_else(|e| panic!("{}: {e}", row.name));
            if row.name == "mss" || row.name == "mark" || row.name == "congestion" {
                continue; // 0 and an inherited algorithm are readable but not settable by everyone
            }
            let option = SocketOption { row, value: now };
            let applied = apply_one(&socket, &option, &"test").unwrap_or_else(|e| panic!("{e}"));
            assert_eq!(applied.name, row.name);
        }
    }

    /// E5: what the kernel clamps is shown as it became.
    #[test]
    fn clamped() {
        let option: SocketOption = "rcvbuf=1".parse().unwrap();
        let applied = apply(&tcp(), &[option], &"test").unwrap();
        assert_eq!(applied[0].asked, "1");
        assert_ne!(applied[0].got, "1");
        assert!(applied[0].to_string().contains("(asked for 1)"), "{}", applied[0]);
    }

    /// E5: forms of values.
    #[test]
    fn values() {
        for (text, shown) in [
            ("nodelay=on", "nodelay=on"),
            ("rcvbuf=1M", "rcvbuf=1048576"),
            ("linger=0", "linger=0ns"),
            ("linger=off", "linger=off"),
            ("keepalive=30s", "keepalive=30s"),
            ("user-timeout=1500ms", "user-timeout=1.5s"),
        ] {
            assert_eq!(text.parse::<SocketOption>().unwrap().to_string(), shown);
        }
        for bad in [
            "nodelay",
            "nodelay=maybe",
            "nosuch=1",
            "rcvbuf=9G",
            "ttl=256",
            "linger=1x",
            "linger=40000s",
            "congestion=none",
        ] {
            assert!(bad.parse::<SocketOption>().is_err(), "{bad}");
        }
    }

    /// E5: an option of TCP on a Unix socket is an error that names it.
    #[test]
    fn wrong_kind() {
        let unix = Socket::new(Domain::UNIX, Type::STREAM, None).unwrap();
        let option = "nodelay=on".parse().unwrap();
        let error = apply(&unix, &[option], &"unix:x").unwrap_err().to_string();
        assert!(error.contains("set nodelay on unix:x"), "{error}");
    }
}
