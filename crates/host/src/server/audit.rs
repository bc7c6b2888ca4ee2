//! The audit file: a line of JSON for each command before it runs and one at its end (X8).

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use serde::Serialize;
use sockeye_net::Peer;
use sockeye_net::shown;
use sockeye_wire::{Ended, Program, Run, Status};

use crate::gate::Pass;

/// The audit of one command: it began, and its end will be written by the same file.
pub(super) struct Audit {
    file: File,
    id: String,
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
enum Line<'a> {
    Begin {
        time: String,
        id: &'a str,
        key: &'a str,
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
        /// `timed-out`, `output-limit`, `vanished` or `not-started`, where it was not the command.
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
    pub(super) fn begin(path: &Path, run: &Run, pass: &Pass, peer: &Peer) -> io::Result<Audit> {
        let flags = rustix::fs::OFlags::NOFOLLOW.bits() as i32;
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).custom_flags(flags).open(path)?;
        let id = format!("{}-{}", std::process::id(), jiff::Timestamp::now().as_microsecond());
        let mut audit = Audit { file, id: id.clone() };
        audit.write(&Line::Begin {
            time: now(),
            id: &id,
            key: &pass.identity,
            peer: peer.to_string(),
            argv: argv(&run.program),
            shell: !matches!(run.program, Program::Arguments(_)),
            forced: pass.forced.as_deref(),
        })?;
        Ok(audit)
    }

    /// Writes how it ended.
    pub(super) fn end(&mut self, ended: &Ended) -> io::Result<()> {
        let (exit, signal, why) = match ended.status {
            Status::Exited(code) => (Some(code), None, None),
            Status::Signaled { signal, .. } => (None, Some(signal), None),
            Status::TimedOut => (None, None, Some("timed-out")),
            Status::OutputLimit => (None, None, Some("output-limit")),
        };
        let (out, err) = (ended.stdout_bytes, ended.stderr_bytes);
        self.write_end(exit, signal, why, (out, err), ended.duration_us / 1000)
    }

    /// Writes that it has no end of its own.
    pub(super) fn cut(&mut self, why: &str, duration_ms: u64) -> io::Result<()> {
        self.write_end(None, None, Some(why), (0, 0), duration_ms)
    }

    fn write_end(
        &mut self,
        exit: Option<u8>,
        signal: Option<u8>,
        why: Option<&str>,
        (stdout_bytes, stderr_bytes): (u64, u64),
        duration_ms: u64,
    ) -> io::Result<()> {
        let id = self.id.clone();
        let time = now();
        self.write(&Line::End {
            time,
            id: &id,
            exit,
            signal,
            why,
            stdout_bytes,
            stderr_bytes,
            duration_ms,
        })
    }

    /// One line by one call: with O_APPEND the lines of many processes never mix.
    fn write(&mut self, line: &Line<'_>) -> io::Result<()> {
        let mut bytes = shown::json(&serde_json::to_string(line)?).into_bytes();
        bytes.push(b'\n');
        self.file.write_all(&bytes)
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
