//! `sockeye connect ENDPOINT`: talk to a server, from a terminal or in a pipe.

mod args;
mod settings;
mod talk;

use sockeye_limits as limits;
use sockeye_net::sys::require_descriptors;

pub(crate) use args::{ConnectArgs, ConnectConfig};
pub(crate) use settings::ConnectSettings;

/// Holds the conversation that the settings describe, on standard input and output.
///
/// # Errors
/// Whatever did not end cleanly; shown, one line of cause and remedy.
pub(crate) fn run(settings: ConnectSettings) -> Result<(), anyhow::Error> {
    // tokio would panic where descriptors are short.
    let runtime = require_descriptors(limits::RUNTIME_DESCRIPTORS)
        .and_then(|()| tokio::runtime::Builder::new_current_thread().enable_all().build())
        .map_err(|error| {
            anyhow::anyhow!(
                "cannot start an event loop: {error}. Raise `ulimit -n`, or free memory."
            )
        })?;
    let result = runtime.block_on(talk::converse(&settings));
    // A thread may wait for input that nobody wants any more.
    runtime.shutdown_background();
    match result.map_err(|error| error.downcast::<sockeye_talk::Error>()) {
        Ok(()) | Err(Ok(sockeye_talk::Error::OutputClosed)) => Ok(()),
        // Its text holds the cause already, so that no chain is printed behind it.
        Err(Ok(error)) => Err(anyhow::anyhow!("{error}")),
        Err(Err(other)) => Err(other),
    }
}
