//! The server's end of the protocol: a state machine that hears a client and is told what happens.

use std::time::Duration;

use sockeye_limits as limits;

use crate::codec;
use crate::decoder::Decoder;
use crate::error::{Fault, Misuse, ProtocolError, Side};
use crate::frame::{HEADER, Kind, header, put};
use crate::message::{Ended, Failure, Phase, Run, Status, ToServer};
use crate::rate::Rate;
use crate::stdin::Intake;

/// The server's end of one connection.
///
/// It hears the client by [`space`](Server::space), [`filled`](Server::filled) and
/// [`next`](Server::next), and writes what the server says to buffers of the caller, which sends
/// them in that order. It never writes what a client would refuse: a call that has no place returns
/// a [`Misuse`], with nothing written.
///
/// Read the stream all the time, while the command does not read its input as well: what it does
/// not read is at most [`limits::STDIN_WINDOW`] bytes, and signals come behind it.
#[derive(Debug)]
pub struct Server {
    decoder: Decoder,
    /// When the client's Hello is due; `None` once it came.
    due: Option<Duration>,
    said_hello: bool,
    /// The command, or the last one.
    job: Option<Job>,
    controls: Rate,
    broken: Option<ProtocolError>,
}

#[derive(Debug)]
struct Job {
    phase: Phase,
    stdin: Intake,
    /// It is not a command but a transfer.
    transfer: bool,
    terminal: bool,
    detached: bool,
    stdout: u64,
    stderr: u64,
}

impl Server {
    /// A connection that is there since `now`.
    pub fn new(now: Duration) -> Server {
        Server {
            decoder: Decoder::new(),
            due: Some(now.saturating_add(limits::HELLO_TIME)),
            said_hello: false,
            job: None,
            controls: Rate::new(limits::CONTROL_RATE),
            broken: None,
        }
    }

    // Getters.

    /// Where the connection is.
    pub fn phase(&self) -> Phase {
        match &self.job {
            _ if self.due.is_some() => Phase::Hello,
            Some(job) => job.phase,
            None => Phase::Idle,
        }
    }

    /// When [`expire`](Server::expire) is to be called, if nothing changes before.
    pub fn deadline(&self) -> Option<Duration> {
        self.due
    }

    /// The memory that it holds for what came, in bytes.
    pub fn capacity(&self) -> usize {
        self.decoder.capacity()
    }

    // Inputs.

    /// Where to put the next bytes of the stream, at least 64 KiB.
    pub fn space(&mut self) -> &mut [u8] {
        self.decoder.space()
    }

    /// So many bytes came into [`space`](Server::space).
    pub fn filled(&mut self, count: usize) {
        self.decoder.filled(count);
    }

    /// The next message; `None` when more bytes are needed for it. Call it until then, after each
    /// [`filled`](Server::filled).
    ///
    /// Once a transfer has the connection there is none: see [`into_rest`](Server::into_rest).
    ///
    /// Of what was on its way to a command that has just ended, or that reads no more, nothing is
    /// seen (clause P-S4).
    ///
    /// # Errors
    ///
    /// What the client did wrong, now and from then on.
    pub fn next(&mut self, now: Duration) -> Result<Option<ToServer<'_>>, ProtocolError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        if let Some(due) = self.due {
            return match self.decoder.hello(Side::Client, now >= due) {
                Ok(Some(hello)) => {
                    self.due = None;
                    Ok(Some(ToServer::Hello(hello)))
                }
                Ok(None) => Ok(None),
                Err(fault) => Err(blame(&mut self.broken, fault)),
            };
        }
        if self.job.as_ref().is_some_and(|job| job.transfer && job.phase == Phase::Running) {
            // The rest of the stream is the transfer's.
            return Ok(None);
        }
        let kind = match self.arrived(now) {
            Ok(Some(kind)) => kind,
            Ok(None) => return Ok(None),
            Err(fault) => return Err(blame(&mut self.broken, fault)),
        };
        match codec::to_server(kind, self.decoder.take()) {
            Ok(message) => {
                match &message {
                    ToServer::Run(run) => self.job = Some(Job::new(run)),
                    ToServer::Transfer(_) => self.job = Some(Job::transfer()),
                    _ => {}
                }
                Ok(Some(message))
            }
            Err(what) => Err(blame(&mut self.broken, Fault::Malformed { kind, what })),
        }
    }

    /// The deadline may have passed.
    ///
    /// # Errors
    ///
    /// The client's Hello is overdue.
    pub fn expire(&mut self, now: Duration) -> Result<(), ProtocolError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        match self.due {
            Some(due) if now >= due => {
                let fault = self.decoder.stranger_or(Side::Client, Fault::HelloTimeout);
                Err(blame(&mut self.broken, fault))
            }
            _ => Ok(()),
        }
    }

    /// The stream ended, after the last message was taken.
    ///
    /// # Errors
    ///
    /// It ended anywhere but between two commands.
    pub fn end(&mut self) -> Result<(), ProtocolError> {
        match self.broken {
            Some(error) => Err(error),
            None if self.phase() == Phase::Idle && self.decoder.is_empty() => Ok(()),
            None if self.phase() == Phase::Hello => {
                let fault = self.decoder.stranger_or(Side::Client, Fault::Truncated);
                Err(blame(&mut self.broken, fault))
            }
            None => Err(blame(&mut self.broken, Fault::Truncated)),
        }
    }

    // Outputs: each appends to `out` what is to be sent, or changes nothing.

    /// Says who we are. It need not wait for the client's Hello, and is due even where that was of
    /// another version: the client's user shall know.
    ///
    /// # Errors
    ///
    /// [`Misuse::HelloTwice`], [`Misuse::ProgramName`].
    pub fn hello(&mut self, program: &str, out: &mut Vec<u8>) -> Result<(), Misuse> {
        codec::put_hello(Side::Server, program, self.said_hello, out)?;
        self.said_hello = true;
        Ok(())
    }

    /// The command runs.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoHello`]; [`Misuse::NoJob`] where none was asked for, or where it runs already.
    pub fn started(&mut self, pid: u32, out: &mut Vec<u8>) -> Result<(), Misuse> {
        self.job_in(Phase::Starting)?.phase = Phase::Running;
        put(Kind::Started, &pid.to_be_bytes(), out);
        Ok(())
    }

    /// The transfer begins. What the client says from now on is a sender's or a receiver's: go on
    /// with [`into_rest`](Server::into_rest).
    ///
    /// # Errors
    ///
    /// [`Misuse::NoHello`]; [`Misuse::NoJob`] where no transfer was asked for.
    pub fn ready(&mut self, out: &mut Vec<u8>) -> Result<(), Misuse> {
        self.asked(|job| job.transfer)?.phase = Phase::Running;
        put(Kind::Ready, &[], out);
        Ok(())
    }

    /// What came and was not taken yet, once a transfer has the connection.
    pub fn into_rest(self) -> Vec<u8> {
        self.decoder.into_rest()
    }

    /// The command or transfer was not started; the connection is idle. A text that is too long is cut.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoHello`]; [`Misuse::NoJob`] where none was asked for, or where it runs already.
    pub fn failed(&mut self, failure: &Failure, out: &mut Vec<u8>) -> Result<(), Misuse> {
        self.asked(|_| true)?.phase = Phase::Idle;
        codec::put_failure(failure, out);
        Ok(())
    }

    /// The header for `length` bytes of standard output, which the caller sends right behind it.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoHello`], [`Misuse::NoJob`], [`Misuse::Detached`], [`Misuse::Length`].
    pub fn stdout_header(&mut self, length: usize) -> Result<[u8; HEADER], Misuse> {
        self.running_with_output(length)?.stdout += length as u64;
        Ok(header(Kind::Stdout, length))
    }

    /// The same for standard error.
    ///
    /// # Errors
    ///
    /// As [`stdout_header`](Server::stdout_header).
    pub fn stderr_header(&mut self, length: usize) -> Result<[u8; HEADER], Misuse> {
        self.running_with_output(length)?.stderr += length as u64;
        Ok(header(Kind::Stderr, length))
    }

    /// The command took `count` more bytes of its input (or they were thrown away for it). Without
    /// this the client stops after [`limits::STDIN_WINDOW`] bytes.
    ///
    /// What is told when the command is over, or after [`stdin_closed`](Server::stdin_closed), is
    /// ignored.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoHello`]; [`Misuse::Taken`] where fewer bytes came.
    pub fn stdin_taken(&mut self, count: usize, out: &mut Vec<u8>) -> Result<(), Misuse> {
        if !self.said_hello {
            return Err(Misuse::NoHello);
        }
        match &mut self.job {
            Some(job) if job.phase != Phase::Idle => job.stdin.take(count, out),
            _ => Ok(()),
        }
    }

    /// The command reads no more. A second call, and one after the end of input, says nothing.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoHello`]; [`Misuse::NoJob`] where none runs; [`Misuse::NoStdin`].
    pub fn stdin_closed(&mut self, out: &mut Vec<u8>) -> Result<(), Misuse> {
        if self.job_in(Phase::Running)?.stdin.close()? {
            put(Kind::StdinClosed, &[], out);
        }
        Ok(())
    }

    /// The command ended and all of its output is sent; the connection is idle.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoHello`]; [`Misuse::NoJob`] where none runs; [`Misuse::Counts`] where the bytes
    /// are not those of the headers; [`Misuse::SignalNumber`].
    pub fn ended(&mut self, ended: Ended, out: &mut Vec<u8>) -> Result<(), Misuse> {
        let job = self.job_in(Phase::Running)?;
        if (ended.stdout_bytes, ended.stderr_bytes) != (job.stdout, job.stderr) {
            return Err(Misuse::Counts);
        }
        if let Status::Signaled { signal: 0 | 65.., .. } = ended.status {
            return Err(Misuse::SignalNumber);
        }
        job.phase = Phase::Idle;
        codec::put_ended(&ended, out);
        Ok(())
    }

    /// What was asked for and has no answer, if it is such a one.
    fn asked(&mut self, such: fn(&Job) -> bool) -> Result<&mut Job, Misuse> {
        if !self.said_hello {
            return Err(Misuse::NoHello);
        }
        let job = self.job.as_mut().filter(|job| job.phase == Phase::Starting && such(job));
        job.ok_or(Misuse::NoJob)
    }

    /// The command, in this phase.
    fn job_in(&mut self, phase: Phase) -> Result<&mut Job, Misuse> {
        if !self.said_hello {
            return Err(Misuse::NoHello);
        }
        let job = self.job.as_mut().filter(|job| job.phase == phase && !job.transfer);
        job.ok_or(Misuse::NoJob)
    }

    fn running_with_output(&mut self, length: usize) -> Result<&mut Job, Misuse> {
        let job = self.job_in(Phase::Running)?;
        if job.detached {
            return Err(Misuse::Detached);
        }
        if !(1..=limits::FRAME_DATA_MAX).contains(&length) {
            return Err(Misuse::Length);
        }
        Ok(job)
    }

    /// The kind of the frame that is ready to be read. What may not come is refused by its header;
    /// what nobody waits for is passed over.
    fn arrived(&mut self, now: Duration) -> Result<Option<Kind>, Fault> {
        while let Some((header, is_new)) = self.decoder.header(Side::Client)? {
            if is_new {
                self.admit(header.kind, header.length, now)?;
            }
            if !self.decoder.is_ready() {
                return Ok(None);
            }
            if !self.is_stale(header.kind) {
                return Ok(Some(header.kind));
            }
            let payload = self.decoder.take();
            // Nobody sees it, but it must be right (clause P-S4).
            codec::to_server(header.kind, payload)
                .map_err(|what| Fault::Malformed { kind: header.kind, what })?;
        }
        Ok(None)
    }

    /// True for what was meant for a command that is over, and for input that nobody reads.
    fn is_stale(&self, kind: Kind) -> bool {
        let Some(job) = &self.job else { return false };
        match kind {
            Kind::Run | Kind::Transfer => false,
            Kind::Stdin | Kind::StdinEnd => job.phase == Phase::Idle || job.stdin.is_closed(),
            _ => job.phase == Phase::Idle,
        }
    }

    /// Whether a frame of this kind may come now.
    fn admit(&mut self, kind: Kind, length: usize, now: Duration) -> Result<(), Fault> {
        let out_of_order = |when| Err(Fault::OutOfOrder { kind, when });
        if matches!(kind, Kind::Run | Kind::Transfer) {
            return match self.phase() {
                Phase::Idle => Ok(()),
                _ => out_of_order("before the last command was over"),
            };
        }
        let Some(job) = &mut self.job else { return out_of_order("before the first command") };
        if job.transfer {
            return out_of_order("for a transfer that has not begun");
        }
        match kind {
            Kind::Stdin | Kind::StdinEnd => return job.stdin.announce(kind, length),
            Kind::Resize if !job.terminal => return out_of_order("for a command without terminal"),
            _ => {}
        }
        if self.controls.allows(now) { Ok(()) } else { Err(Fault::Flood) }
    }
}

impl Job {
    fn new(run: &Run) -> Job {
        Job {
            phase: Phase::Starting,
            stdin: Intake::new(run.stdin),
            transfer: false,
            terminal: run.terminal.is_some(),
            detached: run.detach,
            stdout: 0,
            stderr: 0,
        }
    }

    fn transfer() -> Job {
        Job {
            phase: Phase::Starting,
            stdin: Intake::new(false),
            transfer: true,
            terminal: false,
            detached: false,
            stdout: 0,
            stderr: 0,
        }
    }
}

/// Remembers and returns what the client did wrong.
fn blame(broken: &mut Option<ProtocolError>, fault: Fault) -> ProtocolError {
    *broken.insert(ProtocolError::new(Side::Client, fault))
}
