//! One worker process from the server's side: hired, given work, seen off.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use rustix::process::Pid;
use sockeye_limits as limits;
use sockeye_net::sys::pass;
use sockeye_net::sys::watch::Watched;
use sockeye_net::{DatagramSocket, Stream, Transport};
use tokio::io::Interest;
use tokio::process::{Child, Command};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::{Job, Left, Pool};
use crate::end::{End, Why};
use crate::event::Event;
use crate::hall::{Admission, Outcome};
use crate::worker::{FromWorker, MARK, ToWorker};

/// A worker process from this side.
pub(super) struct Employee {
    child: Child,
    pid: Pid,
    control: Line,
    stopped: watch::Receiver<bool>,
    /// Changes since it was told what it works with.
    changes: watch::Receiver<u64>,
}

impl Employee {
    pub(super) fn hire(pool: &Pool) -> io::Result<Employee> {
        let changes = pool.access.subscribe();
        let (ours, theirs) = pass::pair()?;
        rustix::io::ioctl_fionbio(&ours, true)?;
        let mut arguments = std::env::args_os();
        let child = Command::new("/proc/self/exe")
            .arg0(arguments.next().unwrap_or_else(|| "sockeye".into()))
            .args(arguments)
            .env(MARK, "1")
            .stdin(Stdio::from(theirs))
            .stdout(Stdio::null())
            // Ctrl-C at the terminal is for the server: it decides what its workers do.
            .process_group(0)
            .spawn()?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let pid = pid.ok_or_else(|| io::Error::other("the process has ended already"))?;
        let deadlines = pool.floor.deadlines;
        let service = pool.floor.service.name().to_owned();
        let control = Line(Watched::new(Arc::new(ours), Interest::READABLE)?);
        let setup = pass::memory(&serde_json::to_vec(&pool.floor.service.setup())?)?;
        control.send(
            &ToWorker::Setup { service, idle: deadlines.idle, lifetime: deadlines.lifetime },
            Some(setup.as_fd()),
        )?;
        let (sender, stopped) = watch::channel(false);
        pool.state().stopped.push((pid, sender));
        Ok(Employee { child, pid, control, stopped, changes })
    }

    /// Serves one connection after another until dismissed or dead.
    pub(super) async fn serve_connections(&mut self, pool: &Pool) -> Left {
        if let Err(left) = self.hello(pool).await {
            pool.state().free -= 1;
            return left;
        }
        loop {
            // While it waits it counts as free; from here on it does not.
            let (admission, stream) = match self.next_job(pool).await {
                Ok(job) => job,
                Err(left) => return left,
            };
            pool.keep_some_waiting();
            if let Err(left) = self.serve(pool, admission, stream).await {
                return left;
            }
            pool.state().free += 1;
        }
    }

    /// Waits until it is ready for work. One that is not in time never had any, so it is killed.
    async fn hello(&mut self, pool: &Pool) -> Result<(), Left> {
        let said = tokio::select! {
            said = self.control.hello() => said,
            () = pool.over() => return Err(Left::Dismissed),
        };
        if said {
            return Ok(());
        }
        // It may have died by itself.
        let _ = self.child.start_kill();
        Err(Left::Died(None))
    }

    /// Waits for a connection; counted as free until it has one or leaves.
    async fn next_job(&mut self, pool: &Pool) -> Result<Job, Left> {
        let idle_until = Instant::now() + limits::POOL_IDLE;
        // What a session was told at its start, such as the server's key, may be another now.
        let has_session = pool.floor.service.any_session().is_some();
        let mut changes = self.changes.clone();
        loop {
            if has_session && self.changes.has_changed().unwrap_or(true) {
                pool.state().free -= 1;
                return Err(Left::Outdated);
            }
            if *self.stopped.borrow() {
                self.sit_out_stop(pool).await?;
            }
            let woken = pool.wake.notified();
            tokio::pin!(woken);
            woken.as_mut().enable();
            {
                let mut state = pool.state();
                if state.over {
                    state.free -= 1;
                    return Err(Left::Dismissed);
                }
                if let Some(job) = state.jobs.pop_front() {
                    state.free -= 1;
                    return Ok(job);
                }
            }
            tokio::select! {
                () = &mut woken => {}
                _ = self.stopped.changed() => {}
                _ = changes.changed(), if has_session => {}
                () = pool.over() => {}
                // Nothing is said while nothing is asked: this is its death.
                _ = self.control.report() => {
                    pool.state().free -= 1;
                    return Err(Left::Died(None));
                }
                () = sleep_until(idle_until), if pool.is_above_size() => {
                    let mut state = pool.state();
                    if state.jobs.is_empty() && pool.has_too_many(&state) {
                        state.free -= 1;
                        return Err(Left::Dismissed);
                    }
                }
            }
        }
    }

    /// Not free while stopped; a replacement keeps the pool at its size.
    async fn sit_out_stop(&mut self, pool: &Pool) -> Result<(), Left> {
        {
            let mut state = pool.state();
            state.free -= 1;
            state.workers -= 1;
        }
        pool.wake.notify_last();
        pool.add_worker();
        let gone = tokio::select! {
            changed = self.stopped.wait_for(|stopped| !stopped) => changed.err().map(|_| Left::Died(None)),
            _ = self.control.report() => Some(Left::Died(None)),
            () = pool.over() => Some(Left::Dismissed),
        };
        let mut state = pool.state();
        state.workers += 1;
        match gone {
            Some(left) => Err(left),
            None => {
                state.free += 1;
                Ok(())
            }
        }
    }

    /// Hands a connection over and waits for its end.
    async fn serve(
        &mut self,
        pool: &Pool,
        admission: Admission,
        stream: Stream,
    ) -> Result<(), Left> {
        let transport = admission.transport();
        let order = ToWorker::Connection { tls: transport == Transport::Tls };
        if self.control.send(&order, Some(stream.as_fd())).is_err() {
            // It was dead already: the connection goes to another and knows nothing of it.
            pool.state().jobs.push_front((admission, stream));
            pool.wake.notify_last();
            return Err(Left::Died(None));
        }
        // From here on the descriptor is the worker's alone.
        drop(stream);
        let session = pool.floor.service.session_on(transport);
        loop {
            let report = tokio::select! {
                report = self.control.report() => report,
                () = pool.over() => {
                    return Err(match session {
                        Some(_) => self.last_words(admission).await,
                        None => dismissed(admission),
                    });
                }
            };
            match (report, session) {
                (Ok(FromWorker::Done { end, bytes_in, bytes_out }), _) => {
                    admission.close(Outcome::of(end, Some((bytes_in, bytes_out))));
                    // One session, one process.
                    return if session.is_some() { Err(Left::Spent) } else { Ok(()) };
                }
                (Ok(FromWorker::Tell(news)), Some(_)) => admission.ear().hear(&news),
                (Ok(FromWorker::Ask(question)), Some(session)) => {
                    self.control.answer(match question.len() {
                        ..=limits::QUESTION_MAX => session.answer(&question),
                        _ => Err("the question is too long".into()),
                    });
                }
                (Ok(FromWorker::Enter(proof)), Some(_)) => {
                    let welcome = tokio::select! {
                        welcome = admission.ear().enter(&proof) => welcome,
                        // Nothing is said while an answer is waited for: this is its death.
                        _ = self.control.report() => return Err(Left::Died(Some(admission))),
                        () = pool.over() => return Err(dismissed(admission)),
                    };
                    let refused = || "there is no place".to_owned();
                    self.control.answer(welcome.then(Vec::new).ok_or_else(refused));
                }
                _ => return Err(Left::Died(Some(admission))),
            }
        }
    }

    /// A session is told to end, and may say how that went: a worker ends it where we say no more.
    async fn last_words(&self, admission: Admission) -> Left {
        let said = timeout(limits::SESSION_EXIT, async {
            self.control.finish()?;
            loop {
                match self.control.report().await? {
                    FromWorker::Tell(news) => admission.ear().hear(&news),
                    FromWorker::Done { end, bytes_in, bytes_out } => {
                        return io::Result::Ok((end, (bytes_in, bytes_out)));
                    }
                    // What it asks now has no answer.
                    _ => {}
                }
            }
        });
        match said.await {
            Ok(Ok((end, counts))) => {
                admission.close(Outcome::of(end, Some(counts)));
                Left::Dismissed
            }
            _ => dismissed(admission),
        }
    }

    /// Serves the datagrams of a socket until dismissed, outdated or dead.
    pub(super) async fn serve_datagrams(&mut self, pool: &Pool, socket: &DatagramSocket) -> Left {
        let mut changes = pool.access.subscribe();
        if let Err(left) = self.hello(pool).await {
            return left;
        }
        if self.send_datagram_orders(pool, socket).is_err() {
            return Left::Died(None);
        }
        let endpoint = socket.endpoint().to_string();
        loop {
            tokio::select! {
                report = self.control.report() => match report {
                    Ok(FromWorker::Refused(refused)) => {
                        pool.floor.tell_refusals(&endpoint, vec![refused]);
                    }
                    Ok(FromWorker::Served) => {
                        pool.floor.hall.take_turn();
                        return Left::Dismissed;
                    }
                    _ => return Left::Died(None),
                },
                // The sender lives in the pool.
                _ = changes.changed() => return Left::Outdated,
                () = pool.no_more_datagrams() => return Left::Dismissed,
            }
        }
    }

    fn send_datagram_orders(&self, pool: &Pool, socket: &DatagramSocket) -> io::Result<()> {
        // A list may be longer than a message, so it travels as a descriptor.
        let access = pass::memory(&serde_json::to_vec(&pool.floor.hall.access())?)?;
        self.control.send(&ToWorker::Access, Some(access.as_fd()))?;
        let duty = ToWorker::Datagrams(pool.floor.datagram_duty(socket));
        self.control.send(&duty, Some(socket.as_fd()))
    }

    /// Hangs up, waits for the process's end and tells of a death. True where it died.
    pub(super) async fn farewell(self, pool: &Pool, left: Left) -> bool {
        let Employee { mut child, pid, control, .. } = self;
        pool.state().stopped.retain(|(other, _)| *other != pid);
        drop(control);
        // One that runs a command ends that first.
        let session = pool.floor.service.any_session().is_some();
        let patience = if session { limits::SESSION_EXIT } else { limits::WORKER_EXIT };
        let status = match timeout(patience, child.wait()).await {
            Ok(status) => status.ok(),
            Err(_) => {
                // Stopped or stuck in the kernel: it is not coming back by itself.
                let _ = child.kill().await;
                child.wait().await.ok()
            }
        };
        let Left::Died(admission) = left else { return false };
        let (signal, exit) = cause_of_death(status);
        let worker = pid.as_raw_nonzero().get().cast_unsigned();
        pool.floor.hall.event(&Event::WorkerDied { worker, signal, exit });
        if let Some(admission) = admission {
            let end = End::ours(Why::WorkerDied);
            admission.close(Outcome { signal, exit, ..Outcome::of(end, None) });
        }
        true
    }
}

/// The control socket of a worker.
struct Line(Watched<OwnedFd>);

impl Line {
    fn send(&self, order: &ToWorker, fd: Option<BorrowedFd<'_>>) -> io::Result<()> {
        pass::send(self.0.get(), &serde_json::to_vec(order)?, fd)
    }

    /// A worker's first word; false where it says another, dies, or says nothing in time.
    async fn hello(&self) -> bool {
        let said = timeout(limits::WORKER_START, self.report()).await;
        matches!(said, Ok(Ok(FromWorker::Hello)))
    }

    /// Says no more, and still listens.
    fn finish(&self) -> io::Result<()> {
        Ok(rustix::net::shutdown(self.0.get(), rustix::net::Shutdown::Write)?)
    }

    /// Answers a question; a worker that is gone is noticed by the next report.
    fn answer(&self, answer: Result<Vec<u8>, String>) {
        let _ = self.send(&ToWorker::Answer(answer), None);
    }

    /// The next report; an error where the worker is gone or speaks nonsense.
    async fn report(&self) -> io::Result<FromWorker> {
        let mut buffer = [0; limits::WORKER_MESSAGE];
        loop {
            let mut ready = self.0.readable().await?;
            match pass::receive(self.0.get(), &mut buffer) {
                Ok((0, _)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok((n, _)) => {
                    ready.retain_ready();
                    return Ok(serde_json::from_slice(&buffer[..n])?);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready.clear_ready(),
                Err(error) => return Err(error),
            }
        }
    }
}

/// The pool stops, and with it what a worker was serving.
fn dismissed(admission: Admission) -> Left {
    admission.close(Outcome::of(End::ours(Why::Drain), None));
    Left::Dismissed
}

fn cause_of_death(status: Option<ExitStatus>) -> (Option<i32>, Option<i32>) {
    (status.and_then(|s| s.signal()), status.and_then(|s| s.code()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Fault 34: a worker that is stopped or stuck while it starts is given up, and another takes its
    /// place: a connection that waits for it would wait for ever.
    #[tokio::test(start_paused = true)]
    async fn a_worker_that_says_nothing() {
        let (ours, _theirs) = pass::pair().unwrap();
        rustix::io::ioctl_fionbio(&ours, true).unwrap();
        let line = Line(Watched::new(Arc::new(ours), Interest::READABLE).unwrap());
        let said = timeout(limits::WORKER_START * 2, line.hello()).await;
        assert!(!said.expect("it is not waited for"), "it said nothing");
    }
}
