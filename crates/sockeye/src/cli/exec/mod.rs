//! `sockeye exec` and `sockeye shell`: a command on another machine, as if it were here.

mod answer;
mod args;
mod lines;
mod plain;
mod prompt;
mod run;

use std::ffi::OsString;
use std::io::{self, IsTerminal};
use std::process::ExitCode;

use anyhow::anyhow;
use sockeye_host::client::{CallError, Duplex, Remote};
use sockeye_net::Transport;
use sockeye_trust::tls::explain_read;

use answer::{Answer, OURS};
use args::What;
pub(crate) use args::{ExecArgs, ExecConfig, ExecSettings, ShellArgs};

use super::docs::write_out;
use super::event_loop;
use super::usage::Failure;

/// Runs what the settings say; the status is that of the command.
///
/// # Errors
/// The command's status where it is not 0, else what failed; [`finish`] makes an end of it.
pub(crate) fn run(settings: ExecSettings) -> Result<(), Failure> {
    let plain = settings.endpoint.transport() == Transport::Tcp;
    event_loop::run(async {
        match (&settings.what, plain) {
            (What::Prompt, _) if !io::stdin().is_terminal() => Err(Failure::Usage(
                "no command: write it behind --, or a line for the shell with -c".into(),
            )),
            (What::Prompt, true) => plain::prompt(&settings).await,
            (What::Prompt, false) => prompt::prompt(&settings).await,
            (_, true) => plain::one(&settings).await,
            (_, false) => run::one(&settings).await,
        }
    })?
}

/// The end of `exec` and `shell`, of which these are the words: whatever failed on our side is 255,
/// so that it never looks like the status of a command, and an object where one was asked for (X4).
pub(crate) fn finish(done: Result<(), Failure>, words: &[OsString]) -> ExitCode {
    let failure = match done {
        Ok(()) => return ExitCode::SUCCESS,
        Err(Failure::Shown(text)) => match write_out(text.as_bytes()) {
            Ok(()) => return ExitCode::SUCCESS,
            Err(failure) => failure,
        },
        Err(failure) => failure,
    };
    let text = match &failure {
        Failure::Status(status) => return ExitCode::from(*status),
        Failure::Usage(text) | Failure::Shown(text) => text.clone(),
        Failure::Failed(error) => error.to_string(),
    };
    if wants_json(words) {
        // Where that cannot be written, the status tells all the same.
        let _ = write_out(&Answer::failed(text).line());
    }
    failure.report();
    ExitCode::from(OURS)
}

/// True where `--json` is among our own words. They may be the very thing that is wrong, so they are
/// not asked for more.
fn wants_json(words: &[OsString]) -> bool {
    words.iter().take_while(|word| *word != "--").any(|word| word == "--json")
}

/// A connection to the server, with all the questions that it takes.
async fn reach(settings: &ExecSettings) -> Result<Remote<Box<dyn Duplex>>, Failure> {
    let ExecSettings { trust, endpoint, dial, .. } = settings;
    let remote = trust.reach(endpoint, dial, async |reach| reach.remote().await).await;
    Ok(remote.map_err(|error| anyhow!("{error}"))?)
}

/// What failed in a call, in the words of whoever knows most.
pub(crate) fn explained(error: &CallError) -> String {
    if let CallError::Connection(cause) = error
        && let Some(better) = explain_read(cause)
    {
        return better.to_string();
    }
    error.to_string()
}

/// The exit status where a signal ends us.
fn by_signal(number: i32) -> Failure {
    Failure::Status(u8::try_from(128 + number).unwrap_or(OURS))
}
