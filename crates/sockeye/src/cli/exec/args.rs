//! The arguments of `sockeye exec` and `sockeye shell`, and what they come to.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use serde::Deserialize;
use sockeye_limits as limits;
use sockeye_net::endpoint::{Host, HostPort};
use sockeye_net::{DialOptions, Endpoint, units};

use crate::cli::reach::{ReachArgs, ReachConfig, names_user};
use crate::cli::trust::Trust;
use crate::cli::values;

pub(crate) const EXEC_EXAMPLES: &str = "\
Examples:
  sockeye exec HOST -- uname -a                 an argument list, no shell in between
  sockeye exec HOST -c 'cd /srv && ls | wc -l'  a line for the shell
  sockeye exec HOST -- tar c /srv > srv.tar     output is byte-exact, errors stay apart
  sockeye exec HOST -- psql < dump.sql          standard input and its end
  sockeye exec HOST --json -- ./check           status, signal, both outputs as one JSON object
  sockeye exec HOST                             a prompt: each line is run there
  sockeye exec unix:./host.sock -- id           this machine, the same user: no key needed
  sockeye exec tcp://127.0.0.1:9000 -- ls /     the plain form of `sockeye serve command`

HOST is NAME[:PORT] (port 9022), or an endpoint: tls://HOST:PORT, unix:PATH, tcp://HOST:PORT.

Exit status: the command's; 128 and the signal's number where one ended it; 124 where --timeout was
over; 126 and 127 where it could not be executed or found; 255 for our own failures.

Options that show a name in brackets can be set by it in the environment, too, and they and those of
how a server is reached in [exec] of config.toml (timeout, max-output, identity, connect-timeout …).

Ctrl-C, Ctrl-\\ and SIGTERM are for the remote command; a third one ends this program, and with it the
command and all that it started.";

pub(crate) const SHELL_EXAMPLES: &str = "\
Examples:
  sockeye shell HOST            a login shell on a terminal of its own
  sockeye shell HOST -c htop    one command on a terminal

Without --trust and without a terminal to ask on, a server must be known already. Exit status as
`sockeye exec`.";

/// Arguments of `sockeye exec`.
#[derive(Debug, Args)]
#[command(after_help = EXEC_EXAMPLES)]
pub(crate) struct ExecArgs {
    /// Where: NAME[:PORT], or an endpoint.
    #[arg(value_name = "HOST")]
    host: OsString,

    /// The command and its arguments. No shell sees them.
    #[arg(
        value_name = "ARGV",
        trailing_var_arg = true,
        allow_hyphen_values = true,
        conflicts_with = "line"
    )]
    argv: Vec<OsString>,

    /// A line for the user's shell there.
    #[arg(short = 'c', long = "command", value_name = "LINE")]
    line: Option<OsString>,

    /// Send no standard input.
    #[arg(short = 'n', long)]
    no_stdin: bool,

    /// Give it a terminal, of our window's size.
    #[arg(short = 't', long)]
    tty: bool,

    /// End the command after this long: exit status 124.
    #[arg(long, value_name = "TIME", env = "SOCKEYE_TIMEOUT",
        value_parser = values::positive_duration)]
    timeout: Option<Duration>,

    /// Run it in this directory [default: the home directory].
    #[arg(long, value_name = "DIR")]
    cwd: Option<OsString>,

    /// Set a variable for it, as far as the server allows (repeatable).
    #[arg(long, value_name = "NAME=VALUE")]
    env: Vec<OsString>,

    /// End it when it has written more than this: bytes, or a number with K, M or G.
    #[arg(long, value_name = "SIZE", env = "SOCKEYE_MAX_OUTPUT", value_parser = units::size)]
    max_output: Option<u64>,

    /// Leave it running on its own, without input and output, and print its process number.
    #[arg(long, conflicts_with_all = ["tty", "json", "timeout", "max_output"])]
    detach: bool,

    /// Show the result as one JSON object.
    #[arg(long, conflicts_with = "tty")]
    json: bool,

    /// On a terminal: pass control characters of the output through.
    #[arg(long)]
    raw: bool,

    #[command(flatten)]
    reach: ReachArgs,
}

/// Arguments of `sockeye shell`.
#[derive(Debug, Args)]
#[command(after_help = SHELL_EXAMPLES)]
pub(crate) struct ShellArgs {
    /// Where: NAME[:PORT], or an endpoint.
    #[arg(value_name = "HOST")]
    host: OsString,

    /// A line to run in place of a login shell.
    #[arg(short = 'c', long = "command", value_name = "LINE")]
    line: Option<OsString>,

    #[command(flatten)]
    reach: ReachArgs,
}

/// `[exec]` of the configuration, for `exec` and `shell`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct ExecConfig {
    identity: Option<PathBuf>,
    known_hosts: Option<PathBuf>,
    connect_timeout: Option<String>,
    source: Option<String>,
    ipv4: Option<bool>,
    ipv6: Option<bool>,
    set: Option<Vec<String>>,
    timeout: Option<String>,
    max_output: Option<String>,
}

impl ExecConfig {
    fn reach(&mut self) -> ReachConfig {
        ReachConfig {
            identity: self.identity.take(),
            known_hosts: self.known_hosts.take(),
            connect_timeout: self.connect_timeout.take(),
            source: self.source.take(),
            ipv4: self.ipv4,
            ipv6: self.ipv6,
            set: self.set.take(),
        }
    }
}

/// What is to be run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Arguments(Vec<Vec<u8>>),
    Line(Vec<u8>),
    Login,
    /// Each line that somebody types.
    Prompt,
}

/// How its output is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Show {
    /// As it is; on a terminal, escaped.
    Usual,
    Raw,
    Json,
}

/// What was asked for, defaults filled in.
#[derive(Debug)]
pub(crate) struct ExecSettings {
    pub(crate) endpoint: Endpoint,
    pub(crate) dial: DialOptions,
    pub(crate) trust: Trust,
    pub(crate) what: What,
    pub(crate) stdin: bool,
    pub(crate) tty: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) directory: Option<Vec<u8>>,
    pub(crate) environment: Vec<(Vec<u8>, Vec<u8>)>,
    pub(crate) max_output: Option<u64>,
    pub(crate) detach: bool,
    pub(crate) show: Show,
}

impl ExecArgs {
    /// The arguments over the configuration over the defaults.
    ///
    /// # Errors
    /// What contradicts itself or is no value, in one sentence.
    pub(crate) fn resolve(self, mut config: ExecConfig) -> Result<ExecSettings, String> {
        let beyond_plain = self.beyond_plain();
        let reached = ExecSettings::reaching(&self.host, self.reach, config.reach())?;
        let what = match (self.line, self.argv.is_empty()) {
            (Some(line), _) => What::Line(line.into_vec()),
            (None, false) => {
                What::Arguments(self.argv.into_iter().map(OsString::into_vec).collect())
            }
            (None, true) => What::Prompt,
        };
        if what == What::Prompt && (self.tty || self.json || self.detach) {
            return Err("no command: write it behind --, or a line for the shell with -c".into());
        }
        let is_plain = reached.endpoint.transport() == sockeye_net::Transport::Tcp;
        if is_plain && let Some(option) = beyond_plain {
            return Err(format!(
                "the plain form (tcp://) has no {option}: put it into the command line, or use tls:// \
                 or unix:"
            ));
        }
        let environment = self.env.into_iter().map(variable).collect::<Result<_, _>>()?;
        let show = match (self.json, self.raw) {
            (true, _) => Show::Json,
            (_, true) => Show::Raw,
            _ => Show::Usual,
        };
        // What is configured for all commands is not for those that cannot keep it.
        let timeout = config.timeout.filter(|_| !self.detach);
        let max_output = config.max_output.filter(|_| !self.detach && !is_plain);
        let max_output = values::either(self.max_output, max_output, "max-output", units::size)?;
        let kept = self.json.then_some(limits::JSON_OUTPUT);
        Ok(ExecSettings {
            what,
            stdin: !self.no_stdin && !self.detach,
            tty: self.tty,
            timeout: values::either(self.timeout, timeout, "timeout", values::positive_duration)?,
            directory: self.cwd.map(OsString::into_vec),
            environment,
            max_output: max_output.or(kept),
            detach: self.detach,
            show,
            ..reached
        })
    }
}

impl ExecArgs {
    /// An option that the plain form cannot keep, if one was given.
    fn beyond_plain(&self) -> Option<&'static str> {
        let given = [
            (self.tty, "--tty"),
            (self.detach, "--detach"),
            (self.cwd.is_some(), "--cwd"),
            (!self.env.is_empty(), "--env"),
            // All of the output comes in one piece, when the command is over.
            (self.max_output.is_some(), "--max-output"),
        ];
        given.into_iter().find_map(|(given, option)| given.then_some(option))
    }
}

impl ShellArgs {
    /// The same for a shell.
    ///
    /// # Errors
    /// As [`ExecArgs::resolve`].
    pub(crate) fn resolve(self, mut config: ExecConfig) -> Result<ExecSettings, String> {
        let reached = ExecSettings::reaching(&self.host, self.reach, config.reach())?;
        if reached.endpoint.transport() == sockeye_net::Transport::Tcp {
            return Err("the plain form (tcp://) has no terminals: use tls:// or unix:".into());
        }
        let what = self.line.map_or(What::Login, |line| What::Line(line.into_vec()));
        Ok(ExecSettings { what, tty: true, show: Show::Raw, ..reached })
    }
}

impl ExecSettings {
    /// Those of a command of nothing yet.
    fn reaching(
        host: &OsString,
        reach: ReachArgs,
        config: ReachConfig,
    ) -> Result<ExecSettings, String> {
        let (dial, trust) = reach.over(config)?;
        Ok(ExecSettings {
            endpoint: target(host)?,
            dial,
            trust,
            what: What::Prompt,
            stdin: true,
            tty: false,
            timeout: None,
            directory: None,
            environment: Vec::new(),
            max_output: None,
            detach: false,
            show: Show::Usual,
        })
    }
}

/// HOST as people write it: a name with or without a port is a TLS server, all else an endpoint.
fn target(word: &OsString) -> Result<Endpoint, String> {
    let shown = word.to_string_lossy();
    // Paths and names of Unix sockets may have that character.
    let is_path = shown.starts_with("unix") || shown.starts_with(['.', '/']);
    if !is_path && let Some(wrong) = names_user(&shown) {
        return Err(wrong);
    }
    let bare = || -> Option<Endpoint> {
        let text = word.to_str()?;
        if text.contains("://") || text.contains('/') || text.starts_with("unix") {
            return None;
        }
        // A name or an address alone: as an endpoint it lacks its port.
        if text.parse::<std::net::Ipv6Addr>().is_ok() {
            return format!("tls://[{text}]:{}", limits::HOST_PORT).parse().ok();
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let with_port = format!("tls://{text}");
        with_port.parse().or_else(|_| format!("{with_port}:{}", limits::HOST_PORT).parse()).ok()
    };
    let endpoint = match bare() {
        Some(endpoint) => endpoint,
        None => Endpoint::parse_os(word).map_err(|error| {
            format!("{shown:?} is not a host: write NAME, NAME:PORT or an endpoint ({error})")
        })?,
    };
    match &endpoint {
        Endpoint::Tls(HostPort { port: 0, .. }) | Endpoint::Tcp(HostPort { port: 0, .. }) => {
            Err(format!("{shown:?}: nobody can be reached on port 0; write the server's port"))
        }
        Endpoint::Tcp(at) if !is_loopback(&at.host) => Err(format!(
            "{shown}: the plain form is for this machine only; for another one use tls://"
        )),
        Endpoint::Tls(_) | Endpoint::Unix(_) | Endpoint::Tcp(_) => Ok(endpoint),
        Endpoint::Udp(_) | Endpoint::Unixgram(_) => Err(format!(
            "{shown}: commands need a connection; use tls://, unix: or, on this machine, tcp://"
        )),
    }
}

fn is_loopback(host: &Host) -> bool {
    match host {
        Host::Name(name) => name.eq_ignore_ascii_case("localhost"),
        Host::V4(ip) => ip.is_loopback(),
        Host::V6(ip, _) => ip.to_canonical().is_loopback(),
    }
}

fn variable(text: OsString) -> Result<(Vec<u8>, Vec<u8>), String> {
    let bytes = text.into_vec();
    match bytes.iter().position(|byte| *byte == b'=') {
        Some(at) if at > 0 => Ok((bytes[..at].to_vec(), bytes[at + 1..].to_vec())),
        _ => {
            let shown = String::from_utf8_lossy(&bytes).into_owned();
            Err(format!("--env {shown:?}: write NAME=VALUE"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// X2: HOST is a name with or without a port, or an endpoint.
    #[test]
    fn hosts() {
        let cases = [
            ("box", "tls://box:9022"),
            ("box:22", "tls://box:22"),
            ("192.0.2.1", "tls://192.0.2.1:9022"),
            ("::1", "tls://[::1]:9022"),
            ("[::1]:5", "tls://[::1]:5"),
            ("tls://box:1", "tls://box:1"),
            ("./s.sock", "unix:./s.sock"),
            ("unix:@name", "unix:@name"),
            ("tcp://127.0.0.1:9000", "tcp://127.0.0.1:9000"),
            ("9000", "tcp://127.0.0.1:9000"),
            ("./s@1.sock", "unix:./s@1.sock"),
        ];
        for (word, expected) in cases {
            let endpoint = target(&word.into()).map(|endpoint| endpoint.to_string());
            assert_eq!(endpoint.as_deref(), Ok(expected), "{word}");
        }
        for (word, what) in [
            ("udp://h:1", "connection"),
            ("tcp://192.0.2.1:1", "this machine"),
            ("h:0", "port 0"),
            ("root@h", "no user names"),
            ("root@h:22", "write h:22 alone"),
            ("tls://root@h:22", "write h:22 alone"),
        ] {
            let error = target(&word.into()).unwrap_err();
            assert!(error.contains(what), "{word}: {error}");
        }
    }

    /// X6: variables are names and values, and a value may hold anything.
    #[test]
    fn variables() {
        assert_eq!(variable("A=b=c".into()), Ok((b"A".to_vec(), b"b=c".to_vec())));
        assert!(variable("A".into()).is_err() && variable("=b".into()).is_err());
    }
}
