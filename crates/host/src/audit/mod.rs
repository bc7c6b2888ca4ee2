//! The audit file: a line of JSON for each command before it runs and one at its end (X8).

mod file;

use std::io;
use std::path::Path;

use serde::Serialize;
use sockeye_net::{Peer, shown};
use sockeye_wire::{Ended, Program, Status};

use crate::job::Exit;
use file::Lines;

/// The audit of one command: it began, and its end will be written to the same file.
pub(crate) struct Audit {
    file: Lines,
    id: String,
}

/// Who runs what.
pub(crate) struct Beginning<'a> {
    /// The fingerprint of the key, or `uid:` and a number; none where nobody was asked who he is.
    pub(crate) key: Option<&'a str>,
    pub(crate) peer: &'a Peer,
    pub(crate) program: &'a Program,
    pub(crate) forced: Option<&'a str>,
}

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Outcome {
    /// Its own end, where it had one.
    pub(crate) exit: Option<Exit>,
    /// What ended it, or `detached` or `not-started`, where it was not the command itself.
    pub(crate) why: Option<&'static str>,
    pub(crate) stdout_bytes: u64,
    pub(crate) stderr_bytes: u64,
    pub(crate) duration_ms: u64,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    Begin {
        time: String,
        id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        key: Option<&'a str>,
        peer: String,
        /// The argument list; of a line for the shell, that line alone.
        argv: Vec<String>,
        shell: bool,
        #[serde(skip_serializing_if = "Option::is_none")]
        forced: Option<&'a str>,
    },
    End {
        time: String,
        id: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        exit: Option<u8>,
        #[serde(skip_serializing_if = "Option::is_none")]
        signal: Option<u8>,
        #[serde(skip_serializing_if = "Option::is_none")]
        why: Option<&'a str>,
        stdout_bytes: u64,
        stderr_bytes: u64,
        duration_ms: u64,
    },
}

impl Audit {
    /// Writes that a command begins.
    ///
    /// # Errors
    /// Where it cannot be written: the command must not run then.
    pub(crate) fn begin(path: &Path, what: &Beginning<'_>) -> io::Result<Audit> {
        let file = Lines::open(path)?;
        let id = format!("{}-{}", std::process::id(), jiff::Timestamp::now().as_microsecond());
        let audit = Audit { file, id };
        audit.write(&Line::Begin {
            time: now(),
            id: &audit.id,
            key: what.key,
            peer: what.peer.to_string(),
            argv: argv(what.program),
            shell: !matches!(what.program, Program::Arguments(_)),
            forced: what.forced,
        })?;
        Ok(audit)
    }

    /// Writes how it ended.
    ///
    /// # Errors
    /// Where it cannot be written.
    pub(crate) fn end(&self, outcome: &Outcome) -> io::Result<()> {
        let (exit, signal) = outcome.status();
        self.write(&Line::End {
            time: now(),
            id: &self.id,
            exit,
            signal,
            why: outcome.why,
            stdout_bytes: outcome.stdout_bytes,
            stderr_bytes: outcome.stderr_bytes,
            duration_ms: outcome.duration_ms,
        })
    }

    fn write(&self, line: &Line<'_>) -> io::Result<()> {
        self.file.append(&shown::json(&serde_json::to_string(line)?))
    }
}

impl Outcome {
    /// Of a command whose client was told of its end.
    pub(crate) fn of(ended: &Ended) -> Outcome {
        let (exit, why) = match ended.status {
            Status::Exited(code) => (Some(Exit::Code(code)), None),
            Status::Signaled { signal, core } => {
                (Some(Exit::Signal { number: signal, core }), None)
            }
            Status::TimedOut => (None, Some("timed-out")),
            Status::OutputLimit => (None, Some("output-limit")),
        };
        Outcome {
            exit,
            why,
            stdout_bytes: ended.stdout_bytes,
            stderr_bytes: ended.stderr_bytes,
            duration_ms: ended.duration_us / 1000,
        }
    }

    /// Of a command that has no end of its own.
    pub(crate) fn without(why: &'static str) -> Outcome {
        Outcome { why: Some(why), ..Outcome::default() }
    }

    /// The exit status, or else the number of the signal that ended it.
    pub(crate) fn status(&self) -> (Option<u8>, Option<u8>) {
        match self.exit {
            Some(Exit::Code(code)) => (Some(code), None),
            Some(Exit::Signal { number, .. }) => (None, Some(number)),
            None => (None, None),
        }
    }
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

fn argv(program: &Program) -> Vec<String> {
    match program {
        Program::Arguments(words) => words.iter().map(|word| shown::bytes(word)).collect(),
        Program::Line(line) => vec![shown::bytes(line)],
        Program::Login => Vec::new(),
    }
}
