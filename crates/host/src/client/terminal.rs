//! Our own terminal while a remote command has it: raw mode and its size.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use sockeye_wire::WindowSize;

/// A terminal whose modes are about to change; dropped, it is as it was.
pub struct KeptTerminal {
    terminal: OwnedFd,
    before: Termios,
}

impl KeptTerminal {
    /// Remembers the modes of the terminal behind a descriptor, termios(3).
    ///
    /// # Errors
    /// As tcgetattr(3).
    pub fn new(terminal: impl AsFd) -> io::Result<KeptTerminal> {
        let terminal = terminal.as_fd().try_clone_to_owned()?;
        let before = tcgetattr(&terminal)?;
        Ok(KeptTerminal { terminal, before })
    }

    /// True where keys come one by one, as an editor of lines wants them, or no more at all.
    pub fn is_taken(&self) -> bool {
        tcgetattr(&self.terminal).map_or(true, |now| !now.local_modes.contains(LocalModes::ICANON))
    }
}

impl Drop for KeptTerminal {
    fn drop(&mut self) {
        // A terminal that has gone cannot be restored.
        let _ = tcsetattr(&self.terminal, OptionalActions::Drain, &self.before);
    }
}

/// A terminal in raw mode; dropped, it is as it was.
pub struct RawTerminal(#[expect(dead_code, reason = "it is for its drop")] KeptTerminal);

impl RawTerminal {
    /// Puts the terminal behind a descriptor into raw mode, termios(3).
    ///
    /// # Errors
    /// As tcsetattr(3).
    pub fn new(terminal: impl AsFd) -> io::Result<RawTerminal> {
        let kept = KeptTerminal::new(terminal)?;
        let mut raw = kept.before.clone();
        raw.make_raw();
        tcsetattr(&kept.terminal, OptionalActions::Drain, &raw)?;
        Ok(RawTerminal(kept))
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
