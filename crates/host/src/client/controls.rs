//! What happens here and is for the command there: our signals, and our window's size.
//!
//! Signals that are listened to once do no longer what they usually do, so one [`Controls`] listens
//! for as long as the program may be told to end, between two commands too.

use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll};

use sockeye_limits as limits;
use sockeye_wire::{Signal, WindowSize};
use tokio::signal::unix::{self, SignalKind, signal};
use tokio::sync::mpsc;

use super::terminal::window_size;

/// Something for the command there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// A signal.
    Signal(Signal),
    /// The window has this size now.
    Resize(WindowSize),
}

/// Where controls come from.
pub struct Controls {
    signals: Vec<Heard>,
    window: Option<(unix::Signal, OwnedFd)>,
    told: Option<mpsc::Receiver<Control>>,
}

/// One signal of this process.
struct Heard {
    comes: unix::Signal,
    signal: Signal,
    /// How often it came to the command that runs.
    count: u32,
}

impl Controls {
    /// SIGINT, SIGQUIT, SIGTERM and SIGHUP of this process, from now on. They do not end it any
    /// more.
    ///
    /// # Errors
    /// As sigaction(2).
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn signals() -> io::Result<Controls> {
        let kinds = [
            (SignalKind::interrupt(), Signal::Int),
            (SignalKind::quit(), Signal::Quit),
            (SignalKind::terminate(), Signal::Term),
            (SignalKind::hangup(), Signal::Hup),
        ];
        let heard = |(kind, sent)| Ok(Heard { comes: signal(kind)?, signal: sent, count: 0 });
        let signals = kinds.into_iter().map(heard).collect::<io::Result<_>>()?;
        Ok(Controls { signals, window: None, told: None })
    }

    /// The same, and SIGWINCH with the size that this terminal has then.
    ///
    /// # Errors
    /// As sigaction(2).
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn signals_and_window(terminal: OwnedFd) -> io::Result<Controls> {
        let window = Some((signal(SignalKind::window_change())?, terminal));
        Ok(Controls { window, ..Controls::signals()? })
    }

    /// What somebody else sends, and no signal of this process.
    pub fn told(by: mpsc::Receiver<Control>) -> Controls {
        Controls { signals: Vec::new(), window: None, told: Some(by) }
    }

    /// A new command begins: what was counted was for another.
    pub(super) fn begin(&mut self) {
        for heard in &mut self.signals {
            heard.count = 0;
        }
    }

    /// The next one, or the signal that came [`limits::IMPATIENCE`] times: whoever sends it so often
    /// means us. Cancel-safe.
    pub(super) async fn next(&mut self) -> Result<Control, Signal> {
        std::future::poll_fn(|cx| self.poll_next(cx)).await
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Result<Control, Signal>> {
        for heard in &mut self.signals {
            if heard.comes.poll_recv(cx) == Poll::Ready(Some(())) {
                heard.count += 1;
                let enough = heard.count >= limits::IMPATIENCE;
                let signal = heard.signal;
                return Poll::Ready(if enough { Err(signal) } else { Ok(Control::Signal(signal)) });
            }
        }
        if let Some((changes, terminal)) = &mut self.window {
            while changes.poll_recv(cx) == Poll::Ready(Some(())) {
                if let Some(size) = window_size(&*terminal) {
                    return Poll::Ready(Ok(Control::Resize(size)));
                }
            }
        }
        match self.told.as_mut().map(|told| told.poll_recv(cx)) {
            Some(Poll::Ready(Some(control))) => return Poll::Ready(Ok(control)),
            Some(Poll::Ready(None)) => self.told = None,
            Some(Poll::Pending) | None => {}
        }
        Poll::Pending
    }

    /// Between two commands: resolves with SIGTERM or SIGHUP, which end us there. The others are for
    /// a command, and there is none. Cancel-safe.
    pub async fn end(&mut self) -> Signal {
        std::future::poll_fn(|cx| {
            for heard in &mut self.signals {
                while heard.comes.poll_recv(cx) == Poll::Ready(Some(())) {
                    if matches!(heard.signal, Signal::Term | Signal::Hup) {
                        return Poll::Ready(heard.signal);
                    }
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Resolves with the next signal, whichever, for those who have nowhere to send it. Cancel-safe.
    pub async fn signal(&mut self) -> Signal {
        loop {
            match self.next().await {
                Ok(Control::Signal(signal)) | Err(signal) => return signal,
                Ok(Control::Resize(_)) => {}
            }
        }
    }
}
