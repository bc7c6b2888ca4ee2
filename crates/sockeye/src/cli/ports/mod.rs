//! `sockeye ports`: the sockets of this machine by state, whose they are, and what holds them up.

mod args;
mod details;
mod json;
mod nothing;
mod paint;
mod row;
mod table;
mod tune;
mod watch;

use anyhow::anyhow;
use sockeye_observe::snapshot::Snapshot;

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
    match nothing::failure(&seen, &settings.wanted) {
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
