//! `exec tcp://…`: the plain form.

use std::io;
use std::time::Instant;

use anyhow::anyhow;
use sockeye_host::client::Output;
use sockeye_host::plain::{PlainCallError, ask};
use sockeye_host::quoted;
use sockeye_net::dial::dial_stream;
use sockeye_wire::plain::Reply;
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::answer::Answer;
use super::args::{ExecSettings, Show, What};
use super::prompt::Lines;
use crate::cli::docs::write_out;
use crate::cli::usage::Failure;

/// Runs one command and ends with its status.
pub(super) async fn one(settings: &ExecSettings) -> Result<(), Failure> {
    let line = match &settings.what {
        What::Arguments(words) => quoted(words),
        What::Line(line) => line.clone(),
        What::Login | What::Prompt => Vec::new(),
    };
    let since = Instant::now();
    let mut stream = dial(settings).await?;
    let asked = ask(&mut stream, &line);
    let reply = match settings.timeout {
        None => asked.await.map_err(failed)?,
        Some(span) => match timeout(span, asked).await {
            Ok(reply) => reply.map_err(failed)?,
            Err(_) => {
                eprintln!("sockeye: no reply within --timeout");
                return Err(Failure::Status(124));
            }
        },
    };
    let status = exit(reply.status);
    if settings.show == Show::Json {
        let answer = Answer {
            exit: Some(status),
            signal: None,
            stdout: reply.output,
            stderr: String::new(),
            duration_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
            error: None,
        };
        write_out(&answer.line())?;
    } else {
        show(settings, &reply).await?;
    }
    if status == 0 { Ok(()) } else { Err(Failure::Status(status)) }
}

/// Asks for lines and has each run, on one connection.
pub(super) fn prompt(runtime: &Runtime, settings: &ExecSettings) -> Result<(), Failure> {
    let mut stream = runtime.block_on(dial(settings))?;
    let mut lines = Lines::new()?;
    let mut status = 0;
    while let Some(line) = lines.next(status)? {
        let reply = runtime.block_on(ask(&mut stream, line.as_bytes())).map_err(failed)?;
        runtime.block_on(show(settings, &reply))?;
        status = reply.status;
    }
    Ok(())
}

async fn dial(settings: &ExecSettings) -> Result<TcpStream, Failure> {
    let dialled = dial_stream(&settings.endpoint, &settings.dial).await;
    let dialled = dialled.map_err(|error| Failure::Remote(anyhow!("{error}")))?;
    let fd = std::os::fd::OwnedFd::from(dialled.socket);
    TcpStream::from_std(fd.into()).map_err(|error| Failure::Remote(anyhow!("{error}")))
}

async fn show(settings: &ExecSettings, reply: &Reply) -> Result<(), Failure> {
    let written = async {
        let stdout = io::stdout();
        let escape = settings.show == Show::Usual && io::IsTerminal::is_terminal(&stdout);
        let mut output = if escape { Output::escaped(stdout)? } else { Output::new(stdout)? };
        output.write(reply.output.as_bytes())?;
        output.finish().await
    };
    match written.await {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Remote(anyhow!("cannot write to stdout: {error}. Check where it goes.")))
        }
        _ => Ok(()),
    }
}

fn failed(error: PlainCallError) -> Failure {
    Failure::Remote(anyhow!("{error}"))
}

/// Servers of the plain form tell a death by a signal as the negative number, as Python does, or as
/// a shell does.
fn exit(status: i32) -> u8 {
    let code = if status < 0 { 128_i32.saturating_sub(status) } else { status };
    u8::try_from(code).unwrap_or(255)
}
