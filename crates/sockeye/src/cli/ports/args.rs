//! What `sockeye ports` can be told: by arguments, by the environment, by `[ports]` in config.toml.

use sockeye_net::units;
use sockeye_observe::snapshot::{Target, Wanted};
use sockeye_observe::sockets::{Protocol, State};

const EXAMPLES: &str = "\
Examples:
  sockeye ports                   every TCP and UDP socket here, by state, with its owner
  sockeye ports 9000              who has port 9000, on either end; how full its accept queue is
  sockeye ports pid:4711          the sockets of a process
  sockeye ports --listening       what waits for others
  sockeye ports --state time-wait,close-wait
                                  what was closed on one side only, or waits out its end
  sockeye ports --watch 9000      again every second, changes marked (+ new, ~ changed, - gone)
  sockeye ports --unix pid:4711   Unix sockets as well
  sockeye ports --json | jq .     one object a socket, a summary at the end
  sockeye ports --tune            the kernel's settings: what each does, and which need a thought

A number is a port where a socket has it on either end, and else a process. Owners of other users'
sockets are visible to root alone. TIME-WAIT is summed up: of a named port or process a few are shown,
and all with --state time-wait. --json shows all always.

Nothing is touched, and no privileges are needed: the kernel's own tables are read (sock_diag).

--unix, --verbose and --json can also be set by SOCKEYE_NAME in the environment, or by their names in
[ports] of config.toml. Arguments beat the environment, which beats config.toml.";

/// Arguments of `sockeye ports`.
#[derive(clap::Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PortsArgs {
    /// A port on either end, or a process (pid:N where it could be both) [default: all].
    #[arg(value_name = "PORT|PID")]
    target: Option<Target>,

    /// Only what waits for others: listeners, and datagram sockets without a peer.
    #[arg(short, long)]
    listening: bool,

    /// Only these states: listen, established, time-wait, close-wait, fin-wait-2 …
    #[arg(short, long, value_name = "STATE", value_delimiter = ',')]
    state: Vec<State>,

    /// TCP only, or with --udp both.
    #[arg(short, long)]
    tcp: bool,

    /// UDP only, or with --tcp both.
    #[arg(short, long)]
    udp: bool,

    /// Unix sockets as well.
    #[arg(short = 'x', long, env = "SOCKEYE_UNIX", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    unix: Option<bool>,

    /// Look again every second until Ctrl-C; with --json one snapshot a line.
    #[arg(short, long)]
    watch: bool,

    /// The kernel's settings that matter, what each does, and which of them need a thought.
    #[arg(long, conflicts_with_all = ["target", "listening", "state", "tcp", "udp", "watch", "verbose"])]
    tune: bool,

    /// Round trip time, congestion window and more of each connection.
    #[arg(short, long, env = "SOCKEYE_VERBOSE", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    verbose: Option<bool>,

    /// One JSON object a line (docs/json.md).
    #[arg(long, env = "SOCKEYE_JSON", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    json: Option<bool>,
}

/// `[ports]` of config.toml: options of [`PortsArgs`] by their names.
#[derive(serde::Deserialize, Debug, Default)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub(crate) struct PortsConfig {
    unix: Option<bool>,
    verbose: Option<bool>,
    json: Option<bool>,
}

/// What is to be shown, resolved.
#[derive(Debug)]
pub(crate) struct PortsSettings {
    pub(super) wanted: Wanted,
    pub(super) watch: bool,
    pub(super) tune: bool,
    pub(super) verbose: bool,
    pub(super) json: bool,
}

impl PortsArgs {
    /// Resolves arguments over configuration.
    pub(crate) fn resolve(self, config: &PortsConfig) -> PortsSettings {
        let protocols = match (self.tcp, self.udp) {
            (true, false) => vec![Protocol::Tcp],
            (false, true) => vec![Protocol::Udp],
            _ => Protocol::ALL.to_vec(),
        };
        let over = |given: Option<bool>, or: Option<bool>| given.or(or).unwrap_or(false);
        PortsSettings {
            wanted: Wanted {
                protocols,
                unix: over(self.unix, config.unix),
                listening: self.listening,
                states: self.state,
                target: self.target,
            },
            watch: self.watch,
            tune: self.tune,
            verbose: over(self.verbose, config.verbose),
            json: over(self.json, config.json),
        }
    }
}
