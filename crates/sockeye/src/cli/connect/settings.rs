//! Arguments and configuration become settings, once; what contradicts itself is refused by name.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use sockeye_limits as limits;
use sockeye_net::dial::parse_source;
use sockeye_net::{DialOptions, Endpoint, Family, SocketOption};
use sockeye_talk::Split;

use super::args::{ConnectArgs, ConnectConfig};
use crate::cli::trust::Trust;
use crate::cli::values::{self, either, positive_duration};

/// Where the bytes to send come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// Standard input.
    Input,
    /// A recording.
    Recording(PathBuf),
    /// Nowhere: nothing is sent.
    Nowhere,
}

/// One conversation, resolved.
#[derive(Debug, Clone)]
pub(crate) struct ConnectSettings {
    pub(super) endpoint: Endpoint,
    pub(super) dial: DialOptions,
    pub(super) trust: Trust,
    pub(super) timeout: Option<Duration>,
    pub(super) retries: u32,
    pub(super) source: Source,
    pub(super) split: Split,
    pub(super) crlf: bool,
    pub(super) per_message: bool,
    pub(super) discard: bool,
    pub(super) hex: bool,
    pub(super) raw: bool,
    pub(super) record: Option<PathBuf>,
    pub(super) verbose: bool,
}

impl ConnectSettings {
    /// Resolves arguments (and the environment, which clap has put among them) over configuration.
    ///
    /// # Errors
    /// A usage error: one sentence that says what was wrong and what is right.
    pub(crate) fn resolve(
        mut args: ConnectArgs,
        mut config: ConnectConfig,
    ) -> Result<ConnectSettings, String> {
        let endpoint = args.endpoint.clone();
        refuse_endpoint(&endpoint)?;
        let trust = match endpoint {
            Endpoint::Tls(_) => std::mem::take(&mut args.trust)
                .over(config.identity.take(), config.known_hosts.take())?,
            _ => Trust::default(),
        };
        let merged = Merged::new(args, config)?;
        merged.refuse_conflicts(&endpoint)?;
        let dial = merged.dial();
        let split = match (&merged.replay, merged.whole, merged.lines) {
            (Some(_), _, _) => Split::Pieces,
            (None, true, _) => Split::Whole,
            (None, false, true) => Split::LinesStripped,
            (None, false, false) => Split::Lines,
        };
        let source = match (merged.replay, merged.recv_only) {
            (Some(recording), _) => Source::Recording(recording),
            (None, true) => Source::Nowhere,
            (None, false) => Source::Input,
        };
        Ok(ConnectSettings {
            endpoint,
            dial,
            trust,
            timeout: merged.timeout,
            retries: merged.retry,
            source,
            split,
            crlf: merged.crlf,
            per_message: merged.per_message,
            discard: merged.send_only,
            hex: merged.hex,
            raw: merged.raw,
            record: merged.record,
            verbose: merged.verbose,
        })
    }

    /// True where received datagrams are printed with a newline.
    pub(super) fn lines(&self) -> bool {
        self.split == Split::LinesStripped
    }
}

/// Each option after arguments, environment and configuration.
struct Merged {
    source: Option<SocketAddr>,
    ipv4: bool,
    ipv6: bool,
    set: Vec<SocketOption>,
    timeout: Option<Duration>,
    retry: u32,
    crlf: bool,
    hex: bool,
    record: Option<PathBuf>,
    replay: Option<PathBuf>,
    per_message: bool,
    send_only: bool,
    recv_only: bool,
    lines: bool,
    whole: bool,
    raw: bool,
    verbose: bool,
}

impl Merged {
    fn new(args: ConnectArgs, config: ConnectConfig) -> Result<Merged, String> {
        let switch = |arg: Option<bool>, config: Option<bool>| arg.or(config).unwrap_or(false);
        // -6 beats a configured -4, and does not stand beside it.
        let (ipv4, ipv6) = match (args.ipv4, args.ipv6) {
            (None, None) => (config.ipv4, config.ipv6),
            given => given,
        };
        Ok(Merged {
            source: either(args.source, config.source, "source", parse_source)?,
            ipv4: ipv4.unwrap_or(false),
            ipv6: ipv6.unwrap_or(false),
            set: values::options(args.set, config.set.as_deref())?,
            timeout: either(args.timeout, config.timeout, "timeout", positive_duration)?,
            retry: args.retry.or(config.retry).unwrap_or(0),
            crlf: switch(args.crlf, config.crlf),
            hex: switch(args.hex, config.hex),
            record: args.record.or(config.record),
            replay: args.replay.or(config.replay),
            per_message: switch(args.per_message, config.per_message),
            send_only: switch(args.send_only, config.send_only),
            recv_only: switch(args.recv_only, config.recv_only),
            lines: switch(args.lines, config.lines),
            whole: switch(args.whole, config.whole),
            raw: switch(args.raw, config.raw),
            verbose: switch(args.verbose, config.verbose),
        })
    }

    fn dial(&self) -> DialOptions {
        DialOptions {
            family: match (self.ipv4, self.ipv6) {
                (true, _) => Family::V4,
                (_, true) => Family::V6,
                _ => Family::Any,
            },
            source: self.source,
            options: self.set.clone(),
            timeout: self.timeout.unwrap_or(limits::CONNECT_TIMEOUT),
        }
    }

    /// The table of what does not go together, and why.
    fn refuse_conflicts(&self, endpoint: &Endpoint) -> Result<(), String> {
        let replay = self.replay.is_some();
        let record = self.record.is_some();
        let pairs = [
            (self.ipv4, "-4", self.ipv6, "-6", "each excludes the other's addresses"),
            (self.send_only, "--send-only", self.recv_only, "--recv-only", "nothing would be left"),
            (replay, "--replay", self.recv_only, "--recv-only", "a recording is sent"),
            (
                replay,
                "--replay",
                self.per_message,
                "--per-message",
                "a recording is one connection",
            ),
            (replay, "--replay", self.crlf, "--crlf", "a recording is sent as it was"),
            (replay, "--replay", self.whole, "--whole", "a recording has its own datagrams"),
            (replay, "--replay", self.lines, "--lines", "a recording has its own datagrams"),
            (
                record,
                "--record",
                self.per_message,
                "--per-message",
                "a recording is one connection",
            ),
            (self.per_message, "--per-message", self.recv_only, "--recv-only", "lines are sent"),
            (self.whole, "--whole", self.recv_only, "--recv-only", "the input is sent"),
            (self.whole, "--whole", self.lines, "--lines", "they cut the input differently"),
            (self.crlf, "--crlf", self.lines, "--lines", "it leaves newlines out"),
            (self.hex, "--hex", self.raw, "--raw", "they show differently"),
            (self.hex, "--hex", self.send_only, "--send-only", "that shows nothing"),
        ];
        for (first, first_name, second, second_name, why) in pairs {
            if first && second {
                let either = format!("give {first_name} or {second_name}");
                return Err(format!(
                    "{first_name} and {second_name} exclude each other: {why}; {either}"
                ));
            }
        }
        if let (Some(record), Some(replay)) = (&self.record, &self.replay)
            && record == replay
        {
            return Err(
                "--record would overwrite the file that --replay reads: name another".into()
            );
        }
        self.refuse_transport(endpoint)
    }

    fn refuse_transport(&self, endpoint: &Endpoint) -> Result<(), String> {
        let stream = endpoint.transport().is_stream();
        for (given, name) in [(self.lines, "--lines"), (self.whole, "--whole")] {
            if given && stream {
                return Err(format!(
                    "{name} is for datagrams: use udp:// or unixgram:, or leave it out"
                ));
            }
        }
        if self.per_message && !stream {
            return Err("--per-message is for connections: each line is a datagram of its own \
                        already, so leave it out"
                .into());
        }
        if self.source.is_some() && endpoint.host_port().is_none() {
            return Err("--source is for TCP and UDP: a Unix client has no address to choose, so \
                        leave it out"
                .into());
        }
        Ok(())
    }
}

fn refuse_endpoint(endpoint: &Endpoint) -> Result<(), String> {
    match endpoint {
        Endpoint::Tcp(at) | Endpoint::Tls(at) | Endpoint::Udp(at) if at.port == 0 => {
            Err(format!("{endpoint} has port 0, where nobody can listen: name the server's port"))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(words: &[&str]) -> ConnectArgs {
        #[derive(clap::Parser)]
        struct Program {
            #[command(flatten)]
            connect: ConnectArgs,
        }
        let words = ["sockeye"].iter().chain(words);
        <Program as clap::Parser>::try_parse_from(words).unwrap().connect
    }

    fn resolve(words: &[&str]) -> Result<ConnectSettings, String> {
        ConnectSettings::resolve(args(words), ConnectConfig::default())
    }

    /// Q1, C3: what contradicts itself is a usage error that names both and the way out.
    #[test]
    fn conflicts() {
        let cases: [(&[&str], &str); 11] = [
            (&["9", "-4", "-6"], "-4 and -6"),
            (&["9", "--send-only", "--recv-only"], "--send-only and --recv-only"),
            (&["9", "--replay=f", "--crlf"], "--replay and --crlf"),
            (&["9", "--record=f", "--replay=f"], "overwrite"),
            (&["9", "--hex", "--raw"], "--hex and --raw"),
            (&["9", "--lines"], "for datagrams"),
            (&["udp://h:9", "--whole", "--lines"], "--whole and --lines"),
            (&["udp://h:9", "--per-message"], "leave it out"),
            (&["unix:./s", "--source=::1"], "--source is for TCP and UDP"),
            (&["tls://h:0"], "port 0"),
            (&["h:0"], "port 0"),
        ];
        for (words, what) in cases {
            let error = resolve(words).unwrap_err();
            assert!(error.contains(what) && !error.contains('\n'), "{words:?}: {error}");
        }
        let wrong = [r#"{"set":["x"]}"#, r#"{"source":"x"}"#, r#"{"timeout":"0"}"#];
        for text in wrong {
            let config = serde_json::from_str(text).unwrap();
            let error = ConnectSettings::resolve(args(&["9"]), config).unwrap_err();
            assert!(error.contains("in the configuration: "), "{error}");
        }
    }

    /// Q3: arguments beat configuration, a switch can be turned off, and -6 replaces a configured
    /// -4; the names in the configuration are those of the options.
    #[test]
    fn precedence() {
        let text = r#"{"timeout":"5s","hex":true,"ipv4":true,"retry":3,"per-message":true,
            "set":["nodelay=on"]}"#;
        let config = || serde_json::from_str::<ConnectConfig>(text).unwrap();
        let from_config = ConnectSettings::resolve(args(&["9"]), config()).unwrap();
        assert_eq!(from_config.timeout, Some(Duration::from_secs(5)));
        assert_eq!(from_config.dial.timeout, Duration::from_secs(5));
        assert_eq!(from_config.dial.family, Family::V4);
        assert!(from_config.hex && from_config.per_message && from_config.retries == 3);
        assert_eq!(from_config.dial.options.len(), 1);
        let words = ["9", "--timeout=1m", "--hex=off", "-6", "--retry=0", "-v"];
        let from_args = ConnectSettings::resolve(args(&words), config()).unwrap();
        assert_eq!(from_args.timeout, Some(Duration::from_secs(60)));
        assert_eq!(from_args.dial.family, Family::V6);
        assert!(!from_args.hex && from_args.verbose && from_args.retries == 0);
        assert!(serde_json::from_str::<ConnectConfig>(r#"{"hexx":true}"#).is_err());
    }

    /// C4, C3: how datagrams are cut, and what is sent.
    #[test]
    fn sources() {
        assert_eq!(resolve(&["9"]).unwrap().source, Source::Input);
        assert_eq!(resolve(&["9", "--recv-only"]).unwrap().source, Source::Nowhere);
        let replay = resolve(&["udp://h:9", "--replay", "f"]).unwrap();
        assert_eq!((replay.source, replay.split), (Source::Recording("f".into()), Split::Pieces));
        assert_eq!(resolve(&["udp://h:9", "--whole"]).unwrap().split, Split::Whole);
        assert!(resolve(&["udp://h:9", "--lines"]).unwrap().lines());
        assert_eq!(resolve(&["9", "--timeout=3"]).unwrap().timeout, Some(Duration::from_secs(3)));
    }
}
