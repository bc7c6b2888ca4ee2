//! A transfer, in the place of a command: it takes the rest of the connection.

use std::io;
use std::time::Instant;

use sockeye_net::shown;
use sockeye_wire::files::{Transfer, Way};
use sockeye_wire::{Failure, FailureKind, Program, Run};
use tokio::io::{AsyncRead, AsyncWrite};

use super::record::Record;
use super::talk::{Broken, Link, Talk};
use crate::audit::Outcome;
use crate::files::{Grant, Moved, Moving, PumpError};
use crate::gate::Pass;
use crate::job::Exit;

impl Talk<'_> {
    /// Moves files for the owner of this pass, or says why not; true where the connection was used
    /// up by it.
    pub(super) async fn transfer(
        &self,
        transfer: Transfer,
        pass: &Pass,
        link: &Link,
        reader: &mut (impl AsyncRead + Unpin + Send),
        writer: &mut (impl AsyncWrite + Unpin + Send),
    ) -> Result<bool, Broken> {
        let since = Instant::now();
        let run = as_command(&transfer);
        let (file, front) = (self.rules.audit.as_deref(), self.front.as_ref());
        let prepared = match Grant::of(pass, self.rules) {
            Ok(grant) => prepare(transfer, grant).await,
            Err(failure) => Err(failure),
        };
        let begun = prepared.and_then(|moving| {
            let record = Record::begin(file, &run, pass, &self.peer, front).map_err(|_| {
                let text = "the server cannot write down what it does, so it does nothing".into();
                Failure { kind: FailureKind::Refused, text }
            })?;
            Ok((moving, record))
        });
        let (moving, record) = match begun {
            Ok(begun) => begun,
            Err(failure) => {
                link.say(|machine, out| machine.failed(&failure, out))?;
                return Ok(false);
            }
        };
        link.say(|machine, out| machine.ready(out))?;
        link.write(writer).await?;
        let moved = moving.run((reader, writer), link.take_rest()).await;
        record.end(&outcome(&moved, since));
        match moved {
            Ok(_) => Ok(true),
            Err(error) => Err(broken(error)),
        }
    }
}

/// Looks up what was asked for, without holding up other connections of this process.
async fn prepare(transfer: Transfer, grant: Grant) -> Result<Moving, Failure> {
    let prepared = tokio::task::spawn_blocking(move || Moving::prepare(transfer, &grant)).await;
    prepared.unwrap_or_else(|_| {
        let text = "the server cannot look that up".into();
        Err(Failure { kind: FailureKind::System, text })
    })
}

/// A transfer as the log and the audit file show it.
fn as_command(transfer: &Transfer) -> Run {
    let way = match transfer.way {
        Way::Push => "receive",
        Way::Pull => "send",
    };
    let words = ["sockeye", "files", way].map(|word| word.as_bytes().to_vec());
    Run::new(Program::Arguments(words.into_iter().chain(transfer.paths.iter().cloned()).collect()))
}

fn outcome(moved: &Result<Moved, PumpError>, since: Instant) -> Outcome {
    let duration_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
    let whole = Outcome { duration_ms, ..Outcome::default() };
    match moved {
        Ok(Moved { bytes, failed }) => {
            Outcome { exit: Some(Exit::Code(u8::from(*failed > 0))), stdout_bytes: *bytes, ..whole }
        }
        Err(PumpError::Io(_) | PumpError::Ended) => Outcome { why: Some("vanished"), ..whole },
        Err(PumpError::Stalled(_) | PumpError::Trickles) => {
            Outcome { why: Some("timed-out"), ..whole }
        }
        Err(_) => Outcome { why: Some("broken-off"), ..whole },
    }
}

fn broken(error: PumpError) -> Broken {
    match error {
        PumpError::Io(error) => Broken::Io(error),
        PumpError::Ended => Broken::Io(io::ErrorKind::UnexpectedEof.into()),
        PumpError::Stalled(_) | PumpError::Trickles => Broken::Idle,
        other => Broken::Transfer(shown::line(&other.to_string())),
    }
}
