//! How a command ends when it fails: one line on stderr, and the exit status.

use std::process::ExitCode;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use sockeye_net::shown;

/// Why a command failed.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The command line, the environment or the configuration is wrong: exit 2.
    Usage(String),
    /// What was asked for could not be done: exit 1.
    Failed(anyhow::Error),
    /// This is the exit status, and all is said.
    Status(u8),
    /// Help or the version was asked for: not a failure, exit 0.
    Shown(String),
}

impl From<anyhow::Error> for Failure {
    fn from(error: anyhow::Error) -> Failure {
        Failure::Failed(error)
    }
}

impl Failure {
    /// Tells the user and gives the exit status.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Failure::Usage(text) => {
                eprintln!("sockeye: {}", shown::line(&text));
                ExitCode::from(2)
            }
            Failure::Failed(error) => {
                eprintln!("sockeye: {}", shown::line(&error.to_string()));
                ExitCode::FAILURE
            }
            Failure::Status(status) => ExitCode::from(status),
            Failure::Shown(text) => match super::docs::write_out(text.as_bytes()) {
                Ok(()) => ExitCode::SUCCESS,
                Err(failure) => failure.report(),
            },
        }
    }
}

/// A clap error as one line that says what was wrong and what is right.
pub(crate) fn from_clap(error: &clap::Error) -> Failure {
    let text = error.render().to_string();
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => return Failure::Shown(text),
        ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            return Failure::Usage(
                "no command: it is serve, connect, exec, shell, cp, sync, bench, ports, trace or key; see `sockeye --help`".into(),
            );
        }
        ErrorKind::UnknownArgument => {
            if let Some(hint) = from_others(error, &text) {
                return Failure::Usage(hint);
            }
        }
        _ => {}
    }
    let said = text
        .lines()
        .map(str::trim)
        .filter(|line| !line.is_empty())
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more information"))
        // clap's advice to write `-- -p` leads nowhere here.
        .filter(|line| !line.starts_with("tip: to pass"))
        .map(|line| line.trim_start_matches("error: ").trim_start_matches("tip: "))
        .map(|line| line.trim_end_matches(':'));
    let said: Vec<&str> = said.collect();
    Failure::Usage(format!("{}; see --help", said.join("; ")))
}

/// Options of other programs, and what to write instead.
type Hints = &'static [(&'static str, &'static str)];

const UDP: (&str, &str) = ("-u", "UDP is an endpoint: write udp://HOST:PORT");
const UNIX: (&str, &str) = ("-U", "a Unix socket is an endpoint: write unix:PATH");
const END: (&str, &str) = ("-N", "the end of input is passed on always; leave it out");

/// What people know from netcat, for `serve`.
const LISTENING: Hints = &[
    ("-l", "to listen is what it does; leave it out"),
    ("-p", "a port is an endpoint: write `sockeye serve 9000`"),
    UDP,
    UNIX,
    ("-w", "write --idle-timeout 3s"),
];

/// The same for `connect`.
const CONNECTING: Hints = &[
    ("-l", "to listen, run `sockeye serve`"),
    ("-p", "a port is an endpoint: write HOST:PORT; for one of our own, --source ADDR:PORT"),
    UDP,
    UNIX,
    ("-w", "write --timeout 3s"),
    END,
];

/// The same from netcat and ssh, for `exec` and `shell`.
const REMOTE: Hints = &[
    ("-p", "write HOST:PORT"),
    ("-l", "there are no user names, commands run as the user who serves; leave it out"),
    ("-U", "a Unix socket is an endpoint: write unix:PATH"),
    ("-w", "write --connect-timeout 3s"),
    END,
];

/// The same from scp and rsync, for `cp` and `sync`.
const COPIES: Hints = &[
    ("-r", "directories are copied whole; leave it out"),
    ("-R", "directories are copied whole; leave it out"),
    ("-p", "times and modes are kept; leave it out"),
    ("-z", "what gets smaller is compressed; leave it out"),
    ("-C", "what gets smaller is compressed; leave it out"),
    ("-P", "for a port write --port N; progress is shown, and what was interrupted resumes"),
    ("-e", "no other program is needed; leave it out"),
    ("-l", "for a rate write --limit RATE"),
    ("--partial", "what was interrupted resumes always; leave it out"),
    ("--progress", "progress is shown on a terminal; leave it out"),
];

/// An argument of another program's, and what to write instead.
fn from_others(error: &clap::Error, text: &str) -> Option<String> {
    let by_command: [(&[&str], Hints); 5] = [
        (&["serve"], LISTENING),
        (&["connect"], CONNECTING),
        (&["bench"], &[UDP, UNIX]),
        (&["exec", "shell"], REMOTE),
        (&["cp", "sync"], COPIES),
    ];
    let is_of = |name: &&str| text.contains(&format!("Usage: sockeye {name}"));
    let known = by_command.iter().find(|(names, _)| names.iter().any(&is_of));
    let known = known.map_or(&[][..], |(_, hints)| hints);
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else { return None };
    if word.bytes().all(|b| b.is_ascii_digit()) {
        return Some(format!("unexpected {word:?}: host and port are one word, HOST:{word}"));
    }
    let (_, hint) = known.iter().find(|(option, _)| option == word)?;
    Some(format!("no option {word}: {hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Q1: a wrong option is one line that names it and the right values.
    #[test]
    fn one_line() {
        let command = clap::Command::new("x")
            .arg(clap::Arg::new("m").long("model").value_parser(["thread", "event"]));
        let error = command.try_get_matches_from(["x", "--model", "fork"]).unwrap_err();
        let Failure::Usage(text) = from_clap(&error) else { panic!("usage") };
        assert!(!text.contains('\n'), "{text:?}");
        assert!(text.contains("fork") && text.contains("thread, event"), "{text}");
    }
}
