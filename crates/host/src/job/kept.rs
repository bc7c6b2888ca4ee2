//! A command that is the child of a keeper, from this side.

use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal};
use sockeye_limits as limits;
use sockeye_net::sys::pass;
use tokio::time::{sleep, timeout};

use super::ends::ChildEnds;
use super::error::StartError;
use super::keeper::{FromKeeper, Line, MARK, ToKeeper};
use super::plan::{Confinement, Exit, Plan};
use super::{reaper, undertaker};

/// A command whose parent is a keeper. Dropped, it hangs up, and the keeper ends all.
#[derive(Debug)]
pub(super) struct Kept {
    keeper: Keeper,
    control: Line,
    pid: u32,
    exit: Option<Exit>,
    detached: bool,
}

/// The keeper itself. Dropped, it is waited for elsewhere: nobody knows when it ends.
#[derive(Debug)]
struct Keeper(Option<Child>);

impl Keeper {
    fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("it is taken only when this is dropped")
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.0.take().into_iter().for_each(undertaker::bury);
    }
}

impl Kept {
    /// Starts a keeper, which is this program with `arguments`, and the command in it.
    pub(super) async fn start(
        plan: &Plan,
        ends: ChildEnds,
        arguments: &[&OsStr],
    ) -> Result<(Kept, Confinement), StartError> {
        let (keeper, control) = hire(arguments)?;
        // The keeper's socket hangs up wherever this is dropped on the way.
        instruct(&control, plan, ends).map_err(StartError::system("instruct a keeper"))?;
        let report = match timeout(limits::KEEPER_TIME, control.receive()).await {
            Ok(report) => report,
            Err(late) => Err(late.into()),
        };
        match report.map_err(StartError::system("hear of a keeper"))?.0 {
            FromKeeper::Started { pid, confinement } => {
                let mut kept = Kept { keeper, control, pid, exit: None, detached: false };
                if plan.is_detached() {
                    kept.spare();
                }
                Ok((kept, confinement))
            }
            FromKeeper::Failed(error) => Err(error),
            FromKeeper::Ended(_) => Err(StartError::system("understand a keeper")(
                io::Error::from(io::ErrorKind::InvalidData),
            )),
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) async fn wait(&mut self) -> io::Result<Exit> {
        loop {
            if let Some(exit) = self.exit {
                return Ok(exit);
            }
            if let (FromKeeper::Ended(exit), _) = self.control.receive().await? {
                self.exit = Some(exit);
            }
        }
    }

    pub(super) fn signal(&self, group: Option<Pid>, signal: Signal) -> io::Result<()> {
        let group = group.map(|group| group.as_raw_nonzero().get());
        self.control.send(&ToKeeper::Signal { number: signal.as_raw(), group }, None)
    }

    pub(super) async fn end(&mut self) {
        if self.detached {
            return;
        }
        // Where that fails the keeper has gone already.
        let _ = self.control.send(&ToKeeper::End, None);
        let patience: Duration = limits::TREE_END_TIME + limits::KEEPER_TIME;
        if timeout(patience, self.gone()).await.is_err() {
            // It is stopped, or stuck in the kernel.
            let _ = self.keeper.child().kill();
        }
    }

    /// What is left may stay, and the keeper with it.
    pub(super) fn let_go(&mut self) {
        if !self.detached && self.control.send(&ToKeeper::LetGo, None).is_ok() {
            self.spare();
        }
    }

    fn spare(&mut self) {
        self.detached = true;
        reaper::spare_processes([self.keeper.child().id().cast_signed()]);
    }

    /// Waits until the keeper has gone; keeps what it still has to say.
    async fn gone(&mut self) {
        while let Ok((report, _)) = self.control.receive().await {
            if let FromKeeper::Ended(exit) = report {
                self.exit = Some(exit);
            }
        }
        // It has said its last word. Where it cannot be waited for, it has been already.
        while matches!(self.keeper.child().try_wait(), Ok(None)) {
            sleep(limits::TREE_PAUSE).await;
        }
    }
}

fn hire(arguments: &[&OsStr]) -> Result<(Keeper, Line), StartError> {
    let start = || -> io::Result<(Keeper, Line)> {
        let (ours, theirs) = pass::pair()?;
        let line = Line::new(ours)?;
        let keeper = Command::new("/proc/self/exe")
            .arg0(std::env::args_os().next().unwrap_or_else(|| "sockeye".into()))
            .args(arguments)
            .env_clear()
            .env(MARK, "1")
            .stdin(theirs)
            .stdout(Stdio::null())
            // Ctrl-C at the terminal is for the server: it decides what becomes of its commands.
            .process_group(0)
            .spawn()?;
        Ok((Keeper(Some(keeper)), line))
    };
    start().map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => StartError::TooManyProcesses,
        _ => StartError::system("start a keeper")(error),
    })
}

fn instruct(control: &Line, plan: &Plan, ends: ChildEnds) -> io::Result<()> {
    for fd in &ends.0 {
        control.send(&ToKeeper::Stream, Some(fd.as_fd()))?;
    }
    let plan = pass::memory(&serde_json::to_vec(plan)?)?;
    control.send(&ToKeeper::Start, Some(plan.as_fd()))
}
