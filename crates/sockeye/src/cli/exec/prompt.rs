//! The prompt of `exec` without a command: each line is run by the shell there, on one connection.

use anyhow::anyhow;
use rustyline::DefaultEditor;
use rustyline::error::ReadlineError;
use sockeye_wire::{Program, Run};
use tokio::runtime::Runtime;

use super::args::ExecSettings;
use super::reach;
use super::run::call;
use crate::cli::usage::Failure;

/// Asks for lines and runs each; the status of one that failed is shown in the next prompt.
pub(super) fn prompt(runtime: &Runtime, settings: &ExecSettings) -> Result<(), Failure> {
    let mut remote = runtime.block_on(reach(settings))?;
    // Who may not come in learns it before the first line.
    runtime.block_on(remote.greet()).map_err(|error| Failure::Remote(super::explained(error)))?;
    let mut lines = Lines::new()?;
    let mut status = 0;
    while let Some(line) = lines.next(status)? {
        let program = Program::Line(line.into_bytes());
        let run = Run { max_output: settings.max_output, ..Run::new(program) };
        status = i32::from(runtime.block_on(call(settings, &mut remote, &run))?);
    }
    runtime.block_on(remote.close());
    Ok(())
}

/// Lines that somebody types.
pub(super) struct Lines(DefaultEditor);

impl Lines {
    pub(super) fn new() -> Result<Lines, Failure> {
        let editor = DefaultEditor::new();
        editor.map(Lines).map_err(|error| Failure::Remote(anyhow!("no prompt: {error}")))
    }

    /// The next line that is not blank; `None` at `q` or the end of the input.
    pub(super) fn next(&mut self, status: i32) -> Result<Option<String>, Failure> {
        let prompt = if status == 0 { ">>: ".into() } else { format!("[{status}] >>: ") };
        loop {
            match self.0.readline(&prompt) {
                Ok(line) if line.trim().is_empty() => {}
                Ok(line) if line.trim() == "q" => return Ok(None),
                Ok(line) => {
                    // A line that is not remembered is no failure.
                    let _ = self.0.add_history_entry(&line);
                    return Ok(Some(line));
                }
                // Ctrl-C drops the line.
                Err(ReadlineError::Interrupted) => {}
                Err(ReadlineError::Eof) => return Ok(None),
                Err(error) => {
                    return Err(Failure::Remote(anyhow!("the prompt failed: {error}")));
                }
            }
        }
    }
}
