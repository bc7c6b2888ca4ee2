//! Socket options by their field names (`--set nodelay=on`): one table, set and read back.
//!
//! The names are those of socket(7), ip(7) and tcp(7) in lower case without prefix. Each option is
//! set before bind or connect, where buffers and segment sizes must be, and on a listener, whose
//! accepted sockets inherit it. The value is read back afterwards, because the kernel may clamp.

mod table;

use std::fmt;
use std::io;
use std::str::FromStr;
use std::time::Duration;

use socket2::{Domain, Socket, Type};
use sockeye_limits as limits;

use table::TABLE;

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
    let longest = Duration::from_secs(limits::OPTION_SECONDS);
    if span > longest {
        Err(format!("{text} is too long: at most {longest:?}"))
    } else {
        Ok(Some(span))
    }
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
