//! The event loop of a command that talks to others: one thread, made for one task.

use anyhow::anyhow;
use sockeye_limits as limits;
use sockeye_net::sys::require_descriptors;
use tokio::runtime::Builder;

/// Runs this to its end.
///
/// # Errors
/// Where the system has no room for an event loop.
pub(super) fn run<T>(task: impl Future<Output = T>) -> anyhow::Result<T> {
    // tokio would panic where descriptors are short.
    let runtime = require_descriptors(limits::RUNTIME_DESCRIPTORS)
        .and_then(|()| Builder::new_current_thread().enable_all().build())
        .map_err(|error| {
            anyhow!("cannot start an event loop: {error}. Raise `ulimit -n`, or free memory.")
        })?;
    let done = runtime.block_on(task);
    // A thread may wait for input that nobody wants any more.
    runtime.shutdown_background();
    Ok(done)
}
