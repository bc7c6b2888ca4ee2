//! A command that is a child of this process.

use std::io;

use rustix::process::{Pid, Signal, kill_process_group};
use rustix::termios::tcgetpgrp;
use sockeye_limits as limits;
use sockeye_net::sys;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinHandle;

use super::ends::ChildEnds;
use super::error::StartError;
use super::plan::{Confinement, Exit, Plan};
use super::reaper::{self, Leader};
use super::{end, start, tree};

/// A command whose parent is this process.
#[derive(Debug)]
pub(super) struct Own {
    leader: Leader,
    detached: bool,
    /// Reaps adopted orphans as they end.
    orphans: Option<JoinHandle<()>>,
}

impl Own {
    pub(super) fn start(plan: &Plan, ends: ChildEnds) -> Result<(Own, Confinement), StartError> {
        let orphans = match reaper::is_reaper() {
            true => Some(reap_as_they_end().map_err(StartError::system("hear of children"))?),
            false => None,
        };
        let detached = plan.is_detached();
        let (leader, confinement) = start::start(plan, ends)?;
        if detached {
            reaper::spare_sessions([leader.number()]);
        }
        Ok((Own { leader, detached, orphans }, confinement))
    }

    pub(super) fn pid(&self) -> u32 {
        self.leader.number().cast_unsigned()
    }

    pub(super) async fn wait(&self) -> io::Result<Exit> {
        self.leader.wait().await
    }

    pub(super) fn exit(&self) -> io::Result<Option<Exit>> {
        self.leader.exit()
    }

    /// Sends a signal to this group, or to the command's own.
    pub(super) fn signal(&self, group: Option<Pid>, signal: Signal) -> io::Result<()> {
        if let Some(group) = group {
            return Ok(kill_process_group(group, signal)?);
        }
        // The number of a command that was reaped is another's, unless its group lives on.
        if self.leader.exit()?.is_some() && !tree::has_group(self.leader.number()) {
            return Ok(());
        }
        Ok(kill_process_group(self.leader.pid(), signal)?)
    }

    pub(super) async fn end(&self) {
        if self.detached {
            reaper::reap();
        } else {
            end::end(&self.leader).await;
        }
    }

    /// What is left may stay.
    pub(super) fn let_go(&mut self) {
        self.detached = true;
        if reaper::is_reaper() {
            end::spare_all();
        }
    }
}

impl Drop for Own {
    fn drop(&mut self) {
        if let Some(orphans) = &self.orphans {
            orphans.abort();
        }
        if self.detached || !matches!(self.leader.exit(), Ok(None)) {
            return;
        }
        // Nobody waited for its end.
        let _ = kill_process_group(self.leader.pid(), Signal::KILL);
        let _ = sys::wait_readable(self.leader.fd(), Some(limits::DROP_TIME));
        let _ = self.leader.exit();
    }
}

fn reap_as_they_end() -> io::Result<JoinHandle<()>> {
    let mut ended = signal(SignalKind::child())?;
    Ok(tokio::spawn(async move {
        while ended.recv().await.is_some() {
            reaper::reap();
        }
    }))
}

/// The foreground process group of the terminal that this is the master of: TIOCGPGRP,
/// tty_ioctl(4).
pub(super) fn foreground(master: &std::os::fd::OwnedFd) -> Option<Pid> {
    tcgetpgrp(master).ok()
}
