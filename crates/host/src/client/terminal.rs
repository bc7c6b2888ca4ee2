//! Our own terminal while a remote command has it: raw mode, its size, the signals that it makes.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use sockeye_limits as limits;
use sockeye_wire::{Signal, WindowSize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use super::remote::Control;

/// A terminal in raw mode; dropped, it is as it was.
pub struct RawTerminal {
    terminal: OwnedFd,
    before: Termios,
}

impl RawTerminal {
    /// Puts the terminal behind a descriptor into raw mode, termios(3).
    ///
    /// # Errors
    /// As tcsetattr(3).
    pub fn new(terminal: impl AsFd) -> io::Result<RawTerminal> {
        let terminal = terminal.as_fd().try_clone_to_owned()?;
        let before = tcgetattr(&terminal)?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(&terminal, OptionalActions::Drain, &raw)?;
        Ok(RawTerminal { terminal, before })
    }
}

impl Drop for RawTerminal {
    fn drop(&mut self) {
        // A terminal that has gone cannot be restored.
        let _ = tcsetattr(&self.terminal, OptionalActions::Drain, &self.before);
    }
}

/// The size of a terminal's window.
pub fn window_size(terminal: impl AsFd) -> Option<WindowSize> {
    let size = tcgetwinsize(terminal).ok()?;
    Some(WindowSize {
        rows: size.ws_row,
        columns: size.ws_col,
        width: size.ws_xpixel,
        height: size.ws_ypixel,
    })
}

/// Hears SIGINT, SIGQUIT, SIGTERM and SIGHUP from now on, and SIGWINCH where a terminal is given:
/// they are for the remote command.
///
/// Whoever sends [`limits::IMPATIENCE`] signals to end us means us: then the channel is closed.
///
/// # Errors
/// As sigaction(2).
///
/// # Panics
/// Outside a tokio runtime.
pub fn controls(terminal: Option<OwnedFd>) -> io::Result<(mpsc::Receiver<Control>, Impatient)> {
    let (sender, receiver) = mpsc::channel(limits::CONTROLS_WAITING);
    let (impatient, told) = mpsc::channel(1);
    let kinds = [
        (SignalKind::interrupt(), Signal::Int),
        (SignalKind::quit(), Signal::Quit),
        (SignalKind::terminate(), Signal::Term),
        (SignalKind::hangup(), Signal::Hup),
    ];
    for (kind, sent) in kinds {
        let (mut heard, sender, impatient) = (signal(kind)?, sender.clone(), impatient.clone());
        tokio::spawn(async move {
            let mut count = 0;
            // The receiver goes with its command.
            while !sender.is_closed() && heard.recv().await.is_some() {
                // A full queue holds such a signal already.
                let _ = sender.try_send(Control::Signal(sent));
                count += 1;
                if count == limits::IMPATIENCE {
                    let _ = impatient.try_send(sent.number());
                }
            }
        });
    }
    if let Some(terminal) = terminal {
        let mut heard = signal(SignalKind::window_change())?;
        tokio::spawn(async move {
            while heard.recv().await.is_some() {
                if let Some(size) = window_size(&terminal)
                    && sender.send(Control::Resize(size)).await.is_err()
                {
                    return;
                }
            }
        });
    }
    Ok((receiver, Impatient(told)))
}

/// Tells when the user wants out, whatever the remote command does.
pub struct Impatient(mpsc::Receiver<i32>);

impl Impatient {
    /// Resolves with the signal that came once too often.
    pub async fn out(&mut self) -> i32 {
        match self.0.recv().await {
            Some(number) => number,
            None => std::future::pending().await,
        }
    }
}
