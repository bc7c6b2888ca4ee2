//! One connection of somebody who came in: hello, then one command after another.

use std::io;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use sockeye_limits as limits;
use sockeye_net::Peer;
use sockeye_serve::{End, Front, News, Offence, Side, Why};
use sockeye_wire::files::Transfer;
use sockeye_wire::{Failure, FailureKind, Misuse, ProtocolError, Run, Server, ToServer};
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use crate::gate::{Gate, Pass, Rejected};
use crate::gated::turn_away;
use crate::job::become_reaper;
use crate::rules::Rules;

/// The name and version that we say hello with.
pub(crate) const PROGRAM: &str = concat!("sockeye/", env!("CARGO_PKG_VERSION"));

/// One connection, and what its owner may do.
pub(super) struct Talk<'a> {
    pub(super) rules: &'a Rules,
    pub(super) gate: &'a Gate,
    pub(super) pass: Pass,
    pub(super) peer: Peer,
    pub(super) front: Arc<dyn Front>,
    /// This process serves nothing else, so what it runs may be its own children.
    pub(super) alone: bool,
    /// How long it may stay without a command.
    pub(super) idle: Duration,
}

/// Why a connection ended before its time.
#[derive(Debug)]
pub(super) enum Broken {
    /// The stream failed, or ended in the middle.
    Io(io::Error),
    /// The peer broke the protocol.
    Protocol(ProtocolError),
    /// We did.
    Misuse(Misuse),
    /// The peer may not come in any more.
    Barred(Rejected),
    /// The peer had nothing to run for too long.
    Idle,
    /// A transfer was broken off, for this reason.
    Transfer(String),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        Broken::Io(error)
    }
}

impl From<ProtocolError> for Broken {
    fn from(error: ProtocolError) -> Broken {
        Broken::Protocol(error)
    }
}

impl From<Misuse> for Broken {
    fn from(error: Misuse) -> Broken {
        Broken::Misuse(error)
    }
}

/// What a client asks for.
enum Asked {
    Run(Box<Run>),
    Transfer(Box<Transfer>),
}

/// Our end of the protocol.
pub(super) type Link = crate::link::Link<Server>;

impl Link {
    /// Takes messages until there are none or one of them breaks off.
    pub(super) fn take<T>(
        &self,
        mut each: impl FnMut(ToServer<'_>) -> ControlFlow<T>,
    ) -> Result<Option<T>, ProtocolError> {
        let mut machine = self.machine();
        while let Some(message) = machine.next(self.now())? {
            if let ControlFlow::Break(found) = each(message) {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// What came and was not taken, for a transfer that goes on with the stream.
    pub(super) fn take_rest(&self) -> Vec<u8> {
        std::mem::replace(&mut *self.machine(), Server::new(Duration::ZERO)).into_rest()
    }

    /// The next request; `None` where the peer has ended between two.
    async fn next_request(
        &self,
        reader: &mut (impl AsyncRead + Unpin),
        writer: &mut (impl AsyncWrite + Unpin),
    ) -> Result<Option<Asked>, Broken> {
        loop {
            let asked = self.take(|message| match message {
                ToServer::Run(run) => ControlFlow::Break(Asked::Run(run)),
                ToServer::Transfer(transfer) => ControlFlow::Break(Asked::Transfer(transfer)),
                _ => ControlFlow::Continue(()),
            })?;
            if asked.is_some() {
                return Ok(asked);
            }
            // Whoever waits for our words before it asks for anything must get them.
            self.write(writer).await?;
            let due = self.machine().deadline();
            let more = match due.map(|due| due.saturating_sub(self.now())) {
                None => self.fill(reader).await?,
                Some(left) => match timeout(left, self.fill(reader)).await {
                    Ok(more) => more?,
                    Err(_) => {
                        self.machine().expire(self.now())?;
                        continue;
                    }
                },
            };
            if !more {
                self.machine().end()?;
                return Ok(None);
            }
        }
    }
}

impl Talk<'_> {
    /// Holds the conversation to its end.
    pub(super) async fn hold<S>(self, stream: S) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin + Send,
    {
        let (mut reader, mut writer) = tokio::io::split(stream);
        let link = Link::new(Server::new(Duration::ZERO));
        let held = self.commands(&link, &mut reader, &mut writer).await;
        if let Err(broken) = &held {
            let ends = !matches!(broken, Broken::Io(_) | Broken::Misuse(_));
            // What was said last is written even where the peer has misbehaved: it may tell its user.
            // One that does not listen holds nobody.
            let last = async {
                link.write(&mut writer).await?;
                if ends { writer.shutdown().await } else { Ok(()) }
            };
            let _ = timeout(limits::LINGER_TIME, last).await;
        }
        let rejected = |why| self.front.tell(News::Rejected { why, offence: Offence::None });
        match held {
            Ok(()) => match link.write(&mut writer).await {
                Ok(()) => {
                    // The peer has gone first: it cannot be hurt by how we go.
                    let _ = writer.shutdown().await;
                    End::clean(Side::Peer)
                }
                Err(error) => End::failed(&error),
            },
            Err(Broken::Io(error)) => End::failed(&error),
            Err(Broken::Protocol(error)) => {
                rejected(error.to_string());
                End::ours(Why::Protocol)
            }
            Err(Broken::Misuse(error)) => {
                self.front.tell(News::Warning(format!("a fault of our own: {error}")));
                End::ours(Why::Error)
            }
            Err(Broken::Transfer(why)) => {
                rejected(why);
                End::ours(Why::Protocol)
            }
            Err(Broken::Barred(rejected)) => turn_away(rejected, self.front.as_ref()),
            Err(Broken::Idle) => End::ours(Why::IdleTimeout),
        }
    }

    async fn commands(
        &self,
        link: &Link,
        reader: &mut (impl AsyncRead + Unpin + Send),
        writer: &mut (impl AsyncWrite + Unpin + Send),
    ) -> Result<(), Broken> {
        if self.alone {
            become_reaper()?;
        }
        link.say(|machine, out| machine.hello(PROGRAM, out))?;
        loop {
            let Ok(next) = timeout(self.idle, link.next_request(reader, writer)).await else {
                return Err(Broken::Idle);
            };
            let Some(asked) = next? else { return Ok(()) };
            match self.gate.renew(&self.pass) {
                Ok(pass) => match asked {
                    Asked::Run(run) => self.run(&run, &pass, link, reader, writer).await?,
                    Asked::Transfer(transfer) => {
                        if self.transfer(*transfer, &pass, link, reader, writer).await? {
                            return Ok(());
                        }
                    }
                },
                Err(rejected) => {
                    link.say(|machine, out| machine.failed(&barred(), out))?;
                    // A close with input unread would be a reset, and our words lost.
                    let _ = timeout(limits::LINGER_TIME, link.next_request(reader, writer)).await;
                    return Err(Broken::Barred(rejected));
                }
            }
        }
    }
}

/// What somebody is told whose key was taken out of the list while he was in.
fn barred() -> Failure {
    let text = "your key may not come in here any more. Ask the owner of the server.".into();
    Failure { kind: FailureKind::Refused, text }
}

#[cfg(test)]
mod tests {
    use sockeye_net::Address;
    use sockeye_serve::{Entering, Proof};
    use sockeye_trust::Signer;
    use tokio::io::AsyncReadExt;

    use super::*;
    use crate::gate::HostKey;

    struct Deaf;

    impl Front for Deaf {
        fn ask(&self, _question: &[u8]) -> io::Result<Vec<u8>> {
            Err(io::ErrorKind::Unsupported.into())
        }

        fn enter(&self, _proof: Proof) -> Entering<'_> {
            Box::pin(std::future::ready(true))
        }

        fn tell(&self, _news: News) {}
    }

    fn rules() -> Rules {
        Rules {
            authorized: "/nowhere".into(),
            host_key: "/nowhere".into(),
            accept_env: Vec::new(),
            audit: None,
            root: None,
            read_only: false,
            privileges: false,
        }
    }

    /// P-L8: a connection without a command is ended, in words that its peer understands.
    #[test]
    fn idle() {
        let rules = rules();
        let key = sockeye_trust::KeyPair::generate("test").unwrap();
        let setup = serde_json::json!({ "key": key.public().to_string() });
        let key = HostKey::elsewhere(&setup, &rules.host_key).unwrap();
        let gate = Gate::new(key, rules.authorized.clone(), sockeye_wire::ALPN);
        let user = rustix::process::geteuid().as_raw();
        let credentials = sockeye_net::address::Credentials { pid: 0, uid: user, gid: 0 };
        let peer = Peer { address: Address::Unnamed, credentials: Some(credentials) };
        let pass = Gate::same_user(&peer).unwrap();
        let idle = Duration::from_millis(50);
        let front = Arc::new(Deaf);
        let talk = Talk { rules: &rules, gate: &gate, pass, peer, front, alone: false, idle };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (mut theirs, ours) = tokio::io::duplex(1024);
            theirs.write_all(b"sockeye?\x00\x01\x01x").await.unwrap();
            let mut heard = Vec::new();
            let (end, read) = tokio::join!(talk.hold(ours), theirs.read_to_end(&mut heard));
            assert_eq!(end.why, Why::IdleTimeout);
            // Our Hello and nothing more.
            assert_eq!(read.unwrap(), 8 + 2 + 1 + PROGRAM.len());
        });
    }
}
