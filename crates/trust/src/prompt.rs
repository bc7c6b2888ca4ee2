//! Asking for passphrases on the terminal, unseen.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;

use rustix::process::{Signal, getpid, kill_process};
use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use sockeye_limits as limits;
use zeroize::Zeroizing;

use crate::strict::show;

/// Asks for a passphrase on the process's terminal (/dev/tty); `None` if there is none, or the
/// user ended it. This is what [`crate::file::read_private`] wants as `ask`.
pub fn passphrase(path: &Path) -> Option<Zeroizing<String>> {
    ask(&format!("Passphrase for {}: ", show(path)))
}

/// Asks for a new passphrase, twice, until both are the same. `None` as in [`passphrase`]; the
/// empty passphrase means none.
pub fn new_passphrase(path: &Path) -> Option<Zeroizing<String>> {
    let mut question = format!("New passphrase for {} (empty for none): ", show(path));
    loop {
        let first = ask(&question)?;
        if *ask("The same passphrase again: ")? == *first {
            return Some(first);
        }
        question = "They differ. New passphrase (empty for none): ".into();
    }
}

/// True if there is a terminal to ask on.
pub fn is_possible() -> bool {
    terminal().is_ok()
}

fn terminal() -> io::Result<File> {
    File::options().read(true).write(true).open("/dev/tty")
}

fn ask(question: &str) -> Option<Zeroizing<String>> {
    let terminal = terminal().ok()?;
    let typed = {
        // Before the question: who types at once must not see it either.
        let _unseen = Unseen::new(&terminal).ok()?;
        (&terminal).write_all(question.as_bytes()).ok()?;
        let typed = read(&terminal);
        let _ = (&terminal).write_all(b"\n");
        typed.ok()?
    };
    match typed {
        Typed::Line(mut bytes) => String::from_utf8(std::mem::take(&mut *bytes))
            .map(Zeroizing::new)
            .map_err(|error| Zeroizing::new(error.into_bytes()))
            .ok(),
        Typed::Ended => None,
        Typed::Interrupted => {
            // As if the terminal had sent it, now that the terminal is as it was.
            let _ = kill_process(getpid(), Signal::INT);
            None
        }
    }
}

/// A terminal that shows nothing and interprets nothing; dropped, it is as it was.
struct Unseen<'a> {
    terminal: &'a File,
    before: Termios,
}

impl Unseen<'_> {
    fn new(terminal: &File) -> io::Result<Unseen<'_>> {
        let before = tcgetattr(terminal)?;
        let mut unseen = before.clone();
        unseen.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
        unseen.local_modes.remove(LocalModes::ICANON | LocalModes::ISIG);
        tcsetattr(terminal, OptionalActions::Now, &unseen)?;
        Ok(Unseen { terminal, before })
    }
}

impl Drop for Unseen<'_> {
    fn drop(&mut self) {
        // A terminal that has gone cannot be restored.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

/// What somebody typed.
#[derive(Debug, PartialEq, Eq)]
enum Typed {
    Line(Zeroizing<Vec<u8>>),
    /// Ctrl-D, or the terminal has gone.
    Ended,
    /// Ctrl-C.
    Interrupted,
}

/// Reads a line as it is typed, with the usual keys to take characters back.
fn read(mut from: impl Read) -> io::Result<Typed> {
    const CTRL_C: u8 = 3;
    const CTRL_D: u8 = 4;
    const BACKSPACE: u8 = 8;
    const CTRL_U: u8 = 21;
    const DELETE: u8 = 127;
    // All the room at once: a buffer that grows leaves copies of the secret behind.
    let mut line = Zeroizing::new(Vec::with_capacity(limits::PASSPHRASE_BYTES));
    let mut key = Zeroizing::new([0]);
    loop {
        match from.read(&mut key[..]) {
            Ok(0) => return Ok(Typed::Ended),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        }
        match key[0] {
            b'\n' | b'\r' => return Ok(Typed::Line(line)),
            CTRL_C => return Ok(Typed::Interrupted),
            CTRL_D if line.is_empty() => return Ok(Typed::Ended),
            CTRL_U => line.clear(),
            BACKSPACE | DELETE => {
                // A character may be several bytes (RFC 3629, section 3).
                while line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
            }
            byte if byte < b' ' => {}
            byte if line.len() < limits::PASSPHRASE_BYTES => line.push(byte),
            _ => return Err(io::ErrorKind::InvalidInput.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// T2: a passphrase is a line, with the keys that take back what was typed.
    #[test]
    fn keys() {
        let line = |text: &str| Typed::Line(Zeroizing::new(text.into()));
        for (keys, expected) in [
            (&b"open sesame\r"[..], line("open sesame")),
            (b"\n", line("")),
            (b"aa\x7fb\x08c\n", line("ac")),
            ("aä\x7f\n".as_bytes(), line("a")),
            (b"\x7f\x7fx\n", line("x")),
            (b"wrong\x15right\n", line("right")),
            (b"a\x04b\x1b\n", line("ab")),
            (b"\x04", Typed::Ended),
            (b"half", Typed::Ended),
            (b"half\x03", Typed::Interrupted),
        ] {
            assert_eq!(read(keys).unwrap(), expected, "{keys:?}");
        }
        assert!(read(&[b'x'; limits::PASSPHRASE_BYTES + 1][..]).is_err());
    }
}
