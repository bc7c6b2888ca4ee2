//! The command line: arguments, then settings resolved once, then one file a command.

mod config;
mod connect;
mod docs;
mod exec;
mod key;
mod serve;
mod trust;
mod usage;
mod values;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use serde_json::Value;
use sockeye_host::job;
use sockeye_serve::{self as serving, Service};

use config::Config;
use serve::Catalogue;
use usage::Failure;

const EXAMPLES: &str = "\
Examples:
  sockeye serve                          upper case on TCP and UDP, 127.0.0.1:9000
  sockeye serve echo unix:./s.sock       echo on a Unix socket
  sockeye connect 9000                   talk to it: a prompt, or a pipe
  printf hello | sockeye connect 9000    HELLO
  sockeye serve host                     remote commands for those in ~/.ssh/authorized_keys
  sockeye exec HOST -- uname -a          run a command there
  sockeye key authorize                  let our own key in

Exit status: 0 success, 1 failure, 2 usage. Data goes to stdout, all else to stderr.";

/// A socket toolkit: serve, talk to and run commands over TCP, TLS, UDP and Unix sockets.
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
    /// Run a command on another machine.
    Exec(Box<exec::ExecArgs>),
    /// A shell on another machine, on a terminal.
    Shell(Box<exec::ShellArgs>),
    /// Make, show and hand out keys.
    Key(key::KeyArgs),
    /// Write shell completions to stdout.
    Completions(docs::CompletionsArgs),
    /// Write a manual page to stdout, of the program or of one of its commands.
    Man(docs::ManArgs),
}

/// The program: reads the process's arguments, does what they say, returns the exit status.
pub fn main() -> ExitCode {
    if job::is_keeper() {
        return keeper();
    }
    if serving::is_worker() {
        let catalogue = Catalogue::all();
        return worker(|name, setup| catalogue.in_worker(name, setup));
    }
    finish(parse(std::env::args_os()).and_then(run))
}

/// A whole server program for a service of one's own: the options and endpoints of `sockeye
/// serve`, under every model and on every transport.
///
/// # Panics
/// Inside a tokio runtime.
pub fn serve_main(service: Service) -> ExitCode {
    let name = service.name();
    let catalogue = Catalogue { services: vec![service], commands: false };
    if serving::is_worker() {
        return worker(|name, setup| catalogue.in_worker(name, setup));
    }
    finish(serve_one(name, &catalogue))
}

fn serve_one(name: &'static str, catalogue: &Catalogue) -> Result<(), Failure> {
    let parsed = serve::program(name).try_get_matches();
    let matches = parsed.map_err(|error| usage::from_clap(&error))?;
    let program = serve::ServeProgram::from_arg_matches(&matches)
        .map_err(|error| usage::from_clap(&error))?;
    let config = Config::load(program.config.as_deref())?;
    serve::run(program.args, config.serve, catalogue)
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Cli, Failure> {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    // There, whatever fails on our side must not look like the status of a command.
    let remote = arguments.get(1).is_some_and(|word| word == "exec" || word == "shell");
    let failed = |error: clap::Error| match usage::from_clap(&error) {
        Failure::Usage(text) if remote => Failure::RemoteUsage(text),
        other => other,
    };
    let matches = command().try_get_matches_from(arguments).map_err(failed)?;
    Cli::from_arg_matches(&matches).map_err(failed)
}

/// The one definition that help, manual pages and completions are made from.
fn command() -> clap::Command {
    Cli::command().mut_subcommand("serve", |serve| serve.after_long_help(serve::long_help()))
}

fn run(cli: Cli) -> Result<(), Failure> {
    let config = || Config::load(cli.config.as_deref());
    match cli.command {
        Command::Serve(args) => serve::run(args, config()?.serve, &Catalogue::all()),
        Command::Connect(args) => {
            let settings = connect::ConnectSettings::resolve(args, config()?.connect);
            Ok(connect::run(settings.map_err(Failure::Usage)?)?)
        }
        Command::Exec(args) => {
            exec::run(args.resolve(config()?.exec).map_err(Failure::RemoteUsage)?)
        }
        Command::Shell(args) => {
            exec::run(args.resolve(config()?.exec).map_err(Failure::RemoteUsage)?)
        }
        Command::Key(args) => key::run(args),
        Command::Completions(args) => docs::completions(&args),
        Command::Man(args) => docs::man(&args),
    }
}

/// The parent of one remote command, where many connections share a server's process.
fn keeper() -> ExitCode {
    match job::run_keeper() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!(
                "sockeye: cannot keep a command: {error}. Raise `ulimit -u` and `ulimit -n`; if no \
                 server started this, unset SOCKEYE_KEEPER."
            );
            ExitCode::FAILURE
        }
    }
}

fn worker(find: impl Fn(&str, &Value) -> Option<Service>) -> ExitCode {
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
        for name in ["serve", "connect", "exec", "shell", "key"] {
            let mut command = command();
            let sub = command.find_subcommand_mut(name).expect("a command");
            let help = sub.render_long_help().to_string();
            assert!(help.contains("Examples:"), "{name}: {help}");
        }
    }
}
