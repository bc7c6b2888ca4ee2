//! `command`: each line that comes is run in a shell, and its status and output go back.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::sync::Arc;

use serde_json::Value;
use sockeye_limits as limits;
use sockeye_net::Transport;
use sockeye_serve::{Call, CommandNews, End, News, Offence, Service, Serving, Session, Side, Why};
use sockeye_trust::hello;
use sockeye_wire::plain::Reply;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::{sleep, timeout};

use crate::gate::Gate;
use crate::job::{Confinement, Exit, Job, Plan, Program, Source, Stdio, become_reaper};
use crate::rules::KEPT_ENV;
use crate::server::turn_away;

/// The server of the plain form.
#[derive(Debug)]
pub struct Command;

impl Command {
    /// The service.
    pub fn service() -> Service {
        Service::session("command", Arc::new(Command))
            .about("runs each line in a shell and answers with its status and output")
            .local_only()
    }
}

impl Session for Command {
    fn serve(self: Arc<Self>, call: Call) -> Serving {
        Box::pin(serve(call))
    }

    fn setup(&self) -> Value {
        Value::Null
    }
}

async fn serve(call: Call) -> End {
    if call.transport == Transport::Unix
        && let Err(rejected) = Gate::same_user(&call.peer)
    {
        return turn_away(rejected, call.front.as_ref());
    }
    match Conversation::new(call).hold().await {
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
    call: Call,
    bytes: Vec<u8>,
    ended: bool,
}

impl Conversation {
    fn new(call: Call) -> Conversation {
        Conversation { call, bytes: Vec::new(), ended: false }
    }

    async fn hold(mut self) -> Result<Side, Broken> {
        if self.call.alone {
            become_reaper()?;
        }
        let mut is_first = true;
        while let Some(line) = self.line().await? {
            if std::mem::take(&mut is_first)
                && let Some(name) = stranger(&line)
            {
                let why = format!("it speaks {name}, not the plain form; nothing was run");
                self.call.front.tell(News::Rejected { why, offence: Offence::None });
                return Err(Broken::Stranger);
            }
            if line.iter().all(u8::is_ascii_whitespace) {
                continue;
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
        let since = std::time::Instant::now();
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

    /// Runs one line; a peer that resets the connection meanwhile ends it and all that it started.
    async fn run(&mut self, line: &[u8]) -> Result<Reply, Broken> {
        let since = std::time::Instant::now();
        let plan = plan(line);
        let started =
            if self.call.alone { Job::start(&plan) } else { Job::start_kept(&plan).await };
        let mut job = match started {
            Ok(job) => job,
            Err(error) => return Ok(Reply::new(126, format!("sockeye: {error}\n").as_bytes())),
        };
        let source = job.take_streams().stdout;
        let collected = tokio::select! {
            collected = collect(&mut job, source) => Ok(collected?),
            gone = self.gone() => Err(gone),
        };
        let reply = match collected {
            Ok(Some(reply)) => {
                job.let_go().await;
                reply
            }
            Ok(None) => {
                job.end().await;
                too_long()
            }
            Err(gone) => {
                job.end().await;
                return Err(gone.into());
            }
        };
        let shown = sockeye_net::shown::bytes(&line[..line.len().min(limits::COMMAND_SHOWN)]);
        self.call.front.tell(News::Command(CommandNews {
            command: shown.chars().take(limits::COMMENT_SHOWN).collect(),
            exit: Some(reply.status),
            signal: None,
            output: reply.output.len() as u64,
            duration_ms: u64::try_from(since.elapsed().as_millis()).unwrap_or(u64::MAX),
        }));
        Ok(reply)
    }

    /// Resolves where the peer has gone for good. Its end of sending alone says nothing: it may
    /// wait for the reply. More commands may come meanwhile, but not without bound.
    async fn gone(&mut self) -> io::Error {
        loop {
            if self.ended || self.bytes.len() > limits::PLAIN_LINE_MAX {
                return std::future::pending().await;
            }
            if let Err(error) = self.read().await {
                return error;
            }
        }
    }
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

/// The whole output and the status; `None` where it is longer than a reply may be.
async fn collect(job: &mut Job, source: Option<Source>) -> io::Result<Option<Reply>> {
    let mut output = Vec::new();
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
    let status = match job.wait().await? {
        Exit::Code(code) => i32::from(code),
        Exit::Signal { number, .. } => 128 + i32::from(number),
    };
    Ok(Some(Reply::new(status, &output)))
}

fn too_long() -> Reply {
    let text = "sockeye: the output is too long for a reply. Let the command write to a file.\n";
    Reply::new(255, text.as_bytes())
}

fn plan(line: &[u8]) -> Plan {
    let value = |name: &&str| Some((OsString::from(name), std::env::var_os(name)?));
    Plan {
        program: Program::Line(OsString::from_vec(line.to_vec())),
        directory: None,
        environment: KEPT_ENV.iter().filter_map(value).collect(),
        stdio: Stdio::Merged,
        confinement: Confinement { no_new_privileges: true, scoped: false },
    }
}
