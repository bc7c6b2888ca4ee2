//! From a plan to a process.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::fs::{Access, AtFlags, Mode, OFlags};
use rustix::io::Errno;
use sockeye_net::sys::child::{self, Preparation};

use super::confine;
use super::ends::ChildEnds;
use super::error::StartError;
use super::plan::{Confinement, Plan, Program, Stdio};
use super::reaper::Leader;

/// Starts the command of a plan as a child that is connected to `ends`. Says which confinement
/// holds.
pub(super) fn start(plan: &Plan, ends: ChildEnds) -> Result<(Leader, Confinement), StartError> {
    let mut command = command(plan)?;
    let [stdin, stdout, stderr] = ends.0;
    command.stdin(stdin).stdout(stdout).stderr(stderr);
    command.env_clear().envs(plan.environment.iter().map(|(name, value)| (name, value)));
    let terminal = match &plan.stdio {
        Stdio::Terminal { name, .. } => {
            if !name.is_empty() {
                command.env("TERM", name);
            }
            true
        }
        _ => false,
    };
    let confined = confine::prepare(plan.confinement);
    let preparation = Preparation {
        terminal,
        directory: plan.directory.as_deref().map(enter).transpose()?,
        dies_with_parent: !plan.is_detached(),
        no_new_privileges: confined.holds.no_new_privileges,
        ruleset: confined.ruleset,
    };
    child::prepare(&mut command, preparation);
    let leader = Leader::spawn(&mut command).map_err(|error| explain(plan, error))?;
    Ok((leader, confined.holds))
}

fn command(plan: &Plan) -> Result<Command, StartError> {
    let mut command = Command::new(program(plan)?);
    match &plan.program {
        Program::Arguments(arguments) => {
            command.args(&arguments[1..]);
        }
        Program::Line(line) => {
            command.arg("-c").arg(line);
        }
        Program::Login => {
            let shell = Path::new(plan.shell());
            let mut name = OsString::from("-");
            name.push(shell.file_name().unwrap_or(shell.as_os_str()));
            command.arg0(name);
        }
    }
    Ok(command)
}

fn program(plan: &Plan) -> Result<&OsStr, StartError> {
    match &plan.program {
        Program::Arguments(arguments) => {
            arguments.first().map(OsString::as_os_str).ok_or(StartError::Plan("no program".into()))
        }
        Program::Line(_) | Program::Login => Ok(plan.shell()),
    }
}

/// Opens the directory to run in, so that what is wrong with it is told apart from what is wrong
/// with the program.
fn enter(path: &Path) -> Result<OwnedFd, StartError> {
    let open = || -> rustix::io::Result<OwnedFd> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let directory = rustix::fs::open(path, flags, Mode::empty())?;
        rustix::fs::accessat(&directory, c".", Access::EXEC_OK, AtFlags::EACCESS)?;
        Ok(directory)
    };
    open().map_err(|errno| StartError::Directory(errno.into()))
}

/// What it means that the program could not be started.
fn explain(plan: &Plan, error: io::Error) -> StartError {
    if error.kind() == io::ErrorKind::InvalidInput && error.raw_os_error().is_none() {
        return StartError::Plan("a NUL byte".into());
    }
    match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::AGAIN) => StartError::TooManyProcesses,
        Some(Errno::TOOBIG) => StartError::TooLong,
        // The kernel says the same of a program that is not there and of one whose interpreter is
        // not. Both may change while we look; this is only for the message.
        Some(Errno::NOENT | Errno::NOTDIR) if is_there(plan) => StartError::NoInterpreter,
        Some(Errno::NOENT | Errno::NOTDIR) => StartError::NotFound,
        Some(
            Errno::ACCESS
            | Errno::PERM
            | Errno::NOEXEC
            | Errno::ISDIR
            | Errno::LIBBAD
            | Errno::LOOP
            | Errno::NAMETOOLONG
            | Errno::TXTBSY,
        ) => StartError::NotExecutable(error),
        _ => StartError::system("start a process")(error),
    }
}

/// True where the program is a file that could be executed.
fn is_there(plan: &Plan) -> bool {
    let is_executable = |path: PathBuf| {
        // A relative path is meant from the directory that the command runs in.
        let path = plan.directory.as_deref().map_or(path.clone(), |base| base.join(path));
        path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
    };
    let Ok(program) = program(plan) else { return false };
    if program.as_encoded_bytes().contains(&b'/') {
        return is_executable(program.into());
    }
    // What the C library takes where there is no PATH: confstr(3), _CS_PATH.
    let path = plan.variable("PATH").unwrap_or("/bin:/usr/bin".as_ref());
    std::env::split_paths(path).any(|directory| is_executable(directory.join(program)))
}
