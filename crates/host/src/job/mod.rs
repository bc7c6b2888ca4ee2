//! A job: one remote command as a child process, from its start to the end of the last process that
//! it left behind.
//!
//! Whoever runs jobs should be nobody else's parent and call [`become_reaper`] first: then every
//! process that a command leaves behind comes to it, however it detached itself, and
//! [`Job::end`] ends them all. A process that serves many connections starts its jobs with
//! [`Job::start_kept`], each in a process of its own, a *keeper*.
//!
//! In reading order: [`Plan`] says what is to be run, `start` makes a process of it, [`Streams`]
//! are its pipes or its terminal, `reaper` knows which child is whose, `tree` finds what descends
//! from it, `end` ends it.

mod confine;
mod end;
mod ends;
mod error;
mod keeper;
mod kept;
mod own;
mod plan;
mod reaper;
mod start;
mod streams;
#[cfg(test)]
mod tests;
mod tree;
mod undertaker;

use std::ffi::OsStr;
use std::io;
use std::time::Duration;

use rustix::io::Errno;
use rustix::process::Signal;
use tokio::time::timeout;

use ends::{ChildEnds, OwnEnds};
use kept::Kept;
use own::Own;
use streams::Handle;

pub use error::StartError;
pub use keeper::{is_keeper, run_keeper};
pub use plan::{Confinement, Exit, Plan, Program, Stdio, WindowSize};
pub use reaper::become_reaper;
pub use streams::{Sink, Source, Streams};

/// One command and all that descends from it.
///
/// Dropped, it kills the command's process group; [`Job::end`] does more and does it gently. The
/// command of [`Stdio::Null`] is left alone by both.
#[derive(Debug)]
pub struct Job {
    streams: Streams,
    terminal: Option<Handle>,
    confinement: Confinement,
    command: Command,
}

/// A running command, by whose child it is.
#[derive(Debug)]
enum Command {
    Own(Own),
    Kept(Kept),
}

impl Job {
    /// Starts a command as a child of this process, and of the calling *thread*: it is killed when
    /// that thread ends. Returns when the program has begun, after a few milliseconds at most.
    ///
    /// # Errors
    /// [`StartError`]: nothing of the command ran.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time.
    pub fn start(plan: &Plan) -> Result<Job, StartError> {
        let (theirs, ours) = streams(plan)?;
        let (own, confinement) = Own::start(plan, theirs)?;
        Ok(Job::new(ours, confinement, Command::Own(own)))
    }

    /// Starts a command as the child of a keeper, a process of its own: this program, whose `main`
    /// calls [`run_keeper`] first of all where [`is_keeper`] says so. The job is the same then, for
    /// a process that has other children too; only that what it is told of the command comes by way
    /// of the keeper.
    ///
    /// # Errors
    /// [`StartError`]: nothing of the command ran.
    ///
    /// # Panics
    /// Outside a tokio runtime with I/O and time.
    pub async fn start_kept(plan: &Plan) -> Result<Job, StartError> {
        Job::start_kept_by(plan, &[]).await
    }

    /// The same with arguments for the program that becomes the keeper.
    async fn start_kept_by(plan: &Plan, arguments: &[&OsStr]) -> Result<Job, StartError> {
        let (theirs, ours) = streams(plan)?;
        let (kept, confinement) = Kept::start(plan, theirs, arguments).await?;
        Ok(Job::new(ours, confinement, Command::Kept(kept)))
    }

    fn new(ours: OwnEnds, confinement: Confinement, command: Command) -> Job {
        let OwnEnds { streams, terminal } = ours;
        Job { streams, terminal, confinement, command }
    }

    /// The command's process number, which is that of its session and process group as well.
    pub fn pid(&self) -> u32 {
        match &self.command {
            Command::Own(own) => own.pid(),
            Command::Kept(kept) => kept.pid(),
        }
    }

    /// Which confinement holds: what the plan asks for, less what the kernel does not know, and
    /// with what the kernel wants besides.
    pub fn confinement(&self) -> Confinement {
        self.confinement
    }

    /// The command's streams; they are there once.
    pub fn take_streams(&mut self) -> Streams {
        std::mem::take(&mut self.streams)
    }

    /// Waits for the end of the command itself, not of what it left behind. Cancel-safe, and the
    /// same answer every time.
    ///
    /// # Errors
    /// Where the system cannot say, or the keeper has died (and its command with it).
    pub async fn wait(&mut self) -> io::Result<Exit> {
        match &mut self.command {
            Command::Own(own) => own.wait().await,
            Command::Kept(kept) => kept.wait().await,
        }
    }

    /// How the command itself ended, where that is known by now.
    pub async fn exit(&mut self) -> Option<Exit> {
        timeout(Duration::ZERO, self.wait()).await.ok()?.ok()
    }

    /// Sends a signal to the command's process group; with a terminal, to its foreground group.
    /// Where all of the group have ended, nothing happens.
    ///
    /// # Errors
    /// `InvalidInput` for a number without a name, realtime signals included; else as kill(2).
    pub fn signal(&self, number: i32) -> io::Result<()> {
        let signal = Signal::from_named_raw(number).ok_or(io::ErrorKind::InvalidInput)?;
        let group = self.terminal.as_ref().and_then(|master| own::foreground(master.get()));
        let sent = match &self.command {
            Command::Own(own) => own.signal(group, signal),
            Command::Kept(kept) => kept.signal(group, signal),
        };
        match sent {
            Err(error) if error.raw_os_error() == Some(Errno::SRCH.raw_os_error()) => Ok(()),
            other => other,
        }
    }

    /// Changes the size of the terminal, whose foreground group hears SIGWINCH. Without a terminal
    /// nothing happens.
    ///
    /// # Errors
    /// As tcsetwinsize(3).
    pub fn resize(&self, size: WindowSize) -> io::Result<()> {
        self.terminal.as_ref().map_or(Ok(()), |master| ends::set_size(master.get(), size))
    }

    /// Ends everything that descends from this process, or from the keeper: it gets HUP, then TERM,
    /// then KILL, and is gone and reaped within 5 s, however it detached itself. Returns at once
    /// where nobody is left. What is detached or was let go is spared. In a process that is no
    /// reaper, what has left the command's session and lost its parent is not found.
    ///
    /// A terminal is hung up first, unless its streams were taken and are still held.
    pub async fn end(&mut self) {
        self.hang_up();
        match &mut self.command {
            Command::Own(own) => own.end().await,
            Command::Kept(kept) => kept.end().await,
        }
    }

    /// The command has ended, and so has our interest: what it left behind may stay, as after a
    /// command in a shell, and no [`Job::end`] touches it any more. Its terminal is hung up. A
    /// keeper stays as long as somebody is left. A command that still runs and is not of
    /// [`Stdio::Null`] may stay as well, but dies with its parent.
    pub async fn let_go(&mut self) {
        self.hang_up();
        match &mut self.command {
            Command::Own(own) => own.let_go(),
            Command::Kept(kept) => kept.let_go(),
        }
    }

    fn hang_up(&mut self) {
        self.terminal = None;
        self.streams = Streams::default();
    }

    /// Reaps adopted orphans that have ended. While a job lives, that happens by itself on SIGCHLD
    /// too. In a process that is no reaper nothing happens.
    pub fn reap(&mut self) {
        reaper::reap();
    }
}

fn streams(plan: &Plan) -> Result<(ChildEnds, OwnEnds), StartError> {
    ends::open(&plan.stdio).map_err(StartError::system("make the command's streams"))
}
