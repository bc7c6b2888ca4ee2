//! The command line: arguments, then settings resolved once, then one file a command.

mod config;
mod connect;
mod docs;
mod serve;
mod usage;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use sockeye_serve::{self as serving, Service, services};

use config::Config;
use usage::Failure;

const EXAMPLES: &str = "\
Examples:
  sockeye serve                          upper case on TCP and UDP, 127.0.0.1:9000
  sockeye serve echo unix:./s.sock       echo on a Unix socket
  sockeye connect 9000                   talk to it: a prompt, or a pipe
  printf hello | sockeye connect 9000    HELLO

Exit status: 0 success, 1 failure, 2 usage. Data goes to stdout, all else to stderr.";

/// A socket toolkit: serve, talk to and look into TCP, UDP and Unix sockets.
#[derive(Debug, Parser)]
#[command(name = "sockeye", version, after_help = EXAMPLES, subcommand_required = true)]
#[command(arg_required_else_help = true, disable_help_subcommand = true, max_term_width = 100)]
struct Cli {
    /// Read settings from this file instead of ~/.config/sockeye/config.toml.
    #[arg(long, global = true, value_name = "FILE", env = "SOCKEYE_CONFIG")]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve a service on endpoints under a concurrency model.
    Serve(serve::ServeArgs),
    /// Talk to an endpoint: a prompt on a terminal, bytes both ways in a pipe.
    Connect(connect::ConnectArgs),
    /// Write shell completions to stdout.
    Completions(docs::CompletionsArgs),
    /// Write a manual page to stdout, of the program or of one of its commands.
    Man(docs::ManArgs),
}

/// The program: reads the process's arguments, does what they say, returns the exit status.
pub fn main() -> ExitCode {
    if serving::is_worker() {
        return worker(services::find);
    }
    finish(parse(std::env::args_os()).and_then(run))
}

/// A whole server program for a service of one's own: the options and endpoints of `sockeye
/// serve`, under every model and on every transport.
///
/// # Panics
/// Inside a tokio runtime.
pub fn serve_main(service: Service) -> ExitCode {
    if serving::is_worker() {
        return worker(|name| (name == service.name()).then(|| service.clone()));
    }
    finish(serve_one(service))
}

fn serve_one(service: Service) -> Result<(), Failure> {
    let name = service.name();
    let parsed = serve::program(name).try_get_matches();
    let matches = parsed.map_err(|error| usage::from_clap(&error))?;
    let program = serve::ServeProgram::from_arg_matches(&matches)
        .map_err(|error| usage::from_clap(&error))?;
    let config = Config::load(program.config.as_deref())?;
    serve::run(program.args, config.serve, &[service])
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Failure> {
    let matches =
        command().try_get_matches_from(arguments).map_err(|error| usage::from_clap(&error))?;
    Cli::from_arg_matches(&matches).map_err(|error| usage::from_clap(&error))
}

/// The one definition that help, manual pages and completions are made from.
fn command() -> clap::Command {
    Cli::command().mut_subcommand("serve", |serve| serve.after_long_help(serve::long_help()))
}

fn run(cli: Cli) -> Result<(), Failure> {
    let config = || Config::load(cli.config.as_deref());
    match cli.command {
        Command::Serve(args) => serve::run(args, config()?.serve, &services::all()),
        Command::Connect(args) => {
            let settings = connect::ConnectSettings::resolve(args, config()?.connect);
            Ok(connect::run(settings.map_err(Failure::Usage)?)?)
        }
        Command::Completions(args) => docs::completions(&args),
        Command::Man(args) => docs::man(&args),
    }
}

fn worker(find: impl Fn(&str) -> Option<Service>) -> ExitCode {
    match serving::run_worker(find) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "sockeye: cannot work as a worker process: {error}. Raise `ulimit -u` and `ulimit \
                 -n`; if no server started this, unset SOCKEYE_WORKER."
            );
            ExitCode::FAILURE
        }
    }
}

fn finish(done: Result<(), Failure>) -> ExitCode {
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Q5: the definition that everything is made from is consistent, and shows examples.
    #[test]
    fn definition() {
        command().debug_assert();
        for name in ["serve", "connect"] {
            let mut command = command();
            let sub = command.find_subcommand_mut(name).expect("a command");
            let help = sub.render_long_help().to_string();
            assert!(help.contains("Examples:"), "{name}: {help}");
        }
    }
}
