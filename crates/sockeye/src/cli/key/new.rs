//! `sockeye key new`: a key pair of one's own.

use std::fs;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};

use clap::Args;
use sockeye_trust::file::{KeyFileError, public_line, write_private};
use sockeye_trust::{KeyPair, Signer, place, prompt};

use super::failed;
use crate::cli::docs::write_out;
use crate::cli::usage::Failure;

/// Arguments of `sockeye key new`.
#[derive(Debug, Args)]
pub(crate) struct NewArgs {
    /// Where to write it, and its public half beside it in FILE.pub
    /// [default: ~/.config/sockeye/id_ed25519].
    #[arg(long, short, value_name = "FILE")]
    file: Option<PathBuf>,

    /// A note behind the public key [default: user@machine].
    #[arg(long, short = 'C', value_name = "TEXT")]
    comment: Option<String>,

    /// Do not encrypt the key, and do not ask. Without a terminal it is never encrypted.
    #[arg(long)]
    no_passphrase: bool,
}

pub(super) fn run(args: NewArgs) -> Result<(), Failure> {
    let path = super::place(args.file, place::identity())?;
    // Before anybody types a passphrase for nothing.
    if path.symlink_metadata().is_ok() {
        return Err(failed(KeyFileError::Exists { path: path.display().to_string() }));
    }
    let passphrase = if args.no_passphrase || !io::stdin().is_terminal() || !prompt::is_possible() {
        None
    } else {
        let given = prompt::new_passphrase(&path);
        Some(given.ok_or_else(|| failed("no passphrase was given, so no key was made"))?)
    };
    let comment = args.comment.unwrap_or_else(default_comment);
    if comment.contains(char::is_control) {
        return Err(Failure::Usage("--comment is one line of text".into()));
    }
    let pair = KeyPair::generate(comment).map_err(failed)?;
    let passphrase = passphrase.as_ref().map(|passphrase| passphrase.as_str());
    write_private(&path, &pair, passphrase).map_err(failed)?;
    tell(&pair, &path);
    write_out(format!("{}\n", public_line(&pair)).as_bytes())
}

fn tell(pair: &KeyPair, path: &Path) {
    let path = sockeye_net::shown::line(&path.display().to_string());
    eprintln!("sockeye: new key {} in {path}", pair.public().fingerprint());
}

/// `user@machine`, as far as these are known.
fn default_comment() -> String {
    let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_default();
    let machine = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let comment = format!("{user}@{}", machine.trim());
    comment.trim_matches('@').chars().filter(|c| !c.is_control()).collect()
}
