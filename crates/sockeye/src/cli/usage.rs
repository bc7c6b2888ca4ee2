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
    /// A remote command could not be run: exit 255.
    Remote(anyhow::Error),
    /// The command line of a remote command is wrong: exit 255, as all of our own failures there.
    RemoteUsage(String),
    /// A remote command ended with this status; all is said.
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
            Failure::Remote(error) => {
                eprintln!("sockeye: {}", shown::line(&error.to_string()));
                ExitCode::from(255)
            }
            Failure::RemoteUsage(text) => {
                eprintln!("sockeye: {}", shown::line(&text));
                ExitCode::from(255)
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
                "no command: it is serve, connect, exec, shell or key; see `sockeye --help`".into(),
            );
        }
        ErrorKind::UnknownArgument => {
            if let Some(hint) = from_netcat(error) {
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

/// What people know from netcat, by the word that was not understood.
const NETCAT: [(&str, &str); 6] = [
    ("-l", "to listen, run `sockeye serve`"),
    ("-p", "a port is an endpoint: write `sockeye serve 9000`"),
    ("-u", "UDP is an endpoint: write udp://HOST:PORT"),
    ("-U", "a Unix socket is an endpoint: write unix:PATH"),
    ("-w", "write --timeout 3s"),
    ("-N", "the end of input is passed on always; leave it out"),
];

/// An argument of netcat's, and what to write instead.
fn from_netcat(error: &clap::Error) -> Option<String> {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidArg) else { return None };
    if word.bytes().all(|b| b.is_ascii_digit()) {
        return Some(format!("unexpected {word:?}: host and port are one word, HOST:{word}"));
    }
    let (_, hint) = NETCAT.iter().find(|(option, _)| option == word)?;
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
