//! Whose keys may come in, and what the owner of a server of remote commands allows.

use std::io::Write;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{ArgMatches, Args, FromArgMatches};
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

    /// host, command: write each command down in this file before it runs, as lines of JSON; what cannot be
    /// written down is not run.
    #[arg(long, value_name = "FILE", env = "SOCKEYE_AUDIT")]
    audit: Option<PathBuf>,

    /// host: commands may gain privileges, as by sudo [default: off].
    #[arg(long, env = "SOCKEYE_PRIVILEGES", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    privileges: Option<bool>,

    /// host: serve files beneath this directory alone, and run no commands.
    #[arg(long, value_name = "DIR", env = "SOCKEYE_ROOT")]
    root: Option<PathBuf>,

    /// host: let files be read, not written, and run no commands [default: off].
    #[arg(long, env = "SOCKEYE_READ_ONLY", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    read_only: Option<bool>,

    /// tls://: bar sources that misbehave on loopback, too [default: off].
    #[arg(long, env = "SOCKEYE_PENALIZE_LOOPBACK", value_name = "on|off", num_args = 0..=1,
        require_equals = true, default_missing_value = "on", value_parser = units::switch)]
    pub(crate) penalize_loopback: Option<bool>,
}

/// Those options, and which of them stand on the command line: the environment is for all servers of a
/// user.
#[derive(Debug)]
pub(crate) struct GivenKeys {
    pub(crate) args: KeyArgs,
    given: Vec<&'static str>,
}

/// The options by their names here, and whom they are for beside `host`.
const OPTIONS: [(&str, &str, For); 8] = [
    ("authorized_keys", "--authorized-keys", For::Tls),
    ("host_key", "--host-key", For::Tls),
    ("penalize_loopback", "--penalize-loopback", For::Tls),
    ("audit", "--audit", For::Command),
    ("accept_env", "--accept-env", For::Nobody),
    ("privileges", "--privileges", For::Nobody),
    ("root", "--root", For::Nobody),
    ("read_only", "--read-only", For::Nobody),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum For {
    Tls,
    Command,
    Nobody,
}

impl GivenKeys {
    /// Refuses an option that this service cannot keep.
    ///
    /// # Errors
    /// Which, and what it is for, in one sentence.
    pub(crate) fn check(&self, service: &str, commands: bool, tls: bool) -> Result<(), String> {
        if commands && service == "host" {
            return Ok(());
        }
        for (_, option, fit) in OPTIONS.iter().filter(|(_, option, _)| self.given.contains(option))
        {
            let (kept, whose) = match fit {
                For::Tls => (tls, "host and tls://"),
                For::Command => (commands, "host and command"),
                For::Nobody => (false, "host"),
            };
            if !kept {
                return Err(format!("{service} has no {option}: it is an option of {whose}"));
            }
        }
        Ok(())
    }
}

impl FromArgMatches for GivenKeys {
    fn from_arg_matches(matches: &ArgMatches) -> Result<GivenKeys, clap::Error> {
        let args = KeyArgs::from_arg_matches(matches)?;
        let given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
        let options = OPTIONS.iter().filter(|(id, ..)| given(id)).map(|(_, option, _)| *option);
        Ok(GivenKeys { args, given: options.collect() })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = GivenKeys::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for GivenKeys {
    fn augment_args(command: clap::Command) -> clap::Command {
        KeyArgs::augment_args(command)
    }

    fn augment_args_for_update(command: clap::Command) -> clap::Command {
        KeyArgs::augment_args_for_update(command)
    }
}

/// The same from the configuration.
#[derive(Debug, Default)]
pub(crate) struct KeyConfig {
    pub(crate) authorized_keys: Option<PathBuf>,
    pub(crate) host_key: Option<PathBuf>,
    pub(crate) accept_env: Option<Vec<String>>,
    pub(crate) audit: Option<PathBuf>,
    pub(crate) privileges: Option<bool>,
    pub(crate) root: Option<PathBuf>,
    pub(crate) read_only: Option<bool>,
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
        let audit = self.audit.or(config.audit).map(absolute).transpose()?;
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
            audit,
            root: self.root.or(config.root).map(absolute).transpose()?,
            read_only: self.read_only.or(config.read_only).unwrap_or(false),
            privileges: self.privileges.or(config.privileges).unwrap_or(false),
        })
    }
}

impl KeyArgs {
    /// The audit file alone, for a server that knows no keys.
    ///
    /// # Errors
    /// Where the current directory that it is relative to cannot be found.
    pub(crate) fn audit(self, config: KeyConfig) -> Result<Option<PathBuf>, String> {
        self.audit.or(config.audit).map(absolute).transpose()
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
