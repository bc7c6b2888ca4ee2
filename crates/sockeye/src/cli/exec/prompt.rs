//! The prompt of `exec` without a command: each line is run by the shell there, on one connection.

use anyhow::anyhow;
use sockeye_host::client::{CallError, Controls};
use sockeye_wire::{Program, Run};

use super::args::ExecSettings;
use super::lines::Lines;
use super::run::{call, request};
use super::{explained, reach};
use crate::cli::usage::Failure;

/// Asks for lines and runs each; the status of one that failed is shown in the next prompt.
pub(super) async fn prompt(settings: &ExecSettings) -> Result<(), Failure> {
    let mut remote = reach(settings).await?;
    // Who may not come in learns it before the first line.
    remote.greet().await.map_err(|error| anyhow!(explained(&error)))?;
    let mut controls = Controls::signals().map_err(|error| anyhow!("no prompt: {error}"))?;
    let mut lines = Lines::new()?;
    eprintln!(
        "Each line is run by a shell of its own; q or Ctrl-D leaves; for a terminal use `sockeye \
         shell HOST`."
    );
    let mut status = 0;
    while let Some(line) = lines.next(status, &mut controls).await? {
        let program = Program::Line(line.into_bytes());
        // What is typed is for the prompt.
        let run = Run { program, stdin: false, ..request(settings) };
        let done = call(settings, &mut remote, &run, &mut controls).await?;
        // Otherwise there is no connection any more.
        let is_over = !matches!(done.ended, Ok(_) | Err(CallError::Failed(_)));
        let code = done.tell(settings)?;
        if is_over {
            return Err(Failure::Status(code));
        }
        status = i32::from(code);
    }
    remote.close().await;
    Ok(())
}
