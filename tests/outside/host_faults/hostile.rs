//! Ends of the host protocol that lie: a client that is let in and then misbehaves, and a server
//! that says whatever a test wants.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use sockeye_host::client::Duplex;
use sockeye_limits as limits;
use sockeye_trust::tls::{Acceptor, Expect, HandshakeError, connect};
use sockeye_trust::{KeyPair, Signer};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::harness::DEADLINE;
use crate::harness::process::children_of;
use crate::harness::remote::Host;

/// Kinds of frames, PROTOCOL.md, P-F3.
pub(crate) mod kind {
    pub(crate) const RUN: u8 = 0x01;
    pub(crate) const STDIN: u8 = 0x02;
    pub(crate) const STDIN_END: u8 = 0x03;
    pub(crate) const SIGNAL: u8 = 0x04;
    pub(crate) const RESIZE: u8 = 0x05;
    pub(crate) const STARTED: u8 = 0x81;
    pub(crate) const STDOUT: u8 = 0x82;
    pub(crate) const STDERR: u8 = 0x83;
    pub(crate) const STDIN_TAKEN: u8 = 0x84;
    pub(crate) const STDIN_CLOSED: u8 = 0x85;
    pub(crate) const ENDED: u8 = 0x86;
    pub(crate) const FAILED: u8 = 0x87;
}

/// A frame's header alone, with any length.
pub(crate) fn header(kind: u8, length: u32) -> Vec<u8> {
    [&[kind][..], &length.to_be_bytes()].concat()
}

/// A frame whose length is right.
pub(crate) fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).expect("a short payload");
    [&header(kind, length)[..], payload].concat()
}

fn hello(magic: &[u8; 8], version: u16, program: &[u8]) -> Vec<u8> {
    let length = u8::try_from(program.len()).expect("a short name");
    [&magic[..], &version.to_be_bytes(), &[length], program].concat()
}

/// A client's first words.
pub(crate) fn client_hello() -> Vec<u8> {
    hello(b"sockeye?", 1, b"evil/1")
}

/// A server's first words, in any version.
pub(crate) fn server_hello_of(version: u16) -> Vec<u8> {
    hello(b"sockeye!", version, b"evil/1")
}

/// A server's first words.
pub(crate) fn server_hello() -> Vec<u8> {
    server_hello_of(1)
}

/// Bytes behind their length.
pub(crate) fn counted(bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("short");
    [&length.to_be_bytes()[..], bytes].concat()
}

/// A Run of a line for the shell with these flags, which add no fields.
pub(crate) fn run_line(flags: u8, line: &str) -> Vec<u8> {
    frame(kind::RUN, &[&[flags, 2][..], &counted(line.as_bytes()), &[0; 4]].concat())
}

/// An Ended with status `code` that counts these bytes of output.
pub(crate) fn ended(code: u8, stdout: u64, stderr: u64) -> Vec<u8> {
    let counts = [stdout.to_be_bytes(), stderr.to_be_bytes(), 5_u64.to_be_bytes()].concat();
    frame(kind::ENDED, &[&[1, code, 0][..], &counts].concat())
}

/// How many processes of commands there are: all that workers have started.
pub(crate) fn commands(host: &Host) -> usize {
    let workers = children_of(host.server.pid());
    let mut all: Vec<u32> = workers.into_iter().flat_map(children_of).collect();
    let mut at = 0;
    while at < all.len() {
        all.extend(children_of(all[at]));
        at += 1;
    }
    all.len()
}

/// A runtime for one hostile end.
pub(crate) fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// The key pair in this file, which has no passphrase.
pub(crate) fn key_of(path: &Path) -> KeyPair {
    sockeye_trust::file::read_private(path, &mut |_| None).expect("a private key")
}

/// One end of a connection, and the means to cut it off.
pub(crate) struct Line {
    stream: Box<dyn Duplex>,
    socket: OwnedFd,
}

impl Line {
    /// A connection as it is.
    pub(crate) fn bare(stream: impl Duplex + AsFd + 'static) -> Line {
        let socket = stream.as_fd().try_clone_to_owned().expect("a second handle");
        Line { stream: Box::new(stream), socket }
    }

    pub(crate) async fn say(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.write_all(bytes).await?;
        self.stream.flush().await
    }

    /// The end of our side as the protocol has it: over TLS close_notify first.
    pub(crate) async fn finish(&mut self) {
        // The other side may have gone first.
        let _ = self.stream.shutdown().await;
    }

    /// FIN alone; over TLS that is a cut.
    pub(crate) fn fin(&self) {
        let _ = socket2::SockRef::from(&self.socket).shutdown(std::net::Shutdown::Write);
    }

    /// RST over TCP; on a Unix socket a close that leaves what came unread.
    pub(crate) fn reset(self) {
        let _ = socket2::SockRef::from(&self.socket).set_linger(Some(Duration::ZERO));
    }

    /// Everything up to the other side's end, and how that was.
    pub(crate) async fn hear_all(&mut self) -> (Vec<u8>, io::Result<()>) {
        let mut all = Vec::new();
        let read = timeout(DEADLINE, self.stream.read_to_end(&mut all)).await;
        let read = read.expect("the other side ends within the deadline");
        (all, read.map(|_| ()))
    }

    /// Listens until the other side has gone, however.
    pub(crate) async fn wait_for_end(&mut self) {
        let _ = self.hear_all().await;
    }

    /// Reads until what came holds `what`.
    pub(crate) async fn hear_until(&mut self, what: &[u8]) -> Vec<u8> {
        let mut all = Vec::new();
        let mut buffer = [0; 4096];
        while !all.windows(what.len()).any(|window| window == what) {
            let read = timeout(DEADLINE, self.stream.read(&mut buffer)).await;
            let n = read.expect("something comes within the deadline").unwrap_or(0);
            assert!(n > 0, "it ended before {what:?} came: {all:?}");
            all.extend_from_slice(&buffer[..n]);
        }
        all
    }

    /// Reads what has come, or waits for something; nothing at the other side's end, however it was.
    pub(crate) async fn read(&mut self, buffer: &mut [u8]) -> usize {
        let read = timeout(DEADLINE, self.stream.read(buffer)).await;
        read.expect("something comes within the deadline").unwrap_or(0)
    }

    /// Says a piece each second until the other side has gone; how long that took.
    pub(crate) async fn trickle(&mut self, mut piece: impl FnMut() -> Vec<u8>) -> Duration {
        let start = Instant::now();
        let mut buffer = [0; 4096];
        while self.say(&piece()).await.is_ok() {
            // What it says meanwhile is no end.
            let read = timeout(Duration::from_secs(1), self.stream.read(&mut buffer)).await;
            if let Ok(Ok(0) | Err(_)) = read {
                break;
            }
            let bound = limits::TRANSFER_FRAME_TIME + DEADLINE;
            assert!(start.elapsed() < bound, "a trickling peer is borne for {bound:?}");
        }
        start.elapsed()
    }

    /// A client's Hello and the header of its Run, and the Run.
    pub(crate) async fn hear_run(&mut self) -> io::Result<()> {
        let mut fixed = [0; 11];
        self.stream.read_exact(&mut fixed).await?;
        let mut rest = vec![0; usize::from(fixed[10]) + 5];
        self.stream.read_exact(&mut rest).await?;
        let length = rest.last_chunk::<4>().map_or(0, |length| u32::from_be_bytes(*length));
        let mut run = vec![0; length as usize];
        self.stream.read_exact(&mut run).await.map(|_| ())
    }
}

/// A hostile client that came in.
pub(crate) struct Guest {
    runtime: Runtime,
    pub(crate) line: Line,
}

impl Guest {
    /// Over TLS, with the key of the host's own user.
    pub(crate) fn enter(host: &Host) -> Guest {
        let key = Arc::new(key_of(&host.home.identity()));
        Guest::enter_as(host, key, b"sockeye-host/1").expect("the key is authorised")
    }

    /// Over TLS, with this key and this protocol. TLS 1.3 leaves the client to learn with its first
    /// read that it was refused.
    pub(crate) fn enter_as(
        host: &Host,
        key: Arc<dyn Signer>,
        alpn: &[u8],
    ) -> Result<Guest, HandshakeError> {
        let runtime = runtime();
        let to = SocketAddr::from(([127, 0, 0, 1], host.port()));
        let line = runtime.block_on(async {
            let tcp = TcpStream::connect(to).await.expect("the server listens");
            let socket = tcp.as_fd().try_clone_to_owned().expect("a second handle");
            let any = Expect::judge(|_| true);
            let secured = timeout(DEADLINE, connect(tcp, key, alpn, any)).await;
            let stream = secured.expect("the handshake ends")?;
            Ok::<_, HandshakeError>(Line { stream: Box::new(stream), socket })
        })?;
        Ok(Guest { runtime, line })
    }

    /// Over the Unix socket.
    pub(crate) fn plug(host: &Host) -> Guest {
        let runtime = runtime();
        let (_, path) = host.unix.split_once(':').expect("an endpoint with a path");
        let line = runtime.block_on(async {
            Line::bare(UnixStream::connect(path).await.expect("the server listens"))
        });
        Guest { runtime, line }
    }

    /// Sends as much as the server takes: it may hang up in the middle.
    pub(crate) fn say(&mut self, bytes: &[u8]) {
        let Guest { runtime, line } = self;
        let said = runtime.block_on(async { timeout(DEADLINE, line.say(bytes)).await });
        // A server that has hung up is what most of these tests are about.
        let _ = said.expect("the server takes it or hangs up");
    }

    pub(crate) fn hear_all(&mut self) -> (Vec<u8>, io::Result<()>) {
        let Guest { runtime, line } = self;
        runtime.block_on(line.hear_all())
    }

    pub(crate) fn read(&mut self, buffer: &mut [u8]) -> usize {
        let Guest { runtime, line } = self;
        runtime.block_on(line.read(buffer))
    }

    pub(crate) fn trickle(&mut self, piece: impl FnMut() -> Vec<u8>) -> Duration {
        let Guest { runtime, line } = self;
        runtime.block_on(line.trickle(piece))
    }

    pub(crate) fn hear_until(&mut self, what: &[u8]) -> Vec<u8> {
        let Guest { runtime, line } = self;
        runtime.block_on(line.hear_until(what))
    }

    pub(crate) fn finish(&mut self) {
        let Guest { runtime, line } = self;
        runtime.block_on(line.finish());
    }

    pub(crate) fn fin(&self) {
        self.line.fin();
    }

    pub(crate) fn reset(self) {
        let Guest { runtime, line } = self;
        let _inside = runtime.enter();
        line.reset();
    }
}

/// A hostile server: each connection is handed to a script, one after another.
pub(crate) struct Fake {
    pub(crate) endpoint: String,
    /// Of its key, where it has one.
    pub(crate) fingerprint: String,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
    dir: TempDir,
}

impl Fake {
    /// On a Unix socket.
    pub(crate) fn unix(script: impl AsyncFn(Line) + Send + 'static) -> Fake {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("s");
        let listener = std::os::unix::net::UnixListener::bind(&path).expect("a Unix socket");
        listener.set_nonblocking(true).expect("non-blocking");
        let endpoint = format!("unix:{}", path.display());
        Fake::start(dir, endpoint, String::new(), async move || {
            let listener = UnixListener::from_std(listener).expect("an event loop");
            loop {
                let (stream, _) = listener.accept().await.expect("a client");
                script(Line::bare(stream)).await;
            }
        })
    }

    /// On TCP, without TLS.
    pub(crate) fn tcp(script: impl AsyncFn(Line) + Send + 'static) -> Fake {
        let (listener, port) = listen();
        let endpoint = format!("tls://127.0.0.1:{port}");
        Fake::start(dir(), endpoint, String::new(), async move || {
            let listener = TcpListener::from_std(listener).expect("an event loop");
            loop {
                let (stream, _) = listener.accept().await.expect("a client");
                script(Line::bare(stream)).await;
            }
        })
    }

    /// On TCP, with a true handshake for this protocol. Clients that break it off are no concern
    /// of the script: they come twice where they do not know the server.
    pub(crate) fn tls(alpn: &'static [u8], script: impl AsyncFn(Line) + Send + 'static) -> Fake {
        let (listener, port) = listen();
        let key = Arc::new(KeyPair::generate("fake").expect("a key"));
        let fingerprint = key.public().fingerprint().to_string();
        let endpoint = format!("tls://127.0.0.1:{port}");
        Fake::start(dir(), endpoint, fingerprint, async move || {
            let listener = TcpListener::from_std(listener).expect("an event loop");
            loop {
                let (tcp, _) = listener.accept().await.expect("a client");
                let socket = tcp.as_fd().try_clone_to_owned().expect("a second handle");
                let acceptor = Acceptor::new(key.clone(), &[alpn]);
                if let Ok((stream, _)) = acceptor.accept(tcp, |_| true).await {
                    script(Line { stream: Box::new(stream), socket }).await;
                }
            }
        })
    }

    fn start(
        dir: TempDir,
        endpoint: String,
        fingerprint: String,
        serve: impl AsyncFnOnce() + Send + 'static,
    ) -> Fake {
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::spawn(move || {
            runtime().block_on(async {
                tokio::select! {
                    () = serve() => {}
                    _ = stopped => {}
                }
            });
        });
        Fake { endpoint, fingerprint, stop: Some(stop), thread: Some(thread), dir }
    }

    /// A directory that goes with it.
    pub(crate) fn dir(&self) -> &Path {
        self.dir.path()
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // A script that fails has failed its test by what the client saw.
            let _ = thread.join();
        }
    }
}

fn dir() -> TempDir {
    tempfile::tempdir().expect("a temporary directory")
}

fn listen() -> (std::net::TcpListener, u16) {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.set_nonblocking(true).expect("non-blocking");
    let port = listener.local_addr().expect("an address").port();
    (listener, port)
}
