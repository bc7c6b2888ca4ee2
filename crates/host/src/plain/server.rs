//! `command`: each line that comes is run in a shell, and its status and output go back.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use serde_json::{Value, json};
use sockeye_limits as limits;
use sockeye_net::Transport;
use sockeye_serve::{Call, CommandNews, End, News, Offence, Service, Serving, Session, Side, Why};
use sockeye_trust::hello;
use sockeye_wire::plain::Reply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use super::presence::Presence;
use crate::audit::{Audit, Beginning, Outcome};
use crate::gate::Gate;
use crate::gated::turn_away;
use crate::job::{Confinement, Exit, Job, Plan, Program, Source, Stdio, become_reaper};
use crate::server::record;

/// The server of the plain form.
#[derive(Debug)]
pub struct Command {
    audit: Option<PathBuf>,
}

impl Command {
    /// The service, and where each command is written down before it runs.
    pub fn service(audit: Option<PathBuf>) -> Service {
        Service::session("command", Arc::new(Command { audit }))
            .about("runs each line in a shell and answers with its status and output")
            .local_only()
    }

    /// The same in a worker process, from what [`Session::setup`] said there; `None` where that is
    /// not understood.
    pub fn in_worker(setup: &Value) -> Option<Service> {
        let audit = serde_json::from_value(setup.get("audit")?.clone()).ok()?;
        Some(Command::service(audit))
    }
}

impl Session for Command {
    fn serve(self: Arc<Self>, call: Call) -> Serving {
        Box::pin(serve(self, call))
    }

    fn setup(&self) -> Value {
        json!({ "audit": self.audit })
    }
}

async fn serve(service: Arc<Command>, call: Call) -> End {
    if call.transport == Transport::Unix
        && let Err(rejected) = Gate::same_user(&call.peer)
    {
        return turn_away(rejected, call.front.as_ref());
    }
    match Conversation::new(service, call).hold().await {
        Ok(side) => End::clean(side),
        Err(Broken::Io(error)) => End::failed(&error),
        Err(Broken::TooLong | Broken::Stranger) => End::ours(Why::Protocol),
    }
}

/// Why a conversation ended before its time.
enum Broken {
    Io(io::Error),
    /// A line without an end.
    TooLong,
    /// It speaks another protocol, which was told.
    Stranger,
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        Broken::Io(error)
    }
}

/// One connection: its unread bytes, and whether the peer has ended its side.
struct Conversation {
    service: Arc<Command>,
    call: Call,
    presence: Presence,
    bytes: Vec<u8>,
    ended: bool,
}

impl Conversation {
    fn new(service: Arc<Command>, call: Call) -> Conversation {
        let presence = Presence::new(&call.channel, &call.peer);
        Conversation { service, call, presence, bytes: Vec::new(), ended: false }
    }

    async fn hold(mut self) -> Result<Side, Broken> {
        if self.call.alone {
            become_reaper()?;
        }
        let mut is_first = true;
        while let Some(line) = self.line().await? {
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
            }
            if std::mem::take(&mut is_first)
                && let Some(name) = stranger(&line)
            {
                let why = format!("it speaks {name}, not the plain form; nothing was run");
                self.call.front.tell(News::Rejected { why, offence: Offence::None });
                return Err(Broken::Stranger);
            }
            let reply = self.run(&line).await?;
            let encoded = reply.encode().or_else(|_| too_long().encode());
            let encoded = encoded.map_err(io::Error::other)?;
            self.call.channel.write_all(encoded.digits.as_bytes()).await?;
            self.hold_back().await;
            self.call.channel.write_all(encoded.json.as_bytes()).await?;
        }
        self.call.channel.shutdown().await?;
        Ok(Side::Peer)
    }

    /// Clients that read the length with one recv(2) must not get more by it. The peer is on this
    /// machine, so the kernel can tell when it has read; where it does not, time must do.
    async fn hold_back(&self) {
        sleep(limits::PLAIN_HOLD_BACK).await;
        let unread = || sockeye_net::sys::holder::unread(self.call.peer.address.inet()?);
        let since = Instant::now();
        loop {
            match unread() {
                Some(0) => return,
                Some(_) if since.elapsed() < limits::PLAIN_HOLD_BACK_MAX => {
                    sleep(limits::PLAIN_HOLD_BACK).await;
                }
                Some(_) => return,
                None => return sleep(limits::PLAIN_HOLD_BACK * 2).await,
            }
        }
    }

    /// The next command line: up to a newline, a pause, or the peer's end.
    async fn line(&mut self) -> Result<Option<Vec<u8>>, Broken> {
        loop {
            if let Some(at) = self.bytes.iter().position(|byte| *byte == b'\n') {
                let mut line: Vec<u8> = self.bytes.drain(..=at).collect();
                line.pop();
                if line.last() == Some(&b'\r') {
                    line.pop();
                }
                return Ok(Some(line));
            }
            if self.ended {
                let rest = std::mem::take(&mut self.bytes);
                return Ok((!rest.is_empty()).then_some(rest));
            }
            if self.bytes.len() > limits::PLAIN_LINE_MAX {
                return Err(Broken::TooLong);
            }
            if self.bytes.is_empty() {
                self.read().await?;
            } else if let Ok(read) = timeout(limits::PLAIN_PAUSE, self.read()).await {
                read?;
            } else {
                return Ok(Some(std::mem::take(&mut self.bytes)));
            }
        }
    }

    async fn read(&mut self) -> io::Result<()> {
        let mut buffer = [0; 4096];
        let n = self.call.channel.read(&mut buffer).await?;
        self.bytes.extend_from_slice(&buffer[..n]);
        self.ended = n == 0;
        Ok(())
    }

    /// Runs one line, written down where there is an audit file; a peer that leaves meanwhile ends
    /// it and all that it started.
    async fn run(&mut self, line: &[u8]) -> Result<Reply, Broken> {
        let since = Instant::now();
        let Ok(audit) = self.begin(line) else { return Ok(unwritten()) };
        let plan = plan(line);
        let started =
            if self.call.alone { Job::start(&plan) } else { Job::start_kept(&plan).await };
        let mut job = match started {
            Ok(job) => job,
            Err(error) => {
                let outcome = Outcome::without("not-started");
                record::end(audit.as_ref(), &outcome, self.call.front.as_ref());
                return Ok(Reply::new(126, format!("sockeye: {error}\n").as_bytes()));
            }
        };
        let source = job.take_streams().stdout;
        let mut output = Vec::new();
        let collected = tokio::select! {
            collected = collect(&mut job, source, &mut output) => collected,
            gone = self.gone() => Err(gone),
        };
        let why = match &collected {
            Ok(Some(_)) => None,
            Ok(None) => Some("output-limit"),
            Err(_) => Some("vanished"),
        };
        match why {
            None => job.let_go().await,
            Some(_) => job.end().await,
        }
        let exit = job.exit().await;
        let duration_ms = u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX);
        let stdout_bytes = output.len() as u64;
        let outcome = Outcome { exit, why, stdout_bytes, stderr_bytes: 0, duration_ms };
        self.end(line, audit.as_ref(), &outcome);
        match collected? {
            Some(exit) => Ok(Reply::new(status(exit), &output)),
            None => Ok(too_long()),
        }
    }

    fn begin(&self, line: &[u8]) -> io::Result<Option<Audit>> {
        let Call { peer, front, .. } = &self.call;
        // On a Unix socket the kernel knows who it is; on TCP nobody does.
        let key = peer.credentials.map(|user| format!("uid:{}", user.uid));
        let program = sockeye_wire::Program::Line(line.to_vec());
        let what = Beginning { key: key.as_deref(), peer, program: &program, forced: None };
        record::begin(self.service.audit.as_deref(), &what, front.as_ref())
    }

    fn end(&self, line: &[u8], audit: Option<&Audit>, outcome: &Outcome) {
        let front = self.call.front.as_ref();
        record::end(audit, outcome, front);
        front.tell(News::Command(CommandNews {
            command: record::shown(line),
            exit: outcome.exit.map(status),
            signal: None,
            why: outcome.why.map(String::from),
            output: outcome.stdout_bytes,
            duration_ms: outcome.duration_ms,
        }));
    }

    /// Resolves where the peer has gone for good. Its end of sending alone says nothing: it may
    /// wait for the reply. More commands may come meanwhile, but not without bound.
    async fn gone(&mut self) -> io::Error {
        while !self.ended && self.bytes.len() <= limits::PLAIN_LINE_MAX {
            if let Err(error) = self.read().await {
                return error;
            }
        }
        self.presence.gone(&self.call.channel).await;
        left()
    }
}

/// What a connection whose other end nobody has any more fails with.
fn left() -> io::Error {
    io::ErrorKind::ConnectionReset.into()
}

/// The other protocol that a first line belongs to. A web page can make a browser post to a port of
/// its own machine, and the lines of that must not be run.
fn stranger(first: &[u8]) -> Option<&'static str> {
    match hello::look(first) {
        _ if first.first() == Some(&0x16) => Some("TLS"),
        hello::Look::Stranger(name @ ("HTTP" | "SSH" | "an older TLS")) => Some(name),
        _ => None,
    }
}

/// The whole output and how it ended; `None` where it is longer than a reply may be.
async fn collect(
    job: &mut Job,
    source: Option<Source>,
    output: &mut Vec<u8>,
) -> io::Result<Option<Exit>> {
    let mut buffer = vec![0; limits::STREAM_BUFFER];
    if let Some(mut source) = source {
        loop {
            // An output that fails has ended.
            let n = source.read(&mut buffer).await.unwrap_or(0);
            if n == 0 {
                break;
            }
            output.extend_from_slice(&buffer[..n]);
            if output.len() > limits::PLAIN_REPLY_MAX {
                return Ok(None);
            }
        }
    }
    Ok(Some(job.wait().await?))
}

fn status(exit: Exit) -> i32 {
    match exit {
        Exit::Code(code) => i32::from(code),
        Exit::Signal { number, .. } => 128 + i32::from(number),
    }
}

/// What cannot be written down is not run (X8).
fn unwritten() -> Reply {
    let text = "sockeye: the server cannot write down what it runs, so it runs nothing\n";
    Reply::new(126, text.as_bytes())
}

fn too_long() -> Reply {
    let text = "sockeye: the output is too long for a reply. Let the command write to a file.\n";
    Reply::new(255, text.as_bytes())
}

fn plan(line: &[u8]) -> Plan {
    Plan {
        program: Program::Line(OsString::from_vec(line.to_vec())),
        directory: None,
        environment: crate::account::environment(),
        stdio: Stdio::Merged,
        confinement: Confinement { no_new_privileges: true, scoped: false },
    }
}
