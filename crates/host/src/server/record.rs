//! What is written down and told of a command: the audit file's lines and the server's event.

use std::io;
use std::path::Path;

use sockeye_limits as limits;
use sockeye_net::Peer;
use sockeye_serve::{CommandNews, Front, News};
use sockeye_wire::{Program, Run};

use crate::audit::{Audit, Beginning, Outcome};
use crate::gate::Pass;
use crate::quote::quoted;

/// The record of one command.
pub(super) struct Record<'a> {
    run: &'a Run,
    front: &'a dyn Front,
    audit: Option<Audit>,
}

impl<'a> Record<'a> {
    /// Writes that it begins, where there is an audit file.
    ///
    /// # Errors
    /// Where that cannot be written: the command must not run then, and the owner was told.
    pub(super) fn begin(
        file: Option<&Path>,
        run: &'a Run,
        pass: &Pass,
        peer: &Peer,
        front: &'a dyn Front,
    ) -> io::Result<Record<'a>> {
        let forced = pass.forced.as_deref();
        let key = Some(pass.identity.as_str());
        let audit = begin(file, &Beginning { key, peer, program: &run.program, forced }, front)?;
        Ok(Record { run, front, audit })
    }

    /// It did not start.
    pub(super) fn not_started(&self) {
        end(self.audit.as_ref(), &Outcome::without("not-started"), self.front);
    }

    /// It is over, or none of our business any more.
    pub(super) fn end(&self, outcome: &Outcome) {
        end(self.audit.as_ref(), outcome, self.front);
        let line = match &self.run.program {
            Program::Arguments(words) => quoted(words),
            Program::Line(line) => line.clone(),
            Program::Login => b"a login shell".to_vec(),
        };
        let (exit, signal) = outcome.status();
        self.front.tell(News::Command(CommandNews {
            command: shown(&line),
            exit: exit.map(i32::from),
            signal: signal.map(i32::from),
            why: outcome.why.map(String::from),
            output: outcome.stdout_bytes + outcome.stderr_bytes,
            duration_ms: outcome.duration_ms,
        }));
    }
}

/// Writes that a command begins, where there is an audit file; tells the owner where it cannot be
/// written.
pub(crate) fn begin(
    file: Option<&Path>,
    what: &Beginning<'_>,
    front: &dyn Front,
) -> io::Result<Option<Audit>> {
    let audit = file.map(|path| Audit::begin(path, what)).transpose();
    audit.inspect_err(|error| {
        front.tell(News::Warning(format!(
            "a command was refused: the audit file cannot be written ({error}). Make room or name \
             another with --audit."
        )));
    })
}

/// Writes how it ended. It has run: that this cannot be written is told to the owner.
pub(crate) fn end(audit: Option<&Audit>, outcome: &Outcome, front: &dyn Front) {
    if let Some(Err(error)) = audit.map(|audit| audit.end(outcome)) {
        let text = format!("the end of a command is missing in the audit file: {error}");
        front.tell(News::Warning(text));
    }
}

/// A command line as events show it.
pub(crate) fn shown(line: &[u8]) -> String {
    let line = &line[..line.len().min(limits::COMMAND_SHOWN)];
    sockeye_net::shown::bytes(line).chars().take(limits::COMMENT_SHOWN).collect()
}
