//! Shell completions and manual pages, made from the same definition as the help.

mod completions;
mod man;

use std::io::{self, Write};

pub(crate) use completions::{CompletionsArgs, completions};
pub(crate) use man::{ManArgs, man};

use super::usage::Failure;

/// Writes data to stdout; a reader that has gone is no failure.
pub(crate) fn write_out(text: &[u8]) -> Result<(), Failure> {
    write_all(text).map(|_| ())
}

/// The same, and tells whether there is still a reader.
pub(crate) fn write_all(text: &[u8]) -> Result<bool, Failure> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text).and_then(|()| stdout.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => {
            Err(anyhow::anyhow!("cannot write to stdout: {error}. Check where it goes.").into())
        }
    }
}
