//! The end of a job: everything that it left behind is asked, told, and at last made to go.

use std::io;

use rustix::process::{Signal, kill_process_group};
use sockeye_limits as limits;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::{Instant, sleep, timeout_at};

use super::reaper::{self, Leader, Spared};
use super::tree::{self, Process, Tree};

/// Ends what descends from this process, if it is a reaper, or else what is known to descend from
/// the command.
pub(super) async fn end(leader: &Leader) {
    let start = Instant::now();
    let last = start + limits::TREE_END_TIME;
    let asked = start + limits::HANG_UP_TIME;
    if escalate(leader, asked, last).await.is_err() && matches!(leader.exit(), Ok(None)) {
        // Without /proc nobody else can be found.
        let _ = kill_process_group(leader.pid(), Signal::KILL);
        let _ = timeout_at(last, leader.wait()).await;
    }
}

async fn escalate(leader: &Leader, asked: Instant, last: Instant) -> io::Result<()> {
    if ask(leader, Signal::HUP, asked).await?
        || ask(leader, Signal::TERM, asked + limits::TERM_TIME).await?
    {
        return Ok(());
    }
    kill(leader, last).await
}

/// Sends a signal to all, wakes those that are stopped, and waits for their end. True where nobody
/// is left at `until`.
async fn ask(leader: &Leader, signal: Signal, until: Instant) -> io::Result<bool> {
    if is_over(leader)? {
        return Ok(true);
    }
    let members = members(leader)?;
    if members.len() > limits::TREE_ASKED {
        return Ok(false);
    }
    tree::signal(&members, signal);
    let stopped: Vec<Process> = members.into_iter().filter(Process::is_stopped).collect();
    tree::signal(&stopped, Signal::CONT);
    wait(leader, until).await
}

/// Kills until nobody is left or it is `until`.
async fn kill(leader: &Leader, until: Instant) -> io::Result<()> {
    while Instant::now() < until && !is_over(leader)? {
        // Those that stand still fork no more, so what is killed makes no room for others.
        let mut members = members(leader)?;
        for _ in 0..limits::FREEZE_ROUNDS {
            if members.iter().all(Process::is_stopped) {
                break;
            }
            tree::signal(&members, Signal::STOP);
            members = self::members(leader)?;
        }
        tree::signal(&members, Signal::KILL);
        wait(leader, until.min(Instant::now() + limits::TREE_PAUSE)).await?;
    }
    Ok(())
}

/// Waits until nobody is left. True where that is so at `until`.
async fn wait(leader: &Leader, until: Instant) -> io::Result<bool> {
    let mut ended = signal(SignalKind::child())?;
    while !is_over(leader)? {
        // The end of a child is reported; that of others, where we are no reaper, is not.
        let changed = async {
            tokio::select! {
                _ = ended.recv() => {}
                () = sleep(limits::TREE_PAUSE) => {}
            }
        };
        if timeout_at(until, changed).await.is_err() {
            return is_over(leader);
        }
    }
    Ok(true)
}

/// Reaps what has ended. True where nobody is left.
fn is_over(leader: &Leader) -> io::Result<bool> {
    if !reaper::reap() {
        return Ok(true);
    }
    if leader.exit()?.is_none() {
        return Ok(false);
    }
    if reaper::is_reaper() && reaper::spared() == Spared::NONE {
        // A child is left.
        return Ok(false);
    }
    Ok(left(leader)?.is_empty())
}

/// From now on what this process has left behind is spared.
pub(super) fn spare_all() {
    // Without /proc nobody would be found at the end either.
    if reaper::reap()
        && let Ok(members) = below().members()
    {
        reaper::spare_processes(members.iter().map(|process| process.pid));
        reaper::spare_sessions(members.iter().map(|process| process.session));
    }
}

/// Those that can still do something.
fn members(leader: &Leader) -> io::Result<Vec<Process>> {
    let mut members = left(leader)?;
    members.retain(Process::is_alive);
    Ok(members)
}

/// Those that are still there: a reaper has to reap them, too.
fn left(leader: &Leader) -> io::Result<Vec<Process>> {
    if reaper::is_reaper() {
        return below().members();
    }
    let mut left = Tree::Session(leader.number()).members()?;
    left.retain(Process::is_alive);
    Ok(left)
}

/// What descends from this process and is not spared.
fn below() -> Tree {
    let root = rustix::process::getpid().as_raw_nonzero().get();
    Tree::Below { root, spared: reaper::spared() }
}
