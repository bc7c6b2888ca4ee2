//! Manual pages.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::{Args, Command, ValueHint};

use super::write_out;
use crate::cli::usage::Failure;

/// Arguments of `sockeye man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The page of this command instead of the program's: `man cp`, `man key new`.
    #[arg(conflicts_with = "dir")]
    command: Vec<String>,

    /// Write every page as a file into this directory.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    dir: Option<PathBuf>,
}

/// Writes one manual page to stdout, or all of them into a directory.
pub(crate) fn man(args: &ManArgs) -> Result<(), Failure> {
    let mut command = crate::cli::command();
    command.build();
    if let Some(dir) = &args.dir {
        return Ok(write_pages(&command, dir)?);
    }
    let mut page = &command;
    for name in &args.command {
        page = page.find_subcommand(name).ok_or_else(|| no_command(page, name))?;
    }
    let mut text = Vec::new();
    of(page).render(&mut text).context("cannot make the manual page")?;
    write_out(&text)
}

/// One page; every command has the version of the program.
fn of(command: &Command) -> clap_mangen::Man {
    clap_mangen::Man::new(command.clone().version(env!("CARGO_PKG_VERSION")))
}

fn write_pages(command: &Command, dir: &Path) -> anyhow::Result<()> {
    of(command).generate_to(dir).with_context(|| {
        let dir = dir.display();
        format!("cannot write a manual page into {dir}. Choose a directory that you may write to")
    })?;
    command.get_subcommands().try_for_each(|command| write_pages(command, dir))
}

fn no_command(of: &Command, name: &str) -> Failure {
    let names: Vec<&str> = of.get_subcommands().map(Command::get_name).collect();
    Failure::Usage(match names.as_slice() {
        [] => format!("{} has no commands", of.get_name()),
        names => format!("no command {name:?}: it is one of {}", names.join(", ")),
    })
}
