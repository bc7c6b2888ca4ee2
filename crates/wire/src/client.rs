//! The client's end of the protocol: a state machine that asks for commands and hears of them.

use std::time::Duration;

use sockeye_limits as limits;

use crate::codec;
use crate::decoder::Decoder;
use crate::error::{Fault, Misuse, ProtocolError, Side};
use crate::field::Reader;
use crate::files::{self, Transfer};
use crate::frame::{HEADER, Kind, header, put, window_bytes};
use crate::message::{Phase, Run, ToClient, WindowSize};
use crate::rate::Rate;
use crate::run;
use crate::signal::Signal;
use crate::stdin::Supply;

/// The client's end of one connection.
///
/// It hears the server by [`space`](Client::space), [`filled`](Client::filled) and
/// [`next`](Client::next), and writes what the client says to buffers of the caller, which sends
/// them in that order. It never writes what a server would refuse: a call that has no place returns
/// a [`Misuse`], with nothing written.
#[derive(Debug)]
pub struct Client {
    decoder: Decoder,
    /// When the server's Hello is due; `None` once it came.
    due: Option<Duration>,
    said_hello: bool,
    /// The command; `None` where there is none, or it is over.
    job: Option<Job>,
    pace: Rate,
    broken: Option<ProtocolError>,
}

#[derive(Debug)]
struct Job {
    phase: Phase,
    /// It is not a command but a transfer.
    transfer: bool,
    stdin: Supply,
    detached: bool,
    stdout: u64,
    stderr: u64,
    /// What both may come to.
    most_output: u64,
    /// The terminal's size as the server knows it.
    size: Option<WindowSize>,
    /// What came too soon after others to be sent: each signal once, and the last size.
    signals: Vec<Signal>,
    resize: Option<WindowSize>,
}

impl Client {
    /// A connection that is there since `now`.
    pub fn new(now: Duration) -> Client {
        Client {
            decoder: Decoder::new(),
            due: Some(now.saturating_add(limits::HELLO_TIME)),
            said_hello: false,
            job: None,
            pace: Rate::new(limits::CONTROL_PACE),
            broken: None,
        }
    }

    // Getters.

    /// Where the connection is.
    pub fn phase(&self) -> Phase {
        match &self.job {
            Some(job) => job.phase,
            None if self.due.is_some() => Phase::Hello,
            None => Phase::Idle,
        }
    }

    /// When [`expire`](Client::expire) is to be called, if nothing changes before.
    pub fn deadline(&self) -> Option<Duration> {
        let waits = self.job.as_ref().is_some_and(Job::waits);
        let over = waits.then(|| self.pace.over());
        self.due.into_iter().chain(over).min()
    }

    /// How many bytes of standard input the next frame may have: 0 while the server takes none, and
    /// when the command takes no more at all. It grows with [`next`](Client::next).
    pub fn stdin_room(&self) -> usize {
        self.job.as_ref().map_or(0, |job| job.stdin.room())
    }

    /// True where the command still takes standard input, if not at once.
    pub fn stdin_is_open(&self) -> bool {
        self.job.as_ref().is_some_and(|job| job.stdin.is_open())
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

    /// So many bytes came into [`space`](Client::space).
    pub fn filled(&mut self, count: usize) {
        self.decoder.filled(count);
    }

    /// The next message; `None` when more bytes are needed for it. Call it until then, after each
    /// [`filled`](Client::filled). After [`ToClient::Ready`] there is none: see
    /// [`into_rest`](Client::into_rest).
    ///
    /// # Errors
    ///
    /// What the server did wrong, now and from then on.
    pub fn next(&mut self, now: Duration) -> Result<Option<ToClient<'_>>, ProtocolError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        if let Some(due) = self.due {
            return match self.decoder.hello(Side::Server, now >= due) {
                Ok(Some(hello)) => {
                    self.due = None;
                    Ok(Some(ToClient::Hello(hello)))
                }
                Ok(None) => Ok(None),
                Err(fault) => Err(blame(&mut self.broken, fault)),
            };
        }
        if self.job.as_ref().is_some_and(|job| job.transfer && job.phase == Phase::Running) {
            // The rest of the stream is the transfer's.
            return Ok(None);
        }
        let kind = match self.arrived() {
            Ok(Some(kind)) => kind,
            Ok(None) => return Ok(None),
            Err(fault) => return Err(blame(&mut self.broken, fault)),
        };
        let message = codec::to_client(kind, self.decoder.take())
            .map_err(|what| Fault::Malformed { kind, what });
        match message.and_then(|message| hear(&mut self.job, message)) {
            Ok(message) => Ok(Some(message)),
            Err(fault) => Err(blame(&mut self.broken, fault)),
        }
    }

    /// The deadline may have passed: appends to `out` what had to wait.
    ///
    /// # Errors
    ///
    /// The server's Hello is overdue.
    pub fn expire(&mut self, now: Duration, out: &mut Vec<u8>) -> Result<(), ProtocolError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        if self.due.is_some_and(|due| now >= due) {
            let fault = self.decoder.stranger_or(Side::Server, Fault::HelloTimeout);
            return Err(blame(&mut self.broken, fault));
        }
        self.send_waiting(now, out);
        Ok(())
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
            None if self.due.is_some() => {
                let fault = self.decoder.stranger_or(Side::Server, Fault::Truncated);
                Err(blame(&mut self.broken, fault))
            }
            None => Err(blame(&mut self.broken, Fault::Truncated)),
        }
    }

    // Outputs: each appends to `out` what is to be sent, or changes nothing.

    /// Says who we are. It need not wait for the server's Hello, and neither need what follows.
    ///
    /// # Errors
    ///
    /// [`Misuse::HelloTwice`], [`Misuse::ProgramName`].
    pub fn hello(&mut self, program: &str, out: &mut Vec<u8>) -> Result<(), Misuse> {
        codec::put_hello(Side::Client, program, self.said_hello, out)?;
        self.said_hello = true;
        Ok(())
    }

    /// Asks for a command.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoHello`]; [`Misuse::Busy`] before the last one is over; [`Misuse::Run`].
    pub fn run(&mut self, run: &Run, out: &mut Vec<u8>) -> Result<(), Misuse> {
        if !self.said_hello {
            return Err(Misuse::NoHello);
        }
        if self.job.is_some() {
            return Err(Misuse::Busy);
        }
        put(Kind::Run, &run::encode(run).map_err(Misuse::Run)?, out);
        self.job = Some(Job::new(run));
        Ok(())
    }

    /// Asks for a transfer, in the place of a command. After [`ToClient::Ready`] the connection is
    /// its: go on with [`into_rest`](Client::into_rest).
    ///
    /// # Errors
    ///
    /// [`Misuse::NoHello`]; [`Misuse::Busy`] before the last command is over;
    /// [`Misuse::Transfer`].
    pub fn transfer(&mut self, transfer: &Transfer, out: &mut Vec<u8>) -> Result<(), Misuse> {
        if !self.said_hello {
            return Err(Misuse::NoHello);
        }
        if self.job.is_some() {
            return Err(Misuse::Busy);
        }
        put(Kind::Transfer, &files::encode(transfer).map_err(Misuse::Transfer)?, out);
        self.job = Some(Job::transfer());
        Ok(())
    }

    /// What came and was not taken yet, once a transfer has the connection.
    pub fn into_rest(self) -> Vec<u8> {
        self.decoder.into_rest()
    }

    /// The header for `length` bytes of standard input, which the caller sends right behind it.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoJob`], [`Misuse::NoStdin`], [`Misuse::Length`]; [`Misuse::NoRoom`] for more than
    /// [`stdin_room`](Client::stdin_room).
    pub fn stdin_header(&mut self, length: usize) -> Result<[u8; HEADER], Misuse> {
        self.job.as_mut().ok_or(Misuse::NoJob)?.stdin.send(length)?;
        Ok(header(Kind::Stdin, length))
    }

    /// The end of standard input. A second call, and one after the command reads no more, says
    /// nothing.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoJob`], [`Misuse::NoStdin`].
    pub fn stdin_end(&mut self, out: &mut Vec<u8>) -> Result<(), Misuse> {
        if self.job.as_mut().ok_or(Misuse::NoJob)?.stdin.end()? {
            put(Kind::StdinEnd, &[], out);
        }
        Ok(())
    }

    /// A signal for the command. After [`limits::CONTROL_PACE`] signals and sizes in one second it
    /// waits for [`expire`](Client::expire), and one that waits already is not sent twice, as the
    /// kernel does with pending signals.
    ///
    /// # Errors
    ///
    /// [`Misuse::NoJob`].
    pub fn signal(
        &mut self,
        signal: Signal,
        now: Duration,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        let job = self.job.as_mut().filter(|job| !job.transfer).ok_or(Misuse::NoJob)?;
        if !job.signals.contains(&signal) {
            job.signals.push(signal);
        }
        self.send_waiting(now, out);
        Ok(())
    }

    /// The terminal's window has this size now. The size that the server knows is not sent again;
    /// after [`limits::CONTROL_PACE`] signals and sizes in one second the last one waits for
    /// [`expire`](Client::expire).
    ///
    /// # Errors
    ///
    /// [`Misuse::NoJob`], [`Misuse::NoTerminal`].
    pub fn resize(
        &mut self,
        size: WindowSize,
        now: Duration,
        out: &mut Vec<u8>,
    ) -> Result<(), Misuse> {
        let job = self.job.as_mut().ok_or(Misuse::NoJob)?;
        let known = job.size.ok_or(Misuse::NoTerminal)?;
        job.resize = (size != known).then_some(size);
        self.send_waiting(now, out);
        Ok(())
    }

    /// Sends what waits, as far as the pace allows.
    fn send_waiting(&mut self, now: Duration, out: &mut Vec<u8>) {
        let Some(job) = &mut self.job else { return };
        while job.waits() && self.pace.allows(now) {
            if let Some(size) = job.resize.take() {
                job.size = Some(size);
                put(Kind::Resize, &window_bytes(size), out);
            } else {
                put(Kind::Signal, &[job.signals.remove(0).code()], out);
            }
        }
    }

    /// The kind of the frame that is ready to be read. What may not come is refused by its header;
    /// what only this machine needs to know is taken here.
    fn arrived(&mut self) -> Result<Option<Kind>, Fault> {
        while let Some((header, is_new)) = self.decoder.header(Side::Server)? {
            if is_new {
                admit(self.job.as_ref(), header.kind, header.length)?;
            }
            if !self.decoder.is_ready() {
                return Ok(None);
            }
            if header.kind != Kind::StdinTaken {
                return Ok(Some(header.kind));
            }
            let count = Reader::new(self.decoder.take()).u32().map_err(|_| Fault::StdinTaken)?;
            self.job.as_mut().ok_or(Fault::StdinTaken)?.stdin.taken(count)?;
        }
        Ok(None)
    }
}

impl Job {
    fn transfer() -> Job {
        Job {
            phase: Phase::Starting,
            transfer: true,
            stdin: Supply::new(false),
            detached: false,
            stdout: 0,
            stderr: 0,
            most_output: 0,
            size: None,
            signals: Vec::new(),
            resize: None,
        }
    }

    fn new(run: &Run) -> Job {
        Job {
            phase: Phase::Starting,
            transfer: false,
            stdin: Supply::new(run.stdin),
            detached: run.detach,
            stdout: 0,
            stderr: 0,
            most_output: run.max_output.unwrap_or(u64::MAX),
            size: run.terminal.as_ref().map(|terminal| terminal.size),
            signals: Vec::new(),
            resize: None,
        }
    }

    /// The bytes of both outputs once a frame of this length is there.
    fn output_with(&self, length: usize) -> u64 {
        self.stdout.saturating_add(self.stderr).saturating_add(length as u64)
    }

    /// True where a signal or a size waits.
    fn waits(&self) -> bool {
        self.resize.is_some() || !self.signals.is_empty()
    }
}

/// Remembers and returns what the server did wrong.
fn blame(broken: &mut Option<ProtocolError>, fault: Fault) -> ProtocolError {
    *broken.insert(ProtocolError::new(Side::Server, fault))
}

/// Whether a frame of this kind and length may come now.
fn admit(job: Option<&Job>, kind: Kind, length: usize) -> Result<(), Fault> {
    let out_of_order = |when| Err(Fault::OutOfOrder { kind, when });
    let Some(job) = job else { return out_of_order("while no command was asked for") };
    match kind {
        Kind::Ready if !job.transfer => out_of_order("for a command"),
        Kind::Ready | Kind::Failed if job.transfer && job.phase == Phase::Starting => Ok(()),
        _ if job.transfer => out_of_order("for a transfer that has not begun"),
        Kind::Started | Kind::Failed if job.phase != Phase::Starting => {
            out_of_order("after the command was started")
        }
        Kind::Started | Kind::Failed => Ok(()),
        Kind::StdinTaken => Ok(()),
        _ if job.phase != Phase::Running => out_of_order("before the command was started"),
        Kind::Stdout | Kind::Stderr if job.detached => out_of_order("for a detached command"),
        Kind::Stdout | Kind::Stderr if job.output_with(length) > job.most_output => {
            out_of_order("beyond the limit of output that it was given")
        }
        _ => Ok(()),
    }
}

/// What a message changes.
fn hear<'a>(job: &mut Option<Job>, message: ToClient<'a>) -> Result<ToClient<'a>, Fault> {
    // Nothing is admitted without a command.
    let Some(of) = job else { return Ok(message) };
    match &message {
        ToClient::Started { .. } => of.phase = Phase::Running,
        ToClient::Stdout(bytes) => of.stdout = of.stdout.saturating_add(bytes.len() as u64),
        ToClient::Stderr(bytes) => of.stderr = of.stderr.saturating_add(bytes.len() as u64),
        ToClient::StdinClosed => of.stdin.close()?,
        ToClient::Ended(ended) => {
            if (ended.stdout_bytes, ended.stderr_bytes) != (of.stdout, of.stderr) {
                return Err(Fault::Counts {
                    said: ended.stdout_bytes.saturating_add(ended.stderr_bytes),
                    came: of.stdout.saturating_add(of.stderr),
                });
            }
            *job = None;
        }
        ToClient::Failed(_) => *job = None,
        ToClient::Ready => of.phase = Phase::Running,
        ToClient::Hello(_) => {}
    }
    Ok(message)
}
