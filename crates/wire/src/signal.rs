//! The signals that a client can send to a command, by names that do not depend on the system.

use std::fmt;
use std::str::FromStr;

/// A signal for a command, signal(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Signal {
    /// The terminal hung up.
    Hup,
    /// Ctrl-C.
    Int,
    /// Ctrl-\.
    Quit,
    /// The polite request to end.
    Term,
    /// The end.
    Kill,
    /// For the program's own use.
    Usr1,
    /// For the program's own use.
    Usr2,
    /// Ctrl-Z.
    Tstp,
    /// Go on after a stop.
    Cont,
    /// A stop that cannot be caught.
    Stop,
    /// An alarm clock.
    Alrm,
    /// The window has another size.
    Winch,
}

/// Each signal with its name, its code on the wire (clause P-F9) and its number on Linux.
const TABLE: [(Signal, &str, u8, u8); 12] = [
    (Signal::Hup, "HUP", 1, 1),
    (Signal::Int, "INT", 2, 2),
    (Signal::Quit, "QUIT", 3, 3),
    (Signal::Term, "TERM", 4, 15),
    (Signal::Kill, "KILL", 5, 9),
    (Signal::Usr1, "USR1", 6, 10),
    (Signal::Usr2, "USR2", 7, 12),
    (Signal::Tstp, "TSTP", 8, 20),
    (Signal::Cont, "CONT", 9, 18),
    (Signal::Stop, "STOP", 10, 19),
    (Signal::Alrm, "ALRM", 11, 14),
    (Signal::Winch, "WINCH", 12, 28),
];

impl Signal {
    /// All of them.
    pub fn all() -> impl Iterator<Item = Signal> {
        TABLE.into_iter().map(|row| row.0)
    }

    /// Its row. The table is in the order of the enum; a test holds the two together.
    fn row(self) -> (Signal, &'static str, u8, u8) {
        TABLE[self as usize]
    }

    /// Its name without the `SIG`.
    pub fn name(self) -> &'static str {
        self.row().1
    }

    /// Its number on Linux (x86, Arm, RISC-V), signal(7).
    pub fn number(self) -> i32 {
        i32::from(self.row().3)
    }

    /// The signal with this number on Linux, if it can be sent.
    pub fn from_number(number: i32) -> Option<Signal> {
        Signal::all().find(|signal| signal.number() == number)
    }

    /// Its code on the wire.
    pub(crate) fn code(self) -> u8 {
        self.row().2
    }

    /// The signal with this code on the wire.
    pub(crate) fn from_code(code: u8) -> Option<Signal> {
        Signal::all().find(|signal| signal.code() == code)
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A word that names no signal that can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("there is no such signal to send. Use a name such as INT, TERM or KILL.")]
pub struct UnknownSignal;

impl FromStr for Signal {
    type Err = UnknownSignal;

    /// A name in any case, with or without `SIG`.
    fn from_str(word: &str) -> Result<Signal, UnknownSignal> {
        let upper = word.to_ascii_uppercase();
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        Signal::all().find(|signal| signal.name() == name).ok_or(UnknownSignal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// X5: names, codes and numbers lead to the same signal and back.
    #[test]
    fn table() {
        for (index, (signal, name, code, number)) in TABLE.into_iter().enumerate() {
            assert_eq!(signal as usize, index);
            assert_eq!(name.parse(), Ok(signal));
            assert_eq!(format!("sig{}", name.to_lowercase()).parse(), Ok(signal));
            assert_eq!(Signal::from_code(code), Some(signal));
            assert_eq!(Signal::from_number(i32::from(number)), Some(signal));
        }
        assert_eq!("SIGNOPE".parse::<Signal>(), Err(UnknownSignal));
        assert_eq!(Signal::from_code(0), None);
        assert_eq!(Signal::from_number(64), None);
    }
}
