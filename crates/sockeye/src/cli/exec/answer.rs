//! The result of a command: an exit status, or one JSON object.

use serde::Serialize;
use sockeye_wire::{Failure as NotStarted, FailureKind, Status};

use crate::cli::docs::write_out;
use crate::cli::usage::Failure;

/// What `--json` prints.
#[derive(Debug, Serialize)]
pub(super) struct Answer {
    /// The exit status of this program; null where a signal ended the command.
    pub(super) exit: Option<u8>,
    /// The name of that signal, without SIG.
    pub(super) signal: Option<String>,
    pub(super) stdout: String,
    pub(super) stderr: String,
    pub(super) duration_ms: u64,
    /// Why the command did not end by itself or did not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
}

/// The exit status of our own failures (X4).
pub(super) const OURS: u8 = 255;

/// The exit status where `--timeout` was over, as timeout(1) has it (X4).
pub(super) const TIMED_OUT: u8 = 124;

impl Answer {
    /// What there is to say where a command did not run for a reason of ours.
    pub(super) fn failed(error: String) -> Answer {
        Answer {
            exit: Some(OURS),
            signal: None,
            stdout: String::new(),
            stderr: String::new(),
            duration_ms: 0,
            error: Some(error),
        }
    }

    /// Writes it to stdout; a failure of that is told, and is our own.
    pub(super) fn write(&self) -> Result<(), Failure> {
        write_out(&self.line()).map_err(|failure| {
            failure.report();
            Failure::Status(OURS)
        })
    }

    /// The JSON, with its newline.
    pub(super) fn line(&self) -> Vec<u8> {
        let line = serde_json::to_string(self).expect("plain data with string keys");
        // Its reader may be a terminal.
        let mut line = sockeye_net::shown::json(&line).into_bytes();
        line.push(b'\n');
        line
    }
}

/// The exit status of this program for the end of a command (X4), and what is to be said besides.
pub(super) fn exit(status: Status) -> (u8, Option<&'static str>) {
    match status {
        Status::Exited(code) => (code, None),
        Status::Signaled { signal, .. } => (128_u8.saturating_add(signal), None),
        Status::TimedOut => (TIMED_OUT, Some("the command was ended: its --timeout was over")),
        Status::OutputLimit => {
            (OURS, Some("the command was ended: it wrote more than its --max-output"))
        }
    }
}

/// The same for a command that did not start.
pub(super) fn not_started(failure: &NotStarted) -> u8 {
    match failure.kind {
        FailureKind::NotFound => 127,
        FailureKind::NotExecutable => 126,
        _ => OURS,
    }
}

/// Linux's names of signals 1 to 31 without SIG, signal(7).
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];

/// The name of a signal, or its number where it has none.
pub(super) fn signal_name(number: u8) -> String {
    let name = usize::from(number).checked_sub(1).and_then(|at| SIGNALS.get(at));
    name.map_or_else(|| number.to_string(), |name| (*name).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// X4: the command's status is ours, a signal is 128 and its number, a timeout is 124.
    #[test]
    fn statuses() {
        assert_eq!(exit(Status::Exited(3)), (3, None));
        assert_eq!(exit(Status::Signaled { signal: 11, core: true }), (139, None));
        assert_eq!(exit(Status::TimedOut).0, 124);
        assert_eq!(exit(Status::OutputLimit).0, 255);
        assert_eq!((signal_name(11).as_str(), signal_name(15).as_str()), ("SEGV", "TERM"));
        assert_eq!((signal_name(31).as_str(), signal_name(34).as_str()), ("SYS", "34"));
        let failure = |kind| NotStarted { kind, text: String::new() };
        assert_eq!(not_started(&failure(FailureKind::NotFound)), 127);
        assert_eq!(not_started(&failure(FailureKind::NotExecutable)), 126);
        assert_eq!(not_started(&failure(FailureKind::Refused)), 255);
    }
}
