//! `exec tcp://…`: the plain form.

use std::io;
use std::time::Instant;

use anyhow::anyhow;
use sockeye_host::client::{Controls, Output};
use sockeye_host::plain::ask;
use sockeye_host::quoted;
use sockeye_net::dial::dial_stream;
use sockeye_wire::Signal;
use sockeye_wire::plain::Reply;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::answer::{Answer, OURS, TIMED_OUT};
use super::args::{ExecSettings, Show, What};
use super::by_signal;
use super::lines::Lines;
use crate::cli::usage::Failure;

/// What is said where `--timeout` was over.
const NO_REPLY: &str = "no reply within --timeout, so the command was given up";

/// Runs one command and ends with its status.
pub(super) async fn one(settings: &ExecSettings) -> Result<(), Failure> {
    let line = match &settings.what {
        What::Arguments(words) => quoted(words),
        What::Line(line) => line.clone(),
        What::Login | What::Prompt => Vec::new(),
    };
    let since = Instant::now();
    let mut stream = dial(settings).await?;
    let (status, output, error) = match ask_in_time(settings, &mut stream, &line).await? {
        Some(reply) => (exit(reply.status), reply.output, None),
        None => (TIMED_OUT, String::new(), Some(NO_REPLY.to_owned())),
    };
    if settings.show == Show::Json {
        let answer = Answer {
            exit: Some(status),
            signal: None,
            stdout: output,
            stderr: String::new(),
            duration_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
            error: error.clone(),
        };
        answer.write()?;
    } else {
        show(settings, &output).await?;
    }
    if let Some(error) = error {
        eprintln!("sockeye: {error}");
    }
    if status == 0 { Ok(()) } else { Err(Failure::Status(status)) }
}

/// Asks for lines and has each run, on one connection; on another one after a command that did not
/// come to its end.
pub(super) async fn prompt(settings: &ExecSettings) -> Result<(), Failure> {
    let mut stream = dial(settings).await?;
    let mut controls = Controls::signals().map_err(|error| anyhow!("no prompt: {error}"))?;
    let mut lines = Lines::new()?;
    eprintln!("Each line is run by a shell of its own; q or Ctrl-D leaves.");
    let mut status = 0;
    while let Some(line) = lines.next(status, &mut controls).await? {
        let run = async {
            let reply = ask_in_time(settings, &mut stream, line.as_bytes()).await?;
            if let Some(reply) = &reply {
                show(settings, &reply.output).await?;
            }
            Ok::<_, Failure>(reply.map(|reply| reply.status))
        };
        let ended = tokio::select! {
            ended = run => ended?,
            signal = controls.signal() => match signal {
                Signal::Term | Signal::Hup => return Err(by_signal(signal.number())),
                _ => {
                    (status, stream) = (128 + signal.number(), dial(settings).await?);
                    continue;
                }
            },
        };
        status = match ended {
            Some(status) => status,
            None => {
                eprintln!("sockeye: {NO_REPLY}");
                stream = dial(settings).await?;
                i32::from(TIMED_OUT)
            }
        };
    }
    Ok(())
}

/// The reply; `None` where it did not come within `--timeout`. Then the connection is of no more
/// use, and to close it ends the command.
async fn ask_in_time(
    settings: &ExecSettings,
    stream: &mut TcpStream,
    line: &[u8],
) -> Result<Option<Reply>, Failure> {
    let asked = ask(stream, line);
    let reply = match settings.timeout {
        None => asked.await,
        Some(span) => match timeout(span, asked).await {
            Ok(reply) => reply,
            Err(_) => return Ok(None),
        },
    };
    Ok(Some(reply.map_err(|error| anyhow!("{error}"))?))
}

async fn dial(settings: &ExecSettings) -> Result<TcpStream, Failure> {
    let dialled = dial_stream(&settings.endpoint, &settings.dial).await;
    let dialled = dialled.map_err(|error| anyhow!("{error}"))?;
    let fd = std::os::fd::OwnedFd::from(dialled.socket);
    Ok(TcpStream::from_std(fd.into()).map_err(|error| anyhow!("{error}"))?)
}

async fn show(settings: &ExecSettings, text: &str) -> Result<(), Failure> {
    let written = async {
        let stdout = io::stdout();
        let escape = settings.show == Show::Usual && io::IsTerminal::is_terminal(&stdout);
        let mut output = if escape { Output::escaped(stdout)? } else { Output::new(stdout)? };
        output.write(text.as_bytes())?;
        output.finish().await
    };
    match written.await {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(anyhow!("cannot write to stdout: {error}. Check where it goes.").into())
        }
        _ => Ok(()),
    }
}

/// Servers of the plain form tell a death by a signal as the negative number, as Python does, or as
/// a shell does.
fn exit(status: i32) -> u8 {
    let code = if status < 0 { 128_i32.saturating_sub(status) } else { status };
    u8::try_from(code).unwrap_or(OURS)
}
