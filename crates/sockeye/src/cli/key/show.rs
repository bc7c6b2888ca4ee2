//! `sockeye key show`: fingerprints of files, or of the keys that are used here.

use std::fs::{self, File};
use std::io::{Read, Seek};
use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};
use sockeye_limits as limits;
use sockeye_trust::identity::{self, IdentityError, Origin};
use sockeye_trust::known::HostKey;
use sockeye_trust::{Fingerprint, authorized, file, known, place};

use super::{failed, fingerprint_line, key_object, print};
use crate::cli::usage::Failure;

/// Arguments of `sockeye key show`.
#[derive(Debug, Args)]
pub(crate) struct ShowArgs {
    /// Private keys, public keys, authorized_keys or known_hosts files; without any: the keys that
    /// are used here, and where they are.
    files: Vec<PathBuf>,

    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

/// A key to show.
struct Shown {
    fingerprint: Fingerprint,
    comment: String,
    /// What is said beside it.
    role: Option<&'static str>,
    file: Option<String>,
}

pub(super) fn run(args: &ShowArgs) -> Result<(), Failure> {
    let keys = if args.files.is_empty() { ours()? } else { of_files(&args.files)? };
    for key in keys {
        let line = fingerprint_line(&key.fingerprint, &key.comment);
        let role = key.role.map(|role| format!("  {role}")).unwrap_or_default();
        let place = match (&key.role, &key.file) {
            (Some(_), Some(file)) => format!(", {file}"),
            _ => String::new(),
        };
        print(args.json, &object(&key), &format!("{line}{role}{place}"))?;
    }
    Ok(())
}

fn object(key: &Shown) -> Value {
    let mut object = key_object(&key.fingerprint, &key.comment);
    object["role"] = json!(key.role);
    object["file"] = json!(key.file);
    object
}

/// The identities that a client would try, in order, and the server's own key.
fn ours() -> Result<Vec<Shown>, Failure> {
    let candidates = match identity::candidates(None) {
        Err(IdentityError::Nothing) => Vec::new(),
        found => found.map_err(failed)?,
    };
    let mut keys: Vec<Shown> = Vec::new();
    for candidate in candidates {
        let (comment, file, role) = match candidate.origin() {
            Origin::File(path) => (comment_of(path), Some(path.as_path()), "identity"),
            Origin::Agent(comment) => (comment.clone(), None, "identity in the agent"),
        };
        keys.push(Shown {
            fingerprint: candidate.public().fingerprint(),
            comment,
            role: Some(role),
            file: file.map(shown_path),
        });
    }
    if let Some(path) = place::host_key().filter(|path| path.symlink_metadata().is_ok()) {
        let mut key = of_private(&path)?;
        (key.role, key.file) = (Some("host key"), Some(shown_path(&path)));
        keys.push(key);
    }
    if keys.is_empty() {
        return Err(failed("there is no key here yet; run `sockeye key new`"));
    }
    Ok(keys)
}

fn of_files(files: &[PathBuf]) -> Result<Vec<Shown>, Failure> {
    let mut keys = Vec::new();
    for path in files {
        keys.extend(of_file(path)?.into_iter().map(|mut key| {
            key.file = Some(shown_path(path));
            key
        }));
    }
    Ok(keys)
}

fn of_file(path: &Path) -> Result<Vec<Shown>, Failure> {
    let name = shown_path(path);
    let cannot = |error| failed(format!("cannot read {name}: {error}; look at the path"));
    if is_private(path).map_err(cannot)? {
        return Ok(vec![of_private(path)?]);
    }
    // Lists of both kinds may be anybody's here: they are shown, not obeyed.
    let known = known::read(path).map_err(failed)?;
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(cannot)?;
    file.take(limits::AUTHORIZED_BYTES).read_to_end(&mut bytes).map_err(cannot)?;
    let list = authorized::parse(&bytes);
    let keys: Vec<Shown> = if list.entries.is_empty() {
        known.entries.iter().filter_map(of_known).collect()
    } else {
        list.entries.iter().map(of_authorized).collect()
    };
    if keys.is_empty() {
        return Err(failed(format!("{name} holds no key that is used here (Ed25519)")));
    }
    Ok(keys)
}

/// True if the file is a private key, of whatever format. Looking into a FIFO would wait.
fn is_private(path: &Path) -> std::io::Result<bool> {
    if !fs::metadata(path)?.is_file() {
        return Err(std::io::Error::other("it is not a regular file"));
    }
    let mut begin = Vec::new();
    let mut file = File::open(path)?;
    file.rewind()?;
    file.take(11).read_to_end(&mut begin)?;
    Ok(begin == b"-----BEGIN ")
}

fn of_private(path: &Path) -> Result<Shown, Failure> {
    let public = file::public_of(path).map_err(failed)?;
    Ok(Shown {
        fingerprint: public.fingerprint(),
        comment: comment_of(path),
        role: None,
        file: None,
    })
}

/// The comment in a private key file or, if that is encrypted, in the public one beside it.
pub(super) fn comment_of(path: &Path) -> String {
    if let Ok(pair) = file::read_private(path, &mut |_| None) {
        return pair.comment().to_owned();
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(".pub");
    let line = fs::read(PathBuf::from(beside)).unwrap_or_default();
    let entry = authorized::parse(&line).entries.into_iter().next();
    entry.map(|entry| entry.comment).unwrap_or_default()
}

fn of_authorized(entry: &authorized::Entry) -> Shown {
    Shown {
        fingerprint: entry.key.fingerprint(),
        comment: entry.comment.clone(),
        role: None,
        file: None,
    }
}

/// ssh-keygen(1) shows the host's name where there is no comment. Keys of other types are not used
/// here.
fn of_known(entry: &known::Entry) -> Option<Shown> {
    let HostKey::Ed25519(key) = &entry.key else { return None };
    let comment = if entry.comment.is_empty() { &entry.hosts } else { &entry.comment };
    let fingerprint = key.fingerprint();
    Some(Shown { fingerprint, comment: comment.clone(), role: None, file: None })
}

pub(super) fn shown_path(path: &Path) -> String {
    sockeye_net::shown::bytes(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
}
