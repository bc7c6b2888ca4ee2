//! Our key, and the servers whose keys are known: options of every command that talks over `tls://`.

use std::io::{self, BufRead, Write};
use std::path::PathBuf;

use clap::Args;
use sockeye_host::client::{FirstContact, Reach};
use sockeye_limits as limits;
use sockeye_net::{DialOptions, Endpoint};
use sockeye_trust::{Fingerprint, place, prompt};

/// Options about keys.
#[derive(Debug, Default, Args)]
pub(crate) struct TrustArgs {
    /// tls://: our key, a private key file, or a public one whose private half the SSH agent holds
    /// [default: ~/.config/sockeye/id_ed25519, ~/.ssh/id_ed25519, then the agent's, of which
    /// `connect` takes the first and others try each].
    #[arg(long, short = 'i', value_name = "FILE", env = "SOCKEYE_IDENTITY")]
    identity: Option<PathBuf>,

    /// tls://: the servers that are known [default: ~/.config/sockeye/known_hosts].
    #[arg(long, value_name = "FILE", env = "SOCKEYE_KNOWN_HOSTS")]
    known_hosts: Option<PathBuf>,

    /// tls://: the server's key has to have this fingerprint; then one that is met for the first time
    /// is trusted, too.
    #[arg(long, value_name = "SHA256:…", env = "SOCKEYE_TRUST")]
    trust: Option<Fingerprint>,
}

/// The same, resolved.
#[derive(Debug, Clone, Default)]
pub(crate) struct Trust {
    identity: Option<PathBuf>,
    known_hosts: PathBuf,
    trust: Option<Fingerprint>,
}

impl TrustArgs {
    /// The arguments over what the configuration says.
    ///
    /// # Errors
    /// Where there is no home directory to find the usual file in.
    pub(crate) fn over(
        self,
        identity: Option<PathBuf>,
        known_hosts: Option<PathBuf>,
    ) -> Result<Trust, String> {
        let known_hosts = self.known_hosts.or(known_hosts).or_else(place::known_hosts);
        Ok(Trust {
            identity: self.identity.or(identity),
            known_hosts: known_hosts
                .ok_or("HOME is not set: name the file of known servers with --known-hosts FILE")?,
            trust: self.trust,
        })
    }
}

impl Trust {
    /// Makes a way to a server, with a terminal to ask on if there is one, and goes it.
    pub(crate) async fn reach<T>(
        &self,
        endpoint: &Endpoint,
        dial: &DialOptions,
        go: impl AsyncFnOnce(Reach<'_>) -> T,
    ) -> T {
        let mut asked = ask_about;
        let first_contact = match self.trust {
            Some(fingerprint) => FirstContact::Pinned(fingerprint),
            None if prompt::is_possible() => FirstContact::Ask(&mut asked),
            None => FirstContact::Refuse,
        };
        go(Reach {
            endpoint,
            dial,
            identity: self.identity.as_deref(),
            known_hosts: &self.known_hosts,
            first_contact,
            passphrase: &mut prompt::passphrase,
        })
        .await
    }
}

/// Asks on the terminal whether a server that is met for the first time is the right one.
fn ask_about(host: &str, fingerprint: &Fingerprint) -> bool {
    let ask = || -> io::Result<bool> {
        let terminal = std::fs::File::options().read(true).write(true).open("/dev/tty")?;
        let mut answers = io::BufReader::new(&terminal);
        write!(
            &terminal,
            "{host} is met for the first time. Its key is {fingerprint}.\n\
             Is that what the server printed at its start? (yes/no) "
        )?;
        for _ in 0..limits::QUESTIONS {
            let mut answer = String::new();
            if answers.read_line(&mut answer)? == 0 {
                return Ok(false);
            }
            match answer.trim() {
                "yes" => return Ok(true),
                "no" => return Ok(false),
                // Who compares by copying is surest.
                other if other == fingerprint.to_string() => return Ok(true),
                _ => write!(&terminal, "Write yes, no, or the fingerprint itself: ")?,
            }
        }
        Ok(false)
    };
    ask().unwrap_or(false)
}
