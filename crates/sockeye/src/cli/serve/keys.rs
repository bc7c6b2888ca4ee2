//! Whose keys may come in, and what the owner of a server of remote commands allows.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use sockeye_host::{ACCEPT_ENV, Rules};
use sockeye_net::{shown, units};
use sockeye_trust::{authorized, place};

/// Options of `host`, and of `tls://`.
#[derive(Debug, Args)]
pub(crate) struct KeyArgs {
    /// host, tls://: who may come in, a file as OpenSSH's [default: ~/.ssh/authorized_keys].
    #[arg(long, value_name = "FILE", env = "SOCKEYE_AUTHORIZED_KEYS")]
    authorized_keys: Option<PathBuf>,

    /// host, tls://: the server's own key, made at its first start [default:
    /// ~/.config/sockeye/host_key].
    #[arg(long, value_name = "FILE", env = "SOCKEYE_HOST_KEY")]
    host_key: Option<PathBuf>,

    /// host: variables that clients may set, * and ? for others [default:
    /// LANG,LC_*,COLORTERM,NO_COLOR].
    #[arg(long, value_name = "NAMES", env = "SOCKEYE_ACCEPT_ENV", value_delimiter = ',')]
    accept_env: Option<Vec<String>>,

    /// host: write each command down in this file before it runs, as lines of JSON; what cannot be
    /// written down is not run.
    #[arg(long, value_name = "FILE", env = "SOCKEYE_AUDIT")]
    audit: Option<PathBuf>,

    /// host: commands may gain privileges, as by sudo [default: off].
    #[arg(long, env = "SOCKEYE_PRIVILEGES", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    privileges: Option<bool>,

    /// tls://: bar sources that misbehave on loopback, too [default: off].
    #[arg(long, env = "SOCKEYE_PENALIZE_LOOPBACK", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    pub(crate) penalize_loopback: Option<bool>,
}

/// The same from the configuration.
#[derive(Debug, Default)]
pub(crate) struct KeyConfig {
    pub(crate) authorized_keys: Option<PathBuf>,
    pub(crate) host_key: Option<PathBuf>,
    pub(crate) accept_env: Option<Vec<String>>,
    pub(crate) audit: Option<PathBuf>,
    pub(crate) privileges: Option<bool>,
    pub(crate) penalize_loopback: Option<bool>,
}

impl KeyArgs {
    /// The rules that they come to.
    ///
    /// # Errors
    /// Where there is no home directory to find the usual files in.
    pub(crate) fn over(self, config: KeyConfig) -> Result<Rules, String> {
        let homeless = |option: &str| format!("HOME is not set: name the file with {option} FILE");
        let authorized = self.authorized_keys.or(config.authorized_keys);
        let host_key = self.host_key.or(config.host_key);
        let audit = self.audit.or(config.audit);
        let usual = || ACCEPT_ENV.map(String::from).to_vec();
        Ok(Rules {
            authorized: absolute(
                authorized
                    .or_else(place::authorized_keys)
                    .ok_or_else(|| homeless("--authorized-keys"))?,
            )?,
            host_key: absolute(
                host_key.or_else(place::host_key).ok_or_else(|| homeless("--host-key"))?,
            )?,
            accept_env: self.accept_env.or(config.accept_env).unwrap_or_else(usual),
            audit: audit.map(absolute).transpose()?,
            privileges: self.privileges.or(config.privileges).unwrap_or(false),
        })
    }
}

/// A worker process and a command may run elsewhere.
fn absolute(path: PathBuf) -> Result<PathBuf, String> {
    std::path::absolute(&path).map_err(|error| format!("{}: {error}", path.display()))
}

/// Tells on stderr what is skipped in the list, and what to run where nobody is in it.
pub(crate) fn introduce(list: &Path) {
    let say = |text: String| {
        // A closed standard error has nobody to be told.
        let _ = writeln!(std::io::stderr(), "{text}");
    };
    let shown = shown::bytes(list.as_os_str().as_encoded_bytes());
    match authorized::read(list) {
        Err(error) => say(format!("nobody can come in by a key: {error}")),
        Ok(authorized) => {
            for warning in &authorized.warnings {
                let text = shown::line(&warning.text);
                say(format!("{shown}, line {}: {text}", warning.line));
            }
            if authorized.entries.is_empty() {
                say(format!("nobody may come in yet: {shown} has no Ed25519 key. Run one of"));
                say(if sockeye_trust::identity::candidates(None).is_ok() {
                    "  sockeye key authorize                      # your own key, or KEY.pub of \
                     another machine"
                        .into()
                } else {
                    "  sockeye key new && sockeye key authorize   # a new key of your own".into()
                });
            }
        }
    }
}
