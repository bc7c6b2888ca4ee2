//! One command over the host protocol.

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;

use anyhow::anyhow;
use sockeye_host::client::{
    CallError, Duplex, Input, Local, Output, RawTerminal, Remote, controls, window_size,
};
use sockeye_net::shown;
use sockeye_wire::{Ended, Program, Run, Status, Terminal};

use super::answer::{Answer, exit, not_started, signal_name};
use super::args::{ExecSettings, Show, What};
use super::{explained, reach};
use crate::cli::docs::write_out;
use crate::cli::usage::Failure;

/// Runs the command and ends with its status.
pub(super) async fn one(settings: &ExecSettings) -> Result<(), Failure> {
    let mut remote = match reach(settings).await {
        Ok(remote) => remote,
        Err(failure) if settings.show == Show::Json => return Err(told_as_json(failure)),
        Err(failure) => return Err(failure),
    };
    let done = call(settings, &mut remote, &request(settings)).await;
    if done.is_ok() {
        remote.close().await;
    }
    match done {
        Ok(0) => Ok(()),
        Ok(status) => Err(Failure::Status(status)),
        Err(failure) => Err(failure),
    }
}

/// What the server is asked for.
fn request(settings: &ExecSettings) -> Run {
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

/// Runs it with our streams, signals and terminal; the status that this program ends with.
pub(super) async fn call(
    settings: &ExecSettings,
    remote: &mut Remote<Box<dyn Duplex>>,
    run: &Run,
) -> Result<u8, Failure> {
    let failed = |error: io::Error| {
        Failure::Remote(anyhow!("cannot use the standard streams: {error}. Check where they go."))
    };
    let terminal = run.terminal.is_some() && io::stdin().is_terminal();
    let window = terminal.then(|| io::stdin().as_fd().try_clone_to_owned()).transpose();
    let window = window.map_err(failed)?;
    let (mut controls, mut impatient) = controls(window).map_err(failed)?;
    let mut stdin = run.stdin.then(|| Input::new(io::stdin())).transpose().map_err(failed)?;
    let mut stdout = output(settings, io::stdout()).map_err(failed)?;
    let mut stderr = output(settings, io::stderr()).map_err(failed)?;
    let raw = terminal.then(|| RawTerminal::new(io::stdin())).transpose().map_err(failed)?;
    let local = Local {
        stdin: stdin.as_mut(),
        stdout: &mut stdout,
        stderr: &mut stderr,
        controls: &mut controls,
    };
    let ended = tokio::select! {
        ended = remote.run(run, local) => ended,
        number = impatient.out() => {
            drop(raw);
            // As if the signal had met this program, which it was meant for.
            return Err(Failure::Status(u8::try_from(128 + number).unwrap_or(255)));
        }
    };
    // Before anything is said: the terminal is ours again.
    drop(raw);
    if run.detach && ended.is_ok() {
        write_out(format!("{}\n", remote.pid()).as_bytes())?;
    }
    finish(settings, ended, stdout, stderr)
}

fn output(settings: &ExecSettings, to: impl AsFd + IsTerminal) -> io::Result<Output> {
    match settings.show {
        Show::Json => Ok(Output::memory()),
        Show::Usual if to.is_terminal() && !settings.tty => Output::escaped(to),
        Show::Usual | Show::Raw => Output::new(to),
    }
}

fn finish(
    settings: &ExecSettings,
    ended: Result<Ended, CallError>,
    stdout: Output,
    stderr: Output,
) -> Result<u8, Failure> {
    let (status, said, signal, duration_us) = match ended {
        Ok(Ended { status, duration_us, .. }) => {
            let (code, said) = exit(status);
            let signal = match status {
                Status::Signaled { signal, .. } => Some(signal_name(signal)),
                _ => None,
            };
            (code, said.map(str::to_owned), signal, duration_us)
        }
        Err(CallError::Failed(failure)) => {
            let what = what(settings);
            (not_started(&failure), Some(format!("{what}: {}", failure.text)), None, 0)
        }
        // Whoever read our output has gone, as in `| head`: that is no failure to talk about.
        Err(CallError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            return Err(Failure::Status(128 + 13));
        }
        Err(error) => {
            let failure = Failure::Remote(explained(error));
            return Err(if settings.show == Show::Json { told_as_json(failure) } else { failure });
        }
    };
    if settings.show == Show::Json {
        let text = |output: Output| String::from_utf8_lossy(&output.into_memory()).into_owned();
        let answer = Answer {
            exit: signal.is_none().then_some(status),
            signal,
            stdout: text(stdout),
            stderr: text(stderr),
            duration_ms: duration_us / 1000,
            error: said.clone(),
        };
        write_out(&answer.line())?;
    }
    if let Some(said) = said {
        eprintln!("sockeye: {}", shown::line(&said));
    }
    Ok(status)
}

/// What was to be run, for a message.
fn what(settings: &ExecSettings) -> String {
    match &settings.what {
        What::Arguments(words) => shown::bytes(words.first().map_or(&b""[..], Vec::as_slice)),
        What::Line(_) => "the shell".into(),
        What::Login | What::Prompt => "the login shell".into(),
    }
}

/// A failure of ours as the JSON object that somebody waits for.
fn told_as_json(failure: Failure) -> Failure {
    let Failure::Remote(error) = &failure else { return failure };
    let answer = Answer {
        exit: Some(255),
        signal: None,
        stdout: String::new(),
        stderr: String::new(),
        duration_ms: 0,
        error: Some(error.to_string()),
    };
    match write_out(&answer.line()) {
        Ok(()) => failure,
        Err(other) => other,
    }
}
