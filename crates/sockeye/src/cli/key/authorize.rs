//! `sockeye key authorize`: add a key to authorized_keys.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use clap::Args;
use sockeye_limits as limits;
use sockeye_trust::authorized::{self, Added, authorize};
use sockeye_trust::identity::{self, Origin};
use sockeye_trust::{PublicKey, file, place};

use super::failed;
use super::show::{comment_of, shown_path};
use crate::cli::usage::Failure;

/// Arguments of `sockeye key authorize`.
#[derive(Debug, Args)]
pub(crate) struct AuthorizeArgs {
    /// Whom to let in: a line `ssh-ed25519 AAAA… comment`, a file that holds such lines, or - for
    /// standard input [default: our own identity].
    #[arg(value_name = "KEY|FILE|-", num_args = 0..)]
    key: Vec<String>,

    /// The list [default: ~/.ssh/authorized_keys].
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,

    /// Only from these addresses: a list of patterns with *, ? and !, and networks such as
    /// 10.0.0.0/8.
    #[arg(long, value_name = "PATTERNS")]
    from: Option<String>,

    /// Only this command, whatever is asked for.
    #[arg(long, value_name = "LINE")]
    command: Option<String>,

    /// Only until this moment: YYYYMMDD[HHMM[SS]], local time, or UTC with a Z behind it.
    #[arg(long, value_name = "TIME")]
    expiry: Option<String>,

    /// No terminal.
    #[arg(long)]
    no_pty: bool,

    /// Nothing but running commands without a terminal, now and in later versions.
    #[arg(long)]
    restrict: bool,
}

pub(super) fn run(args: AuthorizeArgs) -> Result<(), Failure> {
    let options = options(&args);
    let keys = keys(&args.key)?;
    let path = super::place(args.file, place::authorized_keys())?;
    for (key, comment) in keys {
        let fingerprint = key.fingerprint();
        let shown = shown_path(&path);
        match authorize(&path, &key, &comment, &options).map_err(failed)? {
            Added::New => eprintln!("sockeye: {fingerprint} is authorised in {shown}"),
            Added::Already { line, options: old } if old == options => {
                eprintln!(
                    "sockeye: {fingerprint} was authorised already in line {line} of {shown}"
                );
            }
            Added::Already { line, .. } => {
                return Err(failed(format!(
                    "line {line} of {shown} has {fingerprint} already, with other options; edit \
                     that line"
                )));
            }
        }
    }
    Ok(())
}

/// The options as they stand before a key.
fn options(args: &AuthorizeArgs) -> String {
    let quoted = |name: &str, value: &Option<String>| {
        value.as_ref().map(|value| format!("{name}=\"{}\"", value.replace('"', "\\\"")))
    };
    let word = |name: &str, given: bool| given.then(|| name.to_owned());
    let all = [
        word("restrict", args.restrict),
        word("no-pty", args.no_pty),
        quoted("from", &args.from),
        quoted("command", &args.command),
        quoted("expiry-time", &args.expiry),
    ];
    all.into_iter().flatten().collect::<Vec<_>>().join(",")
}

/// The keys that are meant, with their comments.
fn keys(words: &[String]) -> Result<Vec<(PublicKey, String)>, Failure> {
    match words {
        [] => own().map(|key| vec![key]),
        [word] if word == "-" => from_text(&read(&mut io::stdin(), "standard input")?, "the input"),
        [word] if !word.starts_with("ssh-") => from_file(Path::new(word)),
        words => from_text(words.join(" ").as_bytes(), "that"),
    }
}

/// The first identity that we would prove ourselves with.
fn own() -> Result<(PublicKey, String), Failure> {
    let candidates = identity::candidates(None).map_err(failed)?;
    let first = candidates.first().ok_or_else(|| failed(identity::IdentityError::Nothing))?;
    let comment = match first.origin() {
        Origin::File(path) => comment_of(path),
        Origin::Agent(comment) => comment.clone(),
    };
    Ok((first.public(), comment))
}

fn from_file(path: &Path) -> Result<Vec<(PublicKey, String)>, Failure> {
    let name = shown_path(path);
    let open = File::open(path);
    let mut open = open.map_err(|error| {
        failed(format!(
            "cannot open {name}: {error}; give a key \
        (ssh-ed25519 AAAA…) or a .pub file"
        ))
    })?;
    let bytes = read(&mut open, &name)?;
    if bytes.starts_with(b"-----BEGIN ") {
        let key = file::public_of(path).map_err(failed)?;
        return Ok(vec![(key, comment_of(path))]);
    }
    from_text(&bytes, &name)
}

fn read(from: &mut impl Read, name: &str) -> Result<Vec<u8>, Failure> {
    let mut bytes = Vec::new();
    let read = from.take(limits::KEY_FILE_BYTES).read_to_end(&mut bytes);
    read.map_err(|error| failed(format!("cannot read {name}: {error}; look at the path")))?;
    Ok(bytes)
}

/// Every line has to be a plain public key: options are given to us by name, not smuggled in.
fn from_text(bytes: &[u8], name: &str) -> Result<Vec<(PublicKey, String)>, Failure> {
    let list = authorized::parse(bytes);
    if let Some(warning) = list.warnings.first() {
        return Err(failed(format!("line {} of {name}: {}", warning.line, warning.text)));
    }
    if let Some(entry) = list.entries.iter().find(|entry| !entry.options.is_empty()) {
        let line = entry.line;
        return Err(failed(format!(
            "line {line} of {name} has options; give them by name (--from …)"
        )));
    }
    if list.entries.is_empty() {
        return Err(failed(format!("{name} is no Ed25519 public key; give `ssh-ed25519 AAAA…`")));
    }
    Ok(list.entries.into_iter().map(|entry| (entry.key, entry.comment)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICdHvYzGQPfZMlUxhcjfrfrF5l5xQfd9XwnW9c6Vh6oQ";

    fn args() -> AuthorizeArgs {
        AuthorizeArgs {
            key: Vec::new(),
            file: None,
            from: None,
            command: None,
            expiry: None,
            no_pty: false,
            restrict: false,
        }
    }

    /// T3: the options become the text that stands before a key, quotes escaped.
    #[test]
    fn as_text() {
        assert_eq!(options(&args()), "");
        let args = AuthorizeArgs {
            from: Some("10.*,!10.1.1.1".into()),
            command: Some("echo \"a b\"".into()),
            expiry: Some("20300101Z".into()),
            no_pty: true,
            restrict: true,
            ..args()
        };
        let text = options(&args);
        assert_eq!(
            text,
            "restrict,no-pty,from=\"10.*,!10.1.1.1\",command=\"echo \\\"a b\\\"\",\
             expiry-time=\"20300101Z\""
        );
        let list = authorized::parse(format!("{text} {KEY}").as_bytes());
        assert_eq!(list.entries[0].forced.as_deref(), Some("echo \"a b\""));
    }

    /// T3: a key in one word or in several; lines with options, broken ones and none are refused.
    #[test]
    fn words() {
        let of = |line: &str| keys(&line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(of(&format!("{KEY} some one")).unwrap()[0].1, "some one");
        assert_eq!(keys(&[format!("{KEY} some one")]).unwrap()[0].1, "some one");
        for text in [format!("no-pty {KEY}"), format!("{KEY}\nnonsense"), String::new()] {
            assert!(from_text(text.as_bytes(), "that").is_err(), "{text}");
        }
        assert!(of("ssh-rsa AAAA").is_err());
        assert!(of("/nowhere/key.pub").is_err());
    }
}
