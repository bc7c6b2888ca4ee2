//! Shell completions and manual pages, made from the same definition as the help.

use std::io::{self, Write};

use anyhow::Context;
use clap::{Args, CommandFactory};
use clap_complete::Shell;

use super::Cli;
use super::usage::Failure;

/// Arguments of `sockeye completions`.
#[derive(Debug, Args)]
pub(crate) struct CompletionsArgs {
    /// For which shell.
    shell: Shell,
}

/// Arguments of `sockeye man`.
#[derive(Debug, Args)]
pub(crate) struct ManArgs {
    /// The page of this command instead of the program's.
    command: Option<String>,
}

/// Writes completions to stdout.
pub(crate) fn completions(args: &CompletionsArgs) -> Result<(), Failure> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "sockeye", &mut text);
    write_out(&text)
}

/// Writes a manual page to stdout.
pub(crate) fn man(args: &ManArgs) -> Result<(), Failure> {
    let mut command = super::command();
    command.build();
    let page = match &args.command {
        None => command,
        Some(name) => match command.find_subcommand(name) {
            Some(found) => found.clone(),
            None => {
                let names: Vec<&str> =
                    command.get_subcommands().map(clap::Command::get_name).collect();
                let names = names.join(", ");
                return Err(Failure::Usage(format!("no command {name:?}: it is one of {names}")));
            }
        },
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text).context("cannot make the manual page")?;
    write_out(&text)
}

/// Writes data to stdout; a reader that has gone is no failure.
pub(crate) fn write_out(text: &[u8]) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow::anyhow!("cannot write to stdout: {error}. Check where it goes.").into())
        }
        _ => Ok(()),
    }
}
