//! Ctrl-C in the middle of a run: it ends early, and what was measured is shown.

use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

/// Becomes true with the first SIGINT or SIGTERM; a second one ends the process. Where the system
/// refuses to listen, signals do what they always do.
pub(in super::super) fn asked() -> Arc<AtomicBool> {
    let asked = Arc::new(AtomicBool::new(false));
    let flag = Arc::clone(&asked);
    let Ok(runtime) = Builder::new_current_thread().enable_io().build() else { return asked };
    // Listened to from here on, not from some time later in the thread.
    let signals = runtime.block_on(async {
        Ok::<_, std::io::Error>((
            signal(SignalKind::interrupt())?,
            signal(SignalKind::terminate())?,
        ))
    });
    let Ok((mut interrupt, mut terminate)) = signals else { return asked };
    let hear = move || {
        runtime.block_on(async {
            loop {
                let number = tokio::select! {
                    _ = interrupt.recv() => SignalKind::interrupt(),
                    _ = terminate.recv() => SignalKind::terminate(),
                };
                if flag.swap(true, Ordering::Relaxed) {
                    process::exit(128 + number.as_raw_value());
                }
            }
        });
    };
    // A thread that cannot be had leaves the signals unheard; the run ends by itself.
    drop(thread::Builder::new().name("signals".into()).spawn(hear));
    asked
}
