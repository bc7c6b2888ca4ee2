//! A keeper: a process that does nothing but be the parent of one command.
//!
//! A process that serves many connections cannot tell whose orphan comes to it. So the program
//! executes itself again, with [`MARK`] in the environment and a socket as standard input; whoever
//! calls [`run_keeper`] there becomes the keeper. It ends what it keeps when it is told to, and when
//! the socket hangs up because its job was dropped or the process of that was killed.

use std::fs::File;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::process::{Pid, Signal};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sockeye_limits as limits;
use sockeye_net::sys::{inherited, pass};
use tokio::io::Interest;
use tokio::signal::unix::{SignalKind, signal};

use super::ends::ChildEnds;
use super::error::StartError;
use super::own::Own;
use super::plan::{Confinement, Exit, Plan};
use super::reaper;
use super::streams::Handle;

/// The environment variable that makes a program a keeper.
pub(super) const MARK: &str = "SOCKEYE_KEEPER";

/// What a job tells its keeper.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum ToKeeper {
    /// What comes with it is the next of the command's descriptors 0, 1 and 2.
    Stream,
    /// What comes with it holds the [`Plan`]: start.
    Start,
    /// Send this signal to this process group, or to the command's own.
    Signal { number: i32, group: Option<i32> },
    /// End the command and what it left behind, and go.
    End,
    /// The command has ended; what it left behind may stay.
    LetGo,
}

/// What a keeper tells its job.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum FromKeeper {
    /// The command runs.
    Started { pid: u32, confinement: Confinement },
    /// It does not.
    Failed(StartError),
    /// The command itself has ended.
    Ended(Exit),
}

/// The socket between a job and its keeper.
#[derive(Debug)]
pub(super) struct Line(Handle);

impl Line {
    pub(super) fn new(socket: OwnedFd) -> io::Result<Line> {
        Ok(Line(Handle::new(socket, Interest::READABLE)?))
    }

    pub(super) fn send(&self, what: &impl Serialize, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        pass::send(self.0.get(), &serde_json::to_vec(what)?, fd)
    }

    /// The next message; `UnexpectedEof` where the other side is gone. Cancel-safe.
    pub(super) async fn receive<M: DeserializeOwned>(&self) -> io::Result<(M, Option<OwnedFd>)> {
        let mut buffer = [0; limits::KEEPER_MESSAGE];
        loop {
            let mut ready = self.0.readable().await?;
            match pass::receive(self.0.get(), &mut buffer) {
                Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok((n, fd)) => return Ok((serde_json::from_slice(&buffer[..n])?, fd)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) => return Err(error),
            }
        }
    }
}

/// True where this process was started as a keeper.
pub fn is_keeper() -> bool {
    std::env::var_os(MARK).is_some()
}

/// Keeps one command until it is told to end it, and ends with it.
///
/// # Errors
/// Where this process was not started by [`Job::start_kept`](super::Job::start_kept), or cannot
/// make an event loop.
pub fn run_keeper() -> io::Result<()> {
    let control = inherited::take_stdin()?;
    // It executed /proc/self/exe, which would leave it with the name "exe". No reason to fail.
    let _ = rustix::thread::set_name(c"sockeye-keeper");
    reaper::become_reaper()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match runtime.block_on(async { keep(&Line::new(control)?).await }) {
        // The job has gone: so do we.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other,
    }
}

async fn keep(control: &Line) -> io::Result<()> {
    let (plan, ends) = instructions(control).await?;
    let own = match Own::start(&plan, ends) {
        Ok((own, confinement)) => {
            // Where nobody hears it, the next look at the socket says so.
            let _ = control.send(&FromKeeper::Started { pid: own.pid(), confinement }, None);
            own
        }
        Err(error) => return control.send(&FromKeeper::Failed(error), None),
    };
    if plan.is_detached() {
        return outlive_all().await;
    }
    let mut is_told = false;
    let result = obey(control, &own, &mut is_told).await;
    if let Ok(Last::LetGo) = result {
        return outlive_all().await;
    }
    own.end().await;
    if let (false, Ok(Some(exit))) = (is_told, own.exit()) {
        let _ = control.send(&FromKeeper::Ended(exit), None);
    }
    result.map(drop)
}

/// What a job told its keeper last.
enum Last {
    End,
    LetGo,
}

async fn instructions(control: &Line) -> io::Result<(Plan, ChildEnds)> {
    let mut streams = Vec::new();
    loop {
        match control.receive().await? {
            (ToKeeper::Stream, Some(fd)) if streams.len() < 3 => streams.push(fd),
            (ToKeeper::Start, Some(fd)) => {
                let streams = <[OwnedFd; 3]>::try_from(streams);
                let streams = streams.map_err(|_| io::Error::other("a stream is missing"))?;
                let plan = serde_json::from_reader(io::BufReader::new(File::from(fd)))?;
                return Ok((plan, ChildEnds(streams)));
            }
            _ => return Err(io::Error::other("an order that comes too early")),
        }
    }
}

/// Does what the job says until the end, and tells it when the command has ended.
async fn obey(control: &Line, own: &Own, is_told: &mut bool) -> io::Result<Last> {
    let mut terminate = signal(SignalKind::terminate())?;
    loop {
        tokio::select! {
            exit = own.wait(), if !*is_told => {
                *is_told = true;
                control.send(&FromKeeper::Ended(exit?), None)?;
            }
            order = control.receive() => match order? {
                (ToKeeper::Signal { number, group }, _) => {
                    if let Some(signal) = Signal::from_named_raw(number) {
                        // Whoever has gone cannot hear it; whoever is another's must not.
                        let _ = own.signal(group.and_then(Pid::from_raw), signal);
                    }
                }
                (ToKeeper::LetGo, _) => return Ok(Last::LetGo),
                _ => return Ok(Last::End),
            },
            _ = terminate.recv() => return Ok(Last::End),
        }
    }
}

/// The parent of what was let go stays as long as that, so that orphans come here: not to a process
/// that would end them, nor to one that does not know them and would leave them zombies.
///
/// The server's own streams are closed for that: whoever reads its log waits for their end.
async fn outlive_all() -> io::Result<()> {
    let null = File::options().read(true).write(true).open("/dev/null")?;
    rustix::stdio::dup2_stdout(&null)?;
    rustix::stdio::dup2_stderr(&null)?;
    let mut ended = signal(SignalKind::child())?;
    while reaper::reap() {
        ended.recv().await;
    }
    Ok(())
}
