//! How a server is reached and which keys count: options of `exec`, `shell`, `cp` and `sync`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use sockeye_limits as limits;
use sockeye_net::dial::{DialOptions, parse_source};
use sockeye_net::{SocketOption, units};

use super::trust::{Trust, TrustArgs};
use super::values;

/// What is wrong with a host that names a user, as ssh(1) and scp(1) have it.
pub(crate) fn names_user(host: &str) -> Option<String> {
    let rest = host.strip_prefix("tls://").or_else(|| host.strip_prefix("tcp://")).unwrap_or(host);
    let (_, alone) = rest.split('/').next()?.rsplit_once('@')?;
    let alone = if alone.is_empty() { "HOST" } else { alone };
    Some(format!(
        "{host:?} names a user, but there are no user names: what runs there runs as the user who \
         serves; write {alone} alone"
    ))
}

/// How a server is reached.
#[derive(Debug, Args)]
pub(crate) struct ReachArgs {
    #[command(flatten)]
    trust: TrustArgs,

    /// How long connecting may take [default: 7s].
    #[arg(long, value_name = "TIME", env = "SOCKEYE_CONNECT_TIMEOUT",
        value_parser = values::positive_duration)]
    connect_timeout: Option<Duration>,

    /// Our own address, bound before connecting (port 0 or none: any).
    #[arg(long, env = "SOCKEYE_SOURCE", value_name = "ADDR[:PORT]", value_parser = parse_source)]
    source: Option<SocketAddr>,

    /// IPv4 only.
    #[arg(short = '4', long, env = "SOCKEYE_IPV4", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    ipv4: Option<bool>,

    /// IPv6 only.
    #[arg(short = '6', long, env = "SOCKEYE_IPV6", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    ipv6: Option<bool>,

    /// Set a socket option before connecting, as in nodelay=on (repeatable).
    #[arg(long, env = "SOCKEYE_SET", value_name = "NAME=VALUE", value_delimiter = ',')]
    set: Option<Vec<SocketOption>>,
}

/// The same in the configuration.
#[derive(Debug, Default)]
pub(crate) struct ReachConfig {
    pub(crate) identity: Option<PathBuf>,
    pub(crate) known_hosts: Option<PathBuf>,
    pub(crate) connect_timeout: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) ipv4: Option<bool>,
    pub(crate) ipv6: Option<bool>,
    pub(crate) set: Option<Vec<String>>,
}

impl ReachArgs {
    /// The arguments over the configuration over the defaults.
    ///
    /// # Errors
    /// What contradicts itself or is no value, in one sentence.
    pub(crate) fn over(self, config: ReachConfig) -> Result<(DialOptions, Trust), String> {
        let timeout = values::either(
            self.connect_timeout,
            config.connect_timeout,
            "connect-timeout",
            values::positive_duration,
        )?;
        let dial = DialOptions {
            family: values::family((self.ipv4, self.ipv6), (config.ipv4, config.ipv6))?,
            source: values::either(self.source, config.source, "source", parse_source)?,
            options: values::options(self.set, config.set.as_deref())?,
            timeout: timeout.unwrap_or(limits::CONNECT_TIMEOUT),
        };
        Ok((dial, self.trust.over(config.identity, config.known_hosts)?))
    }
}
