//! SIGINT and SIGTERM: the first ends what is traced, the second the program.

use tokio::signal::unix::{SignalKind, signal};

/// Calls `first` at the first signal, on a thread that ends with the process.
pub(super) fn hear(first: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let entered = runtime.enter();
    // Here and not on the thread: a signal that comes at once is heard.
    let (mut interrupt, mut terminate) =
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    drop(entered);
    std::thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            first();
            // Whoever reads our output may have stopped: a second signal ends it at once.
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
            }
            std::process::exit(1);
        });
    })?;
    Ok(())
}
