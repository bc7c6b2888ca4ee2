//! `sockeye key trust`: know a server by its key, or forget it.

use std::path::{Path, PathBuf};

use clap::Args;
use sockeye_limits as limits;
use sockeye_net::{Endpoint, Host, shown};
use sockeye_trust::known::{self, Verdict};
use sockeye_trust::{Fingerprint, KeyParseError, PublicKey, place};

use super::failed;
use super::show::shown_path;
use crate::cli::usage::Failure;

/// Arguments of `sockeye key trust`.
#[derive(Debug, Args)]
pub(crate) struct TrustArgs {
    /// The server: NAME, NAME:PORT or tls://NAME:PORT; port 9022 if none is given.
    #[arg(value_name = "HOST[:PORT]")]
    host: String,

    /// Its public key, `ssh-ed25519 AAAA…`, as `sockeye key show` there or its host_key.pub has it.
    #[arg(value_name = "KEY", num_args = 0.., required_unless_present = "remove")]
    key: Vec<String>,

    /// Forget the server.
    #[arg(long, conflicts_with = "key")]
    remove: bool,

    /// The list [default: ~/.config/sockeye/known_hosts].
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
}

pub(super) fn run(args: TrustArgs) -> Result<(), Failure> {
    let (host, port) = host(&args.host).map_err(Failure::Usage)?;
    let remove = args.remove;
    let key = if remove { None } else { Some(key(&args.key.join(" "))?) };
    let path = super::place(args.file, place::known_hosts())?;
    match key {
        None => forget(&path, &host, port),
        Some(key) => learn(&path, &host, port, &key),
    }
}

fn forget(path: &Path, host: &str, port: u16) -> Result<(), Failure> {
    let (file, name) = (shown_path(path), shown::line(&known::name(host, port)));
    match known::remove(path, host, port).map_err(failed)? {
        0 => Err(failed(format!("{name} is in no line of {file} that names it; see `key list`"))),
        1 => {
            eprintln!("sockeye: {name} is forgotten: 1 line of {file} changed");
            Ok(())
        }
        lines => {
            eprintln!("sockeye: {name} is forgotten: {lines} lines of {file} changed");
            Ok(())
        }
    }
}

fn learn(path: &Path, host: &str, port: u16, key: &PublicKey) -> Result<(), Failure> {
    let (file, name) = (shown_path(path), shown::line(&known::name(host, port)));
    let fingerprint = key.fingerprint();
    match known::read(path).map_err(failed)?.judge(host, port, key) {
        Verdict::Known => {
            eprintln!("sockeye: {name} was known already by {fingerprint}");
            Ok(())
        }
        // The whole key was given: it stands beside those of other types, as ssh's do.
        Verdict::Unknown | Verdict::OtherTypes(_) => {
            known::append(path, host, port, key).map_err(failed)?;
            eprintln!("sockeye: {name} is known by {fingerprint} in {file}");
            Ok(())
        }
        Verdict::Changed { line, old } => Err(failed(format!(
            "{name} is known by {old} in line {line} of {file}; if its key has changed and you \
                 know why, run `sockeye key trust --remove {name}` first"
        ))),
        Verdict::Revoked { line } => Err(failed(format!(
            "line {line} of {file} says that {fingerprint} is revoked; use \
                another key"
        ))),
    }
}

fn key(text: &str) -> Result<PublicKey, Failure> {
    if text.parse::<Fingerprint>().is_ok() {
        return Err(Failure::Usage(
            "a list of servers holds whole keys, not fingerprints: give the server's public key \
             line, or `sockeye exec --trust FINGERPRINT` at the first contact"
                .into(),
        ));
    }
    text.parse().map_err(|error: KeyParseError| Failure::Usage(error.to_string()))
}

/// The host as it is named in known_hosts, and the port.
pub(super) fn host(word: &str) -> Result<(String, u16), String> {
    let default = limits::HOST_PORT;
    // To a server `:9022` is every address, and a bare number is a port: neither names a host.
    let number = word.strip_prefix(':').unwrap_or(word);
    let nameless = number.bytes().all(|byte| byte.is_ascii_digit());
    let forms = if nameless {
        Vec::new()
    } else if word.contains("://") {
        vec![word.to_owned()]
    } else if word.parse::<std::net::Ipv6Addr>().is_ok() {
        vec![format!("tls://[{word}]:{default}")]
    } else {
        vec![format!("tls://{word}"), format!("tls://{word}:{default}")]
    };
    for form in forms {
        if let Ok(Endpoint::Tls(place) | Endpoint::Tcp(place)) = form.parse() {
            let host = match place.host {
                Host::Name(name) => name,
                Host::V4(address) => address.to_string(),
                // `exec` knows a link-local server without its zone as well.
                Host::V6(address, _) => address.to_string(),
            };
            return Ok((host, place.port));
        }
    }
    Err(format!("{word:?} is no server; write NAME, NAME:PORT or [ADDRESS]:PORT"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T4, X2: the forms of a server, and the port where none is given.
    #[test]
    fn hosts() {
        for (word, host_name, port) in [
            ("name", "name", 9022),
            ("name:1", "name", 1),
            ("10.0.0.1", "10.0.0.1", 9022),
            ("::1", "::1", 9022),
            ("[::1]:5", "::1", 5),
            ("[::1]", "::1", 9022),
            ("[fe80::1%lo]:5", "fe80::1", 5),
            ("tls://a.example:7", "a.example", 7),
        ] {
            assert_eq!(host(word), Ok((host_name.into(), port)), "{word}");
        }
        for word in ["", ":1", "9022", "a b", "name:", "name:x", "udp://a:1", "unix:/a"] {
            assert!(host(word).is_err(), "{word}");
        }
    }

    /// T4: a fingerprint is no key, and says which option takes one.
    #[test]
    fn keys() {
        let fingerprint = PublicKey::from_bytes([1; 32]).fingerprint().to_string();
        let Err(Failure::Usage(text)) = key(&fingerprint) else { panic!("usage") };
        assert!(text.contains("--trust"), "{text}");
        assert!(key("ssh-rsa AAAA").is_err());
        let line = PublicKey::from_bytes([1; 32]).to_string() + " comment";
        assert_eq!(key(&line).unwrap(), PublicKey::from_bytes([1; 32]));
    }
}
