//! `sockeye connect ENDPOINT`: talk to a server, from a terminal or in a pipe.

mod args;
mod settings;
mod talk;

use super::event_loop;

pub(crate) use args::{ConnectArgs, ConnectConfig};
pub(crate) use settings::ConnectSettings;

/// Holds the conversation that the settings describe, on standard input and output.
///
/// # Errors
/// Whatever did not end cleanly; shown, one line of cause and remedy.
pub(crate) fn run(settings: ConnectSettings) -> Result<(), anyhow::Error> {
    let result = event_loop::run(talk::converse(&settings))?;
    match result.map_err(|error| error.downcast::<sockeye_talk::Error>()) {
        Ok(()) | Err(Ok(sockeye_talk::Error::OutputClosed)) => Ok(()),
        // Its text holds the cause already, so that no chain is printed behind it.
        Err(Ok(error)) => Err(anyhow::anyhow!("{error}")),
        Err(Err(other)) => Err(other),
    }
}
