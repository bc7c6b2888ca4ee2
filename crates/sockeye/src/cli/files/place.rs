//! Where files are: HOST:PATH, a path of this machine, or a standard stream.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use sockeye_limits as limits;
use sockeye_net::{Endpoint, shown};

use crate::cli::reach::names_user;

/// A source or a destination as somebody writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// `-`: standard input or output.
    Standard,
    /// A path of this machine.
    Local(Vec<u8>),
    /// A path of another one; no host is that of `--via`.
    Remote {
        /// Where, as it was written.
        host: Option<Vec<u8>>,
        /// The path there; empty is the home directory.
        path: Vec<u8>,
    },
}

impl Place {
    /// Reads a word as scp(1) does: what has a colon before its first slash is on another machine.
    pub(super) fn read(word: &OsStr) -> Place {
        let word = word.as_bytes();
        if word == b"-" {
            return Place::Standard;
        }
        if let Some(rest) = word.strip_prefix(b"tls://") {
            let cut = rest.iter().position(|byte| *byte == b'/').unwrap_or(rest.len());
            let (host, path) = rest.split_at(cut);
            // `/~` is the home directory, as in other URLs.
            let home = match path {
                b"/~" => Some(&b""[..]),
                _ => path.strip_prefix(b"/~/"),
            };
            return Place::Remote {
                host: Some([b"tls://", host].concat()),
                path: home.unwrap_or(path).to_vec(),
            };
        }
        let colon = match word.strip_prefix(b"[") {
            // An IPv6 address in brackets.
            Some(_) => word.windows(2).position(|two| two == b"]:").map(|at| at + 1),
            None => word.iter().position(|byte| matches!(byte, b':' | b'/')),
        };
        match colon {
            Some(at) if word[at] == b':' => Place::Remote {
                host: Some(word[..at].to_vec()).filter(|host| !host.is_empty()),
                path: from_home(&word[at + 1..]).to_vec(),
            },
            _ => Place::Local(word.to_vec()),
        }
    }
}

/// `~` and `~/` are the home directory, where relative paths count from anyway.
fn from_home(path: &[u8]) -> &[u8] {
    match path {
        b"~" => b"",
        _ => path.strip_prefix(b"~/").unwrap_or(path),
    }
}

/// The server that a host names.
///
/// # Errors
/// Where it names none, in one sentence.
pub(super) fn server(
    host: Option<&[u8]>,
    via: Option<&Endpoint>,
    port: Option<u16>,
) -> Result<Endpoint, String> {
    let shown = |host: &[u8]| shown::bytes(host);
    match (host, via) {
        (None, Some(via)) => Ok(via.clone()),
        (Some(host), Some(_)) => Err(format!(
            "--via and the host {} contradict each other: write :PATH with --via",
            shown(host)
        )),
        (None, None) => Err("no host before the colon: write HOST:PATH, or name a server with \
                             --via"
            .into()),
        (Some(host), None) => {
            let text = str::from_utf8(host).ok();
            if let Some(wrong) = text.and_then(names_user) {
                return Err(wrong);
            }
            let parsed = text.and_then(|text| named(text, port));
            parsed.ok_or_else(|| {
                format!(
                    "{} is not a host: write NAME:PATH, [IPV6]:PATH or tls://NAME:PORT/PATH; a \
                     file with a colon in its name as ./FILE",
                    shown(host)
                )
            })
        }
    }
}

fn named(host: &str, port: Option<u16>) -> Option<Endpoint> {
    let port = port.unwrap_or(limits::HOST_PORT);
    let whole = match host.strip_prefix("tls://") {
        Some(rest) => format!("tls://{rest}"),
        None if matches!(host, "unix" | "unixgram") => return None,
        None => format!("tls://{host}:{port}"),
    };
    let endpoint: Option<Endpoint> = whole.parse().ok();
    endpoint.or_else(|| format!("{whole}:{port}").parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn remote(host: &str, path: &str) -> Place {
        let host = Some(host.as_bytes().to_vec()).filter(|host| !host.is_empty());
        Place::Remote { host, path: path.into() }
    }

    /// F1: either side may be HOST:PATH, and a file with a colon has a way to be named.
    #[test]
    fn places() {
        let cases = [
            ("-", Place::Standard),
            ("a", Place::Local(b"a".to_vec())),
            ("./a:b", Place::Local(b"./a:b".to_vec())),
            ("/a:b", Place::Local(b"/a:b".to_vec())),
            ("d/a:b", Place::Local(b"d/a:b".to_vec())),
            ("box:", remote("box", "")),
            ("box:a:b", remote("box", "a:b")),
            ("box:/srv/a", remote("box", "/srv/a")),
            (":a", remote("", "a")),
            ("[::1]:a", remote("[::1]", "a")),
            ("tls://box:5/srv/a", remote("tls://box:5", "/srv/a")),
            ("tls://box/~/a", remote("tls://box", "a")),
            ("tls://box/~", remote("tls://box", "")),
            ("tls://box", remote("tls://box", "")),
            ("tls://box/~bob/x", remote("tls://box", "/~bob/x")),
            ("box:~", remote("box", "")),
            ("box:~/a", remote("box", "a")),
            ("box:~bob", remote("box", "~bob")),
        ];
        for (word, expected) in cases {
            assert_eq!(Place::read(OsStr::new(word)), expected, "{word}");
        }
    }

    /// F1: the port is 9022 unless something says another one.
    #[test]
    fn servers() {
        let cases = [
            ("box", None, "tls://box:9022"),
            ("box", Some(5), "tls://box:5"),
            ("unixbox", None, "tls://unixbox:9022"),
            ("[::1]", None, "tls://[::1]:9022"),
            ("tls://box", None, "tls://box:9022"),
            ("tls://box:5", None, "tls://box:5"),
        ];
        for (host, port, expected) in cases {
            let endpoint = server(Some(host.as_bytes()), None, port);
            assert_eq!(endpoint.map(|at| at.to_string()).as_deref(), Ok(expected), "{host}");
        }
        assert!(server(None, None, None).is_err() && server(Some(b"unix"), None, None).is_err());
        let via = "unix:/s.sock".parse().ok();
        assert!(server(None, via.as_ref(), None).is_ok());
        assert!(server(Some(b"box"), via.as_ref(), None).is_err());
    }
}
