//! Where a socket is: the endpoint grammar (`tcp://HOST:PORT`, `unix:PATH`, …), parsed and shown.

use std::ffi::OsStr;
use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::str::FromStr;

use sockeye_limits as limits;

use crate::shown;

/// What carries the bytes of an endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Transport {
    /// A TCP stream (RFC 9293).
    Tcp,
    /// A TCP stream with TLS 1.3 on it.
    Tls,
    /// A Unix-domain stream, unix(7).
    Unix,
    /// UDP datagrams (RFC 768).
    Udp,
    /// Unix-domain datagrams, unix(7).
    Unixgram,
}

impl Transport {
    /// Every transport, in the order of the documentation.
    pub const ALL: [Transport; 5] =
        [Transport::Tcp, Transport::Tls, Transport::Unix, Transport::Udp, Transport::Unixgram];

    /// The name that an endpoint begins with: `tcp`, `tls`, `unix`, `udp` or `unixgram`.
    pub fn scheme(self) -> &'static str {
        match self {
            Transport::Tcp => "tcp",
            Transport::Tls => "tls",
            Transport::Unix => "unix",
            Transport::Udp => "udp",
            Transport::Unixgram => "unixgram",
        }
    }

    /// True where bytes flow without boundaries; false where each message is a datagram.
    pub fn is_stream(self) -> bool {
        matches!(self, Transport::Tcp | Transport::Tls | Transport::Unix)
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scheme())
    }
}

/// Where a socket is, as a user writes it. [`fmt::Display`] writes the long form, which parses to
/// the same value again.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `tcp://HOST:PORT`
    Tcp(HostPort),
    /// `tls://HOST:PORT`
    Tls(HostPort),
    /// `udp://HOST:PORT`
    Udp(HostPort),
    /// `unix:PATH` or `unix:@NAME`
    Unix(UnixName),
    /// `unixgram:PATH` or `unixgram:@NAME`
    Unixgram(UnixName),
}

/// A host, by name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct HostPort {
    /// The host.
    pub host: Host,
    /// The port; 0 asks the system for a free one.
    pub port: u16,
}

/// A host by name or by address.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Host {
    /// A name to resolve.
    Name(String),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, with the zone of a link-local one (`fe80::1%eth0`, RFC 4007).
    V6(Ipv6Addr, Option<String>),
}

/// The name of a Unix-domain socket.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum UnixName {
    /// A path in the file system; 1 to [`limits::UNIX_PATH_MAX`] bytes.
    Path(PathBuf),
    /// A name in Linux's abstract namespace; 1 to [`limits::UNIX_NAME_MAX`] bytes.
    Abstract(Vec<u8>),
}

/// Why a word is not an endpoint: one sentence that says what was wrong and what is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseEndpointError(String);

impl fmt::Display for ParseEndpointError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ParseEndpointError {}

fn wrong<T>(what: impl Into<String>) -> Result<T, ParseEndpointError> {
    Err(ParseEndpointError(what.into()))
}

impl Endpoint {
    /// `tcp://127.0.0.1:PORT`.
    pub fn loopback(port: u16) -> Endpoint {
        Endpoint::Tcp(HostPort { host: Host::V4(Ipv4Addr::LOCALHOST), port })
    }

    /// Parses a command-line word; unlike [`FromStr`] it takes Unix paths that are not UTF-8.
    ///
    /// # Errors
    /// One sentence that says what was wrong and what is right.
    pub fn parse_os(word: &OsStr) -> Result<Endpoint, ParseEndpointError> {
        if let Some(text) = word.to_str() {
            return text.parse();
        }
        let bytes = word.as_bytes();
        if let Some(path) = bytes.strip_prefix(b"unixgram:") {
            return unix_name(path).map(Endpoint::Unixgram);
        }
        let path = bytes.strip_prefix(b"unix:").unwrap_or(bytes);
        if path.contains(&b'/') || path.len() < bytes.len() {
            return unix_name(path).map(Endpoint::Unix);
        }
        wrong("not UTF-8: only a Unix path may hold other bytes; write unix:PATH")
    }

    /// What carries the bytes.
    pub fn transport(&self) -> Transport {
        match self {
            Endpoint::Tcp(_) => Transport::Tcp,
            Endpoint::Tls(_) => Transport::Tls,
            Endpoint::Udp(_) => Transport::Udp,
            Endpoint::Unix(_) => Transport::Unix,
            Endpoint::Unixgram(_) => Transport::Unixgram,
        }
    }

    /// Host and port, for the endpoints that have them.
    pub fn host_port(&self) -> Option<&HostPort> {
        match self {
            Endpoint::Tcp(at) | Endpoint::Tls(at) | Endpoint::Udp(at) => Some(at),
            Endpoint::Unix(_) | Endpoint::Unixgram(_) => None,
        }
    }

    /// The Unix name, for the endpoints that have one.
    pub fn unix_name(&self) -> Option<&UnixName> {
        match self {
            Endpoint::Unix(name) | Endpoint::Unixgram(name) => Some(name),
            _ => None,
        }
    }
}

impl FromStr for Endpoint {
    type Err = ParseEndpointError;

    fn from_str(word: &str) -> Result<Endpoint, ParseEndpointError> {
        if word.is_empty() {
            return wrong("empty: write a port, HOST:PORT, tcp://HOST:PORT or unix:PATH");
        }
        if let Some(rest) = word.strip_prefix("unixgram:") {
            return unix_name(rest.as_bytes()).map(Endpoint::Unixgram);
        }
        if let Some(rest) = word.strip_prefix("unix:") {
            return unix_name(rest.as_bytes()).map(Endpoint::Unix);
        }
        if let Some((scheme, rest)) = word.split_once("://") {
            return match scheme {
                "tcp" => host_port(rest).map(Endpoint::Tcp),
                "tls" => host_port(rest).map(Endpoint::Tls),
                "udp" => host_port(rest).map(Endpoint::Udp),
                _ => wrong(format!(
                    "unknown scheme {:?}: it is one of tcp://, udp://, tls://, unix:, unixgram:",
                    scheme
                )),
            };
        }
        if word.bytes().all(|b| b.is_ascii_digit()) {
            return port(word).map(Endpoint::loopback);
        }
        if word.contains('/') {
            return unix_name(word.as_bytes()).map(Endpoint::Unix);
        }
        host_port(word).map(Endpoint::Tcp)
    }
}

fn unix_name(bytes: &[u8]) -> Result<UnixName, ParseEndpointError> {
    if let Some(name) = bytes.strip_prefix(b"@") {
        return match name.len() {
            0 => wrong("no name after @: write unix:@NAME"),
            1..=limits::UNIX_NAME_MAX => Ok(UnixName::Abstract(name.to_vec())),
            n => wrong(format!(
                "the abstract name is {n} bytes long: at most {} fit into a socket address",
                limits::UNIX_NAME_MAX
            )),
        };
    }
    if bytes.contains(&0) {
        return wrong("the path holds a NUL byte: no path may");
    }
    match bytes.len() {
        0 => wrong("no path: write unix:PATH, for example unix:./s.sock"),
        1..=limits::UNIX_PATH_MAX => Ok(UnixName::Path(PathBuf::from(OsStr::from_bytes(bytes)))),
        n => wrong(format!(
            "the path is {n} bytes long: at most {} fit into a socket address; use a relative or \
             shorter path",
            limits::UNIX_PATH_MAX
        )),
    }
}

fn port(text: &str) -> Result<u16, ParseEndpointError> {
    if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) {
        return wrong(format!("{text:?} is not a port: a port is a number from 0 to 65535"));
    }
    text.parse().or_else(|_| wrong(format!("port {text} is out of range: it is 0 to 65535")))
}

fn host_port(text: &str) -> Result<HostPort, ParseEndpointError> {
    if let Some(rest) = text.strip_prefix('[') {
        let Some((address, after)) = rest.split_once(']') else {
            return wrong("no closing bracket: write [::1]:9000");
        };
        let Some(number) = after.strip_prefix(':') else {
            return wrong("no port after the bracket: write [::1]:9000");
        };
        return Ok(HostPort { host: v6(address)?, port: port(number)? });
    }
    let Some((host, number)) = text.rsplit_once(':') else {
        let port = limits::DEFAULT_PORT;
        if text.ends_with(".sock") {
            let right = shown::line(text);
            return wrong(format!("{text:?} has no port: write ./{right} for a Unix socket"));
        }
        let right = shown::line(text);
        return wrong(format!("{text:?} has no port: write {right}:{port}"));
    };
    if host.contains(':') {
        let (ip, port) = match (host.parse::<Ipv6Addr>(), port(number)) {
            (Ok(ip), Ok(port)) => (ip, port),
            _ => (text.parse().unwrap_or(Ipv6Addr::LOCALHOST), limits::DEFAULT_PORT),
        };
        return wrong(format!("an IPv6 address stands in brackets: write [{ip}]:{port}"));
    }
    Ok(HostPort { host: host_name(host)?, port: port(number)? })
}

fn v6(text: &str) -> Result<Host, ParseEndpointError> {
    let (address, zone) = match text.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text, None),
    };
    if zone
        .is_some_and(|z| z.is_empty() || z.len() > 15 || !z.bytes().all(|b| b.is_ascii_graphic()))
    {
        return wrong("after % stands the name of an interface: write [fe80::1%eth0]:9000");
    }
    match address.parse() {
        Ok(address) => Ok(Host::V6(address, zone.map(str::to_owned))),
        Err(_) => wrong(format!("{address:?} is not an IPv6 address: write [::1]:9000")),
    }
}

fn host_name(text: &str) -> Result<Host, ParseEndpointError> {
    if text.is_empty() {
        return Ok(Host::V4(Ipv4Addr::LOCALHOST));
    }
    if let Ok(address) = text.parse() {
        return Ok(Host::V4(address));
    }
    if text == "*" {
        return wrong("for all addresses write [::]:PORT (both families) or 0.0.0.0:PORT");
    }
    if text.len() > limits::HOST_NAME_MAX {
        return wrong(format!(
            "the host name is {} bytes long: at most {} are allowed",
            text.len(),
            limits::HOST_NAME_MAX
        ));
    }
    let fits = |c: char| c.is_alphanumeric() || matches!(c, '-' | '.' | '_');
    if !text.chars().all(fits) {
        return wrong(format!("{text:?} is not a host name: it has letters, digits, - and ."));
    }
    Ok(Host::Name(text.to_owned()))
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Endpoint::Tcp(at) => write!(f, "tcp://{at}"),
            Endpoint::Tls(at) => write!(f, "tls://{at}"),
            Endpoint::Udp(at) => write!(f, "udp://{at}"),
            Endpoint::Unix(name) => write!(f, "unix:{name}"),
            Endpoint::Unixgram(name) => write!(f, "unixgram:{name}"),
        }
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Host::Name(name) => f.write_str(name),
            Host::V4(address) => write!(f, "{address}"),
            Host::V6(address, None) => write!(f, "[{address}]"),
            Host::V6(address, Some(zone)) => write!(f, "[{address}%{zone}]"),
        }
    }
}

/// A path of UTF-8 without control characters is shown as it is; other bytes are shown escaped,
/// for a person to read.
impl fmt::Display for UnixName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = match self {
            UnixName::Path(path) => path.as_os_str().as_bytes(),
            UnixName::Abstract(name) => {
                f.write_str("@")?;
                name
            }
        };
        f.write_str(&shown::bytes(bytes))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown_as(word: &str) -> String {
        word.parse::<Endpoint>().unwrap().to_string()
    }

    /// E1, E2: every long and short form.
    #[test]
    fn forms() {
        assert_eq!(shown_as("9000"), "tcp://127.0.0.1:9000");
        assert_eq!(shown_as("0"), "tcp://127.0.0.1:0");
        assert_eq!(shown_as(":9000"), "tcp://127.0.0.1:9000");
        assert_eq!(shown_as("example.com:80"), "tcp://example.com:80");
        assert_eq!(shown_as("[::1]:9000"), "tcp://[::1]:9000");
        assert_eq!(shown_as("udp://[fe80::1%eth0]:53"), "udp://[fe80::1%eth0]:53");
        assert_eq!(shown_as("tls://localhost:9022"), "tls://localhost:9022");
        assert_eq!(shown_as("./s.sock"), "unix:./s.sock");
        assert_eq!(shown_as("/tmp/s"), "unix:/tmp/s");
        assert_eq!(shown_as("unix:s"), "unix:s");
        assert_eq!(shown_as("unix:@n"), "unix:@n");
        assert_eq!(shown_as("unixgram:/run/log"), "unixgram:/run/log");
    }

    /// E1: what is wrong is said with what is right.
    #[test]
    fn refusals() {
        for (word, says) in [
            ("", "empty"),
            ("localhost", "localhost:9000"),
            ("s.sock", "./s.sock"),
            ("fe80::1", "[fe80::1]:9000"),
            ("65536", "0 to 65535"),
            ("localhost:99999", "0 to 65535"),
            ("localhost:", "not a port"),
            ("localhost:+1", "not a port"),
            ("::1:9000", "brackets"),
            ("[::1]", "no port"),
            ("[::1", "closing bracket"),
            ("[127.0.0.1]:1", "not an IPv6 address"),
            ("http://x:1", "unknown scheme"),
            ("unix:", "no path"),
            ("unix:@", "no name"),
            ("*:80", "[::]:PORT"),
            ("a b:80", "not a host name"),
            ("tcp://h:1/x", "not a port"),
        ] {
            let error = word.parse::<Endpoint>().expect_err(word).to_string();
            assert!(error.contains(says), "{word:?} gave {error:?}, which lacks {says:?}");
            assert!(!error.contains('\n'), "{error:?} is one line");
        }
    }

    /// E1, fault 23: 107 bytes are a path, 108 and 109 are not.
    #[test]
    fn path_lengths() {
        for (len, fits) in [(106, true), (107, true), (108, false), (109, false)] {
            let word = format!("unix:/{}", "x".repeat(len - 1));
            assert_eq!(word.parse::<Endpoint>().is_ok(), fits, "{len} bytes");
        }
    }

    /// E1: a path that is not UTF-8 is a path all the same.
    #[test]
    fn other_bytes() {
        let word = OsStr::from_bytes(b"unix:/tmp/\xff");
        let Endpoint::Unix(UnixName::Path(path)) = Endpoint::parse_os(word).unwrap() else {
            panic!("a Unix path")
        };
        assert_eq!(path.as_os_str().as_bytes(), b"/tmp/\xff");
        assert!(Endpoint::parse_os(OsStr::from_bytes(b"ho\xffst:1")).is_err());
    }

    fn hosts() -> impl Strategy<Value = Host> {
        prop_oneof![
            "[a-z][a-z0-9-]{0,20}(\\.[a-z]{1,8}){0,3}".prop_map(Host::Name),
            any::<u32>().prop_map(|n| Host::V4(n.into())),
            (any::<u128>(), proptest::option::of("[a-z]{1,8}[0-9]{0,3}"))
                .prop_map(|(n, zone)| Host::V6(n.into(), zone)),
        ]
    }

    fn endpoints() -> impl Strategy<Value = Endpoint> {
        let inet = || (hosts(), any::<u16>()).prop_map(|(host, port)| HostPort { host, port });
        let name = || {
            prop_oneof![
                "[a-zA-Z0-9_./ -]{1,107}".prop_map(|p| UnixName::Path(p.into())),
                "[a-zA-Z0-9_./ -]{1,107}".prop_map(|n| UnixName::Abstract(n.into_bytes())),
            ]
        };
        prop_oneof![
            inet().prop_map(Endpoint::Tcp),
            inet().prop_map(Endpoint::Tls),
            inet().prop_map(Endpoint::Udp),
            name().prop_map(Endpoint::Unix),
            name().prop_map(Endpoint::Unixgram),
        ]
    }

    proptest! {
        /// E1: what is shown parses to the same endpoint again.
        #[test]
        fn round_trip(endpoint in endpoints()) {
            prop_assert_eq!(endpoint.to_string().parse::<Endpoint>(), Ok(endpoint));
        }

        /// Q4: no word makes the parser panic, and what it takes, it shows so that it takes it again.
        #[test]
        fn any_word(word in "\\PC{0,60}") {
            if let Ok(endpoint) = word.parse::<Endpoint>() && !word.chars().any(shown::is_hazard) {
                prop_assert_eq!(endpoint.to_string().parse::<Endpoint>(), Ok(endpoint));
            }
        }
    }
}
