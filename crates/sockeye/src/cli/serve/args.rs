//! The arguments of `sockeye serve`, and what they come to with the configuration beneath.

use std::ffi::OsString;
use std::fmt::Display;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, CommandFactory, Parser};
use serde::Deserialize;
use sockeye_limits as limits;
use sockeye_net::{Family, SocketOption, units};
use sockeye_serve::{Model, Overflow};

use super::access::{AccessSource, Words};
use super::keys::{GivenKeys, KeyConfig};
use crate::cli::usage::Failure;
use crate::cli::values;

pub(crate) const EXAMPLES: &str = "\
Examples:
  sockeye serve                               upper case on TCP and UDP, 127.0.0.1:9000
  sockeye serve echo 7000 unix:./s.sock       one service on two endpoints
  sockeye serve --model process               a process a connection
  sockeye serve chargen 0 --json              a port of the system's choice, told as JSON
  sockeye serve upper 0.0.0.0:9000 --allow 192.0.2.0/24 --idle-timeout 30s
  sockeye serve host                          remote commands, tls://127.0.0.1:9022
  sockeye serve host 0.0.0.0:9022 unix:./s.sock --audit ./audit.jsonl
  sockeye serve command                       the plain form, for whoever is on this machine

A TIME is 500ms, 10s or 1m; a bare number is seconds. Each option can also be set by SOCKEYE_NAME in
the environment, or by its name in [serve] of config.toml. Arguments beat the environment, which
beats config.toml.";

/// The program that [`crate::serve_main`] makes of one service.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
pub(crate) struct ServeProgram {
    /// Read settings from this file instead of ~/.config/sockeye/config.toml.
    #[arg(long, value_name = "FILE", env = "SOCKEYE_CONFIG")]
    pub(crate) config: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) args: ServeArgs,
}

/// The command line of the program of one service.
pub(crate) fn program(name: &'static str) -> clap::Command {
    let examples = format!(
        "Examples:\n  {name} 9000 unix:./s.sock\n  {name} --model process udp://127.0.0.1:9000"
    );
    ServeProgram::command()
        .name(name)
        .about(format!("Serve {name} on endpoints under a concurrency model"))
        .long_about(None)
        .mut_arg("words", |words| {
            words.value_name("ENDPOINT").help(
                "PORT, HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT, udp://HOST:PORT, unix:PATH, \
                 unixgram:PATH. \
                 Without endpoints: TCP and UDP on 127.0.0.1:9000",
            )
        })
        .after_help(examples)
}

/// Arguments of `sockeye serve`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct ServeArgs {
    /// A service (upper, echo, discard, daytime, qotd, chargen, time, command, host; upper where
    /// none is named), then endpoints: PORT, HOST:PORT, tcp://HOST:PORT, tls://HOST:PORT,
    /// udp://HOST:PORT, unix:PATH or ./PATH, unix:@ABSTRACT, unixgram:PATH. Without endpoints: TCP
    /// and UDP on 127.0.0.1:9000; host on tls://127.0.0.1:9022.
    #[arg(value_name = "SERVICE|ENDPOINT")]
    words: Vec<OsString>,

    /// Who does the work: iterative, thread, process or event [default: event; host and command:
    /// process].
    #[arg(long, short = 'm', value_name = "MODEL", env = "SOCKEYE_MODEL")]
    model: Option<String>,

    /// Event loops or warm worker processes [default: one a core; at least 4 processes], and
    /// workers for each datagram socket [default: 1, which keeps the order of datagrams].
    #[arg(long, value_name = "N", env = "SOCKEYE_WORKERS", value_parser = values::count)]
    workers: Option<usize>,

    /// Connections that wait to be accepted, listen(2) [default: 1024].
    #[arg(long, value_name = "N", env = "SOCKEYE_BACKLOG")]
    backlog: Option<u32>,

    /// Connections at once [default: event 65536, thread 4096, process 256, iterative 1]. On tls://
    /// peers count once they have proved who they are.
    #[arg(long, value_name = "N", env = "SOCKEYE_MAX_CONNECTIONS", value_parser = values::count)]
    max_connections: Option<usize>,

    /// What happens to one more: queue (it waits), refuse (FIN) or reset (RST) [default: queue].
    #[arg(long, value_name = "HOW", env = "SOCKEYE_OVERFLOW")]
    overflow: Option<String>,

    /// End a connection on which nothing moved for this long.
    #[arg(long, value_name = "TIME", env = "SOCKEYE_IDLE_TIMEOUT",
        value_parser = values::positive_duration)]
    idle_timeout: Option<Duration>,

    /// End a connection this long after it began, whatever moves.
    #[arg(long, value_name = "TIME", env = "SOCKEYE_MAX_LIFETIME",
        value_parser = values::positive_duration)]
    max_lifetime: Option<Duration>,

    /// Let only these addresses connect: a block (192.0.2.0/24), or @FILE with one a line, which
    /// SIGHUP reads again.
    #[arg(long, value_name = "BLOCK|@FILE", env = "SOCKEYE_ALLOW", value_delimiter = ',')]
    allow: Option<Vec<String>>,

    /// Do not let these addresses connect; stronger than --allow.
    #[arg(long, value_name = "BLOCK|@FILE", env = "SOCKEYE_DENY", value_delimiter = ',')]
    deny: Option<Vec<String>>,

    /// Serve one connection or datagram, then end; on tls:// one of a peer that may come in.
    #[arg(long, env = "SOCKEYE_ONCE", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    once: Option<bool>,

    /// How long connections may finish after SIGTERM or SIGINT [default: 10s].
    #[arg(long, value_name = "TIME", env = "SOCKEYE_DRAIN", value_parser = values::duration)]
    drain: Option<Duration>,

    /// Datagrams a second that one source is answered; 0 is no limit [default: 1000; upper: 0].
    #[arg(long, value_name = "N", env = "SOCKEYE_SOURCE_RATE")]
    source_rate: Option<u32>,

    /// Mode of a Unix socket's file [default: 0600].
    #[arg(long, value_name = "OCTAL", env = "SOCKEYE_MODE", value_parser = values::mode)]
    mode: Option<u32>,

    /// Set a socket option, as in nodelay=on, rcvbuf=1M, keepalive=30s; `--help` lists them.
    #[arg(long, value_name = "NAME=VALUE", env = "SOCKEYE_SET", value_delimiter = ',')]
    set: Option<Vec<SocketOption>>,

    /// IPv4 only.
    #[arg(short = '4', long, env = "SOCKEYE_IPV4", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    ipv4: Option<bool>,

    /// IPv6 only.
    #[arg(short = '6', long, env = "SOCKEYE_IPV6", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    ipv6: Option<bool>,

    /// Tell what happens as JSON, one object a line, on stdout.
    #[arg(long, env = "SOCKEYE_JSON", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    json: Option<bool>,

    /// Tell of each connection, and show socket options as they became.
    #[arg(long, short = 'v', env = "SOCKEYE_VERBOSE", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    verbose: Option<bool>,

    #[command(flatten)]
    keys: GivenKeys,
}

/// `[serve]` of the configuration: keys named as the options, values written as on the command
/// line.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default, rename_all = "kebab-case")]
pub(crate) struct ServeConfig {
    pub(crate) model: Option<String>,
    workers: Option<usize>,
    backlog: Option<u32>,
    max_connections: Option<usize>,
    overflow: Option<String>,
    idle_timeout: Option<String>,
    max_lifetime: Option<String>,
    allow: Option<Vec<String>>,
    deny: Option<Vec<String>>,
    once: Option<bool>,
    drain: Option<String>,
    source_rate: Option<u32>,
    mode: Option<String>,
    set: Option<Vec<String>>,
    ipv4: Option<bool>,
    ipv6: Option<bool>,
    json: Option<bool>,
    verbose: Option<bool>,
    authorized_keys: Option<PathBuf>,
    host_key: Option<PathBuf>,
    accept_env: Option<Vec<String>>,
    audit: Option<PathBuf>,
    privileges: Option<bool>,
    root: Option<PathBuf>,
    read_only: Option<bool>,
    penalize_loopback: Option<bool>,
}

impl ServeConfig {
    /// The part that is about keys. (A flattened part would not refuse unknown names.)
    fn keys(&mut self) -> KeyConfig {
        KeyConfig {
            authorized_keys: self.authorized_keys.take(),
            host_key: self.host_key.take(),
            accept_env: self.accept_env.take(),
            audit: self.audit.take(),
            privileges: self.privileges,
            root: self.root.take(),
            read_only: self.read_only,
            penalize_loopback: self.penalize_loopback,
        }
    }
}

/// What was asked for, defaults filled in.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) words: Vec<OsString>,
    /// `None`: the service's own.
    pub(crate) model: Option<Model>,
    pub(crate) workers: Option<usize>,
    pub(crate) backlog: u32,
    pub(crate) max_connections: Option<usize>,
    pub(crate) overflow: Overflow,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) max_lifetime: Option<Duration>,
    pub(crate) access: AccessSource,
    pub(crate) once: bool,
    pub(crate) drain: Duration,
    pub(crate) source_rate: Option<u32>,
    pub(crate) mode: u32,
    pub(crate) set: Vec<SocketOption>,
    pub(crate) family: Family,
    pub(crate) keys: (GivenKeys, KeyConfig),
    pub(crate) penalize_loopback: bool,
}

impl ServeArgs {
    /// The arguments (which the environment has filled) over the configuration over the defaults;
    /// then whether to write JSON, and whether to be verbose.
    ///
    /// # Errors
    /// A value that is not one, named by its option.
    pub(crate) fn over(self, config: ServeConfig) -> Result<(Resolved, bool, bool), Failure> {
        let json = self.json.or(config.json).unwrap_or(false);
        let verbose = self.verbose.or(config.verbose).unwrap_or(false);
        let resolved = self.resolve(config).map_err(Failure::Usage)?;
        Ok((resolved, json, verbose))
    }

    fn resolve(self, mut config: ServeConfig) -> Result<Resolved, String> {
        let keys = (self.keys, config.keys());
        let penalize = keys.0.args.penalize_loopback.or(keys.1.penalize_loopback);
        Ok(Resolved {
            keys,
            penalize_loopback: penalize.unwrap_or(false),
            words: self.words,
            model: either("model", self.model, config.model, Model::from_str)?,
            workers: self.workers.or(config.workers),
            backlog: self.backlog.or(config.backlog).unwrap_or(limits::BACKLOG),
            max_connections: self.max_connections.or(config.max_connections),
            overflow: either("overflow", self.overflow, config.overflow, overflow)?
                .unwrap_or_default(),
            idle_timeout: span("idle-timeout", self.idle_timeout, config.idle_timeout)?,
            max_lifetime: span("max-lifetime", self.max_lifetime, config.max_lifetime)?,
            access: AccessSource {
                allow: Words::of("allow", self.allow, config.allow),
                deny: Words::of("deny", self.deny, config.deny),
            },
            once: self.once.or(config.once).unwrap_or(false),
            drain: match (self.drain, config.drain) {
                (Some(span), _) => span,
                (None, Some(text)) => within("drain", values::duration(&text))?,
                (None, None) => limits::DRAIN,
            },
            source_rate: self.source_rate.or(config.source_rate),
            mode: match (self.mode, config.mode) {
                (Some(mode), _) => mode,
                (None, Some(text)) => within("mode", values::mode(&text))?,
                (None, None) => limits::SOCKET_MODE,
            },
            set: values::options(self.set, config.set.as_deref())?,
            family: values::family((self.ipv4, self.ipv6), (config.ipv4, config.ipv6))?,
        })
    }
}

/// `-4` and `-6` as the family that they pin.
/// A value of the configuration, its error named by its key.
fn within<T>(key: &str, value: Result<T, impl Display>) -> Result<T, String> {
    value.map_err(|error| format!("{key} in the configuration: {error}"))
}

/// A word of the command line or else of the configuration, its error named by where it stood.
fn either<T>(
    key: &str,
    argument: Option<String>,
    config: Option<String>,
    parse: impl Fn(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    match (argument, config) {
        (Some(text), _) => parse(&text).map(Some).map_err(|error| format!("--{key}: {error}")),
        (None, Some(text)) => within(key, parse(&text)).map(Some),
        (None, None) => Ok(None),
    }
}

fn overflow(text: &str) -> Result<Overflow, String> {
    match text {
        "queue" => Ok(Overflow::Queue),
        "refuse" => Ok(Overflow::Refuse),
        "reset" => Ok(Overflow::Reset),
        _ => Err(format!("no way {text:?}: it is queue, refuse or reset")),
    }
}

fn span(
    key: &str,
    argument: Option<Duration>,
    config: Option<String>,
) -> Result<Option<Duration>, String> {
    match (argument, config) {
        (Some(span), _) => Ok(Some(span)),
        (None, Some(text)) => within(key, values::positive_duration(&text)).map(Some),
        (None, None) => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> ServeArgs {
        let words = ["serve"].iter().chain(words);
        ServeProgram::try_parse_from(words).expect("arguments").args
    }

    /// Q3: arguments beat the configuration, which beats the defaults.
    #[test]
    fn precedence() {
        let config = || ServeConfig {
            model: Some("thread".into()),
            drain: Some("1s".into()),
            ..ServeConfig::default()
        };
        let (resolved, ..) = args(&["--model", "process"]).over(config()).expect("settings");
        assert_eq!(
            (resolved.model, resolved.drain),
            (Some(Model::Process), Duration::from_secs(1))
        );
        let (resolved, ..) = args(&[]).over(config()).expect("settings");
        assert_eq!(resolved.model, Some(Model::Thread));
        let (resolved, ..) = args(&[]).over(ServeConfig::default()).expect("settings");
        assert_eq!((resolved.model, resolved.mode), (None, 0o600));
    }

    /// Q1: a bad value in the configuration is named by its key.
    #[test]
    fn bad_configuration() {
        let config = ServeConfig { drain: Some("soon".into()), ..ServeConfig::default() };
        let Err(Failure::Usage(text)) = args(&[]).over(config) else { panic!("usage") };
        assert!(text.starts_with("drain in the configuration:"), "{text}");
    }
}
