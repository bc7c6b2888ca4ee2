//! `sockeye ports`: the sockets of this machine by state, whose they are, and what holds them up.

mod args;
mod details;
mod json;
mod paint;
mod row;
mod table;
mod tune;
mod watch;

use anyhow::anyhow;
use sockeye_observe::snapshot::{Snapshot, Subject, Target};

use crate::cli::docs::write_out;
use crate::cli::usage::Failure;

pub(crate) use args::{PortsArgs, PortsConfig, PortsSettings};
use paint::Screen;
use table::Table;

/// Shows what was asked for; a port or process without a socket is a failure.
pub(crate) fn run(settings: &PortsSettings) -> Result<(), Failure> {
    if settings.tune {
        return tune::run(settings.json);
    }
    if settings.watch {
        return watch::run(settings);
    }
    let seen = look(settings)?;
    let text = if settings.json {
        json::lines(&seen)
    } else {
        let screen = Screen::of_stdout();
        Table::of(&seen, &settings.wanted, settings.verbose).text(&seen, &screen)
    };
    match nothing(&seen, settings) {
        Some(failure) if !settings.json => Err(failure),
        Some(failure) => write_out(text.as_bytes()).and(Err(failure)),
        None => write_out(text.as_bytes()),
    }
}

fn look(settings: &PortsSettings) -> Result<Snapshot, Failure> {
    Snapshot::take(&settings.wanted).map_err(|error| {
        Failure::Failed(anyhow!(
            "cannot read the kernel's socket tables: {error}. Check that sock_diag is allowed here \
             (netlink sockets, the module inet_diag)."
        ))
    })
}

/// Says that what was named has no socket.
fn nothing(seen: &Snapshot, settings: &PortsSettings) -> Option<Failure> {
    let empty = seen.sockets.is_empty() && seen.unix.is_empty() && seen.time_waits.count == 0;
    if !empty {
        return None;
    }
    let hidden =
        if seen.owners_hidden { "; the processes of others are visible to root alone" } else { "" };
    let filtered = settings.wanted.listening || !settings.wanted.states.is_empty();
    let such = if filtered { " of that kind" } else { "" };
    let text = match (seen.subject?, settings.wanted.target?) {
        (Subject::Port(port), _) => format!("no socket{such} has port {port}"),
        (Subject::Pid(pid), Target::Number(_)) => {
            format!("no socket{such} has port {pid}, and no process {pid} has sockets{hidden}")
        }
        (Subject::Pid(pid), Target::Pid(_)) => {
            format!("process {pid} has no socket{such}{hidden}")
        }
    };
    Some(Failure::Failed(anyhow!("{text}. `sockeye ports` without a number shows all there are.")))
}
