//! The command line: arguments, then settings resolved once, then one file a command.

mod bench;
mod config;
mod connect;
mod docs;
mod event_loop;
mod exec;
mod files;
#[cfg(any(test, feature = "testing"))]
pub mod fuzzing;
mod key;
mod later;
mod ports;
mod reach;
mod serve;
mod trace;
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
use later::Later;
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
  sockeye cp big.iso HOST:/srv/          copy files there, or back
  sockeye sync site/ HOST:site --delete  make a directory there equal to one here
  sockeye bench 9000                     load it: rate, latency, errors
  sockeye key authorize                  let our own key in
  sockeye ports 9000                     who has that port, and what holds it up
  sockeye trace 9000 --send hello        draw a connection, packet by packet

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
    Serve(Later<serve::ServeArgs>),
    /// Talk to an endpoint: a prompt on a terminal, bytes both ways in a pipe.
    Connect(Later<connect::ConnectArgs>),
    /// Run a command on another machine.
    Exec(Later<Box<exec::ExecArgs>>),
    /// A shell on another machine, on a terminal.
    Shell(Later<Box<exec::ShellArgs>>),
    /// Copy files and directories to or from another machine.
    Cp(Later<Box<files::CpArgs>>),
    /// Make a directory or file equal to one on another machine, or the other way round.
    Sync(Later<Box<files::SyncArgs>>),
    /// Measure a server under load: rate, latency, errors, bytes a second.
    Bench(Later<Box<bench::BenchArgs>>),
    /// Sockets by state, with their owners, queues and timers; the kernel's settings.
    Ports(Later<ports::PortsArgs>),
    /// Draw a connection packet by packet, with the states of both ends.
    Trace(Later<Box<trace::TraceArgs>>),
    /// Make, show and hand out keys.
    Key(Later<key::KeyArgs>),
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
    let words: Vec<OsString> = std::env::args_os().collect();
    let done = parse(&words).and_then(run);
    match named(&words).as_deref() {
        Some("exec" | "shell") => exec::finish(done, &words),
        _ => finish(done),
    }
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

fn parse(words: &[OsString]) -> Result<Cli, Failure> {
    let failed = |error: clap::Error| usage::from_clap(&error);
    let matches = command().try_get_matches_from(words).map_err(failed)?;
    Cli::from_arg_matches(&matches).map_err(failed)
}

/// The command that these words name, as far as they can be understood.
fn named(words: &[OsString]) -> Option<String> {
    // Where help is asked for, the command is none the less named.
    let command = command().ignore_errors(true).disable_help_flag(true);
    let matches = command.try_get_matches_from(words).ok()?;
    matches.subcommand_name().map(str::to_owned)
}

/// The one definition that help, manual pages and completions are made from.
fn command() -> clap::Command {
    Cli::command().mut_subcommand("serve", |serve| serve.after_long_help(serve::long_help()))
}

fn run(cli: Cli) -> Result<(), Failure> {
    let config = || Config::load(cli.config.as_deref());
    match cli.command {
        Command::Serve(Later(args)) => serve::run(args, config()?.serve, &Catalogue::all()),
        Command::Connect(Later(args)) => {
            let settings = connect::ConnectSettings::resolve(args, config()?.connect);
            Ok(connect::run(settings.map_err(Failure::Usage)?)?)
        }
        Command::Exec(Later(args)) => {
            exec::run(args.resolve(config()?.exec).map_err(Failure::Usage)?)
        }
        Command::Shell(Later(args)) => {
            exec::run(args.resolve(config()?.exec).map_err(Failure::Usage)?)
        }
        Command::Cp(Later(args)) => {
            files::run(args.resolve(config()?.files).map_err(Failure::Usage)?)
        }
        Command::Sync(Later(args)) => {
            files::run(args.resolve(config()?.files).map_err(Failure::Usage)?)
        }
        Command::Bench(Later(args)) => bench::run(*args, config()?.bench),
        Command::Ports(Later(args)) => ports::run(&args.resolve(&config()?.ports)),
        Command::Trace(Later(args)) => {
            let settings = trace::TraceSettings::resolve(*args, config()?.trace);
            trace::run(settings.map_err(Failure::Usage)?)
        }
        Command::Key(Later(args)) => key::run(args),
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

    /// X4: the command is known by its name, wherever that stands and whatever is wrong with the
    /// rest.
    #[test]
    fn names() {
        for (line, name) in [
            ("exec --bad", Some("exec")),
            ("--config F exec --bad", Some("exec")),
            ("--config=F shell", Some("shell")),
            ("exec --help", Some("exec")),
            ("exec h --timeout nonsense -- true", Some("exec")),
            ("--config F serve --bad", Some("serve")),
            ("--config exec", None),
            ("connect exec", Some("connect")),
            ("--bad exec", None),
            ("", None),
        ] {
            let words = std::iter::once("sockeye").chain(line.split_whitespace());
            let words: Vec<OsString> = words.map(OsString::from).collect();
            assert_eq!(named(&words).as_deref(), name, "{line}");
        }
    }

    /// Q5: the definition that everything is made from is consistent, and shows examples.
    #[test]
    fn definition() {
        command().debug_assert();
        for name in
            ["serve", "connect", "exec", "shell", "cp", "sync", "bench", "ports", "trace", "key"]
        {
            let mut command = command();
            let sub = command.find_subcommand_mut(name).expect("a command");
            let help = sub.render_long_help().to_string();
            assert!(help.contains("Examples:"), "{name}: {help}");
            // What the command is about, not its arguments, which are defined late.
            assert!(!help.starts_with("Arguments"), "{name}: {help}");
        }
    }
}
