//! `sockeye exec` and `sockeye shell`: a command on another machine, as if it were here.

mod answer;
mod args;
mod plain;
mod prompt;
mod run;

use std::io::{self, IsTerminal};

use anyhow::anyhow;
use sockeye_host::client::{CallError, Duplex, Remote};
use sockeye_limits as limits;
use sockeye_net::Transport;
use sockeye_net::sys::require_descriptors;
use sockeye_trust::tls::explain_read;

use args::What;
pub(crate) use args::{ExecArgs, ExecConfig, ExecSettings, ShellArgs};

use super::usage::Failure;

/// Runs what the settings say; the status is that of the command.
pub(crate) fn run(settings: ExecSettings) -> Result<(), Failure> {
    // tokio would panic where descriptors are short.
    let runtime = require_descriptors(limits::RUNTIME_DESCRIPTORS)
        .and_then(|()| tokio::runtime::Builder::new_current_thread().enable_all().build())
        .map_err(|error| {
            Failure::Remote(anyhow!("cannot start an event loop: {error}. Raise `ulimit -n`."))
        })?;
    let plain = settings.endpoint.transport() == Transport::Tcp;
    let done = match (&settings.what, plain) {
        (What::Prompt, _) if !io::stdin().is_terminal() => Err(Failure::Remote(anyhow!(
            "no command: write it behind --, or a line for the shell with -c"
        ))),
        (What::Prompt, true) => plain::prompt(&runtime, &settings),
        (What::Prompt, false) => prompt::prompt(&runtime, &settings),
        (_, true) => runtime.block_on(plain::one(&settings)),
        (_, false) => runtime.block_on(run::one(&settings)),
    };
    // A terminal may be read by a thread that nobody waits for any more.
    runtime.shutdown_background();
    done
}

/// A connection to the server, with all the questions that it takes.
async fn reach(settings: &ExecSettings) -> Result<Remote<Box<dyn Duplex>>, Failure> {
    let ExecSettings { trust, endpoint, dial, .. } = settings;
    let remote = trust.reach(endpoint, dial, async |reach| reach.remote().await).await;
    remote.map_err(|error| Failure::Remote(anyhow!("{error}")))
}

/// What failed in a call, in the words of whoever knows most.
fn explained(error: CallError) -> anyhow::Error {
    if let CallError::Connection(cause) = &error
        && let Some(better) = explain_read(cause)
    {
        return anyhow!("{better}");
    }
    anyhow!("{error}")
}
