//! From what a client asks for to what is run: the owner's rules and the pass of the key decide.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use sockeye_net::{Peer, shown};
use sockeye_wire::{Failure, FailureKind, Program, Run, Signal};

use crate::account;
use crate::files::Grant;
use crate::gate::Pass;
use crate::job::{self, Confinement, Plan, Stdio, WindowSize};
use crate::quote::quoted;
use crate::rules::Rules;

/// What becomes of a request.
///
/// # Errors
/// What is told to the client where it is refused.
pub(super) fn make(run: &Run, pass: &Pass, rules: &Rules, peer: &Peer) -> Result<Plan, Failure> {
    if rules.is_for_files() {
        return Err(refused("this server moves files, and runs nothing".into()));
    }
    if pass.forced.as_deref().is_some_and(Grant::is_for_files) {
        return Err(refused("this key moves files, and runs nothing".into()));
    }
    let stdio = stdio(run, pass)?;
    let mut environment = account::environment();
    for (name, value) in &run.environment {
        if !rules.accepts(name) {
            return Err(refused(format!(
                "the server does not let {} be set; its --accept-env lists what may be",
                shown::bytes(name)
            )));
        }
        if pass.forced.is_some() && !rules.accepts_beside(name) {
            return Err(refused(format!(
                "this key has a command of its own, beside which {} may not be set; name it in the \
                 server's --accept-env, unless it is one that shells and loaders obey",
                shown::bytes(name)
            )));
        }
        environment.push((OsString::from_vec(name.clone()), OsString::from_vec(value.clone())));
    }
    if let Some(inet) = peer.address.inet() {
        // As ssh(1) names it: scripts that are forced look at it.
        let client = format!("{} {} 0", inet.ip().to_canonical(), inet.port());
        environment.push(("SSH_CLIENT".into(), client.into()));
    }
    let mut program = program(&run.program);
    if let Some(forced) = &pass.forced {
        let asked = original(&run.program);
        environment.push(("SSH_ORIGINAL_COMMAND".into(), asked));
        program = job::Program::Line(forced.into());
    }
    let directory = match &run.directory {
        Some(_) if pass.forced.is_some() => {
            return Err(refused("this key has a command of its own, and so a directory".into()));
        }
        // From where it would run otherwise; a path from the root stays as it is.
        Some(bytes) => {
            let home = sockeye_trust::place::home().unwrap_or_default();
            Some(home.join(OsStr::from_bytes(bytes)))
        }
        None => sockeye_trust::place::home(),
    };
    let confinement = Confinement { no_new_privileges: !rules.privileges, scoped: pass.restricted };
    Ok(Plan { program, directory, environment, stdio, confinement })
}

fn refused(text: String) -> Failure {
    Failure { kind: FailureKind::Refused, text }
}

fn program(asked: &Program) -> job::Program {
    match asked {
        Program::Arguments(words) => job::Program::Arguments(
            words.iter().map(|word| OsString::from_vec(word.clone())).collect(),
        ),
        Program::Line(line) => job::Program::Line(OsString::from_vec(line.clone())),
        Program::Login => job::Program::Login,
    }
}

/// What was asked for, as one line for a shell; for those who look at it, not run here.
fn original(asked: &Program) -> OsString {
    OsString::from_vec(match asked {
        Program::Arguments(words) => quoted(words),
        Program::Line(line) => line.clone(),
        Program::Login => Vec::new(),
    })
}

fn stdio(run: &Run, pass: &Pass) -> Result<Stdio, Failure> {
    if run.detach && pass.forced.is_some() {
        return Err(refused("this key may not leave commands behind".into()));
    }
    match &run.terminal {
        _ if run.detach => Ok(Stdio::Null),
        Some(_) if !pass.pty => Err(refused("this key may not have a terminal".into())),
        Some(terminal) => {
            let size = terminal.size;
            Ok(Stdio::Terminal {
                name: OsString::from_vec(terminal.name.clone()),
                size: window(size),
            })
        }
        None => Ok(Stdio::Pipes { stdin: run.stdin }),
    }
}

/// The same size in the words of jobs.
pub(super) fn window(size: sockeye_wire::WindowSize) -> WindowSize {
    let sockeye_wire::WindowSize { rows, columns, width, height } = size;
    WindowSize { rows, columns, width, height }
}

/// Whether a client may send this signal to its command. The command of a key is not the client's:
/// there only those pass that a client can cause by going away. (sshd(8) passes none.)
pub(super) fn may_hear(signal: Signal, forced: bool) -> bool {
    !forced || matches!(signal, Signal::Hup | Signal::Int | Signal::Term)
}
