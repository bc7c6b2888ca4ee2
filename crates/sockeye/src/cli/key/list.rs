//! `sockeye key list`: who may come in, and which servers are known.

use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};
use sockeye_net::shown;
use sockeye_trust::known::{HostKey, Mark};
use sockeye_trust::{Warning, authorized, known, place};

use super::show::shown_path;
use super::{failed, fingerprint_line, key_object, print};
use crate::cli::usage::Failure;

/// Arguments of `sockeye key list`.
#[derive(Debug, Args)]
pub(crate) struct ListArgs {
    /// Which list [default: both].
    list: Option<List>,

    /// Another file than ~/.ssh/authorized_keys or ~/.config/sockeye/known_hosts.
    #[arg(long, value_name = "FILE", requires = "list")]
    file: Option<PathBuf>,

    /// One JSON object a line.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum List {
    /// Who may come in: authorized_keys.
    Authorized,
    /// Which servers are known: known_hosts.
    Known,
}

impl List {
    fn name(self) -> &'static str {
        match self {
            List::Authorized => "authorized",
            List::Known => "known",
        }
    }
}

pub(super) fn run(args: &ListArgs) -> Result<(), Failure> {
    let place = |default| super::place(args.file.clone(), default);
    if args.list != Some(List::Known) {
        list_authorized(&place(place::authorized_keys())?, args.json)?;
    }
    if args.list != Some(List::Authorized) {
        list_known(&place(place::known_hosts())?, args.json)?;
    }
    Ok(())
}

fn list_authorized(path: &Path, json: bool) -> Result<(), Failure> {
    let list = authorized::read(path).map_err(failed)?;
    for entry in &list.entries {
        let fingerprint = entry.key.fingerprint();
        let line = fingerprint_line(&fingerprint, &entry.comment);
        let space = if entry.options.is_empty() { "" } else { "  " };
        let text =
            format!("authorized {}: {line}{space}{}", entry.line, shown::line(&entry.options));
        print(json, &authorized_object(entry, path), &text)?;
    }
    warn(List::Authorized, path, &list.warnings, json)
}

fn authorized_object(entry: &authorized::Entry, path: &Path) -> Value {
    let mut object = key_object(&entry.key.fingerprint(), &entry.comment);
    let seconds = |time: std::time::SystemTime| {
        time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
    };
    let more = json!({
        "list": List::Authorized.name(),
        "file": shown_path(path),
        "line": entry.line,
        "options": shown::line(&entry.options),
        "command": entry.forced.as_deref().map(shown::line),
        "pty": entry.pty,
        "restrict": entry.restricted,
        "expires": entry.expires.map(seconds),
    });
    merge(&mut object, more);
    object
}

fn list_known(path: &Path, json: bool) -> Result<(), Failure> {
    let list = known::read(path).map_err(failed)?;
    for entry in &list.entries {
        let kind = match &entry.key {
            HostKey::Ed25519(_) => "ssh-ed25519",
            HostKey::Other { name, .. } => name,
        };
        let revoked = entry.mark == Mark::Revoked;
        let mut object = key_object(&entry.key.fingerprint(), &entry.comment);
        let more = json!({
            "list": List::Known.name(),
            "file": shown_path(path),
            "line": entry.line,
            "type": kind,
            "hosts": shown::line(&entry.hosts),
            "revoked": revoked,
        });
        merge(&mut object, more);
        let mark = if revoked { "  revoked" } else { "" };
        let (hosts, fingerprint) = (shown::line(&entry.hosts), entry.key.fingerprint());
        let text = format!("known {}: {hosts} {fingerprint} ({kind}){mark}", entry.line);
        print(json, &object, &text)?;
    }
    warn(List::Known, path, &list.warnings, json)
}

/// Lines that were skipped, by number.
fn warn(list: List, path: &Path, warnings: &[Warning], json: bool) -> Result<(), Failure> {
    let file = shown_path(path);
    for warning in warnings {
        if json {
            let (line, text) = (warning.line, &warning.text);
            let list = list.name();
            let object = json!({ "list": list, "file": file, "line": line, "warning": text });
            print(true, &object, "")?;
        } else {
            eprintln!("sockeye: {file}, line {}: {}", warning.line, warning.text);
        }
    }
    Ok(())
}

fn merge(object: &mut Value, more: Value) {
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more);
    }
}
