//! The signals that a server hears: SIGTERM and SIGINT to stop, SIGHUP to reload.

use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The signals that are for the server; none where it is embedded.
pub(crate) struct Signals(Option<[Signal; 3]>);

impl Signals {
    /// Hears the signals from here on, on the runtime that is entered.
    pub(crate) fn new(wanted: bool) -> io::Result<Signals> {
        if !wanted {
            return Ok(Signals(None));
        }
        let kinds = [SignalKind::terminate(), SignalKind::interrupt(), SignalKind::hangup()];
        let [terminate, interrupt, hangup] = kinds.map(signal);
        Ok(Signals(Some([terminate?, interrupt?, hangup?])))
    }

    /// The next one.
    pub(crate) async fn next(&mut self) -> Asked {
        match &mut self.0 {
            Some([terminate, interrupt, hangup]) => tokio::select! {
                _ = terminate.recv() => Asked::Stop,
                _ = interrupt.recv() => Asked::Stop,
                _ = hangup.recv() => Asked::Reload,
            },
            None => std::future::pending().await,
        }
    }

    /// The next one that asks to stop.
    pub(crate) async fn stop(&mut self) {
        while self.next().await != Asked::Stop {}
    }
}

/// What a signal asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Stop,
    Reload,
}
