//! Whose child is whose: the commands that somebody waits for, and the orphans that nobody does.
//!
//! The children of a process are one list in the kernel, so what is known of them is one list here.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;
use rustix::process::{
    Pid, PidfdFlags, Signal, WaitOptions, WaitStatus, kill_process, pidfd_open, wait, waitpid,
};
use tokio::io::Interest;

use super::plan::Exit;
use super::streams::Handle;

static CENSUS: Mutex<Census> =
    Mutex::new(Census { reaper: false, leaders: BTreeMap::new(), spared: Spared::NONE });

struct Census {
    /// Whether every child of this process is ours to reap.
    reaper: bool,
    /// The commands that a job waits for, and how they ended if they did.
    leaders: BTreeMap<i32, Option<Exit>>,
    spared: Spared,
}

/// What the end of a job does not touch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spared {
    /// Processes, with all that descends from them.
    pub(super) processes: Vec<i32>,
    /// All that is in these sessions. They may outlive the processes that they are named after.
    pub(super) sessions: Vec<i32>,
}

impl Spared {
    pub(super) const NONE: Spared = Spared { processes: Vec::new(), sessions: Vec::new() };
}

fn census() -> MutexGuard<'static, Census> {
    // Nothing under the lock leaves the lists half changed.
    CENSUS.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Makes this process the parent of everything that its descendants leave behind:
/// PR_SET_CHILD_SUBREAPER, prctl(2). From then on a [`Job`](super::Job) reaps every child of this
/// process and [`Job::end`](super::Job::end) ends every descendant, so it must have none of another
/// kind.
///
/// # Errors
/// As prctl(2).
pub fn become_reaper() -> io::Result<()> {
    rustix::process::set_child_subreaper(Some(rustix::process::getpid()))?;
    census().reaper = true;
    Ok(())
}

/// True where this process has become a reaper.
pub(super) fn is_reaper() -> bool {
    census().reaper
}

/// What the end of a job does not touch.
pub(super) fn spared() -> Spared {
    census().spared.clone()
}

/// From now on the end of a job does not touch these processes.
pub(super) fn spare_processes(pids: impl IntoIterator<Item = i32>) {
    census().spared.processes.extend(pids);
}

/// From now on the end of a job does not touch what is in these sessions.
pub(super) fn spare_sessions(sessions: impl IntoIterator<Item = i32>) {
    census().spared.sessions.extend(sessions);
}

/// Forgets those that are no more, before their numbers become others'.
pub(super) fn forget_spared(is_there: impl Fn(i32) -> bool, is_session: impl Fn(i32) -> bool) {
    let spared = &mut census().spared;
    spared.processes.retain(|&pid| is_there(pid));
    spared.sessions.retain(|&session| is_session(session));
}

/// Reaps every child that has ended. False where none is left that we know of, ended or not.
pub(super) fn reap() -> bool {
    let mut census = census();
    if !census.reaper {
        return true;
    }
    loop {
        match wait(WaitOptions::NOHANG) {
            Ok(Some((pid, status))) => {
                let pid = pid.as_raw_nonzero().get();
                if let Some(leader) = census.leaders.get_mut(&pid) {
                    *leader = leader.or(exit(status));
                }
                census.spared.processes.retain(|&other| other != pid);
            }
            Ok(None) => return true,
            Err(Errno::INTR) => {}
            Err(_) => return false,
        }
    }
}

/// A command: the child that leads its session and process group.
#[derive(Debug)]
pub(super) struct Leader {
    pid: Pid,
    fd: Handle,
}

impl Leader {
    /// Starts the program of `command`.
    pub(super) fn spawn(command: &mut Command) -> io::Result<Leader> {
        // Held until the child is on the list: nobody may reap it before.
        let mut census = census();
        let child = command.spawn()?;
        // Dropping std's handle neither waits for the child nor ends it.
        let pid = Pid::from_raw(child.id().cast_signed()).ok_or(Errno::SRCH)?;
        match watch(pid) {
            Ok(fd) => {
                let number = pid.as_raw_nonzero().get();
                census.leaders.insert(number, None);
                census.spared.sessions.retain(|&other| other != number);
                Ok(Leader { pid, fd })
            }
            Err(error) => {
                // Out of descriptors: the command cannot be waited for, so it must not run.
                let _ = kill_process(pid, Signal::KILL);
                let _ = waitpid(Some(pid), WaitOptions::empty());
                Err(error)
            }
        }
    }

    pub(super) fn pid(&self) -> Pid {
        self.pid
    }

    pub(super) fn number(&self) -> i32 {
        self.pid.as_raw_nonzero().get()
    }

    /// How it ended, if it did; reaps it then.
    pub(super) fn exit(&self) -> io::Result<Option<Exit>> {
        let mut census = census();
        let Some(known) = census.leaders.get_mut(&self.number()) else {
            return Err(Errno::CHILD.into());
        };
        if known.is_none()
            && let Some((_, status)) = waitpid(Some(self.pid), WaitOptions::NOHANG)?
        {
            *known = exit(status);
        }
        Ok(*known)
    }

    /// Waits until it has ended. Cancel-safe.
    pub(super) async fn wait(&self) -> io::Result<Exit> {
        loop {
            if let Some(exit) = self.exit()? {
                return Ok(exit);
            }
            let mut ready = self.fd.readable().await?;
            match self.exit()? {
                Some(exit) => return Ok(exit),
                // It has ended, but a debugger still holds it: the kernel reports again.
                None => ready.clear_ready(),
            }
        }
    }

    /// Its descriptor, readable once it has ended.
    pub(super) fn fd(&self) -> &OwnedFd {
        self.fd.get()
    }
}

impl Drop for Leader {
    fn drop(&mut self) {
        census().leaders.remove(&self.number());
    }
}

fn watch(pid: Pid) -> io::Result<Handle> {
    Handle::new(pidfd_open(pid, PidfdFlags::empty())?, Interest::READABLE)
}

fn exit(status: WaitStatus) -> Option<Exit> {
    const CORE_DUMPED: i32 = 0x80;
    let number = |n: i32| u8::try_from(n).ok();
    if let Some(signal) = status.terminating_signal() {
        let core = status.as_raw() & CORE_DUMPED != 0;
        return Some(Exit::Signal { number: number(signal)?, core });
    }
    Some(Exit::Code(number(status.exit_status()?)?))
}
