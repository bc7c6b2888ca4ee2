//! Arguments and configuration become settings, once; what contradicts itself is refused by name.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use sockeye_limits as limits;
use sockeye_net::Endpoint;
use sockeye_observe::capture::{Protocol, Watch};
use sockeye_observe::talk::{self, Plan};
use sockeye_serve::{Service, services};

use super::args::{Close, TraceArgs, TraceConfig};
use crate::cli::values::{self, positive_duration};

/// What is traced.
pub(super) enum Subject {
    /// A conversation with a server that is there.
    Talk(Plan),
    /// A conversation with a server of our own, in a private network.
    Own(Plan, Service),
    /// What others do at a port.
    Port { watch: Watch, count: Option<usize>, duration: Option<Duration> },
}

/// One trace, resolved.
pub(crate) struct TraceSettings {
    pub(super) subject: Subject,
    pub(super) show: Show,
    pub(super) pcap: Option<PathBuf>,
    pub(super) html: Option<PathBuf>,
}

/// How it is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Show {
    pub(super) json: bool,
    pub(super) ascii: bool,
    pub(super) layers: bool,
}

impl TraceSettings {
    /// Resolves arguments (and the environment, which clap has put among them) over configuration.
    ///
    /// # Errors
    /// A usage error: one sentence that says what was wrong and what is right.
    pub(crate) fn resolve(
        mut args: TraceArgs,
        config: TraceConfig,
    ) -> Result<TraceSettings, String> {
        let show = Show {
            json: args.json.unwrap_or(false),
            ascii: args.ascii.or(config.ascii).unwrap_or(false),
            layers: args.layers.or(config.layers).unwrap_or(false),
        };
        let timeout = match (args.timeout, &config.timeout) {
            (Some(timeout), _) => timeout,
            (None, Some(text)) => positive_duration(text).map_err(|e| format!("timeout: {e}"))?,
            (None, None) => limits::CONNECT_TIMEOUT,
        };
        args.close = args.close.or(config.close);
        let (pcap, html) = (args.pcap.take(), args.html.take());
        if let (Some(pcap), Some(html)) = (&pcap, &html)
            && is_one_file(pcap, html)
        {
            return Err("--pcap and --html name the same file: give each its own".into());
        }
        let subject = match (args.port, args.endpoint.clone()) {
            (Some(0), _) => return Err("--port 0 is no port: name the one to watch".into()),
            (Some(_), _) if args.udp && args.count.is_some() => {
                return Err(
                    "--count counts connections that are over, and datagrams have no end: \
                            use --duration with --udp"
                        .into(),
                );
            }
            // clap lets these pass beside an ENDPOINT, because that excludes the --port they require.
            (None, _) if args.count.is_some() || args.duration.is_some() => {
                return Err(
                    "--count and --duration say how long to watch: use them with --port".into()
                );
            }
            (Some(port), _) => Subject::Port {
                watch: Watch::Port(protocol(args.udp), port),
                count: args.count,
                duration: args.duration,
            },
            (None, Some(endpoint)) => {
                refuse_unix(&endpoint, pcap.is_some())?;
                Subject::Talk(plan(&args, endpoint, timeout)?)
            }
            (None, None) => own(&mut args, timeout)?,
        };
        Ok(TraceSettings { subject, show, pcap, html })
    }
}

/// True for two names of one file that would be overwritten twice; devices take both.
fn is_one_file(one: &Path, other: &Path) -> bool {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let found = |path: &Path| {
        let found = std::fs::metadata(path).ok()?;
        found.is_file().then(|| (found.dev(), found.ino()))
    };
    match (found(one), found(other)) {
        (Some(one), Some(other)) => one == other,
        _ => absolute(one) == absolute(other) && !one.exists(),
    }
}

/// What a Unix socket has not.
fn refuse_unix(endpoint: &Endpoint, pcap: bool) -> Result<(), String> {
    match endpoint.unix_name() {
        Some(_) if pcap => Err(format!("--pcap: {endpoint} has no packets; leave it out")),
        _ => Ok(()),
    }
}

fn protocol(udp: bool) -> Protocol {
    if udp { Protocol::Udp } else { Protocol::Tcp }
}

fn plan(args: &TraceArgs, endpoint: Endpoint, timeout: Duration) -> Result<Plan, String> {
    if matches!(endpoint, Endpoint::Tls(_)) && !args.send.is_empty() {
        return Err(format!(
            "--send does not go with {endpoint}: of TLS a trace sees the TCP beneath, and what it \
             would send were no TLS. Watch a real one: `sockeye trace --port N` here and `sockeye \
             connect {endpoint}` beside it"
        ));
    }
    if let Some(at) = endpoint.host_port()
        && at.port == 0
    {
        return Err(format!("{endpoint}: port 0 is for servers; name the port to connect to"));
    }
    let family = values::family((args.ipv4, args.ipv6), (None, None))?;
    Ok(Plan {
        endpoint,
        family,
        source: args.source,
        sends: args.send.iter().map(|text| text.clone().into_bytes()).collect(),
        close: match args.close {
            None | Some(Close::Half) => talk::Close::Half,
            Some(Close::First) => talk::Close::First,
            Some(Close::Last) => talk::Close::Last,
            Some(Close::Reset) => talk::Close::Reset,
        },
        timeout,
        stop: None,
    })
}

/// A server of our own: something is said to it, or there would be little to see.
fn own(args: &mut TraceArgs, timeout: Duration) -> Result<Subject, String> {
    let name = args.service.as_deref().unwrap_or("upper");
    let service = services::find(name).ok_or_else(|| {
        let known: Vec<&str> = services::all().iter().map(Service::name).collect();
        format!("no service {name:?} to trace: it is one of {}", known.join(", "))
    })?;
    if service.name() == "chargen" {
        return Err(
            "chargen never ends: trace one that runs, as in `sockeye serve chargen 9019` and \
                    `sockeye trace 9019 --close first`"
                .into(),
        );
    }
    // Those that answer; the others talk by themselves.
    let listens = matches!(service.name(), "upper" | "echo" | "discard");
    if args.send.is_empty() && listens {
        args.send.push("hello\n".into());
    }
    if args.udp && args.send.is_empty() {
        args.send.push("\n".repeat(64));
    }
    if !listens && !args.udp {
        // Whoever talks by itself also closes by itself.
        args.close = args.close.or(Some(Close::Last));
    }
    let scheme = if args.udp { "udp" } else { "tcp" };
    let word = format!("{scheme}://127.0.0.1:{}", limits::DEFAULT_PORT);
    let endpoint: Endpoint = word.parse().map_err(|error| format!("{word}: {error}"))?;
    Ok(Subject::Own(plan(args, endpoint, timeout)?, service))
}

#[cfg(test)]
mod tests {
    use clap::{Args, FromArgMatches};

    use super::*;

    fn resolve(words: &[&str]) -> Result<TraceSettings, String> {
        let command = TraceArgs::augment_args(clap::Command::new("trace"));
        let matches = command
            .try_get_matches_from(std::iter::once(&"trace").chain(words))
            .map_err(|error| error.to_string())?;
        let args = TraceArgs::from_arg_matches(&matches).map_err(|error| error.to_string())?;
        TraceSettings::resolve(args, TraceConfig::default())
    }

    /// O1, O2: what is traced, by what was named.
    #[test]
    fn subjects() {
        let Subject::Talk(plan) = resolve(&["9000", "--send", "-x"]).unwrap().subject else {
            panic!("a conversation")
        };
        assert_eq!(
            (plan.endpoint.to_string().as_str(), &plan.sends[0][..]),
            ("tcp://127.0.0.1:9000", &b"-x"[..])
        );
        let Subject::Own(plan, service) = resolve(&[]).unwrap().subject else { panic!("our own") };
        assert_eq!((service.name(), plan.close), ("upper", talk::Close::Half));
        assert!(!plan.sends.is_empty());
        let Subject::Own(plan, _) = resolve(&["--service", "daytime"]).unwrap().subject else {
            panic!("our own")
        };
        assert_eq!((plan.close, plan.sends.len()), (talk::Close::Last, 0));
        let port = resolve(&["--port", "53", "--udp"]).unwrap().subject;
        assert!(matches!(port, Subject::Port { watch: Watch::Port(Protocol::Udp, 53), .. }));
    }

    /// Q1: what makes no sense is refused by name.
    #[test]
    fn refused() {
        for (words, word) in [
            (&["--service", "host"][..], "upper"),
            (&["--service", "chargen"], "never ends"),
            (&["unix:/s", "--pcap", "f"], "no packets"),
            (&["tls://127.0.0.1:1", "--send", "x"], "TLS"),
            (&["0"], "port 0"),
            (&["--port", "0"], "--port 0"),
            (&["9000", "-4", "-6"], "exclude"),
            (&["9000", "--port", "9000"], "cannot be used with"),
            (&["9000", "--count", "1"], "--port"),
            (&["--port", "53", "--udp", "--count", "1"], "--duration"),
        ] {
            let Err(text) = resolve(words) else { panic!("{words:?} was taken") };
            assert!(text.contains(word), "{words:?}: {text}");
        }
    }
}
