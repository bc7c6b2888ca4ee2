//! `sockeye key`: make, show and hand out the keys that `tls://` is proved with.

mod authorize;
mod list;
mod new;
mod show;
mod trust;

use std::fmt::Display;
use std::path::PathBuf;

use anyhow::anyhow;
use clap::{Args, Subcommand};
use serde_json::{Value, json};
use sockeye_net::shown;
use sockeye_trust::Fingerprint;

use super::docs::write_out;
use super::usage::Failure;

const EXAMPLES: &str = "\
Examples:
  sockeye key new                            make a key: ~/.config/sockeye/id_ed25519
  sockeye key show                           which keys are used here, with fingerprints
  sockeye key authorize id_ed25519.pub       let who holds this key in (on the server)
  sockeye key authorize laptop.pub --from 10.0.0.0/8 --command uptime
  ssh-keygen -y -f KEY | sockeye key authorize -
  sockeye key trust HOST \"ssh-ed25519 AAAA…\" know a server before the first contact
  sockeye key trust --remove HOST            forget it: its key has changed, and you know why
  sockeye key list                           who may come in, and which servers are known

Keys are OpenSSH's, Ed25519 alone: ~/.ssh/id_ed25519 and the agent (SSH_AUTH_SOCK) serve as well.
The lists are OpenSSH's too: ~/.ssh/authorized_keys and ~/.config/sockeye/known_hosts.";

/// Arguments of `sockeye key`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES, subcommand_required = true)]
pub(crate) struct KeyArgs {
    #[command(subcommand)]
    command: KeyCommand,
}

#[derive(Debug, Subcommand)]
enum KeyCommand {
    /// Make a key pair; never over an existing one.
    New(new::NewArgs),
    /// Show fingerprints: of files, or of the keys that are used here.
    Show(show::ShowArgs),
    /// Let a key in: add it to authorized_keys.
    Authorize(authorize::AuthorizeArgs),
    /// Know a server by its key, or forget it: known_hosts.
    Trust(trust::TrustArgs),
    /// List who may come in and which servers are known.
    List(list::ListArgs),
}

/// Does what the arguments say.
///
/// # Errors
/// [`Failure`], one line.
pub(crate) fn run(args: KeyArgs) -> Result<(), Failure> {
    match args.command {
        KeyCommand::New(args) => new::run(args),
        KeyCommand::Show(args) => show::run(&args),
        KeyCommand::Authorize(args) => authorize::run(args),
        KeyCommand::Trust(args) => trust::run(args),
        KeyCommand::List(args) => list::run(&args),
    }
}

/// An error whose text says all.
fn failed(error: impl Display) -> Failure {
    anyhow!("{error}").into()
}

/// A file that was named, or where it is by default.
fn place(named: Option<PathBuf>, default: Option<PathBuf>) -> Result<PathBuf, Failure> {
    named.or(default).ok_or_else(|| {
        failed("there is no home directory to look in (HOME is not set); give --file FILE")
    })
}

/// A line as `ssh-keygen -l` prints it.
fn fingerprint_line(fingerprint: &Fingerprint, comment: &str) -> String {
    let comment = if comment.is_empty() { "no comment".into() } else { shown::line(comment) };
    format!("256 {fingerprint} {comment} (ED25519)")
}

/// Prints one line of JSON, or one for a person.
fn print(json: bool, object: &Value, text: &str) -> Result<(), Failure> {
    let line = if json { shown::json(&object.to_string()) } else { text.to_owned() };
    write_out(format!("{line}\n").as_bytes())
}

/// A key as JSON, to which the caller adds where it is.
fn key_object(fingerprint: &Fingerprint, comment: &str) -> Value {
    json!({
        "fingerprint": fingerprint.to_string(),
        "type": "ssh-ed25519",
        "comment": shown::line(comment),
    })
}
