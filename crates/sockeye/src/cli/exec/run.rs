//! One command over the host protocol.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;

use anyhow::anyhow;
use sockeye_host::client::{
    CallError, Controls, Duplex, Input, Local, Output, RawTerminal, Remote, window_size,
};
use sockeye_net::shown;
use sockeye_wire::{Ended, Failure as NotStarted, FailureKind, Program, Run, Status, Terminal};

use super::answer::{Answer, OURS, exit, not_started, signal_name};
use super::args::{ExecSettings, Show, What};
use super::{by_signal, explained, reach};
use crate::cli::docs::write_out;
use crate::cli::usage::Failure;

/// Runs the command and ends with its status.
pub(super) async fn one(settings: &ExecSettings) -> Result<(), Failure> {
    let mut remote = reach(settings).await?;
    let run = request(settings);
    let window = (run.terminal.is_some() && io::stdin().is_terminal())
        .then(|| io::stdin().as_fd().try_clone_to_owned())
        .transpose()
        .map_err(unusable)?;
    let controls = match window {
        Some(terminal) => Controls::signals_and_window(terminal),
        None => Controls::signals(),
    };
    let mut controls = controls.map_err(unusable)?;
    let done = call(settings, &mut remote, &run, &mut controls).await?;
    if done.ended.is_ok() {
        remote.close().await;
    }
    match done.tell(settings)? {
        0 => Ok(()),
        status => Err(Failure::Status(status)),
    }
}

/// What the server is asked for.
pub(super) fn request(settings: &ExecSettings) -> Run {
    let program = match &settings.what {
        What::Arguments(words) => Program::Arguments(words.clone()),
        What::Line(line) => Program::Line(line.clone()),
        What::Login | What::Prompt => Program::Login,
    };
    let terminal = settings.tty.then(|| Terminal {
        name: std::env::var_os("TERM").map(OsStringExt::into_vec).unwrap_or_default(),
        size: window_size(io::stdin())
            .or_else(|| window_size(io::stdout()))
            .or_else(|| window_size(io::stderr()))
            .unwrap_or_default(),
    });
    let millis = |span: std::time::Duration| u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
    Run {
        directory: settings.directory.clone(),
        environment: settings.environment.clone(),
        terminal,
        stdin: settings.stdin,
        timeout_ms: settings.timeout.map(millis),
        max_output: settings.max_output,
        detach: settings.detach,
        ..Run::new(program)
    }
}

/// What came of a command.
pub(super) struct Done {
    pub(super) ended: Result<Ended, CallError>,
    stdout: Output,
    stderr: Output,
}

/// Runs it with our streams and terminal.
pub(super) async fn call(
    settings: &ExecSettings,
    remote: &mut Remote<Box<dyn Duplex>>,
    run: &Run,
    controls: &mut Controls,
) -> Result<Done, Failure> {
    let terminal = run.terminal.is_some() && io::stdin().is_terminal();
    let mut stdin = run.stdin.then(|| Input::new(io::stdin())).transpose().map_err(unusable)?;
    let mut stdout = output(settings, io::stdout()).map_err(unusable)?;
    let mut stderr = output(settings, io::stderr()).map_err(unusable)?;
    let raw = terminal.then(|| RawTerminal::new(io::stdin())).transpose().map_err(unusable)?;
    let local = Local { stdin: stdin.as_mut(), stdout: &mut stdout, stderr: &mut stderr, controls };
    let ended = remote.run(run, local).await;
    // Before anything is said: the terminal is ours again.
    drop(raw);
    if run.detach && ended.is_ok() {
        write_out(format!("{}\n", remote.pid()).as_bytes())?;
    }
    Ok(Done { ended, stdout, stderr })
}

fn unusable(error: io::Error) -> Failure {
    anyhow!("cannot use the standard streams: {error}. Check where they go.").into()
}

fn output(settings: &ExecSettings, to: impl AsFd + IsTerminal) -> io::Result<Output> {
    match settings.show {
        Show::Json => Ok(Output::memory()),
        Show::Usual if to.is_terminal() && !settings.tty => Output::escaped(to),
        Show::Usual | Show::Raw => Output::new(to),
    }
}

impl Done {
    /// Says what is to be said of it; the exit status.
    pub(super) fn tell(self, settings: &ExecSettings) -> Result<u8, Failure> {
        let mut signal = None;
        let mut duration_us = 0;
        let (status, said) = match self.ended {
            Ok(ended) => {
                if let Status::Signaled { signal: number, .. } = ended.status {
                    signal = Some(signal_name(number));
                }
                duration_us = ended.duration_us;
                let (code, said) = exit(ended.status);
                (code, said.map(str::to_owned))
            }
            Err(CallError::Failed(failure)) => {
                let remedy = remedy(settings, &failure);
                let said = format!("{}: {}{remedy}", what(settings), failure.text);
                (not_started(&failure), Some(said))
            }
            // As if it had met this program, which it was meant for.
            Err(CallError::GivenUp(signal)) => return Err(by_signal(signal.number())),
            // Whoever read our output has gone, as in `| head`: nothing to talk about.
            Err(CallError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
                return Err(Failure::Status(128 + 13));
            }
            Err(error) => (OURS, Some(explained(&error))),
        };
        if settings.show == Show::Json {
            let text = |output: Output| String::from_utf8_lossy(&output.into_memory()).into_owned();
            let answer = Answer {
                exit: signal.is_none().then_some(status),
                signal,
                stdout: text(self.stdout),
                stderr: text(self.stderr),
                duration_ms: duration_us / 1000,
                error: said.clone(),
            };
            answer.write()?;
        }
        if let Some(said) = said {
            eprintln!("sockeye: {}", shown::line(&said));
        }
        Ok(status)
    }
}

/// What was to be run, for a message.
fn what(settings: &ExecSettings) -> String {
    match &settings.what {
        What::Arguments(words) => shown::bytes(words.first().map_or(&b""[..], Vec::as_slice)),
        What::Line(_) | What::Prompt => "the shell".into(),
        What::Login => "the login shell".into(),
    }
}

/// What else helps where no program was found: a single word that only a shell could take apart was
/// meant for one.
fn remedy(settings: &ExecSettings, failure: &NotStarted) -> &'static str {
    const SHELL: &[u8] = b"|&;<>()$`\\\"'*?[]{}~#!\n";
    let is_line = |word: &[u8]| word.iter().any(|b| b.is_ascii_whitespace() || SHELL.contains(b));
    match &settings.what {
        What::Arguments(words) if failure.kind == FailureKind::NotFound => match &words[..] {
            [word] if is_line(word) => "; for a line of the shell write -c 'LINE'",
            _ => "",
        },
        _ => "",
    }
}
